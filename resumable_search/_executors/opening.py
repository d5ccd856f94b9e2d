"""From the name of an executor to what runs the folds."""

import contextlib
from collections.abc import Callable, Mapping

from .._records import WorkerSettings
from .base import FoldExecutor

__all__ = ["EXECUTORS", "open_executor"]

#: What `open_executor` knows.
EXECUTORS = ("local", "in-process")


def open_executor(
    settings: WorkerSettings,
    n_workers: int,
    environment: Mapping[str, str],
    in_fold: Callable[[], contextlib.AbstractContextManager[object]],
) -> FoldExecutor:
    """Return what runs the folds of a search.

    Parameters
    ----------
    settings : WorkerSettings
        How folds are run, and by what.
    n_workers : int
        Number of folds that run at a time, where processes of their own do.
    environment : mapping of str to str
        Added to the environment of the workers.
    in_fold : callable
        Gives a context manager that is entered while a fold runs in this process.
    """
    if settings.executor == "in-process":
        from .in_process import InProcessExecutor

        return InProcessExecutor(in_fold)
    from .local import LocalExecutor

    return LocalExecutor(settings, n_workers, environment)
