"""Filters of warnings: which of them make errors, and whether a fold depends on them.

A filter that makes a warning an error can fail a fit, or send it another way. Filters
do not count for a fold's key, since most folds meet no warning. Each says whether it
did, and is used again under other filters only if it did not.
"""

import re
import warnings
from collections.abc import Sequence
from typing import Any

__all__ = ["current", "error_filters", "use"]


class _Note(type):
    """Makes a category that no warning has, and that notes which are compared to it."""

    asked: list[type[Warning]]

    def __subclasscheck__(cls, category: type[Warning]) -> bool:
        # Destructors warn of resources, and an error in one of them goes nowhere.
        if not issubclass(category, ResourceWarning):
            cls.asked.append(category)
        return False  # the next filter decides


def current() -> list[tuple[Any, ...]]:
    """Return the filters of this process, without what `use` has put before them."""
    return [entry for entry in warnings.filters if type(entry[2]) is not _Note]


def error_filters(filters: Sequence[tuple[Any, ...]]) -> str:
    """Return the filters that make warnings errors, as text; "" if none does.

    Parameters
    ----------
    filters : sequence of tuple
        As in `warnings.filters`.

    Returns
    -------
    str
        With those that stand before them and let warnings through, since the first
        filter that fits a warning decides. Equal where the same warnings are errors.
    """
    texts: list[str] = []
    for action, message, category, module, line in filters:
        scope = _pattern(message), _name(category), _pattern(module), str(line)
        text = ":".join(("error" if action == "error" else "pass", *scope))
        if text not in texts:
            texts.append(text)
        if scope == ("", "builtins.Warning", "", "0"):
            break  # it fits every warning
    # What comes after the last one that makes errors lets through what passes anyway.
    while texts and texts[-1].startswith("pass"):
        texts.pop()
    return ", ".join(texts)


def use(filters: Sequence[tuple[Any, ...]]) -> list[type[Warning]]:
    """Set the filters of this process; return a list of what they will be asked about.

    The list grows with each warning that they decide about. What the code that warns
    has a filter of its own for is not among them.
    """
    asked: list[type[Warning]] = []
    nothing = _Note("nothing", (Warning,), {"asked": asked})
    warnings.filters[:] = [("default", None, nothing, None, 0), *filters]  # type: ignore[index]
    return asked


def _name(category: Any) -> str:
    """Return the name of a category, or of several: Python takes a tuple, too."""
    if isinstance(category, tuple):
        return f"({' '.join(map(_name, category))})"
    return f"{category.__module__}.{category.__qualname__}"


def _pattern(pattern: re.Pattern[str] | str | None) -> str:
    """Return the text of a filter's pattern; "" if it fits everything."""
    if isinstance(pattern, re.Pattern):
        flags = int(pattern.flags & ~re.UNICODE)  # which each text pattern has
        return f"{pattern.pattern}/{flags}" if pattern.pattern else ""
    return pattern or ""
