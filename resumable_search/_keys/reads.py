"""What bytecode reads from outside: imports, names with attributes, lookups by text."""

import dis
from collections.abc import Sequence
from typing import NamedTuple

Instruction = dis.Instruction

_LOADS_NAME = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_LOADS_CELL = {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR", "DELETE_ATTR"}
_STORES = ("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF")
_IMPORTERS = {"import_module", "__import__"}


class Import(NamedTuple):
    """One import.

    Attributes
    ----------
    level : int
        Number of dots before the name.
    name : str
        Name of the module.
    names : tuple of str
        What is imported from it.
    bound : tuple of (str, str)
        Names that the code gives to what it has imported, and what each of them is.
    """

    level: int
    name: str
    names: tuple[str, ...]
    bound: tuple[tuple[str, str], ...]


def imports_of(items: Sequence[Instruction]) -> frozenset[Import]:
    """Return what instructions import by a statement, or by a call with a text."""
    found = set()
    for position, item in enumerate(items):
        if item.opname == "IMPORT_NAME":
            found.add(_statement(items, position))
        elif _is_lookup(item, _IMPORTERS) or _is_sys_modules(items, position):
            name = _text(items, _after_get(items, position + 1))
            if name is not None:
                package = _text(items, position + 2) if name.startswith(".") else None
                bare = name.lstrip(".")
                level = len(name) - len(bare)
                if package is not None:  # relative to a package that is named too
                    parents = package.split(".")
                    kept = parents[: len(parents) - level + 1]
                    bare, level = ".".join([*kept, bare]), 0
                found.add(Import(level, bare, (), ()))
    return frozenset(found)


def _statement(items: Sequence[Instruction], position: int) -> Import:
    item = items[position]
    level = items[position - 2].argval if position > 1 else 0
    names = items[position - 1].argval if position else None
    bound = []
    following = position + 1
    if isinstance(names, tuple):
        while following < len(items) and items[following].opname == "IMPORT_FROM":
            dotted = f"{item.argval}.{items[following].argval}".lstrip(".")
            bound += [(name, dotted) for name in _stored(items, following + 1)]
            following += 2
    else:
        whole = item.argval.partition(".")[0]
        while following < len(items) and items[following].opname in (
            *("IMPORT_FROM", "SWAP", "POP_TOP"),
        ):
            whole = item.argval  # import a.b as c
            following += 1
        bound += [(name, whole) for name in _stored(items, following)]
    return Import(
        level if isinstance(level, int) else 0,
        item.argval,
        names if isinstance(names, tuple) else (),
        tuple(bound),
    )


def _stored(items: Sequence[Instruction], position: int) -> tuple[str, ...]:
    if position < len(items) and items[position].opname.startswith(_STORES):
        value = items[position].argval
        return (value[0] if isinstance(value, tuple) else value,)
    return ()


def absolute_name(level: int, name: str, package: str) -> str:
    """Return the full name of a module that is imported by a relative one.

    Parameters
    ----------
    level : int
        Number of dots before the name.
    name : str
        The name after them.
    package : str
        The package in which the import stands.
    """
    if not level:
        return name
    parents = package.split(".")
    return ".".join([*parents[: len(parents) - level + 1], name]).strip(".")


def chains_of(
    items: Sequence[Instruction], bound: set[str]
) -> frozenset[tuple[str, ...]]:
    """Return the names that are read, with the attributes that follow directly.

    Parameters
    ----------
    items : sequence of Instruction
        The instructions.
    bound : set of str
        Local names that hold what was imported. Other locals are left out.
    """
    found = set()
    for position, item in enumerate(items):
        for name in _loaded(item):
            if item.opname in _LOADS_NAME | _LOADS_CELL or name in bound:
                last = not isinstance(item.argval, tuple) or name == item.argval[-1]
                following = _attributes(items, position + 1) if last else ()
                found.add((name, *following))
    return frozenset(found)


def _loaded(item: Instruction) -> tuple[str, ...]:
    if item.opname in _LOADS_NAME | _LOADS_CELL:
        return (item.argval,)
    if "LOAD_FAST" not in item.opname:
        return ()
    if isinstance(item.argval, tuple):  # two in one
        half = len(item.opname) // 2
        parts = item.opname[:half], item.opname[half + 1 :]
        pairs = zip(parts, item.argval, strict=True)
        return tuple(name for part, name in pairs if part.startswith("LOAD"))
    return (item.argval,)


def _attributes(items: Sequence[Instruction], position: int) -> tuple[str, ...]:
    names = []
    while position < len(items) and items[position].opname in _ATTRIBUTES:
        names.append(items[position].argval)
        if items[position].opname not in ("LOAD_ATTR", "LOAD_METHOD"):
            break
        position += 1
    return tuple(names)


def unseen_of(items: Sequence[Instruction]) -> frozenset[str]:
    """Return what is called that finds a module or a name by a computed text."""
    found = set()
    for position, item in enumerate(items):
        if _is_variable_of_computed_name(items, position):
            found.add(f"os.{item.argval}")
        if _is_lookup(item, _IMPORTERS) or (
            item.opname in _LOADS_NAME and item.argval in ("eval", "exec")
        ):
            if not _is_called_with_text(items, position + 1):
                found.add(item.argval)
        elif _is_sys_modules(items, position):
            asked = items[position + 1 : position + 2]
            is_test = bool(asked) and asked[0].opname == "CONTAINS_OP"
            if not is_test and _text(items, _after_get(items, position + 1)) is None:
                found.add("sys.modules")
        elif item.opname in _LOADS_NAME and item.argval == "globals":
            after = position + 1
            while after < len(items) and items[after].opname in ("PRECALL", "CALL"):
                after += 1
            if _text(items, _after_get(items, after)) is None:
                found.add("globals")
    return frozenset(found)


def _is_variable_of_computed_name(items: Sequence[Instruction], position: int) -> bool:
    """Return whether an environment variable is read under a computed name."""
    item, following = items[position], position + 1
    if item.argval not in ("environ", "getenv") or not _is_of_os(items, position):
        return False
    if item.argval == "environ":
        method = _attributes(items[following : following + 1], 0)
        if method not in ((), ("get",)):
            return False
        if not method:
            user = _user(items, following)
            return _opname(items, user) == "BINARY_SUBSCR" and (
                user != following + 1 or _text(items, following) is None
            )
        following += 1
    if _opname(items, following) in ("PRECALL", "CALL"):
        return False
    if _text(items, following) is None:
        return True
    # With a jump before its end, the rest is an argument of its own as a rule.
    user_of_name = _opname(items, _user(items, following + 1))
    return user_of_name not in ("", "PRECALL", "KW_NAMES", "CALL", "CALL_KW")


def _is_of_os(items: Sequence[Instruction], position: int) -> bool:
    if items[position].opname in _LOADS_NAME | _LOADS_CELL:
        return True
    is_attribute = items[position].opname in ("LOAD_ATTR", "LOAD_METHOD")
    return is_attribute and position > 0 and items[position - 1].argval == "os"


def _user(items: Sequence[Instruction], position: int) -> int:
    """Return where the value is used that the instruction before has left.

    That is the end where a jump comes first.
    """
    count = 1  # of values, from that one on
    while position < len(items):
        if items[position].opcode in (*dis.hasjrel, *dis.hasjabs):
            return len(items)
        name, arg = items[position].opname, items[position].arg or 0
        if name in ("PRECALL", "CALL", "KW_NAMES"):
            change = 0 if name != "CALL" else -arg
        elif name in ("LOAD_METHOD", "LOAD_ATTR"):
            change = 0
        elif name == "LOAD_GLOBAL":
            change = 1
        else:
            has_arg = items[position].opcode >= dis.HAVE_ARGUMENT
            change = dis.stack_effect(
                items[position].opcode, arg if has_arg else None, jump=False
            )
        if change <= 0 and count + change < 2 and name not in ("PRECALL", "KW_NAMES"):
            return position  # it takes 1 - change values, and leaves one
        count += change
        position += 1
    return position


def _opname(items: Sequence[Instruction], position: int) -> str:
    return items[position].opname if position < len(items) else ""


def _after_get(items: Sequence[Instruction], position: int) -> int:
    """Step over the ``get`` of a dict."""
    return position + (_attributes(items[position : position + 1], 0) == ("get",))


def _is_called_with_text(items: Sequence[Instruction], position: int) -> bool:
    """Return whether all arguments of a call are constants, or tell where it stands."""
    first = _text(items, position) is not None
    while position < len(items) and (
        items[position].opname == "LOAD_CONST"
        or items[position].argval in ("__package__", "__name__")
    ):
        position += 1
    call = position < len(items) and items[position].opname
    return first and call in ("PRECALL", "CALL", "KW_NAMES", "CALL_KW")


def _is_lookup(item: Instruction, names: set[str]) -> bool:
    read = item.opname in _LOADS_NAME | _LOADS_CELL | {"LOAD_ATTR", "LOAD_METHOD"}
    return read and item.argval in names


def _is_sys_modules(items: Sequence[Instruction], position: int) -> bool:
    item = items[position]
    return (
        position > 0
        and item.opname in ("LOAD_ATTR", "LOAD_METHOD")
        and item.argval == "modules"
        and items[position - 1].argval == "sys"
    )


def _text(items: Sequence[Instruction], position: int) -> str | None:
    if position < len(items) and items[position].opname == "LOAD_CONST":
        value = items[position].argval
        return value if isinstance(value, str) else None
    return None
