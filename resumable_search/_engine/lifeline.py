"""A worker ends with its parent, from its first moment on.

This is imported before all else, and imports next to nothing: what a worker imports
takes seconds on a busy machine, and its parent may be killed meanwhile.
"""

import os
import signal
import sys
import threading
import time

__all__ = ["end_with_parent"]

_PR_SET_PDEATHSIG = 1


def end_with_parent(parent: int) -> None:
    """Have this process killed when the parent dies, however it dies."""
    if sys.platform == "linux":
        import ctypes  # Linux alone needs it

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(0)

    if os.getppid() != parent:
        os._exit(0)
    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
