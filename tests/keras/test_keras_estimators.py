"""KerasClassifier and KerasRegressor, on TensorFlow."""

import copy
import inspect
import os
import pickle
import random
import subprocess
import sys

import joblib
import numpy as np
import pytest
import scipy.sparse
import sklearn
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.metrics import get_scorer
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    check_cv,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, validation

from resumable_search.keras import KerasClassifier, KerasRegressor

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

pytestmark = [
    pytest.mark.keras,
    # Keras reads TensorFlow variables with numpy.array(), whose keyword "copy"
    # TensorFlow's objects do not know yet (NumPy 2).
    pytest.mark.filterwarnings(
        "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
    ),
]

X, Y = make_classification(90, 5, n_informative=4, n_redundant=0, random_state=0)
_, Y3 = make_classification(
    90, 5, n_informative=4, n_redundant=0, n_classes=3, random_state=0
)
NAMES = np.array(["ant", "bee", "cat"])[Y3]


def build(
    meta, units=4, loss=None, activation="softmax", n_units=None, rate=0.01, eager=True
):
    """Build a small classifier, which runs without the seconds that tracing takes."""
    model = keras.Sequential(
        [
            keras.layers.Input(meta["X_shape_"][1:]),
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dropout(0.1),
            keras.layers.Dense(n_units or meta["n_classes_"], activation=activation),
        ]
    )
    loss = loss or "sparse_categorical_crossentropy"
    optimizer = keras.optimizers.Adam(rate)
    model.compile(optimizer=optimizer, loss=loss, run_eagerly=eager)
    return model


