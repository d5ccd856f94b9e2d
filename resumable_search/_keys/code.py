"""Keys of functions and classes: a library's by name, the user's own by what they do.

The user's code is keyed by its bytecode (see `normalise`) and by what that bytecode
reads: defaults, captured variables, globals, attributes of the user's modules, and the
source of modules it imports when it runs.
"""

import contextlib
import enum
import os
import sys
import types
from collections.abc import Iterator
from typing import Any

from .bytecode import Code, normalise
from .declared_parts import (
    READS_ANNOTATIONS,
    encode_annotations,
    encode_enum_body,
    encode_registrations,
    metadata,
)
from .encoding import encode_str, node
from .environment import encode_environment, reads_environment
from .fields import encode_held, encode_held_member
from .generated import lasting_namespace
from .library_code import (
    is_library,
    is_library_scope,
    library_class,
    package_of,
    resolves,
)
from .modules import (
    MODULE_NOISE,
    encode_imports,
    encode_module_use,
    warn_of_unseen,
)
from .python import Keywords
from .summaries import summarize
from .walk import Unkeyable, Walk

# What the interpreter, sklearn and dataclasses add to a class, or what cannot
# matter for a score. A dataclass's fields are in its generated __init__.
_CLASS_NOISE = frozenset(
    """__module__ __doc__ __dict__ __weakref__ __qualname__ __firstlineno__
    __static_attributes__ __annotations__ __annotate__ __annotate_func__
    __annotations_cache__ __abstractmethods__ __slotnames__ _abc_impl __orig_bases__
    __parameters__ __type_params__ __dataclass_fields__ __dataclass_params__
    __match_args__ _sklearn_auto_wrap_output_keys""".split()  # noqa: SIM905 - a page of lines otherwise
)


# Libraries whose base classes and metaclasses do nothing with type hints.
_BLIND_TO_HINTS = frozenset(
    {
        *(sys.stdlib_module_names - {"typing"}),
        *("sklearn", "numpy", "scipy", "pandas", "keras", "tensorflow", "torch"),
        *("skorch", "scikeras", "resumable_search", "xgboost", "lightgbm", "catboost"),
    }
)


_OF_OS = (("environ", os.environ), ("getenv", os.getenv))


def encode_function(walk: Walk, function: types.FunctionType) -> bytes:
    """Key a function, with all that it captures and refers to."""
    library = is_library_scope(function.__globals__)
    if (
        library
        and is_library(function.__module__)
        and resolves(function.__module__, function.__qualname__, function)
    ):
        return walk.library(b"library", function.__module__, function.__qualname__)
    if library and hasattr(function, "registry") and hasattr(function, "dispatch"):
        return node(b"singledispatch", (walk.child("", Keywords(function.registry)),))
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
        parts.append(encode_str(name))
        if isinstance(value, types.ModuleType):
            parts.append(encode_module_use(walk, value, _tails(code, name)))
        else:
            label = f" -> closure variable '{name}'"
            parts.append(encode_held(walk, label, value, _tails(code, name)))
    for name, value in sorted(vars(function).items()):
        parts += encode_str(name), walk.child(f" -> attribute '{name}'", value)
    if not library:
        parts += _encode_globals(walk, code, function.__globals__)
        names = code.globals | code.attributes
        parts += encode_annotations(walk, names, function.__globals__, code.globals)
        where = f"The function {function.__qualname__}"
        warn_of_unseen(where, _unseen(code, function), function.__module__ or "")
    return node(b"function", parts)


def _encode_globals(walk: Walk, code: Code, scope: dict[str, Any]) -> Iterator[bytes]:
    place = str(scope.get("__name__") or "")
    for name in sorted(_names(code, scope) - MODULE_NOISE):
        if name not in scope:
            continue  # a builtin, or not defined
        yield encode_str(name)
        if isinstance(scope[name], types.ModuleType):
            yield walk.use(place, name, scope[name])
            yield encode_module_use(walk, scope[name], _tails(code, name))
        elif place == "__main__":
            label = f" -> global '{name}'"
            yield encode_held(walk, label, scope[name], _tails(code, name))
        else:
            tails, label = _tails(code, name), f" -> global '{name}'"
            yield encode_held_member(walk, place, name, label, scope[name], tails)
    if reads_environment(code, (scope.get(name) for name in code.globals)):
        yield encode_environment(code)
    yield encode_imports(walk, code, str(scope.get("__package__") or ""))


def _names(code: Code, scope: dict[str, Any]) -> frozenset[str]:
    """Return the globals that code reads, also by a text that is in it."""
    by_text = code.globals & {"globals", "eval", "exec"} - scope.keys()
    if not by_text:
        return code.globals
    texts = {text for text in code.texts if text.isidentifier()}
    if by_text & {"eval", "exec"}:
        for text in code.texts:
            with contextlib.suppress(SyntaxError, ValueError):
                texts |= normalise(compile(text, "text", "exec")).globals
    return code.globals | texts


def _unseen(code: Code, function: types.FunctionType) -> frozenset[str]:
    # A function of the user's may have the name of a builtin, or of one in "os".
    scope = function.__globals__
    own = {f"os.{name}" for name, real in _OF_OS if scope.get(name, real) is not real}
    return code.unseen - scope.keys() - own | (code.unseen & {"import_module"})


def _tails(code: Code, name: str) -> set[tuple[str, ...]]:
    """Return what follows a name in code, () where it is used by itself."""
    return {chain[1:] for chain in code.chains if chain[0] == name} or {()}


def encode_class(walk: Walk, cls: type) -> bytes:
    """Key one of the user's classes by its bases and everything in its body."""
    parts = [encode_str(cls.__name__), walk.child(" -> metaclass", type(cls))]
    parts += [walk.child(f" -> base {base.__name__}", base) for base in cls.__bases__]
    if issubclass(cls, enum.Enum):
        parts += encode_enum_body(walk, cls)
    if described := metadata(cls):
        parts.append(walk.child(" -> metadata of its fields", described))
    parts += encode_registrations(walk, cls)
    if _may_read_hints(cls):
        parts += _hints(walk, cls)
    for name, value in sorted(_namespace(cls)):
        label, place = f" -> attribute '{name}'", f"{cls.__qualname__}.{name}"
        parts += encode_str(name), walk.member(cls.__module__, place, label, value)
    return node(b"class", parts)


def _may_read_hints(cls: type) -> bool:
    """Return whether a class, or what a library has made of it, may read its hints."""
    if package_of(type(cls)) not in _BLIND_TO_HINTS and type(cls) is not type:
        return True
    for base in cls.__mro__:
        if library_class(base) is not None:
            if package_of(base) not in _BLIND_TO_HINTS:
                return True
            continue
        for value in vars(base).values():
            function = getattr(value, "__func__", getattr(value, "fget", value))
            if isinstance(function, types.FunctionType):
                code = normalise(function.__code__)
                if (code.globals | code.attributes) & READS_ANNOTATIONS:
                    return True
    return False


def _hints(walk: Walk, cls: type) -> Iterator[bytes]:
    hints = vars(cls).get("__annotations__")
    for name, hint in (hints or {}).items():
        yield encode_str(name)
        n_numbered = walk.n_numbered()
        try:
            yield walk.encode(hint)
        except Unkeyable:  # a type variable, say
            walk.forget_numbers(n_numbered)
            yield encode_str(summarize(hint))


def _namespace(cls: type) -> Iterator[tuple[str, object]]:
    is_enum = issubclass(cls, enum.Enum)
    for name, value in lasting_namespace(cls):
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
