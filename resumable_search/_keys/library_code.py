"""Tell a library's code, which is known by its name, from the user's own.

Code counts as a library's when its module lies in the standard library, in
``site-packages`` or in this package, or was installed into another directory
(``pip install --target``); all else is the user's.
"""

import contextlib
import functools
import sys
import sysconfig
from pathlib import Path
from weakref import WeakKeyDictionary

from .encoding import named

_PACKAGE = __name__.partition(".")[0]
_LIBRARY_ROOTS = tuple(
    str(Path(sysconfig.get_path(name)).resolve())
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
# Modules that belong to a package of another name.
_PACKAGES = {
    "jaxlib": "jax",
    "tf_keras": "keras",
    "tensorflow.python.keras": "keras",
    "tensorflow.keras": "keras",
}
_library_classes: WeakKeyDictionary[type, bytes] = WeakKeyDictionary()


@functools.lru_cache(maxsize=4096)
def is_library_file(file: str) -> bool:
    """Say whether a file is a library's."""
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    if any(path.is_relative_to(root) for root in _LIBRARY_ROOTS):
        return True
    # What is installed in place (pip install -e) is in the record of no directory.
    roots = {Path(place).resolve() for place in sys.path} & set(path.parents)
    return any(path.relative_to(r).parts[0] in _installed_in(r) for r in roots)


@functools.lru_cache(maxsize=256)
def _installed_in(directory: Path) -> frozenset[str]:
    """Name the packages and modules that an installer has put into a directory."""
    names = set()
    for record in directory.glob("*.dist-info/RECORD"):
        with contextlib.suppress(OSError):
            for line in record.read_text(errors="replace").splitlines():
                names.add(line.partition(",")[0].partition("/")[0])
    return frozenset(names)


def is_library(module_name: str | None) -> bool:
    """Say whether a module's code is known by its name and not by what it does."""
    if module_name is None or module_name == "__main__":
        return False
    if module_name.partition(".")[0] in (_PACKAGE, *sys.builtin_module_names):
        return True
    module = sys.modules.get(module_name)
    spec = getattr(module, "__spec__", None)
    file = getattr(module, "__file__", None) or getattr(spec, "origin", None)
    if file in ("built-in", "frozen"):
        return True
    if file is None:  # a namespace package, or a module made at run time
        locations = getattr(spec, "submodule_search_locations", None) or ()
        return any(is_library_file(location) for location in locations)
    return is_library_file(file)


def resolves(module_name: str | None, qualname: str, value: object) -> bool:
    """Say whether the module has exactly this object under this name."""
    found: object = sys.modules.get(module_name or "")
    for part in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found is not None and found is value


def class_name(cls: type) -> bytes:
    """Encode a class by name; the user's without the module, which may be a script."""
    if is_library(cls.__module__):
        return named(b"library", cls.__module__, cls.__qualname__)
    return named(b"user", None, cls.__qualname__.rpartition(".")[2])


def library_class(value: type) -> bytes | None:
    """Encode a library's class by name; give None for the user's."""
    known = _library_classes.get(value)
    if known is None and is_library(value.__module__):
        known = _library_classes[value] = class_name(value)
    return known


def package_of(cls: type) -> str:
    """Give the package that a class belongs to, whatever the module's name."""
    module = cls.__module__ or ""
    for prefix, package in _PACKAGES.items():
        if f"{module}.".startswith(f"{prefix}."):
            return package
    return module.partition(".")[0]
