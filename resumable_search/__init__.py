"""GridSearchCV and RandomizedSearchCV that survive a kill and share the GPU."""

import logging

from ._exceptions import (
    CheckpointError,
    CheckpointFormatError,
    CheckpointLocationWarning,
    CheckpointLockedError,
    CheckpointRestoredWarning,
    CheckpointWriteError,
    DeviceError,
    EpochStateWarning,
    FingerprintError,
    FoldTimeoutError,
    MpsError,
    NothingReusedWarning,
    ResumableSearchError,
    ResumableSearchWarning,
    SearchInterrupted,
    TimeBudgetError,
    TimeBudgetWarning,
    VersionMixWarning,
    WorkerDiedError,
    WorkerError,
    WorkerStartError,
)
from ._folds import fold_directory
from ._keys.fingerprint import register_key
from ._results import read_results
from ._search import ResumableGridSearchCV, ResumableRandomizedSearchCV

# Who wants to see them sets a handler; the library itself sets none that prints.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "CheckpointFormatError",
    "CheckpointLocationWarning",
    "CheckpointLockedError",
    "CheckpointRestoredWarning",
    "CheckpointWriteError",
    "DeviceError",
    "EpochStateWarning",
    "FingerprintError",
    "FoldTimeoutError",
    "MpsError",
    "NothingReusedWarning",
    "ResumableGridSearchCV",
    "ResumableRandomizedSearchCV",
    "ResumableSearchError",
    "ResumableSearchWarning",
    "SearchInterrupted",
    "TimeBudgetError",
    "TimeBudgetWarning",
    "VersionMixWarning",
    "WorkerDiedError",
    "WorkerError",
    "WorkerStartError",
    "fold_directory",
    "read_results",
    "register_key",
]