def build_regressor(meta, units=4, eager=True):
    """Build a small regressor."""
    model = keras.Sequential(
        [
            keras.layers.Input((meta["n_features_in_"],)),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(meta["n_outputs_"]),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse", run_eagerly=eager)
    return model


def classifier(**parameters):
    return KerasClassifier(build, **{"random_state": 0, "batch_size": 45, **parameters})


def regressor(**parameters):
    parameters = {"random_state": 0, "batch_size": 45, **parameters}
    return KerasRegressor(build_regressor, **parameters)


def made_model(n_classes=2):
    return build({"X_shape_": X.shape, "n_classes_": n_classes})


# Parameters


def test_the_import_loads_no_framework():
    """Importing the module imports neither Keras nor a backend."""
    code = (
        "import sys, resumable_search.keras as k;"
        "k.KerasClassifier(print).get_params();"
        "bad = {'keras', 'tensorflow', 'torch', 'jax'} & set(sys.modules);"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("make", [classifier, regressor])
def test_clone_keeps_every_parameter(make):
    """A clone has equal parameters, the ones that are passed on included."""
    given = {
        "epochs": 3,
        "batch_size": 8,
        "verbose": 0,
        "model__units": 7,
        "fit__validation_split": 0.1,
        "predict__batch_size": 16,
    }
    estimator = make(**given)
    assert clone(estimator).get_params() == estimator.get_params()
    assert given.items() <= estimator.get_params().items()


def test_every_constructor_parameter_is_assigned():
    """Every parameter of the constructor comes back as it was given."""
    for cls in (KerasClassifier, KerasRegressor):
        names = list(inspect.signature(cls).parameters)[:-1]
        values = {name: object() for name in names}
        assert cls(**values).get_params(deep=False) == values


def test_set_params_takes_parameters_of_the_function_that_were_not_given():
    """``model__units`` can be set on an estimator constructed without it."""
    estimator = classifier().set_params(model__units=3, epochs=2)
    assert estimator.get_params()["model__units"] == 3
    assert estimator.epochs == 2


def test_set_params_refuses_an_unknown_name():
    """A name without a prefix gets scikit-learn's error, and nothing is set."""
    estimator = classifier()
    with pytest.raises(ValueError, match="Invalid parameter 'units' for estimator"):
        estimator.set_params(units=3, model__units=3)
    assert "model__units" not in estimator.get_params()


def test_constructor_refuses_an_unknown_name():
    """A name without a prefix is refused with the prefixed names."""
    with pytest.raises(TypeError, match=r"'units'.*'model__units'"):
        KerasClassifier(build, units=3)


def test_unknown_parameter_of_the_function():
    """A parameter that the function does not have is named, with those it has."""
    with pytest.raises(ValueError, match=r"(?s)'model__unit' for .*build .*'units'"):
        classifier(model__unit=3).fit(X, Y)


def test_missing_parameter_of_the_function():
    """A parameter that the function needs is named, with the way to give it."""

    def needs_units(units):
        return made_model()

    with pytest.raises(TypeError, match=r"needs_units.*'units'.*model__<name>"):
        KerasClassifier(needs_units).fit(X, Y)


def test_function_without_meta():
    """The function need not have a parameter named ``meta``."""
    estimator = KerasClassifier(lambda: made_model(), random_state=0).fit(X, Y)
    assert estimator.n_iter_ == 1


def test_meta_describes_the_data():
    """``meta`` holds what the function needs to know about the data."""
    seen = {}

    def look(meta):
        seen.update(meta)
        return build(meta)

    KerasClassifier(look).fit(X, NAMES)
    assert seen.pop("classes_").tolist() == ["ant", "bee", "cat"]
    assert seen == {
        "n_features_in_": 5,
        "X_shape_": (90, 5),
        "X_dtype_": X.dtype,
        "n_outputs_": 1,
        "n_classes_": 3,
        "target_type_": "multiclass",
    }


def test_fit_parameters_win_over_plain_ones():
    """``fit__epochs`` overrides ``epochs``, an argument of ``fit`` both."""
    estimator = classifier(epochs=1, fit__epochs=2)
    assert estimator.fit(X, Y).n_iter_ == 2
    assert estimator.fit(X, Y, epochs=3).n_iter_ == 3


@pytest.mark.parametrize("value", [0, 1.5, "3"])
@pytest.mark.parametrize("name", ["epochs", "batch_size"])
def test_counts_are_checked(name, value):
    """Anything but a positive integer is refused with the value received."""
    message = rf"'{name}' parameter of KerasClassifier must be an int.*Got {value!r}"
    with pytest.raises(ValueError, match=message):
        classifier(**{name: value}).fit(X, Y)


def test_repr_shows_passed_parameters():
    """Text and HTML display work and show the parameters passed on."""
    assert "model__units=3" in repr(classifier(model__units=3))
    assert "model__units" in classifier(model__units=3)._repr_html_()


# Models


def test_uncompiled_model():
    """A model that is not compiled is refused with the call that is missing."""

    def uncompiled():
        return keras.Sequential([keras.layers.Dense(2)])

    with pytest.raises(ValueError, match=r"uncompiled returned is not. Call model.com"):
        KerasClassifier(uncompiled).fit(X, Y)


def test_function_that_returns_no_model():
    """A function that forgets to return its model is told so."""
    with pytest.raises(TypeError, match=r"must return a compiled .* Got None instead"):
        KerasClassifier(lambda: None).fit(X, Y)


def test_model_that_is_neither():
    """A model that is neither a function nor a model is refused."""
    with pytest.raises(TypeError, match=r"must be a function .* Got 3 instead"):
        KerasClassifier(3).fit(X, Y)


def test_model_without_input_layer_is_built():
    """A Sequential without Input gets its shape from the data."""

    def unbuilt():
        model = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
        model.compile(loss="sparse_categorical_crossentropy")
        return model

    assert KerasClassifier(unbuilt).fit(X, Y).predict_proba(X).shape == (90, 2)


def test_given_model_is_not_trained():
    """A model given instead of a function keeps its weights."""
    model = made_model()
    before = model.get_weights()
    KerasClassifier(model, random_state=0).fit(X, Y)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_given_model_starts_each_fit_with_its_weights():
    """Fits, clones and unpickled copies start equal and end equal."""
    estimator = KerasClassifier(made_model(), random_state=0)
    copies = [clone(estimator), pickle.loads(pickle.dumps(estimator)), estimator]
    first = estimator.fit(X, Y).predict_proba(X)
    for other in copies:
        np.testing.assert_array_equal(other.fit(X, Y).predict_proba(X), first)


def test_given_model_takes_no_parameters():
    """``model__*`` is refused where the model is no function."""
    with pytest.raises(ValueError, match=r"'model__units'.*is a Keras model"):
        KerasClassifier(made_model(), model__units=3).fit(X, Y)


# Targets


@pytest.mark.parametrize(
    ("loss", "activation", "n_units"),
    [
        ("sparse_categorical_crossentropy", "softmax", None),
        ("categorical_crossentropy", "softmax", None),
        ("binary_crossentropy", "sigmoid", 1),
        ("binary_crossentropy", "sigmoid", 2),
        ("mse", "sigmoid", 1),
        (keras.losses.BinaryCrossentropy(from_logits=True), None, 1),
        (keras.losses.SparseCategoricalCrossentropy(from_logits=True), None, None),
        (keras.losses.CategoricalFocalCrossentropy(), "softmax", None),
    ],
)
def test_losses_for_two_classes(loss, activation, n_units):
    """Labels are encoded for each loss so that it learns them."""
    estimator = classifier(
        epochs=15,
        batch_size=10,
        model__rate=0.05,
        model__eager=False,
        model__units=16,
        model__loss=loss,
        model__activation=activation,
        model__n_units=n_units,
    )
    labels = np.array(["no", "yes"])[Y]
    scaled = StandardScaler().fit_transform(X)
    estimator.fit(scaled, labels)
    probabilities = estimator.predict_proba(scaled)
    assert probabilities.shape == (90, 2)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert set(estimator.predict(scaled)) == {"no", "yes"}
    assert estimator.score(scaled, labels) > 0.8


def test_logits_become_probabilities():
    """Softmax is applied exactly when the loss takes logits."""
    logits = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    estimator = classifier(model__loss=logits, model__activation=None).fit(X, Y3)
    raw = estimator.model_.predict(X, verbose=0)
    expected = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(estimator.predict_proba(X), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "labels", [NAMES, NAMES.astype(object), Y3, Y3 - 7, Y3.astype(float), Y3 > 0]
)
def test_predict_returns_the_labels(labels):
    """Labels come back with their values and their type."""
    estimator = classifier().fit(X, labels)
    predicted = estimator.predict(X)
    assert predicted.dtype == labels.dtype
    assert set(predicted) <= set(labels)
    np.testing.assert_array_equal(estimator.classes_, np.unique(labels))


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", None])
def test_one_hot_targets(loss):
    """One-hot targets train like labels, and come back one-hot."""
    one_hot = np.eye(3)[Y3]
    estimator = classifier(model__loss=loss).fit(X, one_hot)
    labelled = classifier(model__loss=loss).fit(X, Y3)
    assert estimator.classes_.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(estimator.predict_proba(X), labelled.predict_proba(X))
    np.testing.assert_array_equal(estimator.predict(X), np.eye(3)[labelled.predict(X)])
    assert estimator.score(X, one_hot) == labelled.score(X, Y3)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.ones((90, 2), int), "rows with several ones or none .* one sigmoid unit"),
        (
            np.full((90, 2), 2) - np.eye(90, 2, dtype=int),
            "must be labels, or rows of 0",
        ),
        (np.ones(90), "at least two classes .* one class"),
        (X[:, 0], "Unknown label type"),
    ],
)
def test_unfit_targets(targets, message):
    """Targets that are no labels are refused."""
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, targets)


