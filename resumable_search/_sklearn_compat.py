"""Every private name of scikit-learn and joblib that the package needs.

Checked against scikit-learn 1.4.2, 1.6.1, 1.8.0 and 1.9.1 and against joblib
1.3.2 and 1.6.0. What is used, and for what:

- ``sklearn.model_selection._validation._fit_and_score``: the function that
  `BaseSearchCV.fit` hands to joblib for each fold, with these keyword
  arguments (``caller`` and ``callback_ctx`` since 1.9).
- ``_warn_or_raise_about_fit_failures`` (there): what is said when all fits failed.
- ``BaseSearchCV._format_results``: makes ``cv_results_`` of the results of folds;
  the searches give it complete candidates only.
- ``sklearn.utils.parallel._FuncWrapper``: carries the caller's scikit-learn
  configuration (and, since 1.7, its warning filters) to the worker.
- ``sklearn.metrics._scorer``: scorers by name, and the scorer that stands for
  the estimator's own ``score``.
- ``sklearn.callback`` (since 1.9): the context that a fold begins and ends.
- ``_metadata_request`` and ``_sklearn_output_config`` of estimators and
  ``_requests`` of what the former holds: what a clone keeps beside parameters.
- ``BaseEstimator._validate_data`` (until 1.5): today's ``validate_data``.
- ``joblib.parallel.BatchedCalls.items``: the calls in a batch.
- ``ParallelBackendBase._prepare_worker_env``: joblib's limits for the thread
  pools of child processes.
"""

import copy
import numbers
import os
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import sklearn
from joblib.parallel import BatchedCalls, ParallelBackendBase
from sklearn.base import clone
from sklearn.metrics._scorer import _MultimetricScorer, _PassthroughScorer
from sklearn.model_selection import GridSearchCV
from sklearn.model_selection._validation import (
    _fit_and_score,
    _warn_or_raise_about_fit_failures,
)
from sklearn.utils import _safe_indexing, validation
from sklearn.utils.metaestimators import _safe_split
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

#: Settings of scikit-learn under which the same fold may get another score.
_SCORE_SETTINGS = {
    "array_api_dispatch": False,
    "enable_metadata_routing": False,
    "transform_output": "default",
}


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


# ---------------------------------------------------------------------------
# Estimators

#: Attributes of an estimator that a clone keeps, beside its parameters.
KEPT_BY_CLONE = ("_metadata_request", "_sklearn_output_config")


def metadata_request(value: object) -> Any:
    """Give the metadata request that was set on an estimator or a scorer."""
    return vars(value).get("_metadata_request")


def requests_of(request: object) -> dict[str, dict[str, Any]]:
    """Give what a metadata request asks for: by method, then by parameter."""
    return {
        name: getattr(method, "_requests", None) or {}
        for name, method in vars(request).items()
        if name != "owner"
    }


def validate_data(estimator: Any, *data: Any, **options: Any) -> Any:
    """Call scikit-learn's ``validate_data`` (until 1.5: a private method)."""
    if hasattr(validation, "validate_data"):  # scikit-learn >= 1.6
        return validation.validate_data(estimator, *data, **options)
    return estimator._validate_data(*data, **options)


# ---------------------------------------------------------------------------
# Scorers

#: Name of the class of the scorer that stands for the estimator's own ``score``.
PASSTHROUGH = _PassthroughScorer.__name__


def scorers_by_name(scorer: Any) -> tuple[dict[str, Any], bool]:
    """Give the scorers of a search by name, and whether it is multimetric.

    A single scorer has the name ``"score"``, as in ``cv_results_``.
    """
    if isinstance(scorer, _MultimetricScorer):
        return dict(scorer._scorers), True
    if isinstance(scorer, dict):  # scikit-learn 1.4
        return dict(scorer), True
    return {"score": scorer}, False


def is_estimator_score(scorer: Any) -> bool:
    """Tell whether a scorer is the estimator's own ``score`` method."""
    return isinstance(scorer, _PassthroughScorer)


def score_settings() -> dict[str, Any]:
    """Give the scikit-learn settings that are not at their default and matter."""
    config = sklearn.get_config()
    return {
        name: config[name]
        for name, default in _SCORE_SETTINGS.items()
        if config.get(name, default) != default
    }


# ---------------------------------------------------------------------------
# Running a fold, in the worker


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


def shared_context(call: FoldCall) -> dict[str, Any]:
    """Give what the worker needs once per search to run its folds."""
    return {
        "function": call.function,
        "estimator": call.estimator,
        "X": call.X,
        "y": call.y,
        "shared": call.shared,
        "callback_ctx": _without_siblings(call.callback_ctx),
        "caller": _portable_caller(call),
    }


