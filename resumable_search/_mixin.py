"""What makes a search of scikit-learn resumable."""

import contextlib
import numbers
import os
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Self

from joblib import parallel_config
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from . import _folds
from ._backend import CheckpointBackend
from ._folds import RunningFold
from ._frameworks.hooks import save_epochs
from ._keras.foreign_wrappers import check_estimator
from ._random_states import RecordedSplitter, is_unseeded, recorded_state
from ._records import Resumption, WorkerSettings
from ._session import SearchSession

__all__ = ["ResumableSearchMixin"]


@dataclass
class _RunningFit:
    """A ``fit`` on its way from the seam to the refit."""

    search: Any
    session: SearchSession
    backend: CheckpointBackend
    seam: parallel_config
    until_end: contextlib.ExitStack

    def enter_refit(self) -> None:
        """Let the refit go on from where it was killed, as folds do."""
        search, session = self.search, self.session
        fold = RunningFold(
            lambda: session.refit_folder(search.best_params_), search.save_epochs
        )
        if search.save_epochs is not None:
            save_epochs()
        self.until_end.enter_context(_folds.refit(fold))
        self.until_end.push(lambda *raised: _end_refit(search, session, raised))


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
        "devices": [StrOptions({"auto"}), list, tuple, None],
        "gpu_memory": [Interval(numbers.Real, 0, 1, closed="right")],
        "mps": [StrOptions({"off", "auto", "on"})],
        "save_epochs": [Interval(numbers.Integral, 1, None, closed="left"), None],
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
        DeviceError
            If ``devices`` names a GPU that is not there, or the workers' shares of
            one are too small.
        CheckpointError
            If the checkpoint cannot be used: it is no checkpoint, is damaged or too
            new, cannot be written, or another process is running the same search.
        TypeError
            If the estimator is a wrapper of Keras models of another library that
            scikit-learn would train or split wrongly without a word.
        FingerprintError
            If something that a score depends on cannot be given a sound key.
        WorkerDiedError
            If a worker dies more than ``max_retries`` times in the same fold and
            ``error_score="raise"``.
        """
        check_estimator(self.estimator, self.cv)  # type: ignore[attr-defined]
        metric = _compared_metric(self.refit)  # type: ignore[attr-defined]
        session = SearchSession(self, X, y, self.checkpoint, metric)  # type: ignore[attr-defined]
        backend = CheckpointBackend(
            session,
            verbose=self.verbose,  # type: ignore[attr-defined]
            metric=metric,
            settings=_settings(self),
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
        running.enter_refit()


@contextlib.contextmanager
def _seam(
    search: Any, session: SearchSession, backend: CheckpointBackend
) -> Iterator[None]:
    seam = parallel_config(backend=backend)
    with contextlib.ExitStack() as until_end:
        token = _running_fit.set(_RunningFit(search, session, backend, seam, until_end))
        try:
            yield
        finally:
            seam.unregister()
            _running_fit.reset(token)
            backend.close()
            session.close()


def _end_refit(search: Any, session: SearchSession, raised: tuple[Any, ...]) -> None:
    """Remove the files of a refit, unless it was stopped and can go on from them."""
    stopped = raised[0] is not None and not issubclass(raised[0], Exception)
    if not stopped and hasattr(search, "best_params_"):
        session.folders.remove_now(session.refit_folder(search.best_params_))


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


def _settings(search: Any) -> WorkerSettings:
    return WorkerSettings(
        devices=search.devices,
        gpu_memory=search.gpu_memory,
        mps=search.mps,
        max_retries=search.max_retries,
        save_epochs=search.save_epochs,
    )
