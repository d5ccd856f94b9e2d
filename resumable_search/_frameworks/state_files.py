"""Files that hold plain values and arrays, whole or not at all.

A file is::

    magic         8 bytes
    format        4 bytes, little-endian
    header size   8 bytes, little-endian
    header        JSON: the value, and the type and shape of each array in it
    arrays        their bytes, one after the other
    checksum      32 bytes, blake2b of everything before it

It is written under another name in its directory, synced and renamed, so that a
kill or a power cut leaves the file of before or the new one. Nothing in it names
code: reading runs none, whoever wrote it.

To change the format, raise `FORMAT` and state what a reader does with the older
one. Today it need do nothing: a state that cannot be read costs one fold's epochs.
"""

import contextlib
import hashlib
import itertools
import json
import math
import os
import re
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["FORMAT", "StateFileError", "UnsupportedValue", "digest", "read", "write"]

MAGIC = b"RSstate\n"
FORMAT = 1

_START = struct.Struct("<8sIQ")
_CHECKSUM_SIZE = 32
_NATIVE = re.compile(r"[<>|][biufcSU][1-9][0-9]{0,8}")
# Types that NumPy knows only once ml_dtypes, which Keras needs, has been imported.
_EXTENSIONS = frozenset(
    """bfloat16 float8_e3m4 float8_e4m3 float8_e4m3b11fnuz float8_e4m3fn
    float8_e4m3fnuz float8_e5m2 float8_e5m2fnuz float8_e8m0fnu""".split()  # noqa: SIM905 - easier to read
)

Array = npt.NDArray[Any]
#: Objects that are stored by name, such as functions; by that name.
Named = Mapping[str, object]


class StateFileError(Exception):
    """A file is no state file, or damaged; the message completes "the file ..."."""


class UnsupportedValue(TypeError):  # noqa: N818 - not an error: asked for, to skip it
    """A value cannot be stored."""


def write(path: Path, value: object, named: Named) -> None:
    """Write `value` to `path`, atomically and durably.

    Raises
    ------
    UnsupportedValue
        If the value holds anything but None, bools, numbers, text, lists, tuples,
        dicts, NumPy arrays and scalars, and what is in `named`.
    OSError
        If it cannot be written. What was in `path` before is still there.
    """
    arrays: list[Array] = []
    packed = _pack(value, arrays, named)
    kinds = [[_dtype_name(array.dtype), list(array.shape)] for array in arrays]
    header = json.dumps({"value": packed, "arrays": kinds}).encode("ascii")
    new = path.with_name(path.name + ".new")
    try:
        with new.open("wb") as file:
            checksum = hashlib.blake2b(digest_size=_CHECKSUM_SIZE)
            start = _START.pack(MAGIC, FORMAT, len(header))
            for part in itertools.chain((start, header), map(_bytes_of, arrays)):
                checksum.update(part)
                file.write(part)
            file.write(checksum.digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)  # noqa: PTH105 - the name is what matters here
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)  # a full disk is not made fuller
        raise
    _sync_directory(path.parent)


def read(path: Path, named: Named) -> Any:
    """Read what `write` wrote. The arrays in it may be changed.

    Raises
    ------
    StateFileError
        If it is something else, or not all of it, or from a newer release.
    OSError
        If the file cannot be read. FileNotFoundError if there is none.
    """
    content = memoryview(path.read_bytes())
    if len(content) < _START.size or content[: len(MAGIC)] != MAGIC:
        raise StateFileError("is not a state of a fit, or its beginning is damaged")
    _, number, header_size = _START.unpack_from(content)
    if number != FORMAT:
        raise StateFileError(
            f"has format {number}, and this release reads format {FORMAT} only"
        )
    body, checksum = content[:-_CHECKSUM_SIZE], content[-_CHECKSUM_SIZE:]
    if hashlib.blake2b(body, digest_size=_CHECKSUM_SIZE).digest() != checksum:
        raise StateFileError("is truncated or damaged: its checksum does not match")
    try:
        header_end = _START.size + header_size
        if header_end > len(body):
            raise ValueError("the header does not end")
        header = json.loads(bytes(body[_START.size : header_end]))
        arrays = _read_arrays(body[header_end:], header["arrays"])
        return _unpack(header["value"], arrays, named)
    except Exception as exc:  # written on purpose: its checksum is right
        raise StateFileError(f"has content that makes no sense ({exc!r})") from exc


