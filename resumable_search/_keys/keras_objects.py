"""Keys of Keras objects: by configuration, weights and the user's code in them."""

import functools
import itertools
import re
import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from .encoding import encode_str, node
from .keras_attributes import is_users, keras_attributes, own_attributes
from .library_code import is_library, package_of
from .python import Keywords
from .walk import Unkeyable, Walk

# A callback's link to the model and, in Keras's own, what a fit leaves behind.
_CALLBACK_LINKS = frozenset({"_model", "model", "params", "_params"})
_CALLBACK_STATE = frozenset(
    """history epoch best best_weights best_epoch wait stopped_epoch cooldown_counter
    validation_data monitor_op _batches_seen_since_last_saving _last_batch_seen
    _current_epoch""".split()  # noqa: SIM905 - a page of lines otherwise
)


def is_keras(cls: type) -> bool:
    """Return whether a class is Keras's or derives from one of Keras's."""
    return any(package_of(base) == "keras" for base in cls.__mro__)


def encode_keras(walk: Walk, value: Any) -> bytes:
    """Key an object by its configuration, weights, attributes and the user's code."""
    return _Encoding(walk).encode(value, whole=True)


class _Encoding:
    """The key of one Keras object and of those in it, each of them once.

    An object's configuration has those of the objects in it, where its class is
    Keras's; what an object of the user's holds may be in none, and has its own.
    """

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._seen: dict[int, tuple[int, object]] = {}

    def encode(self, value: Any, *, whole: bool) -> bytes:
        known = self._seen.get(id(value))
        if known is not None:
            return b"@%d;" % known[0]
        self._note(value)
        cls = type(value)
        parts = [self._walk.encode(cls)]
        has_none = False  # no configuration, and so none of the objects in it either
        if whole:
            has_none = _does_not_tell(value)
            parts.append(b"" if has_none else self._configuration(value))
            parts += self._weights(value)
        parts += [self._walk.encode(item) for item in _learned(value)]
        for name, item in own_attributes(value).items():
            parts += encode_str(name), self._attribute(f".{name}", item)
        # What Keras holds for the object, such as a wrapped layer or its loss.
        for item in keras_attributes(value):
            parts += self._held(item, whole=has_none)
        return node(b"keras", parts)

    def _note(self, value: object) -> None:
        self._seen[id(value)] = (len(self._seen), value)

    def _configuration(self, value: Any) -> bytes:
        config = {"": _keras_config(value, "get_config")}
        if getattr(value, "compiled", False):
            config["compile"] = _keras_config(value, "get_compile_config")
        name = str((config[""] or {}).get("name", ""))
        if _is_automatic(name, type(value).__name__):
            del config[""]["name"]
        if _has_drawn_seed(value):
            config[""]["seed"] = None
        drawn = {
            (item.name, item.seed)
            for item in getattr(value, "_flatten_layers", list)()
            if _has_drawn_seed(item)
        }
        return self._walk.child("", _plain(config, {}, drawn))

    def _weights(self, value: Any) -> Iterator[bytes]:
        if hasattr(value, "get_weights"):
            for weight in value.weights:
                self._note(weight)
            yield from map(self._walk.encode, value.get_weights())
            flags = [bool(weight.trainable) for weight in value.weights]
            yield self._walk.encode(flags)
            yield from self._steps(getattr(value, "optimizer", None))
        else:
            yield from self._steps(value)

    def _steps(self, optimizer: Any) -> Iterator[bytes]:
        """Encode what an optimizer that has made a step has learned."""
        if not hasattr(optimizer, "update_step") or not getattr(
            optimizer, "built", False
        ):
            return
        if int(optimizer.iterations) > 0:
            for variable in optimizer.variables:
                yield self._walk.encode(np.asarray(variable))

    def _attribute(self, label: str, item: Any) -> bytes:
        """Encode a value that an object of the user's has as an attribute."""
        known = self._seen.get(id(item))
        if known is not None:
            return b"@%d;" % known[0]
        if isinstance(item, dict):
            pairs = [
                (self._walk.encode(key), self._attribute(f"{label}[{key!r}]", part))
                for key, part in item.items()
            ]
            return node(b"dict", itertools.chain.from_iterable(pairs))
        if type(item) is tuple or isinstance(item, list):
            parts = (self._attribute(f"{label}[]", part) for part in item)
            return node(b"list", parts)
        if isinstance(item, set):
            return self._walk.child(label, set(item))  # Keras has a class of its own
        if has_config(item):
            return self.encode(item, whole=True)
        if _is_symbolic(item):  # what a layer has kept of a graph that it was called in
            return b"symbolic"
        return self._walk.child(label, item)

    def _held(self, item: Any, *, whole: bool) -> Iterator[bytes]:
        """Encode the user's functions and objects in what Keras holds."""
        if isinstance(item, functools.partial):
            yield self._walk.encode(item)
        elif isinstance(item, types.FunctionType | types.MethodType):
            if not is_library(item.__module__):
                yield self._walk.encode(item)
        elif isinstance(item, dict):
            for part in list(item.values()):
                yield from self._held(part, whole=whole)
        elif isinstance(item, list | tuple):
            for part in item:
                yield from self._held(part, whole=whole)
        elif is_keras(type(item)) and hasattr(item, "__dict__"):
            yield self.encode(item, whole=whole and has_config(item))
        elif not (isinstance(item, type) or is_library(type(item).__module__)):
            yield self._walk.encode(item)  # such as a loss that is an object


