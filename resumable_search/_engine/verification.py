"""A worker makes sure that it runs what its parent has keyed.

The user's modules travel by name: a worker imports them from their files. There they
may say something else than in the parent, because a file was edited or because the
script has set a value in a module. So the parent sends a trace of what runs (see
`_keys.trace`), with the values that can travel. The worker compares it, name by name,
with what it has imported:

- what can travel and differs is set to the value from the parent;
- what else differs in a worker that has run folds is left to a new worker, which
  imports the files of now;
- what differs in a new worker is an error, and nothing is stored.

That happens once per worker and search. After it, the values that a fold can have
changed are looked at before each fold, and put back.
"""

import contextlib
import importlib
import sys
import warnings
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np

from .._exceptions import UnseenDependencyWarning
from .._keys.bytecode import Code, noted, take_over
from .._keys.encoding import ATOMS
from .._keys.library_code import is_library
from .._keys.trace import (
    Place,
    Trace,
    does_the_same,
    file_digest,
    is_constant,
    look_up,
    movable,
    part_at,
    put,
    trace,
)
from .pickling import dumps
from .shipping import Workspace, load

__all__ = ["ExpectedCode", "ImportedFiles", "OtherCodeError", "Verification", "expect"]


class ExpectedCode(NamedTuple):
    """What a worker is to find in the modules that it imports.

    Attributes
    ----------
    trace : Trace
        What the parent has.
    values_path : str or None
        File with the values that can travel, by place.
    codes : dict of bytes to Code
        The code in the trace; see `take_over`.
    """

    trace: Trace
    values_path: str | None
    codes: dict[bytes, Code]


#: ``"stale"``: another worker may do.
Verdict = Literal["stale", "differs"]

_MOST_NAMED = 3

# Bytes of an array from which on it is compared with a copy.
_LARGE = 2**20


class OtherCodeError(Exception):
    """A worker would run other code than its parent has keyed.

    Parameters
    ----------
    verdict : Verdict
        Whether another worker may do.
    text : str
        What differs.
    """

    def __init__(self, verdict: Verdict, text: str) -> None:
        super().__init__(verdict, text)
        self.verdict = verdict
        self.text = text


def expect(
    cloned: Iterable[object],
    whole: Iterable[object],
    workspace: Workspace,
    known: ExpectedCode | None = None,
) -> ExpectedCode:
    """Trace what workers are going to run.

    Parameters
    ----------
    cloned, whole : iterables of object
        What travels to the workers; see `trace`.
    workspace : Workspace
        For values that stand in modules.
    known : ExpectedCode or None
        Of what they run besides, to be left out.
    """
    with noted() as codes:
        parts, sources = trace(cloned, whole)
    if known is not None:
        parts = {p: part for p, part in parts.items() if p not in known.trace.parts}
        there = known.trace.sources
        sources = {name: s for name, s in sources.items() if name not in there}
        codes = {digest: c for digest, c in codes.items() if digest not in known.codes}
    moving = _picklable(movable(parts))
    path = workspace.put(moving) if moving else None
    return ExpectedCode(Trace(parts, sources), path, codes)


def _picklable(values: dict[Place, Any]) -> dict[Place, Any]:
    if _can_be_pickled(values):
        return values
    return {place: value for place, value in values.items() if _can_be_pickled(value)}


def _can_be_pickled(value: object) -> bool:
    try:
        dumps(value, lambda _buffer: None)
    except Exception:
        return False
    return True


class ImportedFiles:
    """The files of the user's modules, as they were when a worker imported them."""

    def __init__(self) -> None:
        # What a worker starts with is not the user's.
        self._names = set(sys.modules)
        self._libraries: set[str] = set()
        self._files: dict[str, tuple[str, bytes | None]] = {}
        #: Where a search has set a value of its parent's.
        self.set_by_searches: set[Place] = set()

    def note(self) -> None:
        """Note what has been imported since the last time."""
        for name in sys.modules.keys() - self._names:
            self._names.add(name)
            package = name.partition(".")[0]
            if package in self._libraries:
                continue
            if hasattr(sys.modules.get(package), "__file__") and is_library(package):
                self._libraries.add(package)
                continue
            file = getattr(sys.modules.get(name), "__file__", None)
            if isinstance(file, str) and not is_library(name):
                self._files[name] = file, file_digest(file)

    def of(self, module: str) -> tuple[str, bytes | None] | None:
        """Return a module's file and its digest; None if it is not imported."""
        return self._files.get(module)


class ArrayCopy:
    """The content of a large array, in a file that all workers map.

    Parameters
    ----------
    value : ndarray
        The array, as it is to be.
    copy : ndarray
        With the same bytes.
    """

    def __init__(self, value: Any, copy: Any) -> None:
        self._form = _form(value)
        self._content = _raw(copy)

    @staticmethod
    def is_for(value: object) -> bool:
        """Return whether a value is a large array of numbers, one after the other."""
        return (
            type(value) is np.ndarray
            and value.dtype.kind in "biufc"
            and value.flags.c_contiguous
            and value.nbytes >= _LARGE
        )

    def is_equal(self, value: Any) -> bool:
        """Return whether a value is as the array was, bit by bit."""
        if not (self.is_for(value) and _form(value) == self._form):
            return False
        content = _raw(value)
        return all(
            np.array_equal(content[at : at + _LARGE], self._content[at : at + _LARGE])
            for at in range(0, len(content), _LARGE)
        )


def _form(value: Any) -> tuple[Any, ...]:
    return value.dtype, value.shape, value.flags.writeable


