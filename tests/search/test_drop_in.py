"""cv_results_ is what scikit-learn would have computed, in every key but the times."""

import functools
import pickle
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import Ridge
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneOut,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from resumable_search import ResumableGridSearchCV, ResumableRandomizedSearchCV
from tests.conftest import assert_same_results


def both(estimator, grid, X, y=None, fit_params=None, **parameters):
    """Fit ours twice (the second time from the checkpoint) and theirs; compare."""
    fit_params = fit_params or {}
    # Both with two workers: sums in numerical libraries depend on the threads.
    theirs = GridSearchCV(estimator, grid, n_jobs=2, **parameters)
    theirs.fit(X, y, **fit_params)
    ours = ResumableGridSearchCV(estimator, grid, n_jobs=2, **parameters)
    ours.fit(X, y, **fit_params)
    assert_same_results(ours.cv_results_, theirs.cv_results_)
    again = clone(ours).fit(X, y, **fit_params)
    assert_same_results(again.cv_results_, theirs.cv_results_)
    assert again.resumption.n_run == 0
    for name in ("best_index_", "best_params_", "best_score_", "multimetric_"):
        assert repr(getattr(again, name, None)) == repr(getattr(theirs, name, None))
    return again, theirs


def dict_scoring(estimator, X, y):
    predicted = estimator.predict(X)
    return {"accuracy": accuracy_score(y, predicted), "n": float(len(y))}


SVC_GRID = {"C": [0.1, 1.0], "kernel": ["linear", "rbf"]}

CASES = {
    "default": {},
    "train scores": {"return_train_score": True},
    "scorer by name": {"scoring": "f1_macro"},
    "scorer object": {"scoring": make_scorer(accuracy_score)},
    "scorer function": {"scoring": lambda e, X, y: float((e.predict(X) == y).sum())},
    "list of scorers": {"scoring": ["accuracy", "f1_macro"], "refit": "f1_macro"},
    "dict of scorers": {
        "scoring": {"a": "accuracy", "b": make_scorer(accuracy_score)},
        "refit": "a",
        "return_train_score": True,
    },
    "scorer giving a dict": {"scoring": dict_scoring, "refit": "accuracy"},
    "callable refit": {"refit": lambda results: 1},
    "no refit": {"refit": False},
    "multimetric without refit": {"scoring": ["accuracy", "f1_macro"], "refit": False},
    "int cv": {"cv": 4},
    "seeded splitter": {"cv": KFold(3, shuffle=True, random_state=1)},
    "leave one out": {"cv": LeaveOneOut()},
    "list of splits": {"cv": list(KFold(3).split(np.zeros(60)))},
}


@pytest.mark.parametrize("parameters", CASES.values(), ids=CASES)
def test_parameters_of_the_search_mean_the_same(iris, parameters):
    """Each parameter of scikit-learn's search has its meaning."""
    X, y = iris[0][::5], iris[1][::5]
    if parameters.get("cv") is CASES["list of splits"]["cv"]:
        X, y = iris[0][20:80], iris[1][20:80]
    both(SVC(), SVC_GRID, X, y, **parameters)


def test_a_list_of_grids_and_candidates_with_other_parameters(iris):
    """Parameters that a candidate does not have are masked."""
    grid = [{"kernel": ["linear"]}, {"kernel": ["rbf"], "gamma": [0.1, 1]}]
    both(SVC(), grid, *iris)


def test_estimators_as_parameter_values(iris):
    """A step of a pipeline can be searched over."""
    pipeline = Pipeline([("scale", StandardScaler()), ("classify", SVC())])
    grid = {
        "scale": [StandardScaler(), "passthrough", PCA(2)],
        "classify": [SVC(C=10), GaussianNB()],
    }
    both(pipeline, grid, *iris)


def test_nested_parameters(iris):
    """Parameters of an estimator within an estimator."""
    voting = VotingClassifier([("svc", SVC()), ("nb", GaussianNB())])
    both(voting, {"svc__C": [0.1, 1], "weights": [None, [1, 2]]}, *iris)


def test_a_dataframe(iris):
    """Feature names go through to the refit."""
    frame = pd.DataFrame(iris[0], columns=list("abcd"))
    ours, theirs = both(SVC(), SVC_GRID, frame, pd.Series(iris[1]))
    assert list(ours.feature_names_in_) == list(theirs.feature_names_in_)


