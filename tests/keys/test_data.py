"""Keys of arrays, sparse matrices and frames: what is the same data, and what is not.

Each entry has two makers: of values that must share a key (SAME), or not (OTHER).
"""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from resumable_search._keys import buffers
from resumable_search._keys.fingerprint import fingerprint

NEW_PANDAS = int(pd.__version__.partition(".")[0]) >= 3


class Tagged(pd.DataFrame):
    _metadata = ["source"]  # noqa: RUF012 - pandas has a list

    @property
    def _constructor(self):
        return Tagged


class TaggedSeries(pd.Series):
    _metadata = [*pd.Series._metadata, "unit"]  # noqa: RUF012 - as above


class Measured(np.ndarray):
    pass


class MyFloat(np.float64):
    pass


def tagged(source):
    frame = Tagged({"a": [1]})
    frame.source = source
    return frame


def tagged_series(unit):
    series = TaggedSeries([1])
    series.unit = unit
    return series


def measured(unit):
    array = np.arange(3.0).view(Measured)
    array.unit = unit
    return array


def my_float(note):
    value = MyFloat(1.0)
    value.note = note
    return value


def with_attrs(**attrs):
    frame = pd.DataFrame({"a": [1]})
    frame.attrs.update(attrs)
    return frame


def nan_with(payload, dtype):
    whole = {"f8": 0x7FF8 << 48, "f4": 0x7FC0 << 16, "f2": 0x7E00}[dtype]
    bits = np.array([whole + payload], dtype=dtype.replace("f", "u"))
    return np.concatenate([bits.view(dtype), np.ones(2, dtype)])


def objects(*items):
    return np.fromiter(items, dtype=object, count=len(items))


def holds_itself(number):
    array = objects(number, None)
    array[1] = array
    return array


def unsorted_csr():
    data, columns, ends = [1.0, 2.0, 3.0], [2, 0, 1], [0, 2, 3, 3]
    return sp.csr_matrix((data, columns, ends), shape=(3, 3))


def wide_csr():
    matrix = unsorted_csr().sorted_indices()
    matrix.indices = matrix.indices.astype(np.int64)
    matrix.indptr = matrix.indptr.astype(np.int64)
    return matrix


def csr(data):
    return sp.csr_matrix((data, [0, 0], [0, 2, 2]), shape=(2, 2))


def masked(data=(1, 2), mask=(0, 1), **options):
    return np.ma.array(list(data), mask=list(mask), **options)


def hardened():
    array = masked()
    array.harden_mask()
    return array


def padded(fill):
    dtype = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    array = np.full(16 * 3, fill, np.uint8).view(dtype)
    array["a"], array["b"] = 1, 2
    return array


def fields(*names):
    return np.zeros(2, dtype=[(name, "i4") for name in names])


def category(values, categories=None, ordered=False):
    return pd.Series(pd.Categorical(values, categories, ordered))


def dates(*texts, unit="ns", zone=None):
    return pd.Series(pd.DatetimeIndex(list(texts)).as_unit(unit).tz_localize(zone))


def nullable(values, dtype):
    return pd.Series(pd.array(values, dtype=dtype))


def hidden_below_mask():
    series = nullable([1, 7, 3], "Int64")
    series[1] = pd.NA
    return series


