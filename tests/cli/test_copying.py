"""A checkpoint can be copied, also while a search writes to it."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from resumable_search import CheckpointLogWarning, read_results
from resumable_search._checkpoint.reader import CheckpointReader
from resumable_search._checkpoint.store import CheckpointStore
from tests.cli.conftest import search
from tests.conftest import assert_same_results
from tests.contracts.test_store import record
from tests.faults.checks import assert_sound

OLD = Path(__file__).parents[1] / "data" / "format-2.sqlite"


@pytest.fixture
def killed(tmp_path):
    """Give a checkpoint as a killed search has left it: all is in its -wal file."""
    store = CheckpointStore(tmp_path / "running.sqlite")
    store.save([record("fold")])
    path = tmp_path / "killed" / "checkpoint.sqlite"
    path.parent.mkdir()
    for ending in ("", "-wal"):
        shutil.copy(f"{store.path}{ending}", f"{path}{ending}")
    store.close()
    return path


def folds_in(path):
    """Return the keys of the folds that a search would find."""
    store = CheckpointStore(path)
    keys = [key for key in ("fold", "later") if store.find([key])]
    store.close()
    return keys


def test_a_copy_has_all_searches(cli, checkpoint, tmp_path, log):
    """It can be read, is whole, and a search goes on from it."""
    copy = tmp_path / "backup" / "monday.sqlite"
    assert f"to {copy}" in cli("copy", checkpoint, copy).stdout
    for number in (1, 2):
        assert_same_results(
            read_results(copy, search=number), read_results(checkpoint, search=number)
        )
    cli("verify", copy)
    assert search(copy, log, [1.0, 2.0]).resumption.n_run == 0


def test_a_copy_is_the_owner_s_alone(cli, checkpoint, tmp_path):
    cli("copy", checkpoint, tmp_path / "copy.sqlite")
    assert (tmp_path / "copy.sqlite").stat().st_mode & 0o777 == 0o600


def test_a_copy_beside_a_running_search_has_what_is_stored(cli, tmp_path):
    """And the search goes on as if nothing had been there."""
    store = CheckpointStore(tmp_path / "checkpoint.sqlite")
    store.save([record("fold")])
    cli("copy", store.path, tmp_path / "copy.sqlite")
    store.save([record("later")])
    store.close()
    assert folds_in(tmp_path / "copy.sqlite") == ["fold"]
    assert folds_in(store.path) == ["fold", "later"]
    assert_sound(tmp_path / "copy.sqlite")


def test_a_copy_has_what_a_killed_search_left_in_the_log(cli, killed, tmp_path):
    """No file but the copy is made, and none is changed."""
    before = {file: file.read_bytes() for file in killed.parent.glob("*[!m]")}
    target = tmp_path / "place"
    cli("copy", killed, target / "copy.sqlite")
    assert [file.name for file in target.iterdir()] == ["copy.sqlite"]
    assert folds_in(target / "copy.sqlite") == ["fold"]
    assert before == {file: file.read_bytes() for file in before}


def test_a_plain_copy_without_the_log_is_warned_of(killed):
    """The search begins anew, and says what may be missing. Here that is an error."""
    killed.with_name("checkpoint.sqlite-wal").unlink()
    make_older(killed)
    with pytest.raises(CheckpointLogWarning, match=r"without the file checkpoint\.sq"):
        folds_in(killed)
    assert folds_in(killed) == []  # once, also where warnings are errors


def test_a_checkpoint_that_another_process_makes_is_not_warned_of(killed):
    """For a moment it has no -wal file either. Warnings are errors in tests."""
    killed.with_name("checkpoint.sqlite-wal").unlink()
    assert folds_in(killed) == []


def make_older(path):
    """Have a file be written a minute ago."""
    before = path.stat().st_mtime - 60
    os.utime(path, (before, before))


def test_a_checkpoint_of_an_older_version_is_copied_as_it_is(cli, tmp_path):
    """So that it can be kept before the first fit changes its format."""
    source = tmp_path / "old.sqlite"
    shutil.copy(OLD, source)
    cli("copy", source, tmp_path / "copy.sqlite")
    db = sqlite3.connect(tmp_path / "copy.sqlite")
    assert db.execute("PRAGMA user_version").fetchone() == (2,)
    db.close()


def test_a_directory_gets_a_file_of_the_same_name(cli, checkpoint, tmp_path):
    """As with cp."""
    (tmp_path / "backups").mkdir()
    cli("copy", checkpoint, tmp_path / "backups")
    cli("verify", tmp_path / "backups" / checkpoint.name)


def test_a_file_that_is_there_is_kept_unless_asked_for(cli, checkpoint, tmp_path):
    """With --replace it is replaced by the whole copy."""
    target = tmp_path / "copy.sqlite"
    target.write_text("mine")
    assert "is there already" in cli("copy", checkpoint, target, code=1).stderr
    assert target.read_text() == "mine"
    cli("copy", checkpoint, target, "--replace")
    cli("verify", target)


def test_a_checkpoint_in_use_is_not_replaced(cli, checkpoint, tmp_path):
    """Its log would be taken for that of the copy."""
    store = CheckpointStore(tmp_path / "used.sqlite")
    store.save([record("fold")])
    result = cli("copy", checkpoint, store.path, "--replace", code=1)
    assert "a search writes to" in result.stderr
    store.close()
    assert folds_in(tmp_path / "used.sqlite") == ["fold"]


@pytest.mark.parametrize("options", [[], ["--replace"]])
@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_a_copy_does_not_have_the_name_of_a_log(cli, killed, options, ending):
    """The checkpoint's own, which is all that a killed search has left."""
    log = f"{killed}{ending}"
    assert "SQLite keeps" in cli("copy", killed, log, *options, code=1).stderr
    assert folds_in(killed) == ["fold"]


