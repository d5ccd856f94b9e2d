"""Keys of data: arrays, sparse matrices and frames, by content, not layout."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from .encoding import encode_bytes, encode_str, node
from .python import sequence
from .summaries import summarize
from .walk import Walk

_LARGE = 1 << 16  # bytes; from here on sha256 is twice as fast as blake2b
_CHUNK = 1 << 24  # bytes copied at a time of an array that is not contiguous


def encode_dtype(walk: Walk, value: np.dtype[Any]) -> bytes:
    """Key a dtype by what its values mean."""
    parts = [encode_str(value.str), encode_str(str(value.type.__name__))]
    if value.kind == "T":
        parts.append(walk.encode(getattr(value, "na_object", None)))
    if value.subdtype is not None:
        parts += encode_dtype(walk, value.subdtype[0]), walk.encode(value.shape)
    for name in value.names or ():
        parts += encode_str(name), encode_dtype(walk, value[name])
    return node(b"dtype", parts)


def encode_array(walk: Walk, value: Any) -> bytes:
    """Key an array or a NumPy scalar by dtype, shape and content."""
    array = np.asarray(value)
    parts = [encode_str(type(value).__name__) if isinstance(value, np.generic) else b""]
    if isinstance(value, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(value)
        parts += [walk.encode(item) for item in (type(value), mask, value.fill_value)]
        array = np.ma.getdata(value)
    elif type(value) not in (np.ndarray, np.memmap) and not parts[0]:
        parts += [walk.encode(type(value)), walk.encode(value.__dict__)]
    parts += [encode_dtype(walk, array.dtype), walk.encode(array.shape)]
    parts += _array_content(walk, array)
    return node(b"array", parts)


def _array_content(walk: Walk, array: np.ndarray[Any, Any]) -> Iterator[bytes]:
    if array.dtype.names is not None:  # by field: what lies between is undefined
        for name in array.dtype.names:
            field = array[name]
            yield encode_str(name) + encode_dtype(walk, field.dtype)
            yield from _array_content(walk, field)
    elif array.dtype.hasobject or array.dtype.kind == "T":
        yield _objects(walk, array.ravel().tolist())
    else:
        yield _buffer(array)


def _objects(walk: Walk, values: list[Any]) -> bytes:
    if set(map(type, values)) <= {str}:
        lengths = np.fromiter(map(len, values), np.int64, len(values))
        return node(b"texts", (_buffer(lengths), encode_str("".join(values))))
    return sequence(b"objects")(walk, values)


def _buffer(array: np.ndarray[Any, Any]) -> bytes:
    hasher: Any = (
        hashlib.sha256() if array.nbytes > _LARGE else hashlib.blake2b(digest_size=32)
    )
    for piece in _contiguous_pieces(array):
        hasher.update(_significant(piece.reshape(-1)))
    return encode_bytes(hasher.digest())


def _contiguous_pieces(
    array: np.ndarray[Any, Any],
) -> Iterator[np.ndarray[Any, Any]]:
    if array.flags.c_contiguous:
        yield array
    elif array.nbytes <= _CHUNK or array.ndim == 0:
        yield np.ascontiguousarray(array)
    else:
        rows = max(1, len(array) * _CHUNK // array.nbytes)
        for start in range(0, len(array), rows):
            yield np.ascontiguousarray(array[start : start + rows])


def _significant(flat: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """View as bytes, without the padding of the x86's extended precision."""
    raw = flat.view(np.uint8)
    extended = flat.dtype.type in (np.longdouble, np.clongdouble)
    if extended and np.finfo(flat.dtype).nmant == 63:
        parts = raw.reshape(-1, np.dtype(np.longdouble).itemsize)
        return np.ascontiguousarray(parts[:, :10])
    return raw


# SciPy


def encode_sparse(walk: Walk, value: Any) -> bytes:
    """Key a sparse matrix or array by class, shape and content."""
    parts = [walk.encode(type(value)), walk.encode(value.shape)]
    if value.ndim == 2:
        matrix = value.tocsr()
        if not matrix.has_canonical_format:
            matrix = matrix.copy() if matrix is value else matrix
            matrix.sum_duplicates()
        content = [matrix.data, *(_wide(i) for i in (matrix.indices, matrix.indptr))]
    else:
        matrix = value.tocoo(copy=True)
        matrix.sum_duplicates()
        content = [matrix.data, *map(_wide, matrix.coords)]
    return node(b"sparse", [*parts, *(encode_array(walk, part) for part in content)])


def _wide(indices: Any) -> np.ndarray[Any, Any]:
    return np.asarray(indices, dtype=np.int64)


# pandas


def encode_frame(walk: Walk, value: Any) -> bytes:
    """Key a DataFrame by its columns, index and content."""
    parts = [walk.encode(type(value)), walk.encode(value.columns)]
    parts.append(walk.encode(value.index))
    for position in range(value.shape[1]):
        label = f"[{summarize(value.columns[position])}]"
        parts.append(walk.child(label, value.iloc[:, position].array))
    return node(b"frame", [*parts, walk.encode(dict(value.attrs))])


def encode_series(walk: Walk, value: Any) -> bytes:
    """Key a Series by its name, index and content."""
    parts = (type(value), value.name, value.index, value.array, dict(value.attrs))
    return node(b"series", [walk.encode(part) for part in parts])


def encode_index(walk: Walk, value: Any) -> bytes:
    """Key an Index by its names and content."""
    parts: list[object] = [type(value), list(value.names)]
    if hasattr(value, "step"):
        parts += value.start, value.stop, value.step
    elif value.nlevels > 1:
        parts += [value.get_level_values(i).array for i in range(value.nlevels)]
    else:
        parts += value.array, getattr(value, "freqstr", None)
    return node(b"index", [walk.encode(part) for part in parts])


def encode_extension_array(walk: Walk, value: Any) -> bytes:
    """Key a column that pandas does not keep in a plain array."""
    dtype = str(value.dtype)
    if hasattr(value, "codes"):
        content: tuple[object, ...] = (value.categories, value.codes, value.ordered)
    elif isinstance(value.dtype, np.dtype) or hasattr(value.dtype, "numpy_dtype"):
        missing = value.isna()
        plain = not missing.any() or isinstance(value.dtype, np.dtype)
        content = (missing, value.to_numpy() if plain else value.to_numpy(dtype=object))
    elif dtype.startswith("datetime64"):  # with a time zone
        content = (value.asi8,)
    else:
        content = (value.to_numpy(dtype=object),)
    return node(b"column", (encode_str(dtype), *map(walk.encode, content)))
