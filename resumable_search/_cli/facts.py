"""What is known of a search: from its checkpoint, its lock and what it says itself."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .._checkpoint.locations import find_checkpoint
from .._checkpoint.locks import LockHolder, find_holder
from .._checkpoint.reader import CheckpointReader
from .._checkpoint.status_files import read_status
from .._exceptions import CheckpointFormatError
from .._records import FoldRecord, LiveStatus, SearchRecord
from .._results import SearchView, choose_search, view_search
from .._states import State, state_of

__all__ = [
    "Best",
    "Facts",
    "choose",
    "gather",
    "opened",
    "readable",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The best candidate of those that have all their folds."""

    candidate: int
    score: float
    deviation: float
    parameters: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """A search at one moment."""

    checkpoint: Path
    view: SearchView
    holder: LockHolder | None
    live: LiveStatus | None
    metric: str
    """As in ``mean_test_<metric>``."""
    best: Best | None
    n_done: int
    n_failed: int
    n_complete: int
    """Candidates that have all their folds."""

    @property
    def search(self) -> SearchRecord:
        """The search itself."""
        return self.view.search

    @property
    def state(self) -> State:
        """Whether somebody works on it."""
        is_tried = self.n_done + self.n_failed >= self.view.n_folds
        return state_of(self.holder, self.live, is_tried=is_tried)


@contextlib.contextmanager
def opened(checkpoint: str | None) -> Iterator[CheckpointReader]:
    """Open the checkpoint that was given, or the one in the default place."""
    reader = CheckpointReader(find_checkpoint(checkpoint))
    try:
        yield reader
    finally:
        reader.close()


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Say it in one line where a checkpoint holds what no search has written."""
    try:
        yield
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        RecursionError,
    ) as exc:
        raise CheckpointFormatError(
            f"The checkpoint {path} has content that no search writes ({exc!r}). "
            "'resumable-search verify' tells where. Restore the file from a copy."
        ) from exc


def choose(reader: CheckpointReader, number: int | None) -> SearchRecord:
    """Find the search with this number; None: the one that was started last."""
    with readable(reader.path):
        return choose_search(reader.searches(), number, reader.path)


def gather(reader: CheckpointReader, search: SearchRecord) -> Facts:
    """Find out all about a search."""
    # The lock first: a search that nobody holds has stored all that it will.
    holder = find_holder(reader.path, search.key)
    live = read_status(reader.path, search.key)
    if holder is not None and not holder.is_running:
        live = None
    # Again: it may have got more candidates since.
    search = choose(reader, search.number)
    with readable(reader.path):
        view = view_search(reader, search)
        metric, best = _best(view)
        n_completed = view.n_completed()
        return Facts(
            checkpoint=reader.path,
            view=view,
            holder=holder,
            live=live,
            metric=metric,
            best=best,
            n_done=sum(n_completed),
            n_failed=len(view.failed()),
            n_complete=n_completed.count(search.n_splits),
        )


def _best(view: SearchView) -> tuple[str, Best | None]:
    """Return the metric that decides and the best candidate, as ``cv_results_`` would.

    Without scikit-learn, whose import would be most of the time of a short command.
    """
    search = view.search
    scores = {
        i: [_scores(search, fold or {}) for fold in folds]
        for i, (folds, n) in enumerate(zip(view.folds, view.n_completed(), strict=True))
        if n == search.n_splits
    }
    names = next((list(folds[0]) for folds in scores.values()), list(search.scorers))
    # Of several metrics none may decide.
    metric = search.metric if search.metric in names else names[0]
    best: Best | None = None
    for i, folds in scores.items():
        of_splits = [fold[metric] for fold in folds]
        mean = float(np.mean(of_splits))
        if not math.isnan(mean) and (best is None or mean > best.score):
            best = Best(
                candidate=i,
                score=mean,
                deviation=float(np.std(of_splits)),
                parameters=view.candidates[i].values(),
            )
    return metric, best


def _scores(search: SearchRecord, fold: dict[str, FoldRecord]) -> dict[str, float]:
    """Return the scores of a finished fold by metric."""
    scores: dict[str, float] = {}
    for name, key in search.scorers.items():
        score = fold[key].test_score
        if isinstance(score, dict):  # of a function that gives several
            scores.update(score)
        elif score is not None:
            scores[name] = score
    return scores
