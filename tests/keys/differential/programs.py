"""A program, a pair of them, and how one is put together."""

from dataclasses import dataclass, field
from typing import Any

from .carriers import Carrier
from .values import IMPORTS, Value

__all__ = ["REACHES", "SEATS", "Pair", "Program", "assemble"]


@dataclass(frozen=True, kw_only=True)
class Program:
    """Files, of which one is a script that defines ``program()``.

    Attributes
    ----------
    files : dict of str to str
        Path in the working folder -> content.
    script : str
        Path of the script. Its function ``program()`` returns a dict with
        ``estimator``, ``grid``, ``X``, ``y`` and what else the search gets.
    search : dict
        Parameters of the search that come from outside of the script.
    environment : dict of str to str
        Variables of the process.
    flags : tuple of str
        Of the interpreter.
    path : tuple of str
        Folders for ``PYTHONPATH``; ``{work}`` stands for the working folder.
    launch : {"exec", "script", "module"}
        How the script runs: in the process of the harness, or started by itself,
        by its path or with ``-m``.
    """

    files: dict[str, str]
    script: str
    search: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    launch: str = "exec"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two programs.

    Attributes
    ----------
    kind : tuple of str
        What the pair is about, most important first.
    a, b : Program
        The second runs on the checkpoint of the first.
    reuse : bool
        Whether B means what A means, so that no fold has to run.
    mode : {"shared", "session", "own"}
        How they run. "shared": in a process with other pairs' A, and in one with
        other pairs' B. "session": B also runs in A's process, as in a notebook
        whose files are edited. "own": each in a process of its own.
    """

    kind: tuple[str, ...]
    a: Program
    b: Program
    reuse: bool
    mode: str = "shared"

    @property
    def prefix(self) -> str:
        """Of the names of its modules."""
        return self.a.script.partition("_")[0] + "_"


#: How the value is reached from what the estimator has: code that defines ``reached``.
REACHES = {
    "directly": "reached = read\n",
    "by a function": "def reached():\n    return read()\n",
    "by a lambda": "reached = lambda: read()\n",
    "by a partial": "reached = functools.partial(read)\n",
    "by a list of steps": "STEPS = [read]\ndef reached():\n    return STEPS[0]()\n",
    "by a dict of functions": (
        "TABLE = dict(read=read)\ndef reached():\n    return TABLE['read']()\n"
    ),
    "by an object": (
        "class Reader:\n    def __init__(self, read):\n        self.read = read\n"
        "    def __call__(self):\n        return self.read()\nreached = Reader(read)\n"
    ),
    "by a method": (
        "class Reader:\n    def __init__(self, read):\n        self.read = read\n"
        "    def get(self):\n        return self.read()\nreached = Reader(read).get\n"
    ),
    "by a closure": (
        "def outer(read):\n    def inner():\n        return read()\n"
        "    return inner\nreached = outer(read)\n"
    ),
    "by a decorator": (
        "def decorate(function):\n    @functools.wraps(function)\n"
        "    def wrapped():\n        return read()\n    return wrapped\n"
        "@decorate\ndef reached():\n    return None\n"
    ),
    "by a default value": "def reached(read=read):\n    return read()\n",
    "by a static method": (
        "class Has:\n    get = staticmethod(read)\n"
        "def reached():\n    return Has.get()\n"
    ),
    "by a class attribute": (
        "class Has:\n    reads = [read]\n"
        "    def get(self):\n        return self.reads[0]()\n"
        "def reached():\n    return Has().get()\n"
    ),
}

_PROBE = """\
class Probe(BaseEstimator):
    def __init__(self, read=None):
        self.read = read
    def fit(self, X, y=None, read=None):
        self.read_ = read or self.read
        return self
    def predict(self, X):
        return np.zeros(len(X))
    def transform(self, X):
        return X
    def score(self, X, y=None):
        return score_of(self.read_())
