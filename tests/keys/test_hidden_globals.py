"""What libraries hold under a name: hidden generators, the environment, streams."""

import os
import random
import sys
import threading

import numpy as np
import pytest
import scipy.stats
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import RandomizedSearchCV

from resumable_search._engine.shipping import dump, load
from resumable_search._exceptions import FingerprintError
from resumable_search._keys.fingerprint import fingerprint

from .processes import keys_in_new_process

CODE = """
import os, random, sys
import numpy as np, scipy.stats
from os import environ
from random import choice
from sys import stderr
from numpy.random import normal
from scipy.stats import multivariate_normal, norm

def draw(X):
    return X * choice([1.0, 1.0]) + normal(0, 0, X.shape)

def density(X):
    return multivariate_normal.pdf(X, [0, 0]) * norm.pdf(X)

def scale(X):
    print(X, file=stderr)
    return X * float(environ.get("SCALE", "1"))

twice = np.vectorize(lambda x: 2 * x)
values = dict(
    draw=draw, density=density, scale=scale, masked=np.ma.masked, write=stderr.write,
    system=random.SystemRandom().choice, state=np.random.mtrand._rand,
    bits=np.random.mtrand._rand._bit_generator, vectorized=twice,
    function=lambda X: twice(X),
)
for name in dir(scipy.stats):
    if hasattr(getattr(scipy.stats, name), "rvs"):
        values[name] = getattr(scipy.stats, name)
if os.environ["PYTHONHASHSEED"] == "1":
    environ["SCRATCH"] = str(os.getpid())
    random.seed(1); choice([1, 2]); np.random.seed(1); normal()
    multivariate_normal.rvs(); norm.rvs()
    twice([1, 2])
"""


def test_what_changes_by_itself_counts_by_name(tmp_path):
    """Draws before the fit, another environment or stream do not change a key."""
    keys = [keys_in_new_process(tmp_path, CODE, seed) for seed in (0, 1)]
    assert keys[0] == keys[1]
    assert len(set(keys[0].values())) > 100


def test_generators_of_the_users_count_by_their_state():
    """Only the generators behind a library's functions count by name."""
    makers = [random.Random, np.random.RandomState, np.random.default_rng]
    for make in makers:
        one, other = make(0), make(1)
        assert fingerprint(one) == fingerprint(make(0)) != fingerprint(other)
        assert fingerprint(one.random) != fingerprint(other.random)
    assert fingerprint(random.Random(0).choice) != fingerprint(random.choice)
    assert fingerprint(np.random.RandomState(0).rand) != fingerprint(np.random.rand)


def test_seed_of_a_distribution_counts():
    """A distribution that draws from a generator of its own counts with it."""
    made = [scipy.stats.multivariate_normal([0, 0], seed=seed) for seed in (1, 1, 2)]
    keys = list(map(fingerprint, made))
    assert keys[0] == keys[1] != keys[2]
    norms = [scipy.stats.norm(0, 1) for _ in range(2)]
    norms[0].random_state = 3
    assert fingerprint(norms[0]) != fingerprint(norms[1])


def test_streams_count_by_name(capsys):
    """Standard output is the same, whatever captures it."""
    key = fingerprint(sys.stdout)
    with capsys.disabled():
        assert fingerprint(sys.stdout) == key != fingerprint(sys.stderr)


def test_other_environments_count_by_content():
    """A copy of the environment is data."""
    one, other = dict(os.environ, A="1"), dict(os.environ, A="2")
    assert fingerprint(one) != fingerprint(other)


def test_what_no_library_holds_still_needs_a_key():
    """A lock or a stream of the user's has no name to count by."""
    with pytest.raises(FingerprintError, match="cannot pickle"):
        fingerprint([1, threading.Lock()])


def test_workers_use_the_hidden_generators_of_their_own(tmp_path):
    """What goes to a worker has its name there, and so the same key."""
    values = [
        random.choice,
        np.random.normal,
        np.random.mtrand._rand._bit_generator,
        os.environ,
        sys.stderr,
        scipy.stats.norm,
        scipy.stats.norm(0, 1),
        random.Random(3),
    ]
    dump(values, tmp_path / "values")
    loaded = load(str(tmp_path / "values"))
    assert loaded[0].__self__ is random._inst
    assert loaded[1].__self__ is np.random.mtrand._rand
    assert loaded[2:5] == values[2:5]
    assert list(map(fingerprint, loaded)) == list(map(fingerprint, values))


def test_distributions_of_a_grid_count_without_a_generator():
    """A search draws with a generator of its own, whatever the distribution has."""
    grid = {"alpha": scipy.stats.loguniform(1, 2)}
    search = RandomizedSearchCV(Ridge(), grid)
    for cloned in (False, True):
        key = fingerprint(search, cloned=cloned)
        assert fingerprint(clone(search), cloned=cloned) == key
        grid["alpha"] = scipy.stats.loguniform(1, 3)
        other = fingerprint(RandomizedSearchCV(Ridge(), dict(grid)), cloned=cloned)
        grid["alpha"] = scipy.stats.loguniform(1, 2)
        assert other != key