@pytest.mark.parametrize(
    ("n_units", "loss"),
    [(1, "binary_crossentropy"), (2, None), (4, None)],
)
def test_labels_must_fit_the_output(n_units, loss):
    """A wrong number of units is refused with both numbers and the way out."""
    message = rf"y has 3 classes.* {n_units} output unit.*meta\['n_classes_'\]"
    with pytest.raises(ValueError, match=message):
        classifier(model__n_units=n_units, model__loss=loss).fit(X, Y3)


def test_balanced_class_weight():
    """Balanced equals the weights by label, and the same by sample."""
    labels = np.array(["many"] * 60 + ["few"] * 30)
    weights = {"many": 90 / 120, "few": 90 / 60}
    by_sample = np.array([weights[label] for label in labels])
    fits = [
        classifier(class_weight="balanced").fit(X, labels),
        classifier(class_weight=weights).fit(X, labels),
        classifier().fit(X, labels, class_weight=weights),
        classifier().fit(X, labels, sample_weight=by_sample),
    ]
    expected = fits[0].predict_proba(X)
    for fit in fits[1:]:
        np.testing.assert_array_equal(fit.predict_proba(X), expected)
    assert not np.array_equal(classifier().fit(X, labels).predict_proba(X), expected)


@pytest.mark.parametrize(
    ("n_labels", "loss", "activation"),
    [
        (2, "binary_crossentropy", "sigmoid"),
        (3, keras.losses.BinaryCrossentropy(from_logits=True), None),
        pytest.param(
            *(3, keras.losses.BinaryFocalCrossentropy(), "sigmoid"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_multilabel_targets(n_labels, loss, activation):
    """Rows with any number of ones are learned, label by label."""
    labels = (StandardScaler().fit_transform(X)[:, :n_labels] > 0).astype(np.int8)
    assert set(labels.sum(axis=1)) == set(range(n_labels + 1))
    estimator = classifier(
        epochs=40,
        batch_size=10,
        model__loss=loss,
        model__activation=activation,
        model__rate=0.05,
        model__eager=False,
    ).fit(X, labels)
    probabilities = estimator.predict_proba(X)
    assert probabilities.shape == (90, n_labels)
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1
    assert not np.allclose(probabilities.sum(axis=1), 1)
    predicted = estimator.predict(X)
    assert predicted.dtype == np.int8
    np.testing.assert_array_equal(predicted, probabilities > 0.5)
    assert (predicted == labels).mean() > 0.85
    assert [c.tolist() for c in estimator.classes_] == [[0, 1]] * n_labels
    for scoring in ("f1_micro", "roc_auc", "average_precision", "accuracy"):
        assert get_scorer(scoring)(estimator, X, labels) > 0.3


@pytest.mark.parametrize("n_labels", [2, 3])
@pytest.mark.parametrize("scoring", ["f1_micro", "roc_auc"])
def test_multilabel_grid_search(n_labels, scoring):
    """A grid search over a multi-label model finds finite scores."""
    estimator = classifier(
        model__loss="binary_crossentropy", model__activation="sigmoid"
    )
    search = GridSearchCV(
        estimator, {"batch_size": [30]}, cv=2, scoring=scoring, error_score="raise"
    )
    search.fit(X, (X[:, :n_labels] > 0).astype(int))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("activation", "multilabel"), [("sigmoid", True), (None, True), ("softmax", False)]
)
def test_one_hot_rows_with_a_binary_loss(activation, multilabel):
    """One-hot rows are multi-label exactly for a binary loss without a softmax."""
    estimator = classifier(
        model__loss=keras.losses.BinaryCrossentropy(from_logits=activation is None),
        model__activation=activation,
    ).fit(X, np.eye(3)[Y3])
    sums = estimator.predict_proba(X).sum(axis=1)
    assert np.allclose(sums, 1) is not multilabel
    assert isinstance(estimator.classes_, list) is multilabel


def test_multilabel_targets_need_a_unit_for_each_label():
    """A wrong number of units is refused with both numbers."""
    estimator = classifier(
        model__n_units=2, model__loss="binary_crossentropy", model__activation="sigmoid"
    )
    with pytest.raises(ValueError, match="y has 3 labels, and the model has 2 output"):
        estimator.fit(X, (X[:, :3] > 0).astype(int))


def test_multilabel_targets_have_no_class_weights():
    """Class weights are refused where a sample has no single class."""
    estimator = classifier(
        class_weight="balanced",
        model__loss="binary_crossentropy",
        model__activation="sigmoid",
    )
    with pytest.raises(ValueError, match=r"must be None for multi-label.*'balanced'"):
        estimator.fit(X, (X[:, :3] > 0).astype(int))


@pytest.mark.parametrize("n_outputs", [0, 1, 2])
def test_regressor_predicts_the_shape_of_y(n_outputs):
    """A 1-D target comes back as 1-D, a 2-D one as 2-D."""
    y = X[:, 0] if n_outputs == 0 else X[:, :n_outputs]
    estimator = regressor().fit(X, y)
    assert estimator.predict(X).shape == y.shape
    assert np.isfinite(estimator.score(X, y))


def test_regressor_learns():
    """The regressor's score is R2 and rises with training."""
    data, y = make_regression(100, 4, random_state=0)
    y = (y - y.mean()) / y.std()
    estimator = regressor(
        epochs=60, batch_size=8, model__units=16, model__eager=False
    ).fit(data, y)
    assert estimator.score(data, y) > 0.8


def test_regressor_output_must_fit():
    """A wrong number of output units is refused with both numbers."""

    def one_unit(meta):
        return build_regressor({**meta, "n_outputs_": 1})

    with pytest.raises(ValueError, match="y has 2 outputs, and the model has 1 output"):
        KerasRegressor(one_unit).fit(X, X[:, :2])


# Validation data


def by_name(labels):
    return np.array(["ant", "bee", "cat"])[labels]


@pytest.mark.parametrize(
    ("encode", "parameters"),
    [
        (by_name, {}),
        (by_name, {"model__loss": "categorical_crossentropy"}),
        (lambda y: np.eye(3)[y], {}),
        (
            lambda y: np.eye(3)[y],
            {"model__loss": "binary_crossentropy", "model__activation": "sigmoid"},
        ),
        (
            lambda y: by_name(y % 2),
            {
                "model__loss": "binary_crossentropy",
                "model__activation": "sigmoid",
                "model__n_units": 1,
            },
        ),
    ],
)
@pytest.mark.parametrize("weights", [[], [np.ones(90)]])
def test_validation_data(encode, parameters, weights):
    """Validation targets are encoded as the targets: the losses are comparable."""
    estimator = classifier(
        fit__validation_data=(X, encode(Y3), *weights), model__rate=0.0, **parameters
    )
    history = clone(estimator).fit(X, encode(Y3)).history_
    evaluated = estimator.fit(X, encode(Y3)).model_.evaluate(
        X, estimator._targets.encode(encode(Y3)), verbose=0
    )
    np.testing.assert_allclose(history["val_loss"], evaluated, rtol=1e-5)


def test_validation_data_of_a_regressor():
    """The regressor's validation data have the form of its data."""
    y = X[:, 0]
    history = regressor(fit__validation_data=(X, y)).fit(X, y).history_
    assert np.isfinite(history["val_loss"]).all()
    with pytest.raises(ValueError, match=r"given 1 outputs in y\. Got 2 outputs"):
        regressor(fit__validation_data=(X, X[:, :2])).fit(X, y)


@pytest.mark.parametrize(
    ("y", "validation", "message"),
    [
        (NAMES, np.where(NAMES == "ant", "dog", NAMES), r"labels \['dog'\] .*not in"),
        (np.eye(3)[Y3], np.eye(2)[Y], r"rows of 3 columns .* shape \(90, 2\)"),
        (np.eye(3)[Y3], np.ones((90, 3)), "several ones or none in the validation"),
    ],
)
def test_unfit_validation_data(y, validation, message):
    """Validation targets that are no targets of the fit are refused."""
    with pytest.raises(ValueError, match=message):
        classifier(fit__validation_data=(X, validation)).fit(X, y)


def test_other_validation_data():
    """What is no pair of arrays is given to Keras as it is."""
    data = keras.utils.PyDataset

    class Batches(data):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return X, Y

    batches = Batches()
    history = classifier().fit(X, Y, validation_data=batches).history_
    assert np.isfinite(history["val_loss"]).all()


# Several inputs


def build_two_inputs(meta, units=4):
    """Build a classifier with the inputs "deep" and "wide"."""
    deep = keras.layers.Input((meta["X_shape_"][1] - 2,), name="deep")
    wide = keras.layers.Input((2,), name="wide")
    hidden = keras.layers.Dense(units, activation="relu")(deep)
    joined = keras.layers.Concatenate()([hidden, wide])
    output = keras.layers.Dense(meta["n_classes_"], activation="softmax")(joined)
    model = keras.Model([deep, wide], output)
    model.compile(loss="sparse_categorical_crossentropy", run_eagerly=True)
    return model


def split_in_list(data):
    """Split an array for the two inputs in their order."""
    return [data[:, 2:], data[:, :2]]


def split_in_dict(data):
    """Split an array for the two inputs by name."""
    return {"wide": data[:, :2], "deep": data[:, 2:]}


BY_NUMBER = {"wide": [0, 1], "deep": slice(2, None)}


@pytest.mark.parametrize(
    "inputs",
    [
        BY_NUMBER,
        {"wide": slice(2), "deep": np.array([False, False, True, True, True])},
        {"wide": list("ab"), "deep": list("cde")},
        split_in_list,
        split_in_dict,
        lambda data: tuple(split_in_list(data)),
    ],
)
def test_several_inputs(inputs):
    """However the columns are named, the same model is trained."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abcde"))
    fits = [
        KerasClassifier(build_two_inputs, inputs=each, random_state=0).fit(
            frame, Y, validation_data=(frame, Y)
        )
        for each in (BY_NUMBER, inputs)
    ]
    np.testing.assert_array_equal(
        fits[0].predict_proba(frame), fits[1].predict_proba(frame)
    )
    expected = fits[0].model_.predict({"wide": X[:, :2], "deep": X[:, 2:]}, verbose=0)
    np.testing.assert_allclose(fits[0].predict_proba(frame), expected, rtol=1e-5)


def test_several_inputs_of_images():
    """A function can give each input a shape of its own."""

    def build_image_and_number():
        image = keras.layers.Input((2, 2), name="image")
        number = keras.layers.Input((1,), name="number")
        joined = keras.layers.Concatenate()([keras.layers.Flatten()(image), number])
        model = keras.Model([image, number], keras.layers.Dense(1)(joined))
        model.compile(loss="mse", run_eagerly=True)
        return model

    estimator = KerasRegressor(
        build_image_and_number,
        inputs=lambda data: [data[:, :4].reshape(-1, 2, 2), data[:, 4:]],
    )
    assert estimator.fit(X, X[:, 0]).predict(X).shape == (90,)


def test_single_columns_are_inputs():
    """A column by itself is an input of shape (n_samples, 1)."""

    def build_pair(meta):
        a, b = (keras.layers.Input((1,), name=name) for name in "ab")
        model = keras.Model([a, b], keras.layers.Dense(1)(keras.layers.Add()([a, b])))
        model.compile(loss="mse", run_eagerly=True)
        return model

    columns = {"a": 0, "b": np.int64(-1)}
    # Other weights may all but cancel the bias, where float32 has few digits left.
    estimator = KerasRegressor(build_pair, inputs=columns, random_state=0)
    estimator.fit(X, X[:, 0])
    (kernel, bias) = estimator.model_.get_weights()
    by_hand = (X[:, 0] + X[:, -1]) * kernel[0, 0] + bias[0]
    np.testing.assert_allclose(estimator.predict(X), by_hand, rtol=1e-4)


def test_several_inputs_in_a_search_and_a_pipeline():
    """The inputs are a parameter like others, in searches, pipelines and pickles."""
    estimator = KerasClassifier(build_two_inputs, inputs=BY_NUMBER, random_state=0)
    assert clone(estimator).get_params() == estimator.get_params()
    pipeline = make_pipeline(StandardScaler(), estimator)
    grid = {
        "kerasclassifier__model__units": [2],
        "kerasclassifier__inputs": [BY_NUMBER, split_in_list],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert scores[0] == scores[1]
    other = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(other.predict(X), search.predict(X))


@pytest.mark.parametrize(
    ("inputs", "error", "message"),
    [
        (3, TypeError, "'inputs' parameter of KerasClassifier must be .* Got 3"),
        ({}, TypeError, "'inputs' parameter of KerasClassifier must be"),
        ({"wide": [7]}, ValueError, r"columns \[7\] .*'wide' are not in X.* 5 col"),
        ({"wide": [0.5]}, ValueError, r"'wide' must be .* Got \[0.5\]"),
        ({"wide": ["a"]}, ValueError, r"'wide' .* by names, \['a'\], but X has no"),
        (lambda data: None, TypeError, "must return an array.* Got NoneType"),
        (lambda data: data[:3], ValueError, r"X has 90 samples.* shape \(3, 5\)"),
        (lambda data: [np.array(1)], ValueError, r"X has 90 samples.* shape \(\)"),
    ],
)
def test_unfit_inputs(inputs, error, message):
    """Inputs that cannot be made are refused with what was given."""
    with pytest.raises(error, match=message):
        KerasClassifier(build_two_inputs, inputs=inputs).fit(X, Y)


def test_unknown_column_of_an_input():
    """An unknown column name is refused with the names there are."""
    frame = pytest.importorskip("pandas").DataFrame(X, columns=list("abcde"))
    with pytest.raises(ValueError, match=r"\['z'\] of the input 'wide'.*\['a', 'b', "):
        KerasClassifier(build_two_inputs, inputs={"wide": ["a", "z"]}).fit(frame, Y)


# Keras objects as parameters


def build_with(optimizer="sgd", loss=None, metrics=None, layer=None, **options):
    """Build a classifier with Keras objects that are parameters."""
    hidden = layer or keras.layers.Dense(4, **options)
    model = keras.Sequential(
        [
            keras.layers.Input((5,)),
            hidden,
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=optimizer,
        loss=loss or "sparse_categorical_crossentropy",
        metrics=metrics,
        run_eagerly=True,
    )
    return model


def with_objects(**parameters):
    return KerasClassifier(build_with, random_state=0, batch_size=45, **parameters)


OBJECTS = {
    "optimizer": lambda: {"model__optimizer": keras.optimizers.Adam(0.01)},
    "schedule": lambda: {
        "model__optimizer": keras.optimizers.SGD(
            keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9), momentum=0.9
        )
    },
    "loss": lambda: {"model__loss": keras.losses.SparseCategoricalCrossentropy()},
    "metrics": lambda: {
        "model__metrics": ["accuracy", keras.metrics.SparseCategoricalAccuracy("m")]
    },
    "layer": lambda: {"model__layer": keras.layers.Dropout(0.5)},
    "initializer": lambda: {
        "model__kernel_initializer": keras.initializers.GlorotUniform(seed=3)
    },
    "regularizer": lambda: {"model__kernel_regularizer": keras.regularizers.L2(0.1)},
    "model": lambda: {
        "model__layer": keras.Sequential(
            [keras.layers.Input((5,)), keras.layers.Dense(3)]
        )
    },
}


@pytest.mark.parametrize("kind", OBJECTS)
def test_keras_objects_are_fresh_in_every_fit(kind):
    """Fits of an estimator, its clones and copies agree, and change no parameter."""
    given = OBJECTS[kind]()
    estimator = with_objects(**given)
    first = estimator.fit(X, Y).predict_proba(X)
    again = estimator.fit(X, Y)
    np.testing.assert_array_equal(again.predict_proba(X), first)
    others = [clone(estimator), pickle.loads(pickle.dumps(estimator))]
    for other in others:
        np.testing.assert_array_equal(other.fit(X, Y).predict_proba(X), first)
    ((name, value),) = given.items()
    assert estimator.get_params()[name] is value
    if kind in ("optimizer", "schedule"):
        assert not value.built
        assert estimator.model_.optimizer is not value
    if kind == "metrics":
        assert estimator.history_["m"] == estimator.history_["accuracy"]


def test_equal_configurations_behave_equally():
    """Two objects with one configuration give one score, with another do not."""
    fits = [
        with_objects(model__optimizer=keras.optimizers.Adam(rate)).fit(X, Y)
        for rate in (0.01, 0.01, 0.1)
    ]
    first, second, third = (fit.predict_proba(X) for fit in fits)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_objects_in_a_grid():
    """Optimizers and losses are candidates of a grid search."""
    grid = {
        "model__optimizer": [keras.optimizers.Adam(0.01), keras.optimizers.SGD(0.1)],
        "model__loss": [keras.losses.SparseCategoricalCrossentropy()],
    }
    search = GridSearchCV(with_objects(), grid, cv=2, error_score="raise").fit(X, Y)
    best = search.best_params_["model__optimizer"]
    assert type(search.best_estimator_.model_.optimizer) is type(best)
    assert not any(optimizer.built for optimizer in grid["model__optimizer"])


def test_used_optimizer():
    """An optimizer that trained another model starts anew, in copies too."""
    optimizer = keras.optimizers.Adam(0.01)
    build_with(optimizer).fit(X, Y, verbose=0)
    assert optimizer.built
    estimator = with_objects(model__optimizer=optimizer)
    expected = with_objects(model__optimizer=keras.optimizers.Adam(0.01)).fit(X, Y)
    for each in (
        estimator,
        clone(estimator),
        pickle.loads(pickle.dumps(estimator)),
        copy.deepcopy(estimator),
    ):
        np.testing.assert_array_equal(
            each.fit(X, Y).predict_proba(X), expected.predict_proba(X)
        )


def test_trained_layer():
    """A layer that has weights starts every fit with them, and keeps them."""
    layer = keras.layers.Dense(3)
    layer.build((None, 5))
    before = layer.get_weights()
    estimator = with_objects(
        model__layer=layer, model__optimizer=keras.optimizers.SGD(0.0)
    )
    fitted = clone(estimator).fit(X, Y).model_.layers[0]
    assert fitted is not layer
    for old, new in zip(before, fitted.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_one_object_for_two_parameters_stays_one():
    """What is one object among the parameters is one object in the fit."""
    seen = []

    def look(first, second):
        seen.append((first, second))
        return build_with()

    shared = keras.layers.Dense(3)
    KerasClassifier(look, model__first=shared, model__second=[shared]).fit(X, Y)
    ((first, second),) = seen
    assert first is second[0]
    assert first is not shared


def test_callbacks_for_the_function_are_copied():
    """A callback that the function gets is a copy, too."""
    seen = []

    def look(callback):
        seen.append(callback)
        return build_with()

    callback = keras.callbacks.History()
    KerasClassifier(look, model__callback=callback).fit(X, Y)
    assert type(seen[0]) is keras.callbacks.History
    assert seen[0] is not callback


def test_object_without_a_full_configuration():
    """An object that its configuration cannot make again is refused with the way."""

    class Incomplete(keras.optimizers.SGD):
        def __init__(self, strength):
            super().__init__(strength)

    estimator = with_objects(model__optimizer=Incomplete(3.0))
    with pytest.raises(TypeError) as raised:
        estimator.fit(X, Y)
    assert "every argument of its constructor" in raised.value.__notes__[0]


# Data


def test_feature_names():
    """Column names are remembered, and other ones refused."""
    frame = pytest.importorskip("pandas").DataFrame(X, columns=list("abcde"))
    estimator = classifier().fit(frame, Y)
    assert estimator.feature_names_in_.tolist() == list("abcde")
    with pytest.raises(ValueError, match="feature names"):
        estimator.predict(frame.rename(columns={"a": "z"}))


def test_images():
    """Samples may have more than one dimension, the same in fit and predict."""
    images = X[:, :4].reshape(90, 2, 2)
    estimator = classifier().fit(images, Y)
    assert estimator.predict(images).shape == (90,)
    with pytest.raises(ValueError, match=r"shape \(2, 3\).* expecting .* \(2, 2\)"):
        estimator.predict(np.ones((3, 2, 3)))


@pytest.mark.parametrize("dtype", [int, bool, np.float32])
def test_types_of_data(dtype):
    """Integers and booleans work as data."""
    assert classifier().fit(X.astype(dtype), Y).predict(X.astype(dtype)).shape == (90,)


def test_sparse_data():
    """Sparse data get scikit-learn's error."""
    with pytest.raises(TypeError, match=r"[Ss]parse.*dense"):
        classifier().fit(scipy.sparse.csr_matrix(X), Y)


@pytest.mark.parametrize(
    ("weights", "message"),
    [(np.ones(3), "inconsistent numbers of samples"), (np.ones((90, 2)), "1D")],
)
def test_unfit_sample_weights(weights, message):
    """Sample weights of another shape are refused."""
    with pytest.raises(ValueError, match=message):
        classifier().fit(X, Y, sample_weight=weights)


def test_predict_before_fit():
    """An estimator that is not fitted says so."""
    with pytest.raises(NotFittedError):
        classifier().predict(X)


# Fitting


@pytest.mark.parametrize("seed", [3, np.int64(3)])
def test_equal_seeds_give_equal_models(seed):
    """Two fits with one seed agree to the bit, and with another seed do not."""
    estimator = classifier(epochs=2, random_state=seed, model__eager=False)
    first = estimator.fit(X, Y).predict_proba(X)
    again = clone(estimator).fit(X, Y).predict_proba(X)
    other = estimator.set_params(random_state=4).fit(X, Y).predict_proba(X)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_ran_before_does_not_matter():
    """A seeded fit is the same after other fits and draws in the process."""

    def noisy(meta):
        keras.random.normal((2,))  # of Keras's global generator
        return build(meta)

    estimator = KerasClassifier(noisy, epochs=2, random_state=5)
    first = estimator.fit(X, Y).predict_proba(X)
    regressor(random_state=None).fit(X, X[:, 0])
    keras.random.normal((3,))
    np.random.rand(3)
    random.random()
    classifier(random_state=6, epochs=2).fit(X, Y3).predict(X)
    np.testing.assert_array_equal(estimator.fit(X, Y).predict_proba(X), first)


def test_random_state_instance():
    """A RandomState gives one sequence of different fits."""
    runs = []
    for _ in range(2):
        estimator = classifier(random_state=np.random.RandomState(0))
        runs.append([estimator.fit(X, Y).predict_proba(X) for _ in range(2)])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0][0], runs[0][1])


def test_random_states_are_given_back():
    """A seeded fit leaves the random states of NumPy and Python as they were."""
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    classifier().fit(X, Y)
    assert (random.random(), np.random.random()) == expected


def test_callbacks_are_copied():
    """Each fit has its own callbacks; those given stay as they are."""
    stopping = keras.callbacks.EarlyStopping("loss", min_delta=9, patience=1)
    before = dict(vars(stopping))
    estimator = classifier(epochs=5, callbacks=[stopping])
    assert [estimator.fit(X, Y).n_iter_ for _ in range(2)] == [2, 2]
    assert vars(stopping) == before


def test_callback_factory():
    """A function is asked for new callbacks by each fit."""
    made = []

    def make():
        made.append(keras.callbacks.TerminateOnNaN())
        return made[-1:]

    estimator = classifier(callbacks=make)
    estimator.fit(X, Y)
    clone(estimator).fit(X, Y)
    assert len(made) == 2


def test_history():
    """The history holds a list for each metric, one value for each epoch."""
    estimator = classifier(epochs=2, validation_split=0.2).fit(X, Y)
    assert {k: len(v) for k, v in estimator.history_.items()} == {
        "loss": 2,
        "val_loss": 2,
    }


def test_nothing_is_printed(capfd):
    """Neither fit nor predict prints by default."""
    estimator = classifier()
    capfd.readouterr()
    estimator.fit(X, Y).predict(X)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    "copied",
    [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy],
    ids=["pickle", "deepcopy"],
)
@pytest.mark.parametrize("make", [classifier, regressor])
def test_copies_predict_the_same(make, copied):
    """A fitted estimator's copies predict the same, to the bit."""
    estimator = make(model__eager=False).fit(X, Y)
    other = copied(estimator)
    np.testing.assert_array_equal(other.predict(X), estimator.predict(X))
    assert other.model_ is not estimator.model_
    assert other.history_ == estimator.history_


