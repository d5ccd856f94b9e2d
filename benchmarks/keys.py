"""Measure how long keys of large data take, beside ``joblib.hash`` of the same data.

Run it from the root of the repository::

    python benchmarks/keys.py            # 1 GB of numbers, 5 million texts
    python benchmarks/keys.py --scale 10 # a tenth of it
"""

import argparse
import platform
import statistics
import time
import timeit
from collections.abc import Callable

import joblib
import numpy as np
import pandas as pd
import scipy.sparse

from resumable_search._keys.fingerprint import fingerprint


def data(scale: int) -> dict[str, Callable[[], object]]:
    """Return what is measured: name -> maker, as only one has room at a time."""
    random = np.random.default_rng(0)
    n_rows, n_texts = 1_250_000 // scale, 5_000_000 // scale

    def numbers() -> np.ndarray:
        return random.random((n_rows, 100))

    def texts(dtype: str) -> pd.DataFrame:
        words = np.array([f"word {i}" for i in range(50_000)], dtype=object)
        column = words[random.integers(0, len(words), n_texts)]
        return pd.DataFrame({"text": pd.Series(column, dtype=dtype)})

    def sparse() -> scipy.sparse.csr_matrix:
        # In each row, one of every hundred columns.
        columns = random.integers(0, 100, (n_rows, 20)) + np.arange(0, 2000, 100)
        ends = np.arange(0, columns.size + 1, 20)
        values = random.random(columns.size, np.float32)
        return scipy.sparse.csr_matrix((values, columns.ravel(), ends), (n_rows, 2000))

    return {
        "array of 1 GB": numbers,
        "the same in Fortran order": lambda: np.asfortranarray(numbers()),
        "frame of 1 GB": lambda: pd.DataFrame(numbers()),
        "5 million texts (object)": lambda: texts("object"),
        "5 million texts (string)": lambda: texts("string"),
        "sparse, 25 million values": sparse,
    }


def median(function: Callable[[], object], n_runs: int) -> float:
    """Return the median time of several runs, in seconds."""
    times = []
    for _ in range(n_runs):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, default=1, help="divide all sizes by it")
    parser.add_argument("--runs", type=int, default=3, help="runs of each")
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, NumPy {np.__version__}, "
        f"pandas {pd.__version__}, joblib {joblib.__version__}, "
        f"{platform.machine()}, {joblib.cpu_count()} CPUs"
    )
    print(f"{'data':28} {'key, s':>8} {'joblib.hash, s':>15} {'ratio':>6}")
    for name, make in data(options.scale).items():
        value = make()
        ours = median(lambda value=value: fingerprint(value), options.runs)
        theirs = median(lambda value=value: joblib.hash(value), options.runs)
        print(f"{name:28} {ours:8.2f} {theirs:15.2f} {ours / theirs:6.2f}")
    candidate = {"alpha": 0.1, "n": 5, "kernel": "rbf", "b": True, "x": None}
    times = timeit.repeat(lambda: fingerprint(candidate), number=1000, repeat=5)
    print(f"a candidate of five scalars: {min(times) * 1e3:.1f} µs")


if __name__ == "__main__":
    main()
