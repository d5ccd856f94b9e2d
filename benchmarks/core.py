"""What a resumable search costs beside scikit-learn's own.

    python benchmarks/core.py [--only NAME ...] [--repeats N] [--folds N]

Each arm runs in a fresh process, the arms take turns, and the medians and the spread
(least and most) of what they measured are printed, with their ratio. The time of an
arm is that of ``fit``, the start of its workers included, imports of the script itself
not.

NAME is one of

- ``real``: random forests whose folds take about 20 ms, 200 ms and 1 s;
- ``trivial``: 2,000 folds of DummyClassifier;
- ``skip``: a search whose folds are all finished, ``--folds`` of them;
- ``quickstart``: the search of examples/digits_keras.py, also with one job and with a
  fresh process for each fold (needs Keras);
- ``memory``: a 1 GB X; peak of the memory that the whole machine had less available.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

PRELUDE = """
import json, os, resource, sys, time
import numpy as np
from sklearn.datasets import load_digits, load_iris
from sklearn.model_selection import GridSearchCV
from resumable_search import ResumableGridSearchCV

arm = sys.argv[1]

def search(estimator, grid, n_jobs=2, **parameters):
    if arm.startswith("theirs"):
        return GridSearchCV(estimator, grid, n_jobs=n_jobs, **parameters)
    return ResumableGridSearchCV(
        estimator, grid, n_jobs=n_jobs, checkpoint="bench.sqlite", **parameters
    )

def report(**values):
    print("RESULT " + json.dumps(values), flush=True)

def timed(search, X, y):
    begin = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - begin
