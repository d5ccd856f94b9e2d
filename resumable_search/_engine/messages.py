"""What the process of a search and a worker tell each other.

::

    to the worker            from the worker
    ---------------------    ----------------------------------------------
    RunFold                  Answered, with a `FoldAnswer`; EpochEnded before
    Recall                   Recalled
    Warm                     IsWarm
                             Began, when it has started; Leaves, at its end
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from .._frameworks.hooks import is_out_of_memory
from .._gpu.mps import is_shared_fault
from .._records import EpochEvent, FoldTask, WorkerWarning

__all__ = [
    "Answered",
    "Began",
    "DeviceTrouble",
    "EpochEnded",
    "Exited",
    "FoldAnswer",
    "FromWorker",
    "IsWarm",
    "Leaves",
    "OtherCode",
    "Raised",
    "Recall",
    "Recalled",
    "RunFold",
    "Scored",
    "SentError",
    "ToWorker",
    "Warm",
    "WorkerStatus",
]

# ----------------------------------------------------------------------
# What came of a fold


class DeviceTrouble(NamedTuple):
    """What the failure of a fold says about the GPU."""

    out_of_memory: bool = False
    """Its memory was used up."""
    fault: bool = False
    """It may have hit other workers too, and its context is of no further use."""

    @classmethod
    def in_text(cls, text: str | None) -> "DeviceTrouble":
        """Return what an exception with its traceback says."""
        return cls(is_out_of_memory(text or ""), is_shared_fault(text or ""))


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """A fold that has a result."""

    result: dict[str, Any]
    """As scikit-learn's ``_fit_and_score`` returns it."""
    failure: str | None
    """How the fit or a scorer failed."""
    warnings: tuple[WorkerWarning, ...]
    warned: bool
    """Whether the filters decided about a warning."""
    versions: dict[str, str]
    trouble: DeviceTrouble


@dataclass(frozen=True, kw_only=True, slots=True)
class Raised:
    """A fold that raised an exception."""

    error: "BaseException | SentError"
    """Itself, in the process where it was raised."""
    text: str
    """With its traceback."""
    warnings: tuple[WorkerWarning, ...]
    trouble: DeviceTrouble


class SentError(NamedTuple):
    """An exception on its way to another process."""

    pickled: bytes
    """Empty if it cannot be pickled."""
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Exited:
    """A fold that called ``sys.exit``."""

    code: str
    text: str
    """With the traceback."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherCode:
    """A fold that would run other code than was keyed."""

    text: str
    """What differs."""
    is_stale: bool
    """Whether a new process may run what was keyed."""


FoldAnswer = Scored | Raised | Exited | OtherCode

# ----------------------------------------------------------------------
# To the worker


@dataclass(frozen=True, slots=True)
class RunFold:
    """Run a fold, after those that came before."""

    task: FoldTask


@dataclass(frozen=True, slots=True)
class Recall:
    """Give back the folds that have not begun."""


@dataclass(frozen=True, slots=True)
class Warm:
    """Import frameworks, to take the place of a worker that has them."""

    frameworks: tuple[str, ...]


ToWorker = RunFold | Recall | Warm

# ----------------------------------------------------------------------
# From the worker


@dataclass(frozen=True, slots=True)
class Began:
    """It has started."""


@dataclass(frozen=True, slots=True)
class IsWarm:
    """It has imported what it was told to."""


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """A fit in the fold that runs has finished an epoch. May be lost."""

    task_id: int
    event: EpochEvent


@dataclass(frozen=True, slots=True)
class Recalled:
    """These folds have not begun, and are not going to."""

    task_ids: frozenset[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerStatus:
    """How a worker is after a fold."""

    started: float
    """When the fold did, in seconds since 1970, UTC."""
    holds_gpu: bool
    frameworks: tuple[str, ...]
    """Those that it has imported."""
    private_bytes: int | None
    """Memory that it shares with nobody. None if not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """The first of its folds has come to an end."""

    task_id: int
    answer: bytes
    """A pickled `FoldAnswer`."""
    status: WorkerStatus


@dataclass(frozen=True, slots=True)
class Leaves:
    """It runs no fold any more."""


FromWorker = Began | IsWarm | EpochEnded | Recalled | Answered | Leaves
