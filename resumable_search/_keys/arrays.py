"""Keys of NumPy's arrays and scalars: by dtype, shape and content, not by layout."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from .buffers import encode_buffer, native
from .encoding import encode_str, node
from .walk import Walk

#: Values of an array of objects that are encoded at a time.
N_OBJECTS = 1 << 16
#: What NumPy itself keeps among the attributes of a masked array.
_MASKED_ATTRIBUTES = {
    "_mask",
    "_fill_value",
    "_hardmask",
    "_sharedmask",
    "_isfield",
    "_baseclass",
    "_basedict",
}


def encode_dtype(walk: Walk, value: np.dtype[Any]) -> bytes:
    """Key a dtype by what its values mean."""
    parts = [encode_str(value.str)]
    scalar = value.type
    if not scalar.__module__.startswith("numpy") or issubclass(scalar, np.record):
        parts.append(walk.encode(scalar))  # bfloat16 and the like; numpy.record
    if value.kind == "T":
        parts.append(walk.encode(getattr(value, "na_object", None)))
    if value.subdtype is not None:
        parts += encode_dtype(walk, value.subdtype[0]), walk.encode(value.shape)
    for name in value.names or ():
        fields: Any = value.fields
        title = fields[name][2:]
        parts += encode_str(name), encode_dtype(walk, value[name]), walk.encode(title)
    return node(b"dtype", parts)


def encode_array(walk: Walk, value: Any) -> bytes:
    """Key an array or a NumPy scalar by dtype, shape and content."""
    if value is np.ma.masked:  # its attributes cannot be read
        return node(b"masked")
    array = np.asarray(value)
    parts = [_kind(walk, value)]
    if isinstance(value, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(value)
        parts += walk.encode(mask), walk.encode(value.fill_value)
        parts.append(walk.encode(bool(value.hardmask)))
        array = np.ma.getdata(value).view(np.ndarray)
    parts += [encode_dtype(walk, native(array.dtype)), walk.encode(array.shape)]
    parts += _array_content(walk, array)
    return node(b"array", parts)


def _kind(walk: Walk, value: Any) -> bytes:
    """Encode what an array or scalar is beside its content."""
    cls = type(value)
    if cls in (np.ndarray, np.memmap):
        return b""
    if isinstance(value, np.generic) and cls.__module__.startswith("numpy"):
        return b"scalar;"  # its dtype says the rest
    attributes = dict(getattr(value, "__dict__", None) or {})
    if isinstance(value, np.ma.MaskedArray):
        for name in _MASKED_ATTRIBUTES:
            attributes.pop(name, None)
    return walk.encode(cls) + node(b"attributes", walk.attributes(attributes))


def _array_content(walk: Walk, array: np.ndarray[Any, Any]) -> Iterator[bytes]:
    if array.dtype.names is not None:  # by field: what lies between is undefined
        for name in array.dtype.names:
            field = array[name]
            yield encode_str(name)
            yield from _array_content(walk, field)
    elif array.dtype.hasobject or array.dtype.kind == "T":
        yield encode_objects(walk, array)
    else:
        yield encode_buffer(array)


def encode_objects(walk: Walk, array: np.ndarray[Any, Any]) -> bytes:
    """Key the items of an array of objects; texts fast, which most of them are."""
    flat = array.reshape(-1)
    pieces = (flat[at : at + N_OBJECTS] for at in range(0, len(flat), N_OBJECTS))
    return node(
        b"objects",
        [
            _some_objects(walk, piece.tolist(), number * N_OBJECTS)
            for number, piece in enumerate(pieces)
        ],
    )


def _some_objects(walk: Walk, values: list[Any], first: int) -> bytes:
    kinds = set(map(type, values))
    if kinds == {str}:
        return node(b"texts", encode_texts(values))
    if str not in kinds:
        return encode_mixed(walk, None, (), enumerate(values, first))
    where = [at for at, item in enumerate(values) if type(item) is not str]
    others = ((first + at, values[at]) for at in where)
    texts = [item for item in values if type(item) is str]
    return encode_mixed(walk, encode_texts(texts), where, others)


def encode_mixed(
    walk: Walk,
    texts: tuple[bytes, bytes] | None,
    where: Sequence[int] | np.ndarray[Any, Any],
    others: Iterable[tuple[int, object]],
) -> bytes:
    """Encode texts, and what else stands between them.

    Parameters
    ----------
    walk : Walk
        The walk that has come to them.
    texts : tuple of bytes or None
        From `encode_texts`; None: there is none.
    where : sequence of int
        Where the others stand among them.
    others : iterable of (int, object)
        Where each stands in the whole array, and the object.
    """
    rest = [walk.child(f"[{position}]", item) for position, item in others]
    if texts is None:
        return node(b"others", rest)
    if not rest:
        return node(b"texts", texts)
    return node(b"mixed", (*texts, encode_buffer(np.array(where, np.int64)), *rest))


def encode_texts(values: list[str]) -> tuple[bytes, bytes]:
    """Encode where each text ends and what they are, one after the other."""
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    raw = "".join(values).encode("utf-8", "surrogatepass")
    return encode_buffer(lengths), encode_buffer(np.frombuffer(raw, np.uint8))
