"""Edits of code: those that change what it does, and those that do not."""

from collections.abc import Iterator

from .programs import Pair, Program
from .values import IMPORTS

__all__ = ["all_edits"]

#: Name -> the code of ``read()`` before and after; the result differs.
_REAL = {
    "a constant": ("def read():\n    return 1\n", "def read():\n    return 2\n"),
    "the type of a constant": (
        "def read():\n    return isinstance(1, float)\n",
        "def read():\n    return isinstance(1.0, float)\n",
    ),
    "a constant True for 1": (
        "def read():\n    x = 1\n    return x is True\n",
        "def read():\n    x = True\n    return x is True\n",
    ),
    "a constant -0.0 for 0.0": (
        "def read():\n    return math.copysign(1, 0.0)\n",
        "def read():\n    return math.copysign(1, -0.0)\n",
    ),
    "inside a constant tuple": (
        "def read():\n    return max((1, (2, 3)[1]))\n",
        "def read():\n    return max((1, (2, 4)[1]))\n",
    ),
    "inside a constant set": (
        "def read(x='b'):\n    return x in {'a', 'b'}\n",
        "def read(x='b'):\n    return x in {'a', 'c'}\n",
    ),
    "a constant text for bytes": (
        "def read():\n    return isinstance('a', str)\n",
        "def read():\n    return isinstance(b'a', str)\n",
    ),
    "an operator": (
        "def read(x=3):\n    return x + 2\n",
        "def read(x=3):\n    return x - 2\n",
    ),
    "a comparison": (
        "def read(x=3):\n    return x < 3\n",
        "def read(x=3):\n    return x <= 3\n",
    ),
    "is for ==": (
        "def read(x=[]):\n    return x == []\n",
        "def read(x=[]):\n    return x is []\n",
    ),
    "not added": (
        "def read(x=1):\n    return 2 if x else 3\n",
        "def read(x=1):\n    return 2 if not x else 3\n",
    ),
    "an attribute's name": (
        "def read(x=1 + 2j):\n    return x.real\n",
        "def read(x=1 + 2j):\n    return x.imag\n",
    ),
    "a method's name": (
        "def read(x='aB'):\n    return ord(x.upper()[0])\n",
        "def read(x='aB'):\n    return ord(x.lower()[0])\n",
    ),
    "a library's function": (
        "def read():\n    return math.floor(1.5)\n",
        "def read():\n    return math.ceil(1.5)\n",
    ),
    "the import of a name": (
        "from math import floor as step\ndef read():\n    return step(1.5)\n",
        "from math import ceil as step\ndef read():\n    return step(1.5)\n",
    ),
    "the order of statements": (
        "def read():\n    x = 1\n    x += 1\n    x *= 3\n    return x\n",
        "def read():\n    x = 1\n    x *= 3\n    x += 1\n    return x\n",
    ),
    "the order of arguments": (
        "def f(a, b):\n    return a - b\ndef read():\n    return f(1, 2)\n",
        "def f(a, b):\n    return a - b\ndef read():\n    return f(2, 1)\n",
    ),
    "the name of an argument": (
        "def f(a=1, b=2):\n    return a - b\ndef read():\n    return f(a=5)\n",
        "def f(a=1, b=2):\n    return a - b\ndef read():\n    return f(b=5)\n",
    ),
    "a slice": (
        "def read(x=(1, 2, 3)):\n    return sum(x[1:])\n",
        "def read(x=(1, 2, 3)):\n    return sum(x[:1])\n",
    ),
    "the condition of a comprehension": (
        "def read():\n    return sum(x for x in range(9) if x % 2)\n",
        "def read():\n    return sum(x for x in range(9) if x % 3)\n",
    ),
    "a nested function": (
        "def read():\n    def f():\n        return 1\n    return f()\n",
        "def read():\n    def f():\n        return 2\n    return f()\n",
    ),
    "a helper's helper": (
        "def f():\n    return 1\ndef g():\n    return f()\n"
        "def read():\n    return g()\n",
        "def f():\n    return 2\ndef g():\n    return f()\n"
        "def read():\n    return g()\n",
    ),
    "a helper that hides a builtin": (
        "def read(x=(1, 2)):\n    return len(x)\n",
        "def len(x):\n    return 5\ndef read(x=(1, 2)):\n    return len(x)\n",
    ),
    "the exception that is caught": (
        "def read(x={}):\n    try:\n        return x['k']\n    except KeyError:\n"
        "        return 1\n    except Exception:\n        return 2\n",
        "def read(x={}):\n    try:\n        return x['k']\n    except TypeError:\n"
        "        return 1\n    except Exception:\n        return 2\n",
    ),
    "a loop's else": (
        "def read():\n    x = 0\n    for x in range(3):\n        pass\n"
        "    else:\n        x += 10\n    return x\n",
        "def read():\n    x = 0\n    for x in range(3):\n        pass\n"
        "    x += 20\n    return x\n",
    ),
    "where a loop stops": (
        "def read():\n    for x in range(9):\n        if x > 3:\n            break\n"
        "    return x\n",
        "def read():\n    for x in range(9):\n        if x > 3:\n            continue\n"
        "    return x\n",
    ),
    "a formatted text": (
        "def read(x=3.14159):\n    return f'{x:.2f}'\n",
        "def read(x=3.14159):\n    return f'{x:.3f}'\n",
    ),
    "the conversion of a formatted text": (
        "def read(x='a'):\n    return len(f'{x!s}')\n",
        "def read(x='a'):\n    return len(f'{x!r}')\n",
    ),
    "a case of match": (
        "def read(x=(1, 2)):\n    match x:\n        case (1, y):\n"
        "            return y\n        case _:\n            return 7\n",
        "def read(x=(1, 2)):\n    match x:\n        case (2, y):\n"
        "            return y\n        case _:\n            return 7\n",
    ),
    "a method of a base class": (
        "class A:\n    def f(self):\n        return 1\nclass B(A):\n    pass\n"
        "def read():\n    return B().f()\n",
        "class A:\n    def f(self):\n        return 2\nclass B(A):\n    pass\n"
        "def read():\n    return B().f()\n",
    ),
    "the order of base classes": (
        "class A:\n    k = 1\nclass B:\n    k = 2\nclass C(A, B):\n    pass\n"
        "def read():\n    return C.k\n",
        "class A:\n    k = 1\nclass B:\n    k = 2\nclass C(B, A):\n    pass\n"
        "def read():\n    return C.k\n",
    ),
    "a method that overrides": (
        "class A:\n    def f(self):\n        return 1\nclass B(A):\n    pass\n"
        "def read():\n    return B().f()\n",
        "class A:\n    def f(self):\n        return 1\nclass B(A):\n"
        "    def f(self):\n        return super().f() + 1\n"
        "def read():\n    return B().f()\n",
    ),
    "a decorator removed": (
        "def twice(f):\n    return lambda: f() * 2\n"
        "@twice\ndef read():\n    return 3\n",
        "def twice(f):\n    return lambda: f() * 2\ndef read():\n    return 3\n",
    ),
    "a decorator's code": (
        "def d(f):\n    return lambda: f() * 2\n@d\ndef read():\n    return 3\n",
        "def d(f):\n    return lambda: f() * 3\n@d\ndef read():\n    return 3\n",
    ),
    "a special method": (
        "class A:\n    def __len__(self):\n        return 1\n"
        "def read():\n    return len(A())\n",
        "class A:\n    def __len__(self):\n        return 2\n"
        "def read():\n    return len(A())\n",
    ),
    "a static method for a class method": (
        "class A:\n    @staticmethod\n    def f(*a):\n        return len(a)\n"
        "def read():\n    return A.f()\n",
        "class A:\n    @classmethod\n    def f(*a):\n        return len(a)\n"
        "def read():\n    return A.f()\n",
    ),
    "a dataclass option": (
        "@dataclasses.dataclass(order=False)\nclass A:\n    k: int = 1\n"
        "def read():\n    return hasattr(A, '__lt__') and A.__lt__ is not "
        "object.__lt__\n",
        "@dataclasses.dataclass(order=True)\nclass A:\n    k: int = 1\n"
        "def read():\n    return hasattr(A, '__lt__') and A.__lt__ is not "
        "object.__lt__\n",
    ),
    "the default of a dataclass": (
        "@dataclasses.dataclass\nclass A:\n    k: int = 1\n"
        "def read():\n    return A().k\n",
        "@dataclasses.dataclass\nclass A:\n    k: int = 2\n"
        "def read():\n    return A().k\n",
    ),
    "the order of enum members": (
        "class E(enum.Enum):\n    A = 1\n    B = 2\n"
        "def read():\n    return next(iter(E)).value\n",
        "class E(enum.Enum):\n    B = 2\n    A = 1\n"
        "def read():\n    return next(iter(E)).value\n",
    ),
    "a global that shadows a module's": (
        "K = 1\ndef read():\n    return K\n",
        "K = 1\ndef read(K=2):\n    return K\n",
    ),
    "global for local": (
        "K = 1\ndef read():\n    K = 3\n    def f():\n        return K\n"
        "    return f()\n",
        "K = 1\ndef read():\n    K = 3\n    def f():\n        global K\n"
        "        return K\n    return f()\n",
    ),
    "a starred argument": (
        "def f(*a):\n    return len(a)\ndef read(x=(1, 2, 3)):\n    return f(x)\n",
        "def f(*a):\n    return len(a)\ndef read(x=(1, 2, 3)):\n    return f(*x)\n",
    ),
    "and for or": (
        "def read(x=2, y=3):\n    return x and y\n",
        "def read(x=2, y=3):\n    return x or y\n",
    ),
    "in-place for a copy": (
        "def read():\n    x = y = [1]\n    x += [2]\n    return len(y)\n",
        "def read():\n    x = y = [1]\n    x = x + [2]\n    return len(y)\n",
    ),
    "a finally": (
        "def read():\n    x = [1]\n    try:\n        x.append(1)\n    finally:\n"
        "        x.append(1)\n    return len(x)\n",
        "def read():\n    x = [1]\n    try:\n        x.append(1)\n    finally:\n"
        "        x.pop()\n    return len(x)\n",
    ),
    "a generator's order": (
        "def f():\n    yield 1\n    yield 2\ndef read():\n    return next(f())\n",
        "def f():\n    yield 2\n    yield 1\ndef read():\n    return next(f())\n",
    ),
    "a lambda in a dict": (
        "F = dict(f=lambda: 1)\ndef read():\n    return F['f']()\n",
        "F = dict(f=lambda: 2)\ndef read():\n    return F['f']()\n",
    ),
}

