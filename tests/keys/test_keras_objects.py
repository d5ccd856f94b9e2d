"""Keys of Keras objects: those of Keras's own and of the user's classes."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.keras

HEADER = """
import json, sys, warnings
import numpy as np
import keras
from keras import layers, losses, metrics, optimizers
from resumable_search._keys.fingerprint import fingerprint
warnings.simplefilter("ignore")
keys = {}
"""

# Each class of Keras that can be made with few arguments.
ALL_CLASSES = """
import inspect
ARGUMENTS = [
    {}, {"units": 3}, {"rate": 0.3}, {"filters": 2, "kernel_size": 2}, {"name": "m"},
    {"kernel_size": 2}, {"layer": layers.Dense(2)}, {"layer": layers.LSTM(2)},
    {"num_heads": 2, "key_dim": 2}, {"height": 3, "width": 3}, {"factor": 0.1},
    {"input_dim": 3, "output_dim": 2}, {"target_shape": (2,)}, {"n": 2},
    {"initial_learning_rate": 0.1, "decay_steps": 3},
    {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.3},
    {"initial_learning_rate": 0.1, "first_decay_steps": 3},
    {"boundaries": [1], "values": [0.1, 0.2]}, {"min_value": 0.1, "max_value": 0.2},
    {"num_classes": 2}, {"num_classes": 2, "target_class_ids": [0]},
    {"recall": 0.3}, {"precision": 0.3}, {"specificity": 0.3}, {"sensitivity": 0.3},
    {"filepath": "m.keras"}, {"filename": "log"}, {"schedule": abs}, {"dims": (1, 2)},
    {"function": abs}, {"cell": layers.LSTMCell(2)}, {"stddev": 0.1}, {"num_bins": 3},
    {"filepath": "m.weights.h5", "save_weights_only": True}, {"max_value": 3},
    {"num_query_heads": 2, "num_key_value_heads": 2, "head_dim": 2}, {"groups": 1},
    {"fn": losses.mean_squared_error}, {"num_tokens": 3}, {"num_bins": 3},
    {"bin_boundaries": [1.0]}, {"mode": "constant"}, {"backup_dir": "b"}, {"axes": 1},
    {"output_dim": 3}, {"num_tokens": 3, "output_mode": "count"}, {"axis": 1},
    {"inner_optimizer": optimizers.SGD()}, {"max_tokens": 3}, {"vocabulary": ["a"]},
]
made = 0
for module in (layers, losses, metrics, optimizers, optimizers.schedules,
               keras.initializers, keras.regularizers, keras.constraints,
               keras.callbacks, keras.random):
    for name, cls in sorted(vars(module).items()):
        if not inspect.isclass(cls):
            continue
        for arguments in ARGUMENTS:
            try:
                objects = [cls(**arguments), cls(**arguments)]
            except Exception:
                continue
            made += 1
            try:
                found = [fingerprint(each) for each in objects]
            except Exception as error:
                if "NotImplementedError" in repr(error.__cause__) or (
                    "get_config" in str(error)
                ):
                    continue  # a base class, which has no configuration
                raise
            assert found[0] == found[1], (name, arguments)
            keys[f"{module.__name__}.{name}{sorted(arguments)}"] = found[0]
assert made > 200, made
"""

OWN_CLASSES = """
class Loss(losses.Loss):
    def __init__(self, k=1):
        super().__init__()
        self.k = k
    def call(self, y_true, y_pred):
        return y_true - y_pred * self.k
class Wrapped(losses.MeanSquaredError):
    def __init__(self, k=1):
        super().__init__()
        self.k = k
class Metric(metrics.Metric):
    def __init__(self, k=1):
        super().__init__()
        self.k = k
        self.total = self.add_variable((), "zeros")
class Optimizer(optimizers.SGD):
    def __init__(self, k=1):
        super().__init__()
        self.k = k
class Initializer(keras.initializers.Initializer):
    def __init__(self, k=1):
        self.k = k
    def get_config(self):
        return {}
class Regularizer(keras.regularizers.Regularizer):
    def __init__(self, k=1):
        self.k = k
    def get_config(self):
        return {}
class Bare(keras.regularizers.Regularizer):
    def __init__(self, k=1):
        self.k = k
class Constraint(keras.constraints.Constraint):
    def __init__(self, k=1):
        self.k = k
class Schedule(optimizers.schedules.LearningRateSchedule):
    def __init__(self, k=1):
        self.k = k
    def get_config(self):
        return {}
class Layer(layers.Layer):
    def __init__(self, k=1, **kwargs):
        super().__init__(**kwargs)
        self.k = {"of": [k]}
    def build(self, shape):
        self.w = self.add_weight(shape=(1,), initializer="ones")
    def call(self, x):
        self.seen = x
        return x * self.w
    def get_config(self):
        return {}
class Masked(layers.Layer):
    def __init__(self, k=1):
        super().__init__()
        self.supports_masking = k == 2
    def get_config(self):
        return {}
class Outer(layers.Layer):
    def __init__(self, k=1):
        super().__init__()
        self.inner = layers.Dense(k)
    def get_config(self):
        return {}
def model_of(made, **arguments):
    keras.utils.set_random_seed(0)
    made = keras.Sequential([layers.Input((2,)), made])
    made.compile("sgd", **{"loss": "mse", **arguments})
    return made
OWN = (Loss, Wrapped, Metric, Optimizer, Initializer, Regularizer, Bare,
       Constraint, Schedule, Layer, Masked, Outer)
for cls in OWN:
    keys[f"own {cls.__name__}"] = fingerprint(cls())
    keys[f"own {cls.__name__} 2"] = fingerprint(cls(2))
    assert fingerprint(cls(2)) == fingerprint(cls(2)), cls
