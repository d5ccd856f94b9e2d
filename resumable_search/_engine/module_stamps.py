"""Notice that a worker would run other code than the parent has keyed.

The user's modules travel by name: a worker imports them again from their files.
If a file was edited after the parent imported it, the worker would compute a
score with the new code that is then stored under the key of the old. So the
parent sends along which file (time and size) each module was imported from, and
the worker compares that with what it imported.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from .._keys.library_code import is_library_file

#: File name, modification time in nanoseconds, size in bytes.
Stamp = tuple[str, int, int]

_PACKAGE = __name__.partition(".")[0]

# Module name -> (spec it was imported by, its file at that time). A reload makes a
# new spec, so an edited module that was reloaded gets a new stamp, and one that was
# edited only does not.
_seen: dict[str, tuple[Any, Stamp]] = {}


def user_module_stamps() -> dict[str, Stamp]:
    """Give the stamps of the user's modules, from when they were first seen."""
    stamps = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == _PACKAGE:
            continue
        spec = getattr(module, "__spec__", None)
        known = _seen.get(name)
        if known is not None and known[0] is spec:
            stamps[name] = known[1]
            continue
        stamp = _stamp(module)
        if stamp is not None:
            _seen[name] = (spec, stamp)
            stamps[name] = stamp
    return stamps


def compare(
    shipped: dict[str, Stamp],
) -> tuple[Literal["same", "stale", "edited"], str]:
    """Compare the modules of this worker with those of the parent.

    Returns
    -------
    verdict : {"same", "stale", "edited"}
        ``"stale"``: this worker imported an older file than the parent did, a new
        worker will do. ``"edited"``: the file has changed since the parent
        imported it.
    file : str
        The file that makes the difference.
    """
    for name, theirs in shipped.items():
        module = sys.modules.get(name)
        if module is None:
            continue
        now = _stamp(module)
        if now is None or now[0] != theirs[0]:
            continue
        ours = _seen.setdefault(name, (None, now))[1]
        if ours != theirs:
            return ("stale" if now == theirs else "edited"), theirs[0]
    return "same", ""


def _stamp(module: ModuleType) -> Stamp | None:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(".py") or is_library_file(file):
        return None
    try:
        status = Path(file).stat()
    except OSError:
        return None
    return file, status.st_mtime_ns, status.st_size
