"""What runs from the user's own modules, name by name, to compare it elsewhere.

Pickle stores functions, classes and modules of the user's by their name, and a worker
imports them anew. So what a value means there depends on what those modules hold there.
The trace of a value lists all names in the user's modules that the value reaches,
through any number of others, each with a key of what stands there *by itself*: a
function by its code, with what it refers to by name only, because that has an entry of
its own. Two processes run the same if all their entries are equal.

What travels within the pickle has no entry.
"""

import contextlib
import hashlib
import sys
import types
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import numpy as np

from .._exceptions import FingerprintError
from .bytecode import normalise
from .cloning import encode_cloned
from .depth import call_deeply
from .encoding import ATOMS, encode_str, named
from .handlers import handler_of
from .imports import Read, absolute_imports, reads_of
from .library_code import is_library, is_library_scope, resolves
from .modules import changed_members, code_of, find_spec, source_keys
from .summaries import summarize
from .walk import Unkeyable, Walk

#: Name of a module, and of what is in it; ``"Model.fit"`` for what is in a class.
Place = tuple[str, str]

_MISSING = object()
_CONSTANTS = ATOMS.keys() - {id(bytearray)}


class Part(NamedTuple):
    """What stands at a place.

    Attributes
    ----------
    key : bytes
        Changes with what stands there. Empty where nothing does, and for what has
        no key.
    summary : str
        A short text.
    """

    key: bytes
    summary: str


class Source(NamedTuple):
    """A module's source.

    Attributes
    ----------
    digest : bytes
        Of the file.
    key : bytes
        Of what the code in it does.
    """

    digest: bytes
    key: bytes


class Trace(NamedTuple):
    """What values reach in the user's modules.

    Attributes
    ----------
    parts : dict of Place to Part
        In an order in which the modules can be imported.
    sources : dict of str to Source
        By name, of the modules that are imported by code that runs.
    """

    parts: dict[Place, Part]
    sources: dict[str, Source]


class _Tracer(Walk):
    """A walk that goes no further than to the names in the user's modules.

    Parameters
    ----------
    start : Place or None
        Where the value stands that is going to be encoded. None if it travels.
    """

    reads_fields = False

    def __init__(self, start: Place | None = None) -> None:
        super().__init__(handler_of)
        self._start = start
        self.reached: dict[Place, None] = {}
        self.imports: set[str] = set()
        self.reads: set[Read] = set()

    def encode(self, value: object) -> bytes:
        """Encode a value, one that pickle stores by name by that."""
        if isinstance(value, type | types.FunctionType):
            place = _place_of(value)
            if place is not None and place != self._start:
                self.reached[place] = None
                return named(b"place", *place)
        if isinstance(value, types.FunctionType):
            if is_library_scope(value.__globals__):
                return super().encode(value)
            package = str(value.__globals__.get("__package__") or "")
            code = normalise(value.__code__)
            if code.imports:
                specs = self.memo.setdefault("specs", {})
                self.imports.update(absolute_imports(code, package, specs))
                self.reads.update(reads_of(code, package, specs))
        elif isinstance(value, types.ModuleType):
            self.imports.add(value.__name__)
        elif self._start is None and _has_no_code(value):
            return b""
        return super().encode(value)

    def defer(self, of: Hashable, encode: Callable[[Walk], bytes]) -> None:
        """Note a module that counts whole; what is imported is compared by source."""
        if isinstance(of, tuple) and of[0] == "whole":
            super().defer(of, encode)

    def member(self, module: str, name: str, label: str, value: object) -> bytes:
        """Encode what stands at a place by the name of that."""
        if _is_own(module) and look_up((module, name)) is value:
            self.reached[(module, name)] = None
            return encode_str(name)
        return super().member(module, name, label, value)

    def reach(self, module: Any, name: str) -> None:
        """Note the place at which a worker finds the value."""
        if _is_own(module) and (module, name) != self._start:
            self.reached[(module, name)] = None

    def use(self, module: str, name: str, value: types.ModuleType) -> bytes:
        """Encode which module stands at a place; a script can set another one there."""
        if _is_own(module) and look_up((module, name)) is value:
            self.reached[(module, name)] = None
        return b"" if _is_made(value) else encode_str(value.__name__)


