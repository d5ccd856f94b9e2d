"""Keys of pandas's frames, series, indexes, columns and single values.

What pandas infers for text is ``object`` before version 3 and ``str`` from it on. Both
are the text column of their version, so that a frame that was read from the same file
has one key. In one version, ``object`` and ``str`` are not the same: estimators may
choose columns by dtype.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from .arrays import encode_array, encode_objects
from .arrow import encode_arrow_array, encode_arrow_texts
from .encoding import encode_str, named, node
from .instances import encode_instance
from .library_code import package_of
from .summaries import summarize
from .walk import Walk


def encode_frame(walk: Walk, value: Any) -> bytes:
    """Key a DataFrame by its columns, index, content and the attributes it keeps."""
    parts = [_kind(walk, value), encode_index(walk, value.columns)]
    parts.append(encode_index(walk, value.index))
    for position, name in enumerate(value.columns):
        column = value.iloc[:, position].array
        parts.append(walk.child(f"[{summarize(name)}]", column))
    return node(b"frame", [*parts, *_kept(walk, value)])


def encode_series(walk: Walk, value: Any) -> bytes:
    """Key a Series by its name, index, content and the attributes it keeps."""
    parts = [_kind(walk, value), walk.encode(value.name)]
    parts += encode_index(walk, value.index), walk.encode(value.array)
    return node(b"series", [*parts, *_kept(walk, value)])


def encode_index(walk: Walk, value: Any) -> bytes:
    """Key an Index by its names, labels and frequency."""
    parts = [_kind(walk, value), walk.encode(list(value.names))]
    if value.nlevels > 1:
        levels = (value.get_level_values(i).array for i in range(value.nlevels))
        parts += [encode_column(walk, level) for level in levels]
    else:  # a RangeIndex is the numbers in it
        parts.append(encode_column(walk, value.array))
        parts.append(walk.encode(getattr(value, "freq", None)))
    return node(b"index", parts)


def _kind(walk: Walk, value: Any) -> bytes:
    """Encode the class of what is not pandas's own; dtypes tell the others apart."""
    cls = type(value)
    return b"" if package_of(cls) == "pandas" else walk.encode(cls)


def _kept(walk: Walk, value: Any) -> list[bytes]:
    """Encode what a copy and a pickle keep beside the data."""
    own = [cls for cls in type(value).__mro__ if package_of(cls) != "pandas"]
    names = {name for cls in own for name in vars(cls).get("_metadata", ())}
    attributes = {name: getattr(value, name, None) for name in names}
    unique = not value.flags.allows_duplicate_labels
    return [
        node(b"attributes", walk.attributes(attributes)),
        walk.child(".attrs", dict(value.attrs)),
        walk.encode(unique),
    ]


# Columns


def encode_column(walk: Walk, value: Any) -> bytes:
    """Key the values of a column by their dtype and content."""
    dtype = value.dtype
    if isinstance(dtype, np.dtype):  # dates and durations
        return node(b"column", [encode_array(walk, value.to_numpy())])
    if package_of(type(dtype)) == "pandas":
        encode = _COLUMNS.get(type(dtype).__name__)
        if encode is not None:
            return node(b"column", encode(walk, value))
        if hasattr(dtype, "numpy_dtype"):
            return node(b"column", _nullable(walk, value))
    return encode_instance(walk, value)


def _plain(walk: Walk, value: Any) -> list[bytes]:
    array = value.to_numpy()
    if array.dtype != object:
        return [encode_array(walk, array)]
    text = not _has_str_dtype() and _holds_text(array)
    return [b"text" if text else b"object", encode_objects(walk, array)]


def _text(walk: Walk, value: Any) -> list[bytes]:
    missing = getattr(value.dtype, "na_value", None)
    default = _has_str_dtype() and missing != missing  # it is NaN
    tag = b"text" if default is True else encode_str(str(value.dtype))
    if getattr(value.dtype, "storage", "") == "pyarrow":
        return [tag, encode_arrow_texts(walk, value.__arrow_array__(), missing)]
    return [tag, encode_objects(walk, value.to_numpy(dtype=object))]


