"""A checkpoint from a stranger: opening and reading it does nothing but that."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest
from sklearn.model_selection import ShuffleSplit

from resumable_search import (
    CheckpointFormatError,
    NothingReusedWarning,
    ResumableGridSearchCV,
    read_results,
)
from resumable_search._checkpoint.reader import CheckpointReader
from resumable_search._checkpoint.store import CheckpointStore
from resumable_search._fit.random_states import is_state, recorded_state
from tests import fakes
from tests.contracts.test_store import DATA, candidate, record, search


@pytest.fixture
def path(tmp_path):
    """Give the path of a checkpoint that holds something of everything."""
    store = CheckpointStore(tmp_path / "checkpoint.sqlite")
    number = store.register(search(details={"sample": {"X": ("key", "text")}}))
    store.describe(number, [candidate(0)], [(0, 0, "split")], 1)
    store.save([record()])
    store.save_random_state("cv", {"pos": 1})
    store.close()
    return store.path


def change(path, *statements):
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)


def open_and_read(path, opener=CheckpointStore):
    """Give all that is there."""
    with closing(opener(path)) as store:
        searches = store.searches()
        return (
            searches,
            [store.candidates(found.number) for found in searches],
            [store.splits(found.number) for found in searches],
            [store.details(found.number) for found in searches],
            store.find_all(["fold"]),
            store.random_state("cv"),
        )


# ---------------------------------------------------------------------------
# What SQLite would run


@pytest.mark.parametrize("opener", [CheckpointStore, CheckpointReader])
@pytest.mark.parametrize(
    ("statement", "name"),
    [
        (
            "CREATE TRIGGER evil AFTER INSERT ON folds BEGIN DELETE FROM folds; END",
            "trigger 'evil'",
        ),
        ("CREATE VIEW evil AS SELECT 1", "view 'evil'"),
        ("CREATE INDEX evil ON folds (state)", "index 'evil'"),
        ("CREATE TABLE evil (x)", "table 'evil'"),
        ("CREATE VIRTUAL TABLE evil USING fts5(x)", "table 'evil"),
        ("ALTER TABLE folds ADD COLUMN evil AS (hex(key))", "table 'folds'"),
        ("ALTER TABLE folds ADD COLUMN evil DEFAULT 1", "table 'folds'"),
    ],
)
def test_what_no_checkpoint_has_is_refused_and_named(path, statement, name, opener):
    """Nothing that SQLite could run is in a checkpoint; the file is not touched."""
    change(path, statement)
    before = path.read_bytes()
    with pytest.raises(CheckpointFormatError, match=rf"holds the {name}.*not touched"):
        opener(path)
    assert path.read_bytes() == before


def test_a_missing_table_is_named(path):
    """As by somebody who tried to clean up."""
    change(path, "DROP TABLE random_states")
    with pytest.raises(CheckpointFormatError, match="'random_states' is missing"):
        CheckpointStore(path)


def test_statistics_of_sqlite_are_no_reason_to_refuse(path):
    """ANALYZE makes tables of its own."""
    found = open_and_read(path)
    change(path, "ANALYZE")
    assert open_and_read(path) == found


def test_the_layout_of_the_tables_text_does_not_count(path):
    """A comment that is worded anew in the code makes no file unreadable."""
    found = open_and_read(path)
    change(
        path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = replace(sql, '-- seconds', '-- s')",
    )
    assert open_and_read(path) == found


@pytest.mark.parametrize("opener", [CheckpointStore, CheckpointReader])
def test_a_journal_that_names_another_file_is_refused(path, tmp_path, opener):
    """SQLite would remove the file that is named there."""
    victim = tmp_path / "precious"
    victim.write_bytes(b"no name of a journal\0")
    name = str(victim).encode()
    magic = bytes.fromhex("d9d505f920a163d7")
    # No page to bring back, a nonce, pages in all, bytes of a sector and of a page.
    numbers = (0, 1, path.stat().st_size // 4096, 512, 4096)
    header = magic + b"".join(n.to_bytes(4, "big") for n in numbers)
    sums = len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big")
    journal = path.with_name(f"{path.name}-journal")
    journal.write_bytes(header.ljust(512, b"\0") + bytes(4) + name + sums + magic)
    with pytest.raises(CheckpointFormatError, match="remove other files"):
        opener(path)
    assert victim.exists()


def test_trees_that_share_pages_are_refused(path):
    """Reading them could go on for ever."""
    change(
        path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET rootpage = "
        "(SELECT rootpage FROM sqlite_schema WHERE name = 'errors') "
        "WHERE name = 'environments'",
    )
    with pytest.raises(CheckpointFormatError, match="damaged"):
        CheckpointStore(path)


# ---------------------------------------------------------------------------
# Values


@pytest.mark.parametrize(
    ("table", "assignment"),
    [
        ("folds", "fit_time = 'long'"),
        ("folds", "n_test_samples = 1.5"),
        ("folds", "n_test_samples = x'00'"),
        ("folds", "test_score = NULL"),
        ("folds", "test_score = 'no JSON'"),
        ("folds", "test_score = '\"text\"'"),
        ("folds", "test_score = '[1]'"),
        ("folds", "test_score = 'true'"),
        ("folds", 'test_score = \'{"a": "text"}\''),
        ("folds", f"test_score = '{'[' * 100_000}'"),
        ("folds", f"test_score = '{'1' * 100_000}'"),
        ("folds", "test_score = CAST(x'ff' AS TEXT)"),
        ("folds", "device = x'00'"),
        ("folds", "worker = 'first'"),
        ("environments", "id = 99"),
        ("environments", "versions = '[]'"),
        ("environments", "versions = '{\"python\": 3}'"),
        ("searches", "parts = '{}0'"),
        ("searches", 'parts = \'{"estimator": {"C": [1, 2]}}\''),
        ("searches", 'parts = \'{"estimator": {"C": ["\\ud800", ""]}}\''),
        ("searches", "scorers = '[]'"),
        ("searches", "n_splits = 0"),
        ("searches", "n_splits = -1"),
        ("searches", "n_splits = 1000000000000"),
        ("searches", "key_rules = 'old'"),
        ("details", "text = x'00'"),
        ("details", "key = CAST(x'ff' AS TEXT)"),
        ("candidates", "parameters = '{\"C\": []}'"),
        ("candidates", 'parameters = \'{"C": ["text", {}]}\''),
        ("candidates", "key = x'00'"),
        ("splits", "key = x'00'"),
        ("random_states", "state = 'no JSON'"),
    ],
)
def test_a_wrong_value_is_an_error_that_names_its_table(path, table, assignment):
    """Whatever stands in the place of a number or a text."""
    change(path, f"UPDATE {table} SET {assignment}")
    with pytest.raises(CheckpointFormatError, match=rf"is damaged .*\b{table}\b|UTF-8"):
        open_and_read(path)


def test_a_state_that_no_fold_has_is_refused(path):
    """Also where SQLite has been told not to look."""
    change(
        path,
        "PRAGMA ignore_check_constraints = ON",
        "UPDATE folds SET state = 'perfect'",
    )
    with pytest.raises(CheckpointFormatError, match="folds"):
        open_and_read(path)


def test_a_wrong_value_in_an_old_file_leaves_it_as_it_is(tmp_path):
    """What cannot be brought up to date is not changed."""
    path = tmp_path / "checkpoint.sqlite"
    shutil.copy(DATA / "format-1.sqlite", path)
    change(path, "UPDATE searches SET parts = 'no JSON'")
    with pytest.raises(CheckpointFormatError, match="JSON"):
        CheckpointStore(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        [],
        {"bit_generator": "PCG64"},
        {"has_gauss": 2},
        {"gauss": "much"},
        {"state": {"key": [0] * 624, "pos": 10**6}},
        {"state": {"key": [0] * 624, "pos": -1}},
        {"state": {"key": [0] * 623, "pos": 0}},
        {"state": {"key": [2**32] * 624, "pos": 0}},
    ],
)
def test_a_wrong_random_state_never_reaches_numpy(wrong):
    """Numpy would read outside of its memory."""
    kept = []
    recorded_state(kept.append)
    assert is_state(kept[0])
    assert not is_state({**kept[0], **wrong} if isinstance(wrong, dict) else wrong)


def test_a_wrong_random_state_is_an_error_that_names_its_table(data, log):
    """A randomized split is not drawn from it."""
    estimator, grid = fakes.Logged(log), {"value": [1.0]}
    unseeded = ResumableGridSearchCV(estimator, grid, cv=ShuffleSplit(2))
    change(
        unseeded.fit(*data).resumption.checkpoint, "UPDATE random_states SET state='1'"
    )
    with pytest.raises(CheckpointFormatError, match="'random_states'"):
        unseeded.fit(*data)


def test_scores_of_one_scorer_must_be_alike(data, log):
    """A dict of scores among numbers is no work of a scorer."""
    search = ResumableGridSearchCV(fakes.Logged(log), {"value": [1.0, 2.0]}, cv=2)
    change(
        search.fit(*data).resumption.checkpoint,
        f"UPDATE folds SET test_score = '{json.dumps({'a': 1.0})}' "
        "WHERE key = (SELECT min(key) FROM folds)",
    )
    with pytest.raises(CheckpointFormatError, match="differ in kind"):
        search.fit(*data)
    with pytest.raises(CheckpointFormatError, match="differ in kind"):
        read_results()


@pytest.mark.parametrize(
    "sample",
    [
        "no JSON",
        "1",
        "[[1], [1]]",
        '[["a"], ["a"], ["a"]]',
        f"[[{'9' * 400}], [1.0], [1.0]]",
        "[" * 100_000,
    ],
)
def test_a_wrong_sample_of_the_data_is_like_none(data, log, sample):
    """The search runs, and takes the data for other data."""
    search = ResumableGridSearchCV(fakes.Logged(log), {"value": [1.0]}, cv=2)
    change(
        search.fit(*data).resumption.checkpoint,
        f"UPDATE details SET text = '{sample}' WHERE part = 'sample' AND path = 'X'",
    )
    with pytest.warns(NothingReusedWarning, match="values differ"):
        assert search.fit(data[0] + 1e-12, data[1]).resumption.n_run == 2


def test_a_warning_holds_nothing_that_a_terminal_would_obey(data, log):
    """What has changed since is told in texts from the file."""
    estimator, grid = fakes.Logged(log), {"value": [1.0]}
    search = ResumableGridSearchCV(estimator, grid, cv=2).fit(*data)
    change(
        search.resumption.checkpoint,
        "UPDATE searches SET parts = json_set(parts, '$.splitter.cv[1]', "
        "char(27) || '[2J')",
    )
    with pytest.warns(NothingReusedWarning, match=r"'cv': \\x1b\[2J -> 3"):
        ResumableGridSearchCV(estimator, grid, cv=3).fit(*data)
