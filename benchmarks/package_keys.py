"""What the keys of large data and of large packages cost, beside joblib.hash.

    python benchmarks/package_keys.py [--only NAME ...] [--repeats N] [--small]

Each measurement runs in a fresh process, which takes turns with both ways and notes
the processor time of each; the medians and the spread (least and most) are printed,
with the ratio ours / joblib.hash.

NAME is one of

- ``array``: an X of 1 GB;
- ``strings``: a frame of 5 million strings;
- ``package``: an estimator of the user's that reaches a package of 50, 100 and 200
  modules by imports inside functions; ``joblib.hash`` gets the bytes of its files,
  which it reads no sense in: what counts is how the time grows.

``--small`` takes a hundredth of the data, and packages of 10 and 20 modules.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

PRELUDE = """
import json, sys, time
import joblib, numpy as np
from resumable_search._keys.fingerprint import fingerprint

size, repeats = map(int, sys.argv[1:])

def compare(ours, theirs):
    seconds = {"ours": [], "theirs": []}
    for _ in range(repeats):
        for name, act in (("ours", ours), ("theirs", theirs)):
            begin = time.process_time()
            act()
            seconds[name].append(time.process_time() - begin)
    print("RESULT " + json.dumps(seconds), flush=True)
"""

ARRAY = """
X = np.random.default_rng(0).normal(size=(size // 8 // 100, 100))
compare(lambda: fingerprint(X, "X"), lambda: joblib.hash(X))
"""

STRINGS = """
import pandas as pd
dice = np.random.default_rng(0).integers(0, 10**9, size)
X = pd.DataFrame({"text": [f"entry {number}" for number in dice]})
compare(lambda: fingerprint(X, "X"), lambda: joblib.hash(X))
"""

# One process for each key: a second one would find what the first has read.
PACKAGE = """
from pathlib import Path
import package.m0
from sklearn.base import BaseEstimator

class Uses(BaseEstimator):
    def fit(self, X, y=None):
        return self
    def score(self, X, y=None):
        return package.m0.f0(3)

assert repeats == 1
texts = [path.read_bytes() for path in sorted(Path("package").glob("*.py"))]
compare(lambda: fingerprint(Uses(), "estimator"), lambda: joblib.hash(texts))
"""

MODULE = """
import math

RATE = {number}


class Step:
    rate = RATE

    def apply(self, x):
        return math.sin(x) * self.rate

"""

FUNCTION = """
def f{k}(x):
    from package.m{a} import f0 as first, Step
    from package import m{b}
    import package.m{c}
    if x <= 0:
        return Step().apply(RATE)
    return first(x - 1) + m{b}.f1(x - 1) + package.m{c}.f2(x - 1)

"""


def write_package(directory, n_modules):
    """Write a package whose functions import each other's modules."""
    package = Path(directory, "package")
    package.mkdir()
    (package / "__init__.py").write_text("")
    for number in range(n_modules):
        text = MODULE.format(number=number)
        for k in range(5):
            a, b, c = ((number * 7 + k * m + m) % n_modules for m in (1, 3, 11))
            text += FUNCTION.format(k=k, a=a, b=b, c=c)
        (package / f"m{number}.py").write_text(text)


def measure(source, size, repeats, n_modules=None):
    """Run a measurement in a fresh process; give its seconds."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "measure.py").write_text(PRELUDE + source)
        if n_modules:
            write_package(directory, n_modules)
        done = subprocess.run(
            [sys.executable, "measure.py", str(size), str(repeats)],
            cwd=directory,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )
        lines = [
            line.removeprefix("RESULT ")
            for line in done.stdout.splitlines()
            if line.startswith("RESULT ")
        ]
        return json.loads(lines[-1])


def show(seconds):
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{middle:.3f} s ({low:.3f} to {high:.3f})"


def tell(title, seconds):
    pairs = zip(seconds["ours"], seconds["theirs"], strict=True)
    ratio = statistics.median(ours / theirs for ours, theirs in pairs)
    print(f"\n{title}")
    print(f"  ours         {show(seconds['ours'])}")
    print(f"  joblib.hash  {show(seconds['theirs'])}")
    print(f"  ratio        {ratio:.2f}", flush=True)


def packages(sizes, repeats):
    for n_modules in sizes:
        seconds = {"ours": [], "theirs": []}
        for _ in range(repeats):
            for name, values in measure(PACKAGE, 0, 1, n_modules).items():
                seconds[name] += values
        tell(f"a package of {n_modules} modules", seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", choices=["array", "strings", "package"])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    part = 100 if options.small else 1
    wanted = options.only or ["array", "strings", "package"]
    print(f"Python {platform.python_version()}", end="")
    for name in ("scikit-learn", "joblib", "numpy", "pandas"):
        print(f", {name} {version(name)}", end="")
    print()
    if "array" in wanted:
        size = 10**9 // part
        tell(f"an X of {size:,} bytes", measure(ARRAY, size, options.repeats))
    if "strings" in wanted:
        size = 5 * 10**6 // part
        tell(f"a frame of {size:,} strings", measure(STRINGS, size, options.repeats))
    if "package" in wanted:
        packages((10, 20) if options.small else (50, 100, 200), options.repeats)


if __name__ == "__main__":
    main()