def test_joblib_dump(tmp_path):
    """A fitted estimator goes through joblib's files."""
    estimator = classifier().fit(X, Y)
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    other = joblib.load(tmp_path / "estimator.joblib")
    np.testing.assert_array_equal(other.predict_proba(X), estimator.predict_proba(X))


def test_saved_model(tmp_path):
    """The trained model is saved and loaded as Keras does it."""
    estimator = classifier().fit(X, Y)
    estimator.model_.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        model.predict(X, verbose=0), estimator.predict_proba(X), rtol=1e-5
    )


# Under scikit-learn


def test_scikit_learn_knows_the_types():
    """The estimators are a classifier and a regressor, so that cv=3 stratifies."""
    assert is_classifier(classifier())
    assert not is_classifier(regressor())
    assert is_regressor(regressor())
    cv = check_cv(3, NAMES, classifier=is_classifier(classifier()))
    assert type(cv).__name__ == "StratifiedKFold"


@pytest.mark.parametrize(
    "grid_key", ["epochs", pytest.param("fit__epochs", marks=pytest.mark.slow)]
)
def test_grid_search(grid_key):
    """Every kind of parameter reaches the fits of a grid search."""
    grid = {"model__units": [2, 3], grid_key: [1, 2], "batch_size": [45]}
    search = GridSearchCV(classifier(), grid, cv=2, error_score="raise").fit(X, Y)
    best = search.best_estimator_
    assert best.model_.layers[1].units == search.best_params_["model__units"]
    assert best.n_iter_ == search.best_params_[grid_key]