def digest(value: object, named: Named) -> tuple[str, bytes]:
    """Return what differs for values that `write` would store differently.

    Raises
    ------
    UnsupportedValue
        As `write`.
    """
    arrays: list[Array] = []
    packed = _pack(value, arrays, named)
    kinds = [[_dtype_name(array.dtype), list(array.shape)] for array in arrays]
    checksum = hashlib.blake2b(digest_size=_CHECKSUM_SIZE)
    for array in arrays:
        checksum.update(_bytes_of(array))
    return json.dumps([packed, kinds]), checksum.digest()


def _pack(value: Any, arrays: list[Array], named: Named) -> Any:
    """Turn a value into JSON's; what JSON has no word for is ``{kind: content}``."""
    cls = type(value)
    if value is None or cls in (bool, float, str):
        return value
    if cls is int and value.bit_length() <= 256:
        return value
    if cls is np.ndarray or isinstance(value, np.generic):
        arrays.append(np.asarray(value))
        _dtype_name(arrays[-1].dtype)
        return {"array" if cls is np.ndarray else "scalar": len(arrays) - 1}
    try:
        if cls in (list, tuple):
            return {cls.__name__: [_pack(item, arrays, named) for item in value]}
        if cls is dict:
            pairs = [
                [_pack(key, arrays, named), _pack(item, arrays, named)]
                for key, item in value.items()
            ]
            return {"dict": pairs}
    except RecursionError as exc:  # it contains itself
        raise UnsupportedValue(f"a {cls.__name__} that is nested too deeply") from exc
    for name, known in named.items():
        if value is known:
            return {"named": name}
    raise UnsupportedValue(f"{cls.__module__}.{cls.__qualname__}")


def _unpack(packed: Any, arrays: list[Array], named: Named) -> Any:
    if isinstance(packed, list):
        raise TypeError("a list without its kind")
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind in ("array", "scalar"):
        return arrays[content] if kind == "array" else arrays[content][()]
    if kind == "named":
        return named[content]
    if kind == "dict":
        return {
            _unpack(key, arrays, named): _unpack(item, arrays, named)
            for key, item in content
        }
    items = [_unpack(item, arrays, named) for item in content]
    return {"list": list, "tuple": tuple}[kind](items)


def _dtype_name(dtype: Any) -> str:
    name = str(dtype.name if dtype.name in _EXTENSIONS else dtype.str)
    if name not in _EXTENSIONS and not _NATIVE.fullmatch(name):
        raise UnsupportedValue(f"an array of type {dtype}")
    return name


def _dtype(name: str) -> np.dtype[Any]:
    if name in _EXTENSIONS:
        extension: np.dtype[Any] = np.dtype(getattr(sys.modules["ml_dtypes"], name))
        return extension
    if not _NATIVE.fullmatch(name):
        raise ValueError(f"arrays of type {name!r}")
    return np.dtype(name)


def _bytes_of(array: Array) -> Any:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _read_arrays(content: memoryview, kinds: list[Any]) -> list[Array]:
    arrays = []
    offset = 0
    for name, shape in kinds:
        dtype = _dtype(name)
        if any(type(length) is not int or length < 0 for length in shape):
            raise ValueError(f"an array of shape {shape}")
        size = math.prod(shape) * dtype.itemsize
        part = content[offset : offset + size]
        if len(part) != size:
            raise ValueError("arrays that do not end")
        arrays.append(np.frombuffer(bytearray(part), dtype=dtype).reshape(shape))
        offset += size
    if offset != len(content):
        raise ValueError("something after the arrays")
    return arrays


def _sync_directory(directory: Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
