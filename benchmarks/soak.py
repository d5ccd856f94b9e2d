"""A search of 100,000 short folds while a worker is killed every few seconds.

It has to finish with the right results, with memory and file descriptors that do not
grow with the number of folds or of killed workers.

    python benchmarks/soak.py

Prints the machine, the versions and the figures.
"""

import argparse
import os
import platform
import random
import signal
import tempfile
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import psutil
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin

from resumable_search import ResumableGridSearchCV

N_SPLITS = 5


class Short(ClassifierMixin, BaseEstimator):
    """Its score is its parameter, so every score can be checked."""

    def __init__(self, value=0):
        self.value = value

    def fit(self, X, y):  # noqa: ARG002 - the interface
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X))

    def score(self, X, y=None):  # noqa: ARG002
        return self.value * 0.5


class Watcher(threading.Thread):
    """Kills a worker now and then, and looks at this process."""

    def __init__(self, pause):
        super().__init__(daemon=True)
        self.pause = pause
        self.n_killed = 0
        self.samples = []
        self.is_over = threading.Event()

    def run(self):
        generator = random.Random(0)
        process = psutil.Process()
        while not self.is_over.wait(generator.uniform(0.5, 1.5) * self.pause):
            workers = [
                child
                for child in process.children()
                if "resumable_search._engine.worker" in " ".join(child.cmdline())
            ]
            if workers:
                # The oldest: workers that never come to begin would end the search.
                oldest = min(workers, key=psutil.Process.create_time)
                os.kill(oldest.pid, signal.SIGKILL)
                self.n_killed += 1
            self.samples.append(
                (process.memory_info().rss / 1e6, process.num_fds(), len(workers))
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folds", type=int, default=100_000)
    parser.add_argument("--pause", type=float, default=3.0, help="seconds")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    n_candidates = arguments.folds // N_SPLITS
    X, y = np.zeros((20, 2)), np.array([0, 1] * 10)
    with tempfile.TemporaryDirectory() as folder:
        search = ResumableGridSearchCV(
            Short(),
            {"value": list(range(n_candidates))},
            cv=N_SPLITS,
            n_jobs=arguments.workers,
            refit=False,
            max_retries=20,  # a fold may be hit more than once
            checkpoint=Path(folder) / "soak.sqlite",
        )
        watcher = Watcher(arguments.pause)
        watcher.start()
        started = time.perf_counter()
        search.fit(X, y)
        seconds = time.perf_counter() - started
        watcher.is_over.set()
        watcher.join()
        expected = np.arange(n_candidates) * 0.5
        results = search.cv_results_
        assert (results["mean_test_score"] == expected).all()
        assert (results["std_test_score"] == 0).all()
        assert search.resumption.n_failed == 0
        assert search.resumption.n_run == n_candidates * N_SPLITS
        size = search.resumption.checkpoint.stat().st_size
    print(
        f"{platform.platform()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, scikit-learn {sklearn.__version__}, joblib "
        f"{joblib.__version__}, numpy {np.__version__}"
    )
    print(
        f"{search.resumption.n_run:,} folds in {seconds:.0f} s, all scores right, "
        f"{watcher.n_killed} workers killed; checkpoint of {size / 1e6:.1f} MB"
    )
    samples = watcher.samples
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        memory, n_fds, _ = samples[min(int(share * len(samples)), len(samples) - 1)]
        print(f"after {share:4.0%}: {memory:7.1f} MB, {n_fds} file descriptors")
    print(f"most file descriptors: {max(n_fds for _, n_fds, _ in samples)}")


if __name__ == "__main__":
    main()
