"""What users say of a search: run it anew, name its data, declare dependencies."""

import json
import textwrap
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import KFold, ShuffleSplit, cross_val_score

from resumable_search import (
    ResumableGridSearchCV,
    ResumableRandomizedSearchCV,
)
from resumable_search._checkpoint.store import CheckpointStore
from tests import fakes
from tests.contracts.test_store import failed, record

GRID = {"value": [1.0, 2.0]}
PROJECT = Path(__file__).parents[2]


def grid_search(log, grid=GRID, estimator=None, **parameters):
    estimator = estimator or fakes.Logged(log)
    return ResumableGridSearchCV(
        estimator, grid, **{"cv": 2, "refit": False, **parameters}
    )


def counts(search):
    return search.resumption.n_resumed, search.resumption.n_run


CHOICES = {
    "resume": False,
    "data_key": "spot prices",
    "depends_on": ["a.txt"],
    "versions": "exact",
}


@pytest.mark.parametrize("cls", [ResumableGridSearchCV, ResumableRandomizedSearchCV])
def test_the_choices_are_parameters_like_all_others(cls):
    """They are kept as given, through clone and set_params."""
    search = cls(fakes.Logged(""), GRID)
    defaults = {name: search.get_params()[name] for name in CHOICES}
    assert defaults == {
        "resume": True,
        "data_key": None,
        "depends_on": None,
        "versions": "minor",
    }
    changed = clone(search.set_params(**CHOICES))
    assert {name: changed.get_params()[name] for name in CHOICES} == CHOICES


@pytest.mark.parametrize(
    ("name", "value"),
    [("resume", 2.5), ("data_key", 1), ("depends_on", "a.txt"), ("versions", "major")],
)
def test_a_choice_that_is_none_is_refused(data, log, name, value):
    """By scikit-learn's message."""
    with pytest.raises(ValueError, match=f"The '{name}' parameter of Resumable"):
        grid_search(log, **{name: value}).fit(*data)


# ---------------------------------------------------------------------------
# resume


def test_without_resume_all_folds_run_and_replace_what_was_there(data, log):
    """The next search finds the new scores."""
    estimator = fakes.RandomScore(log)
    first = grid_search(log, estimator=estimator).fit(*data)
    anew = grid_search(log, estimator=estimator, resume=False).fit(*data)
    again = grid_search(log, estimator=estimator).fit(*data)
    assert (counts(anew), counts(again)) == ((0, 4), (4, 0))
    scores = [s.cv_results_["mean_test_score"].tolist() for s in (first, anew, again)]
    assert scores[0] != scores[1]
    assert scores[1] == scores[2]


def test_without_resume_unseeded_splits_are_drawn_anew(data, log):
    """And a search that resumes goes on with those."""
    cv = ShuffleSplit(3, test_size=4)
    np.random.seed(0)
    grid_search(log, cv=cv).fit(*data)
    anew = grid_search(log, cv=cv, resume=False).fit(*data)
    assert counts(anew) == (0, 6)
    assert counts(grid_search(log, cv=cv).fit(*data)) == (6, 0)


class Drawn(fakes.Logged):
    """Its score is what it draws from numpy's global generator."""

    def score(self, X, y=None):
        return float(np.random.random())


def test_without_resume_unseeded_models_are_drawn_anew(data, log):
    """Each time, although nothing has drawn from the global generator of here."""
    search = grid_search(log, estimator=Drawn(log), resume=False)
    scores = [search.fit(*data).cv_results_["mean_test_score"][0] for _ in range(3)]
    assert len(set(scores)) == 3


def test_without_resume_a_candidate_that_comes_twice_runs_once(data, log):
    """What this very fit has stored does count."""
    search = grid_search(log, [GRID, GRID], resume=False).fit(*data)
    assert len(fakes.fits(log)) == 4
    assert counts(search) == (0, 4)


@pytest.mark.parametrize("new", [record(test_score=2.0), failed()])
def test_a_fold_is_replaced_as_a_whole(tmp_path, new):
    """No score of another scorer, no train score and no attempt of before is left."""
    store = CheckpointStore(tmp_path / "c.sqlite")
    store.save([record(test_score=1.0, train_score=1.0), record(scorer="f1")])
    store.save([record("other")])
    store.save([new], replace=True)
    found = store.find_all(["fold", "other"])
    assert list(found["fold"]) == ["accuracy"]
    kept = found["fold"]["accuracy"]
    assert (kept.state, kept.test_score, kept.train_score, kept.attempts) == (
        new.state,
        new.test_score,
        None,
        1,
    )
    assert "accuracy" in found["other"]
    store.close()


# ---------------------------------------------------------------------------
# data_key


def test_a_data_key_counts_instead_of_the_content(data, log):
    """The user's promise that it is the same data, in its last bits or not."""
    X, y = data
    grid_search(log, data_key="spot").fit(X, y)
    search = grid_search(log, data_key="spot").fit(X + 1e-12, y)
    assert counts(search) == (4, 0)
    assert counts(grid_search(log, data_key="other").fit(X, y)) == (0, 4)
    assert counts(grid_search(log).fit(X, y)) == (0, 4)


