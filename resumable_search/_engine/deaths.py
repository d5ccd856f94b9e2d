"""Bad candidates, or a bad machine? What workers that die in a row say."""

from .._exceptions import WorkerDiedError
from .slots import Attempt

__all__ = ["Deaths"]


class Deaths:
    """Counts workers that die in a row, to tell bad candidates from a bad machine.

    A candidate that always kills its worker fails alone, and so do several. But where
    workers die whatever they run, the search would go through all of its folds
    without a result. So after some deaths in a row, folds are taken from both ends of
    the queue, where other candidates are; if all of those die too, the search ends.
    """

    #: After so many in a row, other candidates are looked at.
    MOST_UNSUSPICIOUS = 6

    #: So many in a row, of so many candidates, end the search.
    MOST = 20
    LEAST_CANDIDATES = 5

    def __init__(self) -> None:
        self._n = 0
        self._candidates: set[int] = set()

    def note(self, attempt: Attempt) -> None:
        """Count a death."""
        self._n += 1
        self._candidates.add(attempt.task.candidate)

    def forget(self) -> None:
        """Begin anew: a fold has come to its end, whatever that was."""
        self._n = 0
        self._candidates.clear()

    @property
    def are_suspicious(self) -> bool:
        """Whether to look at other candidates."""
        return self._n >= self.MOST_UNSUSPICIOUS

    def error(self, ending: str) -> WorkerDiedError | None:
        """Return the error that ends the search, if it is to end."""
        if self._n < self.MOST or len(self._candidates) < self.LEAST_CANDIDATES:
            return None
        return WorkerDiedError(
            f"{self._n} worker processes in a row have died in the middle of a fold, "
            f"with {len(self._candidates)} different candidates; the last one "
            f"{ending}. The likely cause is not the candidates but the machine or its "
            "libraries (no memory left, a GPU or a driver in trouble, a broken "
            "installation). What they printed is on standard error. Nothing that is "
            "already computed is lost. See that a single fit of the estimator works, "
            "and call fit again to go on."
        )
