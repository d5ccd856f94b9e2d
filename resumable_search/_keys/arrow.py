"""Keys of pyarrow's arrays and tables: by type and values, not by chunks."""

import json
from typing import Any

import numpy as np

from .arrays import N_OBJECTS, encode_array, encode_mixed, encode_objects
from .buffers import encode_buffer
from .encoding import encode_str, node
from .library_code import package_of
from .walk import Walk


def encode_arrow_array(walk: Walk, value: Any) -> bytes:
    """Key an array, in chunks or not, by its type and values."""
    import pyarrow as pa

    array = value
    if isinstance(value, pa.ChunkedArray):
        if pa.types.is_dictionary(value.type):
            value = value.unify_dictionaries()
        array = value.combine_chunks()
        if isinstance(array, pa.ChunkedArray):  # an empty one, before pyarrow 12
            array = pa.array([], type=value.type)
    return node(b"arrow", [encode_str(str(array.type)), *_values(walk, array)])


def _values(walk: Walk, array: Any) -> list[bytes]:
    import pyarrow as pa

    kinds, kind = pa.types, array.type
    missing = array.is_null().to_numpy(zero_copy_only=False)
    parts = [encode_array(walk, missing)]
    if kinds.is_dictionary(kind):
        parts.append(encode_arrow_array(walk, array.dictionary))
        return parts + _values(walk, array.indices)
    if kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind):
        zero = pa.scalar(0, pa.int64()).cast(kind)
        filled = array.fill_null(zero).to_numpy(zero_copy_only=False)
        return [*parts, encode_array(walk, filled)]
    if kinds.is_temporal(kind) and kind.bit_width in (32, 64):
        whole = pa.int32() if kind.bit_width == 32 else pa.int64()
        return parts + _values(walk, array.view(whole))
    if any(is_kind(kind) for is_kind in _texts(kinds)):
        return parts + _bytes(array)
    return [*parts, encode_objects(walk, _objects(array.to_pylist()))]


def _texts(kinds: Any) -> tuple[Any, ...]:
    return (
        kinds.is_string,
        kinds.is_large_string,
        kinds.is_binary,
        kinds.is_large_binary,
    )


def _bytes(array: Any) -> list[bytes]:
    import pyarrow as pa

    binary = array.cast(pa.large_binary()).fill_null(b"")
    _, offsets, content = binary.buffers()
    if len(binary) == 0:
        return []
    ends = np.frombuffer(offsets, np.int64)[binary.offset :][: len(binary) + 1]
    raw = np.frombuffer(content or b"", np.uint8)[ends[0] : ends[-1]]
    return [encode_buffer(np.diff(ends)), encode_buffer(raw)]


def encode_arrow_texts(walk: Walk, value: Any, missing: Any) -> bytes:
    """Key texts as `encode_objects` does, without an object for each.

    Parameters
    ----------
    walk : Walk
        The walk that has come to them.
    value : pyarrow.Array or pyarrow.ChunkedArray
        The texts.
    missing : object
        What stands for a text that is missing.
    """
    pieces = []
    for first in range(0, len(value), N_OBJECTS):
        piece = value.slice(first, N_OBJECTS)
        there = piece.drop_null()
        where = np.flatnonzero(np.asarray(piece.is_null()))
        others = ((first + int(at), missing) for at in where)
        texts = _lengths_and_bytes(there) if len(there) else None
        pieces.append(encode_mixed(walk, texts, where, others))
    return node(b"objects", pieces)


def _lengths_and_bytes(texts: Any) -> tuple[bytes, bytes]:
    import pyarrow as pa
    import pyarrow.compute

    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    lengths = pa.compute.utf8_length(texts).to_numpy(zero_copy_only=False)
    return encode_buffer(lengths.astype(np.int64)), _bytes(texts)[1]


def _objects(values: list[Any]) -> np.ndarray[Any, Any]:
    return np.fromiter(values, dtype=object, count=len(values))


def encode_arrow_table(walk: Walk, value: Any) -> bytes:
    """Key a table or a record batch by its schema and columns."""
    cls = type(value)
    parts = [encode_str(cls.__name__)]
    if package_of(cls) != "pyarrow":
        parts.append(walk.encode(cls))
    parts.append(walk.encode(_metadata(value.schema.metadata)))
    for field, column in zip(value.schema, value.columns, strict=True):
        parts += encode_str(field.name), walk.encode(field.nullable)
        parts.append(walk.encode(_metadata(field.metadata)))
        parts.append(encode_arrow_array(walk, column))
    return node(b"table", parts)


def _metadata(metadata: dict[bytes, bytes] | None) -> dict[bytes, Any] | None:
    """Leave out which versions of pandas and pyarrow have written it."""
    if not metadata or b"pandas" not in metadata:
        return metadata or None
    ours = json.loads(metadata[b"pandas"])
    ours = {k: v for k, v in ours.items() if k not in ("creator", "pandas_version")}
    return {**metadata, b"pandas": ours}
