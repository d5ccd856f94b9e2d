"""What every checkpoint store must do."""

import math
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from resumable_search import (
    CheckpointError,
    CheckpointFormatError,
    CheckpointWriteError,
)
from resumable_search._checkpoint.reader import CheckpointReader
from resumable_search._checkpoint.schema import FORMAT
from resumable_search._checkpoint.store import CheckpointStore
from resumable_search._records import (
    CandidateRecord,
    FoldRecord,
    FoldState,
    SearchRecord,
)

#: A checkpoint of each past format.
DATA = Path(__file__).parent.parent / "data"


@pytest.fixture
def store(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoint.sqlite")
    yield store
    store.close()


def record(key="fold", scorer="accuracy", **values):
    return FoldRecord(
        **{
            "key": key,
            "scorer": scorer,
            "state": FoldState.DONE,
            "test_score": 0.5,
            "train_score": None,
            "n_test_samples": 10,
            "fit_time": 1.25,
            "score_time": 0.5,
            "versions": {"python": "3.11.7"},
            **values,
        }
    )


def failed(**values):
    return record(
        **{"state": FoldState.FAILED, "test_score": None, "error": "why", **values}
    )


def search(key="search", **values):
    return SearchRecord(
        **{
            "key": key,
            "family": "family",
            "kind": "ResumableGridSearchCV",
            "run": "run",
            "n_splits": 3,
            "n_candidates": 2,
            "scorers": {"accuracy": "accuracy"},
            "metric": "accuracy",
            "parts": {"estimator": {"C": ("key", "1.0")}},
            **values,
        }
    )


@pytest.mark.parametrize(
    "score",
    [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, math.inf, -math.inf, math.nan, 3],
)
def test_a_score_comes_back_bit_for_bit(store, score):
    """Floats, NaN and infinities are the same after a round trip."""
    store.save([record(test_score=score, train_score=score)])
    found = store.find(["fold"])["fold"]["accuracy"]
    for value in (found.test_score, found.train_score):
        assert str(value) == str(score)
        assert float(value).hex() == float(score).hex()


def test_the_scores_of_a_callable_come_back_as_a_dict(store):
    """A callable that gives several metrics is one scorer."""
    store.save([record(test_score={"a": 1.5, "b": math.nan})])
    found = store.find(["fold"])["fold"]["accuracy"].test_score
    assert found["a"] == 1.5
    assert math.isnan(found["b"])


def test_everything_saved_is_there_for_another_connection(store):
    """What save has returned from, another process sees."""
    records = [record(f"fold {i}", test_score=i) for i in range(2000)]
    store.save(records)
    other = CheckpointStore(store.path)
    found = other.find([record.key for record in records])
    assert [found[r.key]["accuracy"].test_score for r in records] == list(range(2000))
    other.close()


def test_a_finished_fold_is_never_changed(store):
    """Neither a second score nor a failure takes the place of the first score."""
    store.save([record(test_score=1.0)])
    store.save([record(test_score=2.0)])
    store.save([failed()])
    assert store.find(["fold"])["fold"]["accuracy"].test_score == 1.0


def test_train_scores_can_join_a_finished_fold(store):
    """They are added, and the test score stays."""
    store.save([record(test_score=1.0)])
    store.save([record(test_score=2.0, train_score=3.0)])
    found = store.find(["fold"])["fold"]["accuracy"]
    assert (found.test_score, found.train_score) == (1.0, 3.0)


def test_a_failed_fold_is_not_found_and_can_be_finished(store):
    """A failure is recorded, and the next score takes its place."""
    store.save([failed()])
    assert store.find(["fold"]) == {}
    store.save([record(test_score=1.0, attempts=2)])
    assert store.find(["fold"])["fold"]["accuracy"].attempts == 3


def test_a_fold_that_warned_can_be_done_again_under_other_filters(store):
    """It is replaced by what is done, not by what fails."""
    store.save([record(test_score=1.0, warned=True)])
    store.save([failed(error_filters="error")])
    assert store.find(["fold"])["fold"]["accuracy"].test_score == 1.0
    store.save([record(test_score=2.0, warned=True, error_filters="error")])
    store.save([record(test_score=3.0, error_filters="error")])
    found = store.find(["fold"])["fold"]["accuracy"]
    assert (found.test_score, found.attempts) == (2.0, 1)
    assert found.holds_under("error")
    assert not found.holds_under("")


def test_a_fold_that_did_not_warn_stays_under_other_filters(store):
    """Nothing depends on them."""
    store.save([record(test_score=1.0)])
    store.save([record(test_score=2.0, error_filters="error")])
    found = store.find(["fold"])["fold"]["accuracy"]
    assert found.test_score == 1.0
    assert found.holds_under("error")


def test_equal_errors_are_stored_once(store):
    """A thousand folds with the same traceback do not fill the disk."""
    store.save([failed(key=f"fold {i}", error="x" * 10_000) for i in range(1000)])
    database = sqlite3.connect(store.path)
    assert database.execute("SELECT count(*) FROM errors").fetchone() == (1,)
    database.close()


def test_a_save_is_all_or_nothing(store):
    """If one record cannot be stored, none of them is."""
    with pytest.raises(Exception, match="float"):
        store.save([record("good"), record("bad", test_score=object())])
    assert store.find(["good", "bad"]) == {}
    store.save([record("good")])
    assert set(store.find(["good"])) == {"good"}


def test_scores_of_several_scorers_stand_side_by_side(store):
    """One fold can have a score for each of several scorers."""
    store.save([record(scorer="accuracy"), record(scorer="f1", test_score=0.25)])
    found = store.find(["fold"])["fold"]
    assert {name: r.test_score for name, r in found.items()} == {
        "accuracy": 0.5,
        "f1": 0.25,
    }


def test_searches_come_back_last_started_first(store):
    """A search that is started again moves to the front and keeps its number."""
    first = store.register(search("a"))
    store.register(search("b"))
    assert [s.key for s in store.searches()] == ["b", "a"]
    assert store.register(search("a", run="later")) == first
    assert [(s.key, s.run) for s in store.searches()] == [("a", "later"), ("b", "run")]
    assert store.searches()[0].parts == search().parts


def candidate(position, **values):
    return CandidateRecord(
        position=position,
        round=0,
        key=f"candidate {position}",
        parameters={"C": ("0.1", 0.1), "kernel": ("function rbf",)},
        **values,
    )


def test_candidates_and_splits_come_back_in_their_order(store):
    """Whatever the order in which they were described; plain values as they are."""
    number = store.register(search())
    store.describe(number, [candidate(1)], [(0, 1, "b")], 2)
    store.describe(number, [candidate(0)], [(0, 0, "a"), (1, 0, "c")], 3)
    found = store.candidates(number)
    assert [c.position for c in found] == [0, 1]
    assert found[0].values() == {"C": 0.1, "kernel": "function rbf"}
    assert store.splits(number) == {0: {0: "a", 1: "b"}, 1: {0: "c"}}
    assert store.searches()[0].n_candidates == 3


def test_where_and_when_a_fold_ran_comes_back(store):
    """With the failed ones and their errors, for those who look on."""
    store.save([failed(started=1.5, worker=3, device="GPU-8f")])
    found = store.find_all(["fold"])["fold"]["accuracy"]
    assert (found.started, found.worker, found.device) == (1.5, 3, "GPU-8f")
    assert (found.state, found.error) == (FoldState.FAILED, "why")
    assert found.finished > found.started


def test_a_reader_sees_what_was_saved_and_changes_nothing(store):
    """While the file is open to be written."""
    store.save([record()])
    before = store.path.read_bytes()
    reader = CheckpointReader(store.path)
    assert set(reader.find(["fold"])) == {"fold"}
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._db.execute("DELETE FROM folds")
    reader.close()
    assert store.path.read_bytes() == before


@pytest.mark.parametrize("place", ["missing.sqlite", "."])
def test_a_reader_makes_no_file(tmp_path, place):
    """What is not there is an error."""
    with pytest.raises(CheckpointError, match=r"does not exist|is a directory"):
        CheckpointReader(tmp_path / place)
    assert list(tmp_path.iterdir()) == []


def test_the_first_random_state_is_kept(store):
    """A state that is there is not replaced."""
    assert store.random_state("cv") is None
    store.save_random_state("cv", {"pos": 1})
    store.save_random_state("cv", {"pos": 2})
    assert store.random_state("cv") == {"pos": 1}


def test_the_file_is_readable_by_its_owner_alone(store):
    """Nobody else on the machine can read scores or parameters."""
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_commits_are_synced(store):
    """SQLite waits for the disk at each commit, in write-ahead mode."""
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_file_holds_no_pickle(store):
    """All text in the file is JSON or plain; nothing in it can run."""
    store.save([record(), failed(key="other")])
    store.register(search())
    store.save_random_state("cv", {"pos": 1})
    database = sqlite3.connect(store.path)
    tables = database.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table'"
    ).fetchall()
    for (table,) in tables:
        for row in database.execute(f"SELECT * FROM {table}"):
            assert not any(isinstance(value, bytes) for value in row)
    database.close()


