"""Values that are nested deeply, form long chains, or hold themselves."""

import sys
import threading

import pytest

from resumable_search._exceptions import FingerprintError
from resumable_search._keys import depth
from resumable_search._keys.fingerprint import fingerprint

DEPTH = 10_000


class Link:
    def __init__(self, inner):
        self.inner = inner


def nested(wrap, innermost, n_times):
    value = innermost
    for _ in range(n_times):
        value = wrap(value)
    return value


@pytest.mark.parametrize(
    "wrap",
    [lambda v: [v], lambda v: (v,), lambda v: {"a": v}, Link],
    ids=["list", "tuple", "dict", "object"],
)
def test_values_nested_deeply_have_keys(wrap):
    """What lies at the bottom counts, and the limit is as it was before."""
    limit, size = sys.getrecursionlimit(), threading.stack_size()
    keys = [fingerprint(nested(wrap, bottom, DEPTH)) for bottom in (1, 1, 2)]
    assert keys[0] == keys[1] != keys[2]
    assert keys[0] != fingerprint(nested(wrap, 1, DEPTH - 1))
    assert (sys.getrecursionlimit(), threading.stack_size()) == (limit, size)


def chain(template, n_links, last):
    source = [template.format(i=i, j=i + 1) for i in range(n_links)]
    scope = {"__name__": "__main__"}
    exec("\n".join([*source, last.format(i=n_links)]), scope)
    return scope["link0"]


# Python 3.12 has a limit for calls in C that nobody can raise.
LONGEST = 500 if sys.version_info[:2] == (3, 12) else 1000


@pytest.mark.parametrize(
    ("template", "last"),
    [
        ("def link{i}(x): return link{j}(x)", "def link{{i}}(x): return x + {number}"),
        (
            "class link{i}:\n    def f(self): return link{j}().f()",
            "class link{{i}}:\n    def f(self): return {number}",
        ),
    ],
    ids=["functions", "classes"],
)
def test_long_chains_of_code_have_keys(template, last):
    """The last of many functions or classes that refer to each other counts."""
    keys = [
        fingerprint(chain(template, LONGEST, last.format(number=number)))
        for number in (1, 1, 2)
    ]
    assert keys[0] == keys[1] != keys[2]


def test_values_that_hold_themselves_have_keys():
    """A container or object may be part of itself."""

    def ring(number):
        items = [number]
        items.append({"a": (items, Link(items))})
        return items

    assert fingerprint(ring(1)) == fingerprint(ring(1)) != fingerprint(ring(2))


def test_errors_name_the_way_also_in_deep_values():
    """The path to a value without a key is whole."""
    value = nested(lambda inner: [inner], threading.Lock(), 2000)
    with pytest.raises(FingerprintError, match=r"^X(\[0\]){2000} must be") as caught:
        fingerprint(value, "X")
    assert "cannot pickle" in str(caught.value)


def test_value_nested_too_deeply_is_refused(monkeypatch):
    """A value without end is an error with a name in it."""

    class Endless:
        def __reduce__(self):
            return Endless, (), {"next": Endless()}

    monkeypatch.setattr(depth, "_N_CALLS", 5000)
    with pytest.raises(FingerprintError, match="nested so deeply"):
        fingerprint(Endless(), "X")
