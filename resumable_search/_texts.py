"""Texts for people. What comes out of a checkpoint is made inert.

A checkpoint may come from anybody. A parameter's text or a traceback in it can
hold escape sequences that move the cursor, set the title of the window or write
from right to left.
"""

import time

__all__ = ["day_and_time", "inert", "inert_lines"]


def inert(text: object) -> str:
    """Return a text on one line, with all that a terminal would obey spelled out."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text)
    )


def inert_lines(text: str) -> str:
    """Return a text of several lines, each of them inert."""
    return "\n".join(inert(line.expandtabs()) for line in text.split("\n"))


def day_and_time(seconds: float | None) -> str:
    """Return a moment, in seconds since 1970, in the time of this place."""
    if seconds is None:
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, ValueError, OSError):  # no moment that a search notes
        return "?"
