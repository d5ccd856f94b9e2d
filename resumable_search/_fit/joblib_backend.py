"""The joblib backend under scikit-learn's ``fit``: joblib's protocol, and no more.

::

    scikit-learn              CheckpointBackend        FitRun            FoldExecutor
    Parallel(...) --batch-->  submit ---- folds ---->  look them up
                                                         found: answer
                                                         new: send -----> run
    next result <-results---  work_for -- collect -->  take outcomes <------'
                                                       commit, answer
                              call joblib back,
                              which submits more

All of this runs in the thread that called ``fit``, inside `work_for`. A batch is
joblib's unit of dispatch; its folds go to any worker one by one.
"""

import collections
import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from joblib.parallel import BatchedCalls, ParallelBackendBase

from .._sklearn_compat.calls import unpack_batch
from .._sklearn_compat.jobs import resolve_n_jobs, thread_limits
from .run import FitRun

__all__ = ["CheckpointBackend"]

#: Folds that joblib hands over at once. Large enough that joblib's own cost per
#: batch does not matter, small beside any search for which memory does.
_BATCH_SIZE = 64


class _Batch:
    """A joblib batch: results in order, and what to call when all are there.

    Parameters
    ----------
    backend : CheckpointBackend
        Where it belongs.
    n_folds : int
        Number of results.
    callback : callable or None
        Gets the batch when it is complete.
    """

    def __init__(
        self,
        backend: "CheckpointBackend",
        n_folds: int,
        callback: Callable[[Any], None] | None,
    ) -> None:
        self._backend = backend
        self._results: list[dict[str, Any] | None] = [None] * n_folds
        self.n_missing = n_folds
        self.callback = callback

    def put(self, position: int, result: dict[str, Any]) -> None:
        """Take the result of a fold."""
        self._results[position] = result
        self.n_missing -= 1
        if not self.n_missing:
            self._backend.note_complete(self)

    def get(self) -> list[dict[str, Any] | None]:
        """Work until the batch is complete, and give its results to joblib."""
        self._backend.work_for(self)
        return self._results


class CheckpointBackend(ParallelBackendBase):  # type: ignore[misc]
    """Hands the folds that joblib brings to a run, and the results back.

    Parameters
    ----------
    run : FitRun
        Runs them.

    Attributes
    ----------
    admit : callable
        Gets the frame from which joblib configures this backend. Raises joblib's
        ``FallbackToBackend`` unless it is the search's own.
    """

    # Results are taken in the thread that called fit: there they are committed,
    # warnings are raised again and a Ctrl-C arrives.
    supports_retrieve_callback = False
    default_n_jobs = 1

    def __init__(self, run: FitRun) -> None:
        super().__init__(nesting_level=0)
        self._run = run
        self._complete: collections.deque[_Batch] = collections.deque()
        self.admit: Callable[[FrameType], None] = lambda _: None

    def configure(self, *args: Any, **kwargs: Any) -> int:
        """Return the number of jobs, for who may use this backend."""
        self.admit(sys._getframe(1))
        return int(super().configure(*args, **kwargs))

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Return the number of jobs, at least two.

        With one, joblib would run the folds itself, in this process. The executor
        enforces the real number.
        """
        n_workers = resolve_n_jobs(n_jobs)
        self._run.use_workers(n_workers, thread_limits(self, n_workers))
        return max(2, n_workers)

    def compute_batch_size(self) -> int:
        """Return the number of folds per batch."""
        return _BATCH_SIZE

    def submit(
        self, func: BatchedCalls, callback: Callable[[Any], None] | None = None
    ) -> _Batch:
        """Ask for the folds of a batch."""
        calls = unpack_batch(func)
        batch = _Batch(self, len(calls), callback)
        puts = [functools.partial(batch.put, i) for i in range(len(calls))]
        self._run.ask(calls, puts)
        return batch

    # The name before joblib 1.4.
    apply_async = submit

    def abort_everything(self, ensure_ready: bool = True) -> None:  # noqa: ARG002
        """End the workers: something was raised, or the user wants to stop."""
        self._run.abort()
        self._complete.clear()

    def stop_call(self) -> None:
        """Take note that joblib has all the results it asked for in this round."""
        self._run.end_round()

    # ------------------------------------------------------------------

    def note_complete(self, batch: _Batch) -> None:
        """Take note that all results of a batch are there."""
        self._complete.append(batch)

    def work_for(self, batch: _Batch) -> None:
        """Collect finished folds and submit others until a batch is complete."""
        while self._complete or batch.n_missing:
            self._call_back()
            self._run.raise_error()
            if batch.n_missing:
                self._run.collect()

    def _call_back(self) -> None:
        """Tell joblib of complete batches; it submits others in answer.

        Not in `submit`: it would call itself once per batch of finished folds.
        """
        while self._complete:
            batch = self._complete.popleft()
            if batch.callback is not None:
                batch.callback(batch)
