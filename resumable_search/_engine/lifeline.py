"""A worker ends with its parent, from its first moment on.

This is imported before all else, and imports next to nothing: what a worker imports
takes seconds on a busy machine, and its parent may be killed meanwhile.
"""

import os
import signal
import sys
import threading
import time

__all__ = ["end_with_parent", "end_with_starting_thread", "set_name"]

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


def end_with_parent(parent: int) -> None:
    """Have this process killed when the parent dies, however it dies."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    end_with_starting_thread(parent)
    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def end_with_starting_thread(parent: int) -> None:
    """Have Linux kill this process when the thread that started it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def set_name(name: str) -> None:
    """Set the name under which ``ps`` and ``top`` show this process (15 bytes)."""
    _prctl(_PR_SET_NAME, name.encode())


def _prctl(option: int, value: int | bytes) -> None:
    if sys.platform == "linux":
        import ctypes  # Linux alone needs it

        ctypes.CDLL(None).prctl(option, value)
