"""Find what a script has changed in a module, compared with the module's source.

A module that a function imports when it runs counts by its source. If it is imported
already and the script has set a value in it (``config.EPOCHS = 30``), that value is
what runs.
"""

import ast
import dis
import hashlib
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .bytecode import normalise
from .reads import absolute_name

_UNKNOWN = object()


class _Declared(NamedTuple):
    """What a source says of the names in a module, or in a class of it."""

    constants: dict[str, object]
    functions: dict[str, bytes]
    classes: dict[str, "_Declared"]
    # What is imported: dots before the module, the module, the name in it.
    imports: dict[str, tuple[int, str, str | None]]
    names: frozenset[str] | None  # None: not known, as after "from m import *"


#: Digest of a module's source -> what it says.
_declared: dict[bytes, _Declared] = {}


def changed_values(
    source: bytes, module: types.ModuleType, same: Callable[[object, object], bool]
) -> Iterator[tuple[str, object]]:
    """Yield names and values in a module that are not what its source says.

    Parameters
    ----------
    source : bytes
        The module's source.
    module : module
        The module, imported.
    same : callable
        Says whether two values are equal in content.

    Yields
    ------
    name : str
        Of the value; ``"Class.attribute"`` for one in a class.
    value : object
        What is there now.
    """
    declared, scope = _read(source), vars(module)
    yield from _changes(declared, scope, same)
    for name, inner in declared.classes.items():
        value = scope.get(name)
        if isinstance(value, type):
            for attribute, held in _changes(inner, vars(value), same):
                yield f"{name}.{attribute}", held
    if declared.names is not None:
        for name in scope.keys() - declared.names:
            value = scope[name]
            if not name.startswith("__") and not isinstance(value, types.ModuleType):
                yield name, value


def computed_values(
    source: bytes, module: types.ModuleType, name: str | None
) -> Iterator[tuple[str, object]]:
    """Yield names and values in a module that its source does not tell.

    Parameters
    ----------
    source : bytes
        The module's source.
    module : module
        The module, imported.
    name : str or None
        Of a value; None for all of them.

    Yields
    ------
    name : str
        Of the value; ``"Class.attribute"`` for one in a class.
    value : object
        What is there now.
    """
    declared, scope = _read(source), vars(module)
    names = [name] if name is not None else sorted(scope)
    for found in names:
        value = scope.get(found, _UNKNOWN)
        if value is _UNKNOWN or _is_told(declared, found) or found.startswith("__"):
            continue
        if found in declared.classes and isinstance(value, type):
            inner = declared.classes[found]
            for attribute, held in sorted(
                vars(value).items(), key=lambda item: item[0]
            ):
                if attribute in (inner.names or ()) and not _is_told(inner, attribute):
                    yield f"{found}.{attribute}", held
        elif not _is_as_imported(declared, module, found, value):
            yield found, value


def _is_told(declared: _Declared, name: str) -> bool:
    """Return whether a source tells what stands under a name."""
    return name in declared.constants or name in declared.functions


def _is_as_imported(
    declared: _Declared, module: types.ModuleType, name: str, value: object
) -> bool:
    """Return whether an import in a module, or of one in it, leaves the value there."""
    if sys.modules.get(f"{module.__name__}.{name}") is value:
        return True
    if name not in declared.imports:
        return False
    level, base, attribute = declared.imports[name]
    base = absolute_name(level, base, str(module.__package__ or ""))
    found = sys.modules.get(base)
    if attribute is None:
        return found is value
    there = getattr(found, "__dict__", {}).get(attribute, _UNKNOWN)
    return there is value or sys.modules.get(f"{base}.{attribute}") is value


def _read(source: bytes) -> _Declared:
    digest = hashlib.sha256(source).digest()
    if digest not in _declared:
        tree = ast.parse(source)
        compiled = compile(tree, "module", "exec", dont_inherit=True)
        _declared[digest] = _declare(tree.body, compiled)
    return _declared[digest]


