"""One ``fit`` between scikit-learn, which asks for folds, and what runs them.

It looks each fold up in the checkpoint. What is there is the answer; what is not goes
to the executor, is committed when it is finished, all that finished together in one
transaction, and is the answer then. Counters, the time budget and who waits for which
fold are kept here and nowhere else.
"""

import contextlib
import logging
import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._exceptions import WorkerError
from .._executors.base import FoldExecutor
from .._executors.opening import open_executor
from .._executors.tasks import TaskMaker
from .._progress.progress import Progress
from .._progress.tally import texts_of
from .._progress.waiting import said_when_slow
from .._records import (
    FoldOutcome,
    FoldTask,
    LiveWorker,
    RunningTask,
    WorkerSettings,
    WorkerWarning,
)
from .._sklearn_compat.callbacks import is_watched, pass_callbacks
from .._sklearn_compat.calls import FoldCall
from .._sklearn_compat.results import (
    LeftOutResult,
    failed_result,
    left_out_result,
    take_the_shape_of,
)
from .._tensorboard.names import search_name
from .outcome_checks import checked, explained
from .session import PlannedFold, SearchSession
from .stopping import StopWatch

if TYPE_CHECKING:
    from .._tensorboard.search_log import SearchLog  # imports an optional dependency

__all__ = ["Answer", "FitRun"]

_log = logging.getLogger(__name__)

#: Takes the result of a fold.
Answer = Callable[[dict[str, Any]], None]

# What takes long where the data are large: before the first fold.
_KEYING = (
    "Comparing the data, the estimator and your code with what is in the checkpoint."
)


@dataclass
class _SentFold:
    """A fold that the executor has, and all who wait for its result."""

    fold: PlannedFold
    waiting: list[tuple[Answer, FoldCall]] = field(default_factory=list)


