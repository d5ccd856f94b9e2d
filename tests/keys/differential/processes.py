"""Pairs about the process: variables, flags, settings, libraries, modules of others."""

import itertools
from collections.abc import Iterator
from typing import Any

from .programs import Pair, Program
from .values import IMPORTS

__all__ = ["process_pairs"]

_PROBE = """\
class Probe(BaseEstimator):
    def fit(self, X, y=None):
        self.X_ = X
        return self
    def score(self, X, y=None):
        return float(read(X))
"""
_RUN = "\ndef program():\n    return dict(estimator=Probe(), grid={}{MORE})\n"


def _text(code: str, before: str = "", more: str = "") -> str:
    return (
        IMPORTS
        + "import os, warnings\n"
        + before
        + code
        + _PROBE
        + _RUN.replace("{MORE}", more)
    )


_PLAIN = "K = 3\ndef read(X):\n    assert K, 'no K'\n    return K + X.mean()\n"
_ENVIRON = "def read(X):\n    return os.environ.get('RATE', '1')\n"
_IN_MODULE = "import {M}_settings\ndef read(X):\n    return {M}_settings.RATE\n"
_INSIDE = "def read(X):\n    import {M}_settings\n    return {M}_settings.RATE\n"
_INSIDE_OF_PART = _INSIDE.replace(".RATE", ".part.RATE")
_DIVIDE = (
    "def read(X):\n    try:\n        return np.float64(1.0) / np.float64(X.sum() * 0)"
    " > 1\n    except FloatingPointError:\n        return 5\n"
)
_FINITE = (
    "from sklearn.utils import check_array\ndef read(X):\n    try:\n"
    "        check_array(X)\n    except ValueError:\n        return 1\n    return 2\n"
)
_WARNS = (
    "def read(X):\n    try:\n        warnings.warn('high', RuntimeWarning)\n"
    "    except RuntimeWarning:\n        return 1\n    return 2\n"
)
_NAN = ", X=np.full((6, 2), np.nan)"
_LIBRARY = "def rate():\n    return {RATE}\n"
_USES_LIBRARY = "from {M}_company import rate\ndef read(X):\n    return rate()\n"
_FINDER = """\
import importlib.machinery, importlib.util, pathlib, sys
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "{M}_company":
            here = pathlib.Path(__file__).parent.parent / "{M}_source"
            return importlib.util.spec_from_file_location(name, here / "company.py")
sys.meta_path.append(Finder)
"""