@functools.cache
def _has_str_dtype() -> bool:
    import pandas as pd

    return int(pd.__version__.partition(".")[0]) >= 3


def _holds_text(array: np.ndarray[Any, Any]) -> bool:
    from pandas.api.types import infer_dtype

    return bool(infer_dtype(array, skipna=True) == "string")


def _nullable(walk: Walk, value: Any) -> list[bytes]:
    dtype = value.dtype.numpy_dtype
    filled = value.to_numpy(dtype=dtype, na_value=np.zeros(1, dtype)[0])
    missing = np.asarray(value.isna())
    return [b"nullable", encode_array(walk, missing), encode_array(walk, filled)]


def _categorical(walk: Walk, value: Any) -> list[bytes]:
    codes = encode_array(walk, value.codes.astype(np.int64))
    return [b"categorical", encode_pandas_dtype(walk, value.dtype), codes]


def _zoned(walk: Walk, value: Any) -> list[bytes]:
    dtype = encode_pandas_dtype(walk, value.dtype)
    return [b"zoned", dtype, encode_array(walk, value.asi8)]


def _interval(walk: Walk, value: Any) -> list[bytes]:
    sides = (encode_index(walk, side) for side in (value.left, value.right))
    return [b"interval", encode_str(str(value.closed)), *sides]


def _sparse(walk: Walk, value: Any) -> list[bytes]:
    dtype = encode_str(str(value.dtype))
    return [b"sparse", dtype, encode_array(walk, np.asarray(value))]


def _arrow(walk: Walk, value: Any) -> list[bytes]:
    return [b"arrow", encode_arrow_array(walk, value.__arrow_array__())]


_COLUMNS: dict[str, Callable[[Walk, Any], list[bytes]]] = {
    "NumpyEADtype": _plain,
    "PandasDtype": _plain,  # its name before pandas 2.1
    "StringDtype": _text,
    "CategoricalDtype": _categorical,
    "DatetimeTZDtype": _zoned,
    "PeriodDtype": _zoned,
    "IntervalDtype": _interval,
    "SparseDtype": _sparse,
    "ArrowDtype": _arrow,
}


def encode_pandas_dtype(walk: Walk, value: Any) -> bytes:
    """Key a dtype of pandas by what its values mean."""
    name = type(value).__name__
    if package_of(type(value)) != "pandas":
        return encode_instance(walk, value)
    parts: list[bytes] = []
    if name == "CategoricalDtype":
        if value.categories is not None:
            parts.append(encode_index(walk, value.categories))
        parts.append(walk.encode(value.ordered))
    elif name == "PeriodDtype":
        parts.append(walk.encode(value.freq))
    elif name == "DatetimeTZDtype":
        parts += encode_str(value.unit), _zone(walk, value.tz)
    elif name == "StringDtype":
        parts.append(walk.encode(value.na_value))
    else:
        parts.append(encode_str(str(value)))
    return node(b"dtype", (encode_str(name), *parts))


def _zone(walk: Walk, zone: Any) -> bytes:
    if zone is None or package_of(type(zone)) in ("datetime", "pytz", "zoneinfo"):
        return encode_str(str(zone))  # pandas 2 and 3 have it from other packages
    return walk.encode(zone)


# Single values


def encode_moment(walk: Walk, value: Any) -> bytes:
    """Key a Timestamp or a Timedelta by its unit and value, and the zone."""
    parts = [encode_str(value.asm8.dtype.str), walk.encode(int(value.asm8.view("i8")))]
    if hasattr(value, "tz"):
        parts += _zone(walk, value.tz), walk.encode(value.fold)
    return node(b"moment", parts)


def encode_interval(walk: Walk, value: Any) -> bytes:
    """Key an Interval by its ends."""
    parts = (value.left, value.right, value.closed)
    return node(b"interval", [walk.encode(part) for part in parts])


def encode_period(walk: Walk, value: Any) -> bytes:
    """Key a Period by its place and frequency."""
    return node(b"period", (walk.encode(value.ordinal), walk.encode(value.freq)))


def encode_missing(_walk: Walk, value: Any) -> bytes:
    """Key pandas's NA and NaT."""
    return named(b"pandas", None, type(value).__name__)