@pytest.mark.parametrize("container", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
def test_sparse_input(iris, container):
    """Sparse matrices and arrays."""
    both(
        LinearSVC(max_iter=10_000, dual="auto"),
        {"C": [0.1]},
        container(iris[0]),
        iris[1],
    )


def test_lists_of_text_and_labels():
    """X and y need not be arrays."""
    texts = ["good film", "bad film", "good plot", "bad plot"] * 5
    labels = ["yes", "no", "yes", "no"] * 5
    pipeline = make_pipeline(CountVectorizer(), MultinomialNB())
    both(pipeline, {"multinomialnb__alpha": [0.1, 1]}, texts, labels, cv=3)


def test_no_target(iris):
    """y=None for unsupervised estimators."""
    estimator = KMeans(random_state=0, n_init=1)
    both(estimator, {"n_clusters": [2, 3]}, iris[0])


def test_a_precomputed_kernel(iris):
    """Rows and columns of a kernel matrix are both split."""
    kernel = iris[0] @ iris[0].T
    both(SVC(kernel="precomputed"), {"C": [0.1, 1]}, kernel, iris[1])


def test_groups_and_fit_parameters_that_are_split(iris):
    """Groups reaches the splitter, sample weights the estimator."""
    fit_params = {
        "groups": np.arange(150) % 5,
        "sample_weight": np.linspace(0.1, 1, 150),
    }
    both(SVC(), {"C": [0.1, 1]}, *iris, fit_params=fit_params, cv=GroupKFold(3))


def test_a_regressor_with_negative_scores():
    """Scores below zero and a two-dimensional target."""
    X, y = load_diabetes(return_X_y=True)
    y = np.column_stack([y, y * 2])
    both(Ridge(), {"alpha": [1e-3, 1, 1e3]}, X, y, scoring="neg_mean_squared_error")


def test_a_seeded_random_estimator(iris):
    """Seeds give the same in a worker as in the caller's process."""
    estimator = RandomForestClassifier(5, random_state=np.random.RandomState(3))
    both(estimator, {"max_depth": [2, 3]}, *iris)


def test_sampled_candidates(iris):
    """The same seed draws the same candidates."""
    space = {"C": loguniform(1e-2, 1e2), "kernel": ["rbf", "linear"]}
    theirs = RandomizedSearchCV(SVC(), space, n_iter=5, random_state=7).fit(*iris)
    ours = ResumableRandomizedSearchCV(SVC(), space, n_iter=5, random_state=7)
    assert_same_results(ours.fit(*iris).cv_results_, theirs.cv_results_)


def test_numpys_global_seed(iris):
    """An unseeded search draws from the global state just as in scikit-learn."""
    parameters = {"n_iter": 4, "cv": ShuffleSplit(3)}
    space = {"C": loguniform(1e-2, 1e2)}
    np.random.seed(5)
    theirs = RandomizedSearchCV(SVC(), space, **parameters).fit(*iris)
    np.random.seed(5)
    ours = ResumableRandomizedSearchCV(SVC(), space, **parameters).fit(*iris)
    assert_same_results(ours.cv_results_, theirs.cv_results_)


@pytest.mark.parametrize("error_score", [np.nan, 0, -1.5, "raise"])
def test_error_scores(iris, error_score):
    """A fit that fails counts as error_score, or is raised."""
    grid = {"C": [1.0, -1.0]}
    ours = ResumableGridSearchCV(SVC(), grid, error_score=error_score)
    if error_score == "raise":
        with pytest.raises(ValueError, match="'C' parameter"):
            ours.fit(*iris)
        return
    theirs = GridSearchCV(SVC(), grid, error_score=error_score)
    results = []
    for search in (theirs, ours, clone(ours)):
        with pytest.warns() as caught:
            search.fit(*iris)
        assert any(
            "5 fits failed out of a total of 10" in str(w.message) for w in caught
        )
        results.append(search.cv_results_)
    assert_same_results(results[1], results[0])
    assert_same_results(results[2], results[0])
    assert search.resumption.n_run == 5  # a failed fold is tried again


def test_a_scorer_that_fails_is_not_a_score(iris):
    """An error score in the place of a score is not stored as one."""
    search = ResumableGridSearchCV(
        SVC(), {"C": [1.0]}, scoring="roc_auc", error_score=0.0, cv=3
    )
    for _ in range(2):
        with pytest.warns(UserWarning, match="Scoring failed"):
            search.fit(*iris)
        assert list(search.cv_results_["mean_test_score"]) == [0.0]
        assert (search.resumption.n_run, search.resumption.n_failed) == (3, 3)


def test_a_search_is_pickled_cloned_and_shown(iris):
    """What can be done with scikit-learn's search can be done with ours."""
    search = ResumableGridSearchCV(
        SVC(), SVC_GRID, checkpoint="a.sqlite", max_retries=3
    )
    cloned = clone(search)
    assert (cloned.checkpoint, cloned.max_retries) == ("a.sqlite", 3)
    assert cloned.set_params(max_retries=0, estimator__C=2).max_retries == 0
    search.fit(*iris)
    loaded = pickle.loads(pickle.dumps(search))
    np.testing.assert_array_equal(loaded.predict(iris[0]), search.predict(iris[0]))
    assert loaded.resumption == search.resumption
    assert "SVC" in search._repr_html_()
    assert "checkpoint='a.sqlite'" in repr(search)


def test_a_search_within_cross_validation(iris):
    """Nested cross-validation gives scikit-learn's scores, and resumes."""
    ours = ResumableGridSearchCV(SVC(), {"C": [0.1, 1, 10]}, cv=2)
    theirs = GridSearchCV(SVC(), {"C": [0.1, 1, 10]}, cv=2)
    expected = cross_val_score(theirs, *iris, cv=3)
    np.testing.assert_array_equal(cross_val_score(ours, *iris, cv=3), expected)
    np.testing.assert_array_equal(
        cross_val_score(ours, *iris, cv=3, n_jobs=2), expected
    )
    ours.fit(iris[0][50:], iris[1][50:])  # split 0 of KFold would be other data
    assert ours.resumption.n_run > 0


def test_a_search_within_a_pipeline_within_a_search(iris):
    """A search is an estimator like any other, in a worker too."""
    inner = ResumableGridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2)
    theirs = GridSearchCV(SVC(), {"C": [0.1, 1]}, cv=2)
    grid = {"scale": [StandardScaler(), "passthrough"]}
    results = [
        cls(Pipeline([("scale", None), ("search", search)]), grid, cv=2)
        .fit(*iris)
        .cv_results_
        for cls, search in [(ResumableGridSearchCV, inner), (GridSearchCV, theirs)]
    ]
    assert_same_results(*results)