def trace(cloned: Iterable[object], whole: Iterable[object] = ()) -> Trace:
    """List what values reach in the user's modules.

    Parameters
    ----------
    cloned : iterable of object
        What travels to a worker and is cloned there.
    whole : iterable of object
        What travels besides.
    """
    values = list(cloned), list(whole)

    def encode() -> _Tracer:
        walk = _Tracer()
        for value in values[0]:
            encode_cloned(walk, value)
        for value in values[1]:
            walk.encode(value)
        walk.finish(b"")
        return walk

    try:
        walk = call_deeply(encode)
    except (Unkeyable, RecursionError) as error:
        raise FingerprintError(f"What workers run has no key: {error}") from error
    parts: dict[Place, Part] = {}
    imports, reads = walk.imports, walk.reads
    sources = _sources(imports)
    todo = [*walk.reached, *changed_members(_Tracer(), sources, reads)]
    while todo:
        place = todo.pop()
        if place not in parts:
            parts[place], reached = _part_of(place)
            todo += reached.reached
            imports |= reached.imports
            reads |= reached.reads
        if not todo:
            sources = _sources(imports)
            changed = changed_members(_Tracer(), sources, reads)
            todo += [place for place in changed if place not in parts]
    if parts:
        order = {name: number for number, name in enumerate(list(sys.modules))}
        places = sorted(parts, key=lambda place: (order[place[0]], place[1]))
        parts = {place: parts[place] for place in places}
    return Trace(parts, sources)


def _sources(names: Iterable[str]) -> dict[str, Source]:
    sources = {}
    for name, key in source_keys(names).items():
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            digest = file_digest(spec.origin)
            if digest is not None:
                sources[name] = Source(digest, key)
    return sources