def run_fold(
    context: dict[str, Any],
    split: tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]],
    parameters: dict[str, Any],
    progress: tuple[int, int, int, int],
    task_position: int | None,
) -> tuple[dict[str, Any], list[str]]:
    """Run one fold; give scikit-learn's result and the scorers that failed."""
    kwargs = dict(context["shared"])
    error_score = kwargs["error_score"]
    if isinstance(error_score, numbers.Real):
        kwargs["error_score"] = _ErrorScore(error_score)
    split_index, n_splits, candidate_index, n_candidates = progress
    if context["callback_ctx"] is not None:
        kwargs["callback_ctx"] = _sibling(context["callback_ctx"], task_position)
    if context["caller"] is not None:
        kwargs["caller"] = _stand_in(*context["caller"])
    result = context["function"](
        clone(context["estimator"]),
        context["X"],
        context["y"],
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


# ---------------------------------------------------------------------------
# Results that no worker made, in the parent


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


# ---------------------------------------------------------------------------
# Callbacks (scikit-learn 1.9)


def _without_siblings(context: Any) -> Any:
    """Copy a callback context and its ancestors, without all other tasks.

    A context reaches the contexts of all folds through its parent; sending those
    with every fold would cost the square of their number.
    """
    if context is None:
        return None
    leaf = copy.copy(context)
    leaf._children_map = {}
    node = leaf
    while node.parent is not None:
        parent = copy.copy(node.parent)
        parent._children_map = {node.task_id: node}
        node.parent = parent
        node = parent
    return leaf


def _sibling(prototype: Any, task_id: int | None) -> Any:
    """Make the context of another fold from the one that was sent."""
    context = copy.copy(prototype)
    context.task_id = task_id
    context._children_map = {}
    context.parent._children_map = {task_id: context}
    return context


# Searches whose callbacks run in workers, by a number that stands for them there.
_callers: weakref.WeakValueDictionary[tuple[int, int], Any] = (
    weakref.WeakValueDictionary()
)


def _portable_caller(call: FoldCall) -> Any:
    """Give the search to callbacks in workers, without what may not travel."""
    if not is_watched(call):
        return None
    token = os.getpid(), id(call.caller)
    _callers[token] = call.caller
    caller = copy.copy(call.caller)
    # May be a generator of splits. The splits travel by themselves.
    caller.cv = None
    return caller, token


def _stand_in(caller: Any, token: tuple[int, int]) -> Any:
    """Make a search that turns into the parent's own when it is sent back there."""
    cls = type(caller)
    stand_in = copy.copy(caller)
    stand_in.__class__ = type(
        cls.__name__,
        (cls,),
        {"__reduce_ex__": lambda _self, _protocol: (_caller_of, (token,))},
    )
    return stand_in


def _caller_of(token: tuple[int, int]) -> Any:
    return _callers.get(token)


def task_position(call: FoldCall) -> int | None:
    """Give the position of a fold among the callback tasks of its search."""
    return None if call.callback_ctx is None else call.callback_ctx.task_id


def is_watched(call: FoldCall) -> bool:
    """Tell whether callbacks follow a fold."""
    return call.callback_ctx is not None and bool(call.callback_ctx._callbacks)


def pass_callbacks(call: FoldCall) -> None:
    """Begin and end the callback context of a fold that does not have to run."""
    if not is_watched(call):
        return

    def train_part(position: int) -> Any:
        if call.y is None and position == 1:
            return None
        return _safe_split(call.estimator, call.X, call.y, call.train)[position]

    def metadata() -> dict[str, Any] | None:
        weight = (call.shared.get("fit_params") or {}).get("sample_weight")
        if weight is None:
            return None
        return {"sample_weight": _safe_indexing(weight, call.train)}

    # Functions: scikit-learn calls those that a callback asks for, and no others.
    data = {
        "X": lambda: train_part(0),
        "y": lambda: train_part(1),
        "metadata": metadata,
    }
    context = call.callback_ctx
    context.call_on_fit_task_begin(estimator=call.caller, **data)
    context.call_on_fit_task_end(estimator=call.caller, **data)


# ---------------------------------------------------------------------------
# joblib


def resolve_n_jobs(n_jobs: int | None) -> int:
    """Give the number of workers that joblib would use for `n_jobs`."""
    if n_jobs == 0:
        raise ValueError("n_jobs == 0 has no meaning. Give 1 or more, -1 or None.")
    if n_jobs is None:
        return 1
    if n_jobs < 0:
        return max(int(joblib.cpu_count()) + 1 + n_jobs, 1)
    return n_jobs


def thread_limits(backend: ParallelBackendBase, n_workers: int) -> dict[str, str]:
    """Give joblib's environment variables that keep workers off each other's cores.

    What the user has set in the environment wins. TensorFlow has variables of its
    own for the same thing.
    """
    limits: dict[str, str] = backend._prepare_worker_env(n_jobs=n_workers)
    name = "TF_NUM_INTRAOP_THREADS"
    limits[name] = os.environ.get(name, limits["OMP_NUM_THREADS"])
    return limits
