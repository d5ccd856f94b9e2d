"""Keys of modules: a library's by name, the user's own by source and content.

A module of which code reads attributes directly counts by those. One that is handed on,
or looked into in another way, counts whole. What code imports when it runs counts by
its source: it may not be imported yet, and importing it here could start a framework;
the same holds once it is imported, or the key would change on the way.
"""

import sys
import types
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .._exceptions import UnseenDependencyWarning
from .bytecode import Code
from .computed import encode_computed
from .encoding import encode_str, node
from .environment import encode_environment, reads_environment
from .fields import encode_held_member
from .imports import Read, absolute_imports, reads_of
from .library_code import is_library_scope
from .module_values import changed_values
from .sources import Source, Specs, code_of, find_spec, read
from .walk import Unkeyable, Walk

__all__ = [
    "absolute_imports",
    "changed_members",
    "code_of",
    "encode_imports",
    "encode_module",
    "encode_module_use",
    "find_spec",
    "source_keys",
    "warn_of_unseen",
]

MODULE_NOISE = frozenset(
    """__name__ __file__ __doc__ __package__ __loader__ __spec__ __builtins__
    __cached__ __path__ __dict__ __annotations__ __warningregistry__""".split()  # noqa: SIM905 - a page of lines otherwise
)
# Attributes through which all others can be reached.
_REFLECTIVE = {"__dict__", "__getattribute__", "__getattr__", "__dir__"}
_warned: set[tuple[str, str]] = set()


def encode_module(walk: Walk, module: types.ModuleType) -> bytes:
    """Key a module that is itself a value: a library's by name, else whole."""
    name = module.__name__
    if is_library_scope(vars(module)):
        return walk.library(b"module", None, name)
    if name == "__main__":
        warn_of_unseen("the script", frozenset(["__main__"]), "")
    else:
        walk.defer(("whole", id(module)), lambda walk: _encode_whole(walk, module))
    return node(b"module", (encode_str(name),))


def _encode_whole(walk: Walk, module: types.ModuleType) -> bytes:
    """Key a module by its source and all values in it."""
    name, scope = module.__name__, vars(module)
    source = _source_of(walk, module)
    parts = [encode_str(name), walk.encode(type(module))]
    if source is not None:
        parts += [source.code.key, _encode_names(walk, source.code, source.package)]
    for attribute in sorted(scope.keys() - MODULE_NOISE):
        value, label = scope[attribute], f" -> global '{name}.{attribute}'"
        parts.append(encode_str(attribute))
        try:
            parts.append(_encode_member(walk, module, attribute, label, value))
        except Unkeyable:  # a lock, an open file: the source makes it
            if source is None:
                raise
            parts.append(walk.encode(type(value)))
    return node(b"whole", parts)


def _encode_member(
    walk: Walk, module: types.ModuleType, name: str, label: str, value: object
) -> bytes:
    if not isinstance(value, types.ModuleType):
        walk.module_values[module.__name__, name] = value
    return walk.member(module.__name__, name, label, value)


def _source_of(walk: Walk, module: types.ModuleType) -> Source | None:
    spec = find_spec(module.__name__, _specs(walk))
    file = getattr(module, "__file__", None)
    if spec is not None and spec.origin is not None and spec.origin == file:
        return read(module.__name__, spec)
    if isinstance(file, str) and file.endswith(".py") and Path(file).is_file():
        content = Path(file).read_bytes()  # loaded from its path
        return Source(content, code_of(content), str(module.__package__ or ""))
    return None


def encode_module_use(
    walk: Walk, module: types.ModuleType, tails: set[tuple[str, ...]]
) -> bytes:
    """Key a module by the attributes that code reads from it.

    Parameters
    ----------
    walk : Walk
        The walk.
    module : module
        The module.
    tails : set of tuple of str
        What follows its name in the code: ``("POWER",)`` for ``settings.POWER``.
        Nothing, where the module itself is used.
    """
    scope = vars(module)
    if is_library_scope(scope):
        return walk.library(b"module", None, module.__name__)
    if () in tails or any(tail[0] in _REFLECTIVE for tail in tails):
        return encode_module(walk, module)
    parts = []
    if type(module) is not types.ModuleType:
        parts.append(walk.encode(type(module)))
    for name in sorted({tail[0] for tail in tails} - MODULE_NOISE):
        if name not in scope and "__getattr__" not in scope:
            continue
        found = name if name in scope else "__getattr__"
        value = scope[found]
        parts.append(encode_str(name))
        inner = {tail[1:] for tail in tails if tail[0] == name}
        if isinstance(value, types.ModuleType):
            parts.append(walk.use(module.__name__, name, value))
            parts.append(encode_module_use(walk, value, inner))
        else:
            walk.module_values[module.__name__, found] = value
            label = f" -> global '{module.__name__}.{found}'"
            place = module.__name__, found
            parts.append(encode_held_member(walk, *place, label, value, inner))
    return node(b"usermodule", parts)


