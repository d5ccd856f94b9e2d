"""The child process: one fold in, one result out.

::

    parent                                  child
      |  RunFold                               reader thread -> inbox
      |------------------------------------->        |
      |  Recall                                      v
      |------------------------------------->  main thread: run the fold
      |  EpochEnded                                  |
      |<---------------------------------------------+
      |  Answered                                    |
      |<---------------------------------------------+

The reader thread takes tasks off the pipe while a fold runs, so the parent never
waits to send, and gives back what has not begun when the parent asks. When the
parent is gone the pipe ends and the thread ends the process; on Linux the kernel
does that too, for a fold that never lets another thread run.

What the estimator prints goes to the process's standard output and error, which
are pipes to the parent.
"""

import collections
import contextlib
import dataclasses
import os
import pickle
import select
import sys
import threading
import time
from multiprocessing.connection import Connection

import cloudpickle
from joblib import parallel_config
from joblib.parallel import ThreadingBackend

from .._frameworks import hooks as _frameworks
from .._frameworks import seeds as _seeds
from .._gpu.devices import holds_gpu
from .fold_runner import FoldRunner, pickled
from .fold_settings import FoldSettings
from .frames import write_frame
from .lifeline import set_name
from .messages import (
    Answered,
    Began,
    FoldAnswer,
    FromWorker,
    IsWarm,
    Leaves,
    OtherCode,
    Raised,
    Recall,
    Recalled,
    RunFold,
    SentError,
    ToWorker,
    Warm,
    WorkerStatus,
)

#: Seconds without a task after which a worker ends, as joblib's workers do.
IDLE_SECONDS = 300.0


class _Inbox:
    """Tasks that have come and not begun. Filled by one thread, emptied by another."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tasks: collections.deque[RunFold | Warm] = collections.deque()
        self._changed = threading.Condition()
        self._send_lock = threading.Lock()
        self._closed = False

    def send(self, message: FromWorker) -> None:
        with self._send_lock:
            write_frame(self._connection.fileno(), pickle.dumps(message, protocol=5))

    def offer(self, message: FromWorker) -> None:
        """Send what may be lost, unless the parent is behind with reading."""
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLOUT)
        if poll.poll(0):
            self.send(message)

    def read_forever(self) -> None:
        """Move tasks from the pipe to the inbox, until the parent is gone."""
        while True:
            try:
                message: ToWorker = pickle.loads(  # noqa: S301 - our parent
                    self._connection.recv_bytes()
                )
            except (EOFError, OSError):
                # The parent closed the pipe or died. Nobody waits for the fold.
                os._exit(0)
            with self._changed:
                if isinstance(message, Recall):
                    folds = [m for m in self._tasks if isinstance(m, RunFold)]
                    self._tasks.clear()
                    self.send(Recalled(frozenset(f.task.task_id for f in folds)))
                else:
                    self._tasks.append(message)
                    self._changed.notify()

    def next(self, timeout: float) -> RunFold | Warm | None:
        """Return the next task, or None after `timeout` seconds without one."""
        with self._changed:
            # A task that came may have been recalled again before this wakes up.
            self._changed.wait_for(lambda: self._tasks, timeout)
            return self._tasks.popleft() if self._tasks else None


def _packed(answer: FoldAnswer) -> bytes:
    if isinstance(answer, Raised):
        exc = answer.error
        description = f"{type(exc).__module__}.{type(exc).__qualname__}: {exc}"
        try:
            error = bytes(cloudpickle.dumps(exc, protocol=5))
            pickle.loads(error)  # noqa: S301 - some can be written and not read
        except Exception:
            error = b""
        answer = dataclasses.replace(answer, error=SentError(error, description))
    return pickled(answer)


def main(connection_fd: int) -> None:
    """Run folds until the parent closes the pipe, or for want of work."""
    set_name("search-worker")
    inbox = _Inbox(Connection(connection_fd))
    # Before the estimator's code runs, and not line by line: pipes are not
    # terminals, and a flush follows each fold.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    threading.Thread(target=inbox.read_forever, daemon=True, name="reader").start()
    del sys.argv[1:]
    _frameworks.follow()
    _seeds.follow()
    settings = FoldSettings()
    settings.follow()
    runner = FoldRunner(settings, inbox.offer)
    inbox.send(Began())
    pid = os.getpid()
    # Parallel estimators get threads in here, as they do in joblib's own workers.
    with parallel_config(backend=ThreadingBackend(nesting_level=1), n_jobs=None):
        while (message := inbox.next(IDLE_SECONDS)) is not None:
            if isinstance(message, Warm):
                _frameworks.warm(message.frameworks)
                inbox.send(IsWarm())
                continue
            started = time.time()
            answer = runner.run(message.task)
            content = _packed(answer)
            if os.getpid() != pid:
                os._exit(1)  # a child that the fold forked, and that should have ended
            _flush_output()
            is_stale = isinstance(answer, OtherCode) and answer.is_stale
            del answer  # an exception holds what its fold has held
            inbox.send(
                Answered(
                    task_id=message.task.task_id,
                    answer=content,
                    status=_status(started),
                )
            )
            if is_stale:
                break
            _frameworks.clear()
    inbox.send(Leaves())


def _status(started: float) -> WorkerStatus:
    return WorkerStatus(
        started=started,
        holds_gpu=holds_gpu(),
        frameworks=_frameworks.imported(),
        private_bytes=_frameworks.private_bytes(),
    )


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the estimator may have closed it
            stream.flush()
