"""The parent is killed between any two steps of the store."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from resumable_search._checkpoint.store import CheckpointStore
from tests.contracts.test_store import DATA, record
from tests.faults import checks

pytestmark = pytest.mark.filterwarnings(
    # Killed before anything was stored: there is no -wal file either.
    "ignore::resumable_search.CheckpointLogWarning"
)

#: Kills its process before or after the n-th statement that SQLite is given.
STEPS = """
    import itertools, os, signal, sqlite3

    steps = itertools.count(1)

    def step():
        if next(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    class Stepwise(sqlite3.Connection):
        def execute(self, statement, *values):
            step()
            cursor = super().execute(statement, *values)
            if statement == "COMMIT":
                step()
            return cursor

        def executemany(self, statement, rows):
            step()
            return super().executemany(statement, rows)

        def close(self):
            step()
            super().close()
            step()

    connect = sqlite3.connect

    def connect_stepwise(*values, **options):
        step()
        return connect(*values, factory=Stepwise, **options)

    sqlite3.connect = connect_stepwise
"""

STORE = """
    import json, os, shutil, sys
    from pathlib import Path
    from resumable_search._checkpoint.store import CheckpointStore
    from tests.contracts.test_store import DATA, candidate, failed, record, search

    def work():
        store = CheckpointStore(Path("checkpoint.sqlite"))
        number = store.register(search())
        store.describe(number, [candidate(0)], [(0, 0, "a")], 1)
        store.save_random_state("cv", [1, 2])
        for i in range(3):
            store.save([record(f"{i}"), failed(key=f"failed {i}", error=str(i))])
            with open("saved", "a") as file:
                file.write(f"{i}\\n")
        store.close()

    old = sys.argv[1:] == ["old"]
    for kill_at in itertools.count(1):
        directory = Path(str(kill_at))
        directory.mkdir()
        if old:
            shutil.copy(DATA / "format-1.sqlite", directory / "checkpoint.sqlite")
        child = os.fork()
        if not child:
            os.chdir(directory)
            work()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            print(kill_at, status)
            break
"""


@pytest.mark.parametrize("start", ["new", "old"])
def test_a_store_killed_at_any_step_keeps_what_it_saved(tmp_path, start):
    """From making or migrating the file to closing it; and it works again after."""
    code = textwrap.dedent(STEPS) + textwrap.dedent(STORE)
    out = subprocess.run(
        [sys.executable, "-c", code, start],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    n_steps, status = map(int, out.stdout.split())
    assert status == 0
    assert n_steps > 40
    old_keys = keys_of(DATA / "format-1.sqlite") if start == "old" else set()
    for step in range(1, n_steps):
        directory = tmp_path / str(step)
        saved = directory / "saved"
        keys = {*old_keys, *(saved.read_text().split() if saved.exists() else [])}
        store = CheckpointStore(directory / "checkpoint.sqlite")
        assert set(store.find(keys)) == keys
        store.save([record("later")])
        store.close()
        checks.assert_sound(store.path)


def keys_of(path):
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as database:
        query = "SELECT key FROM folds WHERE state = 'done'"
        return {key for (key,) in database.execute(query)}


def kill_and_resume(directory, kill_at):
    """Give False if the search ended before that step."""
    child = checks.start(directory, f"kill_at = {kill_at}\n{textwrap.dedent(STEPS)}")
    out, errors = child.communicate(timeout=120)
    if child.returncode == 0:
        return False
    assert child.returncode == -signal.SIGKILL, errors
    checks.run_to_the_end(directory, out.count("saved"))
    return True


def test_a_search_killed_at_a_step_goes_on(tmp_path):
    """Each fold that was saved runs once; the results are scikit-learn's."""
    assert kill_and_resume(tmp_path / "search", 42)


@pytest.mark.faults
@pytest.mark.timeout(1800)
def test_a_search_killed_at_any_step_goes_on(tmp_path, capsys):
    """The same for every third step of a search; for all with EVERY_STEP=1."""
    n_done = 0
    stride = 1 if os.environ.get("EVERY_STEP") else 3
    with ThreadPoolExecutor(2) as threads:
        for first in range(1, 1000, 10 * stride):
            steps = range(first, first + 10 * stride, stride)
            directories = [tmp_path / str(step) for step in steps]
            results = list(threads.map(kill_and_resume, directories, steps))
            n_done += sum(results)
            if not all(results):
                break
    with capsys.disabled():
        print(f"{n_done} steps")
    assert n_done * stride > 40