# ---------------------------------------------------------------------------
# Files that cannot be used


def schema(path):
    database = sqlite3.connect(path)
    rows = database.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2")
    found = rows.fetchall()
    database.close()
    return found


def test_format_1_is_brought_up_to_date(store, tmp_path):
    """Its folds are found, and its tables are those of a new file."""
    path = tmp_path / "old.sqlite"
    shutil.copy(DATA / "format-1.sqlite", path)
    old = CheckpointStore(path)
    trees, machines = old.searches()
    assert (machines.n_candidates, machines.n_splits) == (6, 3)
    assert list(machines.scorers) == ["accuracy", "f1_macro"]
    assert [c.position for c in old.candidates(trees.number)] == [0, 1, 2]
    assert old.splits(trees.number).keys() == {0}
    (keys,) = zip(*old._db.execute("SELECT DISTINCT key FROM folds"), strict=True)
    assert len(old.find(keys)) == 22  # two failed
    assert old._db.execute("PRAGMA foreign_key_check").fetchall() == []
    old.close()
    assert schema(path) == schema(store.path)


def test_format_2_is_brought_up_to_date(store, tmp_path):
    """Its folds are found, and its searches are marked as keyed by older rules."""
    path = tmp_path / "old.sqlite"
    shutil.copy(DATA / "format-2.sqlite", path)
    old = CheckpointStore(path)
    assert [search.is_outdated for search in old.searches()] == [True, True]
    old.register(search())
    assert [s.is_outdated for s in old.searches()] == [False, True, True]
    assert [len(old.candidates(number)) for number in (1, 2)] == [2, 3]
    (keys,) = zip(*old._db.execute("SELECT DISTINCT key FROM folds"), strict=True)
    assert sum(map(len, old.find(keys).values())) == 14  # of 18; four failed
    assert old._db.execute("PRAGMA foreign_key_check").fetchall() == []
    old.close()
    assert schema(path) == schema(store.path)


