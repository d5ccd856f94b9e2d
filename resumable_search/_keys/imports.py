"""Which modules code imports, and what it reads in them, by their full names."""

from collections.abc import Iterator

from .bytecode import Code
from .reads import Import, absolute_name
from .sources import Specs, find_spec, read

__all__ = ["Read", "absolute_imports", "reads_of"]

#: Name of a module, and of what code reads in it; None for anything.
Read = tuple[str, str | None]


def absolute_imports(
    code: Code, package: str, specs: Specs | None = None
) -> Iterator[str]:
    """Yield names of modules that code may import, and of the packages they are in.

    Parameters
    ----------
    code : Code
        The code.
    package : str
        What relative imports start from.
    specs : Specs, default=None
        What was found before.
    """
    specs = {} if specs is None else specs
    for entry in code.imports:
        base = absolute_name(entry.level, entry.name, package)
        yield from _with_parents(base)
        for name in entry.names:
            yield f"{base}.{name}"
            if name == "*" and _is_package(base, specs):
                # What the package lists in __all__ may be modules in it.
                source = read(base, specs[base])  # type: ignore[arg-type]
                texts = source.code.texts if source is not None else ()
                yield from (f"{base}.{text}" for text in texts if text.isidentifier())
        yield from _through_names(code, entry, package, specs)


def _through_names(
    code: Code, entry: Import, package: str, specs: Specs
) -> Iterator[str]:
    """Yield modules that are read as attributes of an imported package."""
    for local, dotted in entry.bound:
        whole = absolute_name(entry.level, dotted, package)
        if not _is_package(whole, specs):
            continue
        for chain in code.chains:
            if chain[0] != local:
                continue
            if len(chain) == 1:  # handed on: any attribute may be read from it
                yield from (f"{whole}.{name}" for name in code.attributes)
            for count in range(2, len(chain) + 1):
                yield ".".join([whole, *chain[1:count]])


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))


def _is_package(name: str, specs: Specs) -> bool:
    spec = find_spec(name, specs)
    return spec is not None and spec.submodule_search_locations is not None


def reads_of(code: Code, package: str, specs: Specs) -> Iterator[Read]:
    """Yield what code reads in the modules that it imports.

    Parameters
    ----------
    code : Code
        The code.
    package : str
        What relative imports start from.
    specs : Specs
        What was found before.
    """
    for entry in code.imports:
        base = absolute_name(entry.level, entry.name, package)
        for name in entry.names:
            if name == "*":
                yield from ((base, found) for found in code.globals)
            else:
                yield base, name
        if not (entry.names or entry.bound):  # by a call
            yield base, None
        for local, dotted in entry.bound:
            whole = absolute_name(entry.level, dotted, package)
            for chain in code.chains:
                if chain[0] == local:
                    yield from _along(whole, chain[1:], specs)


def _along(module: str, names: tuple[str, ...], specs: Specs) -> Iterator[Read]:
    """Yield what is read one after the other, as far as there are modules."""
    if find_spec(module, specs) is None:
        return
    if not names:
        yield module, None
    for name in names:
        yield module, name
        module = f"{module}.{name}"
        if find_spec(module, specs) is None:
            return