def _changes(
    declared: _Declared, scope: Any, same: Callable[[object, object], bool]
) -> Iterator[tuple[str, object]]:
    for name, constant in declared.constants.items():
        if name in scope and not same(constant, scope[name]):
            yield name, scope[name]
    for name, key in declared.functions.items():
        value = scope.get(name)
        function = getattr(value, "__func__", value)
        code = getattr(function, "__code__", None)
        if name in scope and (code is None or normalise(code).key != key):
            yield name, value


def _declare(body: list[ast.stmt], compiled: types.CodeType) -> _Declared:
    """List what a body sets once, and to what."""
    constants: dict[str, object] = {}
    functions: dict[str, bytes] = {}
    classes: dict[str, _Declared] = {}
    imports: dict[str, tuple[int, str, str | None]] = {}
    codes = [c for c in compiled.co_consts if isinstance(c, types.CodeType)]
    for statement in body:
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value:
            value = _constant(statement.value)
            for target in _targets(statement):
                # Set twice: which one is last needs a run.
                constants[target] = _UNKNOWN if target in constants else value
        elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            _declare_function(statement, codes, functions)
        elif isinstance(statement, ast.Import):
            for alias in statement.names:
                local = alias.asname or alias.name.partition(".")[0]
                whole = alias.name if alias.asname else local
                imports[local] = 0, whole, None
        elif isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                place = statement.level, statement.module or "", alias.name
                imports[alias.asname or alias.name] = place
        elif isinstance(statement, ast.ClassDef) and not statement.decorator_list:
            inner = [c for c in codes if c.co_name == statement.name]
            if len(inner) == 1:
                classes[statement.name] = _declare(statement.body, inner[0])
    stored = _stored(body)
    once = {name for name in stored if stored[name] == 1}
    return _Declared(
        {n: v for n, v in constants.items() if v is not _UNKNOWN and n in once},
        {n: v for n, v in functions.items() if n in once},
        {n: v for n, v in classes.items() if n in once},
        {n: v for n, v in imports.items() if n in once},
        None if "*" in stored else frozenset(stored),
    )


def _declare_function(
    statement: ast.FunctionDef | ast.AsyncFunctionDef,
    codes: list[types.CodeType],
    functions: dict[str, bytes],
) -> None:
    inner = [code for code in codes if code.co_name == statement.name]
    decorators = {
        d.id if isinstance(d, ast.Name) else "" for d in statement.decorator_list
    }
    if len(inner) == 1 and decorators <= {"staticmethod", "classmethod"}:
        functions[statement.name] = normalise(inner[0]).key


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[str]:
    targets = (
        statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    )
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _constant(expression: ast.expr) -> object:
    try:
        return ast.literal_eval(_Folded().visit(expression))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _UNKNOWN


class _Folded(ast.NodeTransformer):
    """Work out arithmetic with constants, such as ``60 * 60``, as the compiler does."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
            expression = ast.fix_missing_locations(ast.Expression(node))
            code = compile(expression, "constant", "eval")
            operations = {i.opname for i in dis.get_instructions(code)}
            if operations <= {"RESUME", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}:
                return ast.copy_location(ast.Constant(code.co_consts[-1]), node)
        return node


def _stored(body: list[ast.stmt]) -> dict[str, int]:
    """Count how often each name may be set, by any statement in a body."""
    counts: dict[str, int] = {}
    for statement in body:
        for part in ast.walk(statement):
            names: list[str | None] = []
            if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
                names = [part.id]
            elif isinstance(part, ast.Import | ast.ImportFrom):
                names = [(a.asname or a.name).partition(".")[0] for a in part.names]
            elif isinstance(
                part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            ) or (isinstance(part, ast.ExceptHandler) and part.name):
                names = [part.name]
            elif isinstance(part, ast.Global):
                names = list(part.names)
            for name in filter(None, names):
                counts[name] = counts.get(name, 0) + 1
    return counts
