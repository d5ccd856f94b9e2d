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

#: Number of the rules by which folds are keyed. Raise it when a fold with an
#: unchanged key may have another score than by the rules before. Rules 1 are those of
#: format 2 and before.
KEY_RULES = 2

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

    executor: str = "local"
    devices: Any = "auto"
    gpu_memory: float = 0.9
    mps: str = "off"
    max_retries: int = 1
    save_epochs: int | None = None
    fold_timeout: float | None = None
    """Seconds."""
    time_budget: float | None = None
    """Seconds."""
    grace_period: float = 0.0
    """Seconds."""


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
    candidate: int = 0
    """Number of the candidate among those of its call of evaluate_candidates."""
    curves: str | None = None
    """Directory for TensorBoard's files with the curves of its fits."""
    seed: int = 0
    """Of the global random generators, from 0 to 2**32 - 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningTask:
    """What a worker does at this moment, as its parent knows it."""

    number: int
    """Of the worker's place, from 0."""
    pid: int
    device: str | None
    """UUID of the GPU it sees."""
    task_id: int | None
    """None: nothing."""
    started: float | None
    """Seconds since 1970, UTC; None: its process has not begun."""
    attempt: int
    epoch: int | None
    """Finished epochs of the Keras fit that runs, if one does."""
    n_epochs: int | None
    epoch_seconds: float | None
    """What an epoch of it takes, once two were seen."""
    curves: str | None = None
    """Directory for TensorBoard's files with the curves of its fits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EpochEvent:
    """An epoch that a fit inside a fold has finished."""

    fit: int
    """Number of the fit in its fold, from 0."""
    epoch: int
    """Finished epochs, those of an earlier try of the fold included."""
    n_epochs: int
    """How many there are to be; early stopping may end the fit before."""
    logs: dict[str, float]
    """What Keras measured; ``val_`` stands before what belongs to validation data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerWarning:
    """A warning that was raised in a worker."""

    message: Warning
    filename: str
    lineno: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldOutcome:
    """What came of a task: one of `result`, `error` and `cancelled` is there."""

    task_id: int
    result: dict[str, Any] | None = None
    """What scikit-learn's fit-and-score function returned."""
    error: BaseException | None = None
    """What it raised (with ``error_score="raise"``), or why it could not run."""
    died: str | None = None
    """Why the fold did not come to an end of its own, where that is the error."""
    cancelled: bool = False
    """It was not begun, and is not going to be."""
    failure: str | None = None
    """Traceback of a fit or of a scorer that failed; the result holds error
    scores then."""
    attempts: int = 1
    out_of_memory: str | None = None
    """The GPU and the memory that the fold had for itself, where that was not
    enough."""
    warnings: tuple[WorkerWarning, ...] = ()
    warned: bool = False
    """Whether the filters decided about a warning: shown, ignored or an error."""
    versions: dict[str, str] = field(default_factory=dict)
    started: float | None = None
    """Seconds since 1970, UTC."""
    worker: int | None = None
    """Number of the place in which it ran, from 0."""
    device: str | None = None
    """UUID of the GPU that its worker saw."""


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
    started: float | None = None
    """Seconds since 1970, UTC."""
    finished: float | None = None
    """Likewise. Set when it is stored."""
    worker: int | None = None
    """Number of the place in which it ran, from 0."""
    device: str | None = None
    """UUID of the GPU that its worker saw."""
    warned: bool = False
    """Whether there was a warning that another filter could have made an error."""
    error_filters: str = ""
    """The filters under which it ran that made warnings errors."""

    def holds_under(self, error_filters: str) -> bool:
        """Return whether it would come out the same under these filters."""
        return not self.warned or self.error_filters == error_filters


@dataclass(frozen=True, kw_only=True, slots=True)
class CandidateRecord:
    """A candidate of a search as the checkpoint keeps it."""

    position: int
    """In ``cv_results_``."""
    round: int
    """The call of ``evaluate_candidates`` it belongs to; each has its own splits."""
    key: str
    parameters: dict[str, tuple[Any, ...]]
    """Name -> (text,) or (text, value): plain values come back as they are."""

    def values(self) -> dict[str, Any]:
        """Return name -> value, or text where the value is not a plain one."""
        return {name: pair[-1] for name, pair in self.parameters.items()}


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
    n_candidates: int
    """How many there are so far; successive halving adds to them."""
    scorers: dict[str, str]
    """Name -> key, in the order of ``cv_results_``."""
    metric: str
    """Name of the scorer by which candidates are compared."""
    parts: dict[str, dict[str, tuple[str, str]]]
    """For people: part -> name -> (key, text), as in
    ``{"estimator": {"alpha": ("2f...", "0.1")}}``."""
    key_rules: int = KEY_RULES
    """The rules by which its folds are keyed."""
    details: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """As `parts`, but finer and only written; `CheckpointReader.details` reads it."""
    number: int = 0
    """Number in its checkpoint."""
    created: float = 0.0
    """Seconds since 1970, UTC."""
    started: float = 0.0
    """When it was started last; likewise."""

    @property
    def is_outdated(self) -> bool:
        """Whether its scores cannot be trusted any more."""
        return self.key_rules < KEY_RULES

    @property
    def estimator(self) -> str:
        """Class of the estimator."""
        return str(self.parts.get("estimator", {}).get("", ("", "?"))[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveWorker:
    """A worker and what it does at this moment."""

    number: int
    """Of its place, from 0."""
    pid: int | None = None
    """None: there is no process in the place."""
    device: str | None = None
    """UUID of the GPU it sees."""
    candidate: int | None = None
    """Position in ``cv_results_``; None: it has nothing to do."""
    parameters: dict[str, str] = field(default_factory=dict)
    """The candidate's, as text."""
    split: int | None = None
    attempt: int = 1
    started: float | None = None
    """When the fold began: seconds since 1970, UTC."""
    epoch: int | None = None
    """Finished epochs of the Keras fit that runs, if one does."""
    n_epochs: int | None = None
    epoch_seconds: float | None = None
    """What an epoch of it takes, once two were seen."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveStatus:
    """A search that runs, as those who look on see it."""

    pid: int
    host: str
    started: float
    """When ``fit`` began: seconds since 1970, UTC."""
    updated: float
    """When this was written, likewise."""
    n_total: int
    n_done: int
    n_resumed: int
    n_failed: int
    metric: str
    best_score: float | None = None
    """Mean over the splits of the best candidate that has all its folds."""
    best_parameters: dict[str, str] | None = None
    seconds_left: float | None = None
    workers: tuple[LiveWorker, ...] = ()


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
    n_left_out : int
        Number of folds that were not run because the time budget was used up.
    search : int or None
        Number of the search in the file, for `read_results` and the command line.
        None if the search had not begun.
    """

    checkpoint: Path
    n_resumed: int
    n_run: int
    n_failed: int
    n_left_out: int = 0
    search: int | None = None

    def __repr__(self) -> str:
        n_folds = self.n_resumed + self.n_run + self.n_left_out
        parts = [f"{self.n_resumed} of {n_folds} folds resumed, {self.n_run} run"]
        if self.n_failed:
            parts.append(f"{self.n_failed} failed")
        if self.n_left_out:
            parts.append(f"{self.n_left_out} left out")
        where = "no search" if self.search is None else f"search {self.search}"
        return f"<Resumption: {', '.join(parts)} ({where} in {self.checkpoint})>"


Resumption.__module__ = __package__  # as users read it
