"""Keys across processes: what must not change a key, and what must.

Every script here runs in a fresh interpreter as ``__main__``, as a user's does.
"""

import argparse
import ast
import dis
import itertools
import json
import os
import subprocess
import tarfile
import types
import typing
from pathlib import Path

import pytest

from resumable_search._keys.bytecode import normalise
from tests.helpers import interpreters

PRELUDE = """
import json, sys
sys.path[:0] = {paths}
from resumable_search._keys.fingerprint import fingerprint
"""

SCRIPT = '''
import functools, math
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import FunctionTransformer

SCALE = 3
TABLE = {"a": 1, "b": 2}
NAMES = {"x", "y", "z"}

def helper(x):
    return x + SCALE

def log(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper

@log
def build(x, k=2, *, power=1):
    """Build."""
    if x and (k or power) or helper(x):
        return {name: TABLE.get(name, math.pi) for name in NAMES}
    a, b = x, k
    try:
        return [helper(i) * k for i in range(a) if i > 10_000]
    except (ValueError, KeyError) as error:
        raise RuntimeError("no") from error
    finally:
        b += 1

def even(n):
    return n == 0 or odd(n - 1)

def odd(n):
    return n != 0 and even(n - 1)

def generate(n):
    while True:
        with np.errstate(all="ignore"):
            value = yield n
            if value:
                break
            n += 1

async def wait(source):
    async for item in source:
        await item

def closure(threshold):
    return lambda value: value > threshold

def nested(x):
    """Nested."""
    class Inner:
        """Inner."""
        limit = 4
    def deeper(y):
        """Deeper."""
        return y * Inner.limit
    return deeper(x)

class Base(BaseEstimator):
    """Base."""
    factor = 2
    def score(self, X, y=None):
        return self.factor

class Model(ClassifierMixin, Base):
    """Model."""
    def __init__(self, alpha=1.0):
        self.alpha = alpha
    def fit(self, X, y, sample_weight=None):
        """Fit."""
        return super().fit(X, y)
    def transform(self, X):
        return helper(X)
    @property
    def shape(self):
        return 1
    @staticmethod
    def static():
        return 2

VALUES = {
    "function": build, "recursive": even, "generator": generate, "async": wait,
    "closure": closure(3), "nested": nested, "class": Model, "instance": Model(2.0),
    "method": Model().transform, "lambda": lambda x: x * SCALE,
    "transformer": FunctionTransformer(helper), "partial": functools.partial(build, 3),
    "set": NAMES, "cached": functools.lru_cache(helper),
}
'''

EPILOGUE = """
print(json.dumps({key: fingerprint(value) for key, value in VALUES.items()}))
"""


RUNNER = """
import runpy, sys
for path in sys.argv[1:]:
    runpy.run_path(path, run_name="__main__")
"""


