"""What is shared with an earlier search is reused, the rest runs."""

import textwrap
import warnings

import numpy as np
import pytest
from scipy.stats import uniform
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    ShuffleSplit,
    cross_val_score,
)

from resumable_search import (
    CheckpointLockedError,
    FingerprintError,
    NothingReusedWarning,
    ResumableGridSearchCV,
    ResumableRandomizedSearchCV,
    VersionMixWarning,
)
from resumable_search._checkpoint.store import CheckpointStore
from resumable_search._fit import keys
from resumable_search._fit.mixin import ResumableSearchMixin
from tests import fakes
from tests.conftest import assert_same_results

GRID = {"value": [1.0, 2.0]}


def grid_search(log, grid=GRID, estimator=None, **parameters):
    estimator = estimator or fakes.Logged(log)
    return ResumableGridSearchCV(
        estimator, grid, **{"cv": 2, "refit": False, **parameters}
    )


def counts(search):
    return search.resumption.n_resumed, search.resumption.n_run


@pytest.fixture
def later_run(monkeypatch):
    """Give a function after which this process counts as another run."""
    return lambda: monkeypatch.setenv(keys.RUN_VARIABLE, "another run")


def test_the_same_fit_again_runs_only_the_refit(data, log):
    """Nothing but the best candidate's refit runs."""
    grid_search(log, refit=True).fit(*data)
    n_before = len(fakes.fits(log))
    search = grid_search(log, refit=True).fit(*data)
    assert counts(search) == (4, 0)
    assert len(fakes.fits(log)) == n_before + 1


def test_a_resumed_score_is_the_stored_one(data, log):
    """Scores that could not come twice come from the checkpoint."""
    estimator = fakes.RandomScore(log)
    first = grid_search(log, estimator=estimator).fit(*data)
    second = grid_search(log, estimator=estimator).fit(*data)
    assert_same_results(second.cv_results_, first.cv_results_)


def test_resumed_times_are_those_of_the_run_that_took_them(data, log):
    """fit_time is not zero for a fold that was resumed."""
    first = grid_search(log).fit(*data)
    second = grid_search(log).fit(*data)
    for key in ("mean_fit_time", "std_fit_time", "mean_score_time"):
        np.testing.assert_array_equal(first.cv_results_[key], second.cv_results_[key])


def test_a_larger_grid_runs_what_is_new(data, log):
    """Wherever in the grid the new values stand."""
    grid_search(log).fit(*data)
    search = grid_search(log, {"value": [0.5, 1.0, 1.5, 2.0]}).fit(*data)
    assert counts(search) == (4, 4)
    theirs = GridSearchCV(
        fakes.Logged(log), {"value": [0.5, 1.0, 1.5, 2.0]}, cv=2, refit=False
    ).fit(*data)
    assert_same_results(search.cv_results_, theirs.cv_results_)


def test_a_larger_n_iter_goes_on_with_the_same_draws(data, log):
    """n_iter is the total, those in the checkpoint included."""
    search = ResumableRandomizedSearchCV(
        fakes.Logged(log), {"value": uniform()}, n_iter=3, cv=2, random_state=0
    ).fit(*data)
    more = clone(search).set_params(n_iter=5).fit(*data)
    assert counts(more) == (6, 4)


def test_an_unseeded_sampler_draws_the_same_again(data, log):
    """Also when more candidates are wanted, and whatever numpy's global state is."""
    search = ResumableRandomizedSearchCV(
        fakes.Logged(log), {"value": uniform()}, n_iter=3, cv=2
    ).fit(*data)
    more = clone(search).set_params(n_iter=5).fit(*data)
    assert counts(more) == (6, 4)
    assert more.random_state is None


@pytest.mark.parametrize("cv", [KFold(3, shuffle=True), ShuffleSplit(3)])
def test_an_unseeded_splitter_splits_the_same_again(data, log, cv):
    """Also when the grid grows."""
    first = grid_search(log, cv=cv).fit(*data)
    second = grid_search(log, {"value": [1.0, 2.0, 3.0]}, cv=cv).fit(*data)
    assert counts(second) == (6, 3)
    assert second.cv is cv
    assert cv.random_state is None
    np.testing.assert_array_equal(
        first.cv_results_["split0_test_score"],
        second.cv_results_["split0_test_score"][:2],
    )


