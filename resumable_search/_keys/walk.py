"""The walk over a value's structure, which makes one key of the keys of its parts.

Values are compared by content and not by identity, except inside what can refer to
itself (functions, the user's classes and instances): there the walk numbers what it
meets.
"""

import types
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from .encoding import ATOMS, encode_str, named, node
from .library_code import library_class
from .summaries import summarize

#: Encodes a value of the classes that it is for.
Handler = Callable[["Walk", Any], bytes]
#: By id: values, what they are encoded as, and the packages that they reach.
KnownParts = dict[int, tuple[object, bytes, set[str]]]
#: Gives the handler for a class, and whether its instances may hold themselves.
HandlerOf = Callable[[type], tuple[Handler, bool]]


class Unkeyable(Exception):  # noqa: N818 - becomes a FingerprintError at the top
    """A value without a key, and the way that led to it.

    Parameters
    ----------
    value : object
        The value.
    cause : str
        Why it has none.
    remedy : str, default=""
        What the user can do, where that is not what holds for most values.
    """

    def __init__(self, value: object, cause: str, remedy: str = "") -> None:
        super().__init__(cause)
        self.value = value
        self.remedy = remedy
        self.path: list[str] = []


class Walk:
    """One walk over one value.

    Parameters
    ----------
    handler_of : HandlerOf
        Which handler encodes the values of which class.
    known : KnownParts, default=None
        What earlier walks have encoded. The values must be the same still.

    Attributes
    ----------
    packages : set of str
        Top-level names of the libraries whose classes, functions or modules the walk
        has reached.
    module_values : dict of (str, str) to object
        By name of the module and of the attribute: what the walk has reached in the
        user's modules, or has found to be another than their source says.
    memo : dict of str to object
        What handlers want to look up only once in a walk.
    """

    #: Whether an object in a module counts by what code reads of it, or whole.
    reads_fields = True

    def __init__(self, handler_of: HandlerOf, known: KnownParts | None = None) -> None:
        self._handler_of = handler_of
        self._known = known or {}
        # By id; the objects are kept too, or their ids could be given away again.
        self._closed: dict[int, tuple[object, bytes]] = {}
        self._roots: dict[int, tuple[object, bytes]] = {}
        self._open: dict[int, int] = {}
        self._numbers: dict[int, tuple[object, int]] | None = None
        self._references = 0  # to a number; what holds one has no key of its own
        self._cycles = 0  # references to a value that is being walked
        self.packages: set[str] = set()
        self.module_values: dict[tuple[str, str], object] = {}
        self.memo: dict[str, Any] = {}
        # By what they are of: parts that count once for the whole walk.
        self._deferred: dict[Hashable, Callable[[Walk], bytes]] = {}

    def encode(self, value: object) -> bytes:
        """Encode a value."""
        atom = ATOMS.get(id(type(value)))
        if atom is not None:
            return atom(value)
        if self._numbers is None and id(value) in self._known:
            _, code, packages = self._known[id(value)]
            self.packages |= packages
            return code
        known = self._closed.get(id(value))
        if known is not None:
            return known[1]
        if id(value) in self._open:
            self._cycles += 1
            return b"^%d;" % (len(self._open) - self._open[id(value)])
        if isinstance(value, type):
            by_name = library_class(value)
            if by_name is not None:
                self.packages.add(value.__module__.partition(".")[0])
                return by_name
        handler, cyclic = self._handler_of(type(value))
        if cyclic:
            return self._encode_numbered(value, handler)
        before = (self._references, self._cycles)
        self._open[id(value)] = len(self._open)
        try:
            result = handler(self, value)
        finally:
            del self._open[id(value)]
        if before == (self._references, self._cycles):
            self._closed[id(value)] = (value, result)
        return result

    def _encode_numbered(self, value: object, handler: Handler) -> bytes:
        if self._numbers is not None:
            self._references += 1
            known = self._numbers.get(id(value))
            if known is not None:
                return b"@%d;" % known[1]
            self._numbers[id(value)] = (value, len(self._numbers))
            return handler(self, value)
        if id(value) in self._roots:
            return self._roots[id(value)][1]
        references, cycles = self._references, self._cycles
        self._numbers = {id(value): (value, 0)}
        try:
            result = handler(self, value)
        finally:
            self._numbers = None
        self._references = references
        if cycles == self._cycles:
            self._roots[id(value)] = (value, result)
        return result

    def handler_of(self, kind: type) -> Handler:
        """Return what encodes the instances of a class."""
        return self._handler_of(kind)[0]

    def fresh(self) -> "Walk":
        """Return a walk of the plain kind that has met nothing."""
        return Walk(self._handler_of)

    def n_numbered(self) -> int:
        """Return how many values the walk has numbered since its last root."""
        return len(self._numbers or ())

    def forget_numbers(self, n_kept: int) -> None:
        """Take back the numbers of what an attempt that failed has walked."""
        while self._numbers and len(self._numbers) > n_kept:
            self._numbers.popitem()

    def defer(self, of: Hashable, encode: Callable[["Walk"], bytes]) -> None:
        """Encode something that many values refer to, once, at the end of the walk.

        Parameters
        ----------
        of : hashable
            Tells what it is.
        encode : callable
            Encodes it. Also keeps it alive, so that no other object gets its id.
        """
        self._deferred.setdefault(of, encode)

    def finish(self, code: bytes) -> bytes:
        """Return the code of a value along with that of what it has deferred."""
        parts: dict[Hashable, bytes] = {}
        while len(parts) < len(self._deferred):
            for of, encode in list(self._deferred.items()):
                if of not in parts:
                    parts[of] = encode(self)
        return node(b"whole", [code, *sorted(parts.values())]) if parts else code

    def library(self, kind: bytes, module: str | None, qualname: str) -> bytes:
        """Encode what a library has by its name there."""
        self.packages.add((module or qualname).partition(".")[0])
        return named(kind, module, qualname)

    def child(
        self,
        label: str,
        value: object,
        encode: Callable[["Walk", Any], bytes] | None = None,
    ) -> bytes:
        """Encode a value that error messages call `label`."""
        try:
            return encode(self, value) if encode else self.encode(value)
        except Unkeyable as error:
            error.path.append(label)
            raise

    def member(
        self,
        module: str,  # noqa: ARG002 - for walks that verify
        name: str,  # noqa: ARG002 - likewise
        label: str,
        value: object,
    ) -> bytes:
        """Encode what a module, or a class in it, has under a name.

        Parameters
        ----------
        module : str
            Name of the module.
        name : str
            Of the value in the module, with that of the class before a dot.
        label : str
            What error messages call the value.
        value : object
            What is there.
        """
        return self.child(label, value)

    def reach(
        self,
        module: Any,
        name: str,
    ) -> None:
        """Note that pickle stores a value as what a module of the user's has."""

    def use(
        self,
        module: str,  # noqa: ARG002 - for walks that verify
        name: str,  # noqa: ARG002 - likewise
        value: types.ModuleType,  # noqa: ARG002 - likewise
    ) -> bytes:
        """Encode which module another one has under a name, where that counts.

        What code reads from it is encoded besides.

        Parameters
        ----------
        module : str
            Name of the module that has it.
        name : str
            Of the module in there.
        value : module
            What is there.
        """
        return b""

    def unordered(self, values: Iterable[object]) -> list[bytes]:
        """Encode each value on its own, so that no order shows in the result."""
        numbers, self._numbers = self._numbers, None
        try:
            return sorted(map(self.encode, values))
        finally:
            self._numbers = numbers

    def items(
        self,
        pairs: Iterable[tuple[Any, Any]],
        ordered: bool,
        encode: Callable[["Walk", Any], bytes] | None = None,
    ) -> list[bytes]:
        """Encode keys and values in turn, as they come or by key."""
        keyed = [(self.unordered((key,))[0], key, value) for key, value in pairs]
        if not ordered:
            keyed.sort(key=lambda entry: entry[0])
        return [
            part
            for code, key, value in keyed
            for part in (code, self._item(key, value, encode))
        ]

    def _item(
        self,
        key: object,
        value: object,
        encode: Callable[["Walk", Any], bytes] | None,
    ) -> bytes:
        atom = ATOMS.get(id(type(value)))
        return atom(value) if atom else self.child(f"[{summarize(key)}]", value, encode)

    def attributes(self, values: dict[str, Any]) -> list[bytes]:
        """Encode names and values in turn, by name."""
        parts: list[bytes] = []
        for name in sorted(values):
            parts += encode_str(name), self.child(f".{name}", values[name])
        return parts