def file_digest(file: str) -> bytes | None:
    """Return a digest of a file's content, None if it cannot be read."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).digest()
    except OSError:
        return None


def does_the_same(file: str, digest: bytes, source: Source) -> bool:
    """Return whether a file that was imported does what another source does.

    Parameters
    ----------
    file : str
        The file.
    digest : bytes
        Of what it was when it was imported.
    source : Source
        What it is to be.
    """
    if digest == source.digest:
        return True
    if not file.endswith(".py"):
        return False
    try:
        content = Path(file).read_bytes()
        unchanged = hashlib.sha256(content).digest() == digest
        return unchanged and code_of(content).key == source.key
    except (OSError, SyntaxError, ValueError):
        return False


def part_at(place: Place) -> Part:
    """Return what stands at a place in this process."""
    return _part_of(place)[0]


def _part_of(place: Place) -> tuple[Part, _Tracer]:
    value = look_up(place)
    walk = _Tracer(place)
    if value is _MISSING:
        return Part(b"", "missing"), walk

    def encode() -> bytes:
        nonlocal walk
        walk = _Tracer(place)
        if isinstance(value, types.ModuleType) and not _is_made(value):
            # What code reads in it has places of its own.
            return named(b"module", None, value.__name__)
        return walk.finish(walk.encode(value))

    try:
        code = call_deeply(encode)
    except (Unkeyable, RecursionError):
        return Part(b"", summarize(value)), walk
    # What travels here is set there, even if it does the same: objects may be of it.
    code += b"own" if _place_of(value) == place else b""
    key = hashlib.blake2b(code, digest_size=16).digest()
    return Part(key, summarize(value)), walk


def look_up(place: Place) -> Any:
    """Return the value at a place, as it stands in the class if it is in one."""
    found: object = sys.modules.get(place[0], _MISSING)
    for name in place[1].split("."):
        found = getattr(found, "__dict__", {}).get(name, _MISSING)
    return found


def put(place: Place, value: object) -> None:
    """Set the value at a place, to one from `movable`.

    Raises
    ------
    AttributeError, TypeError
        If nothing can be set there.
    """
    if isinstance(value, _Held):
        value.give(look_up(place))
        return
    owner, _, name = place[1].rpartition(".")
    setattr(look_up((place[0], owner)) if owner else sys.modules[place[0]], name, value)


def movable(places: Iterable[Place]) -> dict[Place, Any]:
    """Return what can be sent of the values at places.

    That is the value itself, unless pickle stores it by this very name. Of a function,
    it is what the function holds.
    """
    values: dict[Place, Any] = {}
    for place in places:
        value = look_up(place)
        if value is _MISSING:
            continue
        if _place_of(value) != place:
            values[place] = value
        elif isinstance(value, types.FunctionType) and not is_constant(value):
            values[place] = _Held.of(value)
    return values


class _Held(NamedTuple):
    """What a function holds."""

    defaults: tuple[Any, ...] | None
    keyword_defaults: dict[str, Any] | None
    variables: dict[str, Any]

    @classmethod
    def of(cls, function: types.FunctionType) -> "_Held":
        """Return what a function holds, other than the functions that it wraps."""
        variables = {
            name: value
            for name, value in _variables(function).items()
            if not isinstance(value, types.FunctionType)
        }
        return cls(function.__defaults__, function.__kwdefaults__, variables)

    def give(self, function: Any) -> None:
        """Have another function hold it."""
        function.__defaults__ = self.defaults
        function.__kwdefaults__ = self.keyword_defaults
        cells = dict(
            zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        )
        for name, value in self.variables.items():
            if name in cells:
                cells[name].cell_contents = value


def is_constant(value: object) -> bool:
    """Return whether nothing that runs can change a value, other than set another."""
    if isinstance(value, tuple | frozenset):
        return all(map(is_constant, value))
    if not isinstance(value, types.FunctionType):
        kinds = (type, types.BuiltinFunctionType, types.ModuleType)
        return id(type(value)) in _CONSTANTS or isinstance(value, kinds)
    if is_library(value.__module__):
        return True
    if _place_of(value) is None:  # its globals are its own
        return False
    held = [
        *(value.__defaults__ or ()),
        *(value.__kwdefaults__ or {}).values(),
        *_variables(value).values(),
        *vars(value).values(),
    ]
    return all(_place_of(item) is not None or is_constant(item) for item in held)


def _variables(function: types.FunctionType) -> dict[str, Any]:
    """Return the variables that a function captures, those that are set."""
    variables = {}
    names = function.__code__.co_freevars
    for name, cell in zip(names, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):
            variables[name] = cell.cell_contents
    return variables


def _place_of(value: object) -> Place | None:
    """Return the name by which pickle stores a function or class of the user's."""
    if not isinstance(value, type | types.FunctionType):
        return None
    module, name = value.__module__, value.__qualname__
    if isinstance(module, str) and _is_own(module) and resolves(module, name, value):
        return module, name
    return None


def _is_own(module: str) -> bool:
    """Return whether a module is the user's, and a worker imports it."""
    if module == "__main__" or module not in sys.modules or is_library(module):
        return False
    by_value: Mapping[str, Any] = cloudpickle.list_registry_pickle_by_value()
    return not any(f"{module}.".startswith(f"{name}.") for name in by_value)


def _is_made(module: types.ModuleType) -> bool:
    """Return whether a module was made at run time, and travels with its content."""
    is_plain = type(module) is types.ModuleType  # others load lazily
    return is_plain and sys.modules.get(module.__name__) is not module


def _has_no_code(value: object) -> bool:
    return isinstance(value, np.ndarray) and not value.dtype.hasobject
