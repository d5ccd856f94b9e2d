"""One place for a worker: the process in it, what that was given, its successor.

A worker does not run for ever. TensorFlow keeps about 4 MB of each model it ever
built, and other libraries leak too. So a worn worker gets a successor, which imports
what the worker had imported and takes its place between two folds: nobody waits.
"""

import collections
import contextlib
import logging
import time
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from .._exceptions import ResumableSearchWarning
from .._gpu.devices import SlotPlan
from .._gpu.mps import MpsDaemon
from .._records import EpochEvent, FoldTask, RunningTask
from . import process as _process
from .messages import Recall, RunFold, Warm, WorkerStatus
from .process import WorkerProcess

__all__ = ["Attempt", "SharedDevice", "Slot"]

_log = logging.getLogger(__name__)

#: Folds after which a worker that has TensorFlow is worn.
FOLDS_PER_WORKER = 50

#: Growth since its first fold after which any worker is worn (bytes). At least so
#: many folds lie between two successions, for folds that need more than the first.
MOST_GROWTH = 512 * 2**20
LEAST_FOLDS = 10

_MOST_FAILED_SUCCESSORS = 3


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
    """The first epoch that was told of, and when (monotonic clock)."""

    def note_epoch(self, epoch: int, n_epochs: int) -> None:
        """Take note of how far the fit is that runs."""
        now = time.monotonic()
        if self.first_seen is None or epoch <= self.first_seen[0]:  # a fit begins
            self.first_seen, self.epoch_seconds = (epoch, now), None
        else:
            first, then = self.first_seen
            self.epoch_seconds = (now - then) / (epoch - first)
        self.epoch, self.n_epochs = epoch, n_epochs


