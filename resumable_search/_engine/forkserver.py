"""The processes that workers are forked from, as their parent sees them.

To import scikit-learn takes seconds, so one process does it for all workers of a
search and for those that come later: a fork server. It runs nothing itself, and has
no thread of its own, so what it forks is as good as a new interpreter. What Linux
hands on to a child, it hands on; if that changes, another one is started.

Other systems start an interpreter for each worker: their libraries do not all
survive a fork.
"""

import array
import atexit
import contextlib
import os
import pickle
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["ForkedProcess", "end_all", "fork", "renew"]

_BOOTSTRAP = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from resumable_search._engine.forkserver_main import main; "
    "main(int(sys.argv[1]), int(sys.argv[2]))"
)

#: Whether this system has what it takes.
IS_POSSIBLE = sys.platform == "linux" and hasattr(os, "pidfd_open")

# Seconds in which a server has to be ready. Without one, workers start alone.
_READY_SECONDS = 300.0

# Threads for numerical libraries depend on the number of workers, and they are set
# when a library is imported. Two searches in turn keep their servers.
_MOST_SERVERS = 2

# Not read when scikit-learn is imported, and different for each worker or test.
_READ_LATER = re.compile(
    r"(CUDA|XLA|JAX|_?RESUMABLE_SEARCH|PYTEST)_|(OLDPWD|_)$", re.ASCII
)

# What Linux hands on to a child, besides the environment. Of the thread that starts
# children: each has its own.
_INHERITED_FILES = ("limits", "cgroup", "oom_score_adj")
_INHERITED_STATUS = re.compile(
    r"^(?:Umask|Uid|Gid|Groups|NoNewPrivs|Seccomp|Cpus_allowed|Mems_allowed"
    r"|Cap\w+|SigIgn|SigBlk):.*$",
    re.MULTILINE,
)


class ForkedProcess:
    """A child of a fork server."""

    def __init__(self, status: int) -> None:
        #: A pipe: the process's number, then, when it has ended, how.
        self.end_fd: int | None = status
        self._said = b""
        self._code: int | None = None
        self._read(_READY_SECONDS, until=b"\n")
        first, found, self._said = self._said.partition(b"\n")
        if not found:
            self.close()
            raise ConnectionResetError("The fork server has ended.")
        if first.startswith(b"error "):
            self.close()
            number = int(first.split()[1])
            raise OSError(number, os.strerror(number))
        self.pid = int(first)

    def poll(self) -> int | None:
        """Return the exit code, None while it runs; negative: a signal's number."""
        return self._ended(0.0)

    def wait(self, timeout: float = 10.0) -> int | None:
        """Wait until it has ended, and return the exit code."""
        return self._ended(timeout)

    def close(self) -> None:
        """Forget the process."""
        if self.end_fd is not None:
            os.close(self.end_fd)
            self.end_fd = None

    def _ended(self, timeout: float) -> int | None:
        if self._code is None and self.end_fd is not None:
            is_over = self._read(timeout, until=b"\n")
            if self._said.endswith(b"\n"):
                self._code = int(self._said)
            elif is_over:  # the server is gone, and takes its children with it
                self._code = -signal.SIGKILL
        return self._code

    def _read(self, timeout: float, until: bytes) -> bool:
        """Read from the pipe; return whether its end has been reached."""
        assert self.end_fd is not None
        poll = select.poll()
        poll.register(self.end_fd, select.POLLIN)
        while until not in self._said:
            if not poll.poll(timeout * 1000):
                return False
            data = os.read(self.end_fd, 1024)
            if not data:
                return True
            self._said += data
        return False