def scorer(value):
    def score(estimator, X, y):
        return value
    return score
keys["in a closure"] = fingerprint(scorer(Loss()))
keys["in a closure 2"] = fingerprint(scorer(Loss(2)))
keys["in a model"] = fingerprint(model_of(Layer()))
keys["in a model 2"] = fingerprint(model_of(Layer(2)))
keys["loss of a model"] = fingerprint(model_of(Layer(), loss=Loss()))
keys["loss of a model 2"] = fingerprint(model_of(Layer(), loss=Loss(2)))
keys["initializer of a layer"] = fingerprint(
    layers.Dense(2, kernel_initializer=Initializer())
)
keys["initializer of a layer 2"] = fingerprint(
    layers.Dense(2, kernel_initializer=Initializer(2))
)
given = layers.Dense(2)
keys["unmarked"] = fingerprint(given)
given.mark = np.arange(3)
keys["marked"] = fingerprint(given)
"""

STATES = """
def adapted(layer, data):
    layer.adapt(np.array(data))
    return layer
words, numbers = ["red", "blue"], [[1.0], [2.0], [4.0]]
def text(corpus, **arguments):
    return adapted(layers.TextVectorization(**arguments), corpus)
keys["text"] = fingerprint(text(["red"]))
keys["text 2"] = fingerprint(text(["blue"]))
keys["tf-idf"] = fingerprint(text(["red", "blue red"], output_mode="tf_idf"))
keys["tf-idf 2"] = fingerprint(
    text(["red", "red", "blue red"], output_mode="tf_idf")
)
keys["strings"] = fingerprint(adapted(layers.StringLookup(), ["red"]))
keys["strings 2"] = fingerprint(adapted(layers.StringLookup(), ["blue"]))
keys["integers"] = fingerprint(adapted(layers.IntegerLookup(), [1]))
keys["integers 2"] = fingerprint(adapted(layers.IntegerLookup(), [2]))
keys["normal"] = fingerprint(adapted(layers.Normalization(), numbers))
keys["normal 2"] = fingerprint(adapted(layers.Normalization(), numbers[:2]))
keys["bins"] = fingerprint(adapted(layers.Discretization(num_bins=2), numbers))
keys["bins 2"] = fingerprint(adapted(layers.Discretization(num_bins=2), numbers[:2]))
def with_text(corpus):
    return keras.Sequential([text(corpus, output_mode="multi_hot")])
keys["in a model"] = fingerprint(with_text(["red"]))
keys["in a model 2"] = fingerprint(with_text(["blue"]))

def trained(epochs, trainable=True, optimizer="adam"):
    keras.utils.set_random_seed(0)
    made = keras.Sequential([layers.Input((2,)), layers.Dense(1)])
    made.compile(optimizer, "mse")
    if epochs:
        made.fit(np.ones((4, 2)), np.ones((4, 1)), epochs=epochs, verbose=0)
    made.trainable = trainable
    return made
keys["trained 0"] = fingerprint(trained(0))
keys["trained 1"] = fingerprint(trained(1))
keys["trained 2"] = fingerprint(trained(2))
keys["frozen"] = fingerprint(trained(1, False))
used = trained(1)
used.optimizer.build(used.trainable_variables)
assert fingerprint(used) == keys["trained 1"]
used.predict(np.ones((4, 2)), verbose=0)
used.evaluate(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
assert fingerprint(used) == keys["trained 1"]
slower = trained(1)
slower.optimizer.variables[-1].assign(slower.optimizer.variables[-1] + 1)
keys["other optimizer state"] = fingerprint(slower)
dense = layers.Dense(1)
keys["layer"] = fingerprint(dense)
dense.trainable = False
keys["frozen layer"] = fingerprint(dense)
for trainable in (True, False):
    keys[f"variable {trainable}"] = fingerprint(
        keras.Variable([1.0], trainable=trainable)
    )
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf
        keys[f"tf.Variable {trainable}"] = fingerprint(
            tf.Variable([1.0], trainable=trainable)
        )
for seed in (None, 1, 2):
    keys[f"crop {seed}"] = fingerprint(layers.RandomCrop(2, 2, seed=seed))
    keys[f"flip {seed}"] = fingerprint(
        keras.Sequential([layers.RandomFlip(seed=seed), layers.RandomZoom(0.1)])
    )
    keys[f"generator {seed}"] = fingerprint(keras.random.SeedGenerator(seed))
    keys[f"initializer {seed}"] = fingerprint(keras.initializers.GlorotNormal(seed))
"""


def _keys_in_two_processes(script, folder):
    """Run the script with two hash seeds; return the keys that each one has printed."""
    path = folder / "script.py"
    path.write_text(f"{HEADER}{script}\nprint(json.dumps(keys))\n")
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, path],
            env={**os.environ, **quiet, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    found = []
    for process in processes:
        output, errors = process.communicate()
        assert process.returncode == 0, errors[-3000:]
        found.append(json.loads(output.splitlines()[-1]))
    return found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("script", [OWN_CLASSES, STATES], ids=["own", "states"])
def test_what_decides_counts_and_is_the_same_in_each_process(script, tmp_path):
    """Objects that compute differently have different keys, equal ones the same."""
    pytest.importorskip("keras")
    first, second = _keys_in_two_processes(script, tmp_path)
    assert first == second
    by_key = {}
    for name, key in first.items():
        by_key.setdefault(key, []).append(name)
    assert [names for names in by_key.values() if len(names) > 1] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_each_class_of_keras_has_the_same_key_in_each_process(tmp_path):
    """What Keras keeps for itself in an object is not part of its key."""
    pytest.importorskip("keras")
    first, second = _keys_in_two_processes(ALL_CLASSES, tmp_path)
    assert first == second
