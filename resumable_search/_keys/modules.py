"""Keys of modules: a library's by name, the user's own by their source."""

import hashlib
import importlib.machinery
import types
from collections.abc import Iterable, Iterator
from pathlib import Path

from .bytecode import Code, normalise
from .encoding import encode_bytes, encode_str, node
from .library_code import is_library, is_library_file
from .walk import Walk

#: Digest of a module's source -> what it does.
_codes: dict[bytes, Code] = {}


def encode_module(walk: Walk, module: types.ModuleType) -> bytes:
    """Key a module that is itself a value: a library's by name, else by its source."""
    if is_library(module.__name__):
        return walk.library(b"module", None, module.__name__)
    return node(b"module", _in_order(source_keys([module.__name__])))


def encode_imports(code: Code, package: str) -> bytes:
    """Key the user's modules that code imports when it runs, by their source.

    They may not be imported yet, and importing them here could start a framework; so
    the same holds once they are imported, or the key would change on the way.
    """
    return node(b"imports", _in_order(source_keys(absolute_imports(code, package))))


def absolute_imports(code: Code, package: str) -> Iterator[str]:
    """Name the modules that code may import when it runs."""
    for level, name in sorted(code.imports):
        base = name
        if level:
            parents = package.split(".")
            base = ".".join([*parents[: len(parents) - level + 1], name]).strip(".")
        yield base
        # "from package import module" names a module too.
        yield from (f"{base}.{attribute}" for attribute in sorted(code.attributes))


def source_keys(names: Iterable[str]) -> dict[str, bytes]:
    """Key the user's modules among these, and those that they import, by source."""
    todo, keys = list(names), dict[str, bytes]()
    while todo:
        name = todo.pop()
        spec = None if name in keys else find_spec(name)
        if spec is None or spec.origin is None or is_library_file(spec.origin):
            continue
        if spec.origin in ("built-in", "frozen") or is_library(name):
            continue
        content = Path(spec.origin).read_bytes()
        if not spec.origin.endswith(".py"):
            keys[name] = encode_bytes(hashlib.sha256(content).digest())
            continue
        code = code_of(content)
        keys[name] = code.key
        package = name if spec.submodule_search_locations else name.rpartition(".")[0]
        todo += absolute_imports(code, package)
    return keys


def _in_order(keys: dict[str, bytes]) -> Iterator[bytes]:
    for name in sorted(keys):
        yield encode_str(name) + keys[name]


def code_of(source: bytes) -> Code:
    """Return what a module does. Many functions may import the same ones."""
    digest = hashlib.sha256(source).digest()
    if digest not in _codes:
        _codes[digest] = normalise(compile(source, "module", "exec", dont_inherit=True))
    return _codes[digest]


def find_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Find a module's file without importing its parents."""
    path, spec = None, None
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        try:
            spec = importlib.machinery.PathFinder.find_spec(
                ".".join(parts[:count]), path
            )
        except (ImportError, ValueError):
            return None
        if spec is None or is_library(parts[0]):
            return None
        if count == 1 and spec.origin is not None and is_library_file(spec.origin):
            return None
        path = spec.submodule_search_locations
        if path is None and count < len(parts):
            return None
    return spec
