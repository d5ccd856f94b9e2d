"""Environment variables that code reads by a text in it count by their value."""

import os
import os.path
from os import environ, getenv

import pytest

from resumable_search import UnseenDependencyWarning
from resumable_search._keys.fingerprint import fingerprint

from .programs import keys_of

kept = os.environ


def by_item(X):
    return X * float(os.environ["RATE"])


def by_get(X):
    return X * float(os.environ.get("RATE", "1"))


def by_getenv(X):
    return X * float(os.getenv("RATE", "1"))


def by_imported_names(X):
    return X * float(getenv("RATE", environ["RATE"]))


def by_a_name_for_it(X):
    return X * float(kept["RATE"])


def in_a_path(X):
    return X, os.path.expandvars("/data/${RATE}/words")


READERS = [by_item, by_get, by_getenv, by_imported_names, by_a_name_for_it, in_a_path]


@pytest.mark.parametrize("function", READERS, ids=lambda f: f.__name__)
def test_a_variable_that_is_read_counts(monkeypatch, function):
    """Another value is another key, and the value of before is the key of before."""
    keys = []
    for value in ("1", "2", None, "1"):
        if value is None:
            monkeypatch.delenv("RATE")
        else:
            monkeypatch.setenv("RATE", value)
        keys.append(fingerprint(function))

    assert len(set(keys)) == 3
    assert keys[0] == keys[3]


@pytest.mark.parametrize("function", READERS, ids=lambda f: f.__name__)
def test_a_variable_that_is_not_read_does_not_count(monkeypatch, function):
    """Another user, or another machine, has other variables."""
    key = fingerprint(function)

    monkeypatch.setenv("UNRELATED", "1")

    assert fingerprint(function) == key


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"])
def test_where_a_worker_runs_does_not_count(monkeypatch, name):
    """A worker has a device and threads of its own, and the same key."""
    here = {"getenv": os.getenv}
    exec(f"def asks(X):\n    return X, getenv({name!r})", here)
    key = fingerprint(here["asks"])

    monkeypatch.setenv(name, "7")

    assert fingerprint(here["asks"]) == key


def test_a_text_counts_only_where_the_environment_is_read(monkeypatch):
    """A word that is also the name of a variable is a word."""

    def says_rate(X):
        return X, "RATE"

    key = fingerprint(says_rate)
    monkeypatch.setenv("RATE", "5")

    assert fingerprint(says_rate) == key


def test_a_name_that_is_computed_is_said():
    """A key cannot follow it, so a warning names the function and the way out."""

    def of_a_tenant(tenant):
        return os.environ[tenant + "_RATE"]

    message = r"of_a_tenant uses os\.environ .* Name the environment variable in the"
    with pytest.warns(UnseenDependencyWarning, match=message):
        fingerprint(of_a_tenant)


def test_a_function_of_the_users_may_be_called_getenv():
    """It counts by what it does, whatever it is called with."""
    here = {"getenv": len}
    exec("def asks(X):\n    return getenv(X + 'a')", here)
    fingerprint(here["asks"])


def test_a_module_that_is_imported_in_a_function_counts_with_its_variables(
    tmp_path, monkeypatch
):
    """What a module reads when it is imported decides what is in it."""
    script = """
def scaled(X):
    from helper import RATE
    return X * RATE
VALUES = {"scaled": scaled}
"""
    files = {"helper.py": "import os\nRATE = float(os.environ.get('RATE', '1'))\n"}
    keys = []
    for value in ("1", "2", "1"):
        monkeypatch.setenv("RATE", value)
        keys.append(keys_of(tmp_path, script, files)["scaled"])

    assert keys[0] == keys[2] != keys[1]