"""

REAL = """
from sklearn.ensemble import RandomForestClassifier
X, y = load_digits(return_X_y=True)
n_trees, n_candidates = map(int, sys.argv[2:])
grid = {"random_state": list(range(n_candidates))}
found = search(RandomForestClassifier(n_trees), grid, cv=4, refit=False)
seconds = timed(found, X, y)
report(seconds=seconds, fold=float(np.mean(found.cv_results_["mean_fit_time"])))
"""

TRIVIAL = """
from sklearn.dummy import DummyClassifier
X, y = load_iris(return_X_y=True)
grid = {"random_state": list(range(1000))}
report(seconds=timed(search(DummyClassifier(), grid, cv=2, refit=False), X, y))
"""

SKIP = """
from sklearn.dummy import DummyClassifier
X, y = load_iris(return_X_y=True)
n = int(sys.argv[2])
grid = {"random_state": list(range(n // 4))}
found = search(DummyClassifier(), grid, cv=4, refit=False)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds = timed(found, X, y)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
n_resumed = found.resumption.n_resumed
report(seconds=seconds, bytes=(after - before) * 1024, resumed=n_resumed)
"""

QUICKSTART = """
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from sklearn.model_selection import ParameterGrid, StratifiedKFold, train_test_split
from resumable_search.keras import KerasClassifier

def build_model(meta, units=64, dropout=0.0):
    import keras
    model = keras.Sequential([
        keras.layers.Input((meta["n_features_in_"],)),
        keras.layers.Rescaling(1 / 16),
        keras.layers.Dense(units, activation="relu"),
        keras.layers.Dropout(dropout),
        keras.layers.Dense(units, activation="relu"),
        keras.layers.Dense(meta["n_classes_"], activation="softmax"),
    ])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model

def fold(parameters, train, test):
    model = KerasClassifier(build_model, epochs=30, random_state=0)
    model.set_params(**parameters).fit(X[train], y[train])
    return model.score(X[test], y[test])

X, y = load_digits(return_X_y=True)
X, _, y, _ = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
grid = {"model__units": [32, 64, 128], "model__dropout": [0.0, 0.2, 0.4]}

if __name__ == "__main__":
    if arm == "fresh":
        begin = time.perf_counter()
        with ProcessPoolExecutor(
            2, mp_context=get_context("spawn"), max_tasks_per_child=1
        ) as pool:
            futures = [
                pool.submit(fold, parameters, train, test)
                for parameters in ParameterGrid(grid)
                for train, test in StratifiedKFold(3).split(X, y)
            ]
            [future.result() for future in futures]
        report(seconds=time.perf_counter() - begin)
    else:
        n_jobs = 1 if arm == "theirs1" else 2
        estimator = KerasClassifier(build_model, epochs=30, random_state=0)
        found = search(estimator, grid, n_jobs=n_jobs, cv=3, refit=False)
        report(seconds=timed(found, X, y))
"""

MEMORY = """
from sklearn.dummy import DummyClassifier
X = np.ones((1_000_000, 125))
y = np.arange(len(X)) % 2
print("READY", flush=True)
grid = {"random_state": list(range(4))}
report(seconds=timed(search(DummyClassifier(), grid, cv=4, refit=False), X, y))
"""


def run(source, arm, *arguments, directory=None, watch=None):
    """Run an arm in a fresh process; give what it reported."""
    with tempfile.TemporaryDirectory() as fresh:
        directory = directory or fresh
        path = Path(directory, "arm.py")
        path.write_text(PRELUDE + source)
        process = subprocess.Popen(
            [sys.executable, str(path), arm, *map(str, arguments)],
            cwd=directory,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "KERAS_BACKEND": "tensorflow"},
        )
        result = None
        for line in process.stdout:
            if line.startswith("READY") and watch:
                watch.start()
            if line.startswith("RESULT "):
                result = json.loads(line.removeprefix("RESULT "))
        if process.wait() or result is None:
            raise SystemExit(f"the arm {arm} failed")
        return result


class MemoryWatch:
    """The most memory that the machine had less available than at the start."""

    def start(self):
        self.least = self.first = psutil.virtual_memory().available
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()

    def _watch(self):
        while not self.stop.wait(0.02):
            self.least = min(self.least, psutil.virtual_memory().available)

    def peak(self):
        self.stop.set()
        self.thread.join()
        return self.first - self.least


def show(values, unit="s"):
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.2f} {unit} ({low:.2f} to {high:.2f})"


def compare(title, source, arms, *arguments, repeats):
    """Let the arms take turns, and print medians and ratios to the first."""
    seconds = {arm: [] for arm in arms}
    details = {}
    for _ in range(repeats):
        for arm in arms:
            result = run(source, arm, *arguments)
            seconds[arm].append(result["seconds"])
            details = result
    fold = f", folds of {details['fold'] * 1000:.0f} ms" if "fold" in details else ""
    print(f"\n{title}{fold}")
    for arm in arms:
        ratios = [a / b for a, b in zip(seconds[arms[0]], seconds[arm], strict=True)]
        ratio = f"ours / this: {statistics.median(ratios):.2f}" if arm != "ours" else ""
        print(f"  {arm:8} {show(seconds[arm])}  {ratio}", flush=True)


def real(options):
    for n_trees, n_candidates in ((12, 100), (120, 15), (600, 4)):
        compare(
            f"random forests of {n_trees} trees, {n_candidates * 4} folds",
            REAL,
            ["ours", "theirs"],
            n_trees,
            n_candidates,
            repeats=options.repeats,
        )


def trivial(options):
    title = "DummyClassifier, 2,000 folds"
    compare(title, TRIVIAL, ["ours", "theirs"], repeats=options.repeats)


def skip(options):
    with tempfile.TemporaryDirectory() as directory:
        run(SKIP, "ours", options.folds, directory=directory)
        results = [
            run(SKIP, "ours", options.folds, directory=directory)
            for _ in range(options.repeats)
        ]
        size = Path(directory, "bench.sqlite").stat().st_size
    assert all(result["resumed"] == options.folds for result in results)
    seconds = [result["seconds"] for result in results]
    rate = options.folds / statistics.median(seconds)
    memory = statistics.median(result["bytes"] for result in results) / options.folds
    print(f"\n{options.folds:,} finished folds")
    print(f"  resumed in {show(seconds)}: {rate:,.0f} folds a second")
    print(f"  memory grew by {memory:,.0f} bytes a fold")
    print(f"  the checkpoint takes {size / options.folds:,.0f} bytes a fold")


def quickstart(options):
    compare(
        "the quickstart's search, 27 folds",
        QUICKSTART,
        ["ours", "theirs1", "theirs", "fresh"],
        repeats=options.repeats,
    )


def memory(options):
    print("\nan X of 1 GB, 16 folds, two workers: peak beyond X itself")
    for arm in ("ours", "theirs"):
        peaks = []
        for _ in range(options.repeats):
            watch = MemoryWatch()
            run(MEMORY, arm, watch=watch)
            peaks.append(watch.peak() / 1e9)
        print(f"  {arm:8} {show(peaks, 'GB')}", flush=True)


PARTS = {
    "real": real,
    "trivial": trivial,
    "skip": skip,
    "quickstart": quickstart,
    "memory": memory,
}


def main():
    parser = argparse.ArgumentParser(
        description=textwrap.dedent(__doc__),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folds", type=int, default=100_000)
    options = parser.parse_args()
    names = ("resumable-search", "scikit-learn", "joblib", "numpy", "tensorflow-cpu")
    versions = []
    for name in names:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    print(f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 1e9:.0f} GB")
    print(f"{platform.platform()}, Python {platform.python_version()}")
    print(", ".join(versions))
    print(f"{time.strftime('%Y-%m-%d')}, repeats: {options.repeats}", flush=True)
    for name in options.only:
        PARTS[name](options)


if __name__ == "__main__":
    main()
