"""Memory and pauses over a long search of Keras models.

    python benchmarks/long_search.py --folds 500

TensorFlow keeps a few megabytes of each model it ever built, so workers are replaced
by successors that have imported it already. This runs the same search with and
without that and prints, over the course of the search, the memory of all workers,
and the time between the ends of folds. The arms run one after the other.
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import psutil
import sklearn

from resumable_search import ResumableGridSearchCV
from resumable_search._engine import slots as _slots
from resumable_search.keras import KerasClassifier


def build(meta, units=16):
    import keras

    model = keras.Sequential(
        [
            keras.layers.Input(meta["X_shape_"][1:]),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


class Ends:
    """Notes when folds end, and the memory of the workers every half second."""

    def __init__(self):
        self.ends = []
        self.memory = []
        self.workers = set()
        self._stop = threading.Event()

    def __enter__(self):
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._stop.set()

    def _watch(self):
        parent = psutil.Process()
        while not self._stop.wait(0.5):
            total, n_workers = 0, 0
            for child in parent.children():
                try:
                    total += child.memory_info().rss
                except psutil.Error:
                    continue
                self.workers.add(child.pid)
                n_workers += 1
            self.memory.append((time.monotonic(), total, n_workers))


def run(n_folds, n_jobs):
    X = np.random.default_rng(0).normal(size=(128, 20))
    y = np.arange(128) % 2
    units = [16 + i for i in range(n_folds // 2)]
    with tempfile.TemporaryDirectory() as folder, Ends() as watch:
        search = ResumableGridSearchCV(
            KerasClassifier(build, random_state=0),
            {"model__units": units},
            cv=2,
            n_jobs=n_jobs,
            refit=False,
            error_score="raise",
            checkpoint=Path(folder, "checkpoint.sqlite"),
        )
        note_status = _slots.Slot.note_status

        def noted(slot, status):
            watch.ends.append(time.monotonic())
            note_status(slot, status)

        _slots.Slot.note_status = noted
        try:
            begin = time.monotonic()
            search.fit(X, y)
            seconds = time.monotonic() - begin
        finally:
            _slots.Slot.note_status = note_status
    return watch, seconds


def describe(name, watch, seconds, n_folds):
    parts = [n_folds // 10, n_folds // 2, n_folds * 3 // 4, n_folds]
    marks = [watch.ends[part - 1] for part in parts]
    memory = []
    for mark in marks:
        near = [total for at, total, _ in watch.memory if mark - 5 <= at <= mark]
        memory.append(f"{statistics.median(near) / 1e6:,.0f}")
    gaps = sorted(b - a for a, b in zip(watch.ends[10:], watch.ends[11:], strict=False))
    print(
        f"| {name} | {' | '.join(memory)} | "
        f"{max(total for _, total, _ in watch.memory) / 1e6:,.0f} | "
        f"{len(watch.workers)} | {seconds:.0f} | {statistics.median(gaps):.2f} | "
        f"{gaps[int(0.99 * len(gaps))]:.2f} | {gaps[-1]:.2f} |",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folds", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--replaced-only", action="store_true")
    options = parser.parse_args()
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, scikit-learn {sklearn.__version__}; "
        f"python {' '.join(sys.argv)}"
    )
    print(
        "| workers | MB after 10% | 50% | 75% | 100% of the folds | at most "
        "| processes | seconds | median between folds (s) | 99% | most |"
    )
    print("| --- " * 11 + "|")
    arms = [("replaced", _slots.FOLDS_PER_WORKER)]
    if not options.replaced_only:
        arms.append(("kept", 10**9))
    for name, folds_per_worker in arms:
        _slots.FOLDS_PER_WORKER = folds_per_worker
        _slots.MOST_GROWTH = _slots.MOST_GROWTH if name == "replaced" else 10**15
        watch, seconds = run(options.folds, options.jobs)
        describe(name, watch, seconds, options.folds)


if __name__ == "__main__":
    main()
