"""Objects of which code reads single attributes: the others do not count."""

import argparse
import dataclasses
import types

import pytest

from resumable_search._keys.fingerprint import fingerprint


@dataclasses.dataclass
class Settings:
    rate: float = 0.1
    started: float = 0.0


@dataclasses.dataclass(frozen=True)
class Frozen:
    rate: float = 0.1
    started: float = 0.0


class Computed:
    """Reads one attribute where another one is asked for."""

    def __init__(self, rate=0.1, started=0.0):
        self.__dict__.update(rate=rate, started=started)

    @property
    def rate(self):
        return self.__dict__["started"]


class Stored:
    """Changes one attribute where another one is set."""

    def __init__(self, rate=0.1, started=0.0):
        self.__dict__.update(rate=rate, started=started)

    def __setattr__(self, name, value):
        self.__dict__.update(rate=self.started)


def key(code, **values):
    """Key the function `build` of a script with these globals."""
    scope = {"__name__": "__main__", **values}
    exec(code, scope)
    return fingerprint(scope["build"])


READS = "def build(X):\n    return X * ARGS.rate\n"
SETS = "def build(X):\n    ARGS.rate = X\n    return ARGS.rate\n"
KINDS = [argparse.Namespace, types.SimpleNamespace, Settings]


@pytest.mark.parametrize("kind", KINDS)
def test_an_attribute_that_is_not_read_does_not_count(kind):
    """A time stamp, or a setting of something else."""
    first = key(READS, ARGS=kind(rate=0.1, started=1.0))
    assert key(READS, ARGS=kind(rate=0.1, started=2.0)) == first
    assert key(READS, ARGS=kind(rate=0.2, started=1.0)) != first


@pytest.mark.parametrize("kind", KINDS)
def test_an_attribute_that_has_no_key_is_no_error_where_it_is_not_read(kind):
    """An open file, say."""
    with open(__file__) as file:  # noqa: PTH123
        with_file = key(READS, ARGS=kind(rate=0.1, started=file))
    assert with_file == key(READS, ARGS=kind(rate=0.1, started=None))


@pytest.mark.parametrize(
    "code",
    [
        "def build(X):\n    return ARGS.rate * len(vars(ARGS))\n",
        "def build(X):\n    return f'{ARGS}'\n",
        "def build(X):\n    return getattr(ARGS, 'rate')\n",
        "def build(X):\n    return ARGS.rate, [a for a in [ARGS]]\n",
        "def build(X):\n    return eval('ARGS.rate')\n",
        "def build(X):\n    return help(ARGS), ARGS.rate\n",
        "def build(X, args=ARGS):\n    return args.rate\n",
        "def build(X):\n    def inner():\n        return ARGS\n    return ARGS.rate\n",
    ],
)
def test_where_code_may_read_all_of_it_all_of_it_counts(code):
    """It is handed on, or used in another way than by a name of an attribute."""
    first = key(code, ARGS=Settings(started=1.0))
    assert key(code, ARGS=Settings(started=2.0)) != first


class Restored:
    """Is another one after it was sent to a worker."""

    def __init__(self, rate=0.1, started=0.0):
        self.rate, self.started = rate, started

    def __setstate__(self, state):
        self.rate = state["started"]


@pytest.mark.parametrize("kind", [Computed, Stored, Frozen, Restored])
def test_where_an_attribute_may_be_another_one_all_count(kind):
    """A property, or a class that says itself what setting or sending one does."""
    code = READS if kind is Restored else SETS
    first = key(code, ARGS=kind(started=1.0))
    assert key(code, ARGS=kind(started=2.0)) != first


def test_what_an_attribute_holds_counts_whole():
    """Whatever of it is read."""
    code = "def build(X):\n    return ARGS.model.rate\n"
    held = [types.SimpleNamespace(model=Settings(started=s)) for s in (1.0, 2.0)]
    assert key(code, ARGS=held[0]) != key(code, ARGS=held[1])


def test_each_function_counts_by_what_it_reads_itself():
    """Another function that it calls reads another attribute."""
    code = (
        "def helper():\n    return ARGS.started\n"
        "def build(X):\n    return helper() + ARGS.rate\n"
    )
    first = key(code, ARGS=Settings(started=1.0))
    assert key(code, ARGS=Settings(started=2.0)) != first


def test_a_closure_counts_by_what_it_reads():
    """The object that a factory was given, for each of its functions."""

    def make(settings):
        def build(X):
            return X * settings.rate

        return build

    first = fingerprint(make(Settings(started=1.0)))
    assert fingerprint(make(Settings(started=2.0))) == first
    assert fingerprint(make(Settings(rate=0.2))) != first
