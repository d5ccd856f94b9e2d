"""A terminal to look at: a real pseudo-terminal and an emulator behind it."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
import threading
import time

import pyte

_MARK = b"\x05"  # shown by no terminal


class Terminal:
    """A pseudo-terminal with a screen.

    Parameters
    ----------
    columns, lines : int
        Its size.
    """

    def __init__(self, columns=80, lines=24):
        self._master, self.slave = pty.openpty()
        self._screen = pyte.HistoryScreen(columns, lines, history=10_000, ratio=1)
        self._stream = pyte.ByteStream(self._screen)
        self.received = bytearray()
        self._changed = threading.Condition()
        self.resize(columns, lines)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def resize(self, columns, lines):
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)
        with self._changed:
            self._screen.resize(lines, columns)

    def _read(self):
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:
                return
            with self._changed:
                self.received += data
                self._stream.feed(data)
                self._changed.notify_all()

    def _settle(self):
        """Wait until what was written before has been read."""
        with self._changed:
            n_marks = self.received.count(_MARK) + 1
            os.write(self.slave, _MARK)
            self._changed.wait_for(lambda: self.received.count(_MARK) >= n_marks, 10)

    def lines(self):
        """Give the lines that can be seen."""
        self._settle()
        with self._changed:
            return _without_empty_end(self._screen.display)

    def all_lines(self):
        """Give those too that have been scrolled away."""
        self._settle()
        with self._changed:
            columns = self._screen.columns
            scrolled = [
                "".join(line[x].data for x in range(columns))
                for line in self._screen.history.top
            ]
            return _without_empty_end([*scrolled, *self._screen.display])

    @property
    def cursor(self):
        """Column and line of the cursor, and whether it can be seen."""
        self._settle()
        with self._changed:
            cursor = self._screen.cursor
            return cursor.x, cursor.y, not cursor.hidden

    def wait_for(self, text, seconds=30):
        """Wait until the screen shows a text."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if any(text in line for line in self.lines()):
                return
            time.sleep(0.02)
        raise AssertionError(f"{text!r} was not shown: {self.all_lines()}")

    def start(self, command, **options):
        """Start a process that has this terminal for all its streams."""
        return subprocess.Popen(
            command,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            **options,
        )

    def close(self):
        os.close(self.slave)
        self._reader.join(10)
        os.close(self._master)


def _without_empty_end(lines):
    lines = [line.rstrip() for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    return lines
