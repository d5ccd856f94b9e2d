"""A live display in a terminal that leaves the cursor to others.

The picture stands below the line with the cursor, and the cursor stays where it is::

    [CV 1/3] END ...alpha=0.1;, score=0.971 total time=   0.0s
    _                                        <- the cursor: here others write
    ━━━━━━━━━━━━━━━━━━━━━────────────────────
    13/24 folds done | 0:00:12 elapsed, about 0:00:10 left

So whoever writes to the terminal need not know of it: an estimator's lines, a
logger's, another live display, what the person types. For what comes through
``sys.stdout`` and ``sys.stderr`` the picture is taken away and put back; what comes
from elsewhere runs into it, until the next refresh erases all that is below the
cursor. The cursor is never hidden and nothing in the terminal is set, so there is
nothing to restore, not even after a ``kill -9``.
"""

import contextlib
import io
import os
import re
import sys
import threading
import time
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console

from .._records import LiveStatus
from .lines import Lines
from .picture import picture

__all__ = ["TerminalDisplay"]

_ERASE_BELOW = "\x1b[J"  # and what is right of the cursor
_DOWN = "\x1bD"  # scrolls at the bottom, and stays in its column
_UP = "\x1b[{}A"
_SAVE_CURSOR = "\x1b7"
_RESTORE_CURSOR = "\x1b8"
_ERASE_NEXT_LINES = f"{_SAVE_CURSOR}{_DOWN}\r{_ERASE_BELOW}{_RESTORE_CURSOR}"

# Lines of the terminal that are left to others.
_LINES_FOR_OTHERS = 5
# Lines of the picture that are no workers: bar, counts, best, "and ... more".
_LINES_OF_TEXT = 4

# Seconds between two repaints for what others write.
_SHORTEST_PAUSE = 0.05

# Columns. Nobody begins a longer line and leaves it.
_LONGEST_LINE = 10_000
_COMMANDS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")

# A terminal shows one picture at a time. Another search of this process (in a
# thread, say) prints lines.
_in_use = threading.Lock()


class TerminalDisplay:
    """Paints how far a search is, again and again, in the same place.

    Parameters
    ----------
    stream : text stream
        A terminal.
    """

    #: Seconds between two refreshes.
    pause = 0.25

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._write = stream.write
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._lines = Lines()
        self._picture = ""
        self._is_painted = self._is_in_charge = self._is_closed = False
        self._begun = ""
        """What others have written in the line with the cursor."""
        self._last_paint = 0.0
        self._watched: list[TextIO] = []

    @classmethod
    def open(cls) -> "TerminalDisplay | None":
        """Return a display on standard output, if that is a terminal of this kind."""
        stream = _unwrapped(sys.stdout)
        if not _is_terminal(stream) or os.environ.get("TERM", "") in ("", "dumb"):
            return None
        return cls(stream) if _in_use.acquire(blocking=False) else None

    def show(self, status: LiveStatus) -> None:
        """Paint how far the search is."""
        if not self._is_free():
            self._is_painted = self._is_in_charge = False
            self._lines.show(status)
            return
        rendered = self._render(status)
        with self._lock:
            if self._is_closed:
                return
            if not self._watched:
                self._watch()
            self._picture, self._is_in_charge = rendered, True
            if not self._is_at_margin():
                self._paint()

    def close(self, status: LiveStatus) -> None:
        """Take the picture away, and say in a line how far the search has come."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            _in_use.release()
            for stream in self._watched:
                del stream.write
            self._erase()
            # The terminal may have written "^C" where the line is to stand.
            self._write("\n" if self._begun else "\r")
        self._lines.close(status)

    # ------------------------------------------------------------------

    def _paint(self) -> None:
        n_lines = self._picture.count("\n")
        self._write(
            f"{self._eraser()}{_DOWN * n_lines}{_UP.format(n_lines)}{_SAVE_CURSOR}"
            f"{self._picture}{_RESTORE_CURSOR}"
        )
        self._stream.flush()
        self._is_painted = True
        self._last_paint = time.monotonic()

    def _erase(self) -> None:
        if self._is_painted:
            self._write(self._eraser())
            self._stream.flush()
            self._is_painted = False

    def _eraser(self) -> str:
        # In a line that others have begun, what is right of the cursor is theirs.
        if not self._begun:
            return _ERASE_BELOW
        return _ERASE_NEXT_LINES if self._is_painted else ""

    def _is_at_margin(self) -> bool:
        """Return whether the cursor is where a character breaks the line.

        Terminals forget that when the cursor is moved, and the character would
        overwrite the one before. A line of scikit-learn's is 80 columns wide.
        """
        n_columns = cell_len(_COMMANDS.sub("", self._begun))
        return n_columns > 0 and n_columns % self._size()[0] == 0

    def _is_free(self) -> bool:
        """Return whether the terminal is not that of a shell or of another display."""
        if _unwrapped(sys.stdout) is not sys.stdout:
            return False
        try:
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except OSError:  # it is no terminal for jobs
            return True

    def _size(self) -> tuple[int, int]:
        """Return the numbers of columns and lines."""
        try:
            width, height = os.get_terminal_size(self._stream.fileno())
        except OSError:
            width = height = 0
        return width or 80, height or 24

    def _render(self, status: LiveStatus) -> str:
        """Return the lines of the picture, each with a line break before it."""
        width, height = self._size()
        most_lines = max(1, height - _LINES_FOR_OTHERS)
        # The last column is left free: some terminals break the line there.
        console = Console(
            file=io.StringIO(),
            force_terminal=True,
            force_jupyter=False,
            width=width - 1,
            height=height,
            legacy_windows=False,
        )
        with console.capture() as capture:
            console.print(
                picture(
                    status,
                    width=width - 1,
                    most_workers=most_lines - _LINES_OF_TEXT,
                    ascii_only=not _can_encode(self._stream, "━─…"),
                )
            )
        lines = capture.get().rstrip("\n").split("\n")[:most_lines]
        text = "".join(f"\r\n{line}" for line in lines)
        encoding = self._stream.encoding or "utf-8"
        return text.encode(encoding, "replace").decode(encoding)

    # ------------------------------------------------------------------
    # What others write

    def _watch(self) -> None:
        """Take the picture away while others write.

        The streams themselves are watched and not their names in `sys`: loggers
        and others hold the streams.
        """
        for stream in {_unwrapped(sys.stdout), _unwrapped(sys.stderr)}:
            if _is_terminal(stream):
                with contextlib.suppress(AttributeError):  # it cannot be watched
                    self._watch_stream(stream)

    def _watch_stream(self, stream: TextIO) -> None:
        write = stream.write

        def write_above(text: str) -> int:
            if self._is_closed or os.getpid() != self._pid:
                return write(text)
            with self._lock:
                self._erase()
                n_written = write(text)
                stream.flush()
                self._begun = re.split("[\r\n]", self._begun + text)[-1][
                    -_LONGEST_LINE:
                ]
                is_due = time.monotonic() - self._last_paint >= _SHORTEST_PAUSE
                if is_due and self._is_in_charge and not self._is_at_margin():
                    self._paint()
            return n_written

        stream.write = write_above  # type: ignore[method-assign]
        self._watched.append(stream)


def _unwrapped(stream: TextIO) -> TextIO:
    """Return the stream itself, where a live display of rich stands before it."""
    while (inner := getattr(stream, "rich_proxied_file", None)) is not None:
        stream = inner
    return stream


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (AttributeError, ValueError):  # somebody's own, or closed
        return False


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
