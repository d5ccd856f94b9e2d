"""What it costs to save the state of a Keras fit after an epoch.

    KERAS_BACKEND=tensorflow python benchmarks/epoch_states.py [--saves N] [--folder D]

Networks of about 2,400, 300,000 and 4,400,000 parameters, with Adam's two moments,
are fitted on data of one batch, in a fold that saves each epoch: written aside,
checksummed, synced and renamed. The time is that of the whole save, in the last
callback of the epoch; beside it, in the same folder, that of writing and syncing as
many bytes, which is what the disk takes. Medians and the spread (least and most).

The output is a Markdown table.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import keras
import numpy as np

from resumable_search import _folds
from resumable_search._frameworks import keras_epochs as _epochs

UNITS = (32, 527, 2077)  # of each hidden layer
FEATURES = 40


def build(units):
    """Build a network with two hidden layers."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((FEATURES,)),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    return model


def timed_saves(model, folder, n_saves):
    """Fit in a fold; give the seconds of each save but the first, and the size."""
    seconds = []
    save = _epochs._Session.end_epoch

    def timed(self, epoch):
        begin = time.perf_counter()
        save(self, epoch)
        seconds.append(time.perf_counter() - begin)

    _epochs._Session.end_epoch = timed
    _epochs.install(keras)
    x = np.random.default_rng(0).normal(size=(32, FEATURES)).astype("float32")
    try:
        with _folds.run(_folds.RunningFold(lambda: folder, 1)):
            model.fit(x, x[:, 0], epochs=n_saves + 1, verbose=0)
    finally:
        _epochs.uninstall()
        _epochs._Session.end_epoch = save
    (path,) = folder.iterdir()
    return seconds[1:], path.stat().st_size


def timed_writes(folder, size, n_writes):
    """Give the seconds that the disk takes for files of this size."""
    content, seconds = os.urandom(size), []
    for _ in range(n_writes):
        begin = time.perf_counter()
        with (folder / "raw.new").open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        (folder / "raw.new").replace(folder / "raw")
        descriptor = os.open(folder, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        seconds.append(time.perf_counter() - begin)
    return seconds


def milliseconds(seconds):
    """Write a median with its spread."""
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{middle * 1e3:.1f} ({low * 1e3:.1f} - {high * 1e3:.1f})"


def versions():
    """Name the machine and what runs on it."""
    found = [f"Python {platform.python_version()}"]
    for name in ("keras", "tensorflow-cpu", "tensorflow", "torch", "jax", "numpy"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--saves", type=int, default=30)
    parser.add_argument("--folder", type=Path, default=Path.cwd())
    options = parser.parse_args()
    processor = platform.processor() or platform.machine()
    print(f"{platform.system()}, {processor}, {os.cpu_count()} cores; {versions()}")
    print(f"backend: {keras.backend.backend()}; {options.saves} saves each\n")
    print("| parameters | state, MB | save, ms | write of as many bytes, ms |")
    print("| --- | --- | --- | --- |")
    for units in UNITS:
        model = build(units)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            fold = Path(folder, "fold")
            saves, size = timed_saves(model, fold, options.saves)
            writes = timed_writes(fold, size, options.saves)
        print(
            f"| {model.count_params():,} | {size / 1e6:.2f} | {milliseconds(saves)} "
            f"| {milliseconds(writes)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
