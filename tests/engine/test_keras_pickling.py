"""Keras objects of the user's classes arrive in a worker as they are."""

import pickle

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

keras = pytest.importorskip("keras")

from resumable_search import ResumableGridSearchCV  # noqa: E402 - after the skip
from resumable_search._engine.pickling import dumps, loads  # noqa: E402 - likewise
from resumable_search.keras import KerasRegressor  # noqa: E402 - likewise

pytestmark = [
    pytest.mark.keras,
    # Keras itself, with NumPy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

X = np.random.RandomState(0).rand(40, 2).astype("float32")
y = X[:, 0]


class Loss(keras.losses.Loss):
    def __init__(self, k=1.0):
        super().__init__()
        self.k = k

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred * self.k), axis=-1)


class Metric(keras.metrics.Metric):
    def __init__(self, k):
        super().__init__()
        self.k = k
        self.total = self.add_variable((), "zeros", name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(keras.ops.sum(y_pred) * self.k)

    def result(self):
        return self.total + 0.0


class Initializer(keras.initializers.Initializer):
    def __init__(self, k):
        self.k = k

    def __call__(self, shape, dtype=None):
        return keras.ops.full(shape, self.k, dtype)


class Regularizer(keras.regularizers.Regularizer):
    def __init__(self, k):
        self.k = k

    def __call__(self, x):
        return keras.ops.sum(x) * self.k


class Callback(keras.callbacks.Callback):
    def __init__(self, k):
        super().__init__()
        self.k = k


class Optimizer(keras.optimizers.SGD):
    def __init__(self, k=1.0, **kwargs):
        super().__init__(**kwargs)
        self.k = k

    def get_config(self):
        return {**super().get_config(), "k": self.k}


class Layer(keras.layers.Layer):
    def __init__(self, k=1.0, names=(), **kwargs):
        super().__init__(**kwargs)
        self.k, self.names = k, {"all": list(names)}

    def build(self, shape):
        self.w = self.add_weight(shape=(1,), initializer="uniform")

    def call(self, x):
        return x * self.w * self.k


class Forgetful(Layer):
    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()


def twice(x):
    return x * 2


def model_of(layer):
    dense = keras.layers.Dense(1, activation=twice)
    model = keras.Sequential([keras.layers.Input((2,)), layer, dense])
    model.compile("sgd", "mse")
    return model


KINDS = [Loss, Metric, Initializer, Regularizer, Callback, Optimizer, Layer]


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_of_a_class_that_is_not_registered_arrives(kind):
    """It has its class and the arguments of its constructor."""
    made = loads(dumps(kind(5.0)))
    assert type(made) is kind
    assert made.k == 5.0


def test_a_model_with_a_layer_and_a_function_of_the_user_predicts_the_same():
    """Keras finds the classes and functions that are in its file."""
    model = model_of(Layer(3.0, names=["a"]))
    found = loads(dumps(model)).predict(X, verbose=0)
    assert np.allclose(found, model.predict(X, verbose=0))


@pytest.mark.parametrize("inside", [False, True])
def test_a_layer_whose_copy_is_another_one_is_refused_with_the_remedy(inside):
    """What get_config leaves out would be the default in the worker."""
    layer = Forgetful(3.0)
    with pytest.raises(pickle.PicklingError, match=r"'k' of Forgetful .*get_config"):
        dumps(model_of(layer) if inside else layer)


LOSS, METRIC, REGULARIZER = Loss(50.0), Metric(2.0), Regularizer(0.1)


def build(loss=None, regularizer=None):
    dense = keras.layers.Dense(1, kernel_regularizer=regularizer or REGULARIZER)
    model = keras.Sequential([keras.layers.Input((2,)), dense])
    model.compile("sgd", loss or LOSS, metrics=[METRIC])
    return model


@pytest.mark.parametrize("arguments", [{}, {"model__loss": Loss(1.0)}])
def test_scores_are_those_of_scikit_learn(arguments):
    """Losses, metrics and regularizers, in globals and as a parameter."""
    estimator = KerasRegressor(build, epochs=2, random_state=0, verbose=0, **arguments)
    found, expected = (
        kind(estimator, {}, cv=2, scoring="r2", refit=False).fit(X, y).cv_results_
        for kind in (ResumableGridSearchCV, GridSearchCV)
    )
    assert np.allclose(found["mean_test_score"], expected["mean_test_score"])
