"""The workers of a search: start, feed, watch, replace.

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
aborts on a shared GPU       likewise, alone on the GPU: libraries abort
                             when they find no memory there
dies with folds queued       they go back to the queue, uncharged
ends for want of work        likewise; a new one starts when needed
dies with every fold         `WorkerDiedError` after many in a row, of
                             several candidates
dies before its first fold   five times in a row: `WorkerStartError`; not
                             to begin in time is the same
takes longer for a fold      it is ended, that fold is failed and not tried
than ``fold_timeout``        again by this fit
would run other code         a new one takes its place, and the fold is not
                             charged; if that would, too, the search ends
runs out of GPU memory       it is ended, and its fold tried again alone on
                             the GPU, uncharged; if that is not enough
                             either, the fold is failed
loses its MPS daemon         all folds on that GPU are tried again, alone
                             and uncharged
has run many folds           a successor takes its place between two folds
===========================  =============================================
"""

import collections
import logging
import pickle
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from multiprocessing.connection import wait as wait_for_any
from typing import Any

from .._exceptions import WorkerError
from .._gpu.devices import Device, SlotPlan
from .._gpu.mps import MpsDaemon
from .._records import FoldOutcome, FoldTask, RunningTask
from . import outcomes as _outcomes
from .deaths import Deaths
from .layout import lay_out
from .messages import (
    Answered,
    Began,
    DeviceTrouble,
    EpochEnded,
    Exited,
    FoldAnswer,
    FromWorker,
    IsWarm,
    Leaves,
    OtherCode,
    Raised,
    Recalled,
    Scored,
)
from .process import WorkerProcess, renew
from .slots import Attempt, SharedDevice, Slot
from .starts import START_SECONDS, Starts

__all__ = ["WorkerPool"]

_log = logging.getLogger(__name__)

#: A worker gets this many seconds of work ahead, so that it does not wait for the
#: parent while that commits. Folds that take longer are handed out one at a time.
_SECONDS_AHEAD = 0.02
_MOST_AHEAD = 32

# Seconds between looks at processes on systems that cannot wait for their end.
_LONGEST_WAIT = 1.0


