"""Running a fold, in the worker."""

import numbers
import warnings
from typing import Any

import numpy as np
from sklearn.base import clone

from .callbacks import portable_caller, sibling, stand_in, without_siblings
from .calls import FoldCall


class _ErrorScore(float):
    """An error score that can be told from the same number given by a scorer."""

    def __new__(cls, value: Any) -> "_ErrorScore":
        self = super().__new__(cls, value)
        self.original = value
        return self

    original: Any

    def __repr__(self) -> str:
        return str(self.original)

    __str__ = __repr__


def shared_objects(call: FoldCall) -> dict[str, Any]:
    """Return what all folds of a search begin with, apart from the data."""
    return {
        "function": call.function,
        "estimator": call.estimator,
        "shared": call.shared,
        "callback_ctx": without_siblings(call.callback_ctx),
        "caller": portable_caller(call),
    }


def run_fold(
    objects: dict[str, Any],
    data: tuple[Any, Any],
    split: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
    parameters: dict[str, Any],
    progress: tuple[int, int, int, int],
    task_position: int | None,
) -> tuple[dict[str, Any], list[str]]:
    """Run one fold; return scikit-learn's result and the scorers that failed."""
    kwargs = dict(objects["shared"])
    error_score = kwargs["error_score"]
    if isinstance(error_score, numbers.Real):
        kwargs["error_score"] = _ErrorScore(error_score)
    split_index, n_splits, candidate_index, n_candidates = progress
    if objects["callback_ctx"] is not None:
        kwargs["callback_ctx"] = sibling(objects["callback_ctx"], task_position)
    if objects["caller"] is not None:
        kwargs["caller"] = stand_in(*objects["caller"])
    function = objects["function"]
    if hasattr(function, "warning_filters"):
        # From 1.8 on, scikit-learn sets them itself: those of this process, which are
        # the parent's and more.
        function.warning_filters = list(warnings.filters)
    result = function(
        clone(objects["estimator"]),
        *data,
        train=split[0],
        test=split[1],
        parameters=parameters,
        split_progress=(split_index, n_splits),
        candidate_progress=(candidate_index, n_candidates),
        **kwargs,
    )
    failed: list[str] = []
    for name in ("test_scores", "train_scores"):
        if name in result:
            result[name] = _plain_scores(result[name], failed)
    return result, failed


def _plain_scores(scores: Any, failed: list[str]) -> Any:
    """Replace marked error scores, and note whose they are."""
    if isinstance(scores, dict):
        plain = {}
        for name, score in scores.items():
            if isinstance(score, _ErrorScore):
                failed.append(name)
                score = score.original
            plain[name] = score
        return plain
    if isinstance(scores, _ErrorScore):
        failed.append("score")
        return scores.original
    return scores
