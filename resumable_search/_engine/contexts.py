"""What the folds of one search begin with, in a worker.

The data is loaded once: scikit-learn hands each fold copies of its rows. All else
(the estimator, scorers, fit parameters, and what they capture) is loaded anew for each
fold, from a mapping of its own. So nothing that a fold does to an object is there in
the next one, which may belong to another candidate.
"""

import datetime as dt
import decimal
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse

from .shipping import load

__all__ = ["Context"]

#: Types whose values nobody can change.
_IMMUTABLE = frozenset({str, bytes, bool, int, float, complex, type(None)})

#: And subclasses of these, as numpy and pandas have them.
_IMMUTABLE_BASES = (
    *(np.number, np.bool_, np.datetime64, np.timedelta64, decimal.Decimal),
    *(dt.date, dt.time, dt.timedelta),
)


class Context:
    """What the folds of one search begin with.

    Parameters
    ----------
    path : str
        File with the content that `TaskMaker` has written.

    Attributes
    ----------
    code : ExpectedCode
        What the worker is to find in the modules that it imports.
    warning_filters : list
        The parent's.
    settings : dict
        Of libraries, as the parent has them.
    surroundings : dict
        What a worker takes over when it goes on with another search.
    """

    def __init__(self, path: str) -> None:
        content = load(path)
        self.path = path
        self.code = content["code"]
        self.warning_filters = content["warning_filters"]
        self.settings = content["settings"]
        self.surroundings = content["surroundings"]
        self._objects_path = content["objects"]
        self._data_path = content["data"]
        self._data: tuple[Any, Any] | None = None
        self._splits: dict[str, Any] = {}

    def fresh_objects(self) -> dict[str, Any]:
        """Return objects that no fold has seen."""
        objects: dict[str, Any] = load(self._objects_path)
        return objects

    def data(self) -> tuple[Any, Any]:
        """Return X and y, anew for each fold if a fold can change their elements."""
        if self._data is not None:
            return self._data
        data: tuple[Any, Any] = load(self._data_path)
        if all(_is_copied_by_rows(part) for part in data):
            self._data = data
        return data

    def split(self, path: str) -> Any:
        """Return train and test indices."""
        if path not in self._splits:
            self._splits[path] = load(path)
        return self._splits[path]


def _is_copied_by_rows(data: Any) -> bool:
    """Return whether a selection of rows shares nothing with it that can be changed."""
    if type(data) in (list, tuple):
        return _are_immutable(data)
    if type(data) in (np.ndarray, np.memmap):
        return data.dtype != object or _are_immutable(data.flat)
    pandas = sys.modules.get("pandas")
    if pandas is not None and type(data) in (pandas.DataFrame, pandas.Series):
        columns = data.items() if data.ndim == 2 else [("", data)]
        return not data.attrs and all(
            column.dtype != object or _are_immutable(column.to_numpy())
            for _, column in columns
        )
    if type(data).__module__.partition(".")[0] in ("polars", "pyarrow"):
        return True
    return data is None or scipy.sparse.issparse(data)


def _are_immutable(values: Iterable[Any]) -> bool:
    return all(
        issubclass(t, _IMMUTABLE_BASES) for t in {*map(type, values)} - _IMMUTABLE
    )
