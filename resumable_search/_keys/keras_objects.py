"""Keys of Keras objects: by configuration, weights and the user's code in them."""

import functools
import re
import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from .encoding import node
from .library_code import is_library, package_of
from .walk import Unkeyable, Walk

# A callback's link to the model and, in Keras's own, what a fit leaves behind.
_CALLBACK_LINKS = frozenset({"_model", "model", "params", "_params"})
_CALLBACK_STATE = frozenset(
    """history epoch best best_weights best_epoch wait stopped_epoch cooldown_counter
    validation_data monitor_op _batches_seen_since_last_saving _last_batch_seen
    _current_epoch""".split()  # noqa: SIM905 - a page of lines otherwise
)


def is_keras(cls: type) -> bool:
    """Say whether a class is Keras's or derives from one of Keras's."""
    return any(package_of(base) == "keras" for base in cls.__mro__)


def encode_keras(walk: Walk, value: Any) -> bytes:
    """Key an object by its configuration, weights and the user's code in it."""
    config = {"": _keras_config(value, "get_config")}
    if getattr(value, "compiled", False):
        config["compile"] = _keras_config(value, "get_compile_config")
    name = str((config[""] or {}).get("name", ""))
    if _is_automatic(name, type(value).__name__):
        del config[""]["name"]
    parts = [walk.encode(type(value)), walk.child("", _plain(config, {}))]
    parts += [walk.encode(item) for item in _keras_user_code(value)]
    if hasattr(value, "get_weights"):
        parts += [walk.encode(weight) for weight in value.get_weights()]
    elif hasattr(value, "update_step") and getattr(value, "built", False):
        parts += [walk.encode(np.asarray(weight)) for weight in value.variables]
    return node(b"keras", parts)


def _keras_config(value: Any, method: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a lambda could not be loaded again
            return dict(getattr(value, method)() or {})
    except Exception as error:
        raise Unkeyable(value, f"its {method} method failed ({error})") from error


def _is_automatic(name: str, class_name: str) -> bool:
    """Say whether Keras made up the name: ``adam``, ``adam_1``, ..."""
    snake = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", snake).lower()
    return re.fullmatch(rf"{re.escape(snake)}(_\d+)?", name) is not None


def _is_dumped_lambda(config: dict[str, Any]) -> bool:
    """Say whether it is what ``python_utils.func_dump`` of Keras made of a lambda."""
    dumped = config.get("value")
    return config.keys() == {"value", "defaults", "closure"} or (
        config.keys() == {"value"}
        and isinstance(dumped, list | tuple)
        and len(dumped) == 3
        and isinstance(dumped[0], str)
    )


def _plain(config: Any, names: dict[str, str]) -> Any:
    """Replace the names that Keras made up, which count all objects of a process.

    Functions and classes of the user are left out: a configuration has their names
    only, or a lambda's code with its line numbers; their code is keyed beside it.
    """
    if isinstance(config, dict):
        kind = str(config.get("class_name", ""))
        if kind == "__lambda__" or _is_dumped_lambda(config):
            return "__lambda__"
        inner = config.get("config")
        name = inner.get("name") if isinstance(inner, dict) else None
        if kind and isinstance(name, str) and _is_automatic(name, kind):
            names.setdefault(name, f"{kind}#{len(names)}")
        skipped = {"module", "registered_name"} if kind else set()
        return {k: _plain(v, names) for k, v in config.items() if k not in skipped}
    if isinstance(config, list | tuple):
        return [_plain(item, names) for item in config]
    return names.get(config, config) if isinstance(config, str) else config


def _keras_user_code(value: Any) -> Iterator[object]:
    """Find the user's functions and classes in a tree of Keras objects."""
    stack, seen = [value], set()
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, functools.partial):
            yield item
        elif isinstance(item, types.FunctionType | types.MethodType):
            if not is_library(item.__module__):
                yield item
        elif isinstance(item, dict):
            stack += reversed(list(item.values()))
        elif isinstance(item, list | tuple):
            stack += reversed(item)
        elif is_keras(type(item)) and hasattr(item, "__dict__"):
            if item is not value:
                yield type(item)
            # Not the graph that layers are part of, nor what Keras wraps for itself.
            stack += [
                part
                for name, part in sorted(vars(item).items(), reverse=True)
                if name not in ("_inbound_nodes", "_outbound_nodes", "_tracker")
                and name not in ("build", "quantize", "_auto_config")
            ]
        elif not (isinstance(item, type) or is_library(type(item).__module__)):
            yield item  # such as a loss that is an object of the user's


def encode_callback(walk: Walk, value: Any) -> bytes:
    """Key a callback by its attributes, without what a fit leaves behind."""
    own = is_library(type(value).__module__)
    dropped = _CALLBACK_LINKS | (_CALLBACK_STATE if own else frozenset())
    state = {k: v for k, v in vars(value).items() if k not in dropped}
    return node(b"callback", [walk.encode(type(value)), *walk.attributes(state)])
