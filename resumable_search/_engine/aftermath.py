"""What a fold has changed in its worker, put back before the next fold.

The next fold may belong to another candidate, and its score must not depend on which
fold ran before it in the same process.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator

__all__ = ["undone"]

# Nobody can handle these.
_UNCHANGEABLE = {getattr(signal, name, None) for name in ("SIGKILL", "SIGSTOP")}
_SIGNALS = tuple(signal.valid_signals() - _UNCHANGEABLE)


@contextlib.contextmanager
def undone() -> Iterator[None]:
    """Put back the working directory, the environment and the signal handlers."""
    directory = _directory()
    environment = dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    n_modules = len(sys.modules)
    try:
        yield
    finally:
        if directory is not None and _directory() != directory:
            with contextlib.suppress(OSError):  # it has been removed
                os.chdir(directory)
        # A library that was imported just now reads later what it has set itself.
        _restore_environment(environment, keep_new=len(sys.modules) > n_modules)
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                if number == getattr(signal, "SIGALRM", None):
                    signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(number, handler)


def _directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - a string to compare
    except OSError:  # it has been removed
        return None


def _restore_environment(before: dict[str, str], *, keep_new: bool) -> None:
    now = dict(os.environ)
    if now == before:
        return
    os.environ.update(before)
    if not keep_new:
        for name in now.keys() - before.keys():
            del os.environ[name]
