"""The workers of a search: start, feed, watch, replace.

The pool has no thread of its own. Whoever needs results calls `WorkerPool.wait`,
which feeds idle workers, relays what they print, collects what they finished and
replaces those that died. So everything that happens to a search in the parent
happens in the thread that called ``fit``. What is to be done is decided by the
`Scheduler`:

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

import contextlib
import logging
import pickle
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from multiprocessing.connection import wait as wait_for_any
from typing import Any

from .._gpu.devices import Device, SlotPlan
from .._gpu.mps import MpsDaemon
from .._records import FoldOutcome, FoldTask, RunningTask
from . import events, messages
from .layout import lay_out
from .occupants import Occupant
from .process import WorkerProcess, renew
from .scheduler import Scheduler
from .slots import Moment, Occupied, Successor

__all__ = ["WorkerPool"]

_log = logging.getLogger(__name__)

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
        self._daemons = dict(daemons or {})
        slots, shared, self._occupants = lay_out(plans, environment, self._daemons)
        self._scheduler = Scheduler(slots, shared)

    @property
    def uses_daemons(self) -> bool:
        """Whether MPS daemons run for the pool."""
        return bool(self._daemons)

    @property
    def n_unfinished(self) -> int:
        """Number of tasks without an outcome."""
        return self._scheduler.n_unfinished

    def limit(self, max_retries: int, fold_timeout: float | None) -> None:
        """Set how often a fold is tried again, and how long it may take (seconds)."""
        self._scheduler.max_retries = max_retries
        self._scheduler.fold_timeout = fold_timeout

    def submit(self, task: FoldTask) -> None:
        """Queue a task."""
        self._scheduler.submit(task)

    def running(self) -> list[RunningTask]:
        """Return what runs at this moment; a task of None: the worker is idle."""
        return [
            slot.running(occupant.process.pid)
            for slot, occupant in self._occupants.items()
            if occupant.process is not None
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
        scheduler, wake = self._scheduler, list(wake)
        while True:
            error = scheduler.error
            if error is not None and not scheduler.has_finished:
                raise error
            self.feed()
            self._do(scheduler.share_out())
            left = 0.0 if scheduler.has_finished else self._seconds_to_wait(deadline)
            is_woken = self._listen(left, wake)
            self._do(scheduler.check_times(_now()))
            is_late = deadline is not None and time.monotonic() > deadline
            if scheduler.has_finished or is_woken or is_late:
                finished = scheduler.take_finished()
                self.feed()
                return finished

    def close_queue(self) -> None:
        """Start no further task: those that do not run come back as cancelled."""
        self._do(self._scheduler.close_queue())

    def feed(self) -> None:
        """Hand out queued tasks, starting workers where some are missing."""
        while actions := self._scheduler.feed(_now()):
            self._do(actions)

    def reap(self) -> None:
        """Forget the workers that have ended while the pool was at rest."""
        self._scheduler.wake()
        self._listen(0.0)

    def terminate(self) -> None:
        """End all workers at once, and forget all tasks."""
        self._do(self._scheduler.terminate())
        self._end_what_was_interrupted()
        for daemon in self._daemons.values():
            with contextlib.suppress(OSError):
                daemon.close()

    def rest(self) -> None:
        """Make ready for another search: no tasks, no worker that holds a GPU."""
        self._do(self._scheduler.rest())
        self._end_what_was_interrupted()

    # ------------------------------------------------------------------
    # What is to be done

    def _do(self, actions: Iterable[events.Action]) -> None:
        for action in actions:
            slot, occupant = action.slot, self._occupants[action.slot]
            match action:
                case events.Start():
                    try:
                        occupant.start()
                    except OSError as exc:  # no memory, no more processes or files
                        self._tell(events.NotStarted(slot, exc))
                    else:
                        self._tell(events.Started(slot))
                case events.End():
                    occupant.end(is_busy=action.was_busy)
                case events.GiveUp():
                    if occupant.process is not None:
                        occupant.process.give_up(action.ending)
                        self._lose(occupant, occupant.process)
                case events.Send():
                    occupant.send(action.message)
                case events.StartSuccessor():
                    try:
                        occupant.start_successor(action.frameworks)
                    except OSError:  # likewise; the worker goes on
                        self._tell(events.SuccessorEnded(slot))
                    else:
                        self._tell(events.SuccessorStarted(slot))
                case events.EndSuccessor():
                    occupant.end_successor()
                case events.Succeed():
                    occupant.succeed()
                case events.Renew():
                    renew()

    def _end_what_was_interrupted(self) -> None:
        """End workers of which the scheduler knows something else.

        A second Ctrl-C may come between what is to be done and the doing.
        """
        for slot, occupant in self._occupants.items():
            process = occupant.process
            is_there = process is not None, occupant.successor is not None
            is_known = slot.is_running, slot.successor is not Successor.NONE
            has_begun = process is not None and process.has_begun
            is_alike = is_there == is_known and slot.state is not Occupied.ASKED
            if not is_alike or has_begun != (slot.state is Occupied.BEGUN):
                occupant.end(is_busy=True)
                slot.leave()

    # ------------------------------------------------------------------
    # What has happened

    def _tell(self, event: events.Event) -> None:
        self._do(self._scheduler.handle(event, _now()))

    def _seconds_to_wait(self, deadline: float | None) -> float:
        moments = [m for m in (deadline, self._scheduler.deadline()) if m is not None]
        left = min(moments, default=float("inf")) - time.monotonic()
        return min(_LONGEST_WAIT, max(0.0, left))

    def _listen(self, timeout: float, wake: Sequence[Any] = ()) -> bool:
        """Take what workers send; return whether one of `wake` can be read."""
        sources: dict[Any, tuple[Occupant, WorkerProcess]] = {}
        for occupant in self._occupants.values():
            for process in occupant.processes():
                sources.update(dict.fromkeys(process.sources(), (occupant, process)))
        waiting = [*sources, *wake]
        ready = wait_for_any(waiting, timeout) if waiting else []
        for occupant, process in {sources[s]: None for s in ready if s in sources}:
            self._read(occupant, process)
        for occupant in self._occupants.values():
            for process in occupant.processes():
                # What says bye runs no fold any more, and may never come to its end:
                # a thread that the estimator left keeps it.
                has_left = process is occupant.process and occupant.slot.says_bye
                if has_left or process.has_ended():
                    self._read(occupant, process)
                    self._lose(occupant, process)
        return any(source in ready for source in wake)

    def _read(self, occupant: Occupant, process: WorkerProcess) -> None:
        contents = process.receive()
        # What a fold printed comes out before the fold counts as done.
        process.relay_output()
        for content in contents:
            message: messages.FromWorker = pickle.loads(content)  # noqa: S301 - ours
            if process is occupant.successor:
                if isinstance(message, messages.Began):
                    self._tell(events.SuccessorBegan(occupant.slot))
                elif isinstance(message, messages.IsWarm):
                    self._tell(events.SuccessorWarm(occupant.slot))
            elif process is occupant.process:  # and not one that was just ended
                if isinstance(message, messages.Answered):
                    occupant.check_attached(message.status)
                self._tell(_event(occupant, message))

    def _lose(self, occupant: Occupant, process: WorkerProcess) -> None:
        """Tell how a process has ended; the rest of it ends too."""
        slot = occupant.slot
        if process is occupant.successor:
            self._tell(events.SuccessorEnded(slot))
        elif process is occupant.process:
            process.kill()  # and what it may have started
            ending = process.ending()
            if slot.given and not slot.says_bye:
                pid, number = process.pid, slot.number
                _log.warning("Worker %d (process %d) %s", number, pid, ending)
            aborted = signal.SIGABRT.name in ending
            self._tell(events.Ended(slot, ending, aborted))


def _now() -> Moment:
    return Moment(time.monotonic(), time.time())


def _event(occupant: Occupant, message: messages.FromWorker) -> events.Event:
    slot = occupant.slot
    match message:
        case messages.Leaves():
            return events.Left(slot)
        case messages.EpochEnded():
            return events.EpochEnded(slot, message.task_id, message.event)
        case messages.Recalled():
            return events.Recalled(slot, message.task_ids)
        case messages.Answered():
            answer = pickle.loads(message.answer)  # noqa: S301 - our worker
            return events.Answered(slot, message.task_id, answer, message.status)
        case _:  # it has begun, or was a successor when it said that it is warm
            return events.Began(slot)
