"""Decides what the workers of a search do. It starts no process and reads no clock.

`Scheduler.handle` is told what has happened, and when; it returns what is to be done.
Whoever does that (`pool`, which has the table of what follows from what) tells what
came of it.
"""

import logging
from collections.abc import Iterator, Sequence

from .._exceptions import WorkerError
from .._gpu.devices import Device
from .._records import FoldOutcome, FoldTask
from . import outcomes as _outcomes
from .deaths import Deaths
from .events import (
    Action,
    Answered,
    Began,
    Ended,
    EpochEnded,
    Event,
    Left,
    NotStarted,
    Recalled,
    Started,
    SuccessorBegan,
    SuccessorEnded,
    SuccessorStarted,
    SuccessorWarm,
)
from .fold_queue import FoldQueue
from .messages import DeviceTrouble, Exited, OtherCode, Raised, Scored
from .orders import Orders
from .slots import Attempt, Moment, Occupied, SharedDevice, Slot, Successor
from .starts import START_SECONDS, Starts

__all__ = ["Scheduler"]

_log = logging.getLogger(__name__)


class Scheduler:
    """Decides what workers do.

    Parameters
    ----------
    slots : sequence of Slot
        The places for workers.
    shared : mapping of Device to SharedDevice
        The GPUs among them.
    """

    def __init__(
        self, slots: Sequence[Slot], shared: dict[Device, SharedDevice]
    ) -> None:
        self.slots = slots
        self.max_retries = 1
        self.fold_timeout: float | None = None
        self._shared = shared
        self._queue = FoldQueue()
        self._orders = Orders()
        self._starts = Starts()
        self._deaths = Deaths()
        self._error: WorkerError | None = None
        self._now = Moment(0.0, 0.0)

    @property
    def error(self) -> WorkerError | None:
        """What ends the search, when all that is finished was taken."""
        return self._error or self._starts.error

    @property
    def n_unfinished(self) -> int:
        """Number of tasks without an outcome."""
        waiting = sum(len(shared.queue) for shared in self._shared.values())
        return waiting + len(self._queue) + sum(len(s.given) for s in self.all_slots())

    def all_slots(self) -> list[Slot]:
        """Return the slots, with those that have a GPU for themselves."""
        return [*self.slots, *(shared.alone for shared in self._shared.values())]

    def submit(self, task: FoldTask) -> None:
        """Queue a task."""
        self._queue.submit(task)

    def take_finished(self) -> list[FoldOutcome]:
        """Return what has come of tasks, once."""
        finished, self._queue.finished = self._queue.finished, []
        return finished

    @property
    def has_finished(self) -> bool:
        """Whether there is something to take."""
        return bool(self._queue.finished)

    # ------------------------------------------------------------------
    # What is to be done

    def feed(self, now: Moment) -> list[Action]:
        """Hand out queued tasks, starting workers where some are missing.

        To be called again when what it returns was done, until that is nothing.
        """
        self._now = now
        for shared in self._shared.values():
            if self._feed_alone(shared):
                return self._orders.taken()
        for slot in self.slots:
            self._orders.succeed(slot)
        slots = [slot for slot in self.slots if not self._is_reserved(slot)]
        n_missing = len(self._queue) + sum(bool(slot.given) for slot in slots)
        n_missing -= sum(slot.is_occupied for slot in slots)
        for slot in slots:
            if n_missing > 0 and not slot.is_occupied and self._start(slot):
                # One at a time, since the next may be impossible; and nothing is
                # handed out before all are there, or the first would get it all.
                return self._orders.taken()
        # Round by round, so that nobody gets a second task before all have one.
        for depth in range(1, self._queue.n_ahead() + 2):
            for slot in slots:
                if self._queue and len(slot.given) < depth and slot.takes_work:
                    both = self._deaths.are_suspicious
                    attempt = self._queue.next(from_both_ends=both)
                    self._orders.give(slot, attempt, now)
        return self._orders.taken()

    def share_out(self) -> list[Action]:
        """Take back what waits behind a long fold while another worker is idle."""
        slots = [slot for slot in self.slots if not self._is_reserved(slot)]
        if not self._queue and not all(slot.given for slot in slots):
            for slot in slots:
                self._orders.recall(slot)
        return self._orders.taken()

    def check_times(self, now: Moment) -> list[Action]:
        """End the workers that take too long to begin, or for their fold."""
        self._now = now
        for slot in self.all_slots():
            latest = now.clock - START_SECONDS
            if slot.successor is Successor.STARTING and slot.successor_created < latest:
                self._orders.lose_successor(slot)
            if slot.state is Occupied.STARTING and slot.created < latest:
                ending = f"did not begin within {START_SECONDS:g} seconds"
                self._orders.give_up(slot, ending)
            elif slot.is_late(self.fold_timeout, now):
                self._stop_late(slot)
        return self._orders.taken()

    def deadline(self) -> float | None:
        """Return the moment at which `check_times` is to be called (the clock)."""
        return min(self._deadlines(), default=None)

    def close_queue(self) -> list[Action]:
        """Start no further task: those that do not run come back as cancelled."""
        self._queue.close(list(self._shared.values()))
        for slot in self.all_slots():
            self._orders.recall(slot)
        return self._orders.taken()

    def wake(self) -> None:
        """Begin anew, after a rest."""
        self._starts.forget()
        self._deaths.forget()
        self._queue.open()

    def rest(self) -> list[Action]:
        """Make ready for another search: no tasks, no worker that holds a GPU."""
        self._forget()
        for slot in self.all_slots():
            if slot.given or slot.holds_gpu or slot.successor is not Successor.NONE:
                self._orders.end(slot)
        return self._orders.taken()

    def terminate(self) -> list[Action]:
        """End all workers at once, and forget all tasks."""
        self._forget()
        for slot in self.all_slots():
            self._orders.end(slot)
        return self._orders.taken()

    # ------------------------------------------------------------------
    # What has happened

    def handle(self, event: Event, now: Moment) -> list[Action]:
        """Take note of what has happened; return what is to be done about it."""
        self._now, slot = now, event.slot
        match event:
            case Started():
                slot.occupy(Occupied.STARTING)
                slot.created = now.clock
            case NotStarted():
                self._starts.note_impossible(event.error, now)
                slot.leave()
            case Began():
                self._starts.forget()
                slot.state = Occupied.BEGUN
                slot.note_begin(now)
            case Left():
                slot.says_bye = True
            case EpochEnded():
                if slot.runs(event.task_id):
                    slot.given[0].note_epoch(event.event, now)
            case Recalled():
                self._queue.put_back(slot.take_back(event.task_ids))
            case Answered():
                self._take(slot, event)
            case Ended():
                self._lose(slot, event)
            case SuccessorStarted():
                slot.successor = Successor.STARTING
                slot.successor_created = now.clock
            case SuccessorBegan():
                slot.successor = Successor.WARMING
            case SuccessorWarm():
                slot.successor = Successor.WARM
            case SuccessorEnded():
                self._orders.lose_successor(slot)
        return self._orders.taken()

    def _take(self, slot: Slot, event: Answered) -> None:
        if not slot.runs(event.task_id):
            self._orders.give_up(slot, "answered for a fold that it did not have")
            return
        attempt = slot.take_finished(self._now)
        attempt.started = event.status.started
        slot.note_status(event.status)
        self._deaths.forget()
        match event.answer:
            case OtherCode(is_stale=True):
                # The worker ends; a new one imports everything anew.
                self._orders.renew(slot)
                self._requeue(slot, attempt)
            case OtherCode() as answer:
                self._queue.finished.append(_outcomes.differs(slot, attempt, answer))
            case Exited() as answer:
                self._queue.finished.append(_outcomes.exited(slot, attempt, answer))
            case Scored() as answer:
                self._queue.note_seconds(answer)
                self._finish(slot, attempt, answer)
            case Raised() as answer:
                self._finish(slot, attempt, answer)
        if self._queue and slot.is_running:
            self._orders.start_successor(slot, event.status)

    def _finish(self, slot: Slot, attempt: Attempt, answer: Scored | Raised) -> None:
        """Take a fold for finished, unless it is to go on alone on its GPU."""
        trouble = answer.trouble
        if self._goes_on_alone(slot, attempt, trouble):
            return
        memory = None
        if self._is_alone(slot) and trouble.out_of_memory:
            memory = _outcomes.all_of_a_device(slot)
            self._orders.end(slot)
        self._queue.finished.append(_outcomes.finished(slot, attempt, answer, memory))
        if trouble.fault:  # its context is of no use to the next fold
            waiting = list(slot.given)
            self._orders.end(slot)
            self._queue.put_back(waiting)

    def _lose(self, slot: Slot, event: Ended) -> None:
        """Give back the tasks of a worker that has ended."""
        attempts, says_bye = list(slot.given), slot.says_bye
        has_begun = slot.state is Occupied.BEGUN
        self._orders.end(slot)
        if says_bye or not attempts:
            for attempt in reversed(attempts):
                self._requeue(slot, attempt)
        elif not has_begun:
            self._queue.put_back(attempts)
            self._starts.note_failed(event.ending)
        else:
            running, *waiting = attempts
            self._queue.put_back(waiting)
            self._try_again(slot, running, event)

    def _try_again(self, slot: Slot, attempt: Attempt, event: Ended) -> None:
        """Run a fold again whose worker died, if it has a try left."""
        shared = self._sharing(slot)
        may_be_hit = shared is not None and shared.has_daemon and event.aborted
        if shared is not None and may_be_hit and slot is not shared.alone:
            # TensorFlow and JAX abort on a fault, whoever's that was.
            self._queue.keep_for(shared, attempt)
            return
        self._deaths.note(attempt)
        self._error = self._error or self._deaths.error(event.ending)
        if attempt.number > self.max_retries:
            self._queue.finished.append(_outcomes.died(slot, attempt, event.ending))
            return
        again = Attempt(attempt.task, attempt.number + 1)
        what = attempt.task.candidate, again.number
        _log.warning("A fold of candidate %d runs again: try %d", *what)
        if shared is not None and event.aborted:
            self._queue.keep_for(shared, again)
        else:
            self._requeue(slot, again)

    # ------------------------------------------------------------------
    # Workers

    def _start(self, slot: Slot) -> bool:
        """Start a worker, unless that was impossible a moment ago."""
        may_start = self._starts.may_start(self._now)
        if may_start:
            self._orders.start(slot)
        return may_start

    def _stop_late(self, slot: Slot) -> None:
        assert self.fold_timeout is not None
        late, *waiting = slot.given
        self._orders.end(slot)
        self._queue.put_back(waiting)
        outcome = _outcomes.timed_out(slot, late, self.fold_timeout)
        self._queue.finished.append(outcome)

    def _deadlines(self) -> Iterator[float]:
        for slot in self.all_slots():
            if slot.state is Occupied.STARTING:
                yield slot.created + START_SECONDS
            if slot.successor is Successor.STARTING:
                yield slot.successor_created + START_SECONDS
            if self.fold_timeout is not None and slot.began is not None:
                yield slot.began + self.fold_timeout

    # ------------------------------------------------------------------
    # The queue

    def _requeue(self, slot: Slot, attempt: Attempt) -> None:
        """Queue again what is to run where it was."""
        shared = self._sharing(slot)
        if shared is not None and slot is shared.alone:
            self._queue.keep_for(shared, attempt)
        else:
            self._queue.put_back([attempt])

    def _forget(self) -> None:
        self._queue.clear(list(self._shared.values()))
        self._error = None

    # ------------------------------------------------------------------
    # GPUs

    def _sharing(self, slot: Slot) -> SharedDevice | None:
        return self._shared.get(slot.plan.device)  # type: ignore[arg-type]

    def _is_reserved(self, slot: Slot) -> bool:
        shared = self._sharing(slot)
        return shared is not None and shared.is_reserved

    def _is_alone(self, slot: Slot) -> bool:
        shared = self._sharing(slot)
        return shared is not None and slot is shared.alone

    def _feed_alone(self, shared: SharedDevice) -> bool:
        """Run what needs the GPU for itself; return whether a worker is to start."""
        if not shared.is_reserved:
            return False
        for slot in shared.slots:
            self._orders.recall(slot)
            if not slot.given:
                self._orders.end(slot)
        alone = shared.alone
        if alone.given or any(slot.is_occupied for slot in shared.slots):
            return False
        if not shared.queue:
            self._orders.end(alone)
        elif not alone.is_occupied:
            return self._start(alone)
        elif alone.is_running:
            self._orders.give(alone, shared.queue.popleft(), self._now)
        return False

    def _goes_on_alone(
        self, slot: Slot, attempt: Attempt, trouble: DeviceTrouble
    ) -> bool:
        """Give a fold the GPU for itself if it failed for what others took of it."""
        shared = self._sharing(slot)
        if shared is None or slot is shared.alone:
            return False
        if shared.has_daemon and trouble.fault:
            for other in shared.slots:
                # Each of them is hit, and which one is to blame cannot be told.
                given = list(other.given)
                self._orders.end(other)
                for hit in given[:1]:
                    self._queue.keep_for(shared, hit)
                self._queue.put_back(given[1:])
        elif trouble.out_of_memory:
            waiting = list(slot.given)
            self._orders.end(slot)  # what it holds, and what it has torn
            self._queue.put_back(waiting)
        else:
            return False
        self._queue.keep_for(shared, attempt)
        return True