class _Makes:
    """Makes pairs with names of their own."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def __call__(
        self,
        name: str,
        a: str,
        b: str,
        reuse: bool,
        *,
        files_a: dict[str, str] | None = None,
        files_b: dict[str, str] | None = None,
        of_a: dict[str, Any] | None = None,
        of_b: dict[str, Any] | None = None,
        mode: str = "own",
    ) -> Pair:
        prefix = f"o{next(self._numbers):04}"

        def program(text: str, files: Any, options: Any) -> Program:
            named = {
                k.replace("{M}", prefix): v.replace("{M}", prefix)
                for k, v in {"{M}_script.py": text, **(files or {})}.items()
            }
            options = dict(options or {})
            if "path" in options:
                options["path"] = tuple(
                    p.replace("{M}", prefix) for p in options["path"]
                )
            return Program(files=named, script=f"{prefix}_script.py", **options)

        return Pair(
            kind=("process", name),
            a=program(a, files_a, of_a),
            b=program(b, files_b if files_b is not None else files_a, of_b),
            reuse=reuse,
            mode=mode,
        )


def _environment(make: _Makes) -> Iterator[Pair]:
    read = _text(_ENVIRON)
    two = {"environment": {"RATE": "2"}}
    yield make("a variable that is read", read, read, False, of_b=two)
    yield make(
        "a variable that is read, the same", read, read, True, of_a=two, of_b=two
    )
    plain = _text(_PLAIN)
    yield make("a variable that is not read", plain, plain, True, of_b=two)
    yield make(
        "a variable set by the script",
        _text(_ENVIRON, "os.environ['RATE'] = '2'\n"),
        _text(_ENVIRON, "os.environ['RATE'] = '3'\n"),
        False,
    )
    once = {"{M}_settings.py": "import os\nRATE = os.environ.get('RATE', '1')\n"}
    text = _text(_IN_MODULE)
    yield make(
        "a variable read by a module when it is imported",
        text,
        text,
        False,
        files_a=once,
        of_b=two,
    )
    yield make(
        "a variable set by the script, read by a module",
        _text(_IN_MODULE, "os.environ['RATE'] = '2'\n"),
        _text(_IN_MODULE, "os.environ['RATE'] = '3'\n"),
        False,
        files_a=once,
    )
    yield make(
        "an argument of the script set in a module",
        _text(_IN_MODULE, "import {M}_settings\n{M}_settings.RATE = 2\n"),
        _text(_IN_MODULE),
        False,
        files_a={"{M}_settings.py": "RATE = 1\n"},
    )
    yield make(
        "a value set in a module that computes it, imported in a function",
        _text(_INSIDE, "import {M}_settings\n{M}_settings.RATE = 2\n"),
        _text(_INSIDE, "import {M}_settings\n{M}_settings.RATE = 3\n"),
        False,
        files_a={"{M}_settings.py": "RATE = float('1')\n"},
    )
    yield make(
        "a value that a module computes, imported in a function",
        _text(_INSIDE, "import {M}_settings\n"),
        _text(_INSIDE, "import {M}_settings\n"),
        True,
        files_a={"{M}_settings.py": "RATE = float('1')\n"},
    )
    yield make(
        "another module set in a module that is imported in a function",
        _text(_INSIDE_OF_PART, "import {M}_settings, {M}_other\n"),
        _text(
            _INSIDE_OF_PART,
            "import {M}_settings, {M}_other\n{M}_settings.part = {M}_other\n",
        ),
        False,
        files_a={
            "{M}_settings.py": "import {M}_part as part\n",
            "{M}_part.py": "RATE = 1\n",
            "{M}_other.py": "RATE = 2\n",
        },
    )
    yield make(
        "a value set in a module, then written into its file",
        _text(_IN_MODULE, "import {M}_settings\n{M}_settings.RATE = 2\n"),
        _text(_IN_MODULE),
        True,
        files_a={"{M}_settings.py": "RATE = 1\n"},
        files_b={"{M}_settings.py": "RATE = 2\n"},
    )


def _settings(make: _Makes) -> Iterator[Pair]:
    yield make(
        "np.seterr",
        _text(_DIVIDE),
        _text(_DIVIDE, "np.seterr(divide='raise')\n"),
        False,
    )
    yield make(
        "np.seterr in a module that the script imports",
        _text(_DIVIDE),
        _text(_DIVIDE, "import {M}_settings\n"),
        False,
        files_a={"{M}_settings.py": "import numpy as np\nnp.seterr(divide='raise')\n"},
    )
    yield make(
        "assume_finite",
        _text(_FINITE, more=_NAN),
        _text(
            _FINITE, "import sklearn\nsklearn.set_config(assume_finite=True)\n", _NAN
        ),
        False,
    )
    yield make(
        "warnings as errors",
        _text(_WARNS, "warnings.simplefilter('ignore')\n"),
        _text(_WARNS, "warnings.simplefilter('error', RuntimeWarning)\n"),
        False,
    )
    yield make(
        "print options of numpy",
        _text("def read(X):\n    return len(repr(np.float64(1) / np.arange(3, 4)))\n"),
        _text(
            "def read(X):\n    return len(repr(np.float64(1) / np.arange(3, 4)))\n",
            "np.set_printoptions(precision=3)\n",
        ),
        False,
    )


def _flags(make: _Makes) -> Iterator[Pair]:
    plain = _text(_PLAIN)
    yield make("python -O", plain, plain, True, of_b={"flags": ("-O",)})
    yield make(
        "a script by its path, then with -m",
        plain,
        plain,
        True,
        of_a={"launch": "script"},
        of_b={"launch": "module"},
    )
    yield make(
        "a script, then run by another program",
        plain,
        plain,
        True,
        of_a={"launch": "script"},
    )
    yield make(
        "a debugger",
        plain,
        _text(_PLAIN, "sys.settrace(lambda *event: None)\n"),
        True,
    )
    yield make(
        "n_jobs",
        plain,
        plain,
        True,
        of_b={"search": {"n_jobs": 2}},
    )
    yield make(
        "a notebook turned into a script",
        plain,
        IMPORTS + "from {M}_code import Probe\n" + _RUN.replace("{MORE}", ""),
        True,
        files_b={"{M}_code.py": IMPORTS + _PLAIN + _PROBE},
        mode="shared",
    )


def _libraries(make: _Makes) -> Iterator[Pair]:
    def library(version: str, rate: int) -> dict[str, str]:
        info = "{M}_lib/site-packages/{M}_company-" + version + ".dist-info"
        return {
            "{M}_lib/site-packages/{M}_company/__init__.py": _LIBRARY.replace(
                "{RATE}", str(rate)
            ),
            f"{info}/METADATA": (
                "Metadata-Version: 2.1\nName: {M}_company\nVersion: " + version + "\n"
            ),
            f"{info}/RECORD": "{M}_company/__init__.py,,\n",
            f"{info}/top_level.txt": "{M}_company\n",
        }

    text = _text(_USES_LIBRARY)
    there = {"path": ("{work}/{M}_lib/site-packages",)}
    for name, version, rate in (
        ("a library's next major version", "2.0", 2),
        ("a library's next minor version", "1.1", 2),
        ("a library's patch release", "1.0.1", 1),
        ("a library that stays", "1.0", 1),
    ):
        yield make(
            name,
            text,
            text,
            rate == 1,
            files_a=library("1.0", 1),
            files_b=library(version, rate),
            of_a=there,
            of_b=there,
        )
    finder = {"{M}_site/sitecustomize.py": _FINDER}
    site = {"path": ("{work}/{M}_site",)}
    for name, rate in (("edited", 2), ("untouched", 1)):
        yield make(
            f"a package installed in place by a finder, {name}",
            text,
            text,
            rate == 1,
            files_a={
                **finder,
                "{M}_source/company.py": _LIBRARY.replace("{RATE}", "1"),
            },
            files_b={
                **finder,
                "{M}_source/company.py": _LIBRARY.replace("{RATE}", str(rate)),
            },
            of_a=site,
            of_b=site,
        )


def _modules(make: _Makes) -> Iterator[Pair]:
    inside = _text("def read(X):\n    import {M}_package\n    return {M}_package.K\n")
    package = {"{M}_package/__init__.py": "K = 1\n", "{M}_package/other.py": "J = 1\n"}
    yield make(
        "an unrelated module of a package imported in a function",
        inside,
        inside,
        True,
        mode="shared",
        files_a=package,
        files_b={**package, "{M}_package/other.py": "J = 2\n"},
    )
    yield make(
        "a half-written unrelated file in such a package",
        inside,
        inside,
        True,
        mode="shared",
        files_a=package,
        files_b={**package, "{M}_package/half.py": "def (:\n"},
    )
    like = _text(
        "def read(X):\n    from {M}_package import K\n    return K + X.mean()\n"
    )
    named = {**package, "{M}_package/mean.py": "J = 1\n"}
    yield make(
        "a module that has the name of an attribute",
        like,
        like,
        True,
        mode="shared",
        files_a=named,
        files_b={**named, "{M}_package/mean.py": "J = 2\n"},
    )
    namespace = {"{M}_space/part.py": "K = 1\n"}
    part = _text("def read(X):\n    from {M}_space import part\n    return part.K\n")
    yield make(
        "a namespace package",
        part,
        part,
        False,
        mode="shared",
        files_a=namespace,
        files_b={"{M}_space/part.py": "K = 2\n"},
    )
    stamp = "import time, types\nargs = types.SimpleNamespace(rate=2, begun={T})\n"
    uses = "def read(X):\n    return args.rate\n"
    yield make(
        "a time stamp in a settings object",
        _text(uses, stamp.replace("{T}", "1")),
        _text(uses, stamp.replace("{T}", "2")),
        True,
        mode="shared",
    )
    table = "def read(X):\n    return args['rate']\n"
    yield make(
        "another item of a settings dict",
        _text(table, "args = dict(rate=2, other=1)\n"),
        _text(table, "args = dict(rate=2, other=2)\n"),
        True,
        mode="shared",
    )
    cached = "@functools.lru_cache\ndef rate():\n    return 2\n"
    calls = "def read(X):\n    return rate()\n"
    library = {"{M}_code.py": "import functools\n" + cached}
    first = "from {M}_code import rate\n"
    yield make(
        "a cache that was filled before",
        _text(calls, first),
        _text(calls, first + "rate()\n"),
        True,
        mode="shared",
        files_a=library,
    )
    yield make(
        "an own estimator's base in a module",
        _text("from {M}_base import Base\ndef read(X):\n    return Base().k()\n"),
        _text("from {M}_base import Base\ndef read(X):\n    return Base().k()\n"),
        False,
        mode="session",
        files_a={"{M}_base.py": "class Base:\n    def k(self):\n        return 1\n"},
        files_b={"{M}_base.py": "class Base:\n    def k(self):\n        return 22\n"},
    )


def process_pairs() -> Iterator[Pair]:
    """Give the pairs of this module."""
    make = _Makes()
    for topic in (_environment, _settings, _flags, _libraries, _modules):
        yield from topic(make)
