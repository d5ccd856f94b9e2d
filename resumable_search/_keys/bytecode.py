"""Key bytecode by what it does, freed from all that says how it was written down.

Lines, comments, names of files and the places of constants do not count, nor in which
order the compiler laid the blocks out.
"""

import contextlib
import dis
import hashlib
import itertools
import marshal
import sys
import types
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .control_flow import Node, canonical
from .encoding import PYTHON_ATOMS, encode_str, node
from .reads import Import, chains_of, imports_of, unseen_of
from .rewritten import as_written

_NOISE = {"NOP", "CACHE", "EXTENDED_ARG", "RESUME", "NOT_TAKEN"}
# How a call finds its method depends on whether the module was compiled with the
# import of the name in it, as a script is and the cells of a notebook are not.
_NOISE.add("PUSH_NULL")
_JUMPS = {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"}
_JUMP_LABELS = {name.encode() + b" " for name in _JUMPS}
_ENDS = {"RETURN_VALUE", "RAISE_VARARGS", "RERAISE"}
# These cannot raise: whether a "try" covers them is left to the compiler's mood.
_SILENT = {"LOAD_CONST", "STORE_FAST", "COPY", "SWAP", "POP_TOP", "RETURN_VALUE"}
if sys.version_info >= (3, 12):  # before that it could be unbound
    _SILENT.add("LOAD_FAST")
_GLOBAL_READS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
# *args, **kwargs, generator, coroutine, iterable coroutine, async generator; the
# other flags say how the code was written (nested, with a docstring).
_FLAGS = 0x04 | 0x08 | 0x20 | 0x80 | 0x100 | 0x200
# What a class body or a module stores only to describe itself.
_BODY_NOISE = {
    *("__doc__", "__module__", "__qualname__"),
    *("__firstlineno__", "__static_attributes__"),
}

# By identity, and kept alive for that: in Python 3.11 code objects are equal when only
# their exception tables differ.
_normalised: dict[int, tuple[types.CodeType, "Code"]] = {}
_NORMALISED_LIMIT = 4096
# What another process has normalised, by digest.
_taken_over: dict[bytes, "Code"] = {}
# What is noted for other processes, by identity: one for each `noted` that is open, in
# whatever thread. Each may have what another one is after, too.
_open_notes: dict[int, dict[int, tuple[types.CodeType, "Code"]]] = {}


class Code(NamedTuple):
    """Bytecode without its layout, and what it reads from outside.

    Attributes
    ----------
    key : bytes
        What it does.
    globals : frozenset of str
        Names that it looks up.
    attributes : frozenset of str
        Names of all attributes that it mentions.
    imports : frozenset of Import
        What it imports.
    chains : frozenset of tuple of str
        Names that it reads, each with the attributes that follow directly, such as
        ``("settings", "POWER")``. A name alone is used in another way.
    texts : frozenset of str
        Texts in it.
    unseen : frozenset of str
        What it calls that could reach any module or name.
    """

    key: bytes
    globals: frozenset[str]
    attributes: frozenset[str]
    imports: frozenset[Import]
    chains: frozenset[tuple[str, ...]]
    texts: frozenset[str]
    unseen: frozenset[str]


class _Instruction(NamedTuple):
    label: bytes
    target: int | None  # where it jumps to
    falls: bool  # whether the next instruction may follow
    handler: tuple[int, int, bool] | None  # where an exception goes


def normalise(code: types.CodeType) -> Code:
    """Key bytecode by what it does, whatever lines, files and comments it has."""
    known = _normalised.get(id(code))
    if known is None:
        if len(_normalised) >= _NORMALISED_LIMIT:
            _normalised.clear()
        known = _normalised[id(code)] = (code, _taken_or_normalised(code))
    for notes in tuple(_open_notes.values()):
        notes[id(code)] = known
    return known[1]


def _taken_or_normalised(code: types.CodeType) -> Code:
    taken = _taken_over.get(_digest(code) or b"") if _taken_over else None
    return _normalise(as_written(code)) if taken is None else taken


def _digest(code: types.CodeType) -> bytes | None:
    """Return a digest of all that code consists of, None if it holds what has none."""
    try:
        # Later formats also say which objects are shared, which is chance.
        content = marshal.dumps(code, 2)
    except ValueError:
        return None
    # A constant of a type that only a program puts there may come out as another one.
    if marshal.loads(content) != code:  # noqa: S302 - written right here
        return None
    return hashlib.blake2b(content, digest_size=16).digest()


@contextlib.contextmanager
def noted() -> Iterator[dict[bytes, Code]]:
    """Note what is normalised in the context.

    Yields
    ------
    codes : dict of bytes to Code
        For `take_over` in another process of the same Python. Filled at the end.
    """
    codes: dict[bytes, Code] = {}
    notes: dict[int, tuple[types.CodeType, Code]] = {}
    _open_notes[id(notes)] = notes
    try:
        yield codes
    finally:
        del _open_notes[id(notes)]
    for code, normalised in notes.copy().values():
        digest = _digest(code)
        if digest is not None:
            codes[digest] = normalised


def take_over(codes: Mapping[bytes, Code]) -> None:
    """Use what another process of the same Python has normalised.

    To normalise a function takes about a millisecond, which each worker would spend
    on each function of the user's. Exactly the same code has the same normal form.
    """
    if len(_taken_over) + len(codes) > _NORMALISED_LIMIT:
        _taken_over.clear()
    _taken_over.update(codes)


def _normalise(code: types.CodeType) -> Code:
    items = [item for item in _instructions_of(code) if item.opname not in _NOISE]
    imports = imports_of(items)
    bound = {local for entry in imports for local, _dotted in entry.bound}
    items = _without_body_noise(items)
    named = [item for item in items if item.opcode in dis.hasname]
    reads = frozenset(item.argval for item in named if item.opname in _GLOBAL_READS)
    attributes = frozenset(
        item.argval for item in named if item.opname not in _GLOBAL_READS
    )
    inner = [normalise(c) for c in code.co_consts if isinstance(c, types.CodeType)]
    arguments = code.co_argcount + code.co_kwonlyargcount
    arguments += bool(code.co_flags & 0x04) + bool(code.co_flags & 0x08)
    head = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    key = node(
        b"code",
        itertools.chain(
            map(_constant, (*head, code.co_flags & _FLAGS)),
            map(encode_str, code.co_varnames[:arguments]),
            canonical(_successors(_instructions(items, code))),
        ),
    )
    return Code(
        key,
        reads.union(*(c.globals for c in inner)),
        attributes.union(*(c.attributes for c in inner)),
        imports.union(*(c.imports for c in inner)),
        chains_of(items, bound).union(*(c.chains for c in inner)),
        _texts(code.co_consts).union(*(c.texts for c in inner)),
        unseen_of(items).union(*(c.unseen for c in inner)),
    )


def _texts(constants: Iterable[object]) -> frozenset[str]:
    found = set[str]()
    for value in constants:
        if isinstance(value, str):
            found.add(value)
        elif isinstance(value, tuple | frozenset):
            found |= _texts(value)
    return frozenset(found)


def _instructions_of(code: types.CodeType) -> Iterator[dis.Instruction]:
    """Disassemble code, with the names of keyword arguments that `dis` leaves out."""
    for item in dis.get_instructions(code):
        if item.opname == "KW_NAMES" and item.arg is not None:
            yield item._replace(argval=code.co_consts[item.arg])
        else:
            yield item


def _constant(value: object) -> bytes:
    atom = PYTHON_ATOMS.get(id(type(value)))
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
        # Its second bit says whether "super" has arguments.
        low = (item.arg or 0) & 2 if item.opname == "LOAD_SUPER_ATTR" else 0
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
        name = "LOAD_ATTR" if item.opname == "LOAD_METHOD" else item.opname
        yield name, b"" if jump else _argument(item)


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


def _successors(program: list[_Instruction]) -> list[Node]:
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