def test_the_refit_sees_the_users_backend(iris):
    """Parallelism inside the refit is not sent to our workers."""
    import joblib

    seen = []

    class Parallel(GaussianNB):
        def fit(self, X, y):
            seen.append(type(joblib.parallel.get_active_backend()[0]).__name__)
            return super().fit(X, y)

    with joblib.parallel_config("threading", n_jobs=2):
        ResumableGridSearchCV(Parallel(), {"var_smoothing": [1e-9]}).fit(*iris)
    assert seen == ["ThreadingBackend"]


def test_n_jobs_comes_from_joblibs_context(data, log):
    """n_jobs=None takes what parallel_config says."""
    import joblib

    from tests import fakes

    with joblib.parallel_config(n_jobs=2):
        grid = {"value": [1.0, 2.0, 3.0]}
        ResumableGridSearchCV(fakes.Logged(log, seconds=0.3), grid, cv=2).fit(*data)
    assert len(set(fakes.workers(log)[:6])) == 2


def test_fit_works_in_another_thread(iris):
    """A search need not run in the main thread."""
    from concurrent.futures import ThreadPoolExecutor

    search = ResumableGridSearchCV(SVC(), SVC_GRID, n_jobs=2)
    with ThreadPoolExecutor(1) as executor:
        executor.submit(search.fit, *iris).result()
    assert_same_results(
        search.cv_results_, GridSearchCV(SVC(), SVC_GRID).fit(*iris).cv_results_
    )


def test_closures_lambdas_and_partials(iris):
    """Functions that no module has can be scorers and parts of estimators."""
    weight = 2.0

    class Local(GaussianNB):
        def fit(self, X, y):
            self.factor_ = weight
            return super().fit(X * weight, y)

    def scoring(estimator, X, y, power):
        return estimator.score(X, y) ** power * estimator.factor_

    both(
        Local(),
        {"var_smoothing": [1e-9, 1e-3]},
        *iris,
        scoring=functools.partial(scoring, power=2),
    )


def test_metadata_routing(iris):
    """With routing enabled, requests decide what goes where."""
    import sklearn

    weights = np.linspace(0.1, 1, 150)
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = SVC().set_fit_request(sample_weight=True)
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        both(
            estimator,
            {"C": [0.1, 1]},
            *iris,
            fit_params={"sample_weight": weights},
            scoring=scorer,
        )


@pytest.mark.skipif(
    find_spec("sklearn.callback") is None,
    reason="scikit-learn has callbacks since 1.9",
)
@pytest.mark.filterwarnings("ignore:The estimator SVC does not support callbacks")
def test_a_progress_bar_ends_when_folds_are_resumed(iris, capsys):
    """Folds from the checkpoint move scikit-learn's progress bar on."""
    from sklearn.callback import ProgressBar

    for _ in range(2):
        search = ResumableGridSearchCV(SVC(), SVC_GRID, cv=2, n_jobs=2)
        search.set_callbacks(ProgressBar()).fit(*iris)
        shown = capsys.readouterr().out
        assert "100%" in shown.splitlines()[1]
    assert search.resumption.n_resumed == 8