class Slot:
    """A place for a worker.

    Parameters
    ----------
    plan : SlotPlan
        Where it is.
    environment : mapping of str to str
        For its workers, beyond what the plan says.
    daemon : MpsDaemon or None
        Where its workers have to be attached.
    number : int
        Number of the place in its pool, for people.
    """

    def __init__(
        self,
        plan: SlotPlan,
        environment: Mapping[str, str],
        daemon: MpsDaemon | None = None,
        number: int = 0,
    ) -> None:
        self.plan = plan
        self.number = number
        self._environment = {**environment, **dict(plan.variables)}
        self._daemon = daemon
        self.process: WorkerProcess | None = None
        self.given: collections.deque[Attempt] = collections.deque()
        """The first is running, the others wait in the worker."""
        self.began: float | None = None
        """When the first one could begin, by the monotonic clock (seconds)."""
        self._successor: WorkerProcess | None = None
        self._failed_successors = 0
        self._begin()

    def _begin(self) -> None:
        self.says_bye = False
        self.recalled = False
        self.holds_gpu = False
        self.successor_is_warm = False
        self._n_folds = 0
        self._first_private: int | None = None
        self._is_checked = False

    def start(self) -> None:
        """Start a worker."""
        self.process = _process.start(self._environment)
        self._begin()
        device = self.plan.device
        place = "" if device is None else f" on {device.name} ({device.uuid})"
        _log.info(
            "Worker %d started: process %d%s", self.number, self.process.pid, place
        )

    def end(self) -> None:
        """End the worker and its successor at once, and forget what it was given."""
        if self._daemon is not None and self.process is not None and self.given:
            # Killed in the middle of its work it could hang the GPU's other clients.
            self._daemon.terminate_client(self.process.pid)
        for process in self.processes():
            process.kill()
        self.process = self._successor = None
        self.given.clear()
        self.began = None

    def processes(self) -> list[WorkerProcess]:
        """Return the processes in this place."""
        return [p for p in (self.process, self._successor) if p is not None]

    def give(self, attempt: Attempt) -> None:
        """Hand a task to the worker."""
        assert self.process is not None
        self.given.append(attempt)
        if len(self.given) == 1:
            self.note_begin()
        self.process.send(RunFold(attempt.task))

    def note_begin(self) -> None:
        """Note that the first task begins now, if there is one and a worker for it."""
        is_ready = self.process is not None and self.process.has_begun
        self.began = time.monotonic() if is_ready and self.given else None
        if self.began is not None:
            self.given[0].started = time.time()

    def runs(self, task_id: int) -> bool:
        """Return whether this is the task that the worker is at."""
        return bool(self.given) and self.given[0].task.task_id == task_id

    def take_finished(self) -> Attempt:
        """Take the task that the worker has answered; the next one begins."""
        attempt = self.given.popleft()
        self.note_begin()
        return attempt

    def deadline(self, fold_timeout: float | None, start: float) -> float | None:
        """Return the moment by which something has to happen here (monotonic clock)."""
        moments = [p.created + start for p in self.processes() if not p.has_begun]
        if fold_timeout is not None and self.began is not None:
            moments.append(self.began + fold_timeout)
        return min(moments, default=None)

    def running(self) -> RunningTask:
        """Tell what the worker does."""
        assert self.process is not None
        attempt = self.given[0] if self.given else None
        return RunningTask(
            number=self.number,
            pid=self.process.pid,
            device=None if self.plan.device is None else self.plan.device.uuid,
            task_id=None if attempt is None else attempt.task.task_id,
            started=None if attempt is None else attempt.started,
            attempt=1 if attempt is None else attempt.number,
            epoch=None if attempt is None else attempt.epoch,
            n_epochs=None if attempt is None else attempt.n_epochs,
            epoch_seconds=None if attempt is None else attempt.epoch_seconds,
        )

    def recall(self) -> None:
        """Ask the worker to give back what it has not begun."""
        if self.process is not None and len(self.given) > 1 and not self.recalled:
            self.recalled = True
            self.process.send(Recall())

    def take_back(self, task_ids: Collection[int]) -> list[Attempt]:
        """Take back what the worker says it has not begun."""
        returned = [a for a in self.given if a.task.task_id in task_ids]
        kept = [a for a in self.given if a.task.task_id not in task_ids]
        self.given = collections.deque(kept)
        self.recalled = False
        return returned

    def note_epoch(self, task_id: int, event: EpochEvent) -> None:
        """Take note of how far the fold is that the worker runs."""
        if self.runs(task_id):
            self.given[0].note_epoch(event.epoch, event.n_epochs)

    # ------------------------------------------------------------------
    # Succession

    def note(self, status: WorkerStatus, more_to_come: bool) -> None:
        """Take note of how the worker is after a fold."""
        self.holds_gpu = status.holds_gpu
        self._n_folds += 1
        private = status.private_bytes
        if private is not None and self._first_private is None:
            self._first_private = private
        if more_to_come and self._successor is None and self._is_worn(status):
            self._start_successor(status.frameworks)
        self._check_attached()

    def _is_worn(self, status: WorkerStatus) -> bool:
        if "tensorflow" in status.frameworks and self._n_folds >= FOLDS_PER_WORKER:
            return True
        private, first = status.private_bytes, self._first_private
        has_grown = private is not None and private - (first or 0) > MOST_GROWTH
        return has_grown and self._n_folds >= LEAST_FOLDS

    def _start_successor(self, frameworks: tuple[str, ...]) -> None:
        if self._failed_successors >= _MOST_FAILED_SUCCESSORS:
            return
        try:
            self._successor = _process.start(self._environment)
        except OSError:  # no memory for another process, say: the worker goes on
            self._failed_successors += 1
            return
        self._successor.send(Warm(frameworks))

    def is_successor(self, process: WorkerProcess) -> bool:
        """Return whether a process waits for the place of the worker."""
        return process is self._successor

    def lose_successor(self) -> None:
        """Do without a successor that has ended; the worker goes on."""
        assert self._successor is not None
        self._successor.kill()
        self._successor = None
        # A warm one ended for want of work: the worker's fold takes long.
        self._failed_successors += not self.successor_is_warm
        self.successor_is_warm = False

    def succeed(self) -> None:
        """Let the successor take the place, once it is warm and the worker idle."""
        if not self.successor_is_warm:
            return
        self.recall()
        if not self.given:
            if self.process is not None:
                self.process.kill()
            self.process, self._successor = self._successor, None
            self._begin()
            if self.process is not None:
                pid = self.process.pid
                _log.info("Worker %d replaced: process %d", self.number, pid)

    @property
    def takes_work(self) -> bool:
        """Whether new tasks may be given to the worker."""
        return (
            self.process is not None
            and not self.recalled
            and not self.successor_is_warm
        )

    def _check_attached(self) -> None:
        """Warn if the worker uses the GPU and is not a client of the MPS daemon."""
        if self._daemon is None or self._is_checked or not self.holds_gpu:
            return
        self._is_checked = True
        assert self.process is not None
        if not self._daemon.serves(self.process.pid):
            warnings.warn(
                f"The worker {self.process.pid} uses the GPU without MPS, although "
                "mps='on' or 'auto' has started it: CUDA does so without a word when "
                "it does not reach the daemon. Its kernels take turns with those of "
                "the other workers. The likely cause is an estimator that changes "
                "CUDA_MPS_PIPE_DIRECTORY, or another user's daemon on this GPU.",
                ResumableSearchWarning,
                stacklevel=2,
            )


class SharedDevice:
    """A GPU, the slots on it, and the folds that need it for themselves.

    A fold that ran out of memory is tried again alone. Until that is done, the
    other slots on the GPU finish what they run and end, so that their memory is
    free; then they start again.

    Parameters
    ----------
    slots : list of Slot
        The slots on the GPU.
    alone : Slot
        The place that has the GPU for itself.
    daemon : MpsDaemon or None
        The daemon of the GPU, for the life of the pool.
    """

    def __init__(
        self, slots: list[Slot], alone: Slot, daemon: MpsDaemon | None
    ) -> None:
        self.slots = slots
        self.alone = alone
        self.daemon = daemon
        self.queue: collections.deque[Attempt] = collections.deque()
        """Folds that wait for the GPU."""

    @property
    def is_reserved(self) -> bool:
        """Whether a fold has, or waits for, the GPU for itself."""
        return bool(self.queue or self.alone.process is not None)

    def feed(self) -> None:
        """Run what needs the GPU for itself, as soon as it is free."""
        if not self.is_reserved:
            return
        for slot in self.slots:
            slot.recall()
            if not slot.given:
                slot.end()
        if any(slot.process is not None for slot in self.slots):
            return
        if self.alone.given:
            return
        if not self.queue:
            self.alone.end()
            return
        if self.alone.process is None:
            self.alone.start()
        self.alone.give(self.queue.popleft())

    def end(self) -> None:
        """Forget all folds; end the workers and the daemon."""
        self.queue.clear()
        for slot in (*self.slots, self.alone):
            slot.end()
        if self.daemon is not None:
            with contextlib.suppress(OSError):
                self.daemon.close()
