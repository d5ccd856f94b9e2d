"""The child process: one fold in, one result out.

::

    parent                                  child
      |  ("fold", id, FoldTask)                reader thread -> inbox
      |------------------------------------->        |
      |  ("recall",)                                 v
      |------------------------------------->  main thread: run the fold
      |  ("event", id, {"epoch": ..., ...})          |
      |<---------------------------------------------+
      |  ("done" | "error" | ..., id, bytes, status) |
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
import os
import pickle
import select
import sys
import threading
import time
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
from joblib import parallel_config
from joblib.parallel import ThreadingBackend

from .._frameworks import hooks as _frameworks
from .._frameworks import seeds as _seeds
from .._gpu.devices import holds_gpu
from .fold_runner import Answer, FoldRunner, pickled, text_of
from .fold_settings import FoldSettings
from .frames import write_frame
from .lifeline import set_name

#: Seconds without a task after which a worker ends, as joblib's workers do.
IDLE_SECONDS = 300.0


class _Inbox:
    """Tasks that have come and not begun. Filled by one thread, emptied by another."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tasks: collections.deque[tuple[Any, ...]] = collections.deque()
        self._changed = threading.Condition()
        self._send_lock = threading.Lock()
        self._closed = False

    def send(self, *message: Any) -> None:
        with self._send_lock:
            write_frame(self._connection.fileno(), pickle.dumps(message, protocol=5))

    def offer(self, *message: Any) -> None:
        """Send what may be lost, unless the parent is behind with reading."""
        poll = select.poll()
        poll.register(self._connection.fileno(), select.POLLOUT)
        if poll.poll(0):
            self.send(*message)

    def read_forever(self) -> None:
        """Move tasks from the pipe to the inbox, until the parent is gone."""
        while True:
            try:
                message = pickle.loads(self._connection.recv_bytes())  # noqa: S301
            except (EOFError, OSError):
                # The parent closed the pipe or died. Nobody waits for the fold.
                os._exit(0)
            with self._changed:
                if message[0] == "recall":
                    recalled = [task[1] for task in self._tasks]
                    self._tasks.clear()
                    self.send("recalled", recalled)
                else:
                    self._tasks.append(message)
                    self._changed.notify()

    def next(self, timeout: float) -> tuple[Any, ...] | None:
        """Return the next task, or None after `timeout` seconds without one."""
        with self._changed:
            # A task that came may have been recalled again before this wakes up.
            self._changed.wait_for(lambda: self._tasks, timeout)
            return self._tasks.popleft() if self._tasks else None


def _packed(answer: Answer) -> bytes:
    if answer.kind != "error":
        return pickled(answer.content)
    exc, caught = answer.content
    description = f"{type(exc).__module__}.{type(exc).__qualname__}: {exc}"
    try:
        error = bytes(cloudpickle.dumps(exc, protocol=5))
        pickle.loads(error)  # noqa: S301 - some can be written and not read
    except Exception:
        error = b""
    return pickled((error, description, text_of(exc), caught))


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
    inbox.send("hello")
    pid = os.getpid()
    # Parallel estimators get threads in here, as they do in joblib's own workers.
    with parallel_config(backend=ThreadingBackend(nesting_level=1), n_jobs=None):
        while (task := inbox.next(IDLE_SECONDS)) is not None:
            if task[0] == "warm":
                _frameworks.warm(task[1])
                inbox.send("warm")
                continue
            started = time.time()
            answer = runner.run(task[2])
            content = _packed(answer)
            if os.getpid() != pid:
                os._exit(1)  # a child that the fold forked, and that should have ended
            _flush_output()
            kind = answer.kind
            del answer  # an exception holds what its fold has held
            inbox.send(kind, task[1], content, _status(started))
            if kind == "stale":
                break
            _frameworks.clear()
    inbox.send("bye")


def _status(started: float) -> dict[str, Any]:
    """Tell what the parent needs to know of this process after each fold."""
    frameworks = _frameworks.imported()
    return {
        "started": started,
        "holds_gpu": holds_gpu(),
        "frameworks": frameworks,
        "private_bytes": _frameworks.private_bytes(),
    }


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the estimator may have closed it
            stream.flush()
