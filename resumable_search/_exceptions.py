"""Every error and warning of the package.

::

    Exception
      ResumableSearchError
        CheckpointError               the checkpoint cannot be used
          CheckpointFormatError       not a checkpoint, damaged, or too new
          CheckpointLockedError       the same search is running already
          CheckpointWriteError        it cannot be written: disk, permissions
        DeviceError (ValueError)      a GPU cannot be used as asked
        MpsError                      NVIDIA MPS cannot be used
        FingerprintError (TypeError)  a value has no sound key
        WorkerError                   a worker process failed
          WorkerDiedError             it ended in the middle of a fold
          WorkerStartError            it did not start

    UserWarning
      ResumableSearchWarning
        CheckpointLocationWarning     not where the user would look for it
        EpochStateWarning             the state of a Keras fit cannot be used
        NothingReusedWarning          a near relative is there, no fold fits
        VersionMixWarning             reused folds come from other versions
"""

__all__ = [
    "CheckpointError",
    "CheckpointFormatError",
    "CheckpointLocationWarning",
    "CheckpointLockedError",
    "CheckpointWriteError",
    "DeviceError",
    "EpochStateWarning",
    "FingerprintError",
    "MpsError",
    "NothingReusedWarning",
    "ResumableSearchError",
    "ResumableSearchWarning",
    "VersionMixWarning",
    "WorkerDiedError",
    "WorkerError",
    "WorkerStartError",
]


class ResumableSearchError(Exception):
    """Base class of the errors of this package."""


class CheckpointError(ResumableSearchError):
    """The checkpoint cannot be used."""


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


class WorkerError(ResumableSearchError):
    """A worker process failed."""


class WorkerDiedError(WorkerError):
    """A worker process ended in the middle of a fold."""


class WorkerStartError(WorkerError):
    """A worker process could not be started."""


class ResumableSearchWarning(UserWarning):
    """Base class of the warnings of this package."""


class CheckpointLocationWarning(ResumableSearchWarning):
    """The checkpoint is not in the current directory."""


class EpochStateWarning(ResumableSearchWarning):
    """The state of a Keras fit cannot be saved, or a saved one cannot be used."""


class NothingReusedWarning(ResumableSearchWarning):
    """The checkpoint holds a near relative, but none of its folds can be used."""


class VersionMixWarning(ResumableSearchWarning):
    """Reused folds were computed with other versions of Python or a library."""