def test_numpy_scalars_as_parameters():
    """Candidates that are NumPy scalars reach Keras as Python's numbers."""
    grid = {"model__units": np.arange(2, 4), "epochs": np.arange(1, 2)}
    search = RandomizedSearchCV(
        classifier(), grid, n_iter=2, cv=2, error_score="raise", random_state=0
    )
    search.fit(X, Y)
    assert isinstance(search.best_params_["model__units"], np.integer)
    units = search.best_estimator_.model_.layers[1].units
    assert type(units) is int
    assert units == search.best_params_["model__units"]


def test_pipeline():
    """Parameters are reached through a pipeline."""
    pipeline = make_pipeline(StandardScaler(), classifier())
    pipeline.set_params(kerasclassifier__model__units=3).fit(X, Y)
    assert pipeline[-1].model_.layers[1].units == 3


@pytest.mark.parametrize("scoring", ["roc_auc", "neg_log_loss", "accuracy"])
def test_scorers_for_two_classes(scoring):
    """Scorers that need probabilities work with two classes."""
    scores = cross_val_score(classifier(), X, Y, cv=2, scoring=scoring)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("scoring", ["roc_auc_ovr", "neg_log_loss", "f1_macro"])
def test_scorers_for_three_classes(scoring):
    """Scorers that need probabilities work with more classes."""
    estimator = classifier().fit(X, NAMES)
    assert np.isfinite(get_scorer(scoring)(estimator, X, NAMES))


