"""What it costs a worker to check that it runs what its parent has keyed.

    python benchmarks/worker_check.py [--runs N]

Each run is two fresh processes: one notes what a worker is to find, as `fit` does, the
other checks it, as a new worker does before its first fold. The processor time of the
second is printed: median, least and most. "normalised anew" is the same without the
normal forms of the code that the parent sends along.
"""

import argparse
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# A transformer with five methods that uses a function and a value of its module.
MODULE = """
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

POWER = 2


def raised(X, power):
    rows = []
    for row in X:
        if power > 1:
            rows.append([value**power for value in row])
        else:
            rows.append(list(row))
    return np.array(rows)


class Scaler(TransformerMixin, BaseEstimator):
    def __init__(self, power=2, with_mean=True):
        self.power = power
        self.with_mean = with_mean

    def fit(self, X, y=None):
        X = np.asarray(X)
        self.mean_ = X.mean(axis=0) if self.with_mean else np.zeros(X.shape[1])
        self.scale_ = X.std(axis=0)
        self.scale_[self.scale_ == 0] = 1.0
        return self

    def transform(self, X):
        try:
            scaled = (np.asarray(X) - self.mean_) / self.scale_
        except ValueError as error:
            raise ValueError(f"expected {len(self.mean_)} columns") from error
        return raised(scaled, self.power) * POWER

    def inverse_transform(self, X):
        return np.asarray(X) ** (1 / self.power) * self.scale_ + self.mean_

    def get_feature_names_out(self, names=None):
        return np.array([f"scaled{i}" for i in range(len(self.mean_))])
"""


def note(file: str, *, with_own_code: bool) -> None:
    """Write what a worker is to find."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    from resumable_search._engine.shipping import Workspace
    from resumable_search._engine.verification import expect

    model = LogisticRegression()
    if with_own_code:
        import scaling

        model = make_pipeline(scaling.Scaler(), model)
    workspace = Workspace()
    Path(file).write_bytes(pickle.dumps(expect((model,), (), workspace)))
    subprocess.run([sys.executable, __file__, "--check", file], check=True)


def check(file: str) -> None:
    """Print what the check takes in a process that has run nothing."""
    import sklearn.linear_model
    import sklearn.pipeline  # noqa: F401

    from resumable_search._engine.verification import ImportedFiles, Verification

    data = Path(file).read_bytes()
    variants = {"": pickle.loads(data)}
    variants["normalised anew"] = variants[""]._replace(codes={})
    expected = variants[os.environ.get("VARIANT", "")]
    verification = Verification(ImportedFiles(), is_new=True)
    if any(module == "scaling" for module, _name in expected.trace.parts):
        import scaling  # noqa: F401  # the fold would import it anyway
    begin = time.process_time()
    verification.add(expected)
    print(1000 * (time.process_time() - begin))


def measure(directory: str, own: str, variant: str) -> float:
    """Return the milliseconds of one check."""
    result = subprocess.run(
        [sys.executable, __file__, "--note", str(Path(directory, "expected")), own],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": directory, "VARIANT": variant},
    )
    return float(result.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--runs", type=int, default=5, help="pairs of processes of each"
    )
    parser.add_argument("--note", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--check", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.note:
        note(arguments.note[0], with_own_code=bool(arguments.note[1]))
        return
    if arguments.check:
        check(arguments.check)
        return
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores")
    arms = {
        "no code of the user's": ("", ""),
        "a transformer with five methods": ("own", ""),
        "the same, normalised anew": ("own", "normalised anew"),
    }
    times: dict[str, list[float]] = {name: [] for name in arms}
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "scaling.py").write_text(MODULE)
        for _ in range(arguments.runs):
            for name, (own, variant) in arms.items():
                times[name].append(measure(directory, own, variant))
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:32} {median:5.1f} ms  ({min(values):.1f} to {max(values):.1f})")


if __name__ == "__main__":
    main()
