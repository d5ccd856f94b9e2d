"""What a fold has changed in its worker, put back before the next fold.

The next fold may belong to another candidate, and its score must not depend on which
fold ran before it in the same process.
"""

import contextlib
import os
import signal
import sys

# `signal.getsignal` makes enumerations of what it gives, for each of 64 signals.
from _signal import getsignal  # type: ignore[import-not-found]
from collections.abc import Iterator

__all__ = ["changes_put_back"]

# Nobody can handle these.
_UNCHANGEABLE = {getattr(signal, name, None) for name in ("SIGKILL", "SIGSTOP")}
_SIGNALS = tuple(signal.valid_signals() - _UNCHANGEABLE)


_TIMERS = tuple(
    getattr(signal, name)
    for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF")
    if hasattr(signal, name)
)

# Begins of the names of variables that libraries set for themselves when they are
# imported, and read later.
_LIBRARIES_OWN = (
    *("CUDA", "JAX_", "KERAS", "KMP_", "MKL_", "NCCL_", "NVIDIA", "OMP_", "OPENBLAS"),
    *("PYTORCH", "TF2_", "TF_", "TORCH", "XLA_"),
)


@contextlib.contextmanager
def changes_put_back() -> Iterator[None]:
    """Put back the directory, environment, arguments, path, signal handlers, timers."""
    directory = _directory()
    environment = dict(os.environ)
    handlers = {number: getsignal(number) for number in _SIGNALS}
    timers = {timer: signal.getitimer(timer) for timer in _TIMERS}
    n_modules = len(sys.modules)
    lists = [(values, list(values)) for values in (sys.argv, sys.path)]
    named = sys.argv, sys.path
    try:
        yield
    finally:
        if directory is not None and _directory() != directory:
            with contextlib.suppress(OSError):  # it has been removed
                os.chdir(directory)
        _restore_environment(environment, has_imported=len(sys.modules) > n_modules)
        sys.argv, sys.path = named
        for values, before in lists:
            values[:] = before
        for timer, state in timers.items():
            if not any(state):  # it was not set before
                signal.setitimer(timer, 0)
        for number, handler in handlers.items():
            if handler is not None and getsignal(number) is not handler:
                signal.signal(number, handler)


def _directory() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - a string to compare
    except OSError:  # it has been removed
        return None


def _restore_environment(before: dict[str, str], *, has_imported: bool) -> None:
    now = dict(os.environ)
    if now == before:
        return
    os.environ.update(before)
    for name in now.keys() - before.keys():
        if not (has_imported and name.startswith(_LIBRARIES_OWN)):
            del os.environ[name]
