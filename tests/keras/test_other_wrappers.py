"""Estimators of keras.wrappers and of SciKeras: which a search takes, which not."""

import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone, is_classifier
from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from resumable_search import ResumableGridSearchCV
from resumable_search._keras.foreign_wrappers import check_estimator
from resumable_search.keras import KerasClassifier

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
keras = pytest.importorskip("keras")
if not hasattr(keras, "wrappers"):
    pytest.skip("this Keras has no keras.wrappers", allow_module_level=True)

pytestmark = [
    pytest.mark.keras,
    # Keras reads TensorFlow variables with numpy.array(), whose keyword "copy"
    # TensorFlow's objects do not know yet (NumPy 2).
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    ),
]

X, Y = make_classification(40, 4, random_state=0)
WRAPPERS = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


class Epochs(keras.callbacks.Callback):
    """Counts the epochs of all fits."""

    count = 0

    def on_epoch_end(self, epoch, logs=None):
        type(self).count += 1


@pytest.fixture
def epochs():
    Epochs.count = 0
    return Epochs


def build(n_units=2, activation="softmax", loss="sparse_categorical_crossentropy"):
    model = keras.Sequential(
        [
            keras.layers.Input((4,)),
            keras.layers.Dense(n_units, activation=activation),
        ]
    )
    model.compile(loss=loss, run_eagerly=True)
    return model


def build_for_keras(X, y):
    return build(loss="categorical_crossentropy")


def wrapper(name="SKLearnClassifier", **parameters):
    return getattr(keras.wrappers, name)(build_for_keras, **parameters)


@pytest.fixture
def scikeras():
    return pytest.importorskip("scikeras.wrappers", reason="SciKeras is not installed")


# keras.wrappers


@pytest.mark.parametrize("name", WRAPPERS)
def test_fit_kwargs_that_are_lost(name):
    """A keras.wrappers estimator with fit_kwargs is refused, as clone drops them."""
    estimator = wrapper(name, fit_kwargs={"epochs": 3})
    if clone(estimator).fit_kwargs:
        pytest.skip(f"Keras {keras.__version__} does not drop fit_kwargs")
    ours = "KerasRegressor" if "Regressor" in name else "KerasClassifier"
    message = (
        rf"'fit_kwargs' parameter of {name} must .* Got \{{'epochs': 3\}} .* single "
        rf"epoch .*resumable_search\.keras\.{ours}\(model, epochs=3\)"
    )
    with pytest.raises(TypeError, match=message):
        check_estimator(estimator, 3)


def test_other_fit_kwargs_that_are_lost():
    """Without epochs among them, the message does not make a number up."""
    with pytest.raises(TypeError, match=r"Keras's defaults .*\(model, epochs=\.\.\.\)"):
        check_estimator(wrapper(fit_kwargs={"batch_size": 3}), 3)


def test_compiled_model_with_fit_kwargs():
    """A model instead of a function is refused as well, and not copied for it."""
    model = build()
    estimator = keras.wrappers.SKLearnClassifier(model, fit_kwargs={"epochs": 3})
    with pytest.raises(TypeError, match="'fit_kwargs' parameter"):
        check_estimator(estimator, 3)
    assert estimator.model is model
    assert estimator.fit_kwargs == {"epochs": 3}


@pytest.mark.parametrize(
    "contain",
    [
        lambda e: make_pipeline(StandardScaler(), e),
        lambda e: make_pipeline(StandardScaler(), BaggingClassifier(e)),
        lambda e: StackingClassifier([("keras", e), ("other", LogisticRegression())]),
        lambda e: make_pipeline(make_pipeline(SelectFromModel(e)), LinearRegression()),
    ],
    ids=["pipeline", "bagging", "stacking", "selection"],
)
def test_fit_kwargs_are_found_at_any_depth(contain):
    """A wrapper inside of pipelines and meta-estimators is refused as well."""
    check_estimator(contain(wrapper()), 3)
    with pytest.raises(TypeError, match="'fit_kwargs' parameter of SKLearnClassifier"):
        check_estimator(contain(wrapper(fit_kwargs={"epochs": 3})), 3)


def test_subclass_of_a_wrapper():
    """A class of the user's that derives from a wrapper is refused as well."""

    class Mine(keras.wrappers.SKLearnClassifier):
        pass

    with pytest.raises(TypeError, match="'fit_kwargs' parameter of Mine"):
        check_estimator(Mine(build_for_keras, fit_kwargs={"epochs": 3}), 3)


def test_a_mended_wrapper_passes():
    """A wrapper that keeps its fit_kwargs when it is cloned is not refused."""

    class Mended(keras.wrappers.SKLearnClassifier):
        def __sklearn_clone__(self):
            return type(self)(**self.get_params(deep=False))

    check_estimator(Mended(build_for_keras, fit_kwargs={"epochs": 3}), 3)


def test_a_wrapper_that_cannot_be_cloned_is_left_to_the_search():
    """What clone raises is not hidden behind another error."""

    class Broken(keras.wrappers.SKLearnClassifier):
        def __sklearn_clone__(self):
            raise RuntimeError

    check_estimator(Broken(build_for_keras, fit_kwargs={"epochs": 3}), 3)


