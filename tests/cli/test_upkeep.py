"""Searches can be taken out of a checkpoint, and the file can be checked."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from resumable_search import read_results
from resumable_search._checkpoint.fold_folders import FoldFolders
from resumable_search._checkpoint.locks import SearchLock, find_holder
from resumable_search._checkpoint.reader import CheckpointReader
from resumable_search._checkpoint.store import CheckpointStore
from resumable_search._keys.digests import fold_key
from tests.cli.conftest import FailsAboveTwo, search
from tests.conftest import assert_same_results


def query(path, statement, *values):
    db = sqlite3.connect(path)
    with db:
        rows = db.execute(statement, values).fetchall()
    db.close()
    return rows


def count(path, table):
    return query(path, f"SELECT count(*) FROM {table}")[0][0]


def record_of(path, number):
    reader = CheckpointReader(path)
    found = next(s for s in reader.searches() if s.number == number)
    reader.close()
    return found


def test_prune_removes_a_search_and_what_only_it_uses(cli, checkpoint):
    """Folds, errors, versions, candidates and splits."""
    result = cli("prune", checkpoint, "--search", 2, "--yes")
    assert "6 folds that no other search uses" in result.stdout
    assert "Removed 1 search and 6 folds." in result.stdout
    assert query(checkpoint, "SELECT id FROM searches") == [(1,)]
    assert count(checkpoint, "folds") == 4
    assert count(checkpoint, "errors") == 0
    assert count(checkpoint, "candidates") == 2
    assert count(checkpoint, "splits") == 2
    assert count(checkpoint, "environments") == 1  # of the folds that stay
    cli("verify", checkpoint)


def test_what_is_pruned_runs_again_and_the_rest_does_not(cli, checkpoint, log):
    """The other search resumes as if nothing had been there."""
    cli("prune", checkpoint, "--search", 2, "--yes")
    assert search(checkpoint, log, [1.0, 2.0]).resumption.n_resumed == 4
    again = search(checkpoint, log, [1.0, 3.0, 2.0], estimator=FailsAboveTwo)
    assert again.resumption.n_run == 6


def test_folds_that_another_search_uses_stay(cli, tmp_path, log):
    """A smaller grid can go without harm to the larger one."""
    path = tmp_path / "shared.sqlite"
    search(path, log, [1.0, 2.0])
    larger = search(path, log, [1.0, 2.0, 3.0])
    before = read_results(path)
    text = cli("prune", path, "--search", 1, "--yes").stdout
    assert "0 folds that no other search uses" in text
    assert "4 folds that other searches use" in text
    assert_same_results(read_results(path), before)
    assert_same_results(
        search(path, log, [1.0, 2.0, 3.0]).cv_results_, larger.cv_results_
    )


def test_scores_that_only_the_pruned_search_used_go(cli, tmp_path, log):
    """Of a fold that two searches scored, each by a scorer of its own."""
    path = tmp_path / "scorers.sqlite"
    search(path, log, [1.0], scoring="accuracy")
    search(path, log, [1.0], scoring="f1")
    cli("prune", path, "--search", 2, "--yes")
    left = {scorer for (scorer,) in query(path, "SELECT scorer FROM folds")}
    assert left == set(record_of(path, 1).scorers.values())


def test_prune_makes_the_file_smaller(cli, tmp_path, log):
    """What is free goes back to the disk, and it says how much."""
    path = tmp_path / "large.sqlite"
    search(path, log, [1.0])
    search(path, log, [float(i) for i in range(2, 250)])
    before = path.stat().st_size
    text = cli("prune", path, "--search", 2, "--yes").stdout
    assert path.stat().st_size < before / 2
    assert "kB freed." in text


def test_files_of_unfinished_folds_go_with_them(cli, checkpoint):
    """Those of other searches stay."""
    folders = {}
    for number in (1, 2):
        reader = CheckpointReader(checkpoint)
        record = next(s for s in reader.searches() if s.number == number)
        candidate = reader.candidates(number)[0]
        split = reader.splits(number)[0][0]
        reader.close()
        key = fold_key(record.family, candidate.key, split)
        folders[number] = FoldFolders(checkpoint).of(key)
        folders[number].mkdir(parents=True)
        (folders[number] / "state").write_bytes(b"x" * 5000)
    text = cli("prune", checkpoint, "--search", 2, "--yes").stdout
    assert "1 directory with files of unfinished fits" in text
    assert not folders[2].exists()
    assert (folders[1] / "state").exists()


def test_random_states_stay(cli, checkpoint):
    """The same search, fitted again, draws the same."""
    n_states = count(checkpoint, "random_states")
    assert n_states > 0
    cli("prune", checkpoint, "--search", 2, "--yes")
    assert count(checkpoint, "random_states") == n_states


def test_prune_asks_first(cli, checkpoint):
    """It shows what would go; nothing does without a yes."""
    result = cli("prune", checkpoint, "--search", 1, input="n\n", code=1)
    assert "search 1: ResumableGridSearchCV of " in result.stdout
    assert "Remove this? [y/N]" in result.stdout
    assert count(checkpoint, "searches") == 2
    cli("prune", checkpoint, "--search", 1, input="y\n")
    assert count(checkpoint, "searches") == 1


def test_all_but_the_last_search(cli, checkpoint):
    """The one that was started last stays, whatever its number."""
    log = checkpoint.with_name("fits.log")
    search(checkpoint, log, [1.0, 2.0])  # number 1 again
    cli("prune", checkpoint, "--all-but-last", "--yes")
    assert query(checkpoint, "SELECT id FROM searches") == [(1,)]
    text = cli("prune", checkpoint, "--all-but-last", "--yes").stdout
    assert text == "There is no search but the one that was started last.\n"


@pytest.mark.parametrize("arguments", [[], ["--search", "1", "--all-but-last"]])
def test_prune_wants_to_be_told_what(cli, checkpoint, arguments):
    """It never guesses what shall go."""
    result = cli("prune", checkpoint, *arguments, "--yes", code=2)
    assert "Give one of --search N, --all-but-last, --outdated." in result.stderr


def test_a_running_search_is_not_pruned(cli, checkpoint):
    """Nor are others that should go with it."""
    lock = SearchLock(checkpoint, record_of(checkpoint, 1).key)
    lock.acquire()
    try:
        for arguments in (["--search", 1], ["--all-but-last"]):
            result = cli("prune", checkpoint, *arguments, "--yes", code=1)
            assert "Search 1 is running, in process" in result.stderr
            assert "To be removed" not in result.stdout
        assert count(checkpoint, "searches") == 2
        cli("prune", checkpoint, "--search", 2, "--yes")
    finally:
        lock.release()


def test_a_search_that_starts_while_somebody_thinks_is_not_pruned(
    cli, checkpoint, monkeypatch
):
    """The lock is taken for the deletion itself."""
    key = record_of(checkpoint, 1).key
    lock = SearchLock(checkpoint, key)

    def confirm(text, abort):
        lock.acquire()

    monkeypatch.setattr("click.confirm", confirm)
    result = cli("prune", checkpoint, "--search", 1, code=1)
    lock.release()
    assert "This search is already running" in result.stderr
    assert count(checkpoint, "searches") == 2
    assert count(checkpoint, "folds") == 10


def test_who_looks_at_a_lock_does_not_take_it(checkpoint):
    """Nobody holds it before, and nobody after."""
    key = record_of(checkpoint, 1).key
    assert find_holder(checkpoint, key) is None
    lock = SearchLock(checkpoint, key)
    lock.acquire()
    holder = find_holder(checkpoint, key)
    assert holder is not None
    assert holder.is_running
    lock.release()
    assert find_holder(checkpoint, key) is None


def test_verify_finds_nothing_in_what_searches_write(cli, checkpoint):
    """Exit code 0."""
    assert cli("verify", checkpoint).stdout == f"{checkpoint} is whole.\n"


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE folds SET test_score = '{'", "fold"),
        ("UPDATE folds SET test_score = '[1]'", "expected a number"),
        ("UPDATE folds SET test_score = NULL WHERE state = 'done'", "table 'folds'"),
        ("UPDATE folds SET error = NULL WHERE state = 'failed'", "has no error"),
        ("UPDATE folds SET error = 99 WHERE state = 'failed'", "refers to one of"),
        ("UPDATE searches SET scorers = '{}'", "it has no scorer"),
        ("UPDATE searches SET parts = '{}'", "it has no estimator"),
        ("UPDATE searches SET parts = 'x'", "searches: "),
        ("UPDATE searches SET n_candidates = 0", "there are only 0 candidates"),
        ("UPDATE searches SET key = '../' || id", "is no key"),
        ("UPDATE candidates SET parameters = '{\"a\": [1]}'", "table 'candidates'"),
        ("UPDATE details SET text = x'00'", "table 'details'"),
        ("DELETE FROM splits", "no split of its round 0"),
        ("INSERT INTO random_states VALUES ('k', 'x')", "random state k: "),
    ],
)
def test_verify_tells_what_is_wrong(cli, checkpoint, statement, problem):
    """A line for each thing; exit code 1. The file stays as it is."""
    query(checkpoint, statement)
    content = checkpoint.read_bytes()
    result = cli("verify", checkpoint, code=1)
    assert problem in result.stdout
    assert "Restore it from a copy" in result.stderr
    assert checkpoint.read_bytes() == content


def test_verify_finds_pages_that_are_not_what_they_were(cli, checkpoint):
    """SQLite's own check is a part of it."""
    content = bytearray(checkpoint.read_bytes())
    page = 4096
    for start in range(page, len(content), page):
        content[start + page - 40 : start + page - 8] = b"\xff" * 32
    checkpoint.write_bytes(content)
    for name in ("-wal", "-shm"):
        checkpoint.with_name(f"{checkpoint.name}{name}").unlink(missing_ok=True)
    result = cli("verify", checkpoint, code=1)
    assert result.stdout or "damaged" in result.stderr


