"""Keys of Python's own values: containers, wrappers and references to functions."""

import itertools
import types
from enum import Enum
from typing import Any

from .encoding import ATOMS, encode_str, node
from .walk import Handler, Walk


def sequence(tag: bytes) -> Handler:
    """Return a handler that keys values by their items, in order."""

    def encode(walk: Walk, value: Any) -> bytes:
        return node(
            tag, [walk.child(f"[{index}]", item) for index, item in enumerate(value)]
        )

    return encode


class Keywords(dict[Any, Any]):
    """A dict whose order has no meaning, as keyword arguments or a parameter grid."""


def encode_dict(walk: Walk, value: Any) -> bytes:
    """Key a dict by its keys and values, in the order in which code goes through it."""
    return _encode_items(walk, b"dict", value, ordered=True)


def encode_keywords(walk: Walk, value: Any) -> bytes:
    """Key a dict by its keys and values, in no particular order."""
    return _encode_items(walk, b"keywords", value, ordered=False)


def _encode_items(walk: Walk, tag: bytes, value: Any, ordered: bool) -> bytes:
    try:  # text and numbers only, as in a candidate
        pairs = [
            (ATOMS[id(type(k))](k), ATOMS[id(type(v))](v)) for k, v in value.items()
        ]
    except KeyError:
        return node(tag, walk.items(value.items(), ordered))
    if not ordered:
        pairs.sort()
    return node(tag, itertools.chain.from_iterable(pairs))


def encode_set(walk: Walk, value: Any) -> bytes:
    """Key a set by its items, and a subclass by its attributes too."""
    kind = type(value)
    parts = [b"" if kind in (set, frozenset) else walk.encode(kind)]
    parts += walk.unordered(value)
    parts.append(walk.encode(getattr(value, "__dict__", None)))
    return node(b"set" if isinstance(value, set) else b"frozenset", parts)


def encode_enum(walk: Walk, value: Enum) -> bytes:
    """Key a member by its class, name and value."""
    parts = (encode_str(str(value.name)), walk.encode(value.value))
    return node(b"enum", (walk.encode(type(value)), *parts))


def encode_partial(walk: Walk, value: Any) -> bytes:
    """Key a partial by its class, function, arguments and attributes."""
    parts = [walk.encode(type(value)), walk.child(" -> function", value.func)]
    parts += [walk.child(" -> arguments", value.args)]
    parts += [walk.child(" -> arguments", value.keywords, encode_keywords)]
    return node(b"partial", [*parts, walk.encode(value.__dict__)])


def encode_method(walk: Walk, value: types.MethodType) -> bytes:
    """Key a bound method by its function and instance."""
    parts = (walk.encode(value.__func__), walk.child(" -> instance", value.__self__))
    return node(b"method", parts)


def encode_builtin(walk: Walk, value: types.BuiltinFunctionType) -> bytes:
    """Key a builtin by name, and its instance if it is bound to one."""
    if value.__self__ is None or isinstance(value.__self__, types.ModuleType):
        return walk.library(b"library", value.__module__, value.__qualname__)
    owner = walk.child(" -> instance", value.__self__)
    return node(b"builtin", (encode_str(value.__name__), owner))


def wrapper(*names: str) -> Handler:
    """Key a descriptor or a wrapper by its class and the functions that it holds."""

    def encode(walk: Walk, value: Any) -> bytes:
        parts = [walk.child("", getattr(value, name)) for name in names]
        return node(b"wrapper", (walk.encode(type(value)), *parts))

    return encode


def encode_cached(walk: Walk, value: Any) -> bytes:
    """Key what `functools.lru_cache` made by the function in it."""
    parts = (walk.child("", value.__wrapped__), walk.encode(value.cache_parameters()))
    return node(b"lru_cache", parts)
