"""Digests of what lies in memory: fast for large arrays, whatever their layout."""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from .encoding import encode_bytes

Array = np.ndarray[Any, Any]

_LARGE = 1 << 16  # bytes; from here on sha256 is twice as fast as blake2b
_CHUNK = 1 << 24  # bytes that one thread hashes at a time


def encode_buffer(array: Array) -> bytes:
    """Key an array's content in C order; its dtype and shape are keyed apart.

    A large array is hashed by chunks of its first axis, in threads, without a copy of
    the whole.
    """
    if array.dtype.itemsize == 0:
        return encode_bytes(b"")
    if array.nbytes <= _LARGE:
        return encode_bytes(_small(_significant(_contiguous(array))))
    if array.nbytes <= _CHUNK:
        return encode_bytes(_large(_significant(_contiguous(array))))
    array = np.atleast_1d(array)
    while array.ndim > 1 and len(array) == 1:
        array = array[0]
    whole = hashlib.sha256()
    for digest in in_threads(_digest_rows(array), list(_row_chunks(array))):
        whole.update(digest)
    return encode_bytes(whole.digest())


def in_threads(
    function: Callable[[Any], bytes], arguments: list[Any]
) -> Iterator[bytes]:
    """Return the results in order; hashlib and NumPy let other threads run."""
    n_threads = min(len(arguments), _n_cpus(), 8)
    if n_threads < 2:
        yield from map(function, arguments)
        return
    with ThreadPoolExecutor(n_threads) as threads:
        yield from threads.map(function, arguments)


def _n_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _small(raw: Any) -> bytes:
    return hashlib.blake2b(raw, digest_size=32).digest()


def _large(raw: Any) -> bytes:
    return hashlib.sha256(raw).digest()


def _row_chunks(array: Array) -> Iterator[slice]:
    # Where the chunks end follows from the shape, so that no layout shows.
    rows = max(1, _CHUNK * len(array) // array.nbytes)
    for start in range(0, len(array), rows):
        yield slice(start, start + rows)


def _digest_rows(array: Array) -> Callable[[slice], bytes]:
    def digest(rows: slice) -> bytes:
        return _large(_significant(_contiguous(array[rows])))

    return digest


def native(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype in the machine's byte order, in which pickle brings arrays."""
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def _contiguous(array: Array) -> Array:
    return np.ascontiguousarray(array, native(array.dtype)).reshape(-1)


def _significant(flat: Array) -> Array:
    """View as bytes: every NaN the same, and no padding of the extended precision."""
    if flat.dtype.kind in "fc":
        flat = _one_nan(flat)
    raw = flat.view(np.uint8)
    extended = flat.dtype.type in (np.longdouble, np.clongdouble)
    if extended and np.finfo(flat.dtype).nmant == 63:
        parts = raw.reshape(-1, np.dtype(np.longdouble).itemsize)
        return np.ascontiguousarray(parts[:, :10])
    return raw


def _one_nan(flat: Array) -> Array:
    missing = np.isnan(flat)
    if not missing.any():
        return flat
    flat = flat.copy()
    if flat.dtype.kind == "f":
        flat[missing] = np.nan
        return flat
    for part in (flat.real, flat.imag):
        part[np.isnan(part)] = np.nan
    return flat
