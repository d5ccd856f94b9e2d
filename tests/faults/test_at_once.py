"""Processes that start searches on one checkpoint in the same moment."""

import pickle
import subprocess
import textwrap
import time

import psutil
import pytest

from tests import fakes
from tests.conftest import assert_same_results
from tests.faults import checks
from tests.helpers import interpreters

pytestmark = pytest.mark.filterwarnings(
    # Killed before anything was stored: there is no -wal file either.
    "ignore::resumable_search.CheckpointLogWarning"
)

# Waits until as many processes are at this point.
TOGETHER = """
    import os, time
    from pathlib import Path
    import resumable_search, sklearn.svm
    from tests import fakes

    Path(os.environ["MEETING"], str(os.getpid())).touch()
    while len(os.listdir(os.environ["MEETING"])) < int(os.environ["N_PROCESSES"]):
        time.sleep(0.005)
"""


def start_together(tmp_path, directories, seconds, **variables):
    (tmp_path / "meeting").mkdir()
    return [
        checks.start(
            directory,
            TOGETHER,
            MEETING=tmp_path / "meeting",
            N_PROCESSES=len(directories),
            SECONDS=each,
            **variables,
        )
        for directory, each in zip(directories, seconds, strict=True)
    ]


@pytest.fixture
def run_many(tmp_path):
    """Give a function that runs code in several processes; none of them is left."""
    processes = []

    def run_many(n_processes, code, *arguments):
        command = ["-c", textwrap.dedent(code), *map(str, arguments)]
        for _ in range(n_processes):
            process = interpreters.start(
                command,
                cwd=tmp_path,
                env=checks.environment(),
                stderr=subprocess.PIPE,
                text=True,
            )
            processes.append(process)
        return processes

    yield run_many
    for process in processes:
        with process:
            process.kill()


@pytest.mark.parametrize("n", [2, pytest.param(8, marks=pytest.mark.faults)])
def test_of_the_same_search_started_at_once_one_runs(tmp_path, n):
    """The others say who it is; each fold runs once; all of it is used later."""
    directory = tmp_path / "search"
    seconds = 0.5
    processes = start_together(tmp_path, [directory] * n, [seconds] * n)
    ended = [(p.communicate(timeout=200), p.returncode, p.pid) for p in processes]
    (winner,) = [pid for _, code, pid in ended if code == 0]
    for (_, errors), code, _ in ended:
        if code:
            assert "CheckpointLockedError: This search is already running" in errors
            assert f"in process {winner} on" in errors
    assert len(fakes.fits(directory / "fits.log")) == checks.N_FOLDS
    n_kept = checks.run_to_the_end(directory, checks.N_FOLDS, SECONDS=seconds)
    assert n_kept == checks.N_FOLDS


@pytest.mark.faults
def test_different_searches_can_begin_one_checkpoint_at_once(tmp_path):
    """One of them makes the file; all of them write to it, and all succeed."""
    directories = [tmp_path / str(i) for i in range(8)]
    path = tmp_path / "checkpoint.sqlite"
    # What a fit takes is a parameter, which makes them different.
    seconds = [i / 1000 for i in range(8)]
    # Whoever comes later is told that the folds of the others are of no use to it.
    variables = {"CHECKPOINT": path, "PYTHONWARNINGS": "default"}
    processes = start_together(tmp_path, directories, seconds, **variables)
    for process in processes:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors
    for directory in directories:
        results = pickle.loads((directory / "results.pickle").read_bytes())
        assert_same_results(results, checks.expected_results())
    checks.assert_sound(path)


OPEN = """
    import os, sys, time
    from pathlib import Path
    from resumable_search._checkpoint.store import CheckpointStore
    from tests.contracts.test_store import record

    for i in range(int(sys.argv[1])):
        while not Path(f"go-{i}").exists():
            time.sleep(0.0005)
        store = CheckpointStore(Path(f"{i}.sqlite"))
        store.save([record(str(os.getpid()))])
        store.close()
        Path(f"done-{i}-{os.getpid()}").touch()
"""


def test_processes_can_make_one_checkpoint_at_once(run_many, tmp_path):
    """Whoever comes first, all of them can write to it."""
    n_processes, n_rounds = 4, 20
    processes = run_many(n_processes, OPEN, n_rounds)
    for i in range(n_rounds):
        (tmp_path / f"go-{i}").touch()
        while len(list(tmp_path.glob(f"done-{i}-*"))) < n_processes:
            assert all(p.poll() in (None, 0) for p in processes), [
                p.communicate()[1] for p in processes if p.poll()
            ]
            time.sleep(0.001)
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors


LOCK = """
    import os, sys, time
    from pathlib import Path
    from resumable_search import CheckpointLockedError
    from resumable_search._checkpoint import locks

    locks._PATIENCE = 0.01
    taken = 0
    while taken < int(sys.argv[1]):
        lock = locks.SearchLock(Path("checkpoint.sqlite"), "key")
        try:
            lock.acquire()
        except CheckpointLockedError:
            continue
        os.close(os.open("inside", os.O_CREAT | os.O_EXCL))  # nobody else is
        os.unlink("inside")
        lock.release()
        taken += 1
"""


@pytest.mark.faults
def test_a_lock_that_is_released_is_never_held_twice(run_many):
    """Though its file is removed each time, while others may have it open."""
    for process in run_many(4, LOCK, 300):
        _, errors = process.communicate()
        assert process.returncode == 0, errors


# ---------------------------------------------------------------------------
# What else a search leaves open to others


@pytest.mark.faults
def test_a_search_listens_on_no_socket_and_shares_no_file(tmp_path):
    """Neither it nor its workers; what they make is readable by the owner alone."""
    directory = tmp_path / "search"
    process = checks.start(
        directory,
        "import os; os.umask(0)",
        SECONDS=0.5,
        JOBLIB_TEMP_FOLDER=tmp_path,
    )
    assert process.stdout.readline() == "saved\n"
    family = [psutil.Process(process.pid)]
    family += family[0].children(recursive=True)
    assert len(family) >= 2
    for member in family:
        assert not [c for c in member.net_connections() if c.status == "LISTEN"]
        assert not [c for c in member.net_connections("unix") if c.laddr]
    own = directory / ".resumable_search"
    (temporary,) = tmp_path.glob("resumable_search-*")
    assert own.stat().st_mode & 0o077 == 0
    assert temporary.stat().st_mode & 0o077 == 0
    # In these directories nobody else can read anyway; the user may give another one.
    for path in own.rglob("*"):
        if path.name != ".gitignore":
            assert path.stat().st_mode & 0o077 == 0, path
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not list(tmp_path.glob("resumable_search-*"))
