"""Tell a library's code, which is known by its name, from the user's own.

Code counts as a library's when its module lies in the standard library, in
``site-packages`` or in this package, or was installed into another directory
(``pip install --target``); all else is the user's.
"""

import contextlib
import functools
import os
import sys
import sysconfig
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from weakref import ref

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
_HEAP_TYPE = 1 << 9  # a class that was made when the program ran
_OF_C = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)
# By id: a metaclass may compare or hash its classes as it likes.
_library_classes: dict[int, tuple[ref[type], bytes]] = {}


@functools.lru_cache(maxsize=4096)
def is_library_file(file: str) -> bool:
    """Return whether a file is a library's, wherever ``sys.path`` points."""
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    if any(path.is_relative_to(root) for root in _LIBRARY_ROOTS):
        return True
    # What is installed in place (pip install -e) is in the record of no directory.
    return any(
        path.relative_to(parent).parts[0] in _installed_in(parent)
        for parent in path.parents
    )


@functools.lru_cache(maxsize=1024)
def _installed_in(directory: Path) -> frozenset[str]:
    """Name the packages and modules that an installer has put into a directory."""
    names = set()
    for record in _records_in(directory):
        with contextlib.suppress(OSError):
            for line in record.read_text(errors="replace").splitlines():
                names.add(line.partition(",")[0].partition("/")[0])
    return frozenset(names)


def _records_in(directory: Path) -> list[Path]:
    # Much faster than Path.glob, which would be most of a worker's check.
    try:
        with os.scandir(directory) as entries:
            names = [e.name for e in entries if e.name.endswith(".dist-info")]
    except OSError:
        return []
    return [directory / name / "RECORD" for name in names]


def is_library(module_name: str | None) -> bool:
    """Return whether a module's code is known by its name and not by what it does."""
    if not isinstance(module_name, str) or module_name == "__main__":
        return False
    if _is_built_in(module_name):
        return True
    module = sys.modules.get(module_name)
    return _is_from_library(
        getattr(module, "__file__", None), getattr(module, "__spec__", None)
    )


def is_library_scope(scope: Mapping[str, Any]) -> bool:
    """Return whether a function's globals, or a module's, are those of a library.

    A namespace answers for itself, because a module that was loaded from a file's path
    or made at run time may have the name of another one.
    """
    name = scope.get("__name__")
    if not isinstance(name, str) or name == "__main__":
        return False
    module = sys.modules.get(name)
    if _is_built_in(name):
        return getattr(module, "__dict__", None) is scope or "__file__" not in scope
    return _is_from_library(scope.get("__file__"), scope.get("__spec__"))


def _is_built_in(name: str) -> bool:
    return name.partition(".")[0] in (_PACKAGE, *sys.builtin_module_names)


def _is_from_library(file: object, spec: object) -> bool:
    file = file or getattr(spec, "origin", None)
    if file in ("built-in", "frozen"):
        return True
    if not isinstance(file, str):  # a namespace package, or made at run time
        locations = getattr(spec, "submodule_search_locations", None) or ()
        return any(is_library_file(location) for location in locations)
    return is_library_file(file)


def resolves(module_name: str | None, qualname: str, value: object) -> bool:
    """Return whether the module has exactly this object under this name."""
    found: object = sys.modules.get(module_name or "")
    for part in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found is not None and found is value


def is_library_class(cls: type) -> bool:
    """Return whether a class is a library's: its module holds it, or it is made in C.

    A class that a library has made for the user (``dataclasses.make_dataclass``,
    ``types.new_class``) has the library's module as its own, but is not in there.
    """
    module, qualname = cls.__module__, cls.__qualname__
    return is_library(module) and (
        resolves(module, qualname, cls)
        or not cls.__flags__ & _HEAP_TYPE
        or any(
            isinstance(value, _OF_C) and value.__objclass__ is cls
            for value in vars(cls).values()
        )
    )


def class_name(cls: type) -> bytes:
    """Encode a class by name; the user's without the module, which may be a script."""
    if is_library_class(cls):
        package = package_of(cls)
        # Their modules have other names in NumPy 2 and pandas 3, as numpy.bool_ has.
        # Private modules of this package may be renamed at any time.
        is_moving = package in ("numpy", "pandas") or f"{_PACKAGE}._" in cls.__module__
        module = package if is_moving else cls.__module__
        bool_ = (module, cls.__qualname__) == ("numpy", "bool")
        return named(b"library", module, "bool_" if bool_ else cls.__qualname__)
    return named(b"user", None, cls.__qualname__.rpartition(".")[2])


def library_class(value: type) -> bytes | None:
    """Encode a library's class by name; give None for the user's."""
    known = _library_classes.get(id(value))
    if known is not None and known[0]() is value:
        return known[1]
    if not is_library_class(value):
        return None
    name = class_name(value)
    _library_classes[id(value)] = ref(value), name
    return name


def package_of(cls: type) -> str:
    """Return the package that a class belongs to, whatever the module's name."""
    module = cls.__module__ or ""
    for prefix, package in _PACKAGES.items():
        if f"{module}.".startswith(f"{prefix}."):
            return package
    return module.partition(".")[0]
