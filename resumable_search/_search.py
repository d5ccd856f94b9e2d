"""The search classes: scikit-learn's, over a checkpointing pool of workers."""

import contextlib
import numbers
import os
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from ._backend import CheckpointBackend
from ._random_states import RecordedSplitter, is_unseeded, recorded_state
from ._records import Resumption
from ._session import SearchSession

__all__ = ["ResumableGridSearchCV", "ResumableRandomizedSearchCV"]


@dataclass
class _RunningFit:
    """A ``fit`` on its way from the seam to the search."""

    search: Any
    session: SearchSession
    backend: CheckpointBackend
    seam: parallel_config


# The innermost fit of this thread.
_running_fit: ContextVar[_RunningFit | None] = ContextVar("running_fit", default=None)


class ResumableSearchMixin:
    """Makes a search of scikit-learn resumable. Comes before it in the bases.

    ``fit`` puts a joblib backend under scikit-learn's own ``fit``, which hands each
    (candidate, split) to it; ``_run_search`` takes it away again as soon as
    scikit-learn holds it, so that the refit and the estimators see the user's.
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's
        "checkpoint": [str, os.PathLike, None],
        "max_retries": [Interval(numbers.Integral, 0, None, closed="left")],
    }

    _resumption: Resumption

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:
        """Run the folds that the checkpoint does not have, then refit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, n_samples)
            Training data, or a kernel or distance matrix for estimators that take
            one.

        y : array-like of shape (n_samples,) or (n_samples, n_output), default=None
            Target; None for unsupervised learning.

        **params : dict of str -> object
            Passed to the ``fit`` of the estimator, to the scorer and to the
            splitter, as in scikit-learn.

        Returns
        -------
        self : object
            The fitted search.

        Raises
        ------
        CheckpointError
            If the checkpoint cannot be used: it is no checkpoint, is damaged or too
            new, cannot be written, or another process is running the same search.
        FingerprintError
            If something that a score depends on cannot be given a sound key.
        WorkerDiedError
            If a worker dies more than ``max_retries`` times in the same fold and
            ``error_score="raise"``.
        """
        session = SearchSession(self, X, y, self.checkpoint)  # type: ignore[attr-defined]
        backend = CheckpointBackend(
            session,
            verbose=self.verbose,  # type: ignore[attr-defined]
            metric=_compared_metric(self.refit),  # type: ignore[attr-defined]
            max_retries=self.max_retries,  # type: ignore[attr-defined]
        )
        with _seam(self, session, backend), _recorded_splits(self, session):
            super().fit(X, y, **params)  # type: ignore[misc]
        self._resumption = session.resumption()
        return self

    @property
    def resumption(self) -> Resumption:
        """What the last ``fit`` found in the checkpoint and what it ran.

        An object with the attributes ``checkpoint`` (the file), ``n_resumed``,
        ``n_run`` and ``n_failed`` (numbers of folds).
        """
        check_is_fitted(self, "_resumption")
        return self._resumption

    def _run_search(
        self, evaluate_candidates: Any, *, callback_ctx: Any = None
    ) -> None:
        running = _running_fit.get()
        assert running is not None
        running.seam.unregister()
        running.session.open()
        # Only scikit-learn 1.9 and later has such a context.
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        try:
            with _recorded_candidates(self, running.session):
                super()._run_search(evaluate_candidates, **context)  # type: ignore[misc]
        finally:
            # Before the refit: workers that hold a GPU are gone, and the search is
            # free for others.
            running.backend.close()
            running.session.close()


@contextlib.contextmanager
def _seam(
    search: Any, session: SearchSession, backend: CheckpointBackend
) -> Iterator[None]:
    seam = parallel_config(backend=backend)
    token = _running_fit.set(_RunningFit(search, session, backend, seam))
    try:
        yield
    finally:
        seam.unregister()
        _running_fit.reset(token)
        backend.close()
        session.close()


@contextlib.contextmanager
def _recorded_splits(search: Any, session: SearchSession) -> Iterator[None]:
    """Have an unseeded splitter split as it did when the search first ran."""
    cv = search.cv
    if not is_unseeded(cv):
        yield
        return
    search.cv = RecordedSplitter(
        cv, lambda state: session.recall_random_state("cv", cv, state)
    )
    try:
        yield
    finally:
        search.cv = cv


@contextlib.contextmanager
def _recorded_candidates(search: Any, session: SearchSession) -> Iterator[None]:
    """Have an unseeded sampler draw as it did when the search first ran."""
    if getattr(search, "random_state", 0) is not None:
        yield
        return
    # Without the number of candidates: a larger one goes on with the same draws.
    source = {k: v for k, v in session.space().items() if k != "n_iter"}
    search.random_state = recorded_state(
        lambda state: session.recall_random_state("sampler", source, state)
    )
    try:
        yield
    finally:
        search.random_state = None


def _compared_metric(refit: Any) -> str:
    return refit if isinstance(refit, str) else "score"


class ResumableGridSearchCV(ResumableSearchMixin, GridSearchCV):  # type: ignore[misc]
    """Grid search that survives a kill.

    A `sklearn.model_selection.GridSearchCV` that runs each fold in a worker process
    and keeps its scores in a checkpoint. Calling the same ``fit`` again, in this
    process or after a crash in a new one, runs only the folds that are not there.

    Parameters
    ----------
    estimator : estimator object
        As in scikit-learn.

    param_grid : dict or list of dict
        As in scikit-learn. A grid that has grown runs what is new.

    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn.

    n_jobs : int, default=None
        Number of folds that run at a time, each in a worker process of its own.
        ``None`` means 1 unless in a :obj:`joblib.parallel_config` context; ``-1``
        means all cores. Each worker gets an equal share of the cores for the
        threads of numerical libraries.

    refit : bool, str, or callable, default=True
        As in scikit-learn. The refit runs in this process.

    cv : int, cross-validation generator or an iterable, default=None
        As in scikit-learn. The state from which an unseeded splitter draws is
        kept, so that a repeated ``fit`` has the same splits.

    verbose : int, default=0
        As in scikit-learn. From 1 on, progress is printed every few seconds.

    pre_dispatch : int or str, default='2*n_jobs'
        As in scikit-learn. Of little effect: data goes to the workers only once.

    error_score : 'raise' or numeric, default=np.nan
        As in scikit-learn; also for a fold whose worker died. A failed fold is
        not finished: the next ``fit`` tries it again.

    return_train_score : bool, default=False
        As in scikit-learn.

    checkpoint : str or path-like, default=None
        File in which the scores are kept; it can hold many searches. ``None``
        means the environment variable ``RESUMABLE_SEARCH_CHECKPOINT``, else
        ``.resumable_search/checkpoint.sqlite`` in the current directory.

    max_retries : int, default=1
        How often a fold is tried again when its worker process died.

    Attributes
    ----------
    cv_results_ : dict of numpy (masked) ndarrays
        As scikit-learn would have computed it; the times of a resumed fold are
        those of the run that computed it.

    resumption : Resumption
        What ``fit`` found in the checkpoint and what it ran: ``checkpoint`` (the
        file), ``n_resumed``, ``n_run`` and ``n_failed`` (numbers of folds).

    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in scikit-learn.

    See Also
    --------
    ResumableRandomizedSearchCV : The same for sampled candidates.
    sklearn.model_selection.GridSearchCV : What this is in all other respects.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from resumable_search import ResumableGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = ResumableGridSearchCV(SVC(), {"C": [1, 10]}, cv=3)
    >>> search.fit(X, y).best_params_
    {'C': 10}
    >>> search.fit(X, y).resumption.n_resumed  # nothing is computed twice
    6
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's
        **GridSearchCV._parameter_constraints,
        **ResumableSearchMixin._parameter_constraints,
    }

    def __init__(
        self,
        estimator: Any,
        param_grid: Any,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        max_retries: int = 1,
    ) -> None:
        super().__init__(
            estimator=estimator,
            param_grid=param_grid,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.checkpoint = checkpoint
        self.max_retries = max_retries


class ResumableRandomizedSearchCV(
    ResumableSearchMixin,
    RandomizedSearchCV,  # type: ignore[misc]
):
    """Randomized search that survives a kill.

    A `sklearn.model_selection.RandomizedSearchCV` that runs each fold in a worker
    process and keeps its scores in a checkpoint. Calling the same ``fit`` again, in
    this process or after a crash in a new one, runs only the folds that are not
    there.

    Parameters
    ----------
    estimator : estimator object
        As in scikit-learn.

    param_distributions : dict or list of dict
        As in scikit-learn.

    n_iter : int, default=10
        Number of candidates in all, those in the checkpoint included. Where at
        least one parameter has a distribution, a larger number begins with the
        same candidates; where all have lists, scikit-learn draws others.

    scoring : str, callable, list, tuple or dict, default=None
        As in scikit-learn.

    n_jobs : int, default=None
        Number of folds that run at a time, each in a worker process of its own.
        ``None`` means 1 unless in a :obj:`joblib.parallel_config` context; ``-1``
        means all cores. Each worker gets an equal share of the cores for the
        threads of numerical libraries.

    refit : bool, str, or callable, default=True
        As in scikit-learn. The refit runs in this process.

    cv : int, cross-validation generator or an iterable, default=None
        As in scikit-learn. The state from which an unseeded splitter draws is
        kept, so that a repeated ``fit`` has the same splits.

    verbose : int, default=0
        As in scikit-learn. From 1 on, progress is printed every few seconds.

    pre_dispatch : int or str, default='2*n_jobs'
        As in scikit-learn. Of little effect: data goes to the workers only once.

    random_state : int, RandomState instance or None, default=None
        As in scikit-learn. With None, the state from which candidates are drawn
        is kept, so that a repeated ``fit`` has the same candidates.

    error_score : 'raise' or numeric, default=np.nan
        As in scikit-learn; also for a fold whose worker died. A failed fold is
        not finished: the next ``fit`` tries it again.

    return_train_score : bool, default=False
        As in scikit-learn.

    checkpoint : str or path-like, default=None
        File in which the scores are kept; it can hold many searches. ``None``
        means the environment variable ``RESUMABLE_SEARCH_CHECKPOINT``, else
        ``.resumable_search/checkpoint.sqlite`` in the current directory.

    max_retries : int, default=1
        How often a fold is tried again when its worker process died.

    Attributes
    ----------
    cv_results_ : dict of numpy (masked) ndarrays
        As scikit-learn would have computed it; the times of a resumed fold are
        those of the run that computed it.

    resumption : Resumption
        What ``fit`` found in the checkpoint and what it ran: ``checkpoint`` (the
        file), ``n_resumed``, ``n_run`` and ``n_failed`` (numbers of folds).

    best_estimator_, best_score_, best_params_, best_index_, scorer_, n_splits_, \
refit_time_, multimetric_, classes_, n_features_in_, feature_names_in_
        As in scikit-learn.

    See Also
    --------
    ResumableGridSearchCV : The same for a grid of candidates.
    sklearn.model_selection.RandomizedSearchCV : What this is in all other respects.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from resumable_search import ResumableRandomizedSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = ResumableRandomizedSearchCV(
    ...     SVC(), {"C": loguniform(1e-2, 1e2)}, n_iter=4, cv=3, random_state=0
    ... )
    >>> search.fit(X, y).resumption.n_run
    12
    >>> search.set_params(n_iter=6).fit(X, y).resumption.n_resumed
    12
    """

    _parameter_constraints: dict[str, list[Any]] = {  # noqa: RUF012 - scikit-learn's
        **RandomizedSearchCV._parameter_constraints,
        **ResumableSearchMixin._parameter_constraints,
    }

    def __init__(
        self,
        estimator: Any,
        param_distributions: Any,
        *,
        n_iter: int = 10,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        random_state: Any = None,
        error_score: Any = np.nan,
        return_train_score: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        max_retries: int = 1,
    ) -> None:
        super().__init__(
            estimator=estimator,
            param_distributions=param_distributions,
            n_iter=n_iter,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            random_state=random_state,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.checkpoint = checkpoint
        self.max_retries = max_retries
