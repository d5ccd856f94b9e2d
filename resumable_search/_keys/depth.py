"""A walk that is deeper than Python lets functions call each other."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

_N_CALLS = 250_000
_STACK_SIZE = 1 << 30  # bytes; what is not used takes no memory

# One at a time: the limit and the size are the interpreter's.
_lock = threading.Lock()
Result = TypeVar("Result")


def call_deeply(function: Callable[[], Result]) -> Result:
    """Call a function, once more on a large stack if it has nested too deeply.

    Raises
    ------
    RecursionError
        If that was not enough, or there is no memory for such a stack.
    """
    try:
        return function()
    except RecursionError as error:
        # Out of this handler, so that nothing holds the frames of the first call.
        failed = error.with_traceback(None)
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    with _lock, _large_stack():
        thread = threading.Thread(target=run)
        try:
            thread.start()
        except RuntimeError:  # no memory for the stack
            raise failed from None
        thread.join()
    if errors:
        raise errors[0]
    return results[0]


@contextlib.contextmanager
def _large_stack() -> Iterator[None]:
    limit, size = sys.getrecursionlimit(), threading.stack_size()
    try:
        threading.stack_size(_STACK_SIZE)
        sys.setrecursionlimit(max(limit, _N_CALLS))
        yield
    finally:
        sys.setrecursionlimit(limit)
        threading.stack_size(size)
