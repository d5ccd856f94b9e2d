"""Whole scripts, as users write them: no guard, killed, moved, in a notebook."""

import os
import signal
import time

import pytest

from resumable_search import CheckpointError, read_results
from tests import fakes

SCRIPT = """
    import sys
    import numpy as np
    from sklearn.base import BaseEstimator, ClassifierMixin
    from resumable_search import ResumableGridSearchCV

    # No guard, and everything is defined right here.
    OFFSET = 0.25

    def offset():
        return OFFSET

    class Model(ClassifierMixin, BaseEstimator):
        def __init__(self, log="", value=0.0, scale=None):
            self.log, self.value, self.scale = log, value, scale

        def fit(self, X, y):
            import os, time
            with open(self.log, "a") as file:
                file.write(f"{os.getpid()} {self.value}\\n")
            time.sleep(0.15)
            self.classes_ = np.unique(y)
            return self

        def predict(self, X):
            return np.zeros(len(X))

    X = np.arange(40.0).reshape(20, 2)
    y = np.array([0, 1] * 10)
    search = ResumableGridSearchCV(
        Model(sys.argv[1], scale=lambda x: x + offset()),
        {"value": [float(i) for i in range(12)]},
        cv=2, n_jobs=2, refit=False,
        scoring=lambda estimator, X, y: estimator.scale(estimator.value),
    )
    search.fit(X, y)
    print(search.resumption.n_resumed, search.resumption.n_run)
    print(search.cv_results_["mean_test_score"].tolist())
"""

SCORES = str([i + 0.25 for i in range(12)])


def run(script, *arguments, **options):
    process = script(*arguments, **options)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.splitlines()


def test_a_script_without_a_guard_works_and_resumes(script, log):
    """Classes, functions, lambdas and scorers of the script itself."""
    assert run(script, SCRIPT, log) == ["0 24", SCORES]
    assert run(script, SCRIPT, log) == ["24 0", SCORES]


@pytest.mark.slow
def test_a_moved_and_reformatted_script_resumes(script, log):
    """Line numbers, file names, comments and hash seeds do not count."""
    run(script, SCRIPT, log, env={"PYTHONHASHSEED": "1"})
    reformatted = SCRIPT.replace(
        "def offset():", 'def offset():\n        "The offset."'
    ).replace(
        "time.sleep(0.15)", "time.sleep(  # wait\n                0.15\n            )"
    )
    moved = f"\n    # A comment.\n\n\n{reformatted}"
    environment = {"PYTHONHASHSEED": "2"}
    lines = run(script, moved, log, name="renamed.py", env=environment)
    assert lines == ["24 0", SCORES]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("OFFSET = 0.25", "OFFSET = 0.5"),
        pytest.param("return OFFSET", "return OFFSET + 1", marks=pytest.mark.slow),
        pytest.param(
            "lambda x: x + offset()", "lambda x: x - offset()", marks=pytest.mark.slow
        ),
        pytest.param("np.zeros(len(X))", "np.ones(len(X))", marks=pytest.mark.slow),
        pytest.param(
            "estimator.scale(estimator.value)",
            "estimator.scale(1.0)",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "X = np.arange(40.0)", "X = np.arange(1, 41.0)", marks=pytest.mark.slow
        ),
        pytest.param(
            "y = np.array([0, 1]", "y = np.array([1, 0]", marks=pytest.mark.slow
        ),
    ],
)
def test_changed_code_or_data_runs_everything(script, log, old, new):
    """Wherever the score could come from."""
    assert old in SCRIPT
    quick = SCRIPT.replace("time.sleep(0.15)", "pass")
    run(script, quick, log)
    assert run(script, quick.replace(old, new), log)[0] == "0 24"


@pytest.mark.parametrize("n_before", [pytest.param(1, marks=pytest.mark.slow), 9])
def test_a_killed_script_runs_only_what_is_missing(script, log, n_before):
    """After a SIGKILL the same script ends with the same scores."""
    process = script(SCRIPT, log)
    deadline = time.monotonic() + 60
    while n_stored() < n_before and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    n_begun, n_kept = len(fakes.fits(log)), n_stored()
    assert n_before <= n_kept < 24
    counts, scores = run(script, SCRIPT, log)
    assert scores == SCORES
    assert counts == f"{n_kept} {24 - n_kept}"
    assert len(fakes.fits(log)) == n_begun + 24 - n_kept


def n_stored():
    """Return the number of finished folds, 0 as long as there is no checkpoint."""
    try:
        return int(sum(read_results()["n_completed"]))
    except CheckpointError:
        return 0


@pytest.mark.slow
def test_repeated_kills_never_lose_a_finished_fold(script, log):
    """Progress never goes backwards."""
    finished = 0
    for _ in range(3):
        process = script(SCRIPT, log)
        before = len(fakes.fits(log))
        deadline = time.monotonic() + 60
        while (
            len(fakes.fits(log)) < before + 5
            and process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        process.kill()
        process.communicate()
        assert n_stored() >= finished
        finished = n_stored()
    assert finished > 0
    counts, scores = run(script, SCRIPT, log)
    assert scores == SCORES
    assert counts == f"{finished} {24 - finished}"


def test_a_module_edited_while_the_search_runs_is_an_error(script, log, tmp_path):
    """A worker would run other code than the one that the score is stored for."""
    (tmp_path / "model.py").write_text("def value():\n    return 1.0\n")
    source = """
        import pathlib
        import numpy as np
        import model
        from sklearn.dummy import DummyClassifier
        from resumable_search import ResumableGridSearchCV

        class Model(DummyClassifier):
            def score(self, X, y):
                import model
                return model.value()

        pathlib.Path(model.__file__).write_text("def value():\\n    return 20.0\\n")
        X, y = np.zeros((8, 1)), np.array([0, 1] * 4)
        search = ResumableGridSearchCV(
            Model(), {"random_state": [0]}, cv=2, scoring=lambda e, X, y: model.value()
        )
        search.fit(X, y)
    """
    process = script(source)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "'model.value' of" in err
    assert "has changed since this process imported" in err


@pytest.mark.slow
def test_places_with_spaces_and_other_alphabets(script, log, tmp_path):
    """The checkpoint may be anywhere, by a relative path too."""
    directory = tmp_path / "my searches" / "поиск"
    directory.mkdir(parents=True)
    source = SCRIPT.replace(
        "refit=False,", 'refit=False, checkpoint="é ü/ключ.sqlite",'
    )
    assert run(script, source, log, cwd=directory)[0] == "0 24"
    assert run(script, source, log, cwd=directory)[0] == "24 0"
    assert (directory / "é ü" / "ключ.sqlite").exists()


def test_a_notebook_works_and_resumes(tmp_path, log):
    """Cells that define classes and functions, and call fit twice."""
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    import textwrap

    source = textwrap.dedent(SCRIPT).replace("sys.argv[1]", repr(log))
    definitions, call = source.split("X = np.arange", 1)
    call = "X = np.arange" + call
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in (definitions, call, call)]
    )
    nbclient.NotebookClient(
        notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    texts = [
        "".join(output.get("text", "") for output in cell.outputs)
        for cell in notebook.cells
    ]
    assert texts[1].startswith("0 24")
    assert texts[2].startswith("24 0")
