"""A checkpoint that is deleted or replaced while a search writes to it."""

import shutil
import sqlite3
import warnings

import pytest

from resumable_search import (
    CheckpointFormatError,
    CheckpointRestoredWarning,
    CheckpointWriteError,
)
from resumable_search._checkpoint.store import CheckpointStore
from tests.contracts.test_store import record
from tests.faults.checks import assert_sound


@pytest.fixture
def store(tmp_path):
    """Give a store with a fold, in a directory of its own."""
    directory = tmp_path / "place"
    directory.mkdir()
    store = CheckpointStore(directory / "checkpoint.sqlite")
    store.save([record("early")])
    yield store
    store.close()


def remove(path, what):
    if what == "directory":
        shutil.rmtree(path.parent)
        return
    for ending in what.split(", "):
        path.with_name(f"{path.name}{ending.removeprefix('file')}").unlink()


def assert_all_there(path, keys):
    """Have another connection see the folds, when the store is closed too."""
    other = CheckpointStore(path)
    assert set(other.find(keys)) == set(keys)
    other.close()
    assert_sound(path)


WHAT = ["file", "file, -wal, -shm", "directory", "-wal", "-shm", "-wal, -shm"]


@pytest.mark.parametrize("what", WHAT)
def test_what_is_deleted_is_there_again_after_the_next_save(store, what):
    """With all that was saved, and a warning; nothing else is left beside it."""
    remove(store.path, what)
    with pytest.warns(CheckpointRestoredWarning, match=r"deleted while a search"):
        store.save([record("late")])
    assert set(store.find(["early", "late"])) == {"early", "late"}
    assert_all_there(store.path, ["early", "late"])
    store.save([record("later")])
    store.close()
    assert [file.name for file in store.path.parent.iterdir()] == ["checkpoint.sqlite"]
    assert_all_there(store.path, ["early", "late", "later"])


@pytest.mark.parametrize("what", WHAT)
def test_what_is_deleted_during_a_commit_is_there_after_it(store, what):
    """The place is looked at before and after."""

    class Removes(dict):
        """Versions of a fold, which are read in the middle of a transaction."""

        def items(self):
            remove(store.path, what)
            return super().items()

    with pytest.warns(CheckpointRestoredWarning):
        store.save([record("late", versions=Removes(python="3"))])
    store.close()
    assert_all_there(store.path, ["early", "late"])


@pytest.mark.parametrize("what", WHAT)
def test_what_is_deleted_after_the_last_save_is_there_in_the_end(store, what):
    """Closing looks too."""
    remove(store.path, what)
    with pytest.warns(CheckpointRestoredWarning):
        store.close()
    assert_all_there(store.path, ["early"])


def test_no_fold_is_lost_where_the_warning_is_an_error(store):
    """It comes when everything is in its place."""
    remove(store.path, "file")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(CheckpointRestoredWarning):
            store.save([record("late")])
    assert_all_there(store.path, ["early", "late"])


@pytest.mark.parametrize("with_log", [False, True])
def test_a_file_in_its_place_is_never_touched(store, tmp_path, with_log):
    """The folds are in a new file, which the error names."""
    path = store.path
    other = CheckpointStore(tmp_path / "other.sqlite")
    other.save([record("other")])
    if not with_log:
        other.close()
    names = [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
    for name in names:
        source = tmp_path / f"other.sqlite{name.name.removeprefix(path.name)}"
        name.unlink()
        if source.exists():
            shutil.copy(source, name)
    other.close()
    before = {name: name.read_bytes() for name in names if name.exists()}
    with pytest.raises(CheckpointWriteError, match=r"not touched.*rescued-1") as caught:
        store.save([record("late")])
    store.close()
    assert {name: name.read_bytes() for name in names if name.exists()} == before
    rescued = path.with_name("checkpoint-rescued-1.sqlite")
    assert str(rescued) in str(caught.value)
    assert_all_there(rescued, ["early"])


def test_a_file_that_is_no_checkpoint_in_its_place_is_never_touched(store):
    """Nor is it read."""
    store.path.unlink()
    store.path.write_text("my notes")
    with pytest.raises(CheckpointWriteError, match="rescued-1"):
        store.save([record("late")])
    store.close()
    assert store.path.read_text() == "my notes"
    with pytest.raises(CheckpointFormatError):
        CheckpointStore(store.path)


def test_a_place_that_cannot_be_written_is_an_error_that_says_so(store, tmp_path):
    """A file stands where the directory was."""
    shutil.rmtree(store.path.parent)
    store.path.parent.write_text("in the way")
    with pytest.raises(CheckpointWriteError, match="cannot be written again"):
        store.save([record("late")])
    store.path.parent.unlink()
    with pytest.warns(CheckpointRestoredWarning):
        store.close()
    assert_all_there(store.path, ["early"])


def test_the_file_behind_a_link_is_what_counts(tmp_path):
    """A link that is gone is no reason to write the file again."""
    link = tmp_path / "link.sqlite"
    link.symlink_to(tmp_path / "checkpoint.sqlite")
    store = CheckpointStore(link)
    link.unlink()
    store.save([record("late")])
    store.close()
    assert not link.exists()
    assert_all_there(tmp_path / "checkpoint.sqlite", ["late"])


def test_reading_goes_on_without_the_file(store):
    """It is open."""
    remove(store.path, "file, -wal, -shm")
    assert set(store.find(["early"])) == {"early"}
    with pytest.warns(CheckpointRestoredWarning):
        store.close()


def test_others_may_write_to_the_file_all_the_while(store):
    """What others do to it is no replacing."""
    other = CheckpointStore(store.path)
    other.save([record("other")])
    store.save([record("late")])
    other.close()
    database = sqlite3.connect(store.path)
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    store.save([record("later")])
    store.close()
    assert_all_there(store.path, ["early", "other", "late", "later"])
