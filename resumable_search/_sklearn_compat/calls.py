"""What scikit-learn hands to joblib for each fold, taken apart."""

from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
from joblib.parallel import BatchedCalls
from sklearn.model_selection._search import BaseSearchCV
from sklearn.model_selection._validation import _fit_and_score
from sklearn.utils.parallel import _FuncWrapper

#: Arguments that differ between the folds of one search; all others are shared.
_PER_FOLD = frozenset(
    {
        "train",
        "test",
        "parameters",
        "split_progress",
        "candidate_progress",
        "caller",
        "callback_ctx",
    }
)


#: The module with scikit-learn's searches.
_SEARCHES = BaseSearchCV.__module__


@dataclass(frozen=True, kw_only=True, slots=True)
class FoldCall:
    """One call of scikit-learn's fit-and-score function, taken apart."""

    function: _FuncWrapper
    estimator: Any
    X: Any
    y: Any
    train: np.ndarray[Any, Any]
    test: np.ndarray[Any, Any]
    parameters: dict[str, Any]
    split: int
    n_splits: int
    candidate: int
    n_candidates: int
    shared: dict[str, Any]
    """Keyword arguments that all folds of the search have in common."""
    caller: Any
    callback_ctx: Any

    @property
    def error_score(self) -> Any:
        """What a failed fold counts as, or ``"raise"``."""
        return self.shared["error_score"]

    @property
    def return_train_score(self) -> bool:
        """Whether the scores on the training part are wanted."""
        return bool(self.shared["return_train_score"])


def unpack_batch(batch: BatchedCalls) -> list[FoldCall]:
    """Take the calls of a joblib batch apart."""
    return [_unpack(*item) for item in batch.items]


def _unpack(
    function: _FuncWrapper, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> FoldCall:
    if getattr(function, "function", None) is not _fit_and_score:
        raise TypeError(
            "A resumable search can only run the folds of scikit-learn's own "
            f"evaluate_candidates. Got a call of {function!r} instead. A _run_search "
            "method must leave everything that runs in parallel to "
            "evaluate_candidates."
        )
    estimator, X, y = args
    split, n_splits = kwargs["split_progress"]
    candidate, n_candidates = kwargs["candidate_progress"]
    return FoldCall(
        function=function,
        estimator=estimator,
        X=X,
        y=y,
        train=kwargs["train"],
        test=kwargs["test"],
        parameters=kwargs["parameters"],
        split=split,
        n_splits=n_splits,
        candidate=candidate,
        n_candidates=n_candidates,
        shared={k: v for k, v in kwargs.items() if k not in _PER_FOLD},
        caller=kwargs.get("caller"),
        callback_ctx=kwargs.get("callback_ctx"),
    )


def is_entered_by(search: Any, caller: FrameType | None) -> bool:
    """Return whether a search itself enters its ``Parallel``, and nothing within it.

    Parameters
    ----------
    search : BaseSearchCV
        The search.
    caller : frame or None
        Of what asks for a backend.
    """
    while caller is not None:
        module = caller.f_globals.get("__name__", "")
        if not module.startswith(("joblib.", "sklearn.utils.")):
            is_fit = caller.f_code.co_name == "fit" and module == _SEARCHES
            return is_fit and caller.f_locals.get("self") is search
        caller = caller.f_back
    return False


def is_run_by_library(caller: FrameType | None) -> bool:
    """Return whether scikit-learn or joblib calls a fit, as in nested cross-validation.

    Parameters
    ----------
    caller : frame or None
        Of who calls it.
    """
    while caller is not None:
        module = str(caller.f_globals.get("__name__", ""))
        if module.partition(".")[0] in ("sklearn", "joblib"):
            return True
        caller = caller.f_back
    return False
