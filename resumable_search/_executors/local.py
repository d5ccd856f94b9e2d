"""Runs folds in worker processes on this machine."""

from collections.abc import Iterable, Mapping
from typing import Any

from .._engine import resting as _resting
from .._gpu.placement import place, start_daemons
from .._records import FoldOutcome, FoldTask, RunningTask, WorkerSettings

__all__ = ["LocalExecutor"]


class LocalExecutor:
    """Worker processes that share the GPUs of this machine; see `FoldExecutor`.

    Parameters
    ----------
    settings : WorkerSettings
        How folds are run.
    n_workers : int
        Number of folds that run at a time.
    environment : mapping of str to str
        Added to the environment of the workers.
    """

    def __init__(
        self, settings: WorkerSettings, n_workers: int, environment: Mapping[str, str]
    ) -> None:
        plans = place(settings.devices, n_workers, settings.gpu_memory)
        daemons = start_daemons(settings.mps, plans)
        self._pool = _resting.acquire(plans, environment, daemons)
        self._pool.limit(settings.max_retries, settings.fold_timeout)

    @property
    def n_unfinished(self) -> int:
        return self._pool.n_unfinished

    def submit(self, task: FoldTask) -> None:
        self._pool.submit(task)

    def feed(self) -> None:
        self._pool.feed()

    def wait(
        self, timeout: float | None = None, wake: Iterable[Any] = ()
    ) -> list[FoldOutcome]:
        return self._pool.wait(timeout, wake)

    def running(self) -> list[RunningTask]:
        return self._pool.running()

    def cancel_queued(self) -> None:
        self._pool.close_queue()

    def close(self, *, now: bool) -> None:
        """Have the workers rest for the next fit of this process, or end them."""
        if now:
            self._pool.terminate()
        else:
            _resting.release(self._pool)