class FitRun:
    """Runs the folds of one search, those that are not in its checkpoint.

    Parameters
    ----------
    session : SearchSession
        The checkpoint as this search sees it.
    verbose : int
        0: no progress.
    metric : str
        Name of the scorer that progress reports the best of.
    settings : WorkerSettings
        How folds are run.
    stop : StopWatch
        Knows whether the search is to stop.

    Attributes
    ----------
    log : SearchLog or None
        Writes what TensorBoard shows. To be set before the first fold.
    """

    def __init__(
        self,
        session: SearchSession,
        *,
        verbose: int,
        metric: str,
        settings: WorkerSettings,
        stop: StopWatch,
    ) -> None:
        self._stop = stop
        self._begun = time.monotonic()
        self._is_used_up = self._is_aborted = False
        self._left_out: list[LeftOutResult] = []
        self._a_result: dict[str, Any] | None = None
        self._session = session
        self._verbose = verbose
        self._metric = metric
        self._settings = settings
        self._n_workers = 1
        self._environment: Mapping[str, str] = {}
        self._progress: Progress | None = None
        self._executor: FoldExecutor | None = None
        self._tasks = TaskMaker(settings.save_epochs)
        self.log: SearchLog | None = None
        self._sent: dict[int, _SentFold] = {}
        self._task_by_key: dict[str, int] = {}
        self._watched_keys: set[str] = set()
        self._keys_run: set[str] = set()
        self._n_tasks = 0
        self._error: BaseException | None = None
        self._warnings: list[WorkerWarning] = []
        self._warning_registry: dict[Any, Any] = {}

    def use_workers(self, n_workers: int, environment: Mapping[str, str]) -> None:
        """Set how many folds run at a time, and what is in their environment."""
        self._n_workers, self._environment = n_workers, environment

    def ask(self, calls: Sequence[FoldCall], answers: Sequence[Answer]) -> None:
        """Look folds up: answer what is there, and send what is not."""
        if self._stop.is_requested():
            self._wind_down()
        self._expect(calls[0])
        with said_when_slow(_KEYING, self._verbose):
            planned = self._session.plan(calls)
        if self.log is not None:
            self.log.begin(search_name(calls[0].estimator, self._session.same_folds))
        for answer, fold in zip(answers, planned, strict=True):
            if fold.result is not None and not self._must_run_again(fold):
                # The same candidate may come twice: then it was run by this fit.
                resumed = fold.key not in self._keys_run
                self._session.n_resumed += resumed
                pass_callbacks(fold.call)
                self._deliver(answer, fold.call, fold.result, resumed=resumed)
            else:
                self._send(fold, answer)
        if self._executor is not None:
            self._executor.feed()
        self._show()

    def collect(self) -> None:
        """Take what has finished, commit it, then answer; wait for the first."""
        self._wait(self._seconds_left())
        if self._stop.is_requested():
            self._wind_down()
        if self._is_late():
            self._ready_executor().cancel_queued()
        self._show()
        self._raise_warnings()

    def raise_error(self) -> None:
        """Raise what a fold has raised with ``error_score="raise"``."""
        if self._error is not None:
            raise self._error

    def end_round(self) -> None:
        """Take note that all answers of a call of ``evaluate_candidates`` are there."""
        if self._a_result is not None:
            for left_out in self._left_out:
                take_the_shape_of(left_out, self._a_result)
        if self._progress is not None:
            self._progress.end_round()
        if self._session.n_resumed:
            _log.info("Folds resumed from the checkpoint: %d", self._session.n_resumed)

    def abort(self) -> None:
        """End the workers: something was raised, or the user wants to stop."""
        self._is_aborted = True
        if self._executor is not None:
            self._executor.close(now=True)
        self._sent.clear()
        self._task_by_key.clear()

    def close(self) -> None:
        """Let go of workers (they may rest for the next fit) and data."""
        if self._executor is not None:
            self._executor.close(now=False)
            self._executor = None
        self._tasks.close()
        if self._progress is not None:
            progress, self._progress = self._progress, None
            progress.close()
            state = "stopped" if self._is_aborted else "finished"
            now = self._session.resumption()
            counts = now.n_resumed, now.n_run, now.n_failed
            _log.info("Search %s: %d resumed, %d run, %d failed", state, *counts)

    # ------------------------------------------------------------------
    # What somebody sees

    def _expect(self, call: FoldCall) -> None:
        if self._progress is None:
            self._progress = Progress(
                self._verbose, self._n_workers, self._metric, self._session.tell
            )
        self._progress.expect(call.n_candidates * call.n_splits)

    def _show(self) -> None:
        """Show how far the search is, if it is time to."""
        if self._progress is not None and self._progress.is_due:
            self._progress.show(self._live_workers())

    def _live_workers(self) -> list[LiveWorker]:
        running = [] if self._executor is None else self._executor.running()
        return [self._live_worker(task) for task in running]

    def _live_worker(self, task: RunningTask) -> LiveWorker:
        fields: dict[str, Any] = {"number": task.number, "pid": task.pid}
        fields["device"] = task.device
        if task.task_id is None:
            return LiveWorker(**fields)
        fold = self._sent[task.task_id].fold
        return LiveWorker(
            **fields,
            candidate=fold.position,
            parameters=texts_of(fold.call.parameters),
            split=fold.call.split,
            attempt=task.attempt,
            started=task.started,
            epoch=task.epoch,
            n_epochs=task.n_epochs,
            epoch_seconds=task.epoch_seconds,
        )

    def _raise_warnings(self) -> None:
        """Raise the workers' warnings here, where filters and tests see them."""
        caught, self._warnings = self._warnings, []
        for warning in caught:
            warnings.warn_explicit(
                warning.message,
                type(warning.message),
                warning.filename,
                warning.lineno,
                registry=self._warning_registry,
            )

    # ------------------------------------------------------------------
    # To the executor and back

    def _must_run_again(self, fold: PlannedFold) -> bool:
        """Return whether callbacks wait for a fold that this very fit has finished.

        A candidate that was drawn twice runs twice in scikit-learn, and callbacks
        count on that.
        """
        if not is_watched(fold.call):
            return False
        return fold.key in self._watched_keys

    def _send(self, fold: PlannedFold, answer: Answer) -> None:
        if self._is_late():
            self._leave_out(answer, fold.call)
            return
        task_id = self._task_by_key.get(fold.key)
        # The same candidate may come twice. It runs once, unless callbacks count.
        if is_watched(fold.call):
            self._watched_keys.add(fold.key)
            task_id = None
        if task_id is None:
            task_id = self._task_by_key[fold.key] = self._n_tasks
            self._n_tasks += 1
            self._sent[task_id] = _SentFold(fold)
            self._ready_executor().submit(self._task(task_id, fold))
        self._sent[task_id].waiting.append((answer, fold.call))

    def _ready_executor(self) -> FoldExecutor:
        if self._executor is None:
            self._executor = open_executor(
                self._settings, self._n_workers, self._environment, self._in_fold
            )
        return self._executor

    def _in_fold(self) -> contextlib.AbstractContextManager[object]:
        """Return what holds while a fold runs in this process."""
        if self._settings.grace_period:
            return contextlib.nullcontext()
        return self._stop.at_once()

    def _task(self, task_id: int, fold: PlannedFold) -> FoldTask:
        call = fold.call
        directory = self._session.folders.expect(fold.key)
        curves = None
        if self.log is not None:
            curves = self.log.curves(call.parameters, call.split)
        seed = self._session.seed_of(fold.key)
        return self._tasks.task(task_id, call, fold.split_key, directory, curves, seed)

    def _wait(self, timeout: float | None) -> None:
        """Wait for finished folds, no longer than until there is something to show."""
        pause = math.inf if self._progress is None else self._progress.pause
        timeout = pause if timeout is None else min(timeout, pause)
        self._take(self._ready_executor().wait(timeout, self._stop.sources()))

    def _take(self, finished: list[FoldOutcome]) -> None:
        outcomes = [
            (sent, explained(checked(outcome), sent.fold.call))
            for outcome in finished
            if (sent := self._sent[outcome.task_id])
        ]
        self._session.save([(sent.fold, outcome) for sent, outcome in outcomes])
        for sent, outcome in outcomes:
            self._finish(sent, outcome)

    def _finish(self, sent: _SentFold, outcome: FoldOutcome) -> None:
        del self._sent[outcome.task_id]
        self._task_by_key.pop(sent.fold.key, None)
        self._keys_run.add(sent.fold.key)
        self._warnings.extend(outcome.warnings)
        for answer, call in sent.waiting:
            if outcome.cancelled:
                self._leave_out(answer, call)
                continue
            result = outcome.result
            if result is None:
                if outcome.died is None or call.error_score == "raise":
                    self._error = self._error or outcome.error
                    continue
                result = failed_result(call, outcome.died)
            elif outcome.failure is None:
                result = self._session.merged(sent.fold, result)
            failed = outcome.failure is not None or outcome.died is not None
            if failed:
                reason = (
                    (outcome.died or outcome.failure or "").strip().splitlines()[-1]
                )
                where = sent.fold.position, call.split
                _log.warning("Candidate %d failed on split %d: %s", *where, reason)
            self._deliver(answer, call, result, failed=failed)

    def _deliver(
        self,
        answer: Answer,
        call: FoldCall,
        result: dict[str, Any],
        *,
        resumed: bool = False,
        failed: bool = False,
    ) -> None:
        answer(result)
        if not failed:
            self._a_result = result
        if self._progress is not None:
            self._progress.count(call, None if failed else result, resumed=resumed)
        if self.log is not None:
            self.log.count(
                call.parameters,
                call.candidate,
                call.split,
                call.n_splits,
                result,
                failed=failed,
            )

    # ------------------------------------------------------------------
    # The end before the end

    def _seconds_left(self) -> float | None:
        budget = self._settings.time_budget
        if budget is None or self._is_used_up:
            return None
        return max(0.0, self._begun + budget - time.monotonic())

    def _is_late(self) -> bool:
        """Return whether the time budget is used up."""
        self._is_used_up |= self._seconds_left() == 0.0
        return self._is_used_up

    def _leave_out(self, answer: Answer, call: FoldCall) -> None:
        """Answer with a stand-in for a fold that is not going to run."""
        result = left_out_result(call)
        self._left_out.append(result)
        self._session.n_left_out += 1
        pass_callbacks(call)
        answer(result)

    def _wind_down(self) -> None:
        """Let folds that run come to their end, in the time they have; then stop."""
        if self._executor is not None:
            end = time.monotonic() + self._settings.grace_period
            self._executor.cancel_queued()
            with contextlib.suppress(WorkerError):
                while self._executor.n_unfinished:
                    left = 0.0 if self._stop.is_urgent else end - time.monotonic()
                    self._wait(max(0.0, left))
                    self._show()
                    if left <= 0:
                        break
                    self._stop.is_requested()
        raise KeyboardInterrupt  # `fit` says what has happened