def _raw(value: Any) -> Any:
    return value.reshape(-1).view(np.uint8)


class Verification:
    """The check of one worker for one search.

    Parameters
    ----------
    files : ImportedFiles
        Of the worker.
    is_new : bool
        Whether the worker has run no fold.
    """

    def __init__(self, files: ImportedFiles, *, is_new: bool) -> None:
        self._files = files
        self._is_new = is_new
        self._expected = Trace({}, {})
        self._values: dict[Place, str] = {}
        self._changeable: list[Place] = []
        self._constants: dict[Place, object] = {}
        self._absent: list[Place] = []
        # Objects that came from the parent. Those of a class or function that came
        # with its definition go with the other objects of the same fold.
        self._sent: list[Place] = []
        # Copies of large arrays: to compare is faster than to make a key.
        self._copies: dict[Place, ArrayCopy] = {}
        self._n_modules = 0
        self._has_begun = False

    def add(self, code: ExpectedCode) -> None:
        """Import and check what a search, or one candidate of it, is going to run.

        Raises
        ------
        OtherCodeError
            If there is something else here.
        """
        parts, sources = code.trace
        take_over(code.codes)
        new = [place for place in parts if place not in self._expected.parts]
        self._expected.parts.update({place: parts[place] for place in new})
        self._expected.sources.update(sources)
        if code.values_path is not None:
            self._values.update(dict.fromkeys(new, code.values_path))
        for module in dict.fromkeys(module for module, _ in new):
            # An error of the module comes where it is really needed.
            with contextlib.suppress(Exception):
                importlib.import_module(module)
        self._files.note()
        self._check(new)
        self._check_sources(sources)

    def begin_fold(self) -> None:
        """Put back what earlier folds have changed, before other objects are loaded."""
        self._is_new &= not self._has_begun
        self._has_begun = True
        self._set(self._sent)
        replaced = [p for p, v in self._constants.items() if look_up(p) is not v]
        self._settle([*self._changeable, *replaced])
        self._constants.update({place: look_up(place) for place in replaced})
        self._n_modules = len(sys.modules)

    def end_fold(self) -> None:
        """Check what the fold has imported."""
        if len(sys.modules) != self._n_modules:
            self._files.note()
            absent, self._absent = self._absent, []
            self._check(absent, may_set=False)
            self._check_sources(self._expected.sources)

    def _check(self, places: list[Place], *, may_set: bool = True) -> None:
        there = [place for place in places if place[0] in sys.modules]
        self._absent += [place for place in places if place[0] not in sys.modules]
        self._settle(there, may_set=may_set)
        for place in there:
            value = look_up(place)
            if place in self._sent:
                continue
            if is_constant(value):
                self._constants[place] = value
            else:
                self._changeable.append(place)
                self._keep_copy(place, value)

    def _keep_copy(self, place: Place, value: object) -> None:
        if place in self._values and ArrayCopy.is_for(value):
            copy = load(self._values[place]).get(place)
            if ArrayCopy.is_for(copy) and np.array_equal(_raw(copy), _raw(value)):
                self._copies[place] = ArrayCopy(value, copy)

    def _check_sources(self, sources: Iterable[str]) -> None:
        for module, name in self._files.set_by_searches - self._expected.parts.keys():
            # For another search; this one runs what the source says.
            if module in sources:
                self._refuse([f"'{module}.{name}' is what an earlier search has set"])
        for name in sources:
            known = self._files.of(name)
            if known is None:
                continue
            file, digest = known
            source = self._expected.sources[name]
            if digest is None or not does_the_same(file, digest, source):
                self._refuse([f"the file {file} of the module '{name}' is another one"])

    def _settle(self, places: list[Place], *, may_set: bool = True) -> None:
        different = self._different(places)
        if different and may_set:
            self._set(different)
            self._sent += [p for p in different if id(type(look_up(p))) not in ATOMS]
            different = self._different(places)
        if different:
            self._refuse([self._text(place) for place in different])

    def _refuse(self, texts: list[str]) -> NoReturn:
        verdict: Verdict = "differs" if self._is_new else "stale"
        if len(texts) > _MOST_NAMED:
            texts = [*texts[:_MOST_NAMED], f"{len(texts) - _MOST_NAMED} more"]
        raise OtherCodeError(verdict, "; ".join(texts))

    def _different(self, places: Iterable[Place]) -> list[Place]:
        parts = self._expected.parts
        with warnings.catch_warnings():
            # The parent has said it.
            warnings.simplefilter("ignore", UnseenDependencyWarning)
            return [
                p
                for p in places
                if parts[p].key
                and not (p in self._copies and self._copies[p].is_equal(look_up(p)))
                and part_at(p).key != parts[p].key
            ]

    def _set(self, places: list[Place]) -> None:
        for path in {self._values[place] for place in places if place in self._values}:
            # From one pickle, so that what they share stays shared.
            values = load(path)
            for place in places:
                if place in values:
                    self._files.set_by_searches.add(place)
                    with contextlib.suppress(AttributeError, TypeError):
                        put(place, values[place])

    def _text(self, place: Place) -> str:
        here, there = part_at(place).summary, self._expected.parts[place].summary
        file = getattr(sys.modules.get(place[0]), "__file__", None)
        where = f"'{'.'.join(place)}'" + (f" of {file}" if file else "")
        if here == there:
            return f"{where} ({here}) is another one"
        return f"{where} is {there} in this process and {here} in the worker"
