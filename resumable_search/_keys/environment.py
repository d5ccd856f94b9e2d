"""Environment variables that the user's code reads by a text that stands in it."""

import os
import re
from collections.abc import Iterable

from .bytecode import Code
from .encoding import encode_str, node

__all__ = ["encode_environment", "reads_environment"]

_READERS = frozenset({"environ", "environb", "expandvars", "getenv", "getenvb"})
_OBJECTS = (os.environ, os.getenv, os.path.expandvars)
# Each worker has others: its device, its share of it, its threads.
_OF_A_WORKER = re.compile(
    r"_?RESUMABLE_SEARCH_|CUDA_|NVIDIA_|TF_FORCE_GPU|TF_GPU|TF_NUM_"
    r"|XLA_(PYTHON_)?CLIENT_|JAX_(COMPILATION|PERSISTENT)_"
    r"|\w+_NUM_THREADS$|VECLIB_MAXIMUM_THREADS$"
)
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
    What says where a worker runs does not count.
    """
    names = set(code.texts)
    for text in code.texts:
        names.update(a or b for a, b in _EXPANDED.findall(text))
    parts: list[bytes] = []
    for name in sorted(name for name in names if name in os.environ):
        if _OF_A_WORKER.match(name):
            continue
        parts += encode_str(name), encode_str(os.environ[name])
    return node(b"environment", parts) if parts else b""
