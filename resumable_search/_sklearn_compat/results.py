"""Results that no worker made, in the parent."""

import copy
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection._validation import _warn_or_raise_about_fit_failures

from .calls import FoldCall
from .estimators import scorers_by_name


def finished_result(
    call: FoldCall,
    test_scores: Mapping[str, Any],
    train_scores: Mapping[str, Any],
    *,
    n_test_samples: int,
    fit_time: float,
    score_time: float,
) -> dict[str, Any]:
    """Build the result of a fold from the scores that the checkpoint holds."""
    _, multimetric = scorers_by_name(call.shared["scorer"])
    result: dict[str, Any] = {
        "fit_error": None,
        "test_scores": dict(test_scores) if multimetric else test_scores["score"],
        "n_test_samples": n_test_samples,
        "fit_time": fit_time,
        "score_time": score_time,
    }
    if call.return_train_score:
        result["train_scores"] = (
            dict(train_scores) if multimetric else train_scores["score"]
        )
    return result


def failed_result(call: FoldCall, error: str) -> dict[str, Any]:
    """Build the result of a fold whose fit failed outside scikit-learn's reach."""
    scorers, multimetric = scorers_by_name(call.shared["scorer"])
    scores: Any = call.error_score
    if multimetric:
        scores = dict.fromkeys(scorers, call.error_score)
    test = np.asarray(call.test)
    result: dict[str, Any] = {
        "fit_error": error,
        "test_scores": scores,
        "n_test_samples": int(test.sum() if test.dtype == bool else len(test)),
        "fit_time": 0.0,
        "score_time": 0.0,
    }
    if call.return_train_score:
        result["train_scores"] = copy.copy(scores)
    return result


class LeftOutResult(dict[str, Any]):
    """Stands for the result of a fold that was not run, until it is taken out."""


def left_out_result(call: FoldCall) -> LeftOutResult:
    """Build the stand-in for a fold that is not going to run."""
    return LeftOutResult({**failed_result(call, ""), "fit_error": None})


def take_the_shape_of(left_out: LeftOutResult, result: Mapping[str, Any]) -> None:
    """Make a stand-in pass where scikit-learn compares results with each other.

    The names in the scores of a callable ``scoring`` are only known from a result.
    """
    for part in ("test_scores", "train_scores"):
        if part in left_out:
            left_out[part] = copy.copy(result[part])


def complete_candidates(
    candidates: list[dict[str, Any]],
    n_splits: int,
    out: list[dict[str, Any]],
    more: Mapping[str, list[Any]] | None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, list[Any]] | None]:
    """Take out the candidates of which a fold was left out."""
    kept = [
        position
        for position in range(len(candidates))
        if not any(
            isinstance(result, LeftOutResult)
            for result in out[position * n_splits : (position + 1) * n_splits]
        )
    ]
    return (
        [candidates[position] for position in kept],
        [out[k * n_splits + split] for k in kept for split in range(n_splits)],
        None if more is None else {n: [v[k] for k in kept] for n, v in more.items()},
    )


def raise_if_all_failed(results: list[dict[str, Any]], error_score: Any) -> None:
    """Raise scikit-learn's error for a search in which nothing could be fitted."""
    if all(result["fit_error"] is not None for result in results):
        _warn_or_raise_about_fit_failures(results, error_score)


def format_results(
    candidates: list[dict[str, Any]],
    n_splits: int,
    out: list[dict[str, Any]],
    *,
    return_train_score: bool,
) -> dict[str, Any]:
    """Make ``cv_results_`` of the results of folds, which need not be complete."""
    search = GridSearchCV(None, {}, return_train_score=return_train_score)
    with warnings.catch_warnings():
        # That scores are not finite is no surprise here.
        warnings.filterwarnings("ignore", "One or more of the", UserWarning)
        results: dict[str, Any] = search._format_results(candidates, n_splits, out)
    return results
