"""How long a search will still take."""

import collections
import itertools
from collections.abc import Sequence
from statistics import fmean

from .._records import LiveWorker

__all__ = ["Pace"]

# The later half of the folds that ran says how long the others take: a grid often
# goes from small models to large ones. Never fewer than a few, nor so many that
# adding them up takes time.
_FEWEST_RECENT = 20
_MOST_RECENT = 1000

# Part of its time that a fold is thought to take yet when it has taken longer than
# the others did.
_OVERTIME = 0.1


class Pace:
    """How long folds take, from those that this search has run itself.

    Parameters
    ----------
    n_workers : int
        Number of folds that run at a time.
    """

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self._n_run = 0
        self._recent: collections.deque[tuple[float, float]] = collections.deque(
            maxlen=_MOST_RECENT
        )
        """When each was finished, and the seconds it took."""

    def note(self, finished: float, seconds: float) -> None:
        """Take note of a fold: when it was finished, and how long it took."""
        self._n_run += 1
        self._recent.append((finished, seconds))

    def seconds_left(
        self, n_unfinished: int, workers: Sequence[LiveWorker], now: float
    ) -> float | None:
        """Return the time that the search still needs, if it can be told.

        Parameters
        ----------
        n_unfinished : int
            Number of folds that are not finished, those that run included.
        workers : sequence of LiveWorker
            The folds that run.
        now : float
            Seconds since 1970, UTC.

        Returns
        -------
        seconds : float or None
            None before the first fold, or two of its epochs, are finished.
        """
        if not n_unfinished:
            return 0.0
        each = self._seconds_each(workers)
        if each is None:
            return None
        rests = [_rest(worker, each, now) for worker in workers]
        n_waiting = max(0, n_unfinished - len(rests))
        n_busy = max(1, min(self._n_workers, n_unfinished))
        return max((sum(rests) + n_waiting * each) / n_busy, *rests, 0.0)

    def _seconds_each(self, workers: Sequence[LiveWorker]) -> float | None:
        if not self._recent:
            # Without what came before the first epoch: a framework is imported once.
            whole = [
                worker.epoch_seconds * worker.n_epochs
                for worker in workers
                if worker.epoch_seconds is not None and worker.n_epochs
            ]
            return fmean(whole) if whole else None
        n_recent = max(_FEWEST_RECENT, self._n_run // 2)
        first = max(0, len(self._recent) - n_recent)
        recent = list(itertools.islice(self._recent, first, None))
        measured = fmean(seconds for _, seconds in recent)
        # Short folds take longer than their fits: they wait for each other, and for
        # the disk.
        span = recent[-1][0] - recent[0][0]
        return max(measured, span * self._n_workers / max(1, len(recent) - 1))


def _elapsed(worker: LiveWorker, now: float) -> float:
    return 0.0 if worker.started is None else max(0.0, now - worker.started)


def _rest(worker: LiveWorker, each: float, now: float) -> float:
    elapsed = _elapsed(worker, now)
    if worker.epoch_seconds is not None and worker.epoch and worker.n_epochs:
        return worker.epoch_seconds * max(0, worker.n_epochs - worker.epoch)
    return max(each - elapsed, elapsed * _OVERTIME)
