"""The bytes that keys are made of: each part tells its own length.

A value without parts is encoded as it is; what has parts is hashed with them, under
the name of its kind.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np


def encode_float(value: float) -> bytes:
    """Encode by IEEE bits; every NaN is the same."""
    return b"f" + struct.pack("<d", value if value == value else float("nan"))


def encode_str(value: str) -> bytes:
    """Encode text, lone surrogates included."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(raw), raw)


def encode_bytes(value: bytes) -> bytes:
    """Encode raw bytes."""
    return b"b%d:%b" % (len(value), value)


#: Python's values without parts, by the id of their class: a metaclass may compare and
#: hash its classes as it likes. In a function's code there are no others.
PYTHON_ATOMS: dict[int, Callable[[Any], bytes]] = {
    id(type(None)): lambda _value: b"N",
    id(type(...)): lambda _value: b"E",
    id(bool): lambda value: b"T" if value else b"F",
    id(int): lambda value: b"i%x;" % value,
    id(float): encode_float,
    id(str): encode_str,
    id(bytes): encode_bytes,
}


#: All values without parts. The same number or text gives the same score; a float32
#: may not.
ATOMS: dict[int, Callable[[Any], bytes]] = {
    **PYTHON_ATOMS,
    id(bytearray): lambda value: node(b"bytearray", (encode_bytes(bytes(value)),)),
    id(np.float64): encode_float,
    id(np.bool_): lambda value: b"T" if value else b"F",
    id(np.int64): lambda value: b"i%x;" % int(value),
    id(np.str_): lambda value: encode_str(str(value)),
}


def node(tag: bytes, parts: Iterable[bytes] = ()) -> bytes:
    """Hash encoded parts, each of which tells its own length, under a tag."""
    content = b";".join((tag, b"".join(parts)))
    return b"#" + hashlib.blake2b(content, digest_size=16).digest()


def named(kind: bytes, module: str | None, qualname: str) -> bytes:
    """Encode something that is known by its name."""
    return node(kind, (encode_str(module or ""), encode_str(qualname)))
