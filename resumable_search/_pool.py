"""Worker slots: start, feed, watch, replace.

The pool has no thread of its own. Whoever needs results calls `WorkerPool.wait`,
which feeds idle workers, relays what they print, collects what they finished and
replaces those that died. So everything that happens to a search in the parent
happens in the thread that called ``fit``.

===========================  =============================================
a worker                     what follows
===========================  =============================================
dies while it runs a fold    that fold is tried again in a new worker, at
                             most ``max_retries`` times; then it is failed,
                             with how the worker ended
dies with folds queued       they go back to the queue, uncharged
ends for want of work        likewise; a new one starts when needed
dies before its first fold   three times in a row: `WorkerStartError`
has imported older code      it is replaced, the fold is not charged
===========================  =============================================
"""

import atexit
import collections
import os
import pickle
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import wait as wait_for_any
from typing import Any

from . import _process
from ._exceptions import WorkerDiedError, WorkerError, WorkerStartError
from ._locations import ENVIRONMENT_VARIABLE
from ._process import WorkerProcess
from ._records import FoldOutcome, FoldTask

__all__ = ["WorkerPool", "acquire", "release"]

#: A worker gets this many seconds of work ahead, so that it does not wait for the
#: parent while that commits. Folds that take longer are handed out one at a time.
_SECONDS_AHEAD = 0.02
_MOST_AHEAD = 32

_MOST_FAILED_STARTS = 3

# Seconds between looks at processes on systems that cannot wait for their end.
_LONGEST_WAIT = 1.0


@dataclass
class _Attempt:
    task: FoldTask
    number: int = 1


class _Slot:
    """One place for a worker, and what it was given."""

    def __init__(self, process: WorkerProcess) -> None:
        self.process = process
        self.given: collections.deque[_Attempt] = collections.deque()
        """The first is running, the others wait in the worker."""
        self.says_bye = False
        self.recalled = False
        self.holds_gpu = False