def test_a_data_key_for_other_data_is_an_error(data, log):
    """Where type, shape or dtype tell; the message names both and the search."""
    X, y = data
    grid_search(log, data_key="spot").fit(X, y)
    match = r"Got 'spot' with X as .*\(12, 3\).*search 1 .*\(12, 2\)"
    with pytest.raises(ValueError, match=match):
        grid_search(log, data_key="spot").fit(np.c_[X, y], y)
    assert len(fakes.fits(log)) == 4


def test_a_data_key_for_clearly_other_values_is_an_error(data, log):
    """Of the same shape, such as another half of the data."""
    X, y = data
    grid_search(log, data_key="spot").fit(X[:6], y[:6])
    with pytest.raises(ValueError, match="had clearly other values under that name"):
        grid_search(log, data_key="spot").fit(X[6:], y[6:])


def test_a_data_key_does_not_count_inside_another_fit(data, log):
    """Cross-validation hands on parts of the data, and each is other data."""
    search = grid_search(log, refit=True, data_key="spot")
    cross_val_score(search, *data, cv=KFold(2))
    assert len(fakes.fits(log)) == 2 * (4 + 1)


# ---------------------------------------------------------------------------
# depends_on


def test_a_declared_file_counts_by_content(data, log, tmp_path):
    """Neither its time nor the place of the script."""
    file = tmp_path / "vocabulary.txt"
    file.write_text("a")
    grid_search(log, depends_on=[file]).fit(*data)
    file.write_text("a")
    assert counts(grid_search(log, depends_on=[file.name]).fit(*data)) == (4, 0)
    file.write_text("b")
    assert counts(grid_search(log, depends_on=[file]).fit(*data)) == (0, 4)


def test_a_declared_directory_counts_by_names_and_contents(data, log, tmp_path):
    """Of all files in it, compiled code aside."""
    folder = tmp_path / "tables"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "one").write_text("1")
    search = grid_search(log, depends_on=[str(folder)])
    assert counts(search.fit(*data)) == (0, 4)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_text("1")
    assert counts(search.fit(*data)) == (4, 0)
    (folder / "deep" / "one").rename(folder / "deep" / "two")
    assert counts(search.fit(*data)) == (0, 4)


def test_files_that_swap_their_contents_are_other_dependencies(data, log, tmp_path):
    """Each counts in its place, in whatever order they are given."""
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    grid_search(log, depends_on=["a", "b"]).fit(*data)
    assert counts(grid_search(log, depends_on=["b", "a"]).fit(*data)) == (4, 0)
    (tmp_path / "a").write_text("2")
    (tmp_path / "b").write_text("1")
    assert counts(grid_search(log, depends_on=["a", "b"]).fit(*data)) == (0, 4)


def test_a_dependency_that_is_not_there_is_an_error(data, log):
    """Before any fold runs."""
    with pytest.raises(FileNotFoundError, match=r"'depends_on' .* Got 'gone\.txt'"):
        grid_search(log, depends_on=["gone.txt"]).fit(*data)
    assert fakes.fits(log) == []


# ---------------------------------------------------------------------------
# versions

JOB = """
    import json, sys, warnings
    import numpy as np
    from features_lib import Scale
    from resumable_search import ResumableGridSearchCV
    warnings.simplefilter("always")
    X = np.arange(24.0).reshape(12, 2)
    with warnings.catch_warnings(record=True) as caught:
        search = ResumableGridSearchCV(
            Scale(), {"value": [1.0]}, cv=2, refit=False, versions=sys.argv[1],
        ).fit(X, np.array([0, 1] * 6))
    mixed = [str(w.message) for w in caught if "Version" in w.category.__name__]
    print(json.dumps([search.resumption.n_resumed, mixed]))
"""


@pytest.mark.parametrize(
    ("choice", "then", "now", "n_resumed"),
    [
        ("minor", "1.2.0", "1.2.1", 2),
        ("minor", "1.2.0", "1.3.0", 0),
        ("exact", "1.2.0", "1.2.1", 0),
        ("ignore", "1.2.0", "2.0.0", 2),
    ],
)
def test_a_new_release_of_a_library_is_another_fold_or_a_warning(
    script, tmp_path, choice, then, now, n_resumed
):
    """By its size and the user's choice; never a silent mix."""
    site = tmp_path / "site-packages"
    (site / "features_lib").mkdir(parents=True)

    def run(version):
        (site / "features_lib" / "__init__.py").write_text(
            textwrap.dedent(
                f"""
                from sklearn.base import BaseEstimator, ClassifierMixin
                __version__ = "{version}"
                class Scale(ClassifierMixin, BaseEstimator):
                    def __init__(self, value=1.0): self.value = value
                    def fit(self, X, y): self.classes_ = [0, 1]; return self
                    def predict(self, X): return [0] * len(X)
                """
            )
        )
        job = script(JOB, choice, env={"PYTHONPATH": f"{site}:{PROJECT}"})
        out, errors = job.communicate()
        assert job.returncode == 0, errors
        return json.loads(out)

    assert run(then) == [0, []]
    found, mixed = run(now)
    assert found == n_resumed
    if n_resumed:
        assert f"features_lib {then} (now {now})" in mixed[0]
    else:
        assert mixed == []
