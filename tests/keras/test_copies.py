"""Copies of Keras objects that would compute otherwise than the objects are refused."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")

from resumable_search.keras import KerasRegressor  # noqa: E402 - after the skip

pytestmark = pytest.mark.keras

X = np.random.RandomState(0).rand(20, 2).astype("float32")
y = X[:, 0]


class Scaled(keras.losses.Loss):
    def __init__(self, k=1.0, **kwargs):
        super().__init__(**kwargs)
        self.k = k

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred * self.k), axis=-1)


class Short(Scaled):
    def __init__(self, k):
        super().__init__()
        self.k = k


class Complete(Scaled):
    def get_config(self):
        return {"k": self.k}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable("tests")
class Filled(keras.initializers.Initializer):
    def __init__(self, value=0.0):
        self.value = value

    def get_config(self):
        return {}

    def __call__(self, shape, dtype=None):
        return keras.ops.full(shape, self.value, dtype)


class Doubled(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.factor = 1.0

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()

    def build(self, shape):
        self.dense.build(shape)
        super().build(shape)

    def call(self, x, training=False):
        return self.dense(x) * self.factor


def build(loss="mse", initializer="zeros", layer=None):
    layers = [layer] if layer is not None else []
    dense = keras.layers.Dense(1, kernel_initializer=initializer)
    model = keras.Sequential([keras.layers.Input((2,)), *layers, dense])
    model.compile("sgd", loss)
    return model


@pytest.mark.parametrize(
    "arguments",
    [
        {"model__initializer": Filled(1.0)},
        {"model__layer": keras.layers.Dense(2, kernel_initializer=Filled(1.0))},
    ],
    ids=["initializer", "initializer of a layer"],
)
def test_an_argument_that_get_config_leaves_out_is_refused(arguments):
    """Its copy would have the default, so the error names it and the remedy."""
    with pytest.raises(ValueError, match="Missing from what get_config returns"):
        KerasRegressor(build, **arguments).fit(X, y)


@pytest.mark.parametrize("loss", [Scaled(), Complete(50.0), Short(50.0)])
def test_a_copy_that_has_lost_nothing_is_taken(loss):
    """A default is the same in the copy, and so is what get_config returns."""
    KerasRegressor(build, model__loss=loss).fit(X, y)


@pytest.mark.parametrize("cls", [Scaled, Short])
def test_a_loss_is_copied_with_its_attributes(cls):
    """What get_config leaves out is there, as in a loss that the function makes."""
    fitted = [
        KerasRegressor(model, random_state=0, **arguments).fit(X, y)
        for model, arguments in (
            (build, {"model__loss": cls(50.0)}),
            (lambda: build(cls(50.0)), {}),
            (build, {"model__loss": cls(1.0)}),
        )
    ]
    first, second, other = (estimator.predict(X) for estimator in fitted)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_model_whose_copy_predicts_otherwise_is_refused():
    """What a model of the user's class computes with has to be in its copy."""
    model = Doubled()
    model.compile("sgd", "mse")
    model.build((None, 2))
    KerasRegressor(model).fit(X, y)
    model.factor = 2.0
    with pytest.raises(ValueError, match="must predict what the model does"):
        KerasRegressor(model).fit(X, y)
