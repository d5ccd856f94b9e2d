"""Values that a module computes, which the script may have set to others.

A module that a function imports when it runs counts by its source. What the source
computes is known from the source only as long as nobody sets another value, and nobody
can tell what the source would compute without running it. So where the module is
imported, what the code reads in it counts by value, unless the module was imported by a
fit: nothing has been set in it then, and the values of that time are the source's.
Otherwise the key of a search would change with its first refit.
"""

import contextlib
import sys
import types
from collections.abc import Iterator

from .encoding import encode_str, node
from .imports import Read
from .module_values import computed_values
from .sources import Specs, find_spec, read
from .walk import HandlerOf, Unkeyable, Walk

__all__ = ["encode_computed", "imports_noted"]

# By name of the module, its source; empty where there is none to read.
_Texts = dict[str, bytes]

# What was read in modules that were not imported when keys of this fit were made.
_awaited: set[Read] = set()
#: By module and name: the code of what a fit has found there after it had imported it.
_as_imported: dict[tuple[str, str], bytes] = {}


def encode_computed(walk: Walk, module: str, name: str | None) -> bytes:
    """Key what stands in a module under a name, where its source does not tell that.

    Parameters
    ----------
    walk : Walk
        The walk.
    module : str
        Name of the module.
    name : str or None
        Of the value; None for all that are in the module.
    """
    specs: Specs = walk.memo.setdefault("specs", {})
    if module not in sys.modules:
        if find_spec(module, specs) is not None:
            _awaited.add((module, name))
        return b""
    parts: list[bytes] = []
    texts: _Texts = walk.memo.setdefault("texts", {})
    for place, value in _values(module, name, specs, texts):
        code = _code_of(walk.fresh(), value)
        if code is None or code == _as_imported.get((module, place)):
            continue
        walk.module_values[module, place] = value
        label = f" -> global '{module}.{place}'"
        parts += encode_str(place), walk.member(module, place, label, value)
    return node(b"values", [encode_str(module), *parts]) if parts else b""


def _values(
    module: str, name: str | None, specs: Specs, texts: _Texts
) -> Iterator[tuple[str, object]]:
    found, spec = sys.modules.get(module), find_spec(module, specs)
    if not isinstance(found, types.ModuleType) or spec is None:
        return
    if getattr(found, "__file__", None) != spec.origin:
        return
    if module not in texts:
        source = read(module, spec)
        texts[module] = source.text if source is not None else b""
    if texts[module]:
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            yield from computed_values(texts[module], found, name)


def _code_of(walk: Walk, value: object) -> bytes | None:
    """Return what a value is encoded as by itself, None if it has no key."""
    try:
        return walk.finish(walk.encode(value))
    except Unkeyable:
        return None


@contextlib.contextmanager
def imports_noted(handler_of: HandlerOf) -> Iterator[None]:
    """Note what is in modules that are imported from here on, as of the end.

    Parameters
    ----------
    handler_of : HandlerOf
        Which handler encodes the values of which class.
    """
    outer = set(_awaited)
    _awaited.clear()
    try:
        yield
    finally:
        specs: Specs = {}
        texts: _Texts = {}
        for module, name in _awaited:
            for place, value in _values(module, name, specs, texts):
                code = _code_of(Walk(handler_of), value)
                if code is not None:
                    _as_imported[module, place] = code
        _awaited.clear()
        _awaited.update(outer)
