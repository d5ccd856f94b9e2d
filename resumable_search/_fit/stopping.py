"""Being asked to stop: Ctrl-C, SIGTERM, a closed terminal, "quit" and Enter.

A request is noted and looked at between two steps of the search, never in the middle
of one: what is finished is committed, workers are ended, and then ``fit`` raises
`SearchInterrupted`. Only a search that does not look for long (it computes the key of
much data, say) is interrupted wherever it is, by the second request.

Signals have their default handlers replaced while folds run, in the main thread, and
put back after that. A handler of the user's is left where it is: what it raises ends
the search like any exception.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["StopWatch"]

# Sent by Ctrl-C, by a supervisor or a cloud, and by a terminal that is closed.
_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
    if hasattr(signal, name)
)

_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)

_WORD = "quit"
_HINT = (
    f"[resumable_search] Type {_WORD!r} and Enter, or press Ctrl-C, to stop. "
    "What is finished is kept."
)
_MOST_BYTES = 4096


class StopWatch:
    """Notes requests to stop while it is entered.

    Parameters
    ----------
    verbose : int
        From 1 on, a person is taken to watch, who may type "quit".
    """

    def __init__(self, verbose: int = 0) -> None:
        self._verbose = verbose
        self._pid = os.getpid()
        self._handlers: dict[int, Any] = {}
        self._pipe: tuple[int, int] | None = None
        self._terminal: int | None = None
        self._is_noticed = self._is_at_once = False
        self.n_requests = 0
        self.reason = ""
        """What came first, for people: "Ctrl-C", "SIGTERM", "'quit'"."""
        self.signum: int | None = None
        """Number of the signal that came first, if one did."""

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self  # where signals do not arrive
        self._pipe = os.pipe()
        for end in self._pipe:
            os.set_blocking(end, False)
        for number in _SIGNALS:
            if signal.getsignal(number) in _DEFAULTS:
                self._handlers[number] = signal.signal(number, self._on_signal)
        if self._verbose and _has_terminal():
            self._terminal = sys.stdin.fileno()
            with contextlib.suppress(OSError, ValueError):  # nobody reads it
                print(_HINT, flush=True)  # noqa: T201 - for a person at a terminal
        return self

    def __exit__(
        self,
        cls: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._terminal = None
        while self._handlers:
            number, handler = self._handlers.popitem()
            # Whoever has set another one since has a reason for it.
            if signal.getsignal(number) == self._on_signal:
                signal.signal(number, handler)
        if self._pipe is not None:
            pipe, self._pipe = self._pipe, None
            for end in pipe:
                os.close(end)

    def sources(self) -> list[int]:
        """Return what to wait for, beside the workers."""
        sources = [] if self._pipe is None else [self._pipe[0]]
        if self._terminal is not None and _is_in_foreground(self._terminal):
            sources.append(self._terminal)
        return sources

    def is_requested(self) -> bool:
        """Return whether the search is to stop."""
        self._read_terminal()
        if self._pipe is not None:
            with contextlib.suppress(BlockingIOError):
                os.read(self._pipe[0], _MOST_BYTES)
        self._is_noticed = bool(self.n_requests)
        return self._is_noticed

    @property
    def is_urgent(self) -> bool:
        """Whether somebody has asked twice."""
        return self.n_requests > 1

    def request(self, reason: str, signum: int | None = None) -> None:
        """Ask the search to stop."""
        self.n_requests += 1
        if self.n_requests == 1:
            self.reason, self.signum = reason, signum
        if self._pipe is not None:
            with contextlib.suppress(BlockingIOError):  # full: it will be read
                os.write(self._pipe[1], b".")

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Have the first request interrupt whatever runs in here."""
        self._is_at_once = True
        try:
            yield
        finally:
            self._is_at_once = False

    # ------------------------------------------------------------------

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        if os.getpid() != self._pid:  # a forked child: the signal means what it did
            signal.signal(number, self._handlers[number])
            os.kill(os.getpid(), number)
            return
        name = signal.Signals(number).name
        self.request("Ctrl-C" if name == "SIGINT" else name, number)
        if self._is_at_once or self.n_requests > (2 if self._is_noticed else 1):
            raise KeyboardInterrupt

    def _read_terminal(self) -> None:
        """Look for "quit" among what was typed, if something was."""
        import select  # where there is a terminal to wait for

        fd = self._terminal
        if fd is None or not _is_in_foreground(fd):
            return
        if not select.select([fd], [], [], 0)[0]:
            return
        try:
            typed = os.read(fd, _MOST_BYTES)
        except OSError:
            typed = b""
        if not typed:  # Ctrl-D, or the terminal is gone
            self._terminal = None
        if _WORD in typed.decode(errors="replace").lower().split():
            self.request(repr(_WORD))


def _has_terminal() -> bool:
    if os.name != "posix" or sys.stdin is None:
        return False
    try:
        return os.isatty(sys.stdin.fileno())
    except (OSError, ValueError):  # closed, or a stand-in without a file
        return False


def _is_in_foreground(fd: int) -> bool:
    """Return whether this process may read: one in the background would be stopped."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
