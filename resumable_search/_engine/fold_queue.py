"""The folds that wait for a worker."""

import collections
from collections.abc import Sequence

from .._records import FoldOutcome, FoldTask
from . import outcomes as _outcomes
from .messages import Scored
from .slots import Attempt, SharedDevice

__all__ = ["FoldQueue"]

#: A worker gets this many seconds of work ahead, so that it does not wait for the
#: parent while that commits. Folds that take longer are handed out one at a time.
_SECONDS_AHEAD = 0.02
_MOST_AHEAD = 32


class FoldQueue:
    """Folds in the order in which they are to run.

    Attributes
    ----------
    finished : list of FoldOutcome
        What has come of folds; those that are not going to run among them.
    """

    def __init__(self) -> None:
        self.finished: list[FoldOutcome] = []
        self._attempts: collections.deque[Attempt] = collections.deque()
        self._is_closing = False
        self._took_newest = False
        self._fold_seconds: float | None = None

    def __len__(self) -> int:
        return len(self._attempts)

    def submit(self, task: FoldTask) -> None:
        """Queue a task."""
        self._attempts.append(Attempt(task))

    def note_seconds(self, answer: Scored) -> None:
        """Take note of how long a fold took."""
        seconds = answer.result["fit_time"] + answer.result["score_time"]
        known = self._fold_seconds
        self._fold_seconds = seconds if known is None else (known + seconds) / 2

    def n_ahead(self) -> int:
        """Return how many folds a worker is given beside the one that it runs."""
        if self._fold_seconds is None:
            return 0
        return min(int(_SECONDS_AHEAD / max(self._fold_seconds, 1e-9)), _MOST_AHEAD)

    def next(self, *, from_both_ends: bool) -> Attempt:
        """Return the next fold, or every second time the one at the other end."""
        self._took_newest = from_both_ends and not self._took_newest
        return self._attempts.pop() if self._took_newest else self._attempts.popleft()

    def put_back(self, attempts: Sequence[Attempt]) -> None:
        """Queue again, at the front, what a worker did not begin."""
        self._attempts.extendleft(reversed(attempts))
        if self._is_closing:
            self._cancel(self._attempts)

    def keep_for(self, shared: SharedDevice, attempt: Attempt) -> None:
        """Queue what needs a GPU for itself."""
        shared.queue.append(attempt)
        if self._is_closing:
            self._cancel(shared.queue)

    def close(self, devices: Sequence[SharedDevice]) -> None:
        """Cancel what waits, and what is going to be put back."""
        self._is_closing = True
        for queue in (self._attempts, *(shared.queue for shared in devices)):
            self._cancel(queue)

    def open(self) -> None:
        """Take folds again."""
        self._is_closing = False

    def clear(self, devices: Sequence[SharedDevice]) -> None:
        """Forget all folds."""
        self.finished.clear()
        for queue in (self._attempts, *(shared.queue for shared in devices)):
            queue.clear()

    def _cancel(self, queue: collections.deque[Attempt]) -> None:
        self.finished.extend(map(_outcomes.cancelled, queue))
        queue.clear()
