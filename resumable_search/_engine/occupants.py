"""The processes in the slots of a pool."""

import logging
import warnings
from collections.abc import Mapping

from .._exceptions import ResumableSearchWarning
from .._gpu.mps import MpsDaemon
from . import process as _process
from .messages import ToWorker, Warm, WorkerStatus
from .process import WorkerProcess
from .slots import Slot

__all__ = ["Occupant"]

_log = logging.getLogger(__name__)


class Occupant:
    """The worker in a slot, and its successor.

    Parameters
    ----------
    slot : Slot
        The slot.
    environment : mapping of str to str
        For the workers, beyond what the plan of the slot says.
    daemon : MpsDaemon or None
        Where they have to be attached.
    """

    def __init__(
        self, slot: Slot, environment: Mapping[str, str], daemon: MpsDaemon | None
    ) -> None:
        self.slot = slot
        self.process: WorkerProcess | None = None
        self.successor: WorkerProcess | None = None
        self._environment = {**environment, **dict(slot.plan.variables)}
        self._daemon = daemon
        self._is_checked = False

    def processes(self) -> list[WorkerProcess]:
        """Return the processes that are there."""
        return [p for p in (self.process, self.successor) if p is not None]

    def start(self) -> None:
        """Start a worker.

        Raises
        ------
        OSError
            If there is no memory for it, or a limit is reached.
        """
        self.process = _process.start(self._environment)
        self._is_checked = False
        device = self.slot.plan.device
        place = "" if device is None else f" on {device.name} ({device.uuid})"
        number, pid = self.slot.number, self.process.pid
        _log.info("Worker %d started: process %d%s", number, pid, place)

    def end(self, *, is_busy: bool) -> None:
        """End the worker and its successor at once."""
        if self._daemon is not None and self.process is not None and is_busy:
            # Killed in the middle of its work it could hang the GPU's other clients.
            self._daemon.terminate_client(self.process.pid)
        for process in self.processes():
            process.kill()
        self.process = self.successor = None

    def send(self, message: ToWorker) -> None:
        """Send the worker a message, if there is one."""
        if self.process is not None:
            self.process.send(message)

    def start_successor(self, frameworks: tuple[str, ...]) -> None:
        """Start a successor; see `start`."""
        self.successor = _process.start(self._environment)
        self.successor.send(Warm(frameworks))

    def end_successor(self) -> None:
        """End the successor, if there is one."""
        if self.successor is not None:
            self.successor.kill()
            self.successor = None

    def succeed(self) -> None:
        """Put the successor in the place of the worker."""
        if self.process is not None:
            self.process.kill()
        self.process, self.successor = self.successor, None
        self._is_checked = False
        if self.process is not None:
            number, pid = self.slot.number, self.process.pid
            _log.info("Worker %d replaced: process %d", number, pid)

    def check_attached(self, status: WorkerStatus) -> None:
        """Warn if the worker uses the GPU and is not a client of the MPS daemon."""
        if self._daemon is None or self._is_checked or not status.holds_gpu:
            return
        self._is_checked = True
        if self.process is not None and not self._daemon.serves(self.process.pid):
            warnings.warn(
                f"The worker {self.process.pid} uses the GPU without MPS, although "
                "mps='on' or 'auto' has started it: CUDA does so without a word when "
                "it does not reach the daemon. Its kernels take turns with those of "
                "the other workers. The likely cause is an estimator that changes "
                "CUDA_MPS_PIPE_DIRECTORY, or another user's daemon on this GPU.",
                ResumableSearchWarning,
                stacklevel=2,
            )