def has_config(value: Any) -> bool:
    """Return whether it is a Keras object that tells how it was made."""
    return is_keras(type(value)) and hasattr(value, "get_config")


def _is_symbolic(value: Any) -> bool:
    """Return whether it is a tensor that has no content, but a place in a graph."""
    kind = type(value).__name__
    if getattr(getattr(value, "device", None), "type", "") == "meta":  # of PyTorch
        return True
    return kind in ("KerasTensor", "SymbolicTensor") and not is_users(type(value))


def _has_drawn_seed(value: Any) -> bool:
    """Return whether Keras has drawn the seed that the configuration has."""
    given = getattr(getattr(value, "_auto_config", None), "config", None)
    return (
        isinstance(given, dict)
        and isinstance(getattr(value, "seed", None), int)
        and not is_users(type(value))
        and given.get("seed") is None
    )


def _learned(value: Any) -> Iterator[object]:
    """Find what is neither in the configuration nor among the weights."""
    yield getattr(getattr(value, "_dtype_policy", None), "name", None)
    yield bool(getattr(value, "trainable", True))
    if is_users(type(value)):
        yield bool(getattr(value, "supports_masking", False))
    if hasattr(value, "get_vocabulary"):
        lookup = getattr(value, "_lookup_layer", value)
        yield [str(token) for token in value.get_vocabulary()]
        weights = getattr(lookup, "idf_weights", None)
        yield None if weights is None else np.asarray(weights)
    if getattr(value, "stateful", False) and getattr(value, "states", None):
        yield [np.asarray(state) for state in value.states if state is not None]


def _does_not_tell(value: Any) -> bool:
    """Return whether a class of the user's has not told Keras how it is made.

    Then it derives from a class of Keras's that has nothing to tell, and what its own
    constructor was given is in attributes.
    """
    if not is_users(type(value)):
        return False
    try:
        value.get_config()
    except NotImplementedError:
        return True
    except Exception:
        return False
    return False


def _keras_config(value: Any, method: str) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a lambda could not be loaded again
            return dict(getattr(value, method)() or {})
    except Exception as error:
        raise Unkeyable(value, f"its {method} method failed ({error})") from error


def _is_automatic(name: str, class_name: str) -> bool:
    """Return whether Keras made up the name: ``adam``, ``adam_1``, ..."""
    snake = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", snake).lower()
    return re.fullmatch(rf"{re.escape(snake)}(_\d+)?", name) is not None


def _is_dumped_lambda(config: dict[str, Any]) -> bool:
    """Return whether it is what Keras's ``func_dump`` has made of a lambda."""
    dumped = config.get("value")
    return config.keys() == {"value", "defaults", "closure"} or (
        config.keys() == {"value"}
        and isinstance(dumped, list | tuple)
        and len(dumped) == 3
        and isinstance(dumped[0], str)
    )


def _plain(config: Any, names: dict[str, str], drawn: set[tuple[str, int]]) -> Any:
    """Replace the names and seeds that Keras made up, which no other process has.

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
        if drawn and (config.get("name"), config.get("seed")) in drawn:
            skipped = {"seed"}
        return {
            k: _plain(v, names, drawn) for k, v in config.items() if k not in skipped
        }
    if isinstance(config, list | tuple):
        return [_plain(item, names, drawn) for item in config]
    return names.get(config, config) if isinstance(config, str) else config


def encode_callback(walk: Walk, value: Any) -> bytes:
    """Key a callback by its attributes, without what a fit leaves behind."""
    own = is_library(type(value).__module__)
    dropped = _CALLBACK_LINKS | (_CALLBACK_STATE if own else frozenset())
    state = {k: v for k, v in vars(value).items() if k not in dropped}
    return node(b"callback", [walk.encode(type(value)), *walk.attributes(state)])


def encode_tokenizer(walk: Walk, value: Any) -> bytes:
    """Key a Tokenizer of texts by its settings and what it has counted."""
    # Filled from sets, in the order of their hashes, and only looked up.
    counts = {name: Keywords(vars(value)[name]) for name in ("word_docs", "index_docs")}
    state = {**vars(value), **counts}
    return node(b"tokenizer", [walk.encode(type(value)), *walk.attributes(state)])
