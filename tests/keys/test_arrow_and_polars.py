"""Keys of pyarrow's and polars's data, and of pandas's columns that arrow holds."""

import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pytest

from resumable_search._keys.fingerprint import fingerprint

pa = pytest.importorskip("pyarrow")
pl = pytest.importorskip("polars")

COLUMNS = {
    "int": ([1, 2, None], [1, 3, None], [1, 2, 0]),
    "float": ([1.0, None, 2.0], [1.0, None, 3.0], [1.0, float("nan"), 2.0]),
    "bool": ([True, None], [False, None], [True, False]),
    "text": (["a", None, "bc"], ["ab", None, "c"], ["a", "", "bc"]),
    "bytes": ([b"a", None, b"bc"], [b"ab", None, b"c"], [b"a", b"", b"bc"]),
    "date": ([dt.date(2020, 1, 1), None], [dt.date(2020, 1, 2), None]),
    "time": ([dt.datetime(2020, 1, 1), None], [dt.datetime(2020, 1, 2), None]),
    "duration": ([dt.timedelta(1), None], [dt.timedelta(2), None]),
    "decimal": ([decimal.Decimal("1.5"), None], [decimal.Decimal("2.5"), None]),
    "list": ([[1, 2], None, [3]], [[1], None, [2, 3]]),
    "struct": ([{"a": 1}, None], [{"a": 2}, None]),
}


def arrow_chunks(values):
    whole = pa.array(values)
    return pa.chunked_array([whole[:1], whole[1:]])


def arrow_column(values):
    return pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([values])))


def arrow_column_in_chunks(values):
    return pd.Series(pd.arrays.ArrowExtensionArray(arrow_chunks(values)))


def polars_chunks(values):
    whole = pl.Series("a", values)
    return whole[:1].append(whole[1:])


FORMS = {
    "chunked": (lambda values: pa.chunked_array([values]), arrow_chunks),
    "pandas": (arrow_column, arrow_column_in_chunks),
    "table": (
        lambda values: pa.table({"a": values}),
        lambda values: pa.table({"a": arrow_chunks(values)}),
    ),
    "polars series": (lambda values: pl.Series("a", values), polars_chunks),
    "polars frame": (
        lambda values: pl.DataFrame({"a": values}),
        lambda values: pl.DataFrame([polars_chunks(values)]),
    ),
    "lazy frame": (
        lambda values: pl.LazyFrame({"a": values}),
        lambda values: pl.DataFrame([polars_chunks(values)]).lazy(),
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", COLUMNS)
def test_values_count_and_chunks_do_not(form, name):
    """The same values in one chunk and in two have a key; each change another."""
    whole, chunked = FORMS[form]
    values, *others = COLUMNS[name]
    assert fingerprint(chunked(values)) == fingerprint(whole(values))
    keys = {fingerprint(whole(column)) for column in (values, *others)}
    assert len(keys) == 1 + len(others)


def test_part_of_an_array_has_the_key_of_a_copy():
    """What an array's buffers hold beside its values does not count."""
    for values, *_ in COLUMNS.values():
        part = pa.array([*values, *values])[len(values) :]
        assert fingerprint(part) == fingerprint(pa.array(values))


def test_values_below_nulls_do_not_count():
    """A null is a null, whatever is left in the memory of its place."""
    one, other = (
        pa.Array.from_buffers(
            pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([1, hidden]))]
        )
        for hidden in (5, 6)
    )
    assert fingerprint(one) == fingerprint(other)


