"""Keys of objects of CatBoost, LightGBM and XGBoost that no search clones."""

import functools
import pickle

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from resumable_search import FingerprintError, ResumableGridSearchCV
from resumable_search._keys.fingerprint import fingerprint
from tests.keys.processes import keys_in_new_process

X = np.random.RandomState(0).rand(40, 3).astype("float32")
y = X[:, 0]

FITTED = """
import catboost
import numpy as np
X = np.arange(60.0).reshape(20, 3)
QUIET = {{"iterations": 5, "verbose": 0, "allow_writing_files": False}}
model = catboost.CatBoostRegressor(**QUIET, thread_count={threads})
model.fit(X, X[:, 0] ** {power})
def predict(X):
    return model.predict(X)
values = {{"model": model, "function": predict, "method": model.predict}}
"""


def test_a_fitted_catboost_model_has_the_same_key_in_each_process(tmp_path):
    """The id and the time that CatBoost gives to each model do not count."""
    pytest.importorskip("catboost")
    code = FITTED.format(threads=1, power=1)
    keys = keys_in_new_process(tmp_path, code, seed=1)
    assert keys_in_new_process(tmp_path, code, seed=2) == keys
    others = keys_in_new_process(tmp_path, FITTED.format(threads=1, power=2), seed=1)
    assert not set(keys.values()) & set(others.values())


def test_a_catboost_model_is_the_same_after_pickle_and_with_other_threads():
    """What it has learned counts, and not how."""
    catboost = pytest.importorskip("catboost")
    quiet = {"iterations": 3, "verbose": 0, "allow_writing_files": False}
    fitted = [
        catboost.CatBoostRegressor(**quiet, thread_count=n).fit(X, y) for n in (1, 2)
    ]
    assert fingerprint(fitted[0]) == fingerprint(fitted[1])
    assert fingerprint(pickle.loads(pickle.dumps(fitted[0]))) == fingerprint(fitted[0])
    assert fingerprint(catboost.CatBoostRegressor(**quiet)) != fingerprint(fitted[0])


def test_a_catboost_pool_counts_by_its_content():
    """Features, labels, weights, baseline and names of a Pool count."""
    catboost = pytest.importorskip("catboost")
    X, y = [[1.0, 2.0], [3.0, 4.0]], [0, 1]
    made = [
        functools.partial(catboost.Pool, X, y),
        functools.partial(catboost.Pool, X, [1, 0]),
        functools.partial(catboost.Pool, X),
        functools.partial(catboost.Pool, [[1.0, 2.0], [3.0, 5.0]], y),
        functools.partial(catboost.Pool, X, y, weight=[1, 2]),
        functools.partial(catboost.Pool, X, y, baseline=[1.0, 2.0]),
        functools.partial(catboost.Pool, X, y, feature_names=["a", "b"]),
    ]
    keys = [fingerprint(make()) for make in made]
    assert [fingerprint(make()) for make in made] == keys
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    "arguments",
    [
        {"group_id": [0, 1]},
        {"group_id": [0, 0], "subgroup_id": [0, 1]},
        {"pairs": [[0, 1]]},
        {"cat_features": [0]},
        {"embedding_features": [0]},
    ],
    ids=str,
)
def test_a_pool_that_does_not_give_back_all_of_it_is_refused(arguments):
    """The error names the way out."""
    catboost = pytest.importorskip("catboost")
    data = [[1, 2.0], [2, 4.0]]
    if "embedding_features" in arguments:
        data = [[[1.0, 2.0], 2.0], [[2.0, 2.0], 4.0]]
    pool = catboost.Pool(data, [0, 1], **arguments)
    with pytest.raises(FingerprintError, match=r"as a tuple \(X, y\)"):
        fingerprint(pool)


def test_a_pool_that_a_function_holds_is_refused():
    """It may be trained with in the order of time stamps, which nobody can read."""
    catboost = pytest.importorskip("catboost")
    pool = catboost.Pool(X, y)
    with pytest.raises(FingerprintError, match="make the Pool in the function"):
        fingerprint(lambda: pool)


@pytest.mark.parametrize("labels", [y, np.where(y > 0.5, "high", "low")], ids=str)
def test_a_search_with_a_pool_has_the_scores_of_scikit_learn(labels):
    """The worker gets a Pool with the same content."""
    catboost = pytest.importorskip("catboost")
    is_text = labels.dtype.kind == "U"
    kind = catboost.CatBoostClassifier if is_text else catboost.CatBoostRegressor
    model = kind(iterations=30, verbose=0, allow_writing_files=False, od_wait=2)
    pool = catboost.Pool(X[:9], labels[:9], weight=np.arange(9.0) + 1)
    found, expected = (
        search(model, {"depth": [2, 3]}, cv=2, refit=False)
        .fit(X, labels, eval_set=pool)
        .cv_results_["mean_test_score"]
        for search in (ResumableGridSearchCV, GridSearchCV)
    )
    assert np.array_equal(found, expected)


# Of the name of eval_set, and that it is the training set.
@pytest.mark.filterwarnings("ignore")
def test_a_lightgbm_callback_counts_by_what_it_was_made_with():
    """A training leaves a state in the callback, which does not count."""
    lightgbm = pytest.importorskip("lightgbm")
    stopping, record = lightgbm.early_stopping(3), lightgbm.record_evaluation({})
    before = fingerprint([stopping, record])
    lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(
        X, y, eval_set=[(X, y)], callbacks=[stopping, record]
    )
    assert fingerprint([stopping, record]) == before
    assert fingerprint(lightgbm.early_stopping(4)) != fingerprint(stopping)


def test_an_xgboost_callback_counts_with_its_state():
    """A search leaves it as it was; one that has been used stops elsewhere."""
    xgboost = pytest.importorskip("xgboost")
    stopping = xgboost.callback.EarlyStopping(rounds=2)
    model = xgboost.XGBRegressor(n_estimators=20, callbacks=[stopping])
    before = fingerprint(model, cloned=True)
    search = ResumableGridSearchCV(model, {"max_depth": [2]}, cv=2)
    search.fit(X, y, eval_set=[(X, y)], verbose=False)
    assert fingerprint(model, cloned=True) == before

    def n_trees():
        fitted = xgboost.XGBRegressor(n_estimators=20, callbacks=[stopping])
        fitted.fit(X, y, eval_set=[(X[:9] + 0.3, y[:9])], verbose=False)
        return fitted.get_booster().num_boosted_rounds()

    assert n_trees() != n_trees()
    assert fingerprint(model, cloned=True) != before


@pytest.mark.parametrize("name", ["DMatrix", "QuantileDMatrix"])
def test_a_matrix_of_xgboost_is_refused_with_the_way_out(name):
    """Its data is not Python's."""
    xgboost = pytest.importorskip("xgboost")
    with pytest.raises(FingerprintError, match="hold the arrays"):
        fingerprint(getattr(xgboost, name)(X, y))