#: Name -> the code of ``read()`` before and after; it does the same.
_BEFORE = """\
K = 1000
def helper(x):
    return x * 2
class A:
    k = 3
    def f(self):
        return helper(self.k)
def read():
    x = K
    y = A()
    return x + y.f()
"""
_EMPTY = {
    "line breaks": _BEFORE.replace("x + y.f()", "(\n        x\n        + y.f()\n    )"),
    "parentheses": _BEFORE.replace("return x * 2", "return (x) * (2)"),
    "comments": _BEFORE.replace(
        "    x = K", "    # Ten times ten times ten.\n    x = K"
    ),
    "a docstring of a function": _BEFORE.replace(
        "    return x * 2", '    """Double it."""\n    return x * 2'
    ),
    "a docstring of a class": _BEFORE.replace(
        "    k = 3", '    """Is A."""\n    k = 3'
    ),
    "type hints of arguments": _BEFORE.replace("(x):", "(x: int) -> int:"),
    "type hints of variables": _BEFORE.replace("    x = K", "    x: int = K"),
    "type hints of globals": _BEFORE.replace("K = 1000", "K: int = 1000"),
    "another way to write a number": _BEFORE.replace("1000", "1_000"),
    "what the compiler computes": _BEFORE.replace("x * 2", "x * (1 + 1)"),
    "pass": _BEFORE.replace("    x = K", "    pass\n    x = K"),
    "two statements on a line": _BEFORE.replace("    x = K\n    ", "    x = K; "),
    "the name of a function": _BEFORE.replace("helper", "doubled"),
    "another order of definitions": "class Later:\n    pass\n"
    + _BEFORE.replace("K = 1000\n", "")
    + "K = 1000\n",
    "a function that is not used": _BEFORE + "def unused():\n    return K\n",
    "a branch that never runs": _BEFORE.replace(
        "    x = K", "    if False:\n        x = 3\n    x = K"
    ),
    "__all__": _BEFORE + "__all__ = ['read', 'Probe']\n",
    "a string that is a statement": _BEFORE.replace(
        "    x = K", "    'Now'\n    x = K"
    ),
}

