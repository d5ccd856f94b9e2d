"""Starting workers, and what it means when they do not start."""

from .._exceptions import WorkerStartError
from .process import worker_command
from .slots import Moment

__all__ = ["START_SECONDS", "Starts"]

#: Seconds in which a worker has to begin. It imports scikit-learn, from a slow disk
#: perhaps; one that takes longer hangs.
START_SECONDS = 300.0

# So many in a row that do not begin end the search.
_MOST_FAILED = 5

# Seconds after which to try again, where no process can be started.
_PAUSE = 1.0


class Starts:
    """Counts the workers in a row that did not come to begin."""

    def __init__(self) -> None:
        self._n_failed = 0
        self._next = 0.0
        self.error: WorkerStartError | None = None
        """Set when the search is to end."""

    def forget(self) -> None:
        """Begin anew: a worker has begun, or another search has."""
        self._n_failed = 0
        self.error = None

    def may_start(self, now: Moment) -> bool:
        """Return whether another one may be started."""
        return now.clock >= self._next

    def note_impossible(self, error: OSError, now: Moment) -> None:
        """Count one that could not be started: no memory, no more processes or files.

        There is a pause before the next one.
        """
        self._next = now.clock + _PAUSE
        self.note_failed(f"could not be started at all ({error})", error)

    def note_failed(self, ending: str, cause: BaseException | None = None) -> None:
        """Count one that ended before it began."""
        self._n_failed += 1
        if self._n_failed < _MOST_FAILED or self.error is not None:
            return
        self.error = WorkerStartError(
            f"Worker processes do not start: {self._n_failed} in a row ended before "
            f"their first fold, the last one {ending}. The likely cause stands in what "
            f"they wrote to standard error above; the command was {worker_command()}."
        )
        self.error.__cause__ = cause