SAME = {
    "NaN payload": (lambda: nan_with(0, "f8"), lambda: nan_with(5, "f8")),
    "NaN payload of float32": (lambda: nan_with(0, "f4"), lambda: nan_with(5, "f4")),
    "NaN payload of float16": (lambda: nan_with(0, "f2"), lambda: nan_with(5, "f2")),
    "NaN sign": (lambda: np.array([np.nan, 1]), lambda: np.array([-np.nan, 1])),
    "complex NaN": (
        lambda: np.array([complex(np.nan, 1)]),
        lambda: np.array([complex(-np.nan, 1)]),
    ),
    "NaN in a scalar": (lambda: nan_with(0, "f4")[0], lambda: nan_with(9, "f4")[0]),
    "long int of the same size": (
        lambda: np.arange(3, dtype=np.longlong),
        lambda: np.arange(3, dtype=np.int64),
    ),
    "all-false mask": (
        lambda: np.ma.array([1, 2]),
        lambda: masked(mask=(0, 0)),
    ),
    "padding": (lambda: padded(0), lambda: padded(255)),
    "shared items": (
        lambda: objects(*[[1]] * 2),
        lambda: objects([1], [1]),
    ),
    "array in itself": (lambda: holds_itself(1), lambda: holds_itself(1)),
    "order of entries": (unsorted_csr, lambda: unsorted_csr().sorted_indices()),
    "width of indices": (unsorted_csr, wide_csr),
    "range index": (
        lambda: pd.DataFrame({"a": [1, 2]}),
        lambda: pd.DataFrame({"a": [1, 2]}, index=[0, 1]),
    ),
    "blocks": (
        lambda: pd.DataFrame(np.arange(6.0).reshape(3, 2), columns=["a", "b"]),
        lambda: pd.DataFrame({"a": [0.0, 2, 4], "b": [1.0, 3, 5]}),
    ),
    "below the mask": (hidden_below_mask, lambda: nullable([1, None, 3], "Int64")),
    "attributes of a frame": (lambda: tagged("a"), lambda: tagged("a")),
    "unused values of a level": (
        lambda: pd.MultiIndex.from_tuples([(1, "a"), (2, "b")])[:1],
        lambda: pd.MultiIndex.from_tuples([(1, "a")]),
    ),
    "zone": (
        lambda: dates("2020-01-01", zone="UTC"),
        lambda: pd.Series(pd.DatetimeIndex(["2020-01-01T00Z"]).as_unit("ns")),
    ),
    "codes": (
        lambda: category(["a", "b"], ["a", "b"]),
        lambda: pd.Series(pd.Categorical.from_codes(np.array([0, 1]), ["a", "b"])),
    ),
    "byte order": (
        lambda: np.arange(3, dtype=">i4"),
        lambda: np.arange(3, dtype="<i4"),
    ),
    "byte order of a field": (
        lambda: np.ones(2, [("a", ">f8"), ("b", ">U2")]),
        lambda: np.ones(2, [("a", "<f8"), ("b", "<U2")]),
    ),
    "empty text": (lambda: np.zeros(2, "S1"), lambda: np.array([b"", b""], "S1")),
}

