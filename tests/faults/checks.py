"""A small search to be disturbed, and what has to hold after any disturbance.

`start` runs it in a directory of its own, with code before it that brings the fault
about. When that is over and the fault is gone, `run_to_the_end` runs the same search
again and checks the promise:

- what `save` had returned from is in the checkpoint, and the file is sound;
- no fold that is in there is fitted again, every other one is, once;
- the results are scikit-learn's;
- no process is left.
"""

import functools
import os
import pickle
import sqlite3
import subprocess
import textwrap
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
from sklearn.model_selection import GridSearchCV

from tests import fakes
from tests.conftest import assert_same_results
from tests.helpers import interpreters

GRID = {"value": [0.0, 1.0, 2.0]}
CV = 2
N_FOLDS = 6

#: Below the directory in which the search runs.
CHECKPOINT = ".resumable_search/checkpoint.sqlite"

# Prints a line for each fold when it has been saved.
_SEARCH = """
import os, pickle, warnings
from resumable_search import CheckpointLogWarning, ResumableGridSearchCV
from resumable_search._checkpoint.store import CheckpointStore
from tests import fakes
from tests.faults import checks

save = CheckpointStore.save

def save_and_tell(store, records, **options):
    save(store, records, **options)
    os.write(1, b"saved\\n" * sum(record.state == "done" for record in records))

CheckpointStore.save = save_and_tell
# One that was killed before it stored anything has left no -wal file either.
warnings.simplefilter("ignore", CheckpointLogWarning)
search = ResumableGridSearchCV(
    fakes.Logged("fits.log", seconds=float(os.environ.get("SECONDS", 0))),
    checks.GRID, cv=checks.CV, refit=False,
    n_jobs=int(os.environ.get("N_JOBS", 1)),
    checkpoint=os.environ.get("CHECKPOINT"),
)
search.fit(*checks.data())
with open("results.pickle", "wb") as file:
    pickle.dump(search.cv_results_, file)
"""


def data():
    """Give X of shape (12, 2) and y of shape (12,)."""
    return np.arange(24.0).reshape(12, 2), np.array([0, 1] * 6)


@functools.cache
def expected_results():
    """Give what scikit-learn makes of the search."""
    estimator = fakes.Logged(os.devnull)
    return GridSearchCV(estimator, GRID, cv=CV, refit=False).fit(*data()).cv_results_


def start(directory, before="", under=(), **variables):
    """Start the search in a directory, after some other code.

    Parameters
    ----------
    directory : pathlib.Path
        Made if it is not there.
    before : str
        Python code that runs before the search.
    under : sequence of str
        A command that runs Python, with its options.
    variables : dict
        For its environment. ``N_JOBS`` and ``CHECKPOINT`` are the search's, and
        ``SECONDS`` is what a fit takes.

    Returns
    -------
    process : subprocess.Popen
        Its standard output has a line for each fold when it has been saved.
    """
    directory.mkdir(exist_ok=True)
    return interpreters.start(
        ["-c", textwrap.dedent(before) + _SEARCH],
        under=under,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=directory,
        env={
            **environment(),
            **{name: str(value) for name, value in variables.items()},
        },
    )


def environment():
    """Give an environment in which Python finds the package and its tests."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def run_to_the_end(directory, n_saved, **variables):
    """Run the search again where it was disturbed, and check the promise.

    Parameters
    ----------
    directory : pathlib.Path
        Where `start` has run it.
    n_saved : int
        Number of folds of which the disturbed search said that they are saved.
    variables : dict
        As for `start`.

    Returns
    -------
    n_kept : int
        Number of folds that were not run again.
    """
    assert_no_process_in(directory)
    path = directory / variables.get("CHECKPOINT", CHECKPOINT)
    n_kept = _count_folds(path)
    assert n_kept >= n_saved
    n_begun = len(fakes.fits(directory / "fits.log"))
    process = start(directory, **variables)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert len(fakes.fits(directory / "fits.log")) - n_begun == N_FOLDS - n_kept
    assert_same_results(
        pickle.loads((directory / "results.pickle").read_bytes()), expected_results()
    )
    assert _count_folds(path) == N_FOLDS
    assert_sound(path)
    assert_no_process_in(directory)
    return n_kept


def assert_no_process_in(directory):
    """Wait, two seconds at the most, for the workers of a parent that is gone."""
    deadline = time.monotonic() + 2
    while (left := _processes_in(directory)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left


def _processes_in(directory):
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()) == directory:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _count_folds(path):
    if not path.exists() or not path.stat().st_size:
        return 0
    with closing(sqlite3.connect(path)) as database:
        if not database.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            return 0
        query = "SELECT count(*) FROM folds WHERE state = 'done'"
        return database.execute(query).fetchone()[0]


def assert_sound(path):
    """Have SQLite look through the whole file."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
