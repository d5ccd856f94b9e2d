"""Pickles of Keras objects in which there is something of the user's.

Keras writes an object into the file in which it saves models, and finds the classes and
functions of the user's in it by their registered names alone. A worker has not
registered them, and what ``get_config`` leaves out is not in the file. So

- losses and metrics go by their attributes, as any other object does;
- layers, models and optimizers go in Keras's file, with the classes and functions of
  the user's that are in it. If a copy made from that is another one, it is an error
  and not another score.

Private name of Keras (3.4 to 3.15): ``_unpickle_model``, by which what pickles itself
in this way is known.
"""

import copyreg
import importlib
import io
import pickle
import types
from collections.abc import Callable, Iterator
from typing import Any

from .._keys.fingerprint import summarize
from .._keys.keras_attributes import is_users
from .._keys.keras_copies import differences
from .._keys.keras_objects import is_keras
from .._keys.library_code import is_library

__all__ = ["reduce_keras"]

# The graph that a layer is part of; its layers are found without it.
_GRAPH = frozenset({"_inbound_nodes", "_outbound_nodes", "_nodes", "_nodes_by_depth"})


def reduce_keras(value: Any) -> Any:
    """Return how to pickle a Keras object, as ``__reduce__`` does.

    Returns
    -------
    reduced : tuple or NotImplemented
        NotImplemented where Keras's own way will do, and for everything else.

    Raises
    ------
    pickle.PicklingError
        If a copy would not be the same.
    """
    kind = type(value)
    if not hasattr(kind, "_unpickle_model") or isinstance(value, type):
        return NotImplemented
    objects = _custom_objects(value)
    if objects is None:
        return NotImplemented
    if {"Loss", "Metric"} & {base.__name__ for base in kind.__mro__}:
        return copyreg.__newobj__, (kind,), dict(vars(value))  # type: ignore[attr-defined]
    load, arguments = value.__reduce__()
    written = load, arguments[0].getvalue(), objects
    _check(value, written)
    return _load, written


def _load(load: Callable[[Any], Any], content: bytes, objects: dict[str, Any]) -> Any:
    """Load what Keras has written into its file."""
    with importlib.import_module("keras").saving.custom_object_scope(objects):
        return load(io.BytesIO(content))


def _check(value: Any, written: tuple[Any, ...]) -> None:
    """Refuse an object of which Keras can make no copy, or only another one."""
    remedy = (
        "Give its class a get_config with every argument of the constructor, and the "
        "constructor **kwargs for those of its base class. Or make the object in the "
        "function that builds the model."
    )
    try:
        copied = _load(*written)
    except Exception as error:
        raise pickle.PicklingError(
            f"The Keras object {summarize(value)} cannot be sent to a worker, because "
            "Keras could not make a copy of it, or of an object in it, from its "
            f"get_config ({type(error).__name__}). {remedy}"
        ) from error
    for owner, name, there, found in differences(value, copied, also_set_later=True):
        raise pickle.PicklingError(
            f"The Keras object {summarize(value)} cannot be sent to a worker: in the "
            f"copy that Keras makes of it the attribute {name!r} of "
            f"{type(owner).__name__} is {summarize(found)} and not "
            f"{summarize(there)}. {remedy}"
        )


def _custom_objects(value: Any) -> dict[str, Any] | None:
    """Find the user's classes and functions in an object, by the names that Keras uses.

    None if there are none, and if two have the same name: then Keras could not tell
    them apart.
    """
    saving = importlib.import_module("keras").saving
    found: dict[str, Any] = {}
    for item in _of_user(value, {}):
        for name in (saving.get_registered_name(item), item.__name__):
            if found.setdefault(name, item) is not item:
                return None
    return found or None


def _of_user(value: Any, seen: dict[int, object]) -> Iterator[Any]:
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, types.FunctionType):
        if not is_library(value.__module__) and value.__name__.isidentifier():
            yield value
    elif isinstance(value, dict):
        for item in list(value.values()):
            yield from _of_user(item, seen)
    elif isinstance(value, list | tuple | set):
        for item in list(value):
            yield from _of_user(item, seen)
    elif is_keras(type(value)) and not isinstance(value, type):
        if is_users(type(value)):
            yield type(value)
        for name, item in list(getattr(value, "__dict__", {}).items()):
            if name not in _GRAPH:
                yield from _of_user(item, seen)
