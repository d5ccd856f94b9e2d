"""What the person watching sees: one line now and then.

::

    [resumable_search] 13/24 folds done, 6 of them resumed | best 0.9716 with \
{'model__units': 64} | 0:00:12 elapsed, 0:00:10 left
"""

import math
import time
from collections import defaultdict
from datetime import timedelta
from typing import Any

from ._sklearn_compat import FoldCall

__all__ = ["Progress"]

# Seconds between two lines; it grows with the time that the search has taken, so
# that a night's output can still be read.
_SHORTEST_PAUSE = 2.0
_PAUSE_SHARE = 0.01


class Progress:
    """Counts folds and prints how far the search is.

    Parameters
    ----------
    verbose : int
        0: silent.
    n_workers : int
        Number of folds that run at a time.
    metric : str
        Name of the scorer by which candidates are compared.
    """

    def __init__(self, verbose: int, n_workers: int, metric: str) -> None:
        self._verbose = verbose
        self._n_workers = n_workers
        self._metric = metric
        self._n_done = self._n_resumed = self._n_failed = self._n_run = 0
        self._n_total = 0
        self._seconds_run = 0.0
        self._started = self._last_line = time.monotonic()
        self._scores: dict[tuple[int, int], list[float]] = defaultdict(list)
        self._best: tuple[float, dict[str, Any]] | None = None
        self._has_news = self._has_shown = False

    def expect(self, n_folds: int) -> None:
        """Set the number of folds in all."""
        self._n_total = n_folds

    def count(
        self, call: FoldCall, result: dict[str, Any] | None, *, resumed: bool
    ) -> None:
        """Count a fold that is finished; `result` is None if it failed."""
        if not self._verbose:
            return
        self._has_news = True
        self._n_done += 1
        if resumed:
            self._n_resumed += 1
        else:
            self._n_run += 1
        if result is None:
            self._n_failed += 1
            return
        if not resumed:
            self._seconds_run += result["fit_time"] + result["score_time"]
        self._note_score(call, result["test_scores"])

    def show(self, *, last: bool = False) -> None:
        """Print a line, if it is time for one."""
        if not self._verbose or not self._has_news:
            return
        now = time.monotonic()
        elapsed = now - self._started
        pause = max(_SHORTEST_PAUSE, elapsed * _PAUSE_SHARE)
        # What was resumed is said at once: it is what the person wants to see.
        news = self._n_resumed and not self._has_shown
        if last or news or now - self._last_line >= pause:
            self._has_shown = True
            self._last_line = now
            self._has_news = False
            print(self._line(elapsed), flush=True)  # noqa: T201 - asked for by verbose

    def _note_score(self, call: FoldCall, scores: Any) -> None:
        score = scores.get(self._metric) if isinstance(scores, dict) else scores
        if not isinstance(score, int | float) or math.isnan(score):
            return
        # The position too: successive halving comes back with the same number.
        candidate = self._scores[call.candidate, id(call.parameters)]
        candidate.append(score)
        if len(candidate) == call.n_splits:
            mean = sum(candidate) / len(candidate)
            if self._best is None or mean > self._best[0]:
                self._best = mean, call.parameters

    def _line(self, elapsed: float) -> str:
        counts = f"{self._n_done}/{self._n_total} folds done"
        if self._n_resumed:
            counts += f", {self._n_resumed} of them resumed"
        if self._n_failed:
            counts += f", {self._n_failed} failed"
        parts = [counts]
        if self._best is not None:
            parts.append(f"best {self._best[0]:.4g} with {self._best[1]}")
        times = f"{_clock(elapsed)} elapsed"
        if self._n_run and self._n_done < self._n_total:
            # Resumed folds took no time and say nothing about the others.
            each = self._seconds_run / self._n_run
            left = each * (self._n_total - self._n_done) / self._n_workers
            times += f", about {_clock(left)} left"
        parts.append(times)
        return f"[resumable_search] {' | '.join(parts)}"


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