class WorkerPool:
    """Workers that run folds.

    Parameters
    ----------
    n_workers : int
        The most workers at a time.
    environment : mapping of str to str
        Added to the environment of this process for the workers.
    """

    def __init__(self, n_workers: int, environment: Mapping[str, str]) -> None:
        self.n_workers = n_workers
        self.environment = dict(environment)
        self.settings = settings_now(n_workers, environment)
        self.max_retries = 1
        self._queue: collections.deque[_Attempt] = collections.deque()
        self._slots: list[_Slot] = []
        self._outcomes: list[FoldOutcome] = []
        self._fold_seconds: float | None = None
        self._failed_starts = 0

    def submit(self, task: FoldTask) -> None:
        """Queue a task."""
        self._queue.append(_Attempt(task))

    @property
    def n_unfinished(self) -> int:
        """Number of tasks without an outcome."""
        return len(self._queue) + sum(len(slot.given) for slot in self._slots)

    def wait(self, timeout: float | None = None) -> list[FoldOutcome]:
        """Give the outcomes there are; wait for the first for `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self.feed()
            left = _LONGEST_WAIT
            if deadline is not None:
                left = min(left, max(0.0, deadline - time.monotonic()))
            self._share_out()
            self._listen(0.0 if self._outcomes else left)
            if self._outcomes or (deadline is not None and time.monotonic() > deadline):
                outcomes, self._outcomes = self._outcomes, []
                self.feed()
                return outcomes

    def feed(self) -> None:
        """Hand out queued tasks, starting workers where some are missing."""
        if self._queue:
            missing = min(
                self.n_workers - len(self._slots),
                self.n_unfinished - len(self._slots),
            )
            for _ in range(missing):
                self._slots.append(_Slot(_process.start(self.environment)))
        ahead = self._n_ahead()
        # Round by round, so that nobody gets a second task before all have one.
        for depth in range(1, ahead + 2):
            for slot in self._slots:
                if self._queue and len(slot.given) < depth and not slot.recalled:
                    self._give(slot)

    def terminate(self) -> None:
        """End all workers at once, and forget all tasks."""
        self._queue.clear()
        self._outcomes.clear()
        for slot in self._slots:
            slot.process.kill()
        self._slots.clear()

    def rest(self) -> None:
        """Make ready for another search: no tasks, no worker that holds a GPU."""
        self._queue.clear()
        self._outcomes.clear()
        for slot in list(self._slots):
            if slot.given or slot.holds_gpu:
                slot.process.kill()
                self._slots.remove(slot)

    # ------------------------------------------------------------------

    def _n_ahead(self) -> int:
        if self._fold_seconds is None:
            return 0
        return min(int(_SECONDS_AHEAD / max(self._fold_seconds, 1e-9)), _MOST_AHEAD)

    def _give(self, slot: _Slot) -> None:
        attempt = self._queue.popleft()
        slot.given.append(attempt)
        task = attempt.task
        slot.process.send(
            "fold", task.task_id, task.context_path, task.split_path, task.payload
        )

    def _share_out(self) -> None:
        """Take back what waits behind a long fold while another worker is idle."""
        if self._queue or all(slot.given for slot in self._slots):
            return
        for slot in self._slots:
            if len(slot.given) > 1 and not slot.recalled:
                slot.recalled = True
                slot.process.send("recall")

    def _listen(self, timeout: float) -> None:
        sources: dict[Any, _Slot] = {}
        for slot in self._slots:
            for source in slot.process.sources():
                sources[source] = slot
        ready = wait_for_any(list(sources), timeout) if sources else []
        for slot in {id(sources[source]): sources[source] for source in ready}.values():
            self._read(slot)
        for slot in list(self._slots):
            if slot.process.has_ended():
                self._read(slot)
                self._replace(slot)

    def _read(self, slot: _Slot) -> None:
        messages = slot.process.receive()
        # What a fold printed comes out before the fold counts as done.
        slot.process.relay_output()
        for message in messages:
            self._handle(slot, *pickle.loads(message))  # noqa: S301 - our worker

    def _handle(self, slot: _Slot, kind: str, *content: Any) -> None:
        if kind == "hello":
            pass  # it has begun, which the process has noted
        elif kind == "bye":
            slot.says_bye = True
        elif kind == "recalled":
            slot.recalled = False
            self._take_back(slot, set(content[0]))
        else:
            task_id, answer, slot.holds_gpu = content
            self._answer(slot, kind, task_id, answer)

    def _take_back(self, slot: _Slot, task_ids: set[int]) -> None:
        returned = [a for a in slot.given if a.task.task_id in task_ids]
        kept = [a for a in slot.given if a.task.task_id not in task_ids]
        slot.given = collections.deque(kept)
        self._queue.extendleft(reversed(returned))

    def _answer(self, slot: _Slot, kind: str, task_id: int, answer: bytes) -> None:
        self._failed_starts = 0
        attempt = slot.given.popleft()
        content = pickle.loads(answer)  # noqa: S301 - our worker
        if kind == "done":
            result, failure, warnings, versions = content
            seconds = result["fit_time"] + result["score_time"]
            known = self._fold_seconds
            self._fold_seconds = seconds if known is None else (known + seconds) / 2
            outcome = FoldOutcome(
                task_id=task_id,
                result=result,
                failure=failure,
                attempts=attempt.number,
                warnings=warnings,
                versions=versions,
            )
        elif kind == "error":
            error, warnings = _unpickled_error(*content)
            outcome = FoldOutcome(
                task_id=task_id,
                error=error,
                attempts=attempt.number,
                warnings=warnings,
            )
        elif kind == "edited":
            outcome = FoldOutcome(
                task_id=task_id,
                attempts=attempt.number,
                error=WorkerError(
                    f"The file {content} has changed since this process imported "
                    "it. A worker would run the new code, and its score would be "
                    "stored as that of the old. Nothing that is already computed "
                    "is lost. Start the script again, or reload the module in a "
                    "notebook, and call fit again."
                ),
            )
        else:  # "stale": the worker ends, a new one imports the new code
            self._queue.appendleft(attempt)
            return
        self._outcomes.append(outcome)

    def _replace(self, slot: _Slot) -> None:
        """Give back the tasks of a worker that has ended, and forget it."""
        self._slots.remove(slot)
        slot.process.kill()  # and what it may have started
        attempts = list(slot.given)
        if slot.says_bye or not attempts:
            self._queue.extendleft(reversed(attempts))
            return
        ending = slot.process.ending()
        if not slot.process.has_begun:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                raise WorkerStartError(
                    f"Worker processes do not start: {self._failed_starts} in a row "
                    f"ended before their first fold, the last one {ending}. The "
                    "likely cause stands in what they wrote to standard error "
                    f"above; the command was {slot.process.command}."
                )
            self._queue.extendleft(reversed(attempts))
            return
        running, *waiting = attempts
        self._queue.extendleft(reversed(waiting))
        if running.number > self.max_retries:
            self._outcomes.append(_died(running, ending))
        else:
            self._queue.appendleft(_Attempt(running.task, running.number + 1))


def _died(attempt: _Attempt, ending: str) -> FoldOutcome:
    tries = f"{attempt.number} {'try' if attempt.number == 1 else 'tries'}"
    text = (
        f"The worker process that ran this fold {ending} ({tries}). Likely causes: "
        "out of memory (see the kernel's log), or a crash in compiled code. "
        "Whatever it printed before is on standard error."
    )
    return FoldOutcome(
        task_id=attempt.task.task_id,
        error=WorkerDiedError(text),
        died=text,
        attempts=attempt.number,
    )


class _RemoteTraceback(Exception):  # noqa: N818 - shown, never raised
    """Shows where in the worker an exception was raised."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


