"""Keys of generated values: equal values have equal keys, and others have others."""

import copy
import datetime as dt
import json
import os
import pickle
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from resumable_search._keys.fingerprint import fingerprint
from tests.helpers import interpreters

hypothesis = pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as hnp  # noqa: E402

QUICK = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.fractions(),
    st.uuids(),
)
LABELS = st.text(max_size=4) | st.integers() | st.dates()
DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.unicode_string_dtypes(max_len=4),
    hnp.datetime64_dtypes(),
    hnp.array_dtypes(hnp.integer_dtypes(), max_size=3),
)
ARRAYS = hnp.arrays(DTYPES, hnp.array_shapes(max_dims=3, min_side=0, max_side=4))


def column(n_rows):
    def rows(items):
        return st.lists(items, min_size=n_rows, max_size=n_rows)

    return st.one_of(
        rows(st.floats()).map(lambda v: pd.Series(v, dtype="float64")),
        rows(st.booleans()).map(lambda v: pd.Series(v, dtype="bool")),
        rows(st.text(max_size=4)).map(lambda v: pd.Series(v, dtype="object")),
        rows(st.text("abc", max_size=2) | st.none()).map(
            lambda v: pd.Series(v, dtype="string")
        ),
        rows(st.integers(-9, 9) | st.none()).map(lambda v: pd.Series(v, dtype="Int64")),
        rows(st.sampled_from("abc")).map(lambda v: pd.Series(v, dtype="category")),
        rows(st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1))).map(
            lambda v: pd.Series(v, dtype="datetime64[ns, UTC]")
        ),
    )


@st.composite
def frames(draw):
    n_rows = draw(st.integers(0, 4))
    names = draw(st.lists(LABELS, max_size=3, unique=True))
    return pd.DataFrame({name: draw(column(n_rows)) for name in names})


@st.composite
def matrices(draw):
    dense = draw(
        hnp.arrays("f8", hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats())
    )
    return scipy.sparse.csr_matrix(dense).asformat(
        draw(st.sampled_from(["csr", "csc", "coo", "lil"]))
    )


def holding_themselves(items):
    ring = list(items)
    ring.append(ring)
    return ring


VALUES = st.recursive(
    ATOMS | ARRAYS | frames() | matrices(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(LABELS, inner, max_size=3),
        st.lists(inner, max_size=2).map(holding_themselves),
        st.frozensets(LABELS, max_size=3),
        st.lists(inner, min_size=1, max_size=3).map(
            lambda v: np.fromiter(v, dtype=object, count=len(v))
        ),
    ),
    max_leaves=6,
)


@QUICK
@given(VALUES)
def test_copies_have_the_key_of_the_value(value):
    """A deep copy, and what comes out of a pickle, is the same value."""
    key = fingerprint(value)
    assert fingerprint(value) == key
    assert fingerprint(copy.deepcopy(value)) == key
    assert fingerprint(pickle.loads(pickle.dumps(value))) == key


def places(value, path=()):
    """Yield the way to each part of a value that can be changed in its place."""
    if isinstance(value, list | dict) or (
        isinstance(value, np.ndarray) and value.dtype == object
    ):
        names = list(value) if isinstance(value, dict) else range(len(value))
        for name in names:
            yield (*path, name)
            if value[name] is not value:
                yield from places(value[name], (*path, name))


def changed(value, path):
    """Return a copy with another value in one place."""
    value = copy.deepcopy(value)
    *way, last = path
    part = value
    for name in way:
        part = part[name]
    part[last] = ("changed", 0.25)
    return value


@QUICK
@given(VALUES, st.randoms(use_true_random=False))
def test_a_value_changed_in_one_place_has_another_key(value, draw):
    """Whatever is replaced in a container is seen, and so is that there is more."""
    ways = list(places(value))
    if ways:
        assert fingerprint(changed(value, draw.choice(ways))) != fingerprint(value)
    assert fingerprint([value]) != fingerprint(value)
    assert fingerprint([value, None]) != fingerprint([value])
    assert fingerprint((value,)) != fingerprint([value])


@QUICK
@given(ARRAYS, st.randoms(use_true_random=False))
def test_one_element_of_an_array_counts(array, draw):
    """Every element counts, wherever it is and whatever the layout."""
    key = fingerprint(array)
    assert fingerprint(np.asfortranarray(array)) == key
    if array.size == 0:
        return
    position = draw.randrange(array.size)
    other = array.copy()
    raw = bytearray(other.tobytes())  # in the array's byte order
    at = position * array.itemsize + draw.randrange(array.itemsize)
    raw[at] ^= 1
    other = np.frombuffer(bytes(raw), other.dtype).reshape(other.shape)
    if array.dtype.kind in "US":  # bits that are no character
        return
    same_nan = array.dtype.kind in "fc" and np.array_equal(other, array, equal_nan=True)
    extended = array.dtype.itemsize in (16, 32) and array.dtype.kind in "fc"
    if not (same_nan or extended or array.dtype.kind == "b"):
        assert fingerprint(other) != key


@QUICK
@given(frames(), st.randoms(use_true_random=False))
def test_one_cell_of_a_frame_counts(frame, draw):
    """A cell that is missing, a renamed column and a dropped row are seen."""
    key = fingerprint(frame)
    assert fingerprint(frame.copy()) == key
    assert fingerprint(frame.rename_axis("name")) != key
    if frame.size:
        row, place = (draw.randrange(side) for side in frame.shape)
        parts = {name: frame[name] for name in frame.columns}
        name = frame.columns[place]
        cells = frame[name].astype(object)
        cells.iloc[row] = "changed"
        other = pd.DataFrame({**parts, name: cells})
        assert fingerprint(other) != key
        assert fingerprint(frame.drop(index=frame.index[row])) != key
        assert fingerprint(frame.drop(columns=name)) != key


SCRIPT = """
import json, pickle, sys
from resumable_search._keys.fingerprint import fingerprint
values = pickle.load(open(sys.argv[1], "rb"))
print(json.dumps([fingerprint(value) for value in values]))
"""


def test_processes_agree(tmp_path):
    """Keys do not depend on the process, nor on the seed of its hashes."""
    values = []

    @settings(QUICK, max_examples=40)
    @given(VALUES)
    def collect(value):
        values.append(value)

    collect()
    random.Random(0).shuffle(values)
    path = tmp_path / "values"
    path.write_bytes(pickle.dumps(values))
    found = []
    for seed in ("1", "2"):
        done = interpreters.run(
            ["-c", SCRIPT, path],
            env={
                **os.environ,
                "PYTHONHASHSEED": seed,
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
        )
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert found[0] == found[1] == [fingerprint(value) for value in values]
