"""The joblib backend under scikit-learn's ``fit``: hits answered, misses run.

::

    scikit-learn                 CheckpointBackend                  FoldExecutor
    Parallel(...)  --batch-->  submit: look folds up
                                 found: ready --+
                                 new: send -----|----- task ------> queue
    next result  <-results--  work_for:         v
                                 take outcomes <------ outcome ---- wait
                                 commit them, all in one transaction
                                 then count them as done
                                 call joblib back, which submits more

All of this runs in the thread that called ``fit``, inside `work_for`. A batch
is joblib's unit of dispatch; folds of a batch go to any worker one by one, and each
is committed when it is finished.
"""

import collections
import contextlib
import logging
import math
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any

from joblib.parallel import BatchedCalls, ParallelBackendBase

from ._exceptions import WorkerError
from ._executors.base import FoldExecutor
from ._executors.opening import open_executor
from ._outcome_checks import checked, explained
from ._progress.progress import Progress
from ._progress.tally import texts_of
from ._progress.waiting import said_when_slow
from ._records import (
    FoldOutcome,
    FoldTask,
    LiveWorker,
    RunningTask,
    WorkerSettings,
    WorkerWarning,
)
from ._session import PlannedFold, SearchSession
from ._sklearn_compat.callbacks import is_watched, pass_callbacks
from ._sklearn_compat.calls import FoldCall, unpack_batch
from ._sklearn_compat.jobs import resolve_n_jobs, thread_limits
from ._sklearn_compat.results import (
    LeftOutResult,
    failed_result,
    left_out_result,
    take_the_shape_of,
)
from ._stopping import StopWatch
from ._tasks import TaskMaker
from ._tensorboard.names import search_name

if TYPE_CHECKING:
    from ._tensorboard.search_log import SearchLog  # imports an optional dependency

__all__ = ["CheckpointBackend"]

_log = logging.getLogger(__name__)

#: Folds that joblib hands over at once. Large enough that joblib's own cost per
#: batch does not matter, small beside any search for which memory does.
_BATCH_SIZE = 64

# What takes long where the data are large: before the first fold.
_KEYING = (
    "Comparing the data, the estimator and your code with what is in the checkpoint."
)


@dataclass
class _Batch:
    """A joblib batch: results in order, and what to call when all are there."""

    backend: "CheckpointBackend"
    results: list[dict[str, Any] | None]
    n_missing: int
    callback: Callable[[Any], None] | None

    def get(self) -> list[dict[str, Any] | None]:
        """Work until the batch is complete, and give its results to joblib."""
        self.backend.work_for(self)
        return self.results


@dataclass
class _RunningFold:
    """A fold that was sent, and all the places that wait for its result."""

    fold: PlannedFold
    waiting: list[tuple[_Batch, int, FoldCall]] = field(default_factory=list)


