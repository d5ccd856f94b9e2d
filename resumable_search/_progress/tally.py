"""How far a search is: counts, the best candidate, the time left."""

import math
import os
import socket
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from .._keys.summaries import summarize
from .._records import LiveStatus, LiveWorker
from .._sklearn_compat.calls import FoldCall
from .pace import Pace

__all__ = ["Tally", "texts_of"]


class Tally:
    """Counts the folds of a search.

    Parameters
    ----------
    n_workers : int
        Number of folds that run at a time.
    metric : str
        Name of the scorer by which candidates are compared.
    """

    def __init__(self, n_workers: int, metric: str) -> None:
        self._metric = metric
        self._started = time.time()
        self._n_total = self._n_before = 0
        self._n_done = self._n_resumed = self._n_failed = 0
        self._scores: dict[tuple[int, int], list[float]] = defaultdict(list)
        self._best: tuple[float, Mapping[str, Any]] | None = None
        self._pace = Pace(n_workers)

    def expect(self, n_folds: int) -> None:
        """Set the number of folds in this round."""
        self._n_total = self._n_before + n_folds

    def end_round(self) -> None:
        """Let the folds that are expected next come on top."""
        self._n_before = self._n_total

    def count(
        self, call: FoldCall, result: dict[str, Any] | None, *, resumed: bool
    ) -> None:
        """Count a fold that is finished; `result` is None if it failed."""
        self._n_done += 1
        self._n_resumed += resumed
        self._n_failed += result is None
        if not resumed:
            # Resumed folds took no time and say nothing about the others.
            seconds = result["fit_time"] + result["score_time"] if result else 0.0
            self._pace.note(time.time(), seconds)
        if result is not None:
            self._note_score(call, result["test_scores"])

    def status(self, workers: Sequence[LiveWorker]) -> LiveStatus:
        """Say how far the search is, with the folds that run now."""
        now = time.time()
        left = self._pace.seconds_left(self._n_total - self._n_done, workers, now)
        best = self._best
        return LiveStatus(
            pid=os.getpid(),
            host=socket.gethostname(),
            started=self._started,
            updated=now,
            n_total=self._n_total,
            n_done=self._n_done,
            n_resumed=self._n_resumed,
            n_failed=self._n_failed,
            metric=self._metric,
            best_score=None if best is None else best[0],
            best_parameters=None if best is None else texts_of(best[1]),
            seconds_left=left,
            workers=tuple(workers),
        )

    def _note_score(self, call: FoldCall, scores: Any) -> None:
        score = scores.get(self._metric) if isinstance(scores, dict) else scores
        if not isinstance(score, int | float) or math.isnan(score):
            return
        # Successive halving comes back with the same number in another round.
        candidate = self._scores[self._n_before, call.candidate]
        candidate.append(float(score))
        if len(candidate) == call.n_splits:
            mean = sum(candidate) / len(candidate)
            if self._best is None or mean > self._best[0]:
                self._best = mean, call.parameters


def texts_of(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return name -> short text of each parameter, safe to print."""
    return {name: _printable(_short(value)) for name, value in parameters.items()}


def _short(value: object) -> str:
    # A drawn number has more digits than anybody wants to read.
    return f"{value:.6g}" if isinstance(value, float) else summarize(value)


def _printable(text: str) -> str:
    # A terminal takes some characters for commands.
    return "".join(c if c.isprintable() else "?" for c in text)