"""
_NONE = "estimator=Probe(), grid=dict()"

#: What the estimator has of it: code of classes, and the arguments of the search.
SEATS = {
    "parameter": (_PROBE, "estimator=Probe(reached), grid=dict()"),
    "grid": (_PROBE, "estimator=Probe(), grid=dict(read=[reached])"),
    "parameter of a step": (
        _PROBE,
        "estimator=make_pipeline(StandardScaler(), Probe(reached)), grid=dict()",
    ),
    "grid of a step": (
        _PROBE,
        "estimator=make_pipeline(StandardScaler(), Probe()),"
        " grid=dict(probe__read=[reached])",
    ),
    "estimator in the grid": (
        _PROBE,
        "estimator=make_pipeline(None, Probe(int)), grid=dict(probe=[Probe(reached)])",
    ),
    "method": (
        _PROBE.replace("self.read_()", "reached()"),
        _NONE,
    ),
    "method of a base class": (
        _PROBE.replace("self.read_()", "reached()").replace("Probe", "Base")
        + "class Probe(Base):\n    pass\n",
        _NONE,
    ),
    "class attribute": (
        _PROBE.replace("self.read_()", "self.reads['read']()")
        + "    reads = dict(read=reached)\n",
        _NONE,
    ),
    "function of a transformer": (
        _PROBE.replace("self.read_()", "X.mean()").replace("score_of", "float")
        + "def shift(X):\n    return X * 0 + score_of(reached())\n",
        "estimator=make_pipeline(FunctionTransformer(shift), Probe()), grid=dict()",
    ),
    "argument of a transformer": (
        _PROBE.replace("self.read_()", "X.mean()").replace("score_of", "float")
        + "def shift(X, read):\n    return X * 0 + score_of(read())\n",
        "estimator=make_pipeline(FunctionTransformer(shift,"
        " kw_args=dict(read=reached)), Probe()), grid=dict()",
    ),
    "scorer function": (
        _PROBE + "def scorer(estimator, X, y):\n    return score_of(reached())\n",
        _NONE + ", scoring=scorer",
    ),
    "scorer object": (
        _PROBE + "class Scorer:\n    def __init__(self, read):\n"
        "        self.read = read\n    def __call__(self, estimator, X, y):\n"
        "        return score_of(self.read())\n",
        _NONE + ", scoring=Scorer(reached)",
    ),
    "scorers in a dict": (
        _PROBE + "def scorer(estimator, X, y):\n    return score_of(reached())\n",
        _NONE + ", scoring=dict(one=scorer)",
    ),
    "metric": (
        _PROBE + "def metric(y_true, y_pred):\n    return score_of(reached())\n",
        _NONE + ", scoring=make_scorer(metric)",
    ),
    "argument of a metric": (
        _PROBE + "def metric(y_true, y_pred, read):\n    return score_of(read())\n",
        _NONE + ", scoring=make_scorer(metric, read=reached)",
    ),
    "fit parameter": (
        _PROBE,
        _NONE + ", fit_params=dict(read=reached)",
    ),
    "metaclass": (
        "class Meta(type):\n    def __call__(cls, *args, **kwargs):\n"
        "        made = super().__call__(*args, **kwargs)\n"
        "        made.extra = score_of(reached())\n        return made\n"
        + _PROBE.replace("(BaseEstimator)", "(BaseEstimator, metaclass=Meta)").replace(
            "score_of(self.read_())", "self.extra"
        ),
        _NONE,
    ),
}


def assemble(
    prefix: str,
    carrier: Carrier,
    value: Value,
    *,
    expression: str,
    home: str,
    reach: str,
    seat: str,
) -> Program:
    """Put a program together.

    Parameters
    ----------
    prefix : str
        Of the names of its files, as no other program has it.
    carrier, value : Carrier, Value
        What it depends on.
    expression : str
        Of the value.
    home : {"script", "module"}
        Where its functions and classes are.
    reach, seat : str
        Keys of `REACHES` and `SEATS`.
    """

    def fill(text: str) -> str:
        return text.replace("{P}", expression).replace("{M}", prefix)

    classes, arguments = SEATS[seat]
    score = f"def score_of(v):\n    return float({value.score})\n"
    definitions = "\n".join([fill(carrier.code), REACHES[reach], score, classes])
    files = {
        fill(name).replace(".", "/") + ".py": IMPORTS + fill(source)
        for name, source in carrier.modules.items()
    }
    if home == "module":
        files[f"{prefix}_code.py"] = IMPORTS + definitions
        definitions = f"import {prefix}_code\nfrom {prefix}_code import *\n"
    script = f"{prefix}_script.py"
    files[script] = (
        IMPORTS
        + definitions
        + fill(carrier.main)
        + f"\ndef program():\n    return dict({arguments})\n"
    )
    return Program(files=files, script=script)
