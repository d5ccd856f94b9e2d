"""Keys of functions and classes: a library's by name, the user's own by what they do.

The user's code is keyed by its bytecode (see `normalise`) and by what that bytecode
reads: defaults, captured variables, globals, attributes of the user's modules, and the
source of modules it imports when it runs.
"""

import enum
import types
from collections.abc import Iterator
from typing import Any

from .bytecode import Code, normalise
from .encoding import encode_str, node
from .library_code import is_library, is_library_scope, resolves
from .modules import encode_imports
from .python import Keywords
from .walk import Walk

# What the interpreter, sklearn and dataclasses add to a class, or what cannot
# matter for a score. A dataclass's fields are in its generated __init__.
_CLASS_NOISE = frozenset(
    """__module__ __doc__ __dict__ __weakref__ __qualname__ __firstlineno__
    __static_attributes__ __annotations__ __annotate__ __annotate_func__
    __annotations_cache__ __abstractmethods__ __slotnames__ _abc_impl __orig_bases__
    __parameters__ __type_params__ __dataclass_fields__ __dataclass_params__
    __match_args__ _sklearn_auto_wrap_output_keys""".split()  # noqa: SIM905 - a page of lines otherwise
)
_MODULE_NOISE = frozenset(
    """__name__ __file__ __doc__ __package__ __loader__ __spec__ __builtins__
    __cached__ __path__ __dict__""".split()  # noqa: SIM905 - likewise
)


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
        label = f" -> closure variable '{name}'"
        parts += encode_str(name), walk.child(label, value)
    for name, value in sorted(vars(function).items()):
        parts += encode_str(name), walk.child(f" -> attribute '{name}'", value)
    if not library:
        parts += _encode_globals(walk, code, function.__globals__)
    return node(b"function", parts)


def _encode_globals(walk: Walk, code: Code, scope: dict[str, Any]) -> Iterator[bytes]:
    place = str(scope.get("__name__") or "")
    for name in sorted(code.globals - _MODULE_NOISE):
        if name not in scope:
            continue  # a builtin, or not defined
        yield encode_str(name)
        if isinstance(scope[name], types.ModuleType):
            yield _encode_module_use(walk, scope[name], code.attributes, set())
        else:
            yield walk.member(place, name, f" -> global '{name}'", scope[name])
    yield encode_imports(code, str(scope.get("__package__") or ""))


def _encode_module_use(
    walk: Walk, module: types.ModuleType, attributes: frozenset[str], seen: set[int]
) -> bytes:
    """Key a module by name, and one of the user's by the attributes that code reads.

    Which module an attribute is read from is not known without running the code, so
    each module answers for every attribute name that the code mentions.
    """
    if is_library(module.__name__):
        return walk.library(b"module", None, module.__name__)
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
            label = f" -> global '{module.__name__}.{name}'"
            parts.append(walk.member(module.__name__, name, label, value))
    return node(b"usermodule", parts)


def encode_class(walk: Walk, cls: type) -> bytes:
    """Key one of the user's classes by its bases and everything in its body."""
    parts = [encode_str(cls.__name__), walk.child(" -> metaclass", type(cls))]
    parts += [walk.child(f" -> base {base.__name__}", base) for base in cls.__bases__]
    if issubclass(cls, enum.Enum):
        for name, member in sorted(cls.__members__.items()):
            label = f" -> member '{name}'"
            parts += encode_str(name), walk.child(label, member.value)
    for name, value in sorted(_namespace(cls)):
        label, place = f" -> attribute '{name}'", f"{cls.__qualname__}.{name}"
        parts += encode_str(name), walk.member(cls.__module__, place, label, value)
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