def run_all(folder, scripts, seed="0"):
    """Run scripts one after the other, each as ``__main__``; give their keys."""
    paths = []
    for name, script in scripts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        root = str(Path(__file__).parents[2])
        path.write_text(PRELUDE.format(paths=[str(folder), root]) + script + EPILOGUE)
        paths.append(path)
    done = interpreters.run(
        ["-c", RUNNER, *paths],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def run(folder, script, seed="0"):
    return run_all(folder, {"script.py": script}, seed)[0]


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return run(tmp_path_factory.mktemp("first"), SCRIPT)


def without_docstrings(source):
    tree = ast.parse(source)
    for part in ast.walk(tree):
        body = getattr(part, "body", None)
        if (
            isinstance(body, list)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            del body[0]
    return ast.unparse(tree)


def one_value_per_line(source):
    """Break lines after commas and in conditions, inside brackets only."""
    lines = [
        line
        if line.startswith(("import ", "from ", "    a, b"))
        else line.replace("(", "(  # open\n\n").replace(", ", ",  # next\n  ")
        for line in source.splitlines()
    ]
    return "\n".join(lines) + "\n"


REFORMATTED = {
    "hash seed": lambda source: source,
    "blank lines and comments": lambda source: source.replace("\n\n", "\n\n\n# c\n\n"),
    "no comments or blank lines": lambda source: ast.unparse(ast.parse(source)),
    "no docstrings": without_docstrings,
    "other docstrings": lambda s: s.replace('."""', '. And more, on\n  two lines."""'),
    "indentation": lambda source: source.replace("    ", "  "),
    "one value per line": one_value_per_line,
    "parentheses": lambda source: (
        source.replace(
            "if x and (k or power) or helper(x):",
            "if (\n x\n and (\n  k\n  or power\n )\n or helper(\n  x\n )\n):",
        )
        .replace("return x + SCALE", "return (\n  x\n  +\n  SCALE\n )")
        .replace("a, b = x, k", "(\n  a,\n  b,\n ) = (\n  x,\n  k,\n )")
    ),
    "annotations": lambda source: source.replace(
        "def helper(x):", "def helper(x: int) -> int:"
    ),
}


@pytest.mark.parametrize("seed", ["1", "7"])
def test_key_survives_rewriting_and_moving_the_script(tmp_path, keys, seed):
    """A script moved and written down differently gives the keys it gave before."""
    scripts = {
        f"moved{number}/other.py": rewrite(SCRIPT)
        for number, rewrite in enumerate(REFORMATTED.values())
    }
    found = run_all(tmp_path, scripts, seed)
    different = {
        change: [key for key in keys if keys[key] != result[key]]
        for change, result in zip(REFORMATTED, found, strict=True)
        if result != keys
    }
    assert different == {}


CHANGES = {
    "global constant": ("SCALE = 3", "SCALE = 4", "function class lambda recursive-"),
    "helper's body": ("return x + SCALE", "return x - SCALE", "function transformer"),
    "operator": ("helper(i) * k", "helper(i) + k", "function partial"),
    "large constant": ("10_000", "10_001", "function"),
    "comparison": ("i > 10_000", "i >= 10_000", "function"),
    "condition": ("x and (k or power)", "x or (k and power)", "function"),
    "float constant of a module": ("math.pi", "math.e", "function"),
    "default": ("k=2", "k=3", "function"),
    "keyword default": ("power=1", "power=2", "function"),
    "added line": ("        b += 1", "        b += 1\n        b += 1", "function"),
    "exception": ("KeyError", "TypeError", "function"),
    "order of targets": ("a, b = x, k", "b, a = x, k", "function"),
    "loop": ("if value:", "if not value:", "generator"),
    "coroutine": ("await item", "await item()", "async"),
    "mutual recursion": ("n != 0", "n > 0", "recursive"),
    "closure value": ("closure(3)", "closure(4)", "closure"),
    "lambda in a closure": ("value > threshold", "value < threshold", "closure"),
    "inner class": ("limit = 4", "limit = 5", "nested"),
    "inner function": ("y * Inner", "y + Inner", "nested"),
    "base class": ("factor = 2", "factor = 3", "class instance method"),
    "method": ("return super().fit(X, y)", "return super().fit(y, X)", "class"),
    "property": ("return 1", "return 11", "class instance"),
    "static method": ("return 2", "return 22", "class instance"),
    "init default": ("alpha=1.0", "alpha=1.5", "class"),
    "parameter": ("Model(2.0)", "Model(2.5)", "instance class-"),
    "decorator": ("return function(*args", "return not function(*args", "function"),
    "value in a dict": ('"b": 2', '"b": 3', "function"),
    "set": ('"z"}', '"w"}', "function set"),
}


def test_key_changes_with_every_real_change(tmp_path, keys):
    """Each edit of code, constants, defaults or captured values shows in the keys."""
    unseen = []
    script, expected = [], []
    for number, (name, (old, new, affected)) in enumerate(CHANGES.items()):
        assert SCRIPT.count(old) >= 1, name
        # All variants in one process: each has a namespace of its own.
        script.append(
            f"scope = {{'__name__': '__main__'}}\n"
            f"exec(compile({SCRIPT.replace(old, new)!r}, 'v', 'exec'), scope)\n"
            f"VALUES |= {{('{number}', k): v for k, v in scope['VALUES'].items()}}\n"
        )
        expected.append((name, str(number), affected.split()))
    script = "VALUES = {}\n" + "".join(script)
    script += "VALUES = {'/'.join(k): v for k, v in VALUES.items()}\n"
    found = run(tmp_path, script)
    for name, number, affected in expected:
        for key in affected:
            same = found[f"{number}/{key.rstrip('-')}"] == keys[key.rstrip("-")]
            if same != key.endswith("-"):
                unseen.append((name, key))
    assert unseen == []


def test_key_sees_the_users_modules(tmp_path):
    """Helpers are seen through `import m`, `from m import f` and imports inside."""
    script = """
import helpers
from helpers import f
import package.sub
def through_module(x):
    return helpers.f(x)
def through_name(x):
    return f(x)
def through_package(x):
    return package.sub.f(x)
def inside(x):
    from helpers import f
    return f(x)
def inside_package(x):
    from package import later
    return later.f(x)
def unrelated(x):
    return helpers.other(x)
VALUES = {k: v for k, v in globals().items() if k in (
    "through_module", "through_name", "through_package", "inside", "inside_package",
    "unrelated")}
"""
    body = "LIMIT = {}\ndef f(x):\n    return x + LIMIT\ndef other(x):\n    return x\n"
    (tmp_path / "package").mkdir()
    found = []
    for limit in (1, 1, 2):
        note = f"# note {len(found)}\n" * len(found)
        for name in ("helpers", "package/sub", "package/later"):
            (tmp_path / f"{name}.py").write_text(note + body.format(limit))
        (tmp_path / "package" / "__init__.py").write_text("")
        found.append(run(tmp_path, script))
    first, again, changed = found
    assert first == again
    same = [key for key in first if first[key] == changed[key]]
    assert same == ["unrelated"]


def test_what_pip_has_put_elsewhere_counts_by_its_name(tmp_path):
    """As in site-packages, and unlike a package of one's own beside it."""
    script = """
def library(x):
    from installed.part import f
    return f(x)
def own(x):
    from beside import f
    return f(x)
VALUES = {k: v for k, v in globals().items() if k in ("library", "own")}
"""
    (tmp_path / "installed").mkdir()
    record = tmp_path / "installed-1.0.dist-info" / "RECORD"
    record.parent.mkdir()
    record.write_text("installed/__init__.py,,\ninstalled/part.py,,\n")
    found = []
    for number in (1, 2):
        for name in ("installed/part", "beside"):
            (tmp_path / f"{name}.py").write_text(f"def f(x):\n    return {number}\n")
        (tmp_path / "installed" / "__init__.py").write_text(f"n = {number}\n")
        found.append(run(tmp_path, script))
    assert found[0]["library"] == found[1]["library"]
    assert found[0]["own"] != found[1]["own"]


def relocated(source):
    """Compile with every expression on a line of its own, the worst formatting."""
    tree, lines = ast.parse(source), itertools.count(1)

    def visit(part):
        if hasattr(part, "lineno"):
            part.lineno = part.end_lineno = next(lines)
            part.col_offset, part.end_col_offset = 0, 1
        for inner in ast.iter_child_nodes(part):
            visit(inner)

    visit(tree)
    return compile(tree, "relocated", "exec")


def code_objects(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_objects(constant)


@pytest.mark.parametrize("module", [argparse, ast, dis, subprocess, tarfile, typing])
def test_bytecode_key_does_not_depend_on_line_numbers(module):
    """However code is spread over lines, its normalised bytecode is the same."""
    source = Path(module.__file__).read_text()
    plain = code_objects(compile(source, "plain", "exec"))
    different = [
        code.co_qualname
        for code, other in zip(plain, code_objects(relocated(source)), strict=True)
        if normalise(code).key != normalise(other).key
    ]
    assert different == []
