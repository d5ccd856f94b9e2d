"""The code that a test module had before pytest rewrote its asserts.

In a test module pytest makes an assert say what the values were. Workers import the
module as it is, and so does whoever runs it without pytest: it is the same code.
"""

import functools
import types
from collections.abc import Iterator
from pathlib import Path

__all__ = ["as_written"]

_MARK = "@pytest_ar"


def as_written(code: types.CodeType) -> types.CodeType:
    """Return the code that stands in the file, if pytest has rewritten it."""
    if _MARK not in code.co_names:
        return code
    try:
        content = Path(code.co_filename).read_bytes()
        found = _compiled(content, code.co_filename)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return code
    return next((other for other in found if _may_be_of(code, other)), code)


@functools.lru_cache(maxsize=32)
def _compiled(content: bytes, file: str) -> tuple[types.CodeType, ...]:
    return tuple(_with_inner(compile(content, file, "exec", dont_inherit=True)))


def _with_inner(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _with_inner(constant)


def _may_be_of(code: types.CodeType, other: types.CodeType) -> bool:
    """Return whether code may be another one, rewritten: that only adds to it."""
    return (
        (code.co_qualname, code.co_firstlineno)
        == (other.co_qualname, other.co_firstlineno)
        and set(other.co_names) <= set(code.co_names)
        and set(other.co_varnames) <= set(code.co_varnames)
        and _constants(other) <= _constants(code)
    )


def _constants(code: types.CodeType) -> set[str]:
    return {repr(c) for c in code.co_consts if not isinstance(c, types.CodeType)}
