"""Runs folds in the process that called ``fit``, one at a time.

For debuggers: a ``breakpoint()`` in an estimator stops in the terminal or notebook of
the search. A fold gets what it would get in a worker (objects and definitions of its
own, its seed, the settings of the script), so that its score is the same, and what it
leaves behind is put back. What only a process of its own can give is not there: a limit
of time, a share of a GPU, a search that goes on when a fold dies.
"""

import collections
import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .. import _settings
from .._engine.fold_runner import FoldRunner
from .._engine.fold_settings import FoldSettings
from .._engine.messages import Exited, FoldAnswer, Raised, Scored
from .._engine.outcomes import contents, exit_message
from .._engine.pickling import definitions_put_back
from .._exceptions import WorkerDiedError, WorkerError
from .._frameworks import hooks as _frameworks
from .._frameworks.seeds import generators_put_back
from .._records import FoldOutcome, FoldTask, RunningTask

__all__ = ["InProcessExecutor"]


class InProcessExecutor:
    """The process that called ``fit``; see `FoldExecutor`.

    Parameters
    ----------
    in_fold : callable
        Gives a context manager that is entered while a fold runs.
    """

    def __init__(
        self, in_fold: Callable[[], contextlib.AbstractContextManager[object]]
    ) -> None:
        self._in_fold = in_fold
        self._runner = FoldRunner(FoldSettings(), _ignore)
        self._queue: collections.deque[FoldTask] = collections.deque()
        self._finished: list[FoldOutcome] = []

    @property
    def n_unfinished(self) -> int:
        return len(self._queue) + len(self._finished)

    def submit(self, task: FoldTask) -> None:
        self._queue.append(task)

    def feed(self) -> None:
        """Do nothing: a fold runs when somebody waits for it."""

    def wait(
        self,
        timeout: float | None = None,  # noqa: ARG002 - a fold runs to its end
        wake: Iterable[Any] = (),  # noqa: ARG002
    ) -> list[FoldOutcome]:
        """Run the next fold."""
        if not self._finished and self._queue:
            self._finished.append(self._run(self._queue.popleft()))
        finished, self._finished = self._finished, []
        return finished

    def running(self) -> list[RunningTask]:
        """Return nothing: nobody can ask while a fold runs."""
        return []

    def cancel_queued(self) -> None:
        self._finished.extend(
            FoldOutcome(task_id=task.task_id, cancelled=True) for task in self._queue
        )
        self._queue.clear()

    def close(self, *, now: bool) -> None:  # noqa: ARG002
        self._queue.clear()
        self._finished.clear()
        # For the refit, and for the script.
        with _put_back():
            self._runner.put_back()

    def _run(self, task: FoldTask) -> FoldOutcome:
        if task.save_epochs is not None or task.curves is not None:
            _frameworks.save_epochs()
        started = time.time()
        with _put_back(), self._in_fold():
            answer = self._runner.run(task)
        return _outcome(answer, task_id=task.task_id, started=started, worker=0)


@contextlib.contextmanager
def _put_back() -> Iterator[None]:
    settings = _settings.current()
    try:
        with definitions_put_back(), generators_put_back():
            yield
    finally:
        _settings.put_back(settings)


def _outcome(answer: FoldAnswer, **where: Any) -> FoldOutcome:
    if isinstance(answer, Scored | Raised):
        found = contents(answer)
        _make_the_scripts(*(warning.message for warning in answer.warnings))
        if "error" in found:
            _make_the_scripts(found["error"])
        return FoldOutcome(**found, **where)
    if isinstance(answer, Exited):
        message = exit_message(answer)
        return FoldOutcome(error=WorkerDiedError(message), died=message, **where)
    return FoldOutcome(
        error=WorkerError(
            f"A fold would run other code than the search began with: {answer.text}. "
            "An earlier fold has changed it, and it cannot be put back in this "
            "process. Its score would depend on which folds ran before, so the fold "
            "was not stored; nothing that is already computed is lost. Use "
            "executor='local', where a new worker takes its place."
        ),
        **where,
    )


def _make_the_scripts(*raised: BaseException) -> None:
    """Give exceptions the class that the script knows, and not the fold's copy."""
    for one in raised:
        cls = type(one)
        own = vars(sys.modules["__main__"]).get(cls.__qualname__)
        if cls.__module__ == "__main__" and isinstance(own, type):
            with contextlib.suppress(TypeError):  # another class of that name
                one.__class__ = own


def _ignore(_message: object) -> None:
    """Report no epoch: what shows them waits for the fold."""
