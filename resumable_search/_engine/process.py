"""One worker process as its parent sees it: start, talk, listen, end.

The child is a fresh interpreter and does not import the user's ``__main__``: it
starts with the parent's ``sys.path``, working directory and interpreter flags.
"""

import codecs
import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from multiprocessing import Pipe, spawn
from typing import Any, TextIO

from . import guard as _guard
from .frames import FrameReader

__all__ = ["WorkerProcess", "start", "worker_command"]

# The child sets its path before it imports anything that could be shadowed.
_BOOTSTRAP = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from resumable_search._engine.lifeline import end_with_parent; "
    "end_with_parent(int(sys.argv[2])); "
    "from resumable_search._engine.worker import main; "
    "main(int(sys.argv[1]))"
)

_READ_BYTES = 1 << 16

# Bytes of output at a time, so that a worker that prints without end does not keep
# its parent from all else. More than a pipe holds: what a fold has printed comes out
# before it counts as done.
_MOST_RELAYED = 1 << 22


class _Stream:
    """A pipe from the child that comes out of one of the parent's streams."""

    def __init__(self, pipe: Any, name: str) -> None:
        self._pipe = pipe
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.is_open = True
        os.set_blocking(pipe.fileno(), False)

    def fileno(self) -> int:
        return int(self._pipe.fileno())

    def relay(self) -> None:
        """Write what is there to ``sys.stdout`` or ``sys.stderr`` of the moment."""
        n_bytes = 0
        while self.is_open and n_bytes < _MOST_RELAYED:
            try:
                data = os.read(self.fileno(), _READ_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            n_bytes += len(data)
            if not data:
                self.close()
            text = self._decoder.decode(data, final=not data)
            target: TextIO | None = getattr(sys, self._name)
            if text and target is not None:
                _write(target, text)

    def close(self) -> None:
        self.is_open = False
        self._pipe.close()


def _write(target: TextIO, text: str) -> None:
    """Write what can be written: a search goes on when nobody can read its output."""
    try:
        target.write(text)
    except UnicodeEncodeError:
        encoding = target.encoding or "ascii"
        replaced = text.encode(encoding, "backslashreplace").decode(encoding)
        _write(target, replaced)
    except (OSError, ValueError):  # the terminal, or the reader of a pipe, is gone
        pass


def worker_command() -> list[str]:
    """Give the begin of the command that starts a worker."""
    return [
        os.fsdecode(spawn.get_executable()),
        # The parent's flags: -O, -X, and -W with the warnings it wants to see.
        *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]
        "-P",
    ]


class WorkerProcess:
    """A child process and the pipes to it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        ours, theirs = Pipe(duplex=True)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [
                    *worker_command(),
                    "-c",
                    _BOOTSTRAP,
                    str(theirs.fileno()),
                    str(os.getpid()),
                    *map(os.fspath, sys.path),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **environment},
                pass_fds=[theirs.fileno()],
                # Ctrl-C is for the parent, and what the estimator starts can be
                # ended together with the worker.
                start_new_session=True,
            )
        _guard.watch(self._process.pid)
        self.created = time.monotonic()
        self._given_up: str | None = None
        self._connection = ours
        self._connection_open = True
        self._frames = FrameReader(ours.fileno())
        self._streams = [
            _Stream(self._process.stdout, "stdout"),
            _Stream(self._process.stderr, "stderr"),
        ]
        # Readable when the process has ended, even if the pipe is kept open by a
        # process that the estimator forked.
        self._end_fd: int | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self._end_fd = os.pidfd_open(self._process.pid)
        self.has_begun = False

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def sources(self) -> list[Any]:
        """Give what to wait for."""
        sources: list[Any] = [stream for stream in self._streams if stream.is_open]
        if self._connection_open:
            sources.append(self._connection)
        if self._end_fd is not None:
            sources.append(self._end_fd)
        return sources

    def send(self, *message: Any) -> None:
        """Send a message; if the child is gone, `has_ended` will tell."""
        with contextlib.suppress(OSError):
            self._connection.send_bytes(pickle.dumps(message, protocol=5))

    def receive(self) -> list[bytes]:
        """Give the messages there are."""
        if not self._connection_open:
            return []
        messages, self._connection_open = self._frames.take()
        self.has_begun |= bool(messages)
        return messages

    def relay_output(self) -> None:
        """Let what the child printed come out of this process's streams."""
        for stream in self._streams:
            stream.relay()

    def has_ended(self) -> bool:
        """Tell whether the process is gone, or can no longer be talked to."""
        return not self._connection_open or self._process.poll() is not None

    def kill(self) -> None:
        """End the process and those it started that are still in its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        _guard.forget(self._process.pid)
        self.relay_output()
        for stream in self._streams:
            if stream.is_open:
                stream.close()
        self._frames.close()
        self._connection.close()
        self._connection_open = False
        if self._end_fd is not None:
            os.close(self._end_fd)
            self._end_fd = None

    def give_up(self, why: str) -> None:
        """End the process for a reason that `ending` gives."""
        self._given_up = why
        self.kill()

    def ending(self) -> str:
        """Say how the process ended."""
        if self._given_up is not None:
            return self._given_up
        code = self._process.returncode
        if code is not None and code < 0:
            try:
                name = signal.Signals(-code).name
            except ValueError:
                name = str(-code)
            return f"was killed by signal {name}"
        return f"ended with exit code {code}"


# ---------------------------------------------------------------------------
# The kernel ends a child when the *thread* that started it ends, so all children
# are started by one thread that lives as long as the process.

_requests: queue.SimpleQueue[tuple[Mapping[str, str], Future[WorkerProcess]]] = (
    queue.SimpleQueue()
)
_starter_pid: int | None = None
_starter_lock = threading.Lock()


def start(environment: Mapping[str, str]) -> WorkerProcess:
    """Start a worker with `environment` added to that of this process."""
    global _requests, _starter_pid
    with _starter_lock:
        if _starter_pid != os.getpid():  # first use, or after a fork
            _requests = queue.SimpleQueue()
            threading.Thread(
                target=_start_forever, args=(_requests,), daemon=True, name="starter"
            ).start()
            _starter_pid = os.getpid()
    future: Future[WorkerProcess] = Future()
    _requests.put((environment, future))
    return future.result()


def _start_forever(
    requests: "queue.SimpleQueue[tuple[Mapping[str, str], Future[WorkerProcess]]]",
) -> None:
    while True:
        environment, future = requests.get()
        try:
            future.set_result(WorkerProcess(environment))
        except BaseException as exc:  # raised where the worker was asked for
            future.set_exception(exc)
