"""Keys of functions and classes: a library's by name, the user's own by what they do.

Code counts as a library's when its module lies in the standard library, in
``site-packages`` or in this package; all else is the user's. The user's code is
keyed by its bytecode, freed from all that says only how it was written down (see
`normalise`), and by what that bytecode reads: defaults, captured variables, globals,
attributes of the user's modules, and the source of modules it imports when it runs.
"""

import dis
import enum
import functools
import hashlib
import importlib.machinery
import itertools
import struct
import sys
import sysconfig
import types
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

_PACKAGE = __name__.partition(".")[0]
_LIBRARY_ROOTS = tuple(
    str(Path(sysconfig.get_path(name)).resolve())
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_NOISE = {"NOP", "CACHE", "EXTENDED_ARG", "RESUME", "NOT_TAKEN"}
_JUMPS = {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"}
_JUMP_LABELS = {name.encode() + b" " for name in _JUMPS}
_ENDS = {"RETURN_VALUE", "RAISE_VARARGS", "RERAISE"}
# These cannot raise: whether a "try" covers them is left to the compiler's mood.
_SILENT = {"LOAD_CONST", "STORE_FAST", "COPY", "SWAP", "POP_TOP", "RETURN_VALUE"}
if sys.version_info >= (3, 12):  # before that it could be unbound
    _SILENT.add("LOAD_FAST")
_STORES = (b"STORE_FAST ", b"POP_TOP ", b"SWAP ")
_GLOBAL_READS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
# *args, **kwargs, generator, coroutine, iterable coroutine, async generator; the
# other flags say how the code was written (nested, with a docstring).
_FLAGS = 0x04 | 0x08 | 0x20 | 0x80 | 0x100 | 0x200
# What the interpreter, sklearn and dataclasses add to a class, or what cannot
# matter for a score. A dataclass's fields are in its generated __init__.
_CLASS_NOISE = frozenset(
    """__module__ __doc__ __dict__ __weakref__ __qualname__ __firstlineno__
    __static_attributes__ __annotations__ __annotate__ __annotate_func__
    __annotations_cache__ __abstractmethods__ __slotnames__ _abc_impl __orig_bases__
    __parameters__ __type_params__ __dataclass_fields__ __dataclass_params__
    __match_args__ _sklearn_auto_wrap_output_keys""".split()  # noqa: SIM905 - a page of lines otherwise
)
_BODY_NOISE = _CLASS_NOISE & {
    *("__doc__", "__module__", "__qualname__"),
    *("__firstlineno__", "__static_attributes__"),
}
_MODULE_NOISE = frozenset(
    """__name__ __file__ __doc__ __package__ __loader__ __spec__ __builtins__
    __cached__ __path__ __dict__""".split()  # noqa: SIM905 - likewise
)


# By identity, and kept alive for that: in Python 3.11 code objects are equal when only
# their exception tables differ.
_normalised: dict[int, tuple[types.CodeType, "Code"]] = {}
_NORMALISED_LIMIT = 4096


class Walker(Protocol):
    """What this module needs from the walk over values."""

    def encode(self, value: object) -> bytes:
        """Encode a value."""

    def child(self, label: str, value: object) -> bytes:
        """Encode a value that error messages call `label`."""


def encode_float(value: float) -> bytes:
    """Encode by IEEE bits; every NaN is the same."""
    return b"f" + struct.pack("<d", value if value == value else float("nan"))


def encode_str(value: str) -> bytes:
    """Encode text, lone surrogates included."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(raw), raw)


def encode_bytes(value: bytes) -> bytes:
    """Encode raw bytes."""
    return b"b%d:%b" % (len(value), value)


ATOMS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _value: b"N",
    type(...): lambda _value: b"E",
    bool: lambda value: b"T" if value else b"F",
    int: lambda value: b"i%x;" % value,
    float: encode_float,
    str: encode_str,
    bytes: encode_bytes,
}


def node(tag: bytes, parts: Iterable[bytes] = ()) -> bytes:
    """Hash encoded parts, each of which tells its own length, under a tag."""
    content = b";".join((tag, b"".join(parts)))
    return b"#" + hashlib.blake2b(content, digest_size=16).digest()


def named(kind: bytes, module: str | None, qualname: str) -> bytes:
    """Encode something that is known by its name."""
    return node(kind, (encode_str(module or ""), encode_str(qualname)))


@functools.lru_cache(maxsize=4096)
def _is_library_file(file: str) -> bool:
    path = Path(file).resolve()
    if {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(path.is_relative_to(root) for root in _LIBRARY_ROOTS)


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
        return any(_is_library_file(location) for location in locations)
    return _is_library_file(file)


def resolves(module_name: str | None, qualname: str, value: object) -> bool:
    """Say whether the module has exactly this object under this name."""
    found: object = sys.modules.get(module_name or "")
    for part in qualname.split("."):
        found = getattr(found, "__dict__", {}).get(part)
    return found is not None and found is value


class Code(NamedTuple):
    """Bytecode without its layout, and what it reads from outside."""

    key: bytes
    globals: frozenset[str]
    attributes: frozenset[str]
    imports: frozenset[tuple[int, str]]


_Node = tuple[bytes, tuple[int, ...]]  # what it does, and what may follow


class _Instruction(NamedTuple):
    label: bytes
    target: int | None  # where it jumps to
    falls: bool  # whether the next instruction may follow
    handler: tuple[int, int, bool] | None  # where an exception goes


def _constant(value: object) -> bytes:
    atom = ATOMS.get(type(value))
    if atom is not None:
        return atom(value)
    if isinstance(value, types.CodeType):
        return normalise(value).key
    if isinstance(value, tuple):
        return node(b"tuple", map(_constant, value))
    if isinstance(value, frozenset):
        return node(b"frozenset", sorted(map(_constant, value)))
    return node(type(value).__name__.encode(), (encode_str(repr(value)),))


def _argument(item: dis.Instruction) -> bytes:
    """Encode an instruction's argument by value, not by its place in a table."""
    if item.opcode in dis.hasconst or item.opname == "KW_NAMES":
        return _constant(item.argval)
    if item.opcode in dis.hasname:
        # The low bits say whether a call follows.
        bits = 3 if item.opname == "LOAD_SUPER_ATTR" else 1
        flagged = item.opname in ("LOAD_GLOBAL", "LOAD_SUPER_ATTR") or (
            item.opname == "LOAD_ATTR" and sys.version_info >= (3, 12)
        )
        low = (item.arg or 0) & bits if flagged else 0
        return encode_str(item.argval) + b"%d" % low
    if item.opcode in dis.haslocal or item.opcode in dis.hasfree:
        return encode_str(item.argval)
    if item.opcode in dis.hascompare:
        return encode_str(item.argrepr)
    return _constant(item.arg)


def _simple_steps(item: dis.Instruction) -> Iterator[tuple[str, bytes]]:
    """Split what the compiler joins only where both stand on the same line."""
    if item.opname == "RETURN_CONST":
        yield "LOAD_CONST", _constant(item.argval)
        yield "RETURN_VALUE", b""
    elif item.opcode in dis.haslocal and isinstance(item.argval, tuple):
        half = len(item.opname) // 2
        yield item.opname[:half], encode_str(item.argval[0])
        yield item.opname[half + 1 :], encode_str(item.argval[1])
    else:
        jump = item.opcode in dis.hasjrel or item.opcode in dis.hasjabs
        yield item.opname, b"" if jump else _argument(item)


def _without_body_noise(items: list[dis.Instruction]) -> list[dis.Instruction]:
    """Drop what a class body or a module stores only to describe itself."""
    kept: list[dis.Instruction] = []
    for item in items:
        if (
            kept
            and item.opname == "STORE_NAME"
            and item.argval in _BODY_NOISE
            and kept[-1].opname in ("LOAD_CONST", "LOAD_NAME")
        ):
            kept.pop()
        else:
            kept.append(item)
    return kept


def _instructions(items: list[dis.Instruction], code: types.CodeType) -> list[Any]:
    """Resolve jumps and exception handlers to positions in the list."""
    steps = [(item, step) for item in items for step in _simple_steps(item)]
    offsets = [item.offset for item, _step in steps]
    table = dis.Bytecode(code).exception_entries  # type: ignore[attr-defined]
    result: list[_Instruction] = []
    for item, (name, argument) in steps:
        jumps = item.opcode in dis.hasjrel or item.opcode in dis.hasjabs
        target = bisect_left(offsets, item.argval) if jumps else None
        covering = () if name in _SILENT else table
        entry = next((e for e in covering if e.start <= item.offset < e.end), None)
        name = name.replace("JUMP_FORWARD_IF", "JUMP_IF")
        name = name.replace("JUMP_BACKWARD_IF", "JUMP_IF")
        result.append(
            _Instruction(
                name.encode() + b" " + argument,
                target,
                name not in _ENDS and name not in _JUMPS,
                entry
                and (bisect_left(offsets, entry.target), entry.depth, entry.lasti),
            )
        )
    return result


def _successors(program: list[_Instruction]) -> list[_Node]:
    """List what may follow each instruction, seen through unconditional jumps.

    Branches are turned so that the same test always reads the same way: where the
    compiler puts the two sides depends on line numbers.
    """

    def real(index: int) -> int:
        seen = set()
        while index < len(program) and program[index].label in _JUMP_LABELS:
            if index in seen:
                return -1  # a loop without a body
            seen.add(index)
            index = program[index].target or 0
        return index

    result = []
    for index, step in enumerate(program):
        label, following = step.label, []
        if step.falls:
            following.append(real(index + 1))
        if step.target is not None:
            following.append(real(step.target))
        if label in (b"POP_JUMP_IF_TRUE ", b"POP_JUMP_IF_NONE "):
            label = label.replace(b"TRUE", b"FALSE").replace(b"IF_NONE", b"IF_NOT_NONE")
            following.reverse()
        if step.handler is not None:
            handler, depth, lasti = step.handler
            following.append(real(handler))
            label += b"!%d,%d" % (depth, lasti)
        result.append((label, tuple(following)))
    return result


def _graph(items: list[dis.Instruction], code: types.CodeType) -> list[_Node]:
    return _with_merged_stores(_threaded(_successors(_instructions(items, code))))


def _threaded(graph: list[_Node]) -> list[_Node]:
    """Let a test whose outcome is known from the test before it go straight there.

    ``a and b or c`` tests a false ``a`` twice. The compiler leaves the second test
    out, but only where both stand on the same line.
    """
    result = list(graph)
    changed = True
    while changed:
        changed = False
        for index, (label, following) in enumerate(result):
            threaded = _threaded_node(result, label, following)
            if threaded != (label, following):
                result[index] = threaded
                changed = True
    return result


def _threaded_node(
    graph: list[_Node], label: bytes, following: tuple[int, ...]
) -> _Node:
    kind, _, rest = label.partition(b" ")
    if kind in (b"JUMP_IF_FALSE_OR_POP", b"JUMP_IF_TRUE_OR_POP"):  # Python 3.11
        truth = kind == b"JUMP_IF_TRUE_OR_POP"
        popped, kept, *handler = following
        if not 0 <= kept < len(graph):
            return label, following
        then, targets = graph[kept][0].partition(b" ")[0], graph[kept][1]
        if then == kind and targets[1] != kept:
            return label, (popped, targets[1], *handler)
        if then in (b"JUMP_IF_FALSE_OR_POP", b"JUMP_IF_TRUE_OR_POP"):
            known = targets[0]
        elif then == b"POP_JUMP_IF_FALSE":
            known = targets[0 if truth else 1]
        else:
            return label, following
        pair = (known, popped) if truth else (popped, known)
        return b"POP_JUMP_IF_FALSE " + rest, (*pair, *handler)
    if kind == b"COPY":  # Python 3.12 and later
        branch = _repeated_test(graph, label, following)
        if branch is not None:
            test, (yes, no, *handler) = graph[branch]
            yes, no = _outcome(graph, yes, 0), _outcome(graph, no, 1)
            graph[branch] = test, (yes, no, *handler)
    return label, following


def _repeated_test(
    graph: list[_Node], label: bytes, following: tuple[int, ...]
) -> int | None:
    """Find the branch of a test that leaves the tested value on the stack."""
    if label != b"COPY i1;":
        return None
    index = following[0]
    if 0 <= index < len(graph) and graph[index][0].startswith(b"TO_BOOL"):
        index = graph[index][1][0]
    if 0 <= index < len(graph) and graph[index][0].startswith(b"POP_JUMP_IF_FALSE"):
        return index
    return None


def _outcome(graph: list[_Node], index: int, side: int) -> int:
    seen = set[int]()
    while 0 <= index < len(graph) and index not in seen:
        seen.add(index)
        branch = _repeated_test(graph, *graph[index])
        if branch is None:
            break
        index = graph[branch][1][side]
    return index


def _with_merged_stores(graph: list[_Node]) -> list[_Node]:
    """Key a run of stores, pops and swaps by what it stores.

    In ``a, b = x, y`` the compiler orders the stores by the lines of the targets.
    """
    return [
        _merged_stores(graph, index) if label.startswith(_STORES) else (label, then)
        for index, (label, then) in enumerate(graph)
    ]


def _merged_stores(graph: list[_Node], index: int) -> _Node:
    stack: list[int] = []  # the top first; by place before the run
    touched = 0
    stored: dict[bytes, int] = {}
    while 0 <= index < len(graph) and graph[index][0].startswith(_STORES):
        label, (index,) = graph[index]
        kind, _, argument = label.partition(b" ")
        reach = int(argument[1:-1], 16) if kind == b"SWAP" else 1
        while len(stack) < reach:
            stack.append(touched)
            touched += 1
        if kind == b"SWAP":
            stack[0], stack[reach - 1] = stack[reach - 1], stack[0]
        elif kind == b"STORE_FAST":
            stored[argument] = stack.pop(0)
        else:
            del stack[0]
    return b"STORES %r %r" % (sorted(stored.items()), stack), (index,)


def _canonical(graph: list[_Node]) -> Iterator[bytes]:
    """Merge instructions that nothing can tell apart, and number the rest by visit.

    The compiler copies the ends of blocks and moves blocks around depending on line
    numbers; what is left after merging (the smallest equivalent automaton) does not.
    """
    end = len(graph)
    colours = [*_numbered(label for label, _following in graph), -2, -3]
    count = 0
    while count != len(set(colours)):
        count = len(set(colours))
        colours[:end] = _numbered(
            (colours[i], *(colours[j] for j in following))
            for i, (_label, following) in enumerate(graph)
        )
    order: dict[int, int] = {}
    stack = [0]
    while stack:
        index = stack.pop()
        known = colours[index] in order
        yield b"%d:" % order.setdefault(colours[index], len(order))
        if not known and 0 <= index < end:
            label, following = graph[index]
            yield encode_bytes(label)
            stack.extend(reversed(following))


def _numbered(values: Iterable[Any]) -> list[int]:
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]


def normalise(code: types.CodeType) -> Code:
    """Key bytecode by what it does, whatever lines, files and comments it has."""
    known = _normalised.get(id(code))
    if known is None:
        if len(_normalised) >= _NORMALISED_LIMIT:
            _normalised.clear()
        known = _normalised[id(code)] = (code, _normalise(code))
    return known[1]


def _normalise(code: types.CodeType) -> Code:
    items = [item for item in dis.get_instructions(code) if item.opname not in _NOISE]
    items = _without_body_noise(items)
    reads, attributes, imports = set(), set(), set()
    for position, item in enumerate(items):
        if item.opname in _GLOBAL_READS:
            reads.add(item.argval)
        elif item.opname == "IMPORT_NAME":
            level = items[position - 2].argval if position > 1 else 0
            imports.add((level if isinstance(level, int) else 0, item.argval))
        elif item.opcode in dis.hasname:
            attributes.add(item.argval)
    inner = [normalise(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    arguments = code.co_argcount + code.co_kwonlyargcount
    arguments += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    head = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    key = node(
        b"code",
        itertools.chain(
            map(_constant, (*head, code.co_flags & _FLAGS)),
            map(encode_str, code.co_varnames[:arguments]),
            _canonical(_graph(items, code)),
        ),
    )
    return Code(
        key,
        frozenset(reads.union(*(c.globals for c in inner))),
        frozenset(attributes.union(*(c.attributes for c in inner))),
        frozenset(imports.union(*(c.imports for c in inner))),
    )


def encode_function(walk: Walker, function: types.FunctionType) -> bytes:
    """Key a function, with all that it captures and refers to."""
    library = is_library(function.__globals__.get("__name__"))
    if (
        library
        and is_library(function.__module__)
        and resolves(function.__module__, function.__qualname__, function)
    ):
        return named(b"library", function.__module__, function.__qualname__)
    if library and hasattr(function, "registry") and hasattr(function, "dispatch"):
        return node(b"singledispatch", (walk.child("", dict(function.registry)),))
    code = normalise(function.__code__)
    parts = [code.key]
    defaults = function.__defaults__ or ()
    parts += [walk.child(" -> default value", value) for value in defaults]
    parts.append(b"%d;" % len(defaults))
    for name, value in sorted((function.__kwdefaults__ or {}).items()):
        parts += encode_str(name), walk.child(f" -> default of '{name}'", value)
    for name, cell in zip(
        function.__code__.co_freevars, function.__closure__ or (), strict=True
    ):
        try:
            value = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
        label = f" -> closure variable '{name}'"
        parts += encode_str(name), walk.child(label, value)
    for name, value in sorted(vars(function).items()):
        parts += encode_str(name), walk.child(f" -> attribute '{name}'", value)
    if not library:
        parts += _encode_globals(walk, code, function.__globals__)
    return node(b"function", parts)


def _encode_globals(walk: Walker, code: Code, scope: dict[str, Any]) -> Iterator[bytes]:
    for name in sorted(code.globals - _MODULE_NOISE):
        if name not in scope:
            continue  # a builtin, or not defined
        yield encode_str(name)
        if isinstance(scope[name], types.ModuleType):
            yield _encode_module_use(walk, scope[name], code.attributes, set())
        else:
            yield walk.child(f" -> global '{name}'", scope[name])
    yield _encode_imports(code, str(scope.get("__package__") or ""))


def _encode_module_use(
    walk: Walker, module: types.ModuleType, attributes: frozenset[str], seen: set[int]
) -> bytes:
    """Key a module by name, and one of the user's by the attributes that code reads.

    Which module an attribute is read from is not known without running the code, so
    each module answers for every attribute name that the code mentions.
    """
    if is_library(module.__name__):
        return named(b"module", None, module.__name__)
    if id(module) in seen:
        return b"R"
    seen.add(id(module))
    parts = []
    for name in sorted(attributes & (vars(module).keys() - _MODULE_NOISE)):
        value = vars(module)[name]
        parts.append(encode_str(name))
        if isinstance(value, types.ModuleType):
            parts.append(_encode_module_use(walk, value, attributes, seen))
        else:
            parts.append(walk.child(f" -> global '{module.__name__}.{name}'", value))
    return node(b"usermodule", parts)


def encode_module(module: types.ModuleType) -> bytes:
    """Key a module that is itself a value: a library's by name, else by its source."""
    if is_library(module.__name__):
        return named(b"module", None, module.__name__)
    return node(b"module", _source_keys([module.__name__]))


def _encode_imports(code: Code, package: str) -> bytes:
    """Key the user's modules that code imports when it runs, by their source.

    They may not be imported yet, and importing them here could start a framework; so
    the same holds once they are imported, or the key would change on the way.
    """
    return node(b"imports", _source_keys(_absolute_imports(code, package)))


def _absolute_imports(code: Code, package: str) -> Iterator[str]:
    for level, name in sorted(code.imports):
        base = name
        if level:
            parents = package.split(".")
            base = ".".join([*parents[: len(parents) - level + 1], name]).strip(".")
        yield base
        # "from package import module" names a module too.
        yield from (f"{base}.{attribute}" for attribute in sorted(code.attributes))


def _source_keys(names: Iterable[str]) -> Iterator[bytes]:
    todo, keys = list(names), dict[str, bytes]()
    while todo:
        name = todo.pop()
        spec = None if name in keys else _find_spec(name)
        if spec is None or spec.origin is None or _is_library_file(spec.origin):
            continue
        if spec.origin in ("built-in", "frozen") or is_library(name):
            continue
        content = Path(spec.origin).read_bytes()
        if not spec.origin.endswith(".py"):
            keys[name] = encode_bytes(hashlib.sha256(content).digest())
            continue
        code = normalise(compile(content, "module", "exec", dont_inherit=True))
        keys[name] = code.key
        package = name if spec.submodule_search_locations else name.rpartition(".")[0]
        todo += _absolute_imports(code, package)
    for name in sorted(keys):
        yield encode_str(name) + keys[name]


def _find_spec(name: str) -> importlib.machinery.ModuleSpec | None:
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
        if count == 1 and spec.origin is not None and _is_library_file(spec.origin):
            return None
        path = spec.submodule_search_locations
        if path is None and count < len(parts):
            return None
    return spec


def encode_class(walk: Walker, cls: type) -> bytes:
    """Key one of the user's classes by its bases and everything in its body."""
    parts = [encode_str(cls.__name__), walk.child(" -> metaclass", type(cls))]
    parts += [walk.child(f" -> base {base.__name__}", base) for base in cls.__bases__]
    if issubclass(cls, enum.Enum):
        for name, member in sorted(cls.__members__.items()):
            label = f" -> member '{name}'"
            parts += encode_str(name), walk.child(label, member.value)
    for name, value in sorted(_namespace(cls)):
        parts += encode_str(name), walk.child(f" -> attribute '{name}'", value)
    return node(b"class", parts)


def _namespace(cls: type) -> Iterator[tuple[str, object]]:
    is_enum = issubclass(cls, enum.Enum)
    for name, value in vars(cls).items():
        if name in _CLASS_NOISE or isinstance(
            value, types.GetSetDescriptorType | types.MemberDescriptorType
        ):
            continue
        # scikit-learn's set_fit_request and the like follow from the signatures.
        if type(value).__name__ == "RequestMethod":
            continue
        # The enum module's own bookkeeping, and the members that stand above.
        own = not (name.startswith("_") and name.endswith("_"))
        if is_enum and (
            not (own or isinstance(value, types.FunctionType))
            or name in cls.__members__  # type: ignore[attr-defined]
        ):
            continue
        yield name, value


def class_name(cls: type) -> bytes:
    """Encode a class by name; the user's without the module, which may be a script."""
    if is_library(cls.__module__):
        return named(b"library", cls.__module__, cls.__qualname__)
    return named(b"user", None, cls.__qualname__.rpartition(".")[2])
