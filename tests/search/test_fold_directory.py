"""Files of a fold's own, from which it goes on after a kill."""

import importlib
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from resumable_search import ResumableGridSearchCV, fold_directory
from resumable_search._checkpoint.fold_folders import FoldFolders
from resumable_search._folds import RunningFold
from tests import fakes
from tests.conftest import assert_same_results

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example(monkeypatch):
    """Give the example's module."""
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("resume_inside_a_fold")


class Counts(fakes.Logged):
    """Counts to three in a file, and dies once at two."""

    def act(self):
        folder = fold_directory()
        for _ in range(3):
            file = folder / "count"
            n = int(file.read_text()) if file.exists() else 0
            with Path(f"{self.log}.counts").open("a") as counts:
                counts.write(f"{self.value} {n}\n")
            if n == 2 and not (folder / "died").exists():
                (folder / "died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            file.write_text(str(n + 1))
            if n + 1 == 3:
                break


def search(estimator, grid, **parameters):
    parameters = {"cv": 2, "refit": False, "n_jobs": 2, **parameters}
    return ResumableGridSearchCV(estimator, grid, **parameters)


def folders():
    return sorted(Path().glob(".resumable_search/*-folds/*"))


def test_outside_of_a_fold_there_is_no_directory():
    """An estimator that asks works under any other search, too."""
    assert fold_directory() is None


def test_the_directories_are_the_owners_alone(tmp_path):
    """That of a fold, and that of all of them, whatever the umask."""
    before = os.umask(0)
    try:
        fold = RunningFold(lambda: tmp_path / "checkpoint.sqlite-folds" / "key", None)
        for directory in (fold.directory, fold.directory.parent):
            assert directory.stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


def test_a_fold_goes_on_from_its_files(data, log):
    """The second try of a fold finds what the first one left, and nothing else."""
    search(Counts(log), {"value": [1.0, 2.0]}).fit(*data)
    counts = Path(f"{log}.counts").read_text().splitlines()
    assert sorted(counts) == sorted(
        f"{v} {n}" for v in (1.0, 2.0) for n in [0, 1, 2, 2] * 2
    )


def test_the_directory_goes_when_the_fold_is_done(data, log):
    """Nothing is left beside the checkpoint."""
    search(Counts(log), {"value": [1.0]}).fit(*data)
    assert list(Path(".resumable_search").glob("*-folds")) == []


def test_the_directory_stays_when_the_fold_was_killed(data, log):
    """The next fit goes on from there."""
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        search(Counts(log), {"value": [1.0]}, max_retries=0).fit(*data)
    assert len(folders()) == 2
    found = search(Counts(log), {"value": [1.0]}).fit(*data)
    assert found.resumption.n_failed == 0
    assert Path(f"{log}.counts").read_text().count(" 0\n") == 2
    assert folders() == []


@pytest.mark.slow
def test_a_changed_candidate_finds_an_empty_directory(data, log):
    """So does changed data: a directory belongs to one fold."""
    with pytest.raises(ValueError, match="All the 2 fits failed"):
        search(Counts(log), {"value": [1.0]}, max_retries=0).fit(*data)
    search(Counts(log), {"value": [2.0]}).fit(*data)
    X, y = data
    search(Counts(log), {"value": [1.0]}).fit(X + 1, y)
    counts = Path(f"{log}.counts").read_text().splitlines()
    assert counts.count("1.0 0") == 4
    assert counts.count("2.0 0") == 2


def test_a_directory_left_by_a_kill_after_the_commit_is_removed(data, log, monkeypatch):
    """A finished fold needs its files no more; the next fit tidies up."""

    class Leaves(fakes.Logged):
        def act(self):
            (fold_directory() / "file").touch()

    with monkeypatch.context() as patch:
        patch.setattr(FoldFolders, "remove", lambda self, key: None)
        search(Leaves(log), {"value": [3.0]}).fit(*data)
    assert len(folders()) == 2
    search(Leaves(log), {"value": [3.0]}).fit(*data)
    assert folders() == []


@pytest.mark.filterwarnings("ignore:The estimator Leaves does not support callbacks")
def test_a_candidate_that_comes_twice_leaves_no_directory(data, log, monkeypatch):
    """Not with callbacks either, for which it runs twice."""
    monkeypatch.setenv("PYTHONWARNINGS", "default")
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn >= 1.9")

    class Leaves(fakes.Logged):
        def act(self):
            (fold_directory() / "file").touch()

    twice = search(Leaves(log, seconds=0.2), {"value": [1.0, 1.0]})
    twice.set_callbacks(callback.ProgressBar())
    twice.fit(*data)
    assert len(fakes.fits(log)) == 4
    assert folders() == []


def test_a_refit_that_raises_leaves_no_directory(data, log):
    """It would raise again; one that was stopped goes on."""

    class Raises(fakes.Logged):
        def act(self):
            (fold_directory() / "file").touch()
            if len(fakes.fits(self.log)) == 3:
                raise RuntimeError("the refit")

    with pytest.raises(RuntimeError, match="the refit"):
        search(Raises(log), {"value": [1.0]}, refit=True).fit(*data)
    assert folders() == []


def test_the_refit_has_a_directory_of_its_own(data, log):
    """It is removed when the refit is done, and stays when that is interrupted."""

    class Notes(fakes.Logged):
        def act(self):
            folder = fold_directory()
            with Path(f"{self.log}.folders").open("a") as file:
                file.write(f"{folder} {(folder / 'mark').exists()}\n")
            (folder / "mark").touch()
            if len(Path(f"{self.log}.folders").read_text().splitlines()) == 3:
                raise KeyboardInterrupt  # the first refit

    with pytest.raises(KeyboardInterrupt):
        search(Notes(log), {"value": [1.0]}, refit=True).fit(*data)
    assert len(folders()) == 1
    search(Notes(log), {"value": [1.0]}, refit=True).fit(*data)
    lines = [line.split() for line in Path(f"{log}.folders").read_text().splitlines()]
    assert len({folder for folder, _ in lines}) == 3
    assert [marked for _, marked in lines] == ["False", "False", "False", "True"]
    assert folders() == []


@pytest.mark.parametrize(
    ("name", "grid"),
    [("Boosting", {"n_estimators": [25]}), ("Linear", {"n_passes": [6]})],
)
def test_the_example_ends_as_if_undisturbed(name, grid, example, iris, tmp_path):
    """Killed in the middle of each fold, it has the scores of an undisturbed run."""
    X, y = iris
    estimator = getattr(example, name)()
    undisturbed = GridSearchCV(estimator, grid, cv=2, refit=False).fit(X, y)

    class Dies(getattr(example, name)):
        """Dies once in each fold, after the second save."""

        def fit(self, X, y):
            example_save = example.save

            def save(model):
                example_save(model)
                mark = fold_directory() / "saves"
                with mark.open("a") as file:
                    file.write(".")
                if len(mark.read_text()) == 2:
                    os.kill(os.getpid(), signal.SIGKILL)

            importlib.import_module("resume_inside_a_fold").save = save
            return super().fit(X, y)

    found = search(Dies(), grid).fit(X, y)
    assert_same_results(found.cv_results_, undisturbed.cv_results_)
    assert np.isfinite(found.cv_results_["mean_test_score"]).all()