OTHER = {
    "attribute of a frame": (lambda: tagged("a"), lambda: tagged("b")),
    "attribute of a series": (lambda: tagged_series("m"), lambda: tagged_series("s")),
    "subclass of a frame": (lambda: tagged("a"), lambda: pd.DataFrame({"a": [1]})),
    "attrs": (lambda: with_attrs(a=1), lambda: with_attrs(a=2)),
    "flags": (
        lambda: pd.DataFrame({"a": [1]}),
        lambda: pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False),
    ),
    "attribute of an array": (lambda: measured("m"), lambda: measured("s")),
    "attribute of a number": (lambda: my_float("a"), lambda: my_float("b")),
    "matrix": (lambda: np.ones((1, 1)).view(np.matrix), lambda: np.ones((1, 1))),
    "records": (lambda: fields("a"), lambda: fields("a").view(np.recarray)),
    "negative zero": (lambda: np.array([0.0]), lambda: np.array([-0.0])),
    "complex parts": (
        lambda: np.array([complex(np.nan, 1)]),
        lambda: np.array([complex(1, np.nan)]),
    ),
    "place of NaN": (lambda: np.array([np.nan, 1]), lambda: np.array([1, np.nan])),
    "scalar": (lambda: np.float32(1), lambda: np.array(1, np.float32)),
    "mask": (masked, lambda: masked(mask=(1, 0))),
    "fill value": (masked, lambda: masked(fill_value=7)),
    "hard mask": (masked, hardened),
    "mask or NaN": (lambda: masked((1.0, np.nan)), lambda: np.array([1.0, np.nan])),
    "masked constant": (lambda: np.ma.masked, lambda: np.ma.array(0.0)),
    "name of a field": (lambda: fields("a", "b"), lambda: fields("a", "c")),
    "order of fields": (lambda: fields("a", "b"), lambda: fields("b", "a")),
    "array in itself": (lambda: holds_itself(1), lambda: holds_itself(2)),
    "limits of texts": (lambda: objects("ab", "c"), lambda: objects("a", "bc")),
    "None or NaN": (lambda: objects("a", None), lambda: objects("a", np.nan)),
    "place of None": (lambda: objects("a", None), lambda: objects(None, "a")),
    "text or number": (lambda: objects("1", 1), lambda: objects(1, "1")),
    "text or bytes": (lambda: objects("a"), lambda: objects(b"a")),
    "unit": (
        lambda: np.array([1], "M8[s]"),
        lambda: np.array([1], "M8[ms]"),
    ),
    "stored zero": (lambda: csr([1.0, 0.0]), lambda: sp.csr_matrix([[1.0, 0], [0, 0]])),
    "entries not summed": (lambda: csr([1.0, 1.0]), lambda: csr([2.0, 0.0])),
    "entries of a COO matrix": (
        lambda: sp.coo_matrix(([1.0, 1.0], ([0, 0], [0, 0])), shape=(1, 1)),
        lambda: sp.coo_matrix(([2.0], ([0], [0])), shape=(1, 1)),
    ),
    "sparse shape": (lambda: sp.csr_matrix((2, 3)), lambda: sp.csr_matrix((2, 4))),
    "sparse class": (lambda: sp.csr_matrix((2, 2)), lambda: sp.csc_matrix((2, 2))),
    "array or matrix": (lambda: sp.csr_array((2, 2)), lambda: sp.csr_matrix((2, 2))),
    "order of categories": (
        lambda: category(["a", "b"], ["a", "b"]),
        lambda: category(["a", "b"], ["b", "a"]),
    ),
    "ordered": (
        lambda: category(["a", "b"]),
        lambda: category(["a", "b"], ordered=True),
    ),
    "unused category": (lambda: category(["a"]), lambda: category(["a"], ["a", "b"])),
    "interval": (
        lambda: pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1, 2])),
        lambda: pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1, 3])),
    ),
    "closed": (
        lambda: pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1], "left")),
        lambda: pd.Series(pd.arrays.IntervalArray.from_breaks([0, 1], "right")),
    ),
    "period": (
        lambda: pd.Series(pd.period_range("2020-01", periods=1, freq="M")),
        lambda: pd.Series(pd.period_range("2020-02", periods=1, freq="M")),
    ),
    "frequency of a period": (
        lambda: pd.Series(pd.PeriodIndex(["2020-01"], freq="M")),
        lambda: pd.Series(pd.PeriodIndex(["2020-01"], freq="D")),
    ),
    "unit of a column": (
        lambda: dates("2020-01-01", unit="ns"),
        lambda: dates("2020-01-01", unit="s"),
    ),
    "zone": (
        lambda: dates("2020-01-01", zone="UTC"),
        lambda: dates("2020-01-01", zone="Europe/Berlin"),
    ),
    "no zone": (lambda: dates("2020-01-01"), lambda: dates("2020-01-01", zone="UTC")),
    "NaT": (lambda: dates("2020-01-01", "NaT"), lambda: dates("2020-01-01")),
    "nullable": (lambda: nullable([1, 2], "Int64"), lambda: pd.Series([1, 2])),
    "missing": (
        lambda: nullable([1, None], "Int64"),
        lambda: nullable([1, 0], "Int64"),
    ),
    "width of a nullable": (
        lambda: nullable([1], "Int64"),
        lambda: nullable([1], "Int32"),
    ),
    "missing boolean": (
        lambda: nullable([True, None], "boolean"),
        lambda: nullable([True, False], "boolean"),
    ),
    "nullable text": (
        lambda: nullable(["a"], "string"),
        lambda: pd.Series(["a"]),
    ),
    "text or categories": (lambda: pd.Series(["a"]), lambda: category(["a"])),
    "sparse column": (
        lambda: pd.Series(pd.arrays.SparseArray([0, 1])),
        lambda: pd.Series(pd.arrays.SparseArray([0, 2])),
    ),
    "fill value of a sparse column": (
        lambda: pd.Series(pd.arrays.SparseArray([0, 1], fill_value=0)),
        lambda: pd.Series(pd.arrays.SparseArray([0, 1], fill_value=1)),
    ),
    "name of a column": (
        lambda: pd.DataFrame({"a": [1]}),
        lambda: pd.DataFrame({"b": [1]}),
    ),
    "order of columns": (
        lambda: pd.DataFrame({"a": [1], "b": [1]}),
        lambda: pd.DataFrame({"b": [1], "a": [1]}),
    ),
    "type of a label": (
        lambda: pd.DataFrame({1: [1]}),
        lambda: pd.DataFrame({"1": [1]}),
    ),
    "index": (
        lambda: pd.DataFrame({"a": [1]}, index=[0]),
        lambda: pd.DataFrame({"a": [1]}, index=[1]),
    ),
    "name of the index": (
        lambda: pd.Index([1], name="a"),
        lambda: pd.Index([1], name="b"),
    ),
    "levels": (
        lambda: pd.MultiIndex.from_tuples([(1, "a")]),
        lambda: pd.MultiIndex.from_tuples([(1, "b")]),
    ),
    "frequency of an index": (
        lambda: pd.DatetimeIndex(["2020-01-01", "2020-01-02"], freq="D"),
        lambda: pd.DatetimeIndex(["2020-01-01", "2020-01-02"]),
    ),
    "moment": (lambda: pd.Timestamp("2020"), lambda: pd.Timestamp("2021")),
    "zone of a moment": (
        lambda: pd.Timestamp("2020"),
        lambda: pd.Timestamp("2020", tz="UTC"),
    ),
    "duration": (lambda: pd.Timedelta(1), lambda: pd.Timedelta(2)),
    "NA or NaT": (lambda: pd.NA, lambda: pd.NaT),
    "ends of an interval": (lambda: pd.Interval(1, 2), lambda: pd.Interval(1, 3)),
    "month": (lambda: pd.Period("2020-01"), lambda: pd.Period("2020-02")),
    "categories of a dtype": (
        lambda: pd.CategoricalDtype(["a"]),
        lambda: pd.CategoricalDtype(["b"]),
    ),
    "dtype": (lambda: pd.Int64Dtype(), lambda: pd.Int32Dtype()),
}