def test_a_copy_that_was_read_is_replaced(cli, checkpoint, tmp_path):
    """Who reads a file leaves an empty log beside it, or has it open still."""
    target = tmp_path / "copy.sqlite"
    cli("copy", checkpoint, target)
    cli("status", target)
    cli("verify", target)
    reader = CheckpointReader(target)
    cli("prune", checkpoint, "--search", 2, "--yes")
    cli("copy", checkpoint, target, "--replace")
    assert len(reader.searches()) == 2  # it goes on with the file of before
    reader.close()
    reader = CheckpointReader(target)
    assert len(reader.searches()) == 1
    reader.close()
    cli("verify", target)


def test_a_log_without_its_checkpoint_is_not_joined_by_a_copy(cli, checkpoint, killed):
    """SQLite would take it for that of the new file."""
    killed.unlink()
    cli("copy", checkpoint, killed, code=1)
    assert not killed.exists()


def test_a_directory_that_is_not_there_is_made(cli, checkpoint, tmp_path):
    """A slash at the end says that it is one."""
    cli("copy", checkpoint, f"{tmp_path}/new/")
    cli("verify", tmp_path / "new" / checkpoint.name)


@pytest.mark.parametrize("length", [252, 300])
def test_a_name_that_is_too_long_is_an_error(cli, checkpoint, tmp_path, length):
    """It says so, on one line."""
    result = cli("copy", checkpoint, tmp_path / ("x" * length), code=1)
    assert "too long" in result.stderr


@pytest.mark.parametrize("options", [[], ["--replace"]])
def test_a_checkpoint_is_not_copied_to_itself(cli, checkpoint, tmp_path, options):
    """By whatever name."""
    link = tmp_path / "link.sqlite"
    link.symlink_to(checkpoint)
    assert "itself" in cli("copy", checkpoint, link, *options, code=1).stderr
    cli("verify", checkpoint)


def test_what_is_no_checkpoint_is_not_copied(cli, tmp_path):
    """The error says what it is; no file is made."""
    (tmp_path / "text").write_text("no checkpoint, but long enough for a header" * 9)
    assert "not a checkpoint" in cli("copy", tmp_path / "text", "copy", code=1).stderr
    missing = cli("copy", tmp_path / "missing", tmp_path / "copy", code=1)
    assert "does not exist" in missing.stderr
    assert not (tmp_path / "copy").exists()


def test_a_copy_that_cannot_be_written_names_the_place(cli, checkpoint, tmp_path):
    """Here a file is where its directory would be."""
    (tmp_path / "file").write_text("")
    result = cli("copy", checkpoint, tmp_path / "file" / "copy.sqlite", code=1)
    assert f"{tmp_path / 'file' / 'copy.sqlite'} cannot be written" in result.stderr


def test_an_address_is_refused(cli, checkpoint):
    """It would make a directory named "s3:"."""
    result = cli("copy", checkpoint, "s3://bucket/copy.sqlite", code=1)
    assert "is an address" in result.stderr
