"""GridSearchCV and RandomizedSearchCV that survive a kill and share the GPU."""

from ._exceptions import (
    CheckpointError,
    CheckpointFormatError,
    CheckpointLocationWarning,
    CheckpointLockedError,
    CheckpointWriteError,
    FingerprintError,
    NothingReusedWarning,
    ResumableSearchError,
    ResumableSearchWarning,
    VersionMixWarning,
    WorkerDiedError,
    WorkerError,
    WorkerStartError,
)
from ._fingerprint import register_key
from ._search import ResumableGridSearchCV, ResumableRandomizedSearchCV

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "CheckpointFormatError",
    "CheckpointLocationWarning",
    "CheckpointLockedError",
    "CheckpointWriteError",
    "FingerprintError",
    "NothingReusedWarning",
    "ResumableGridSearchCV",
    "ResumableRandomizedSearchCV",
    "ResumableSearchError",
    "ResumableSearchWarning",
    "VersionMixWarning",
    "WorkerDiedError",
    "WorkerError",
    "WorkerStartError",
    "register_key",
]
