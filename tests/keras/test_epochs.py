"""A Keras fit goes on from its last saved epoch, on each backend.

One process per backend imports Keras and waits. Each try of a fold is a fork of it,
which is a process of its own that can be killed, without the seconds of an import.
"""

import hashlib
import importlib.util
import json
import os
import pickle
import signal
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from resumable_search._frameworks import state_files as _state_files

pytestmark = [
    pytest.mark.keras,
    pytest.mark.skipif(not importlib.util.find_spec("keras"), reason="needs Keras"),
]

KILLED = -signal.SIGKILL

SERVER = '''
import collections, contextlib, json, os, pathlib, pickle, random, shutil, signal
import sys, warnings
import keras
import numpy as np
from resumable_search import _folds
from resumable_search._frameworks import keras_epochs as _epochs
from resumable_search._frameworks import state_files as _state_files
from resumable_search._exceptions import EpochStateWarning

NAME = keras.backend.backend()
trained = []  # the epochs that this process has trained


def die():
    os.kill(os.getpid(), signal.SIGKILL)


class Killer(keras.callbacks.Callback):
    """Kills the process at a moment such as "batch:3"; in all tries, for identity."""

    def __init__(self, moment):
        super().__init__()
        self.moment = moment

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        trained.append(epoch)
        self.at("begin", epoch)

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            self.at("batch", self.epoch)

    def on_test_begin(self, logs=None):
        if hasattr(self, "epoch"):
            self.at("validation", self.epoch)

    def on_epoch_end(self, epoch, logs=None):
        self.at("end", epoch)

    def on_train_end(self, logs=None):
        self.at("train_end", 0)

    def at(self, place, epoch):
        if self.moment == f"{place}:{epoch}":
            die()


def kill_in_save(moment):
    """Kill around the nth save of this process."""
    place, number = moment.split(":")
    calls = collections.Counter()

    def wrap(module, name, before, after):
        original = getattr(module, name)

        def call(*args):
            calls[name] += 1
            if place == before and calls[name] == int(number):
                die()
            result = original(*args)
            if place == after and calls[name] == int(number):
                die()
            return result

        setattr(module, name, call)

    wrap(os, "fsync", "unsynced", "synced")
    wrap(os, "replace", "unnamed", "renamed")


class Users(keras.callbacks.Callback):
    """Has attributes of many kinds, and what happens next depends on them."""

    def __init__(self, seen):
        super().__init__()
        self.seen = seen
        self.number, self.text, self.flag, self.nothing = 0, "", False, None
        self.table = {}
        self.groups = collections.defaultdict(list)
        self.array, self.arrays, self.pair = np.zeros(3), [], ()
        self.scalar = np.float32(0)
        self.temporary = f"made by {os.getpid()}"
        self.unstorable = object()

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(logs["loss"])
        self.number += 1 + len(self.table)
        self.text += str(epoch)
        self.flag = not self.flag
        self.nothing = 1 if self.nothing is None else None
        self.table[epoch] = logs["loss"] * self.number
        self.groups[epoch % 2].append(epoch)
        self.array[epoch % 3] += self.number
        self.arrays.append(self.model.layers[0].get_weights()[0])
        self.pair = (epoch, float("nan"), -0.0)
        self.scalar = self.scalar + np.float32(0.1)
        logs["users"] = float(self.scalar)

    def on_train_end(self, logs=None):
        self.last_logs = sorted((logs or {}).items())

    def state(self):
        names = (
            "number text flag nothing table groups array arrays pair scalar last_logs"
        )
        found = {name: getattr(self, name) for name in names.split()}
        return {**found, "groups": dict(self.groups), "seen": list(self.seen)}


def data(n=64):
    generator = np.random.RandomState(0)
    x = generator.normal(size=(n, 5)).astype("float32")
    return x, (x[:, 0] + generator.normal(size=n) > 0).astype("int64")


def layers(name=None):
    return [
        keras.layers.Dense(8, activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(2, activation="softmax"),
    ]


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.parts = layers()

    def call(self, x, training=False):
        for part in self.parts:
            x = part(x, training=training)
        return x

    def fit(self, *args, **kwargs):
        return super().fit(*args, **kwargs)


def build(kind="sequential", eager=False):
    if kind == "subclassed":
        model = Subclassed()
    elif kind == "unbuilt":
        model = keras.Sequential(layers())
    else:
        model = keras.Sequential([keras.layers.Input((5,)), *layers()])
    # Not compiled by XLA and, where that is not the point, not traced: that is quicker.
    options = {} if NAME == "jax" else {"jit_compile": False, "run_eagerly": eager}
    model.compile(
        keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy",
        metrics=["accuracy"], **options,
    )
    return model


def whole(
    moment="", kind="sequential", eager=False, epochs=12, patience=3, **arguments
):
    """Fit, and give everything that comes out of it."""
    keras.utils.set_random_seed(7)
    model, users = build(kind, eager), Users([])
    stopping = keras.callbacks.EarlyStopping(
        patience=patience, restore_best_weights=True
    )
    plateau = keras.callbacks.ReduceLROnPlateau(patience=1, factor=0.5, cooldown=1)
    callbacks = [stopping, plateau, users, Killer(moment)]
    arguments = {"validation_split": 0.25, "batch_size": 16, **arguments}
    x, y = data()
    begin = len(trained)
    history = model.fit(
        x, y, epochs=epochs, verbose=0, callbacks=callbacks, **arguments
    )
    assert history is model.history
    return {
        "history": history.history,
        "epoch": history.epoch,
        "weights": model.get_weights(),
        "variables": [np.array(v) if NAME != "torch" else v.numpy().copy()
                      for v in model.variables if "seed" in v.path],
        "optimizer": [keras.ops.convert_to_numpy(v).copy()
                      for v in model.optimizer.variables],
        "predictions": np.array(model.predict(x, verbose=0)),
        "users": users.state(),
        "stopping": (stopping.wait, stopping.best, stopping.best_epoch,
                     stopping.stopped_epoch),
        "plateau": (plateau.wait, plateau.best, plateau.cooldown_counter),
        "temporary": users.temporary == f"made by {os.getpid()}",
        "random": (random.random(), np.random.rand(),
                   float(keras.random.uniform(()))),
        "trained": trained[begin:],
    }


def gan(moment=""):
    """A model with an optimizer that Keras does not know of."""

    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.body, self.head = keras.layers.Dense(4), keras.layers.Dense(1)

        def build(self, shape):
            self.body.build(shape)
            self.head.build((None, 4))
            self.built = True

        def call(self, x):
            return self.head(self.body(x))

        def train_step(self, batch):
            import tensorflow as tf
            x, y = batch
            for part, optimizer in (
                (self.body, self.optimizer), (self.head, self.other)
            ):
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean((self(x)[:, 0] - tf.cast(y, "float32")) ** 2)
                gradients = tape.gradient(loss, part.trainable_variables)
                optimizer.apply_gradients(zip(gradients, part.trainable_variables))
            return {"loss": loss}

    keras.utils.set_random_seed(5)
    model = Two()
    model.other = keras.optimizers.Adam(0.01)
    model.compile(keras.optimizers.RMSprop(0.01), "mse", jit_compile=False)
    history = model.fit(*data(), epochs=4, verbose=0, callbacks=[Killer(moment)])
    return {
        "history": history.history, "weights": model.get_weights(),
        "other": [np.array(v) for v in model.other.variables],
    }


def recurrent(moment=""):
    """A model that carries over what it has seen from batch to batch."""
    keras.utils.set_random_seed(3)
    memory = keras.layers.GRU(3, stateful=True)
    model = keras.Sequential(
        [keras.layers.Input(batch_shape=(16, 5, 1)), memory, keras.layers.Dense(1)]
    )
    model.compile(keras.optimizers.Adam(0.05), "mse")
    x, y = data()
    history = model.fit(
        x[..., None], y, epochs=4, batch_size=16, shuffle=False, verbose=0,
        callbacks=[Killer(moment)],
    )
    states = [keras.ops.convert_to_numpy(state).copy() for state in memory.states]
    assert np.any(states[0])
    return {"history": history.history, "weights": model.get_weights(),
            "states": states}


def small(seed, **arguments):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(1)])
    options = {} if NAME == "jax" else {"run_eagerly": True}
    model.compile(keras.optimizers.Adam(0.1), "mse", **options)
    begin = len(trained)
    arguments = {"epochs": 3, "verbose": 0, "callbacks": [Killer("")], **arguments}
    history = model.fit(*arguments.pop("data", None) or data(16), **arguments)
    return {"weights": model.get_weights(), "history": history.history,
            "trained": trained[begin:]}


def two(moment=""):
    """Two equal models and data, in one fold; killed in the second."""
    first = small(1)
    second = small(2, callbacks=[Killer(moment)])
    third = small(2, callbacks=[Killer(moment)])
    return {"first": first, "second": second, "third": third}


@contextlib.contextmanager
def fold(directory, save_epochs):
    with _folds.run(_folds.RunningFold(lambda: pathlib.Path(directory), save_epochs)):
        yield


@contextlib.contextmanager
def recorded():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("always", EpochStateWarning)
        yield caught


def attempt(job):
    _epochs.install(keras)
    _epochs.install(keras)
    if job.get("kill_in_save"):
        kill_in_save(job["kill_in_save"])
    with recorded() as caught:
        if job.get("save_epochs") is None:
            result = globals()[job["function"]](**job.get("arguments", {}))
        else:
            with fold(job["directory"], job["save_epochs"]):
                result = globals()[job["function"]](**job.get("arguments", {}))
    result["warnings"] = [
        str(item.message) for item in caught
        if issubclass(item.category, EpochStateWarning)
    ]
    return result


exec(pathlib.Path(sys.argv[1]).read_text())

print("ready", flush=True)
for line in sys.stdin:
    job = json.loads(line)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            with open(job["output"] + ".new", "wb") as file:
                pickle.dump(attempt(job), file)
            os.rename(job["output"] + ".new", job["output"])
            code = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
'''