# Imports


def encode_imports(walk: Walk, code: Code, package: str) -> bytes:
    """Key what code imports when it runs by the source of the user's modules."""
    return _encode_names(walk, code, package)


def _encode_names(walk: Walk, code: Code, package: str) -> bytes:
    specs, parts = _specs(walk), []
    for place in reads_of(code, package, specs):
        _defer_value(walk, place)
    for name in sorted(set(absolute_imports(code, package, specs))):
        if find_spec(name, specs) is not None:
            walk.defer(("source", name), _encoder_of_source(name))
        elif not _is_made(name):
            continue
        else:
            encode_module(walk, sys.modules[name])
        parts.append(encode_str(name))
    return node(b"imports", parts)


def _is_made(name: str) -> bool:
    """Return whether a module was made at run time, and has no source."""
    module = sys.modules.get(name)
    return (
        isinstance(module, types.ModuleType)
        and module.__spec__ is None
        and name != "__main__"
        and not is_library_scope(vars(module))
    )


def _defer_value(walk: Walk, place: Read) -> None:
    walk.defer(("value", *place), lambda walk: encode_computed(walk, *place))


def _encoder_of_source(name: str) -> Any:
    return lambda walk: _encode_source(walk, name)


def _encode_source(walk: Walk, name: str) -> bytes:
    spec = find_spec(name, _specs(walk))
    source = read(name, spec) if spec is not None else None
    parts = [encode_str(name)]
    if source is None:
        return node(b"source", parts)
    warn_of_unseen(f"The module {name}", source.code.unseen, name)
    parts += [source.code.key, _encode_names(walk, source.code, source.package)]
    for read_there in source.code.globals:
        _defer_value(walk, (name, read_there))
    if reads_environment(source.code):
        parts.append(encode_environment(source.code))
    module = sys.modules.get(name)
    origin = getattr(spec, "origin", None)
    if module is not None and source.text and getattr(module, "__file__", "") == origin:
        parts += _encode_changes(walk, source.text, module)
    return node(b"source", parts)


def _encode_changes(
    walk: Walk, source: bytes, module: types.ModuleType
) -> Iterator[bytes]:
    def same(one: object, other: object) -> bool:
        try:
            return walk.encode(one) == walk.encode(other)
        except Unkeyable:
            return False

    try:
        changes = dict(changed_values(source, module, same))
    except (SyntaxError, ValueError, RecursionError):
        return
    for name in sorted(changes):
        yield encode_str(name)
        label = f" -> global '{module.__name__}.{name}'"
        yield _encode_member(walk, module, name, label, changes[name])


def changed_members(
    walk: Walk, names: Iterable[str], reads: Iterable[Read]
) -> Iterator[tuple[str, str]]:
    """Yield what is another than the source says, in modules that code imports.

    Parameters
    ----------
    walk : Walk
        The walk.
    names : iterable of str
        Names of the modules.
    reads : iterable of Read
        What code reads in them.

    Yields
    ------
    module, name : str
        The module, and what is in it.
    """
    found = walk.module_values = {}
    specs, places = _specs(walk), set(reads)
    for name in names:
        _encode_source(walk, name)
        spec = find_spec(name, specs)
        source = read(name, spec) if spec is not None else None
        if source is not None:
            places.update(reads_of(source.code, source.package, specs))
            places.update((name, found) for found in source.code.globals)
    for place in places:
        encode_computed(walk, *place)
    yield from found


def _specs(walk: Walk) -> Specs:
    specs: Specs = walk.memo.setdefault("specs", {})
    return specs


def source_keys(names: Iterable[str]) -> dict[str, bytes]:
    """Return the keys of the sources of modules, and of those that they import."""
    todo, keys, specs = list(names), dict[str, bytes](), Specs()
    while todo:
        name = todo.pop()
        spec = None if name in keys else find_spec(name, specs)
        source = read(name, spec) if spec is not None else None
        if source is not None:
            keys[name] = source.code.key
            todo += absolute_imports(source.code, source.package, specs)
    return keys


def warn_of_unseen(where: str, unseen: frozenset[str], place: str) -> None:
    """Warn once of code that reaches what no key can see."""
    if not unseen or (where, place) in _warned:
        return
    _warned.add((where, place))
    how = ", ".join(sorted(unseen))
    what, named = "module or name", "module or value"
    if unseen <= {"os.environ", "os.getenv"}:
        what = named = "environment variable"
    warnings.warn(
        f"{where} uses {how} in a way that a key cannot follow: it may reach any "
        f"{what}, and finished folds are reused even if what it reaches has "
        f"changed. Name the {named} in the code, or hand it over as a parameter.",
        UnseenDependencyWarning,
        stacklevel=2,
    )
