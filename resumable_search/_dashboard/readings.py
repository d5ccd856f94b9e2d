"""What is read off folds and candidates, by the page and by Optuna's dashboard."""

import math
import re

from .._records import CandidateRecord, FoldRecord
from .._results import SearchView
from .._texts import inert

# What Python puts above the frames, and an error as it writes it under them.
_HEADER = "Traceback (most recent call last):"
_ERROR = re.compile(r"[^\W\d][\w.<>]*: ")
_LONGEST_HEADLINE = 300

__all__ = [
    "fold_score",
    "headline",
    "is_unchanged",
    "mean_score",
    "plain_parameters",
]


def fold_score(view: SearchView, fold: dict[str, FoldRecord] | None) -> float | None:
    """Return the test score of a fold. None: it is not finished."""
    if fold is None or not view.is_done(fold):
        return None
    scorers, metric = view.search.scorers, view.search.metric
    record = fold[scorers.get(metric) or next(iter(scorers.values()))]
    score = record.test_score
    if isinstance(score, dict):  # of a callable 'scoring'
        score = score.get(metric, next(iter(score.values()), None))
    return float(score) if isinstance(score, int | float) else None


def mean_score(scores: list[float | None]) -> float | None:
    """Return the mean over the splits. None: a fold is missing, or it is not finite."""
    known = [score for score in scores if score is not None]
    if not known or len(known) < len(scores):
        return None
    mean = sum(known) / len(known)
    return mean if math.isfinite(mean) else None


def headline(error: str) -> str:
    """Return the line of a traceback that names the error; its message may go on."""
    lines = [line for line in error.split("\n") if line.strip()] or [""]
    starts = [i for i, line in enumerate(lines) if line.rstrip() == _HEADER]
    found = lines[-1]
    if starts:  # frames are indented, an error is not
        after = lines[starts[-1] + 1 :]
        found = next((line for line in after if not line[0].isspace()), found)
    else:
        found = next(filter(_ERROR.match, lines), found)
    return inert(found.strip())[:_LONGEST_HEADLINE]


def is_unchanged(view: SearchView, last: SearchView | None, i: int) -> bool:
    """Return whether nothing new was read of a candidate."""
    return (
        last is not None
        and view.search.metric == last.search.metric
        and i < len(last.candidates)
        and view.candidates[i] == last.candidates[i]
        # Finished folds are read once, so they are the same objects.
        and all(a is b for a, b in zip(view.folds[i], last.folds[i], strict=True))
    )


def plain_parameters(candidate: CandidateRecord) -> dict[str, str]:
    """Return parameters as texts."""
    return {inert(name): inert(value) for name, value in candidate.values().items()}