def _unpickled_error(
    pickled: bytes, description: str, text: str, warnings: tuple[Any, ...]
) -> tuple[BaseException, tuple[Any, ...]]:
    error: BaseException
    try:
        error = pickle.loads(pickled)  # noqa: S301 - our worker
    except Exception:
        error = WorkerError(
            f"A fold raised an exception that could not be sent: {description}"
        )
    error.__cause__ = _RemoteTraceback(text)
    return error, warnings


# ---------------------------------------------------------------------------
# Pools that rest between two fits

#: Set anew all the time and of no concern to an estimator, or sent with each search.
_VOLATILE_VARIABLES = frozenset(
    {ENVIRONMENT_VARIABLE, "PYTEST_CURRENT_TEST", "OLDPWD", "_"}
)

_resting: list[WorkerPool] = []
_resting_owner = os.getpid()


def settings_now(n_workers: int, environment: Mapping[str, str]) -> tuple[Any, ...]:
    """Give what workers take from this process when they start."""
    variables = {
        name: value
        for name, value in {**os.environ, **environment}.items()
        if name not in _VOLATILE_VARIABLES
    }
    return n_workers, variables, tuple(sys.path)


def acquire(n_workers: int, environment: Mapping[str, str]) -> WorkerPool:
    """Give a pool with these settings, one from an earlier fit if there is one."""
    global _resting_owner
    if _resting_owner != os.getpid():
        # After a fork: these workers are the parent's.
        _resting.clear()
        _resting_owner = os.getpid()
    wanted = settings_now(n_workers, environment)
    while _resting:
        pool = _resting.pop()
        if pool.settings == wanted:
            return pool
        pool.terminate()
    return WorkerPool(n_workers, environment)


def release(pool: WorkerPool) -> None:
    """Keep a pool for the next fit of this process."""
    pool.rest()
    _resting.append(pool)


@atexit.register
def _end_resting() -> None:
    if _resting_owner == os.getpid():
        for pool in _resting:
            pool.terminate()
        _resting.clear()