def test_a_warning_tells_of_a_search_once(store):
    """Whoever asks first is to give it."""
    store.register(search("a"))
    store.register(search("b"))
    b, a = store.searches()
    assert store.tell_of([a]) == {a.number}
    assert store.tell_of([a, b]) == {b.number}
    assert store.tell_of([a, b]) == set()


def test_details_come_back_and_are_replaced(store):
    """Those of a search that is started again are those of now."""
    number = store.register(search(details={"code": {"f": ("1", "function f")}}))
    assert store.details(number) == {"code": {"f": ("1", "function f")}}
    store.register(search(details={"code": {"g": ("2", "function g")}}))
    assert store.details(number) == {"code": {"g": ("2", "function g")}}


@pytest.mark.parametrize("version", [1, 2])
def test_a_reader_leaves_an_older_format_alone_and_says_what_to_do(tmp_path, version):
    """Whoever looks on changes nothing."""
    path = tmp_path / "old.sqlite"
    shutil.copy(DATA / f"format-{version}.sqlite", path)
    before = path.read_bytes()
    with pytest.raises(CheckpointFormatError, match=rf"format {version}.*Call fit"):
        CheckpointReader(path)
    assert path.read_bytes() == before


def test_a_newer_format_is_refused_and_untouched(store):
    """The message names both formats and the remedy; the file stays as it is."""
    path = store.path
    store._db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    store.close()
    before = path.read_bytes()
    with pytest.raises(CheckpointFormatError, match=rf"format {FORMAT + 1}.*Upgrade"):
        CheckpointStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"my notes", b"\x00" * 5000, b"SQLite format 3\0"])
def test_a_file_that_is_no_checkpoint_is_refused_and_untouched(tmp_path, content):
    """Somebody's file is never overwritten."""
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(
        CheckpointFormatError, match=r"not a checkpoint.*notes\.txt|notes\.txt is not"
    ):
        CheckpointStore(path)
    assert path.read_bytes() == content


