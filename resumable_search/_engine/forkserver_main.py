"""The process that workers are forked from."""

import contextlib
import gc
import os
import pickle
import select
import socket
import sys
import warnings
from dataclasses import dataclass

from .lifeline import end_with_parent, end_with_starting_thread, set_name

__all__ = ["main"]

# Connection, standard output, standard error, status, working directory.
_N_FILES = 5

# Modules that are not to be there before a fork.
_NOT_FORKABLE = ("keras", "tensorflow", "torch", "jax")


@dataclass
class _Request:
    environment: dict[str, str]
    path: list[str]
    connection: int
    stdout: int
    stderr: int
    status: int
    directory: int


def main(control_fd: int, parent: int) -> None:
    """Fork workers until the parent closes the socket, or for want of work.

    Returns in the worker, when that has ended, and in the server.
    """
    end_with_starting_thread(parent)
    set_name("search-forks")
    control = socket.socket(fileno=control_fd)
    from . import worker

    if any(name in sys.modules for name in _NOT_FORKABLE):
        return
    # The directory may be on a disk that is to be unmounted.
    os.chdir("/")
    # Objects that no worker frees stay in memory that all share.
    gc.collect()
    gc.freeze()
    server = os.getpid()
    control.sendall(b"+")
    request = _serve(control, worker.IDLE_SECONDS)
    if request is not None:
        end_with_parent(server)
        _become_worker(request)
        worker.main(request.connection)


def _serve(control: socket.socket, idle_seconds: float) -> _Request | None:
    """Fork on request; return the request in the child, and None at the end."""
    children: dict[int, tuple[int, int]] = {}  # by pidfd: number, status pipe
    poll = select.poll()
    poll.register(control, select.POLLIN)
    is_open = True
    while is_open or children:
        ready = poll.poll(None if children else idle_seconds * 1000)
        if not ready:
            return None
        for fd, _ in ready:
            if fd in children:
                poll.unregister(fd)
                _report(fd, *children.pop(fd))
                continue
            request = _receive(control)
            if request is None:
                poll.unregister(fd)
                is_open = False
                continue
            pid = _fork(request.status)
            if pid == 0:
                control.close()
                for pidfd, (_, status) in children.items():
                    os.close(pidfd)
                    os.close(status)
                return request
            for name in ("connection", "stdout", "stderr", "directory"):
                os.close(getattr(request, name))
            if pid is None:
                os.close(request.status)
                continue
            pidfd = os.pidfd_open(pid)
            children[pidfd] = (pid, request.status)
            poll.register(pidfd, select.POLLIN)
    return None


def _receive(control: socket.socket) -> _Request | None:
    try:
        header, files, *_ = socket.recv_fds(control, 8, _N_FILES)
        if len(header) < 8:
            return None
        for fd in files:
            os.set_inheritable(fd, False)
        n_bytes = int.from_bytes(header, "big")
        body = b""
        while len(body) < n_bytes:
            part = control.recv(n_bytes - len(body))
            if not part:
                return None
            body += part
    except OSError:
        return None
    environment, path = pickle.loads(body)  # noqa: S301 - our parent
    return _Request(environment, path, *files)


def _fork(status: int) -> int | None:
    """Fork; tell the parent the child's number, or why there is none."""
    with warnings.catch_warnings():
        # Numerical libraries have threads that they stop around a fork; Python sees
        # them and warns.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            pid = os.fork()
        except OSError as exc:
            os.write(status, f"error {exc.errno}\n".encode())
            return None
    if pid == 0:
        # Before the parent knows of it: it can be ended with what it starts.
        os.setsid()
        os.write(status, f"{os.getpid()}\n".encode())
        os.close(status)
    return pid


def _report(pidfd: int, pid: int, status: int) -> None:
    _, code = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):  # the parent has forgotten it
        os.write(status, f"{os.waitstatus_to_exitcode(code)}\n".encode())
    os.close(status)
    os.close(pidfd)


def _become_worker(request: _Request) -> None:
    """Take over what a child of the parent would have from its start."""
    import importlib

    import numpy as np

    os.fchdir(request.directory)
    os.dup2(request.stdout, 1)
    os.dup2(request.stderr, 2)
    for fd in (request.directory, request.stdout, request.stderr):
        os.close(fd)
    os.environ.clear()
    os.environ.update(request.environment)
    sys.path[:] = request.path
    # What was not there at the time of the server's imports.
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    # Python seeds its own generator after a fork.
    np.random.seed()
