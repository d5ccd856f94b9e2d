"""Filters that make warnings errors: a fold that warned holds under its own only."""

import warnings

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from resumable_search import ResumableGridSearchCV
from resumable_search._warning_filters import error_filters


def warns_about_many(estimator, X, y):
    """Return 0 where the warning about more than four rows is an error."""
    try:
        if len(X) > 4:
            warnings.warn("That is much", RuntimeWarning, stacklevel=1)
    except RuntimeWarning:
        return 0.0
    return 1.0


@pytest.fixture
def fit(data):
    """Give a function that fits a search of two folds, one of which warns."""
    rows = np.arange(12)
    splits = [(rows[:6], rows[6:]), (rows[:8], rows[8:])]

    def fit():
        with warnings.catch_warnings(record=True):
            search = ResumableGridSearchCV(
                DummyClassifier(), {}, scoring=warns_about_many, cv=splits, refit=False
            ).fit(*data)
        results = search.cv_results_
        scores = [float(results[f"split{i}_test_score"][0]) for i in range(2)]
        return scores, search.resumption.n_run

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield fit


def test_a_fold_that_warned_runs_again_where_warnings_are_errors(fit):
    """The other one is reused; afterwards both are."""
    assert fit() == ([1.0, 1.0], 2)
    warnings.simplefilter("error")
    assert fit() == ([0.0, 1.0], 1)
    assert fit() == ([0.0, 1.0], 0)


def test_and_where_they_are_no_errors_any_more(fit):
    """In both directions."""
    warnings.simplefilter("error", RuntimeWarning)
    assert fit() == ([0.0, 1.0], 2)
    warnings.simplefilter("ignore")
    assert fit() == ([1.0, 1.0], 1)


def test_filters_that_only_show_or_hide_do_not_matter(fit):
    """No score depends on them."""
    fit()
    warnings.simplefilter("ignore")
    assert fit()[1] == 0
    warnings.filterwarnings("always", "That", RuntimeWarning)
    assert fit()[1] == 0


def leaves_a_file_open(estimator, X, y):
    """Return a score; the file warns when it goes."""
    open(__file__)  # noqa: SIM115, PTH123
    return 1.0


def test_warnings_of_destructors_do_not_matter(data):
    """As errors, they would be ignored."""

    def fit():
        return ResumableGridSearchCV(
            DummyClassifier(), {}, scoring=leaves_a_file_open, cv=2, refit=False
        ).fit(*data)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert fit().resumption.n_run == 2
        warnings.simplefilter("error")
        assert fit().resumption.n_run == 0


def test_a_filter_may_have_several_categories():
    """As those of scikit-learn's own checks do."""
    both = (FutureWarning, UserWarning)
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("error", both)
        expected = "error::(builtins.FutureWarning builtins.UserWarning)::0"
        assert error_filters(warnings.filters) == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ""),
        ([("ignore", "", Warning)], ""),
        ([("error", "", UserWarning)], "error::builtins.UserWarning::0"),
        ([("error", "", UserWarning), ("always", "", Warning)], ""),
        (
            [("error", "", UserWarning), ("ignore", "a", Warning)],
            "pass:a/2:builtins.Warning::0, error::builtins.UserWarning::0",
        ),
    ],
    ids=["none", "ignore", "error", "hidden", "with an exception"],
)
def test_filters_count_as_far_as_they_make_errors(options, expected):
    """What stands behind a filter for everything does not count."""
    with warnings.catch_warnings():
        warnings.resetwarnings()
        for action, message, category in options:
            warnings.filterwarnings(action, message, category)
        assert error_filters(warnings.filters) == expected