def test_the_database_of_another_program_is_refused_and_untouched(tmp_path):
    """An SQLite file that is not ours is left alone."""
    path = tmp_path / "other.sqlite"
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE folds (key)")
    database.commit()
    database.close()
    before = path.read_bytes()
    with pytest.raises(CheckpointFormatError, match="of another program"):
        CheckpointStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(store, share):
    """A file whose end is missing is an error that says so, not a fresh start."""
    store.save([record(f"fold {i}") for i in range(3000)])
    path = store.path
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointFormatError, match="damaged"):
        CheckpointStore(path)


def test_a_directory_is_refused(tmp_path):
    """The error shows a path that would do."""
    with pytest.raises(
        CheckpointFormatError, match=r"is a directory.*checkpoint.sqlite"
    ):
        CheckpointStore(tmp_path)


def test_a_place_that_cannot_be_written_is_an_error_at_once():
    """Before any fold runs."""
    with pytest.raises(CheckpointWriteError, match="No fold has been run"):
        CheckpointStore(Path("/proc/checkpoint.sqlite"))


def test_a_full_disk_is_named_and_keeps_what_was_stored(store):
    """The error says that the disk is full, and earlier folds are still there."""
    store.save([record("early")])
    (n_pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {n_pages}")
    with pytest.raises(CheckpointWriteError, match="is full"):
        store.save([record(f"late {i}") for i in range(2000)])
    assert set(store.find(["early", "late 0"])) == {"early"}
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.save([record("later")])
    assert set(store.find(["early", "later"])) == {"early", "later"}


def test_an_empty_file_becomes_a_checkpoint(tmp_path):
    """As from a process that was killed before it wrote anything."""
    path = tmp_path / "checkpoint.sqlite"
    path.touch()
    store = CheckpointStore(path)
    store.save([record()])
    assert store.find({record().key})
    store.close()


WRITER = """
    import sys
    from pathlib import Path
    from resumable_search._records import FoldRecord, FoldState
    from resumable_search._checkpoint.store import CheckpointStore

    store = CheckpointStore(Path(sys.argv[1]))
    print("open", flush=True)
    for i in range(10_000):
        store.save([FoldRecord(
            key=str(i), scorer="s", state=FoldState.DONE, test_score=i,
            train_score=None, n_test_samples=1, fit_time=0.0, score_time=0.0,
        )])
        print(i, flush=True)
"""


def test_what_was_saved_before_a_kill_is_there(tmp_path):
    """After a SIGKILL the file has all that save returned from, and is sound."""
    path = tmp_path / "checkpoint.sqlite"
    writer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    seen = -1
    for line in writer.stdout:
        if line.strip() != "open":
            seen = int(line)
        if seen == 50:
            writer.kill()
            break
    for line in writer.stdout:
        seen = int(line)
    writer.communicate()
    store = CheckpointStore(path)
    found = store.find([str(i) for i in range(seen + 1)])
    assert [found[str(i)]["s"].test_score for i in range(seen + 1)] == list(
        range(seen + 1)
    )
    assert store._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()


def test_two_processes_can_write_to_one_file(tmp_path):
    """Different searches may share a checkpoint at the same time."""
    path = tmp_path / "checkpoint.sqlite"
    one, other = CheckpointStore(path), CheckpointStore(path)
    one.save([record("one")])
    other.save([record("other")])
    assert set(one.find(["one", "other"])) == {"one", "other"}
    one.close()
    other.close()


def test_all_errors_of_the_checkpoint_have_one_base():
    """A user can catch them all at once."""
    assert issubclass(CheckpointFormatError, CheckpointError)
    assert issubclass(CheckpointWriteError, CheckpointError)


def test_a_copy_without_the_log_beside_it_says_what_is_missing(store, tmp_path):
    """What was saved last is in that file until the store is closed."""
    store.save([record()])
    copy = tmp_path / "copy.sqlite"
    shutil.copy(store.path, copy)
    with pytest.raises(CheckpointFormatError, match="copy both"):
        CheckpointReader(copy)
    shutil.copy(f"{store.path}-wal", f"{copy}-wal")
    reader = CheckpointReader(copy)
    assert list(reader.find(["fold"])) == ["fold"]
    reader.close()