# What runs many fits in one process; beside the above to keep that readable.
SWEEPS = '''
def every_epoch(directory, save_epochs=1):
    """Keep the state of each epoch, then go on from each of them."""
    directory = pathlib.Path(directory)
    kept = []
    original = os.replace

    def keep(source, target):
        original(source, target)
        kept.append(pathlib.Path(target).read_bytes())
        kept[0] = kept[0] or None

    os.replace = keep
    with fold(directory, save_epochs):
        undisturbed = whole()
    os.replace = original
    (path,) = directory.iterdir()
    resumed = []
    for content in kept:
        path.write_bytes(content)
        with fold(directory, save_epochs):
            resumed.append(whole())
    return {"undisturbed": undisturbed, "resumed": resumed}


def damaged(directory):
    """Go on from states that are damaged in all ways; give what came out."""
    directory = pathlib.Path(directory)

    def small(seed):  # one step in one epoch
        return globals()["small"](seed, epochs=1)

    with fold(directory, 1):
        undisturbed = small(3)
    (path,) = directory.iterdir()
    content = path.read_bytes()
    state = _state_files.read(path, {})

    def written(value):
        _state_files.write(path, value, {})
        return path.read_bytes()

    def changed(**changes):
        return written({**state, **changes})

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {directory}/was_run",)

    wrong_dtype = [array.astype("float16") for array in state["variables"]]
    wrong_shape = [array[..., :0] for array in state["variables"]]
    cases = {
        "empty": b"",
        "short": content[:10],
        "truncated": content[:-100],
        "one byte short": content[:-1],
        "longer": content + b"x",
        "flipped in header": content[:60] + bytes([content[60] ^ 1]) + content[61:],
        "flipped in arrays": content[:-50] + bytes([content[-50] ^ 1]) + content[-49:],
        "another file": b"\\x89HDF\\r\\n" + bytes(500),
        "pickle": pickle.dumps(Evil()),
        "newer format": content[:8] + b"\\2\\0\\0\\0" + content[12:],
        "other shapes": changed(variables=wrong_shape),
        "other types": changed(variables=wrong_dtype),
        "fewer weights": changed(variables=state["variables"][1:]),
        "other optimizer": changed(optimizers=[]),
        "other identity": changed(identity="0" * 32),
        "epochs": changed(epoch=99),
        "epoch's type": changed(epoch="1"),
        "callbacks": changed(callbacks=[]),
        "callbacks' type": changed(callbacks=[1, 2]),
        "random state": changed(random={**state["random"], "python": (3, [], None)}),
        "numpy's state": changed(random={**state["random"], "numpy": {}}),
        "no random state": changed(random={}),
        "a list": written([1]),
        "directory": None,
    }
    found = {}
    for name, case in cases.items():
        path.unlink()
        if case is None:
            path.mkdir()
        else:
            path.write_bytes(case)
        with recorded() as caught, fold(directory, 1):
            result = small(3)
        if case is None:
            path.rmdir()
            path.write_bytes(b"")
        found[name] = (result, [str(item.message) for item in caught])
    path.unlink()
    path.write_bytes(content)
    with fold(directory, 1):
        intact = small(3)
    return {"undisturbed": undisturbed, "found": found, "intact": intact,
            "left": sorted(os.listdir(directory)), "name": path.name}


def no_space(directory):
    """Save to a disk that is full for a while."""
    calls = []
    original = os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) in (1, 2):
            raise OSError(28, "No space left on device")
        original(descriptor)

    os.fsync = full
    with fold(directory, 1):
        result = small(3)
    os.fsync = original
    with fold(directory, 1):
        again = small(3)
    return {**result, "again": again, "left": sorted(os.listdir(directory))}


def odd_callbacks(directory):
    """Pass callbacks in all the ways that Keras takes."""
    results = {}
    own = keras.callbacks.History()
    ways = {
        "none": lambda: None,
        "one": lambda: Killer(""),
        "nested": lambda: [[Killer("")], [own]],
        "list": lambda: keras.callbacks.CallbackList(
            [Killer("")], add_history=True, model=None, epochs=3, verbose=0
        ),
    }
    for name, way in ways.items():
        for number in range(2):
            callbacks = way()
            if name == "list":
                results[f"{name}{number}"] = with_list(directory)
                continue
            with fold(f"{directory}/{name}", 1):
                results[f"{name}{number}"] = small(4, callbacks=callbacks)
    return {"results": results}


def with_list(directory):
    keras.utils.set_random_seed(4)
    model = keras.Sequential([keras.layers.Input((5,)), keras.layers.Dense(1)])
    options = {} if NAME == "jax" else {"run_eagerly": True}
    model.compile(keras.optimizers.Adam(0.1), "mse", **options)
    callbacks = keras.callbacks.CallbackList(
        [Killer("")], add_history=True, model=model, epochs=3, verbose=0
    )
    begin, before = len(trained), list(callbacks.callbacks)
    with fold(f"{directory}/list", 1):
        history = model.fit(*data(), epochs=3, verbose=0, callbacks=callbacks)
    assert callbacks.callbacks == before
    return {"weights": model.get_weights(), "history": history.history,
            "trained": trained[begin:]}


def nested(moment=""):
    """A callback that fits a model of its own after each epoch."""

    class Fits(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.inner = []

        def on_epoch_end(self, epoch, logs=None):
            self.inner.append(small(epoch, epochs=1, callbacks=None)["weights"])

    fits = Fits()
    result = small(1, callbacks=[fits, Killer(moment)])
    return {**result, "inner": fits.inner}


def generated(moment=""):
    """Data whose position cannot be saved."""

    def batches():
        x, y = data()
        while True:
            yield x[:16], y[:16]

    return small(
        1, data=(batches(),), steps_per_epoch=2, shuffle=False,
        callbacks=[Killer(moment)],
    )


def bfloat16(directory):
    """Weights of a type that NumPy does not know by itself."""
    def fit():
        keras.utils.set_random_seed(4)
        model = keras.Sequential(
            [keras.layers.Input((5,)), keras.layers.Dense(3, dtype="bfloat16"),
             keras.layers.Dense(1)]
        )
        options = {} if NAME == "jax" else {"run_eagerly": True}
        model.compile(keras.optimizers.Adam(0.1), "mse", **options)
        begin = len(trained)
        model.fit(*data(), epochs=2, verbose=0, callbacks=[Killer("")])
        return {"trained": trained[begin:], "weights": [
            keras.ops.convert_to_numpy(w).astype("float32") for w in model.weights
        ]}

    with fold(directory, 1):
        first = fit()
    with fold(directory, 1):
        second = fit()
    return {"first": first, "second": second}


def wrapped(moment=""):
    """A PyTorch module, which has statistics that Keras does not know of."""
    import torch

    keras.utils.set_random_seed(4)
    module = torch.nn.Sequential(
        torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4), torch.nn.Dropout(0.2)
    )
    model = keras.Sequential(
        [keras.layers.Input((5,)), keras.layers.TorchModuleWrapper(module),
         keras.layers.Dense(1)]
    )
    model.compile("adam", "mse", jit_compile=False)
    history = model.fit(
        *data(), epochs=2, verbose=0, validation_split=0.25, callbacks=[Killer(moment)]
    )
    buffers = [buffer.numpy().copy() for buffer in module.buffers()]
    return {"history": history.history, "weights": model.get_weights(),
            "buffers": buffers}


def put_back():
    """Tell whether the wrapper goes, and leaves nothing."""
    ours = keras.Model.fit
    _epochs.uninstall()
    theirs = keras.Model.fit
    _epochs.uninstall()
    return {
        "replaced": ours is not theirs,
        "own": "fit" in vars(keras.Model),
        "wraps": ours.__wrapped__ is theirs,
        "name": ours.__name__,
    }
'''


