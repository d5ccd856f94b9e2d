"""GridSearchCV and RandomizedSearchCV that survive a kill and share the GPU."""

import importlib
import logging
import typing

from ._exceptions import (
    CheckpointAddressError,
    CheckpointError,
    CheckpointFormatError,
    CheckpointLocationWarning,
    CheckpointLockedError,
    CheckpointLogWarning,
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
    UnseenDependencyWarning,
    UntrustedScoresWarning,
    VersionMixWarning,
    WorkerDiedError,
    WorkerError,
    WorkerStartError,
)
from ._folds import fold_directory
from ._records import Resumption

# What needs scikit-learn or numpy is imported when it is first used: the command
# line says its help, and completes words, without them.
if typing.TYPE_CHECKING:
    from ._keys.fingerprint import register_key
    from ._keys.relevance import register_irrelevant
    from ._plots.comparison import CandidateComparisonDisplay
    from ._plots.progress import SearchProgressDisplay
    from ._results import compare_searches, read_results
    from ._search import ResumableGridSearchCV, ResumableRandomizedSearchCV

_MODULES = {
    "CandidateComparisonDisplay": "._plots.comparison",
    "ResumableGridSearchCV": "._search",
    "ResumableRandomizedSearchCV": "._search",
    "SearchProgressDisplay": "._plots.progress",
    "compare_searches": "._results",
    "read_results": "._results",
    "register_irrelevant": "._keys.relevance",
    "register_key": "._keys.fingerprint",
}

# Who wants to see them sets a handler; the library itself sets none that prints.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__version__ = "0.1.0"

__all__ = [
    "CandidateComparisonDisplay",
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
    "ResumableGridSearchCV",
    "ResumableRandomizedSearchCV",
    "ResumableSearchError",
    "ResumableSearchWarning",
    "Resumption",
    "SearchInterrupted",
    "SearchProgressDisplay",
    "TimeBudgetError",
    "TimeBudgetWarning",
    "UnseenDependencyWarning",
    "UntrustedScoresWarning",
    "VersionMixWarning",
    "WorkerDiedError",
    "WorkerError",
    "WorkerStartError",
    "compare_searches",
    "fold_directory",
    "read_results",
    "register_irrelevant",
    "register_key",
]


def __getattr__(name: str) -> typing.Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