def test_from_a_randomized_search_to_a_grid(data, log):
    """Folds belong to candidates and not to the class of the search."""
    ResumableRandomizedSearchCV(
        fakes.Logged(log), {"value": [1.0, 2.0]}, n_iter=2, cv=2, refit=False
    ).fit(*data)
    assert counts(grid_search(log).fit(*data)) == (4, 0)


def test_an_added_scorer_runs_the_folds_and_keeps_the_stored_scores(data, log):
    """Models are not kept, so folds are fitted again; a stored score stays."""
    scoring = {"a": random_scorer}
    first = grid_search(log, scoring=scoring, refit=False).fit(*data)
    scoring = {"a": random_scorer, "b": other_scorer}
    both = grid_search(log, scoring=scoring, refit=False).fit(*data)
    assert counts(both) == (0, 4)
    np.testing.assert_array_equal(
        first.cv_results_["mean_test_a"], both.cv_results_["mean_test_a"]
    )
    again = grid_search(log, scoring={"renamed": other_scorer}, refit=False).fit(*data)
    assert counts(again) == (4, 0)


def random_scorer(estimator, X, y):
    return float(np.random.default_rng().random())


def other_scorer(estimator, X, y):
    return estimator.value


def test_train_scores_that_are_wanted_later_are_computed_then(data, log):
    """And are there when they are not wanted any more."""
    grid_search(log).fit(*data)
    with_train = grid_search(log, return_train_score=True).fit(*data)
    assert counts(with_train) == (0, 4)
    assert counts(grid_search(log).fit(*data)) == (4, 0)
    again = grid_search(log, return_train_score=True).fit(*data)
    assert counts(again) == (4, 0)
    assert_same_results(again.cv_results_, with_train.cv_results_)


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_jobs": 2},
        {"verbose": 1},
        {"refit": True},
        {"error_score": 0.0},
        {"pre_dispatch": "all"},
        {"max_retries": 0},
    ],
    ids=str,
)
def test_what_no_score_depends_on_is_not_keyed(data, log, parameters):
    """Changing it reuses everything."""
    grid_search(log).fit(*data)
    assert counts(grid_search(log, **parameters).fit(*data)) == (4, 0)


def test_failed_folds_run_again_and_others_do_not(data, log):
    """A failure is recorded, and is not a result."""
    grid = {"value": [-1.0, 1.0]}
    with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        grid_search(log, grid, fakes.Raises(log)).fit(*data)
    with pytest.warns(FitFailedWarning), pytest.warns(UserWarning, match="non-finite"):
        search = grid_search(log, grid, fakes.Raises(log)).fit(*data)
    assert counts(search) == (2, 2)


def test_a_candidate_that_comes_twice_runs_once(data, log):
    """And has its score in both places."""
    search = grid_search(log, [{"value": [1.0]}, {"value": [1.0]}]).fit(*data)
    assert len(fakes.fits(log)) == 2
    first, second = search.cv_results_["mean_test_score"]
    assert first == second


def test_several_searches_share_a_file(data, log):
    """They do not get in each other's way."""
    grid_search(log).fit(*data)
    grid_search(log).fit(data[0] + 1, data[1])
    assert counts(grid_search(log).fit(*data)) == (4, 0)


def test_what_is_already_computed_survives_an_error(data, log):
    """error_score="raise" stops the search; finished folds stay."""
    grid = {"value": [1.0, 2.0, -1.0]}
    search = grid_search(log, grid, fakes.Raises(log), error_score="raise")
    with pytest.raises(RuntimeError):
        search.fit(*data)
    with pytest.raises(RuntimeError):
        search.fit(*data)
    values = fakes.fits(log)
    assert values.count(1.0) == values.count(2.0) == 2


# ---------------------------------------------------------------------------
# Near relatives


def test_a_changed_parameter_is_named_with_both_values(data, log, later_run):
    """Nothing can be reused, and a warning says why."""
    grid_search(log).fit(*data)
    later_run()
    with pytest.warns(
        NothingReusedWarning, match=r"estimator parameter 'seconds': 0\.0 -> 0\.001"
    ):
        search = grid_search(log, estimator=fakes.Logged(log, seconds=0.001)).fit(*data)
    assert counts(search) == (0, 4)


def test_changed_data_is_named(data, log, later_run):
    """One element is enough."""
    grid_search(log).fit(*data)
    later_run()
    X = data[0].copy()
    X[0, 0] += 1
    with pytest.warns(NothingReusedWarning, match="data 'X': other content"):
        grid_search(log).fit(X, data[1])


