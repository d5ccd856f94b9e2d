"""Ends what workers have started, when this process is killed.

The kernel ends a worker with its parent, but not what an estimator has started in the
worker: a data loader, a server. Those are in the worker's session, which the parent
ends as a whole, unless it is killed itself. So a small process waits for its end, and
ends the sessions then.
"""

import atexit
import contextlib
import os
import subprocess
import sys
import threading

__all__ = ["forget", "watch"]

# Reads "+group" and "-group" until its parent is gone, by the end of the pipe or (a
# process that the user forked holds the pipe open) by having another parent.
_CODE = """
import os, select, signal, sys
parent, groups, rest = int(sys.argv[1]), set(), b""
while os.getppid() == parent:
    if not select.select([0], [], [], 0.5)[0]:
        continue
    data = os.read(0, 65536)
    if not data:
        break
    *lines, rest = (rest + data).split(b"\\n")
    for line in lines:
        (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""

_lock = threading.Lock()
_groups: set[int] = set()
_process: subprocess.Popen[bytes] | None = None


def _forget_all() -> None:
    """Leave the workers of the parent to its own guard, in a forked child."""
    global _lock, _process
    _lock, _process = threading.Lock(), None
    _groups.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def watch(group: int) -> None:
    """End this process group when this process ends, however it does."""
    if os.name != "posix":
        return
    with _lock:
        _groups.add(group)
        _send(f"+{group}\n")


def forget(group: int) -> None:
    """Leave this process group alone: it is gone, and its number may be used again."""
    if os.name != "posix":
        return
    with _lock:
        _groups.discard(group)
        _send(f"-{group}\n")


def _send(text: str) -> None:
    global _process
    if _process is not None and _process.poll() is None:
        assert _process.stdin is not None
        with contextlib.suppress(OSError):  # it ends just now
            _process.stdin.write(text.encode())
            _process.stdin.flush()
            return
    if not _groups:
        return
    # Without one, only what estimators start themselves may outlive a SIGKILL.
    with contextlib.suppress(OSError):
        _process = _start()
        assert _process.stdin is not None
        _process.stdin.write("".join(f"+{group}\n" for group in _groups).encode())
        _process.stdin.flush()


@atexit.register
def _end() -> None:
    """End it with this process, after the workers, and leave no zombie."""
    if _process is None:
        return
    assert _process.stdin is not None
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        _process.stdin.close()
        _process.wait(timeout=5)


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-I", "-S", "-c", _CODE, str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C and a closed terminal are not for it
    )