def test_verify_of_something_else(cli, tmp_path):
    """What is no checkpoint, not whole, or not there: one line, exit code 1."""
    path = tmp_path / "other"
    path.write_text("This is no database, but it is long enough to be one." * 40)
    assert "is not a checkpoint" in cli("verify", path, code=1).stderr
    assert "does not exist" in cli("verify", tmp_path / "none", code=1).stderr
    assert "is a directory" in cli("verify", tmp_path, code=1).stderr


def test_a_cut_off_file_is_told(cli, checkpoint, tmp_path):
    """By verify as by any other command."""
    short = tmp_path / "short.sqlite"
    shutil.copy(checkpoint, short)
    with short.open("r+b") as file:
        file.truncate(checkpoint.stat().st_size // 2)
    for command in ("verify", "status", "list"):
        result = cli(command, short, code=1)
        assert "is not a checkpoint, or is damaged" in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.fixture
def old(tmp_path):
    """Give a checkpoint of format 2, brought up to date, with two old searches."""
    path = tmp_path / "old.sqlite"
    shutil.copy(Path(__file__).parent.parent / "data" / "format-2.sqlite", path)
    CheckpointStore(path).close()
    return path


def test_scores_that_are_not_used_any_more_are_marked(cli, old):
    """By all commands that show them or check the file."""
    assert "Scores of the searches 1, 2: of an older version" in cli(
        "verify", old
    ).stdout.replace("\n", " ")
    assert "not to be trusted" in " ".join(cli("status", old).stdout.split())
    assert json.loads(cli("status", old, "--json").stdout)["is_outdated"] is True
    assert "not to be trusted" in cli("results", old).stderr


def test_prune_removes_what_is_not_used_any_more(cli, old, log):
    """And leaves the searches of now."""
    search(old, log, [1.0])
    cli("prune", old, "--outdated", "--yes")
    assert query(old, "SELECT id FROM searches") == [(3,)]
    assert count(old, "folds") == 2
    assert "no search of an older version" in cli("prune", old, "--outdated").stdout
    assert "not to be trusted" not in cli("status", old).stdout
