"""Keys of values of the standard library whose pickled form is not what they mean."""

import os
from typing import Any

from .encoding import encode_bytes, encode_str, node
from .instances import encode_instance
from .library_code import is_library
from .walk import Walk


def encode_path(walk: Walk, value: Any) -> bytes:
    """Key a path by its kind and text."""
    cls = type(value)
    own = is_library(cls.__module__)  # pathlib has other modules in Python 3.13
    kind = encode_str(cls.__name__) if own else walk.encode(cls)
    attributes = walk.attributes(getattr(value, "__dict__", None) or {})
    return node(b"path", (kind, encode_str(os.fspath(value)), *attributes))


def encode_fraction(walk: Walk, value: Any) -> bytes:
    """Key a fraction by its numerator and denominator."""
    parts = (type(value), value.numerator, value.denominator)
    return node(b"fraction", [walk.encode(part) for part in parts])


def encode_zone(walk: Walk, value: Any) -> bytes:
    """Key a time zone by its name; one that was read from a file has none."""
    if value.key is None:
        return encode_instance(walk, value)
    return node(b"zone", (walk.encode(type(value)), encode_str(value.key)))


def encode_memoryview(walk: Walk, value: memoryview) -> bytes:
    """Key a view by its format, shape and bytes."""
    parts = encode_str(value.format), walk.encode(value.shape)
    return node(b"memoryview", (*parts, encode_bytes(value.tobytes())))
