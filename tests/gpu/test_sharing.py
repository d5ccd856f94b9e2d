"""Workers that share a real GPU. One command: ``python -m pytest -m gpu``."""

import importlib.util
import os

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from resumable_search import DeviceError, ResumableGridSearchCV
from resumable_search._gpu.mps import control_program
from resumable_search._gpu.nvml import Nvml


def devices():
    try:
        return [device for gpu in Nvml().gpus() for device in gpu]
    except DeviceError:
        return []


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not devices(), reason="there is no NVIDIA GPU"),
]

MB = 2**20


class Probe(BaseEstimator):
    """Does something on the GPU with a framework; its score is what came of it."""

    def __init__(self, act=None, value=0):
        self.act = act
        self.value = value

    def fit(self, X, y=None):
        self.result_ = float(self.act(self.value))
        return self

    def score(self, X, y=None):
        return self.result_


def scores(act, values=(0,), **parameters):
    parameters = {"cv": 2, "n_jobs": 2, "refit": False, "error_score": "raise"} | {
        **parameters
    }
    search = ResumableGridSearchCV(Probe(act), {"value": list(values)}, **parameters)
    search.fit(np.zeros((4, 1)))
    return search.cv_results_["mean_test_score"]


def needs(name):
    return pytest.mark.skipif(
        importlib.util.find_spec(name) is None, reason=f"{name} is not installed"
    )


def torch_fraction(_):
    import torch

    torch.ones(1, device="cuda")
    return torch.cuda.get_per_process_memory_fraction(0)


def torch_allocate(megabytes):
    import torch

    tensor = torch.empty(int(megabytes) * MB, dtype=torch.uint8, device="cuda")
    tensor.fill_(1)
    return tensor.numel() / MB


def torch_faults(value):
    import torch

    tensor = torch.ones(4, device="cuda")
    if value and "CUDA_MPS_PIPE_DIRECTORY" in os.environ:
        # Out of bounds: the assertion on the device takes the context down.
        tensor[torch.tensor([10**6], device="cuda")].sum().item()
    return tensor.sum().item()


def jax_limit(_):
    import jax

    jax.numpy.ones(1).block_until_ready()
    return jax.devices()[0].memory_stats()["bytes_limit"] / MB


def tensorflow_limit(_):
    import tensorflow as tf

    (gpu,) = tf.config.list_physical_devices("GPU")
    (logical,) = tf.config.get_logical_device_configuration(gpu)
    with tf.device("GPU:0"):
        tf.ones(1)
    return logical.memory_limit


def share_of_two():
    """Give the bytes that each of two workers on the first GPU gets, and its total."""
    layer, device = Nvml(), devices()[0]
    memory = layer.memory(device)
    share = int(0.9 * memory.free) // 2 - layer.context_bytes(device)
    return share, memory.total


@needs("torch")
def test_pytorch_keeps_to_its_share():
    """The allocator's limit is the worker's share."""
    share, total = share_of_two()
    assert scores(torch_fraction, devices=[0])[0] == pytest.approx(
        share / total, rel=0.05
    )


@needs("jax")
def test_jax_keeps_to_its_share():
    """The pool that JAX makes has the size of the worker's share."""
    share, _ = share_of_two()
    assert scores(jax_limit, devices=[0])[0] == pytest.approx(share / MB, rel=0.1)


@needs("tensorflow")
def test_tensorflow_keeps_to_its_share():
    """The logical device has the worker's share as its limit."""
    share, _ = share_of_two()
    assert scores(tensorflow_limit, devices=[0])[0] == pytest.approx(
        share / MB, rel=0.05
    )


@needs("torch")
def test_more_than_the_share_is_tried_again_alone():
    """A fold that needs most of the GPU has its score in the end."""
    share, _ = share_of_two()
    megabytes = int(1.3 * share / MB)
    found = scores(torch_allocate, [10, megabytes, 20], devices=[0])
    assert list(found) == [10, megabytes, 20]


@needs("torch")
def test_more_than_the_gpu_is_a_failed_fold():
    """The error names the candidate and what it had."""
    _, total = share_of_two()
    with pytest.raises(Exception, match="out of memory") as caught:
        scores(torch_allocate, [int(2 * total / MB)], devices=[0])
    assert "ran out of GPU memory, alone on" in caught.value.__notes__[0]


@needs("torch")
def test_the_memory_is_free_after_the_search():
    """Workers that held the GPU are gone when fit returns."""
    layer, device = Nvml(), devices()[0]
    before = layer.memory(device).free
    scores(torch_allocate, [1000, 1001], devices=[0])
    assert layer.memory(device).free > before - 100 * MB


@needs("torch")
@pytest.mark.skipif(control_program() is None, reason="MPS is not installed")
def test_mps_serves_the_workers_and_survives_a_fault():
    """Workers are attached (a warning would be an error), and a fault is not fatal."""
    found = scores(torch_faults, [0, 1, 2, 0.5], devices=[0], mps="on", max_retries=0)
    assert list(found) == [4, 4, 4, 4]


@pytest.mark.skipif(
    not any(map(importlib.util.find_spec, ("torch", "jax", "tensorflow"))),
    reason="no backend of Keras is installed",
)
@needs("keras")
def test_keras_models_share_the_gpu():
    """Four small networks train at once and learn."""
    from sklearn.datasets import load_iris

    from resumable_search.keras import KerasClassifier

    def build(meta, units):
        import keras

        model = keras.Sequential(
            [
                keras.layers.Input(meta["X_shape_"][1:]),
                keras.layers.Dense(units, activation="relu"),
                keras.layers.Dense(meta["n_classes_"], activation="softmax"),
            ]
        )
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        return model

    search = ResumableGridSearchCV(
        KerasClassifier(build, epochs=20, random_state=0),
        {"model__units": [8, 16, 32, 64]},
        cv=2,
        n_jobs=4,
        save_epochs=10,
        error_score="raise",
    )
    search.fit(*load_iris(return_X_y=True))
    assert search.best_score_ > 0.8
