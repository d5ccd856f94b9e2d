"""What is said while the person waits for something that shows nothing."""

import contextlib
import threading
from collections.abc import Iterator

from .lines import say

__all__ = ["said_when_slow"]

#: Seconds after which a person wonders what is going on.
_PATIENCE = 2.0


@contextlib.contextmanager
def said_when_slow(
    text: str, verbose: int, patience: float = _PATIENCE
) -> Iterator[None]:
    """Print a line if the block takes longer than `patience`.

    Parameters
    ----------
    text : str
        What the block does.
    verbose : int
        0: nothing is printed.
    patience : float
        Seconds.
    """
    if not verbose:
        yield
        return
    timer = threading.Timer(patience, _say, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say(text: str) -> None:
    # Nobody reads, or it is no whole stream; the search goes on.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        say(f"[resumable_search] {text}")
