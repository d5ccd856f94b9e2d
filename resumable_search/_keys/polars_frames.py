"""Keys of polars's frames and series: by dtype and values, not by chunks or flags."""

from typing import Any

import numpy as np

from .arrays import encode_array, encode_objects
from .encoding import encode_str, node
from .library_code import package_of
from .summaries import summarize
from .walk import Walk

_NUMBERS = {
    *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64"),
    *("Float32", "Float64", "Boolean"),
}
_TIMES = {"Date", "Datetime", "Duration", "Time"}


def encode_polars_frame(walk: Walk, value: Any) -> bytes:
    """Key a DataFrame by its columns; a LazyFrame by the frame that it yields."""
    parts = [_kind(walk, value), encode_str("lazy" if _is_lazy(value) else "")]
    frame = value.collect() if _is_lazy(value) else value
    parts.append(walk.encode(tuple(frame.shape)))
    parts += [
        walk.child(f"[{summarize(column.name)}]", column)
        for column in frame.get_columns()
    ]
    return node(b"polars frame", parts)


def encode_polars_series(walk: Walk, value: Any) -> bytes:
    """Key a Series by its name, dtype and values."""
    parts = [_kind(walk, value), encode_str(value.name), encode_str(str(value.dtype))]
    kind = type(value.dtype).__name__
    if kind == "Enum":
        parts.append(walk.encode(value.dtype.categories.to_list()))
    if kind in _TIMES:
        value = value.to_physical()
        kind = type(value.dtype).__name__
    if kind in _NUMBERS:
        missing = value.is_null()
        if missing.any():
            value = value.fill_null(False if kind == "Boolean" else 0)
        parts += [encode_array(walk, part.to_numpy()) for part in (missing, value)]
    else:
        items = value.to_list()
        objects = np.fromiter(items, dtype=object, count=len(items))
        parts.append(encode_objects(walk, objects))
    return node(b"polars series", parts)


def _is_lazy(value: Any) -> bool:
    return hasattr(value, "collect")


def _kind(walk: Walk, value: Any) -> bytes:
    cls = type(value)
    return b"" if package_of(cls) == "polars" else walk.encode(cls)