class WorkerPool:
    """Workers that run folds.

    Parameters
    ----------
    plans : sequence of SlotPlan
        One for each worker.
    environment : mapping of str to str
        Added to the environment of this process for the workers.
    daemons : mapping of Device to MpsDaemon
        Where the workers on a GPU are to be attached. They end with the pool.
    """

    def __init__(
        self,
        plans: Sequence[SlotPlan],
        environment: Mapping[str, str],
        daemons: Mapping[Device, MpsDaemon] | None = None,
    ) -> None:
        self.max_retries = 1
        self.fold_timeout: float | None = None
        self.uses_daemons = bool(daemons)
        self._queue: collections.deque[Attempt] = collections.deque()
        self._slots, self._shared = lay_out(plans, environment, daemons or {})
        self._finished: list[FoldOutcome] = []
        self._fold_seconds: float | None = None
        self._starts = Starts()
        self._deaths = Deaths()
        self._takes_newest = False
        # Raised when all outcomes have been given: what is finished is not lost.
        self._error: WorkerError | None = None
        self._is_closing = False

    def submit(self, task: FoldTask) -> None:
        """Queue a task."""
        self._queue.append(Attempt(task))

    @property
    def n_unfinished(self) -> int:
        """Number of tasks without an outcome."""
        waiting = sum(len(shared.queue) for shared in self._shared.values())
        return waiting + len(self._queue) + sum(len(s.given) for s in self._all_slots())

    def running(self) -> list[RunningTask]:
        """Tell what runs at this moment; a task of None: the worker is idle."""
        return [
            slot.running() for slot in self._all_slots() if slot.process is not None
        ]

    def wait(
        self, timeout: float | None = None, wake: Iterable[Any] = ()
    ) -> list[FoldOutcome]:
        """Return the outcomes there are; wait for the first.

        Parameters
        ----------
        timeout : float or None
            Seconds after which to return without one.
        wake : iterable of file descriptors
            To return as well when one of them can be read.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        wake = list(wake)
        while True:
            error = self._error or self._starts.error
            if error is not None and not self._finished:
                raise error
            self.feed()
            self._share_out()
            left = self._seconds_to_wait(deadline)
            is_woken = self._listen(0.0 if self._finished else left, wake)
            self._check_times()
            is_late = deadline is not None and time.monotonic() > deadline
            if self._finished or is_woken or is_late:
                finished, self._finished = self._finished, []
                self.feed()
                return finished

    def close_queue(self) -> None:
        """Start no further task: those that do not run come back as cancelled."""
        self._is_closing = True
        self._cancel(self._queue)
        for shared in self._shared.values():
            self._cancel(shared.queue)
        for slot in self._all_slots():
            slot.recall()

    def feed(self) -> None:
        """Hand out queued tasks, starting workers where some are missing."""
        for shared in self._shared.values():
            self._starts.attempt(shared.feed)
        for slot in self._slots:
            slot.succeed()
        slots = [slot for slot in self._slots if not self._is_reserved(slot)]
        n_missing = len(self._queue) + sum(bool(slot.given) for slot in slots)
        n_missing -= sum(slot.process is not None for slot in slots)
        for slot in slots:
            if slot.process is None and n_missing > 0:
                self._starts.attempt(slot.start)
                n_missing -= 1
        ahead = self._n_ahead()
        # Round by round, so that nobody gets a second task before all have one.
        for depth in range(1, ahead + 2):
            for slot in slots:
                if self._queue and len(slot.given) < depth and slot.takes_work:
                    slot.give(self._next())

    def reap(self) -> None:
        """Forget the workers that have ended while the pool was at rest."""
        self._starts.forget()
        self._deaths.forget()
        self._is_closing = False
        self._listen(0.0)

    def terminate(self) -> None:
        """End all workers at once, and forget all tasks."""
        self._queue.clear()
        self._finished.clear()
        self._error = None
        for slot in self._slots:
            slot.end()
        for shared in self._shared.values():
            shared.end()

    def rest(self) -> None:
        """Make ready for another search: no tasks, no worker that holds a GPU."""
        self._queue.clear()
        self._finished.clear()
        self._error = None
        for shared in self._shared.values():
            shared.queue.clear()
        for slot in self._all_slots():
            if slot.given or slot.holds_gpu or len(slot.processes()) > 1:
                slot.end()

    # ------------------------------------------------------------------

    def _all_slots(self) -> list[Slot]:
        return [*self._slots, *(shared.alone for shared in self._shared.values())]

    def _sharing(self, slot: Slot) -> SharedDevice | None:
        return self._shared.get(slot.plan.device)  # type: ignore[arg-type]

    def _is_reserved(self, slot: Slot) -> bool:
        shared = self._sharing(slot)
        return shared is not None and shared.is_reserved

    def _is_alone(self, slot: Slot) -> bool:
        shared = self._sharing(slot)
        return shared is not None and slot is shared.alone

    def _n_ahead(self) -> int:
        if self._fold_seconds is None:
            return 0
        return min(int(_SECONDS_AHEAD / max(self._fold_seconds, 1e-9)), _MOST_AHEAD)

    def _share_out(self) -> None:
        """Take back what waits behind a long fold while another worker is idle."""
        slots = [slot for slot in self._slots if not self._is_reserved(slot)]
        if self._queue or all(slot.given for slot in slots):
            return
        for slot in slots:
            slot.recall()

    def _seconds_to_wait(self, deadline: float | None) -> float:
        moments = [
            deadline,
            *(
                slot.deadline(self.fold_timeout, START_SECONDS)
                for slot in self._all_slots()
            ),
        ]
        first = min((m for m in moments if m is not None), default=None)
        if first is None:
            return _LONGEST_WAIT
        return min(_LONGEST_WAIT, max(0.0, first - time.monotonic()))

    def _listen(self, timeout: float, wake: Sequence[Any] = ()) -> bool:
        """Take what workers send; tell whether one of `wake` can be read."""
        sources: dict[Any, tuple[Slot, WorkerProcess]] = {}
        for slot in self._all_slots():
            for process in slot.processes():
                sources.update(dict.fromkeys(process.sources(), (slot, process)))
        waiting = [*sources, *wake]
        ready = wait_for_any(waiting, timeout) if waiting else []
        for slot, process in {sources[s]: None for s in ready if s in sources}:
            self._read(slot, process)
        for slot in self._all_slots():
            for process in slot.processes():
                # What says bye runs no fold any more, and may never come to its end:
                # a thread that the estimator left keeps it.
                if process.has_ended() or (process is slot.process and slot.says_bye):
                    self._read(slot, process)
                    self._lose(slot, process)
        return any(source in ready for source in wake)

    def _check_times(self) -> None:
        """End the workers that take too long to begin, or for their fold."""
        now = time.monotonic()
        for slot in self._all_slots():
            for process in slot.processes():
                if not process.has_begun and now > process.created + START_SECONDS:
                    process.give_up(f"did not begin within {START_SECONDS:g} seconds")
                    self._lose(slot, process)
            if self.fold_timeout is None or slot.began is None:
                continue
            if slot.given and now >= slot.began + self.fold_timeout:
                late, *waiting = slot.given
                slot.end()
                self._put_back(waiting)
                self._finished.append(
                    _outcomes.timed_out(slot, late, self.fold_timeout)
                )

    def _read(self, slot: Slot, process: WorkerProcess) -> None:
        messages = process.receive()
        # What a fold printed comes out before the fold counts as done.
        process.relay_output()
        for content in messages:
            message: FromWorker = pickle.loads(content)  # noqa: S301 - our worker
            if slot.is_successor(process):
                slot.successor_is_warm |= isinstance(message, IsWarm)
            elif process is slot.process:  # and not one that was just ended
                self._handle(slot, message)

    def _handle(self, slot: Slot, message: FromWorker) -> None:
        match message:
            case Began() | IsWarm():
                self._starts.forget()
                slot.note_begin()
            case Leaves():
                slot.says_bye = True
            case EpochEnded(task_id, event):
                slot.note_epoch(task_id, event)
            case Recalled(task_ids):
                self._put_back(slot.take_back(task_ids))
            case Answered():
                self._take(slot, message)

    def _take(self, slot: Slot, message: Answered) -> None:
        if not slot.runs(message.task_id):
            assert slot.process is not None
            slot.process.give_up("answered for a fold that it did not have")
            self._lose(slot, slot.process)
            return
        attempt = slot.take_finished()
        attempt.started = message.status.started
        slot.note(message.status, more_to_come=bool(self._queue))
        self._deaths.forget()
        answer: FoldAnswer = pickle.loads(message.answer)  # noqa: S301 - our worker
        match answer:
            case OtherCode(is_stale=True):
                # The worker ends; a new one imports everything anew.
                renew()
                self._requeue(slot, attempt)
            case OtherCode():
                self._finished.append(_outcomes.differs(slot, attempt, answer))
            case Exited():
                self._finished.append(_outcomes.exited(slot, attempt, answer))
            case Scored() | Raised():
                self._note_seconds(answer)
                self._finish(slot, attempt, answer)

    def _note_seconds(self, answer: Scored | Raised) -> None:
        if isinstance(answer, Scored):
            seconds = answer.result["fit_time"] + answer.result["score_time"]
            known = self._fold_seconds
            self._fold_seconds = seconds if known is None else (known + seconds) / 2

    def _finish(self, slot: Slot, attempt: Attempt, answer: Scored | Raised) -> None:
        """Take a fold for finished, unless it is to go on alone on its GPU."""
        if self._goes_on_alone(slot, attempt, answer.trouble):
            return
        memory = self._exhausted(slot, answer.trouble)
        self._finished.append(_outcomes.finished(slot, attempt, answer, memory))
        if answer.trouble.fault:  # its context is of no use to the next fold
            waiting = list(slot.given)
            slot.end()
            self._put_back(waiting)

    # ------------------------------------------------------------------
    # The queue

    def _next(self) -> Attempt:
        """Return the next task, or one from the other end of the queue."""
        self._takes_newest = self._deaths.are_suspicious and not self._takes_newest
        return self._queue.pop() if self._takes_newest else self._queue.popleft()

    def _put_back(self, attempts: Sequence[Attempt]) -> None:
        """Queue again, at the front, what a worker did not begin."""
        self._queue.extendleft(reversed(attempts))
        if self._is_closing:
            self._cancel(self._queue)

    def _requeue(self, slot: Slot, attempt: Attempt) -> None:
        """Queue again what is to run where it was."""
        shared = self._sharing(slot)
        if shared is not None and slot is shared.alone:
            self._keep_for(shared, attempt)
        else:
            self._put_back([attempt])

    def _keep_for(self, shared: SharedDevice, attempt: Attempt) -> None:
        """Queue what needs the GPU for itself."""
        shared.queue.append(attempt)
        if self._is_closing:
            self._cancel(shared.queue)

    def _cancel(self, queue: collections.deque[Attempt]) -> None:
        self._finished.extend(map(_outcomes.cancelled, queue))
        queue.clear()

    # ------------------------------------------------------------------
    # Memory of GPUs

    def _goes_on_alone(
        self, slot: Slot, attempt: Attempt, trouble: DeviceTrouble
    ) -> bool:
        """Give a fold the GPU for itself if it failed for what others took of it."""
        shared = self._sharing(slot)
        if shared is None or slot is shared.alone:
            return False
        if shared.daemon is not None and trouble.fault:
            for other in shared.slots:
                # Each of them is hit, and which one is to blame cannot be told.
                given = list(other.given)
                other.end()
                for hit in given[:1]:
                    self._keep_for(shared, hit)
                self._put_back(given[1:])
        elif trouble.out_of_memory:
            waiting = list(slot.given)
            slot.end()  # what it holds, and what it has torn
            self._put_back(waiting)
        else:
            return False
        self._keep_for(shared, attempt)
        return True

    def _exhausted(self, slot: Slot, trouble: DeviceTrouble) -> str | None:
        if not (self._is_alone(slot) and trouble.out_of_memory):
            return None
        device, plan = slot.plan.device, slot.plan
        assert device is not None
        slot.end()
        return (
            f"{device.name} ({device.uuid}), with {plan.share / 1e9:.1f} of its "
            f"{plan.total / 1e9:.1f} GB"
        )

    # ------------------------------------------------------------------

    def _lose(self, slot: Slot, process: WorkerProcess) -> None:
        """Give back the tasks of a worker that has ended, and forget it."""
        if slot.is_successor(process):
            slot.lose_successor()
            return
        process.kill()  # and what it may have started
        attempts, says_bye = list(slot.given), slot.says_bye
        slot.end()
        if says_bye or not attempts:
            for attempt in reversed(attempts):
                self._requeue(slot, attempt)
            return
        ending = process.ending()
        _log.warning("Worker %d (process %d) %s", slot.number, process.pid, ending)
        if not process.has_begun:
            self._put_back(attempts)
            self._starts.note_failed(ending)
            return
        running, *waiting = attempts
        self._put_back(waiting)
        shared = self._sharing(slot)
        aborted = signal.SIGABRT.name in ending
        if (
            shared is not None
            and aborted
            and shared.daemon
            and slot is not shared.alone
        ):
            # TensorFlow and JAX abort on a fault, whoever's that was.
            self._keep_for(shared, running)
            return
        self._deaths.note(running)
        self._error = self._error or self._deaths.error(ending)
        if running.number > self.max_retries:
            self._finished.append(_outcomes.died(slot, running, ending))
            return
        again = Attempt(running.task, running.number + 1)
        candidate = running.task.candidate
        _log.warning(
            "A fold of candidate %d runs again: try %d", candidate, again.number
        )
        if shared is not None and aborted:
            self._keep_for(shared, again)
        else:
            self._requeue(slot, again)
