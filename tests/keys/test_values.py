"""Keys of the standard library's values: paths, dates, numbers and containers."""

import array
import collections
import copy
import datetime as dt
import decimal
import fractions
import pathlib
import types
import uuid
import zoneinfo

import pytest

from resumable_search._keys.fingerprint import fingerprint

Pair = collections.namedtuple("Pair", "a b")
Other = collections.namedtuple("Other", "a c")


class Folder(pathlib.PosixPath):
    pass


def zoned(name, fold=0):
    zone = zoneinfo.ZoneInfo(name)
    return dt.datetime(2020, 10, 25, 2, 30, tzinfo=zone, fold=fold)


def default_dict(factory, **items):
    return collections.defaultdict(factory, items)


def nested(*values):
    ring = collections.deque(values, maxlen=9)
    ring.append(ring)
    return ring


DISTINCT = {
    "path": lambda: pathlib.Path("a/b"),
    "path 2": lambda: pathlib.Path("a/c"),
    "pure path": lambda: pathlib.PurePosixPath("a/b"),
    "windows": lambda: pathlib.PureWindowsPath("a/b"),
    "text of a path": lambda: "a/b",
    "subclass of a path": lambda: Folder("a/b"),
    "fraction": lambda: fractions.Fraction(1, 3),
    "fraction 2": lambda: fractions.Fraction(2, 3),
    "decimal": lambda: decimal.Decimal("0.1"),
    "decimal 2": lambda: decimal.Decimal("0.2"),
    "exponent": lambda: decimal.Decimal("0.10"),
    "date": lambda: dt.date(2020, 1, 1),
    "date 2": lambda: dt.date(2020, 1, 2),
    "time": lambda: dt.time(1, 2),
    "time zone": lambda: dt.time(1, 2, tzinfo=dt.UTC),
    "zone": lambda: zoned("Europe/Berlin"),
    "zone 2": lambda: zoned("Europe/Paris"),
    "fold": lambda: zoned("Europe/Berlin", fold=1),
    "fixed zone": lambda: dt.timezone(dt.timedelta(hours=1)),
    "fixed zone 2": lambda: dt.timezone(dt.timedelta(hours=2)),
    "duration": lambda: dt.timedelta(1, 2, 3),
    "uuid": lambda: uuid.UUID(int=1),
    "uuid 2": lambda: uuid.UUID(int=2),
    "range": lambda: range(1, 9, 2),
    "range 2": lambda: range(1, 9, 3),
    "slice": lambda: slice(1, 9, 2),
    "slice 2": lambda: slice(1, 9),
    "view": lambda: memoryview(b"ab"),
    "view 2": lambda: memoryview(b"ac"),
    "format of a view": lambda: memoryview(array.array("H", [0x6261])),
    "array": lambda: array.array("i", [1, 2]),
    "array 2": lambda: array.array("i", [1, 3]),
    "type of an array": lambda: array.array("q", [1, 2]),
    "deque": lambda: collections.deque([1, 2]),
    "deque 2": lambda: collections.deque([2, 1]),
    "length of a deque": lambda: collections.deque([1, 2], maxlen=3),
    "deque in itself": lambda: nested(1),
    "deque in itself 2": lambda: nested(2),
    "defaultdict": lambda: default_dict(list, a=1),
    "factory": lambda: default_dict(set, a=1),
    "value of a defaultdict": lambda: default_dict(list, a=2),
    "counter": lambda: collections.Counter("aab"),
    "counter 2": lambda: collections.Counter("abb"),
    "ordered": lambda: collections.OrderedDict(a=1, b=2),
    "order": lambda: collections.OrderedDict(b=2, a=1),
    "chain": lambda: collections.ChainMap({"a": 1}, {"a": 2}),
    "chain 2": lambda: collections.ChainMap({"a": 2}, {"a": 1}),
    "namespace": lambda: types.SimpleNamespace(a=1),
    "namespace 2": lambda: types.SimpleNamespace(a=2),
    "name in a namespace": lambda: types.SimpleNamespace(b=1),
    "named tuple": lambda: Pair(1, 2),
    "named tuple 2": lambda: Pair(1, 3),
    "name in a tuple": lambda: Other(1, 2),
    "tuple": lambda: (1, 2),
}


@pytest.mark.parametrize("name", DISTINCT)
def test_a_value_made_again_has_its_key(name):
    """A value, the value made again, and a copy have one key."""
    make = DISTINCT[name]
    key = fingerprint(make())
    assert fingerprint(make()) == key
    if not isinstance(make(), memoryview):
        assert fingerprint(copy.deepcopy(make())) == key


def test_no_two_values_share_a_key():
    """Class, content and attributes of a value count."""
    names = collections.defaultdict(list)
    for name, make in DISTINCT.items():
        names[fingerprint(make())].append(name)
    assert [group for group in names.values() if len(group) > 1] == []
