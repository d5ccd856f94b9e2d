"""Environment variables that the user's code reads by a text that stands in it."""

import os
import re
from collections.abc import Iterable

from .bytecode import Code
from .encoding import encode_str, node

__all__ = ["encode_environment", "reads_environment"]

_READERS = frozenset({"environ", "environb", "expandvars", "getenv", "getenvb"})
_OBJECTS = (os.environ, os.getenv, os.path.expandvars)
_EXPANDED = re.compile(r"\$(\w+)|\$\{([^}]+)\}")


def reads_environment(code: Code, values: Iterable[object] = ()) -> bool:
    """Return whether code may read environment variables.

    Parameters
    ----------
    code : Code
        The code.
    values : iterable of object
        What the names that it reads stand for.
    """
    if (code.globals | code.attributes) & _READERS:
        return True
    return any(value is known for value in values for known in _OBJECTS)


def encode_environment(code: Code) -> bytes:
    """Key the variables that code names, by what they are now.

    A variable that is not set is not there, and neither is a text that names none.
    """
    names = set(code.texts)
    for text in code.texts:
        names.update(a or b for a, b in _EXPANDED.findall(text))
    parts: list[bytes] = []
    for name in sorted(name for name in names if name in os.environ):
        parts += encode_str(name), encode_str(os.environ[name])
    return node(b"environment", parts) if parts else b""
