"""Which handler encodes the values of which class of data.

The classes are known by name: none of their packages is imported for a key.
"""

import fractions
import pathlib
import zoneinfo

import numpy as np

from .arrays import encode_array, encode_dtype
from .arrow import encode_arrow_array, encode_arrow_table
from .frames import (
    encode_column,
    encode_frame,
    encode_index,
    encode_interval,
    encode_missing,
    encode_moment,
    encode_pandas_dtype,
    encode_period,
    encode_series,
)
from .polars_frames import encode_polars_frame, encode_polars_series
from .sparse import encode_sparse
from .values import encode_fraction, encode_memoryview, encode_path, encode_zone
from .walk import Handler

#: By a class that a value's class derives from.
DATA_BASES: list[tuple[type, Handler]] = [
    (np.ndarray, encode_array),
    (np.generic, encode_array),
    (np.dtype, encode_dtype),
    (pathlib.PurePath, encode_path),
    (fractions.Fraction, encode_fraction),
    (memoryview, encode_memoryview),
    (zoneinfo.ZoneInfo, encode_zone),
]
#: By the package and name of a class that a value's class derives from.
DATA_BY_NAME: list[tuple[str, str, Handler]] = [
    ("scipy", "_spbase", encode_sparse),
    ("scipy", "spmatrix", encode_sparse),
    ("pandas", "DataFrame", encode_frame),
    ("pandas", "Series", encode_series),
    ("pandas", "Index", encode_index),
    ("pandas", "ExtensionArray", encode_column),
    ("pandas", "ExtensionDtype", encode_pandas_dtype),
    ("pandas", "Timestamp", encode_moment),
    ("pandas", "Timedelta", encode_moment),
    ("pandas", "Period", encode_period),
    ("pandas", "Interval", encode_interval),
    ("pandas", "NAType", encode_missing),
    ("pandas", "NaTType", encode_missing),
    ("pyarrow", "_Tabular", encode_arrow_table),
    ("pyarrow", "ChunkedArray", encode_arrow_array),
    ("pyarrow", "Array", encode_arrow_array),
    ("polars", "DataFrame", encode_polars_frame),
    ("polars", "LazyFrame", encode_polars_frame),
    ("polars", "Series", encode_polars_series),
]
