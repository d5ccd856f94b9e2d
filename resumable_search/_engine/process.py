"""One worker process as its parent sees it: start, talk, listen, end.

The child is forked from a process that has imported scikit-learn and nothing of the
user's, or is a new interpreter where that is not possible. It does not import the
user's ``__main__``: it starts with the parent's ``sys.path``, working directory and
interpreter flags.
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
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from multiprocessing import Pipe, spawn
from typing import Any, Protocol, TextIO

from . import forkserver as _forkserver
from . import guard as _guard
from .frames import FrameReader
from .messages import ToWorker

__all__ = ["WorkerProcess", "renew", "start", "worker_command"]

renew = _forkserver.renew

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

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self.is_open = True
        os.set_blocking(fd, False)

    def fileno(self) -> int:
        return self._fd

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
        os.close(self._fd)


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
    """Return the begin of the command that starts a worker."""
    return [
        os.fsdecode(spawn.get_executable()),
        # The parent's flags: -O, -X, and -W with the warnings it wants to see.
        *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]
        "-P",
    ]


class _Child(Protocol):
    """A process, however it was started."""

    pid: int
    #: Readable when the process has ended, even if a pipe to it is kept open by a
    #: process that the estimator forked. None: this system has no such thing.
    end_fd: int | None

    def poll(self) -> int | None:
        """Return the exit code, None while it runs; negative: a signal's number."""

    def wait(self) -> int | None:
        """Wait until it has ended, and return the exit code."""

    def close(self) -> None:
        """Forget the process."""


class _NewInterpreter:
    """A child that has started on its own.

    Parameters
    ----------
    files : sequence of int
        Its connection, standard output and standard error.
    environment : mapping of str to str
        All of it.
    """

    def __init__(self, files: Sequence[int], environment: Mapping[str, str]) -> None:
        connection, stdout, stderr = files
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [
                *worker_command(),
                "-c",
                _BOOTSTRAP,
                str(connection),
                str(os.getpid()),
                *map(os.fspath, sys.path),
            ],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=environment,
            pass_fds=[connection],
            # Ctrl-C is for the parent, and what the estimator starts can be ended
            # together with the worker.
            start_new_session=True,
        )
        self.pid = self._process.pid
        self.end_fd: int | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                self.end_fd = os.pidfd_open(self.pid)

    def poll(self) -> int | None:
        return self._process.poll()

    def wait(self) -> int | None:
        return self._process.wait()

    def close(self) -> None:
        if self.end_fd is not None:
            os.close(self.end_fd)
            self.end_fd = None


class WorkerProcess:
    """A child process and the pipes to it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        environment = {**os.environ, **environment}
        ours, theirs = Pipe(duplex=True)
        (stdout, its_stdout), (stderr, its_stderr) = os.pipe(), os.pipe()
        files = (theirs.fileno(), its_stdout, its_stderr)
        try:
            self._child: _Child = _forkserver.fork(
                worker_command(), files, environment
            ) or _NewInterpreter(files, environment)
        except BaseException:
            ours.close()
            os.close(stdout)
            os.close(stderr)
            raise
        finally:
            theirs.close()
            os.close(its_stdout)
            os.close(its_stderr)
        _guard.watch(self.pid)
        self.created = time.monotonic()
        self._given_up: str | None = None
        self._connection = ours
        self._connection_open = True
        self._frames = FrameReader(ours.fileno())
        self._streams = [_Stream(stdout, "stdout"), _Stream(stderr, "stderr")]
        self.has_begun = False

    @property
    def pid(self) -> int:
        """Process id."""
        return self._child.pid

    def sources(self) -> list[Any]:
        """Return what to wait for."""
        sources: list[Any] = [stream for stream in self._streams if stream.is_open]
        if self._connection_open:
            sources.append(self._connection)
        if self._child.end_fd is not None:
            sources.append(self._child.end_fd)
        return sources

    def send(self, message: ToWorker) -> None:
        """Send a message; if the child is gone, `has_ended` will tell."""
        with contextlib.suppress(OSError):
            self._connection.send_bytes(pickle.dumps(message, protocol=5))

    def receive(self) -> list[bytes]:
        """Return the messages there are."""
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
        """Return whether the process is gone, or can no longer be talked to."""
        return not self._connection_open or self._child.poll() is not None

    def kill(self) -> None:
        """End the process and those it started that are still in its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._child.wait()
        _guard.forget(self.pid)
        self.relay_output()
        for stream in self._streams:
            if stream.is_open:
                stream.close()
        self._frames.close()
        self._connection.close()
        self._connection_open = False
        self._child.close()

    def give_up(self, why: str) -> None:
        """End the process for a reason that `ending` gives."""
        self._given_up = why
        self.kill()

    def ending(self) -> str:
        """Say how the process ended."""
        if self._given_up is not None:
            return self._given_up
        code = self._child.poll()
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
    try:
        return future.result()
    except BaseException:
        # Ctrl-C while it starts: nobody will have it.
        future.add_done_callback(_discard)
        raise


def _discard(future: "Future[WorkerProcess]") -> None:
    if future.exception() is None:
        future.result().kill()


def _start_forever(
    requests: "queue.SimpleQueue[tuple[Mapping[str, str], Future[WorkerProcess]]]",
) -> None:
    while True:
        environment, future = requests.get()
        try:
            future.set_result(WorkerProcess(environment))
        except BaseException as exc:  # raised where the worker was asked for
            future.set_exception(exc)
