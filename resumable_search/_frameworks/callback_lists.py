"""The callbacks of a Keras fit, in whatever form they were passed."""

from collections.abc import Iterator
from typing import Any


def flat(callbacks: Any) -> Iterator[Any]:
    """Return the callbacks in nested lists, tuples and dicts, in Keras's order."""
    if isinstance(callbacks, dict):
        callbacks = [callbacks[key] for key in sorted(callbacks)]
    if isinstance(callbacks, list | tuple):
        for item in callbacks:
            yield from flat(item)
    elif callbacks is not None:
        yield callbacks