def test_a_changed_splitter_is_named(data, log, later_run):
    """From what to what."""
    grid_search(log).fit(*data)
    later_run()
    with pytest.warns(NothingReusedWarning, match="splitter 'cv': 2 -> 3"):
        grid_search(log, cv=3).fit(*data)


def test_an_added_scorer_is_named(data, log, later_run):
    """It makes all folds run."""
    grid_search(log, scoring={"a": other_scorer}).fit(*data)
    later_run()
    with pytest.warns(NothingReusedWarning, match="scorer 'b'"):
        grid_search(log, scoring={"a": other_scorer, "b": random_scorer}).fit(*data)


def test_no_warning_in_nested_cross_validation(data, log):
    """Its searches are on many subsets of the same data, and that is no surprise."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", NothingReusedWarning)
        cross_val_score(grid_search(log, refit=True), *data, cv=2)


def test_a_change_is_named_in_the_same_process_too(data, log):
    """The kernel of a notebook is one process, whatever was edited in it."""
    grid_search(log).fit(*data)
    with pytest.warns(NothingReusedWarning, match=r"'seconds': 0\.0 -> 0\.001"):
        grid_search(log, estimator=fakes.Logged(log, seconds=0.001)).fit(*data)


def test_a_loop_over_data_sets_hears_of_it_once(data, log):
    """Each has other data, as intended."""
    X, y = data
    grid_search(log).fit(X, y)
    with pytest.warns(NothingReusedWarning, match="data 'X': other content"):
        grid_search(log).fit(X + 1, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error", NothingReusedWarning)
        grid_search(log).fit(X + 2, y)


def test_other_parameter_names_are_named(data, log):
    """No candidate is one of before, and nothing else has changed."""
    grid_search(log).fit(*data)
    match = "candidate parameters: value -> seconds, value"
    with pytest.warns(NothingReusedWarning, match=match):
        grid_search(log, {"value": [1.0], "seconds": [0.001]}).fit(*data)


def test_train_scores_that_are_wanted_now_are_named(data, log):
    """They make all folds run."""
    grid_search(log).fit(*data)
    match = "train scores: not wanted -> wanted"
    with pytest.warns(NothingReusedWarning, match=match):
        grid_search(log, return_train_score=True).fit(*data)


@pytest.mark.parametrize(
    ("noise", "remark"), [(1e-12, "equal to 1e-6"), (1e-3, "differ by more")]
)
def test_data_of_the_same_shape_is_compared(data, log, later_run, noise, remark):
    """Last bits of another processor are told from other data."""
    X, y = data
    grid_search(log).fit(X, y)
    later_run()
    with pytest.warns(NothingReusedWarning, match=remark):
        grid_search(log).fit(X * (1 + noise), y)


def test_a_list_in_another_order_is_named_as_that(data, log):
    """As list(a_set) is, in each process in another one."""
    words = ["the", "and", "of"]
    grid_search(log, estimator=Words(log, words=words)).fit(*data)
    with pytest.warns(NothingReusedWarning, match="the same items in another order"):
        grid_search(log, estimator=Words(log, words=words[::-1])).fit(*data)


class Words(fakes.Logged):
    """Has a list for a parameter."""

    def __init__(self, log="", value=1.0, words=None):
        self.log, self.value, self.words = log, value, words
        self.seconds = 0.0


def test_an_edited_helper_is_named_by_name_and_file(data, log):
    """Down to the global that one of its functions reads."""

    def searched(source):
        scope = {"__name__": "helpers"}
        exec(compile(source, "helpers.py", "exec"), scope)
        return grid_search(log, scoring=Scorer(scope["score"])).fit(*data)

    source = """
        FACTOR = 2
        def double(x): return FACTOR * x
        def score(estimator, X, y): return double(estimator.value)
    """
    searched(textwrap.dedent(source))
    match = r"code 'FACTOR in helpers': 2 -> 3"
    with pytest.warns(NothingReusedWarning, match=match):
        searched(textwrap.dedent(source).replace("2", "3"))
    match = r"code 'double in helpers': .*double \(helpers\.py, line 3\)"
    with pytest.warns(NothingReusedWarning, match=match):
        searched(textwrap.dedent(source).replace("FACTOR *", "1 + FACTOR *"))


class Scorer:
    """Scores by a function."""

    def __init__(self, function):
        self.function = function

    def __call__(self, estimator, X, y):
        return self.function(estimator, X, y)


def test_a_line_tells_how_much_was_reused_and_why_not_the_rest(data, log, capsys):
    """Where progress is wanted at all."""
    grid_search(log).fit(*data)
    grid_search(log, {"value": [1.0, 2.0, 3.0]}, verbose=1).fit(*data)
    assert "4 of 6 folds were reused; the others are new" in capsys.readouterr().out


def test_the_account_of_a_fit_reads_as_a_sentence(data, log):
    """Where nothing was printed."""
    grid_search(log).fit(*data)
    text = repr(grid_search(log).fit(*data).resumption)
    assert "4 of 4 folds resumed, 0 run (search 1 in " in text


def test_no_warning_for_another_estimator_or_a_grown_grid(data, log, later_run):
    """Only near relatives are worth a warning."""
    grid_search(log).fit(*data)
    later_run()
    with warnings.catch_warnings():
        warnings.simplefilter("error", NothingReusedWarning)
        grid_search(log, estimator=fakes.RandomScore(log)).fit(*data)
        grid_search(log, {"value": [5.0]}).fit(*data)


def test_reused_folds_of_other_versions_are_named(data, log):
    """They are used as they are, and a warning says from which versions."""
    search = grid_search(log).fit(*data)
    store = CheckpointStore(search.resumption.checkpoint)
    store._db.execute(
        "UPDATE environments SET versions = json_set(versions, '$.sklearn', '0.1')"
    )
    store.close()
    with pytest.warns(VersionMixWarning, match=r"sklearn 0\.1 \(now "):
        assert counts(grid_search(log).fit(*data)) == (4, 0)


# ---------------------------------------------------------------------------
# Errors that come before any fold


def test_a_value_without_a_key_names_its_parameter(data, log):
    """And says what to do; nothing has run."""
    import threading

    with pytest.raises(FingerprintError, match=r"value(.|\n)*register_key"):
        grid_search(log, {"value": [threading.Lock()]}).fit(*data)
    assert fakes.fits(log) == []


def test_a_candidate_that_comes_twice_is_not_counted_as_resumed(data, log):
    """It runs once; resumed is what the checkpoint had before this fit."""
    grid = {"value": [1.0, 1.0, 1.0]}
    assert counts(grid_search(log, grid).fit(*data)) == (0, 2)
    assert counts(grid_search(log, grid).fit(*data)) == (6, 0)


def test_how_a_search_is_run_is_no_part_of_which_search_it_is(data, log):
    """It stays the same one in the file, and one process at a time may run it."""
    assert set(ResumableSearchMixin._parameter_constraints) <= keys.NOT_THE_SPACE
    first = grid_search(log).fit(*data)
    again = grid_search(
        log, time_budget=60, fold_timeout=60, grace_period=1, save_epochs=1, verbose=1
    ).fit(*data)
    assert again.resumption.search == first.resumption.search == 1


def test_the_same_search_in_another_process_is_an_error(data, log, script, tmp_path):
    """It names the holder, and ends with it; by whatever name the file is given."""
    source = """
        import sys
        import numpy as np
        from resumable_search import ResumableGridSearchCV
        from tests.fakes import Logged

        X = np.arange(24, dtype=np.float64).reshape(12, 2)
        ResumableGridSearchCV(
            Logged(sys.argv[1], seconds=float(sys.argv[2])), {"value": [1.0, 2.0]},
            cv=2, refit=False,
        ).fit(X, np.array([0, 1] * 6))
    """
    import time

    holder = script(source, log, 30)
    deadline = time.monotonic() + 30
    while not fakes.fits(log) and time.monotonic() < deadline:
        time.sleep(0.05)
    search = grid_search(log, estimator=fakes.Logged(log, seconds=30.0))
    with pytest.raises(CheckpointLockedError, match=f"process {holder.pid} on"):
        search.fit(*data)
    assert search.partial_results["params"] == []  # and not those of another search
    link = tmp_path / "link.sqlite"
    link.symlink_to(tmp_path / ".resumable_search" / "checkpoint.sqlite")
    with pytest.raises(CheckpointLockedError, match=f"process {holder.pid} on"):
        search.set_params(checkpoint=link).fit(*data)
    holder.kill()
    holder.communicate()
    quick = grid_search(log, estimator=fakes.Logged(log)).fit(*data)
    assert counts(quick) == (0, 4)
