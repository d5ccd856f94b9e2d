"""Find the source of the user's modules, and say what it does, without importing it."""

import ast
import hashlib
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, NamedTuple

from .bytecode import Code, normalise
from .encoding import encode_bytes, node
from .library_code import is_library_file

#: By name of the module; None where there is none, or where it is a library's.
Specs = dict[str, ModuleSpec | None]

_PACKAGE = __name__.partition(".")[0]
_NOTHING = Code(b"", *(frozenset[Any]() for _ in range(6)))
_READ_ANNOTATIONS = frozenset(
    """__annotations__ __annotate__ get_annotations get_type_hints signature
    getfullargspec fields singledispatch singledispatchmethod register""".split()  # noqa: SIM905 - a page of lines otherwise
)
_PLAIN_DECORATORS = {"staticmethod", "classmethod", "property"}
#: Digest of a module's source -> what it does.
_codes: dict[bytes, Code] = {}


class Source(NamedTuple):
    """A module's source.

    Attributes
    ----------
    text : bytes
        The source. Empty where there is none to read.
    code : Code
        What it does.
    package : str
        What relative imports in it start from.
    """

    text: bytes
    code: Code
    package: str


def find_spec(name: str, known: Specs | None = None) -> ModuleSpec | None:
    """Find a module of the user's without importing it or its parents.

    Parameters
    ----------
    name : str
        Name of the module.
    known : Specs, default=None
        What was found before, to which this is added.
    """
    known = {} if known is None else known
    if name not in known:
        known[name] = _find_spec(name, known)
    return known[name]


def _find_spec(name: str, known: Specs) -> ModuleSpec | None:
    parent, _, _ = name.rpartition(".")
    path = None
    if parent:
        above = find_spec(parent, known)
        if above is None or above.submodule_search_locations is None:
            return None
        path = list(above.submodule_search_locations)
    elif (
        not name
        or name == "__main__"
        or name in sys.builtin_module_names
        or name == __name__.partition(".")[0]
    ):
        return None
    spec = _ask_finders(name, path)
    if spec is None or spec.origin in ("built-in", "frozen"):
        return None
    if spec.origin is not None and is_library_file(spec.origin):
        return None
    if spec.origin is None and spec.submodule_search_locations is not None:
        return _namespace(name, path)
    return spec


def _ask_finders(name: str, path: list[str] | None) -> ModuleSpec | None:
    """Ask as the import system does; packages in place may have a finder each."""
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        try:
            spec = find(name, path, None) if find is not None else None
        except (ImportError, ValueError, AttributeError, KeyError):
            spec = None
        if isinstance(spec, ModuleSpec):
            return spec
    return None


def _namespace(name: str, path: list[str] | None) -> ModuleSpec | None:
    """List the folders of a package without a file; its own list needs the parent."""
    last = name.rpartition(".")[2]
    places = [Path(place) / last for place in (sys.path if path is None else path)]
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(p) for p in places if p.is_dir()]
    return spec


def read(name: str, spec: ModuleSpec) -> Source | None:
    """Read a module's source as its loader does; None where there is nothing to run."""
    package = name if spec.submodule_search_locations else name.rpartition(".")[0]
    if spec.origin is None:
        return None
    loader: Any = spec.loader
    if spec.origin.endswith(".py"):
        get_data = getattr(loader, "get_data", None)
        content = (get_data or _read_file)(spec.origin)
        return Source(content, code_of(content), package)
    compiled = loader.get_code(name) if hasattr(loader, "get_code") else None
    if compiled is not None:
        return Source(b"", normalise(compiled), package)
    return Source(b"", _opaque(_read_file(spec.origin)), package)


def _read_file(path: str) -> bytes:
    return Path(path).read_bytes()


def _opaque(content: bytes) -> Code:
    digest = hashlib.sha256(content).digest()
    return _NOTHING._replace(key=node(b"file", (encode_bytes(digest),)))


def code_of(source: bytes) -> Code:
    """Return what a module does. Many functions may import the same ones.

    A file that cannot be compiled counts by its bytes: to import it is an error, and
    nobody has to import it.
    """
    digest = hashlib.sha256(source).digest()
    if digest not in _codes:
        try:
            tree = without_hints(ast.parse(source))
            compiled = compile(tree, "module", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError):
            _codes[digest] = _opaque(source)
        else:
            _codes[digest] = normalise(compiled)
    return _codes[digest]


def without_hints(tree: ast.Module) -> ast.Module:
    """Drop the type hints that no code in a module, nor a decorator, can read."""
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    names |= {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    if names & _READ_ANNOTATIONS:
        return tree
    stripped: ast.Module = ast.fix_missing_locations(_WithoutHints().visit(tree))
    return stripped


class _WithoutHints(ast.NodeTransformer):
    def visit_FunctionDef(self, node: Any) -> Any:
        self.generic_visit(node)
        if all(
            isinstance(decorator, ast.Name) and decorator.id in _PLAIN_DECORATORS
            for decorator in node.decorator_list
        ):
            node.returns = None
            arguments = node.args
            for argument in (
                *(arguments.posonlyargs + arguments.args + arguments.kwonlyargs),
                *(a for a in (arguments.vararg, arguments.kwarg) if a is not None),
            ):
                argument.annotation = None
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - as ast names it

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        # What a base, a metaclass or a decorator makes of hints is not known.
        if node.bases or node.keywords or node.decorator_list:
            return node
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return ast.Pass()
        return ast.Assign(targets=[node.target], value=node.value)
