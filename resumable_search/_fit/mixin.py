"""What makes a search of scikit-learn resumable."""

import contextlib
import functools
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

from joblib import parallel_config
from joblib.parallel import FallbackToBackend, get_active_backend
from sklearn.utils.validation import check_is_fitted

from .. import _folds
from .._exceptions import (
    CheckpointError,
    SearchInterrupted,
    TimeBudgetError,
    TimeBudgetWarning,
)
from .._folds import RunningFold
from .._frameworks.hooks import save_epochs
from .._keras.foreign_wrappers import check_estimator
from .._keys.fingerprint import imports_noted
from .._progress.lines import say
from .._records import Resumption
from .._results import no_results, read_results
from .._sklearn_compat.calls import is_entered_by, is_run_by_library
from .._sklearn_compat.results import complete_candidates, raise_if_all_failed
from .._tensorboard import ready_logdir
from .joblib_backend import CheckpointBackend
from .options import OPTION_CONSTRAINTS, SearchOptions, worker_settings
from .random_states import RecordedSplitter, is_unseeded, recorded_state
from .run import FitRun
from .session import SearchSession
from .stopping import StopWatch

__all__ = ["ResumableSearchMixin"]


@dataclass
class _RunningFit:
    """A ``fit`` on its way from the seam to the refit."""

    search: Any
    session: SearchSession
    run: FitRun
    stop: StopWatch
    until_end: contextlib.ExitStack

    def around(self, run_search: Callable[..., None]) -> Callable[..., None]:
        """Return a method that opens what the folds need, and closes it after them.

        It has the signature of the search's own, which scikit-learn looks at.
        """

        @functools.wraps(run_search)
        def run(evaluate_candidates: Any, **context: Any) -> None:
            search, session = self.search, self.session
            session.open()
            if search.tensorboard is not None:
                evaluate_candidates = self.start_log(evaluate_candidates)
            try:
                with self.stop, _recorded_candidates(search, session):
                    run_search(evaluate_candidates, **context)
                if self.stop.n_requests:  # since it was looked at last
                    raise KeyboardInterrupt
            finally:
                # Before the refit: workers that hold a GPU are gone, and the search
                # is free for others.
                self.run.close()
                session.close()
            if search.verbose and (text := session.reuse_text()):
                say(f"[resumable_search] {text}")
            if session.n_left_out:
                _warn_of_left_out(search, session)
            self.enter_refit()

        return run

    def start_log(self, evaluate_candidates: Callable[..., Any]) -> Callable[..., Any]:
        """Have all candidates and folds written down for TensorBoard."""
        logdir = ready_logdir(self.search.tensorboard)
        from .._tensorboard.search_log import SearchLog  # an optional dependency

        log = self.run.log = SearchLog(logdir)

        def announce(candidates: Any, *args: Any, **kwargs: Any) -> Any:
            candidates = list(candidates)
            log.announce(candidates)
            return evaluate_candidates(candidates, *args, **kwargs)

        return announce

    def enter_refit(self) -> None:
        """Let the refit go on from where it was killed, as folds do."""
        search, session, log = self.search, self.session, self.run.log
        watchers = []
        if log is not None:
            from .._tensorboard.curves import FoldCurves  # likewise

            watchers.append(FoldCurves(lambda: log.refit_curves(search.best_params_)))
        fold = RunningFold(
            lambda: session.refit_folder(search.best_params_),
            search.save_epochs,
            watchers,
        )
        if search.save_epochs is not None or watchers:
            save_epochs()
        if search.verbose and search.refit:
            say("[resumable_search] Now the best candidate is refitted.")
        self.until_end.enter_context(_folds.refit(fold))
        self.until_end.push(lambda *raised: _end_refit(search, session, raised))


