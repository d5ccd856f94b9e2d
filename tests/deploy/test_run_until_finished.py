"""The loop that runs a search again, with searches that are stopped and killed."""

import json
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

from resumable_search import CheckpointError, read_results
from resumable_search._checkpoint.reader import CheckpointReader
from resumable_search._results import choose_search, view_search
from tests.deploy.conftest import EXAMPLE, N_FOLDS, N_SAMPLES

LOOP = EXAMPLE / "run_until_finished.sh"


@pytest.fixture
def start(environment, tmp_path, no_process_left):
    """Give a function that starts a command in the loop."""
    started = []

    def start_loop(*command, **variables):
        with (tmp_path / "log").open("w") as log:
            process = subprocess.Popen(
                [LOOP, *map(str, command)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment | variables,
                cwd=tmp_path,
            )
        started.append(process)
        return process

    yield start_loop
    for process in started:
        process.kill()
        process.wait()


def run(process):
    return process.wait(timeout=120)


def statuses(tmp_path):
    text = (tmp_path / "log").read_text()
    return [int(s) for s in re.findall(r"ended with status (\d+)", text)]


def counting(tmp_path, status):
    """Give a command that notes its runs and ends with a status."""
    return "sh", "-c", f"echo run >> {tmp_path}/runs; exit {status}"


def n_runs(tmp_path):
    return len((tmp_path / "runs").read_text().splitlines())


def test_a_command_that_succeeds_runs_once(start, tmp_path):
    """Status 0 ends the loop."""
    assert run(start(*counting(tmp_path, 0))) == 0
    assert n_runs(tmp_path) == 1


def test_a_bug_does_not_run_for_ever(start, tmp_path):
    """After a number of starts the loop ends, with the status of the last one."""
    assert run(start(*counting(tmp_path, 3), MOST_STARTS="4")) == 3
    assert n_runs(tmp_path) == 4
    assert "given up" in (tmp_path / "log").read_text()


def test_starts_that_are_long_ago_do_not_count(start, tmp_path):
    """A search that fails now and then goes on."""
    command = f"echo run >> {tmp_path}/runs; test $(wc -l < {tmp_path}/runs) -ge 3"
    process = start("sh", "-c", command, MOST_STARTS="2", WITHIN="1", PAUSE="1.1")
    assert run(process) == 0
    assert n_runs(tmp_path) == 3


def test_what_cannot_be_run_is_not_run_again(start, tmp_path):
    """A script that is not there, and one that refuses its arguments."""
    assert run(start("python", "not there.py")) == 2
    assert statuses(tmp_path) == [2]
    assert run(start("no-such-command")) == 127
    assert statuses(tmp_path) == [127]


def test_an_error_of_the_search_ends_with_status_1(start, noted_search, tmp_path):
    """Its traceback is there."""
    source = noted_search.read_text()
    noted_search.write_text(source.replace("fit(X, y)", "fit(X, y[:9])"))
    assert run(start("python", noted_search, MOST_STARTS="1")) == 1
    assert "inconsistent numbers of samples" in (tmp_path / "log").read_text()


def test_a_stopped_loop_stops_the_search_and_does_not_run_it_again(
    start, noted_search, tmp_path
):
    """As when a machine is switched off: the status says by which signal."""
    loop = start("python", noted_search)
    wait_for_fits(tmp_path, 5)
    loop.terminate()
    assert run(loop) == 143
    assert statuses(tmp_path) == [143]
    log = (tmp_path / "log").read_text()
    assert "stopped by SIGTERM" in log
    n_kept = int(re.search(rf"with (\d+) of {N_FOLDS} folds finished", log)[1])
    assert n_kept == n_finished(tmp_path) > 0


@pytest.mark.slow
def test_a_search_that_is_interrupted_twice_is_finished(start, noted_search, tmp_path):
    """By SIGTERM and by SIGKILL; no finished fold runs again."""
    loop = start("python", noted_search)
    for number in (signal.SIGTERM, signal.SIGKILL):
        wait_for_fits(tmp_path, 8)
        running(loop).send_signal(number)
    assert run(loop) == 0
    assert statuses(tmp_path) == [143, 137]
    assert_each_fold_ran_until_it_was_finished(tmp_path)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(2))
def test_a_search_that_is_interrupted_at_random_is_finished(
    start, noted_search, tmp_path, seed
):
    """At any moment, as Python starts, between folds and in the refit too."""
    chance = random.Random(seed)
    loop = start("python", noted_search, MOST_STARTS="1000", FIT_SECONDS="0.4")
    expected, counts = [], []
    last = None
    deadline = time.monotonic() + 240
    while len(expected) < 25 and time.monotonic() < deadline:
        search = running(loop, other_than=last)
        if search is None:  # the loop has ended
            break
        time.sleep(chance.uniform(0, 4))
        number = chance.choice([signal.SIGTERM, signal.SIGKILL])
        try:
            search.send_signal(number)
        except psutil.NoSuchProcess:
            break
        expected.append(128 + number)
        last = search.pid
        counts.append(n_finished(tmp_path))
    assert run(loop) == 0
    found = statuses(tmp_path)
    # The last signal may have come when the search had just finished.
    assert found in (expected, expected[:-1])
    assert len(found) >= 5
    assert counts == sorted(counts)
    assert_each_fold_ran_until_it_was_finished(tmp_path)


# ---------------------------------------------------------------------------


def running(loop, other_than=None):
    """Wait for the search that the loop runs; None if the loop ends."""
    while loop.poll() is None:
        for child in psutil.Process(loop.pid).children():
            try:
                is_search = any("search.py" in part for part in child.cmdline())
            except psutil.Error:
                continue
            if is_search and child.pid != other_than:
                return child
        time.sleep(0.01)
    return None


def fits(tmp_path):
    path = tmp_path / "fits.log"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def wait_for_fits(tmp_path, n_more):
    """Wait until so many more fits have begun."""
    n_before = len(fits(tmp_path))
    deadline = time.monotonic() + 60
    while len(fits(tmp_path)) < n_before + n_more:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def checkpoint(tmp_path):
    return Path(tmp_path) / "kept" / "checkpoint.sqlite"


def n_finished(tmp_path):
    try:
        return int(sum(read_results(checkpoint(tmp_path))["n_completed"]))
    except CheckpointError:  # nothing yet
        return 0


def assert_each_fold_ran_until_it_was_finished(tmp_path):
    """Compare when each fold was finished with when its fits began."""
    X, y = (array[:N_SAMPLES] for array in load_digits(return_X_y=True))
    sums = [float(X[train].sum()) for train, _ in StratifiedKFold(5).split(X, y)]
    reader = CheckpointReader(checkpoint(tmp_path))
    try:
        search = choose_search(reader.searches(), None, checkpoint(tmp_path))
        view = view_search(reader, search)
    finally:
        reader.close()
    finished = {}
    for candidate, folds in zip(view.candidates, view.folds, strict=True):
        values = candidate.values()
        for split, fold in enumerate(folds):
            (record,) = fold.values()
            finished[values["C"], values["gamma"], sums[split]] = record.finished
    assert len(finished) == N_FOLDS
    begun = {}
    for when, C, gamma, total in fits(tmp_path):
        if total in sums:  # not the refit
            begun.setdefault((C, gamma, total), []).append(when)
    assert begun.keys() == finished.keys()
    for fold, times in begun.items():
        assert max(times) < finished[fold]