class Server:
    """The process that has imported Keras, and starts the tries."""

    def __init__(self, backend, directory):
        self.directory, self.backend = directory, backend
        script, sweeps = directory / "server.py", directory / "sweeps.py"
        script.write_text(SERVER)
        sweeps.write_text(SWEEPS)
        root = str(Path(__file__).parent.parent.parent)
        environment = {
            **os.environ,
            "KERAS_BACKEND": backend,
            "PYTHONPATH": root,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "CUDA_VISIBLE_DEVICES": "",
            # JAX compiles its random generator for ten seconds, once.
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(directory / "jax"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        with (directory / "errors").open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(script), str(sweeps)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
        assert self._line() == "ready", self.errors()
        self._known = {}

    def _line(self):
        return self.process.stdout.readline().strip()

    def errors(self):
        return (self.directory / "errors").read_text()[-3000:]

    def run(self, function, directory=None, save_epochs=None, **job):
        """Run a function in a fork; give its result, or the code it died with."""
        output = self.directory / "output"
        output.unlink(missing_ok=True)
        job |= {"function": function, "output": str(output), "save_epochs": save_epochs}
        job["directory"] = str(directory)
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        code = int(self._line())
        if code == KILLED:
            return KILLED
        assert code == 0, self.errors()
        return pickle.loads(output.read_bytes())

    def undisturbed(self, function="whole", **arguments):
        """Give what a fit comes to without any of this."""
        key = json.dumps([function, arguments])
        if key not in self._known:
            self._known[key] = self.run(function, arguments=arguments)
        return self._known[key]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)


def _param(backend):
    missing = not importlib.util.find_spec(backend)
    reason = f"{backend} is not installed"
    return pytest.param(backend, marks=pytest.mark.skipif(missing, reason=reason))


@pytest.fixture(scope="module", params=map(_param, ["tensorflow", "jax", "torch"]))
def keras_process(request, tmp_path_factory):
    server = Server(request.param, tmp_path_factory.mktemp(request.param))
    yield server
    server.close()


def assert_same(found, expected, ignored=("trained", "warnings", "temporary")):
    """Compare to the bit, NaNs and signs of zero included."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        names = [name for name in expected if name not in ignored]
        assert [name for name in found if name not in ignored] == names
        for name in names:
            assert_same(found[name], expected[name])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, np.ndarray | np.generic):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes()
    else:
        assert repr(found) == repr(expected)


# A fold that is killed again and again: each try dies at another moment.
CHAIN = [
    ({"moment": "begin:1"}, None),
    ({"moment": "batch:2"}, None),
    ({}, "unsynced:1"),
    ({}, "unnamed:1"),
    ({}, "renamed:2"),
    ({}, "synced:1"),
    ({"moment": "validation:5"}, None),
    ({"moment": "end:6"}, None),
    ({"moment": "train_end:0"}, None),
    ({"moment": "train_end:0"}, None),
]


@pytest.mark.slow
def test_a_fold_killed_ten_times_ends_as_an_undisturbed_one(keras_process, tmp_path):
    """Wherever a process is killed, the next goes on to the same end, bit for bit."""
    expected = keras_process.undisturbed()
    stopped = len(expected["epoch"])
    assert 7 < stopped < 12, "the fit has to stop early, and not too early"
    assert expected["plateau"] != (0, None, 0)
    for arguments, in_save in CHAIN:
        code = keras_process.run(
            "whole", tmp_path, 1, arguments=arguments, kill_in_save=in_save
        )
        assert code == KILLED, (arguments, in_save)
    result = keras_process.run("whole", tmp_path, 1)
    assert_same(result, expected)
    assert result["trained"] == []  # it had come to its end
    assert result["temporary"]
    assert result["warnings"] == []


@pytest.mark.slow
def test_each_epoch_can_be_gone_on_from(keras_process, tmp_path):
    """The state of any epoch leads to the same end, which saving does not change."""
    result = keras_process.run("every_epoch", arguments={"directory": str(tmp_path)})
    expected = keras_process.undisturbed()
    assert_same(result["undisturbed"], expected)
    stopped = len(expected["epoch"])
    assert len(result["resumed"]) == stopped
    for epoch, resumed in enumerate(result["resumed"], start=1):
        assert_same(resumed, expected)
        assert resumed["trained"] == list(range(epoch, stopped))
    assert result["warnings"] == []


@pytest.mark.parametrize("kind", ["subclassed", "unbuilt"])
def test_a_model_without_variables_is_built_first(keras_process, tmp_path, kind):
    """A model that the first batch would build goes on as one that was built."""
    arguments = {"kind": kind, "epochs": 2, "eager": True}
    killed = {**arguments, "moment": "begin:1"}
    assert keras_process.run("whole", tmp_path, 1, arguments=killed) == KILLED
    result = keras_process.run("whole", tmp_path, 1, arguments=arguments)
    assert_same(result, keras_process.undisturbed(**arguments))
    assert result["trained"] == [1]


def test_every_third_epoch_is_saved(keras_process, tmp_path):
    """With save_epochs=3 a fit goes on from the last third epoch; its end is saved."""
    arguments = {"epochs": 5, "patience": 9, "shuffle": "batch", "eager": True}
    killed = {**arguments, "moment": "begin:2"}
    assert keras_process.run("whole", tmp_path, 3, arguments=killed) == KILLED
    assert list(tmp_path.iterdir()) == []
    killed = {**arguments, "moment": "begin:4"}
    assert keras_process.run("whole", tmp_path, 3, arguments=killed) == KILLED
    assert len(list(tmp_path.iterdir())) == 1
    result = keras_process.run("whole", tmp_path, 3, arguments=arguments)
    again = keras_process.run("whole", tmp_path, 3, arguments=arguments)
    assert result["trained"] == [3, 4]
    assert again["trained"] == []
    expected = keras_process.undisturbed(**arguments)
    assert_same(result, expected)
    assert_same(again, expected)


def test_equal_fits_of_a_fold_are_told_apart(keras_process, tmp_path):
    """The second of three fits that are given the same has a state of its own."""
    killed = {"moment": "begin:1"}
    assert keras_process.run("two", tmp_path, 1, arguments=killed) == KILLED
    result = keras_process.run("two", tmp_path, 1)
    expected = keras_process.undisturbed("two")
    assert_same(result, expected)
    assert [result[name]["trained"] for name in ("first", "second", "third")] == [
        [],
        [1, 2],
        [0, 1, 2],
    ]
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_state_is_not_used(keras_process, tmp_path):
    """Whatever is wrong with the file, the fit starts again, with a warning."""
    result = keras_process.run("damaged", arguments={"directory": str(tmp_path)})
    expected = result["undisturbed"]
    for name, (found, messages) in result["found"].items():
        assert_same(found, expected)
        assert found["trained"] == [0], name
        if name == "directory":  # nor can another be saved there
            message, unsaved = messages
            assert "could not be saved after epoch 1 (IsADirectoryError" in unsaved
        else:
            (message,) = messages
        assert "starts this Keras fit again from its first epoch" in message
        assert result["name"] in message
    reasons = {name: messages[0] for name, (_, messages) in result["found"].items()}
    assert "has format 2, and this release reads format 1" in reasons["newer format"]
    assert "checksum does not match" in reasons["truncated"]
    assert "is not a state of a fit" in reasons["pickle"]
    assert "other weights than the model" in reasons["other shapes"]
    assert "was written by another fit" in reasons["other identity"]
    assert_same(result["intact"], expected)
    assert result["intact"]["trained"] == []
    assert result["left"] == [result["name"]]  # no code was run, no file forgotten


def test_a_full_disk_does_not_stop_a_training(keras_process, tmp_path):
    """Saves that fail give one warning, and the next save is tried again."""
    result = keras_process.run("no_space", arguments={"directory": str(tmp_path)})
    (message,) = result["warnings"]
    assert "could not be saved after epoch 1" in message
    assert "No space left on device" in message
    assert result["trained"] == [0, 1, 2]
    assert result["again"]["trained"] == []
    assert_same(result["again"]["weights"], result["weights"])
    assert len(result["left"]) == 1


def test_callbacks_are_passed_in_any_way(keras_process, tmp_path):
    """None, one, nested lists or a CallbackList: each fit is resumed."""
    found = keras_process.run("odd_callbacks", arguments={"directory": str(tmp_path)})
    for name in ("one", "nested", "list"):
        first, second = (found["results"][f"{name}{number}"] for number in (0, 1))
        assert_same(second, first)
        assert (first["trained"], second["trained"]) == ([0, 1, 2], [])
    assert_same(
        found["results"]["none1"]["weights"], found["results"]["one0"]["weights"]
    )
    assert all(len(list(folder.iterdir())) == 1 for folder in tmp_path.iterdir())


def test_a_fit_inside_a_fit_belongs_to_its_epoch(keras_process, tmp_path):
    """What a callback fits is fitted again with the epochs that are run again."""
    killed = {"moment": "begin:2"}
    assert keras_process.run("nested", tmp_path, 1, arguments=killed) == KILLED
    result = keras_process.run("nested", tmp_path, 1)
    assert_same(result["weights"], keras_process.undisturbed("nested")["weights"])
    assert_same(result["inner"], keras_process.undisturbed("nested")["inner"])
    assert len(list(tmp_path.iterdir())) == 1


def test_of_data_without_a_position_only_the_end_is_saved(keras_process, tmp_path):
    """A fit on a generator starts again, with a warning, unless it had ended."""
    killed = {"moment": "begin:2"}
    assert keras_process.run("generated", tmp_path, 1, arguments=killed) == KILLED
    assert list(tmp_path.iterdir()) == []
    result = keras_process.run("generated", tmp_path, 1)
    again = keras_process.run("generated", tmp_path, 1)
    expected = keras_process.undisturbed("generated")
    assert_same(result, expected)
    assert_same(again, expected)
    assert (result["trained"], again["trained"]) == ([0, 1, 2], [])
    (message,) = result["warnings"]
    assert "Only the end of this Keras fit is saved" in message
    assert again["warnings"] == []


def test_buffers_of_pytorch_modules_are_restored(keras_process, tmp_path):
    """A PyTorch module in a Keras model has its statistics back."""
    if keras_process.backend != "torch":
        pytest.skip("a PyTorch module works with that backend only")
    killed = {"moment": "begin:1"}
    assert keras_process.run("wrapped", tmp_path, 1, arguments=killed) == KILLED
    result = keras_process.run("wrapped", tmp_path, 1)
    assert_same(result, keras_process.undisturbed("wrapped"))
    assert result["warnings"] == []


def test_weights_of_other_types_survive(keras_process, tmp_path):
    """A layer in bfloat16 is restored as it was."""
    result = keras_process.run("bfloat16", arguments={"directory": str(tmp_path)})
    assert_same(result["first"], result["second"])
    assert (result["first"]["trained"], result["second"]["trained"]) == ([0, 1], [])
    assert result["warnings"] == []


def test_a_second_optimizer_is_restored(keras_process, tmp_path):
    """A model that has an optimizer beside Keras's, built for some of its weights."""
    if keras_process.backend != "tensorflow":
        pytest.skip("the model of this test is written for TensorFlow")
    killed = {"moment": "begin:2"}
    assert keras_process.run("gan", tmp_path, 1, arguments=killed) == KILLED
    result = keras_process.run("gan", tmp_path, 1)
    assert_same(result, keras_process.undisturbed("gan"))
    assert result["warnings"] == []


@pytest.mark.parametrize("moment", ["batch:2", "train_end:0"])
def test_a_stateful_layer_goes_on_from_its_states(keras_process, tmp_path, moment):
    """What a recurrent layer carries over is part of a saved epoch."""
    if keras_process.backend != "tensorflow":
        pytest.skip("Keras carries states from batch to batch on TensorFlow only")
    killed = {"moment": moment}
    assert keras_process.run("recurrent", tmp_path, 1, arguments=killed) == KILLED
    result = keras_process.run("recurrent", tmp_path, 1)
    assert_same(result, keras_process.undisturbed("recurrent"))
    assert result["warnings"] == []


def test_the_wrapper_can_be_taken_off(keras_process):
    """Keras has its own fit again, and nothing of ours is left on the class."""
    result = keras_process.run("put_back")
    result.pop("warnings")
    assert result == {"replaced": True, "own": False, "wraps": True, "name": "fit"}


# The file format


VALUE = {
    "none": None,
    "numbers": [0, -1, 2**128, 1.5, float("inf"), -0.0, True],
    "text": "Ωé\ud800",
    "pair": (1, (2, [3])),
    3: {"nested": {}, (1, "key"): []},
    "function": np.less,
    "arrays": [
        np.arange(6, dtype=dtype).reshape(2, 3)
        for dtype in ("int8", "uint64", "float16", "float32", ">f8", "complex64")
    ],
    "shapes": [np.array(3.0), np.zeros((0, 4)), np.arange(9).reshape(3, 3).T],
    "bools and text": [np.array([True, False]), np.array(["a", "bc"]), np.array(b"x")],
    "scalars": [np.float32(0.1), np.int8(3), np.str_("a")],
}
NAMED = {"numpy.less": np.less}


def test_values_come_back_as_they_were(tmp_path):
    """Types, shapes, orders and bits of a value survive the file."""
    _state_files.write(tmp_path / "state", VALUE, NAMED)
    assert_same(_state_files.read(tmp_path / "state", NAMED), VALUE)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_nan_keeps_its_bits_in_an_array(tmp_path):
    """Two NaNs that differ are told apart after the file as before."""
    bits = np.array([0x7FC00001, 0xFFC12345], dtype=np.uint32).view(np.float32)
    _state_files.write(tmp_path / "state", bits, {})
    assert_same(_state_files.read(tmp_path / "state", {}), bits)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        [np.greater],
        np.array([object()]),
        np.array("2000-01-01", dtype="datetime64[s]"),
        2**300,
        b"bytes",
        float,
    ],
    # No addresses: each process that shares the tests has to name them the same.
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_stored_is_refused(tmp_path, value):
    """A value of another kind is refused before the file is touched."""
    with pytest.raises(_state_files.UnsupportedValue):
        _state_files.write(tmp_path / "state", value, NAMED)
    assert list(tmp_path.iterdir()) == []