class _ForkServer:
    """A process that has imported what a worker needs."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], key: Any
    ) -> None:
        self.key = key
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                [
                    *command,
                    "-c",
                    _BOOTSTRAP,
                    str(theirs.fileno()),
                    str(os.getpid()),
                    *map(os.fspath, sys.path),
                ],
                stdin=subprocess.DEVNULL,
                # What goes wrong is seen once more when a worker starts alone.
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._socket = ours

    def is_ready(self) -> bool:
        """Wait until it has imported everything; False: it cannot."""
        self._socket.settimeout(_READY_SECONDS)
        try:
            return self._socket.recv(1) == b"+"
        except OSError:
            return False
        finally:
            self._socket.settimeout(None)

    def fork(
        self, files: Sequence[int], environment: Mapping[str, str]
    ) -> ForkedProcess:
        """Fork a worker.

        Raises
        ------
        ConnectionError
            The server is gone.
        OSError
            No process can be started.
        """
        request = pickle.dumps((dict(environment), list(sys.path)), protocol=5)
        ours, theirs = os.pipe()
        directory = os.open(".", os.O_PATH | os.O_DIRECTORY)
        try:
            handed = array.array("i", [*files, theirs, directory])
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handed)]
            self._socket.sendmsg([len(request).to_bytes(8, "big")], ancillary)
            self._socket.sendall(request)
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
            os.close(directory)
        return ForkedProcess(ours)

    def retire(self) -> None:
        """Fork no more, and end when the last worker has ended."""
        self._socket.close()

    def kill(self) -> None:
        """End at once, with all workers."""
        self._socket.close()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)

    def is_at_end(self) -> bool:
        """Return whether the process is gone, and leave no zombie of it."""
        return self._process.poll() is not None


# ---------------------------------------------------------------------------
# Those of this process

_lock = threading.RLock()
_servers: list[_ForkServer] = []
_retired: list[_ForkServer] = []
_unusable: list[Any] = []


def fork(
    command: Sequence[str], files: Sequence[int], environment: Mapping[str, str]
) -> ForkedProcess | None:
    """Fork a worker from a server that has what it needs; None: there is no such.

    To be called by the thread that lives as long as the process: the kernel ends a
    server with the thread that started it.

    Parameters
    ----------
    command : sequence of str
        Begin of the command that starts an interpreter.
    files : sequence of int
        Its connection, standard output and standard error.
    environment : mapping of str to str
        All of the worker's environment.

    Raises
    ------
    OSError
        No process can be started.
    """
    if not IS_POSSIBLE:
        return None
    at_import = {k: v for k, v in environment.items() if not _READ_LATER.match(k)}
    with _lock:
        key = (tuple(command), at_import, _inherited())
        # The first may have ended for want of work.
        for _ in range(2):
            server = _server(command, at_import, key)
            if server is None:
                return None
            try:
                return server.fork(files, environment)
            except ConnectionError:
                _drop(server)
    return None


def _server(
    command: Sequence[str], environment: Mapping[str, str], key: Any
) -> _ForkServer | None:
    """Return the server with this key; the one that was used last comes last."""
    _retired[:] = [server for server in _retired if not server.is_at_end()]
    if key in _unusable:
        return None
    for server in _servers:
        if server.key == key:
            _servers.remove(server)
            _servers.append(server)
            return server
    server = _ForkServer(command, environment, key)
    if not server.is_ready():
        server.kill()
        _unusable.append(key)
        return None
    _servers.append(server)
    while len(_servers) > _MOST_SERVERS:
        _drop(_servers[0])
    return server


def _drop(server: _ForkServer) -> None:
    _servers.remove(server)
    server.retire()
    _retired.append(server)


def _inherited() -> tuple[str, ...]:
    """Return what a process takes over from the thread that starts it."""
    here = Path("/proc/thread-self")
    try:
        files = [(here / name).read_text() for name in _INHERITED_FILES]
        status = _INHERITED_STATUS.findall((here / "status").read_text())
    except OSError:  # no /proc, or a part of it
        files, status = [], []
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    return (*files, *status, str(nice))


def renew() -> None:
    """Let the next worker come from a new interpreter."""
    with _lock:
        while _servers:
            _drop(_servers[0])


@atexit.register
def end_all() -> None:
    """End all servers, and what is left of their workers."""
    with _lock:
        for server in [*_servers, *_retired]:
            server.kill()
        _servers.clear()
        _retired.clear()


def _forget_all() -> None:
    """Leave the servers to the parent, in a child that the user has forked."""
    global _lock
    _lock = threading.RLock()
    for server in _servers:
        server.retire()
    _servers.clear()
    _retired.clear()
    _unusable.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
