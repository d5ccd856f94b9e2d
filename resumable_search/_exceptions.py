"""Every error and warning of the package.

::

    Exception
      ResumableSearchError
        CheckpointError               the checkpoint cannot be used
          CheckpointAddressError (ValueError)  an address, where a path must be
          CheckpointFormatError       not a checkpoint, damaged, or too new
          CheckpointLockedError       the same search is running already
          CheckpointWriteError        it cannot be written: disk, permissions
        DeviceError (ValueError)      a GPU cannot be used as asked
        MpsError                      NVIDIA MPS cannot be used
        FingerprintError (TypeError)  a value has no sound key
        TimeBudgetError               it was used up before a candidate was complete
        WorkerError                   a worker process failed
          FoldTimeoutError            a fold took too long
          WorkerDiedError             it ended in the middle of a fold
          WorkerStartError            it did not start

    KeyboardInterrupt
      SearchInterrupted               somebody has stopped the search

    UserWarning
      ResumableSearchWarning
        CheckpointLocationWarning     not where the user would look for it
        CheckpointLogWarning          its -wal file may have been left behind
        CheckpointRestoredWarning     it was deleted while a search ran
        EpochStateWarning             the state of a Keras fit cannot be used
        NothingReusedWarning          a near relative is there, no fold fits
        TimeBudgetWarning             some candidates are not in the results
        UntrustedScoresWarning        stored scores that are not used any more
        UnseenDependencyWarning       code finds names or variables by a computed text
        VersionMixWarning             reused folds come from other versions
"""

from pathlib import Path
from typing import Any

__all__ = [
    "CheckpointAddressError",
    "CheckpointError",
    "CheckpointFormatError",
    "CheckpointLocationWarning",
    "CheckpointLockedError",
    "CheckpointLogWarning",
    "CheckpointRestoredWarning",
    "CheckpointWriteError",
    "DeviceError",
    "EpochStateWarning",
    "FingerprintError",
    "FoldTimeoutError",
    "MpsError",
    "NothingReusedWarning",
    "ResumableSearchError",
    "ResumableSearchWarning",
    "SearchInterrupted",
    "TimeBudgetError",
    "TimeBudgetWarning",
    "UnseenDependencyWarning",
    "UntrustedScoresWarning",
    "VersionMixWarning",
    "WorkerDiedError",
    "WorkerError",
    "WorkerStartError",
]


class ResumableSearchError(Exception):
    """Base class of the errors of this package."""


class CheckpointError(ResumableSearchError):
    """The checkpoint cannot be used."""


class CheckpointAddressError(CheckpointError, ValueError):
    """The checkpoint is an address that no store here serves, and not a path."""


class CheckpointFormatError(CheckpointError):
    """The file is not a checkpoint, is damaged, or has a newer format."""


class CheckpointLockedError(CheckpointError):
    """Another process runs the same search on the same checkpoint."""


class CheckpointWriteError(CheckpointError):
    """The checkpoint cannot be created or written."""


class DeviceError(ResumableSearchError, ValueError):
    """A GPU is not there, or cannot be shared as asked for."""


class MpsError(ResumableSearchError):
    """NVIDIA MPS cannot be used. A search then shares GPUs by time slices."""


class FingerprintError(ResumableSearchError, TypeError):
    """A value that the score depends on cannot be given a sound key."""


class TimeBudgetError(ResumableSearchError):
    """The time budget was used up before any candidate had all its folds."""


class WorkerError(ResumableSearchError):
    """A worker process failed."""


class FoldTimeoutError(WorkerError):
    """A fold took longer than ``fold_timeout`` and was stopped."""


class WorkerDiedError(WorkerError):
    """A worker process ended in the middle of a fold."""


class WorkerStartError(WorkerError):
    """A worker process could not be started."""


class SearchInterrupted(KeyboardInterrupt):
    """A search was stopped: by Ctrl-C, SIGTERM, a closed terminal, or "quit".

    What was finished is in the checkpoint, and the same ``fit`` goes on from there.

    Attributes
    ----------
    reason : str
        What stopped it: "Ctrl-C", "SIGTERM", "SIGHUP" or "quit".
    signum : int or None
        Number of the signal, if it was one. ``sys.exit(128 + signum)`` is the exit
        status that shells give to a process that the signal has ended.
    n_done : int
        Number of folds that are finished.
    n_total : int
        Number of folds of the search.
    checkpoint : pathlib.Path or None
        The file they are in.
    cv_results_ : dict
        What is there, in the shape of ``cv_results_``, as `read_results` gives it:
        NaN for folds that are not finished.
    """

    def __init__(
        self,
        message: str = "",
        *,
        reason: str = "",
        signum: int | None = None,
        n_done: int = 0,
        n_total: int = 0,
        checkpoint: Path | None = None,
        cv_results_: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.signum = signum
        self.n_done = n_done
        self.n_total = n_total
        self.checkpoint = checkpoint
        self.cv_results_ = {} if cv_results_ is None else cv_results_


class ResumableSearchWarning(UserWarning):
    """Base class of the warnings of this package."""


class CheckpointLocationWarning(ResumableSearchWarning):
    """The checkpoint is not in the current directory."""


class CheckpointLogWarning(ResumableSearchWarning):
    """The checkpoint is empty: what was in its -wal file may have been left behind."""


class CheckpointRestoredWarning(ResumableSearchWarning):
    """The checkpoint was deleted while a search ran, and is there again."""


class EpochStateWarning(ResumableSearchWarning):
    """The state of a Keras fit cannot be saved, or a saved one cannot be used."""


class NothingReusedWarning(ResumableSearchWarning):
    """The checkpoint holds a near relative, but none of its folds can be used."""


class TimeBudgetWarning(ResumableSearchWarning):
    """The time budget was used up: some candidates are not in the results."""


class UntrustedScoresWarning(ResumableSearchWarning):
    """The checkpoint holds scores that an older version of the package stored.

    It could take a changed program for an unchanged one, so they are not used.
    """


class UnseenDependencyWarning(ResumableSearchWarning):
    """Code reaches modules, names or variables by a computed text.

    No key can follow that.
    """


class VersionMixWarning(ResumableSearchWarning):
    """Reused folds were computed with other versions of Python or a library."""


# As users import and read them.
for _name in __all__:
    globals()[_name].__module__ = __package__
