"""Start scripts as ``python script.py`` does, without the seconds for the imports.

To import scikit-learn takes an interpreter some three seconds, and tests start
hundreds. So they are forked from a process that has imported the package already (see
`template`), one for each set of what has to be known before: options, hash seed,
threads. ``NEW_INTERPRETERS=1`` in the environment starts each anew.
"""

import array
import atexit
import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path

from . import template

__all__ = ["run", "start"]

# What an interpreter or a library reads when it starts or is imported.
_READ_AT_START = ("PYTHON", "OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_", "LC_", "LANG")
_READ_LATER = ("PYTHONPATH",)

_templates = {}
_asked_for = set()


def start(arguments, *, options=(), under=(), env=None, **popen):
    """Start an interpreter.

    Parameters
    ----------
    arguments : sequence
        A script, ``-c`` and its text, or ``-m`` and a module, and what is given to it.
    options : sequence of str
        What stands before, as ``-O``.
    under : sequence of str
        A command that runs the interpreter. It gets a new one.
    env : dict of str to str, optional
        All of its environment. By default this process's.
    popen : dict
        For `subprocess.Popen`.

    Returns
    -------
    process : subprocess.Popen
    """
    env = dict(os.environ if env is None else env)
    arguments = list(map(os.fspath, arguments))
    if not under and popen.keys() <= {"stdin", "stdout", "stderr", "text", "cwd"}:
        running = _template(tuple(options), env)
        if running is not None:
            return _Forked(arguments, env=env, template=running, **popen)
    command = [*under, sys.executable, *options, *arguments]
    return subprocess.Popen(command, env=env, **popen)


def run(arguments, *, timeout=None, **given):
    """Start an interpreter, wait for its end, and return what it printed as text."""
    pipe = subprocess.PIPE
    given = {"stdout": pipe, "stderr": pipe, "text": True, **given}
    with start(arguments, **given) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def _template(options, environment):
    """Return the one for these; None the first time, and where there is none."""
    if not hasattr(os, "pidfd_open") or "NEW_INTERPRETERS" in os.environ:
        return None
    folders = environment.get("PYTHONPATH", "").split(os.pathsep)
    if any(Path(folder, "sitecustomize.py").exists() for folder in folders):
        return None  # it runs when an interpreter starts
    at_start = {
        name: value
        for name, value in environment.items()
        if name.startswith(_READ_AT_START) and name not in _READ_LATER
    }
    key = options, *sorted(at_start.items())
    if key not in _asked_for:
        _asked_for.add(key)  # perhaps it is asked for once only
        return None
    if key not in _templates:
        _templates[key] = _Template(options, environment)
    return _templates[key]


class _Template:
    def __init__(self, options, environment):
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, *options, template.__file__, str(theirs.fileno())],
                env={n: v for n, v in environment.items() if n != "PYTHONPATH"},
                pass_fds=[theirs.fileno()],
                cwd="/",
            )
        assert self._socket.recv(10) == b"ready"
        atexit.register(self.end)

    def fork(self, arguments, environment, files):
        request = {"arguments": arguments, "environment": environment}
        ancillary = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))
        self._socket.sendmsg([json.dumps(request).encode()], [ancillary])

    def reap(self, pid):
        self._socket.sendmsg([json.dumps({"reap": pid}).encode()])

    def end(self):
        self._socket.close()
        self._process.wait(10)


class _Forked(subprocess.Popen):
    """A process that is not a child of this one, but of a template."""

    def __init__(self, arguments, *, template, **popen):
        self._template = template
        super().__init__(arguments, **popen)

    def _execute_child(self, args, *others):
        cwd, env = others[4:6]
        pipes = others[9:15]
        ends = (pipes[0], pipes[3], pipes[5])
        files = [own if end == -1 else end for own, end in enumerate(ends)]
        self._status, status = os.pipe()
        directory = os.open(cwd or ".", os.O_PATH | os.O_DIRECTORY)
        try:
            self._template.fork(args, env, [*files, status, directory])
        finally:
            os.close(status)
            os.close(directory)
            self._close_pipe_fds(*pipes)
        self._said = b""
        self.pid = self._number(None)
        self._child_created = True

    def _try_wait(self, flags):
        status = self._number(0 if flags & os.WNOHANG else None)
        return (0, 0) if status is None else (self.pid, status)

    def _internal_poll(self, *_, **__):
        if self.returncode is None:
            pid, status = self._try_wait(os.WNOHANG)
            if pid:
                self._handle_exitstatus(status)
        return self.returncode

    def _handle_exitstatus(self, status, *others, **named):
        super()._handle_exitstatus(status, *others, **named)
        os.close(self._status)
        self._template.reap(self.pid)

    def _number(self, timeout):
        """Read the next number of the status; None if there is none in time."""
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        while b"\n" not in self._said:
            if not poll.poll(timeout):
                return None
            data = os.read(self._status, 100)
            assert data, "the template has ended"
            self._said += data
        number, _, self._said = self._said.partition(b"\n")
        return int(number)
