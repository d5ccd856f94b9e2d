"""The example for machines that are taken away, copied to where it can be tried."""

import os
import shutil
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import still_running

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "preemptible"

#: Of the search that `noted_search` gives.
N_FOLDS = 2 * 4 * 5
N_SAMPLES = 300

# The example's estimator, which notes when which fold begins.
_NOTED = """
import time
from sklearn.svm import SVC


class Noted(SVC):
    def fit(self, X, y):
        with open(os.environ["FITS"], "a") as file:
            note = [time.time(), self.C, self.gamma, float(X.sum())]
            file.write(json.dumps(note) + "\\n")
        time.sleep(float(os.environ["FIT_SECONDS"]))
        return super().fit(X, y)
"""


@pytest.fixture
def example(tmp_path):
    """Give a copy of the example, with a checkpoint of its own."""
    directory = tmp_path / "example"
    shutil.copytree(EXAMPLE, directory)
    return directory


@pytest.fixture
def noted_search(example, tmp_path):
    """Give the example's script, smaller, with an estimator that notes its fits."""
    path = example / "search.py"
    source = path.read_text()
    for old, new in [
        ("from sklearn.svm import SVC\n", _NOTED),
        ("    SVC(),\n", "    Noted(),\n"),
        ('"C": [0.1, 1, 10, 100]', '"C": [0.1, 1]'),
        (
            "(return_X_y=True)\n",
            f"(return_X_y=True)\nX, y = X[:{N_SAMPLES}], y[:{N_SAMPLES}]\n",
        ),
    ]:
        assert old in source
        source = source.replace(old, new)
    path.write_text(source)
    return path


@pytest.fixture
def environment(tmp_path):
    """Give the environment that scripts run in here."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "RESUMABLE_SEARCH_CHECKPOINT": str(tmp_path / "kept" / "checkpoint.sqlite"),
        "FIT_SECONDS": "0.05",
        "FITS": str(tmp_path / "fits.log"),
        "GRACE_PERIOD": "0.5",
        "PAUSE": "0",
    }


@pytest.fixture
def no_process_left(tmp_path):
    """Fail the test if a process of its scripts is still there after it."""
    yield
    mine = str(tmp_path)
    left = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("FITS", "").startswith(mine):
                left.append(process)
        except psutil.Error:
            continue
    # Workers end within two seconds of their parent.
    alive = still_running(left, 5)
    assert not alive, alive
