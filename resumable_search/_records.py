"""What the parts of the package hand to each other. Frozen, keyword-only.

A fold goes through these states::

    pending  --->  done      its scores are committed; never changed again
       |  ^
       v  |
     failed                  recorded with its error; the next fit tries again
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

#: A score: one number, or the dict of numbers that a callable ``scoring`` gave.
Score = float | int | dict[str, float | int]


class FoldState(StrEnum):
    """What a checkpoint knows about a fold."""

    DONE = "done"
    """The scores are there."""

    FAILED = "failed"
    """The fit or the scoring raised, or the worker died; the error is there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerSettings:
    """The parameters of a search that say how its folds are run."""

    devices: Any = "auto"
    gpu_memory: float = 0.9
    mps: str = "off"
    max_retries: int = 1
    save_epochs: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldTask:
    """One (candidate, split) on its way to a worker."""

    task_id: int
    context_path: str
    """File with everything that the folds of a search have in common."""
    split_path: str
    """File with the train and the test indices."""
    payload: bytes | str
    """Pickled candidate parameters and positions, or the file they are in."""
    directory: str
    """Where the fold may keep files until it is done. Made by who wants it."""
    save_epochs: int | None = None
    """Number of epochs after which a Keras fit saves its state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerWarning:
    """A warning that was raised in a worker."""

    message: Warning
    filename: str
    lineno: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldOutcome:
    """What came of a task. Exactly one of `result` and `error` is there."""

    task_id: int
    result: dict[str, Any] | None = None
    """What scikit-learn's fit-and-score function returned."""
    error: BaseException | None = None
    """What it raised (with ``error_score="raise"``), or why it could not run."""
    died: str | None = None
    """How the worker ended, where that is the error."""
    failure: str | None = None
    """Traceback of a fit or of a scorer that failed; the result holds error
    scores then."""
    attempts: int = 1
    out_of_memory: str | None = None
    """The GPU and the memory that the fold had for itself, where that was not
    enough."""
    warnings: tuple[WorkerWarning, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldRecord:
    """A fold as the checkpoint keeps it, for one scorer."""

    key: str
    scorer: str
    state: FoldState
    test_score: Score | None
    train_score: Score | None
    """None where train scores were not asked for."""
    n_test_samples: int
    fit_time: float
    """Seconds."""
    score_time: float
    """Seconds."""
    error: str | None = None
    attempts: int = 1
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchRecord:
    """A search as the checkpoint keeps it."""

    key: str
    family: str
    """Key of what all its folds share: estimator, data, fit parameters."""
    kind: str
    """Name of the search class."""
    run: str
    """The run (a process and its children) that last started it."""
    n_splits: int
    parts: dict[str, dict[str, tuple[str, str]]]
    """For people: part -> name -> (key, text), as in
    ``{"estimator": {"alpha": ("2f...", "0.1")}}``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resumption:
    """What a ``fit`` found in its checkpoint and what it had to run.

    Attributes
    ----------
    checkpoint : pathlib.Path
        The file that holds the folds.
    n_resumed : int
        Number of folds that were taken from the checkpoint.
    n_run : int
        Number of folds that were run, those that failed included.
    n_failed : int
        Number of folds that failed; the next ``fit`` tries them again.
    """

    checkpoint: Path
    n_resumed: int
    n_run: int
    n_failed: int
