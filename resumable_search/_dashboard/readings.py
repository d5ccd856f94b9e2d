"""What is read off folds and candidates, by the page and by Optuna's dashboard."""

import math
import time

from .._records import CandidateRecord, FoldRecord
from .._results import SearchView

__all__ = [
    "fold_score",
    "is_unchanged",
    "last_line",
    "local_time",
    "mean_score",
    "plain_parameters",
]


def fold_score(view: SearchView, fold: dict[str, FoldRecord] | None) -> float | None:
    """Give the test score of a fold. None: it is not finished."""
    if fold is None or not view.is_done(fold):
        return None
    scorers, metric = view.search.scorers, view.search.metric
    record = fold[scorers.get(metric) or next(iter(scorers.values()))]
    score = record.test_score
    if isinstance(score, dict):  # of a callable 'scoring'
        score = score.get(metric, next(iter(score.values()), None))
    return float(score) if isinstance(score, int | float) else None


def mean_score(scores: list[float | None]) -> float | None:
    """Give the mean over the splits. None: a fold is missing, or it is not finite."""
    known = [score for score in scores if score is not None]
    if not known or len(known) < len(scores):
        return None
    mean = sum(known) / len(known)
    return mean if math.isfinite(mean) else None


def last_line(error: str) -> str:
    """Give what a traceback ends with."""
    return (error.strip().splitlines() or [""])[-1][:300]


def is_unchanged(view: SearchView, last: SearchView | None, i: int) -> bool:
    """Tell whether nothing new was read of a candidate."""
    return (
        last is not None
        and view.search.metric == last.search.metric
        and i < len(last.candidates)
        and view.candidates[i] == last.candidates[i]
        # Finished folds are read once, so they are the same objects.
        and all(a is b for a, b in zip(view.folds[i], last.folds[i], strict=True))
    )


def plain_parameters(candidate: CandidateRecord) -> dict[str, str]:
    """Give parameters as texts."""
    return {name: str(value) for name, value in candidate.values().items()}


def local_time(seconds: float | None) -> str | None:
    """Give a point in time for people. None: not known, or out of the calendar."""
    if seconds is None:
        return None
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None