def test_a_list_that_holds_itself_is_refused(tmp_path):
    """A value without an end is refused as well."""
    endless = []
    endless.append(endless)
    with pytest.raises(_state_files.UnsupportedValue, match="nested too deeply"):
        _state_files.write(tmp_path / "state", endless, {})


def test_every_truncation_is_found(tmp_path):
    """A file of any length but its own is refused."""
    path = tmp_path / "state"
    _state_files.write(path, {"a": np.arange(5), "b": "text"}, {})
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(_state_files.StateFileError):
            _state_files.read(path, {})


def test_every_flipped_byte_is_found(tmp_path):
    """A file with a damaged byte is refused, wherever that is."""
    path = tmp_path / "state"
    _state_files.write(path, {"a": np.arange(5), "b": "text"}, {})
    content = path.read_bytes()
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 0x10
        path.write_bytes(damaged)
        with pytest.raises(_state_files.StateFileError):
            _state_files.read(path, {})


@pytest.mark.parametrize(
    "header",
    [
        {"value": {"named": "os.system"}, "arrays": []},
        {"value": {"array": 7}, "arrays": []},
        {"value": {"other": []}, "arrays": []},
        {"value": {"array": 0}, "arrays": [["|O", [1]]]},
        {"value": {"array": 0}, "arrays": [["<f8", [2**70]]]},
        {"value": {"array": 0}, "arrays": [["<f8", [-1]]]},
        {"value": {"array": 0}, "arrays": [["<f3", [1]]]},
        {"value": {"array": 0}, "arrays": [["<U999999999", [9]]]},
        {"value": {"dict": [[{"list": []}, 1]]}, "arrays": []},
        {"value": [1], "arrays": []},
        {"value": None, "arrays": [["|u1", [0]]] * 3, "more": 1},
        {"arrays": []},
        [],
        None,
    ],
    ids=str,
)
def test_a_file_made_on_purpose_does_no_harm(tmp_path, header):
    """A file whose checksum is right, but not its content, is refused or harmless."""
    path = tmp_path / "state"
    text = json.dumps(header).encode()
    start = struct.pack("<8sIQ", _state_files.MAGIC, _state_files.FORMAT, len(text))
    body = start + text
    path.write_bytes(body + hashlib.blake2b(body, digest_size=32).digest())
    if isinstance(header, dict) and "more" in header:
        assert _state_files.read(path, NAMED) is None
        return
    with pytest.raises(_state_files.StateFileError, match="makes no sense"):
        _state_files.read(path, NAMED)


def test_nesting_without_an_end_does_no_harm(tmp_path):
    """A header that would exhaust the stack is refused."""
    path = tmp_path / "state"
    text = b'{"value": ' + b'{"list": [' * 100_000
    start = struct.pack("<8sIQ", _state_files.MAGIC, _state_files.FORMAT, len(text))
    body = start + text
    path.write_bytes(body + hashlib.blake2b(body, digest_size=32).digest())
    with pytest.raises(_state_files.StateFileError, match="makes no sense"):
        _state_files.read(path, {})


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    """An error on the way leaves the state of before, and no other file."""
    path = tmp_path / "state"
    _state_files.write(path, 1, {})

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        _state_files.write(path, 2, {})
    assert _state_files.read(path, {}) == 1
    assert [item.name for item in tmp_path.iterdir()] == ["state"]
