"""Scores between scikit-learn's results and the records of a checkpoint."""

from collections.abc import Mapping
from typing import Any

from .._records import FoldOutcome, FoldRecord, FoldState, Score
from .._sklearn_compat.calls import FoldCall
from .._sklearn_compat.estimators import scorers_by_name

__all__ = ["records_of", "scores_of"]


def records_of(
    outcome: FoldOutcome,
    call: FoldCall,
    key: str,
    scorers: Mapping[str, str],
    *,
    versions: Mapping[str, str],
    error_filters: str,
) -> list[FoldRecord]:
    """Return what is stored of a fold, for each scorer.

    Parameters
    ----------
    outcome : FoldOutcome
        What came of it.
    call : FoldCall
        What was asked.
    key : str
        Of the fold.
    scorers : mapping of str to str
        Name -> key.
    versions : mapping of str to str
        Of the libraries whose code it reaches.
    error_filters : str
        The filters that made warnings errors.
    """
    error = outcome.failure or outcome.died
    result = outcome.result
    test: dict[str, Score] = {}
    train: dict[str, Score] = {}
    if outcome.error is not None:
        error = error or repr(outcome.error)
    elif error is None:
        assert result is not None
        test, train = scores_of(result, call)
    result = result or {"n_test_samples": 0, "fit_time": 0.0, "score_time": 0.0}
    return [
        FoldRecord(
            key=key,
            scorer=scorer,
            state=FoldState.DONE if error is None else FoldState.FAILED,
            test_score=test.get(name),
            train_score=train.get(name),
            n_test_samples=result["n_test_samples"],
            fit_time=result["fit_time"],
            score_time=result["score_time"],
            error=error,
            attempts=outcome.attempts,
            versions={**versions, **outcome.versions},
            started=outcome.started,
            worker=outcome.worker,
            device=outcome.device,
            warned=outcome.warned,
            error_filters=error_filters,
        )
        for name, scorer in scorers.items()
    ]


def scores_of(
    result: dict[str, Any], call: FoldCall
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return test and train scores by name of the scorer."""
    _, multimetric = scorers_by_name(call.shared["scorer"])
    test, train = result["test_scores"], result.get("train_scores")
    if multimetric:
        return dict(test), dict(train or {})
    return {"score": test}, ({} if train is None else {"score": train})