@pytest.mark.parametrize("fit_kwargs", [None, {}])
def test_wrapper_without_fit_kwargs_trains_what_fit_is_given(epochs, fit_kwargs):
    """What passes trains with the epochs that the search's fit is given."""
    estimator = wrapper(fit_kwargs=fit_kwargs)
    check_estimator(estimator, 2)
    search = GridSearchCV(estimator, {"warm_start": [False]}, cv=2, refit=False)
    search.fit(X, Y, epochs=3, callbacks=[epochs()], verbose=0)
    assert epochs.count == 2 * 3


# SciKeras


def make_scikeras(scikeras, **parameters):
    return scikeras.KerasClassifier(build, verbose=0, **parameters)


@pytest.mark.parametrize("cv", [None, 3, np.int64(3)])
@pytest.mark.parametrize("contain", [lambda e: e, make_pipeline])
def test_scikeras_classifier_would_not_be_stratified(scikeras, cv, contain):
    """It is refused where scikit-learn would choose the splitter."""
    estimator = make_scikeras(scikeras)
    if is_classifier(estimator):
        pytest.skip("this scikit-learn takes SciKeras's classifier for one")
    message = (
        rf"'cv' parameter .* SciKeras KerasClassifier must be a splitter\. Got "
        rf".*cv=StratifiedKFold\({5 if cv is None else 3}\).*resumable_search\.keras"
    )
    with pytest.raises(TypeError, match=message):
        check_estimator(contain(estimator), cv)


@pytest.mark.parametrize(
    "cv", [StratifiedKFold(3), KFold(3), [(np.arange(20), np.arange(20, 40))]]
)
def test_scikeras_classifier_with_a_splitter(scikeras, cv):
    """It passes where the user has chosen the splits."""
    check_estimator(make_scikeras(scikeras), cv)


def test_scikeras_classifier_in_an_estimator_of_known_type(scikeras):
    """It passes inside of what scikit-learn takes for a classifier or a regressor."""
    estimator = make_scikeras(scikeras)
    check_estimator(BaggingClassifier(estimator), 3)
    check_estimator(make_pipeline(SelectFromModel(estimator), LinearRegression()), 3)


def test_scikeras_regressor_passes(scikeras):
    """A regressor is split in the same way whatever scikit-learn takes it for."""
    estimator = scikeras.KerasRegressor(build)
    check_estimator(estimator, 3)
    check_estimator(MultiOutputRegressor(estimator), None)


def test_scikeras_trains_the_epochs(scikeras, epochs):
    """What passes trains with the epochs that were asked for."""
    estimator = make_scikeras(scikeras, epochs=3, callbacks=[epochs()])
    cv = StratifiedKFold(2)
    check_estimator(estimator, cv)
    search = GridSearchCV(
        estimator, {"batch_size": [20]}, cv=cv, refit=False, error_score="raise"
    )
    search.fit(X, Y)
    assert epochs.count == 2 * 3


def constant_of_determinism():
    """Build a model that predicts whether TensorFlow is set to be deterministic."""
    config = sys.modules["tensorflow.python.framework.config"]
    found = config.is_op_determinism_enabled() + 2 * (
        "TF_DETERMINISTIC_OPS" in os.environ
    )
    dense = keras.layers.Dense(
        1,
        kernel_initializer="zeros",
        bias_initializer=keras.initializers.Constant(float(found)),
    )
    model = keras.Sequential([keras.layers.Input((4,)), dense])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model


def mean_prediction(estimator, X, y):
    return float(np.mean(estimator.predict(X)))


@pytest.mark.timeout(600)
def test_a_seeded_scikeras_fit_leaves_no_setting_to_the_next_fold(scikeras):
    """Determinism is there in the folds of the seeded candidate alone."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("SciKeras sets TensorFlow alone to be deterministic")
    estimator = scikeras.KerasRegressor(constant_of_determinism, epochs=1, verbose=0)
    grid = {"random_state": [0, None]}
    search = ResumableGridSearchCV(
        estimator, grid, cv=KFold(2), scoring=mean_prediction, refit=False
    )
    scores = search.fit(X, Y).cv_results_["mean_test_score"]
    assert scores.tolist() == [3.0, 0.0]


# Others


def test_own_wrapper_trains_the_epochs(epochs):
    """The remedy that the messages name is taken, and trains the epochs."""
    estimator = KerasClassifier(build, epochs=3, callbacks=[epochs()])
    check_estimator(estimator, 2)
    GridSearchCV(estimator, {"batch_size": [20]}, cv=2, refit=False).fit(X, Y)
    assert epochs.count == 2 * 3


def test_other_estimators_pass():
    """Estimators that have nothing to do with Keras pass, whatever they hold."""
    estimator = make_pipeline(StandardScaler(), "passthrough", LogisticRegression())
    check_estimator(estimator, 3)
    check_estimator(object(), None)


def test_the_check_imports_nothing():
    """The check imports neither Keras nor SciKeras."""
    code = (
        "import sys; from sklearn.linear_model import LogisticRegression;"
        "from resumable_search._keras.foreign_wrappers import check_estimator;"
        "check_estimator(LogisticRegression(), 3);"
        "assert not {'keras', 'scikeras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