_PROBE = """\
class Probe(BaseEstimator):
    def fit(self, X, y=None):
        return self
    def score(self, X, y=None):
        return float(read())
"""


def _edits() -> Iterator[tuple[tuple[str, ...], str, str, bool]]:
    """Give kinds, both codes, and whether the folds are the same."""
    for name, (a, b) in _REAL.items():
        yield ("an edit", name), a, b, False
    for name, b in _EMPTY.items():
        yield ("an edit without effect", name), _BEFORE, b, True


def _edited(prefix: str, code: str, home: str) -> Program:
    """Put the code into a script, a module, or one that is imported in a function."""
    run = "\ndef program():\n    return dict(estimator=Probe(), grid={})\n"
    script = f"{prefix}_script.py"
    if home == "script":
        return Program(files={script: IMPORTS + code + _PROBE + run}, script=script)
    module = f"{prefix}_code"
    if home == "module":
        text = f"from {module} import Probe\n" + run
        files = {f"{module}.py": IMPORTS + code + _PROBE, script: text}
        return Program(files=files, script=script)
    inside = _PROBE.replace(
        "        return float",
        f"        from {module} import read\n        return float",
    )
    files = {f"{module}.py": IMPORTS + code, script: IMPORTS + inside + run}
    return Program(files=files, script=script)


def all_edits(first: int) -> Iterator[Pair]:
    """Give each edit in each place."""
    number = first
    for kind, a, b, reuse in _edits():
        for home in ("script", "module", "module imported in a function"):
            prefix = f"e{number:04}"
            number += 1
            yield Pair(
                kind=(*kind, f"in a {home}"),
                a=_edited(prefix, a, home),
                b=_edited(prefix, b, home),
                reuse=reuse,
                mode="session" if not reuse and number % 3 == 0 else "shared",
            )
