"""The parameters that a resumable search has beside those of scikit-learn.

A new one is added to `SearchOptions`, to `OPTION_CONSTRAINTS`, and to the signature and
the docstring of each search; a test compares them. One that says how folds are run is a
field of `WorkerSettings` too, and goes to the executor by its name.
"""

import dataclasses
import numbers
import os
from collections.abc import Sequence
from typing import Any

from sklearn.utils._param_validation import Interval, StrOptions

from .._executors.opening import EXECUTORS
from .._records import WorkerSettings
from .versions import CHOICES

__all__ = ["OPTION_CONSTRAINTS", "SearchOptions", "worker_settings"]


class SearchOptions:
    """The parameters with their types and defaults.

    A subclass that has not all of them in its ``__init__`` has the defaults.
    """

    checkpoint: str | os.PathLike[str] | None = None
    resume: bool = True
    data_key: str | None = None
    depends_on: Sequence[str | os.PathLike[str]] | None = None
    versions: str = "minor"
    executor: str = "local"
    max_retries: int = 1
    devices: Any = "auto"
    gpu_memory: float = 0.9
    mps: str = "off"
    save_epochs: int | None = None
    fold_timeout: float | None = None
    time_budget: float | None = None
    grace_period: float = 0
    tensorboard: str | os.PathLike[str] | None = None


#: In the form of scikit-learn's ``_parameter_constraints``.
OPTION_CONSTRAINTS: dict[str, list[Any]] = {
    "checkpoint": [str, os.PathLike, None],
    "resume": ["boolean"],
    "data_key": [str, None],
    "depends_on": [list, tuple, None],
    "versions": [StrOptions(set(CHOICES))],
    "executor": [StrOptions(set(EXECUTORS))],
    "max_retries": [Interval(numbers.Integral, 0, None, closed="left")],
    "devices": [StrOptions({"auto"}), list, tuple, None],
    "gpu_memory": [Interval(numbers.Real, 0, 1, closed="right")],
    "mps": [StrOptions({"off", "auto", "on"})],
    "save_epochs": [Interval(numbers.Integral, 1, None, closed="left"), None],
    "fold_timeout": [Interval(numbers.Real, 0, None, closed="neither"), None],
    "time_budget": [Interval(numbers.Real, 0, None, closed="neither"), None],
    "grace_period": [Interval(numbers.Real, 0, None, closed="left")],
    "tensorboard": [str, os.PathLike, None],
}


def worker_settings(search: SearchOptions) -> WorkerSettings:
    """Return what the executor is told of a search."""
    names = [field.name for field in dataclasses.fields(WorkerSettings)]
    return WorkerSettings(**{name: getattr(search, name) for name in names})