def test_sample_weight_routing():
    """A search routes sample weights to the fit."""
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = classifier().set_fit_request(sample_weight=True)
        estimator.set_score_request(sample_weight=False)
        search = GridSearchCV(
            estimator, {"epochs": [1]}, cv=2, scoring=None, error_score="raise"
        )
        weights = np.where(Y == 0, 5.0, 0.1)
        search.fit(X, Y, sample_weight=weights)
    weighted, plain = (
        clone(classifier()).fit(X, Y, sample_weight=given) for given in (weights, None)
    )
    found = search.best_estimator_.predict_proba(X)
    np.testing.assert_array_equal(found, weighted.predict_proba(X))
    assert not np.array_equal(found, plain.predict_proba(X))


# scikit-learn's estimator checks

NOT_OURS = {
    "check_do_not_raise_errors_in_init_or_set_params": (
        "it gives every parameter of the signature, **kwargs too, and parameters are "
        "refused that have none of the prefixes"
    ),
    "check_sample_weight_equivalence_on_dense_data": (
        "Keras divides the loss by the number of samples, not by the sum of weights"
    ),
}
if not hasattr(validation, "validate_data"):  # scikit-learn < 1.6
    NOT_OURS["check_sample_weights_invariance,kind=zeros"] = NOT_OURS[
        "check_sample_weight_equivalence_on_dense_data"
    ]
    NOT_OURS["check_parameters_default_constructible"] = "'model' has no default"


def build_minimal(meta):
    """Build a classifier for checks that fit many times: no hidden layer."""
    n_classes = meta["n_classes_"]
    model = keras.Sequential(
        [
            keras.layers.Input(meta["X_shape_"][1:]),
            keras.layers.Dense(n_classes, activation="softmax"),
        ]
    )
    model.compile(
        optimizer=keras.optimizers.SGD(5.0),  # one step is enough
        loss="sparse_categorical_crossentropy",
        run_eagerly=True,
    )
    return model


CHECKS = estimator_checks.parametrize_with_checks(
    [
        KerasClassifier(build_minimal, batch_size=100, random_state=0),
        KerasRegressor(build_regressor, batch_size=512, random_state=0),
    ]
)


def name_of(value):
    """Name an estimator or a check: scikit-learn's own names have addresses."""
    if not hasattr(value, "func"):
        return type(value).__name__
    options = [f"{k}={v}" for k, v in value.keywords.items() if k != "name"]
    return ",".join([value.func.__name__, *options])


@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), ids=name_of)
def test_scikit_learn_checks(estimator, check, request):
    """The estimators pass scikit-learn's own checks."""
    if reason := NOT_OURS.get(name_of(check)):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    check(estimator)