class ResumableSearchMixin(SearchOptions):
    """Makes a search of scikit-learn resumable. Comes before it in the bases.

    ``fit`` puts a joblib backend under scikit-learn's own ``fit``, which hands each
    (candidate, split) to it. As soon as scikit-learn holds it, all else sees the user's
    backend again: splitters, estimators, the refit. What belongs before and after the
    folds goes around ``_run_search``, whichever class it is of.
    """

    _parameter_constraints: dict[str, list[Any]] = OPTION_CONSTRAINTS

    # Of scikit-learn's search, which comes after it in the bases.
    estimator: Any
    scoring: Any
    refit: Any
    cv: Any
    verbose: int
    error_score: Any

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
        ImportError
            If ``tensorboard`` is given and the package is not installed.
        TypeError
            If the estimator is a wrapper of Keras models of another library that
            scikit-learn would train or split wrongly without a word.
        FileNotFoundError
            If a path in ``depends_on`` is not there.
        FingerprintError
            If something that a score depends on cannot be given a sound key.
        ValueError
            If a ``data_key`` was used for data of another shape or type before.
        WorkerDiedError
            If a worker dies more than ``max_retries`` times in the same fold and
            ``error_score="raise"``; or if workers die whatever they run.
        FoldTimeoutError
            If a fold takes longer than ``fold_timeout`` and ``error_score="raise"``.
        TimeBudgetError
            If the ``time_budget`` is used up before any candidate has all its folds.
        SearchInterrupted
            If the search is stopped: by Ctrl-C, SIGTERM, a closed terminal, or
            "quit" and Enter. It is a `KeyboardInterrupt` and has the results so far.
        """
        check_estimator(self.estimator, self.cv)
        metric = _compared_metric(self.refit)
        session = SearchSession(
            self,
            X,
            y,
            self.checkpoint,
            metric,
            is_inner=is_run_by_library(sys._getframe(1)),
        )
        stop = StopWatch(self.verbose)
        run = FitRun(
            session,
            verbose=self.verbose,
            metric=metric,
            settings=worker_settings(self),
            stop=stop,
        )
        try:
            with _seam(self, session, run, stop), _recorded_splits(self, session):
                super().fit(X, y, **params)  # type: ignore[misc]
        except SearchInterrupted:  # of a search inside this one
            raise
        except KeyboardInterrupt:
            # Where this process was when it came is of no interest to anybody.
            raise _interrupted(session, stop) from None
        finally:
            if session.path is not None:
                self._resumption = session.resumption()
        return self

    @property
    def resumption(self) -> Resumption:
        """What the last ``fit`` found in the checkpoint and what it ran.

        An object with the attributes ``checkpoint`` (the file), ``search`` (the
        number of the search in it), ``n_resumed``, ``n_run``, ``n_failed`` and
        ``n_left_out`` (numbers of folds). It is there after a ``fit`` that was
        stopped or has failed, too.
        """
        check_is_fitted(self, "_resumption")
        return self._resumption

    @property
    def partial_results(self) -> dict[str, Any]:
        """What is there of ``cv_results_``, after a ``fit`` that was stopped too.

        As `read_results` gives it: NaN for folds that are not finished, and
        ``n_completed``, the number of finished folds of each candidate.
        """
        resumption = self.resumption
        if resumption.search is None:  # it has not begun
            return no_results()
        results: dict[str, Any] = read_results(
            resumption.checkpoint, search=resumption.search
        )
        return results

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        # Callbacks take a search along while it runs.
        return {k: v for k, v in state.items() if k != "_run_search"}

    def _format_results(
        self,
        candidate_params: list[dict[str, Any]],
        n_splits: int,
        out: list[dict[str, Any]],
        more_results: Any = None,
    ) -> Any:
        """Return the results of the candidates that have all their folds."""
        kept, results, more = complete_candidates(
            candidate_params, n_splits, out, more_results
        )
        if not kept:
            raise TimeBudgetError(
                f"The time budget of {self.time_budget:g} seconds was used up before "
                f"any of the {len(candidate_params)} candidates had all its folds. "
                "What is finished is kept. Raise 'time_budget', or call fit again to "
                "go on."
            )
        if len(kept) < len(candidate_params):
            raise_if_all_failed(results, self.error_score)
        return super()._format_results(kept, n_splits, results, more)  # type: ignore[misc]


@contextlib.contextmanager
def _seam(
    search: Any, session: SearchSession, run: FitRun, stop: StopWatch
) -> Iterator[None]:
    users, _ = get_active_backend()

    def admit(caller: FrameType) -> None:
        if not is_entered_by(search, caller):  # a splitter that counts its splits
            raise FallbackToBackend(users)
        seam.unregister()

    backend = CheckpointBackend(run)
    backend.admit = admit
    with imports_noted(), contextlib.ExitStack() as until_end:
        running = _RunningFit(search, session, run, stop, until_end)
        search._run_search = running.around(search._run_search)
        seam = parallel_config(backend=backend)
        try:
            yield
        finally:
            seam.unregister()
            del search._run_search
            run.close()
            session.close()


def _interrupted(session: SearchSession, stop: StopWatch) -> SearchInterrupted:
    """Say how far the search was, when all is closed and the workers are gone."""
    reason = stop.reason or "an interrupt"
    try:
        view = session.view()
    except CheckpointError:  # whatever is wrong, somebody wants the search to stop
        view = None
    if view is None:
        return SearchInterrupted(
            f"The search was stopped by {reason} before its first fold.",
            reason=reason,
            signum=stop.signum,
            checkpoint=session.path,
        )
    n_done = sum(view.n_completed())
    what = f"{n_done} of {view.n_folds} folds finished"
    if n_done == view.n_folds:
        what = f"all {n_done} folds finished, before the end of its refit"
    return SearchInterrupted(
        f"The search was stopped by {reason} with {what}. "
        f"They are kept in {session.path}. To go on, call the same fit again (run the "
        "script again). This exception's cv_results_ has the results so far.",
        reason=reason,
        signum=stop.signum,
        n_done=n_done,
        n_total=view.n_folds,
        checkpoint=session.path,
        cv_results_=view.results(),
    )


def _warn_of_left_out(search: Any, session: SearchSession) -> None:
    view = session.view()
    assert view is not None
    n_splits = view.search.n_splits
    n_incomplete = sum(n < n_splits for n in view.n_completed())
    warnings.warn(
        f"The time budget of {search.time_budget:g} seconds is used up. "
        f"{n_incomplete} of {len(view.candidates)} candidates do not have all their "
        f"folds and are left out of cv_results_ and of the refit; "
        f"{sum(view.n_completed())} of {view.n_folds} folds are finished. Call fit "
        "again to go on.",
        TimeBudgetWarning,
        stacklevel=2,
    )


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