class CheckpointBackend(ParallelBackendBase):  # type: ignore[misc]
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
    admit : callable
        Gets the frame from which joblib configures this backend. Raises joblib's
        ``FallbackToBackend`` unless it is the search's own.
    """

    # Results are taken in the thread that called fit: there they are committed,
    # warnings are raised again and a Ctrl-C arrives.
    supports_retrieve_callback = False
    default_n_jobs = 1

    def __init__(
        self,
        session: SearchSession,
        *,
        verbose: int,
        metric: str,
        settings: WorkerSettings,
        stop: StopWatch,
    ) -> None:
        super().__init__(nesting_level=0)
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
        self._progress: Progress | None = None
        self._executor: FoldExecutor | None = None
        self._tasks = TaskMaker(settings.save_epochs)
        self.log: SearchLog | None = None
        self.admit: Callable[[FrameType], None] = lambda _: None
        self._running: dict[int, _RunningFold] = {}
        self._task_by_key: dict[str, int] = {}
        self._watched_keys: set[str] = set()
        self._keys_run: set[str] = set()
        self._n_tasks = 0
        self._complete: collections.deque[_Batch] = collections.deque()
        self._error: BaseException | None = None
        self._warnings: list[WorkerWarning] = []
        self._warning_registry: dict[Any, Any] = {}

    # ------------------------------------------------------------------
    # What joblib calls

    def configure(self, *args: Any, **kwargs: Any) -> int:
        """Return the number of jobs, for who may use this backend."""
        self.admit(sys._getframe(1))
        return int(super().configure(*args, **kwargs))

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Give the number of jobs, at least two.

        With one, joblib would run the folds itself, in this process. The executor
        enforces the real number.
        """
        self._n_workers = resolve_n_jobs(n_jobs)
        return max(2, self._n_workers)

    def compute_batch_size(self) -> int:
        """Give the number of folds per batch."""
        return _BATCH_SIZE

    def submit(
        self, func: BatchedCalls, callback: Callable[[Any], None] | None = None
    ) -> _Batch:
        """Look the folds of a batch up, and queue those that are not there."""
        if self._stop.is_requested():
            self._wind_down()
        calls = unpack_batch(func)
        batch = _Batch(self, [None] * len(calls), len(calls), callback)
        self._expect(calls[0])
        with said_when_slow(_KEYING, self._verbose):
            planned = self._session.plan(calls)
        if self.log is not None:
            self.log.begin(search_name(calls[0].estimator, self._session.same_folds))
        for position, fold in enumerate(planned):
            if fold.result is not None and not self._must_run_again(fold):
                # The same candidate may come twice: then it was run by this fit.
                resumed = fold.key not in self._keys_run
                self._session.n_resumed += resumed
                pass_callbacks(fold.call)
                self._deliver(batch, position, fold.call, fold.result, resumed=resumed)
            else:
                self._send(fold, batch, position)
        if self._executor is not None:
            self._executor.feed()
        self._show()
        return batch

    # The name before joblib 1.4.
    apply_async = submit

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: ARG002
        """End the workers: something was raised, or the user wants to stop."""
        self._is_aborted = True
        if self._executor is not None:
            self._executor.close(now=True)
        self._running.clear()
        self._task_by_key.clear()
        self._complete.clear()

    def stop_call(self) -> None:
        """Take note that joblib has all the results it asked for in this round."""
        if self._a_result is not None:
            for left_out in self._left_out:
                take_the_shape_of(left_out, self._a_result)
        if self._progress is not None:
            self._progress.end_round()
        if self._session.n_resumed:
            _log.info("Folds resumed from the checkpoint: %d", self._session.n_resumed)

    # ------------------------------------------------------------------

    def work_for(self, batch: _Batch) -> None:
        """Collect finished folds and submit others until a batch is complete."""
        while self._complete or batch.n_missing:
            self._call_back()
            if self._error is not None:
                raise self._error
            if batch.n_missing:
                self._collect()

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
        fold = self._running[task.task_id].fold
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

    def _must_run_again(self, fold: PlannedFold) -> bool:
        """Tell whether callbacks wait for a fold that this very fit has finished.

        A candidate that was drawn twice runs twice in scikit-learn, and callbacks
        count on that.
        """
        if not is_watched(fold.call):
            return False
        return fold.key in self._watched_keys

    def _send(self, fold: PlannedFold, batch: _Batch, position: int) -> None:
        if self._is_late():
            self._leave_out(batch, position, fold.call)
            return
        task_id = self._task_by_key.get(fold.key)
        # The same candidate may come twice. It runs once, unless callbacks count.
        if is_watched(fold.call):
            self._watched_keys.add(fold.key)
            task_id = None
        if task_id is None:
            task_id = self._task_by_key[fold.key] = self._n_tasks
            self._n_tasks += 1
            self._running[task_id] = _RunningFold(fold)
            self._ready_executor().submit(self._task(task_id, fold))
        self._running[task_id].waiting.append((batch, position, fold.call))

    def _ready_executor(self) -> FoldExecutor:
        if self._executor is None:
            self._executor = open_executor(
                self._settings,
                self._n_workers,
                thread_limits(self, self._n_workers),
                self._in_fold,
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

    def _collect(self) -> None:
        """Take what workers have finished, commit it, then count it as done."""
        self._wait(self._seconds_left())
        if self._stop.is_requested():
            self._wind_down()
        if self._is_late():
            self._ready_executor().cancel_queued()
        self._show()
        self._raise_warnings()

    def _wait(self, timeout: float | None) -> None:
        """Wait for finished folds, no longer than until there is something to show."""
        pause = math.inf if self._progress is None else self._progress.pause
        timeout = pause if timeout is None else min(timeout, pause)
        self._take(self._ready_executor().wait(timeout, self._stop.sources()))

    def _take(self, finished: list[FoldOutcome]) -> None:
        outcomes = [
            (running, explained(checked(outcome), running.fold.call))
            for outcome in finished
            if (running := self._running[outcome.task_id])
        ]
        self._session.save([(running.fold, outcome) for running, outcome in outcomes])
        for running, outcome in outcomes:
            self._finish(running, outcome)

    # ------------------------------------------------------------------
    # The end before the end

    def _seconds_left(self) -> float | None:
        budget = self._settings.time_budget
        if budget is None or self._is_used_up:
            return None
        return max(0.0, self._begun + budget - time.monotonic())

    def _is_late(self) -> bool:
        """Tell whether the time budget is used up."""
        self._is_used_up |= self._seconds_left() == 0.0
        return self._is_used_up

    def _leave_out(self, batch: _Batch, position: int, call: FoldCall) -> None:
        """Answer with a stand-in for a fold that is not going to run."""
        result = left_out_result(call)
        self._left_out.append(result)
        self._session.n_left_out += 1
        pass_callbacks(call)
        self._settle(batch, position, result)

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

    # ------------------------------------------------------------------

    def _finish(self, running: _RunningFold, outcome: FoldOutcome) -> None:
        del self._running[outcome.task_id]
        self._task_by_key.pop(running.fold.key, None)
        self._keys_run.add(running.fold.key)
        self._warnings.extend(outcome.warnings)
        for batch, position, call in running.waiting:
            if outcome.cancelled:
                self._leave_out(batch, position, call)
                continue
            result = outcome.result
            if result is None:
                if outcome.died is None or call.error_score == "raise":
                    self._error = self._error or outcome.error
                    continue
                result = failed_result(call, outcome.died)
            elif outcome.failure is None:
                result = self._session.merged(running.fold, result)
            failed = outcome.failure is not None or outcome.died is not None
            if failed:
                reason = (
                    (outcome.died or outcome.failure or "").strip().splitlines()[-1]
                )
                where = running.fold.position, call.split
                _log.warning("Candidate %d failed on split %d: %s", *where, reason)
            self._deliver(batch, position, call, result, failed=failed)

    def _deliver(
        self,
        batch: _Batch,
        position: int,
        call: FoldCall,
        result: dict[str, Any],
        *,
        resumed: bool = False,
        failed: bool = False,
    ) -> None:
        self._settle(batch, position, result)
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

    def _settle(self, batch: _Batch, position: int, result: dict[str, Any]) -> None:
        batch.results[position] = result
        batch.n_missing -= 1
        if not batch.n_missing:
            self._complete.append(batch)

    def _call_back(self) -> None:
        """Tell joblib of complete batches; it submits others in answer.

        Not in `submit`: it would call itself once per batch of finished folds.
        """
        while self._complete:
            batch = self._complete.popleft()
            if batch.callback is not None:
                batch.callback(batch)

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