OTHER_ARROW = {
    "width": (lambda: pa.array([1], pa.int32()), lambda: pa.array([1], pa.int64())),
    "unit": (
        lambda: pa.array([1], pa.timestamp("s")),
        lambda: pa.array([1], pa.timestamp("ms")),
    ),
    "zone": (
        lambda: pa.array([1], pa.timestamp("s")),
        lambda: pa.array([1], pa.timestamp("s", "UTC")),
    ),
    "dictionary": (
        lambda: pa.array(["a"]).dictionary_encode(),
        lambda: pa.array(["b"]).dictionary_encode(),
    ),
    "name": (lambda: pa.table({"a": [1]}), lambda: pa.table({"b": [1]})),
    "metadata": (
        lambda: pa.table({"a": [1]}),
        lambda: pa.table({"a": [1]}).replace_schema_metadata({"k": "v"}),
    ),
    "type": (lambda: pa.int32(), lambda: pa.int64()),
    "scalar": (lambda: pa.scalar(1), lambda: pa.scalar(2)),
    "schema": (
        lambda: pa.schema([("a", pa.int8())]),
        lambda: pa.schema([("b", pa.int8())]),
    ),
    "polars dtype": (
        lambda: pl.Series([1], dtype=pl.Int8),
        lambda: pl.Series([1], dtype=pl.Int16),
    ),
    "polars categories": (
        lambda: pl.Series(["a"], dtype=pl.Enum(["a", "b"])),
        lambda: pl.Series(["a"], dtype=pl.Enum(["b", "a"])),
    ),
    "polars names": (
        lambda: pl.DataFrame({"a": [1]}),
        lambda: pl.DataFrame({"b": [1]}),
    ),
    "polars rows": (lambda: pl.DataFrame(height=1), lambda: pl.DataFrame(height=2)),
    "polars expression": (lambda: pl.col("a") + 1, lambda: pl.col("a") + 2),
    "kind of text": (
        lambda: pd.Series(["a"], dtype=pd.ArrowDtype(pa.string())),
        lambda: pd.Series(["a"], dtype="string"),
    ),
}


@pytest.mark.parametrize("name", OTHER_ARROW)
def test_other_types_and_names_have_other_keys(name):
    """Types, names, units, zones and metadata count."""
    one, other = OTHER_ARROW[name]
    assert fingerprint(one()) == fingerprint(one()) != fingerprint(other())


def test_sorted_flag_does_not_count():
    """What polars has found out about a series is not what the series is."""
    assert fingerprint(pl.Series([2, 1]).sort()) == fingerprint(pl.Series([1, 2]))


def test_categories_do_not_depend_on_what_polars_has_seen():
    """The numbers that polars gives to texts do not count."""
    before = fingerprint(pl.Series(["b", "a"], dtype=pl.Categorical))
    pl.Series(["z", "a"], dtype=pl.Categorical)
    assert fingerprint(pl.Series(["b", "a"], dtype=pl.Categorical)) == before


def test_versions_that_have_written_a_table_do_not_count():
    """A table made from a frame holds pandas's version."""
    table = pa.Table.from_pandas(pd.DataFrame({"a": [1]}))
    metadata = table.schema.metadata
    older = metadata[b"pandas"].replace(pd.__version__.encode(), b"1.0")
    assert older != metadata[b"pandas"]
    other = table.replace_schema_metadata({b"pandas": older})
    assert fingerprint(other) == fingerprint(table)


@pytest.mark.parametrize("kind", ["string", "str"])
def test_where_pandas_keeps_text_does_not_count(kind):
    """Python's and pyarrow's storage of the same dtype have one key."""
    missing = pd.NA if kind == "string" else np.nan
    storages = [
        pd.Series(["a", None], dtype=pd.StringDtype(storage, na_value=missing))
        for storage in ("python", "pyarrow")
    ]
    assert fingerprint(storages[0]) == fingerprint(storages[1])


@pytest.mark.parametrize("share_missing", [0.0, 0.3, 1.0])
def test_texts_of_arrow_have_the_key_of_python_s(share_missing):
    """In chunks of any size, and whatever their letters are."""
    random = np.random.default_rng(0)
    texts = np.array([*(["", "a", "é", "日本語", "🙂 b"] * 30_000)], dtype=object)
    texts[random.random(len(texts)) < share_missing] = None
    chunks = [texts[:7], texts[7:7], texts[7:70_000], texts[70_000:]]
    array = pa.chunked_array([pa.array(chunk, pa.large_string()) for chunk in chunks])
    dtype = pd.StringDtype("pyarrow", na_value=np.nan)
    in_arrow = pd.Series(pd.array(array, dtype=dtype))[3:]
    in_python = pd.Series(texts, dtype=pd.StringDtype("python", na_value=np.nan))[3:]
    assert fingerprint(in_arrow) == fingerprint(in_python)