@pytest.mark.parametrize("name", SAME)
def test_the_same_data_has_one_key(name):
    """Layout, padding, unused parts and payloads of NaN do not count."""
    one, other = SAME[name]
    assert fingerprint(one()) == fingerprint(other())


@pytest.mark.parametrize("name", OTHER)
def test_other_data_has_another_key(name):
    """Whatever an estimator can read from the data counts, and is the same again."""
    one, other = OTHER[name]
    assert fingerprint(one()) == fingerprint(one())
    assert fingerprint(other()) == fingerprint(other())
    assert fingerprint(one()) != fingerprint(other())


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(300, 100), (1, 30000), (1, 1, 300, 100), (30000,)])
def test_large_array_is_hashed_by_pieces(monkeypatch, order, shape):
    """The pieces do not depend on the layout, and each of them counts."""
    monkeypatch.setattr(buffers, "_CHUNK", 100_000)
    array = np.random.RandomState(0).rand(*shape)
    before = fingerprint(array)
    assert fingerprint(np.array(array, order=order)) == before
    assert fingerprint(np.repeat(array, 2, axis=-1)[..., ::2]) == before
    for position in (0, 15_000, 29_999):
        changed = array.copy()
        changed.flat[position] += 1
        assert fingerprint(changed) != before


def test_many_texts_are_keyed_by_pieces():
    """In a long column each text counts, and so does its place."""
    texts = [str(number) for number in range(70_000)]
    before = fingerprint(objects(*texts))
    assert fingerprint(objects(*texts)) == before
    for place, text in ((0, "x"), (69_999, "x"), (66_000, None)):
        changed = list(texts)
        changed[place] = text
        assert fingerprint(objects(*changed)) != before


@pytest.mark.skipif(not NEW_PANDAS, reason="one of the two dtypes is in pandas 3 only")
def test_text_dtypes_of_one_version_differ():
    """An estimator may choose its columns by dtype."""
    frame = pd.DataFrame({"a": ["x", "y"]})
    assert fingerprint(frame) != fingerprint(frame.astype(object))
