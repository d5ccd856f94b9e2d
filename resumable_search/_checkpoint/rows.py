"""Values of a checkpoint's rows, as no more than what they may be.

A file may come from a stranger. Whatever it holds in the place of a number or a
text is an error here, and nothing that the rest of the package could trip over.
"""

import json
import reprlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from .._records import Score
from .errors import damaged

__all__ = [
    "WrongValueError",
    "number",
    "optional",
    "parsed",
    "require_alike",
    "score",
    "table",
    "text",
    "whole",
]

T = TypeVar("T")


class WrongValueError(ValueError):
    """A value that no search has written."""


def text(value: object) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise _wrong("text", value)
    try:
        value.encode()
    except UnicodeEncodeError:  # halves of a character, which JSON lets through
        raise _wrong("text", value) from None
    return value


def whole(value: object) -> int:
    """Return an integer."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong("an integer", value)
    return value


def number(value: object) -> float | int:
    """Return a number, which may be NaN or infinite."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong("a number", value)
    return value


def optional(check: Callable[[object], T], value: object) -> T | None:
    """Return None, or what `check` gives."""
    return None if value is None else check(value)


def parsed(value: object) -> Any:
    """Return what is written in JSON."""
    try:
        return json.loads(text(value))
    except (ValueError, RecursionError) as exc:
        raise _wrong("JSON", value) from exc


def table(check: Callable[[object], T], value: object) -> dict[str, T]:
    """Return a dict with text for keys, and values as `check` gives them."""
    if not isinstance(value, dict):
        raise _wrong("a table", value)
    return {text(name): check(part) for name, part in value.items()}


def score(value: object) -> Score:
    """Return a score from JSON: a number, or a dict of numbers."""
    found = parsed(value)
    return table(number, found) if isinstance(found, dict) else number(found)


def require_alike(path: Path, scores: Iterable[Score | None]) -> None:
    """Refuse scores that one scorer cannot have given."""
    kinds = {
        tuple(sorted(score)) if isinstance(score, dict) else None
        for score in scores
        if score is not None
    }
    if len(kinds) > 1:
        raise damaged(path, "in the table 'folds': scores of one scorer differ in kind")


def _wrong(expected: str, value: object) -> WrongValueError:
    return WrongValueError(f"expected {expected}, got {reprlib.repr(value)}")
