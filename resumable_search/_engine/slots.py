"""What is known of the places for workers. No processes here: these are plain values.

A worker does not run for ever. TensorFlow keeps about 4 MB of each model it ever
built, and other libraries leak too. So a worn worker gets a successor, which imports
what the worker had imported and takes its place between two folds: nobody waits.
"""

import collections
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from .._gpu.devices import SlotPlan
from .._records import EpochEvent, FoldTask, RunningTask
from .messages import WorkerStatus

__all__ = ["Attempt", "Moment", "Occupied", "SharedDevice", "Slot", "Successor"]

#: Folds after which a worker that has TensorFlow is worn.
FOLDS_PER_WORKER = 50

#: Growth since its first fold after which any worker is worn (bytes). At least so
#: many folds lie between two successions, for folds that need more than the first.
MOST_GROWTH = 512 * 2**20
LEAST_FOLDS = 10


class Moment(NamedTuple):
    """A time."""

    clock: float
    """Seconds of a clock that only goes forward."""
    utc: float
    """Seconds since 1970, UTC."""


class Occupied(Enum):
    """Whether there is a worker in a slot."""

    NO = auto()
    ASKED = auto()
    """It is to be started."""
    STARTING = auto()
    BEGUN = auto()


class Successor(Enum):
    """Whether a worker waits for the place of another one."""

    NONE = auto()
    ASKED = auto()
    STARTING = auto()
    WARMING = auto()
    """It has begun."""
    WARM = auto()
    """It has imported what the other one had."""


@dataclass
class Attempt:
    """A fold's task, and the number of the attempt, from 1."""

    task: FoldTask
    number: int = 1
    started: float | None = None
    """Seconds since 1970, UTC; while it runs, as far as the parent can tell."""
    epoch: int | None = None
    """Finished epochs of the Keras fit that runs in it."""
    n_epochs: int | None = None
    epoch_seconds: float | None = None
    """What an epoch of it takes, without what came before the first one seen."""
    first_seen: tuple[int, float] | None = None
    """The first epoch that was told of, and when (the clock)."""

    def note_epoch(self, event: EpochEvent, now: Moment) -> None:
        """Take note of how far the fit is that runs."""
        # Not after the first: another fit has begun.
        if self.first_seen is None or event.epoch <= self.first_seen[0]:
            self.first_seen, self.epoch_seconds = (event.epoch, now.clock), None
        else:
            first, then = self.first_seen
            self.epoch_seconds = (now.clock - then) / (event.epoch - first)
        self.epoch, self.n_epochs = event.epoch, event.n_epochs


@dataclass(eq=False)
class Slot:
    """A place for a worker, and what the worker was given."""

    plan: SlotPlan
    """Where it is."""
    number: int = 0
    """Of the place in its pool, for people."""
    state: Occupied = Occupied.NO
    successor: Successor = Successor.NONE
    given: collections.deque[Attempt] = field(default_factory=collections.deque)
    """The first is running, the others wait in the worker."""
    began: float | None = None
    """When the first one could begin (the clock)."""
    created: float = 0.0
    """When the worker was started (the clock); likewise its successor."""
    successor_created: float = 0.0
    says_bye: bool = False
    """The worker runs no fold any more."""
    recalled: bool = False
    """It was asked to give back what it has not begun."""
    holds_gpu: bool = False
    n_failed_successors: int = 0
    _n_folds: int = 0
    _first_private: int | None = None

    @property
    def is_occupied(self) -> bool:
        """Whether there is a worker, or is going to be."""
        return self.state is not Occupied.NO

    @property
    def is_running(self) -> bool:
        """Whether there is a process."""
        return self.state in (Occupied.STARTING, Occupied.BEGUN)

    @property
    def takes_work(self) -> bool:
        """Whether new tasks may be given to the worker."""
        return (
            self.is_running
            and not self.recalled
            and self.successor is not Successor.WARM
        )

    def occupy(self, state: Occupied) -> None:
        """Note that a new worker is there."""
        self.state = state
        self.says_bye = self.recalled = self.holds_gpu = False
        self.successor = Successor.NONE
        self.began = None
        self._n_folds, self._first_private = 0, None

    def leave(self) -> None:
        """Note that no worker is there any more, nor its successor."""
        self.state, self.successor = Occupied.NO, Successor.NONE
        self.given.clear()
        self.began = None

    def note_begin(self, now: Moment) -> None:
        """Note that the first task begins now, if there is one and a worker for it."""
        is_ready = self.state is Occupied.BEGUN and bool(self.given)
        self.began = now.clock if is_ready else None
        if is_ready:
            self.given[0].started = now.utc

    def is_late(self, fold_timeout: float | None, now: Moment) -> bool:
        """Return whether the first task takes longer than it may."""
        if fold_timeout is None or self.began is None or not self.given:
            return False
        return now.clock >= self.began + fold_timeout

    def runs(self, task_id: int) -> bool:
        """Return whether this is the task that the worker is at."""
        return bool(self.given) and self.given[0].task.task_id == task_id

    def take_finished(self, now: Moment) -> Attempt:
        """Take the task that the worker has answered; the next one begins."""
        attempt = self.given.popleft()
        self.note_begin(now)
        return attempt

    def take_back(self, task_ids: Collection[int]) -> list[Attempt]:
        """Take back what the worker says it has not begun."""
        returned = [a for a in self.given if a.task.task_id in task_ids]
        kept = [a for a in self.given if a.task.task_id not in task_ids]
        self.given = collections.deque(kept)
        self.recalled = False
        if not kept:
            self.began = None
        return returned

    def running(self, pid: int) -> RunningTask:
        """Return what the worker does."""
        attempt = self.given[0] if self.given else None
        return RunningTask(
            number=self.number,
            pid=pid,
            device=None if self.plan.device is None else self.plan.device.uuid,
            task_id=None if attempt is None else attempt.task.task_id,
            started=None if attempt is None else attempt.started,
            attempt=1 if attempt is None else attempt.number,
            epoch=None if attempt is None else attempt.epoch,
            n_epochs=None if attempt is None else attempt.n_epochs,
            epoch_seconds=None if attempt is None else attempt.epoch_seconds,
        )

    def note_status(self, status: WorkerStatus) -> None:
        """Take note of how the worker is after a fold."""
        self.holds_gpu = status.holds_gpu
        self._n_folds += 1
        if self._first_private is None:
            self._first_private = status.private_bytes

    def is_worn(self, status: WorkerStatus) -> bool:
        """Return whether another worker should take the place."""
        if "tensorflow" in status.frameworks and self._n_folds >= FOLDS_PER_WORKER:
            return True
        private, first = status.private_bytes, self._first_private
        has_grown = private is not None and private - (first or 0) > MOST_GROWTH
        return has_grown and self._n_folds >= LEAST_FOLDS


@dataclass(eq=False)
class SharedDevice:
    """A GPU, the slots on it, and the folds that need it for themselves.

    A fold that ran out of memory is tried again alone. Until that is done, the
    other slots on the GPU finish what they run and end, so that their memory is
    free; then they start again.
    """

    slots: list[Slot]
    alone: Slot
    """The place that has the GPU for itself."""
    has_daemon: bool = False
    """Whether its workers are clients of an MPS daemon."""
    queue: collections.deque[Attempt] = field(default_factory=collections.deque)
    """Folds that wait for the GPU."""

    @property
    def is_reserved(self) -> bool:
        """Whether a fold has, or waits for, the GPU for itself."""
        return bool(self.queue) or self.alone.is_occupied
