"""Keys of functions that JAX, numba, PyTorch and TensorFlow have compiled."""

import json
import os

import pytest

from resumable_search import FingerprintError
from resumable_search._keys.fingerprint import fingerprint
from tests.helpers import interpreters

JAX = """
import functools, jax, jax.numpy as jnp
jitted = jax.jit(lambda x: x * FACTOR)
def power(x, n=2):
    return x ** n * FACTOR
static = jax.jit(power, static_argnames="n")
keys["jit"], keys["static"] = fingerprint(jitted), fingerprint(static)
keys["not static"] = fingerprint(jax.jit(power))
jitted(1.0), static(1.0, 3)
assert fingerprint(jitted) == keys["jit"]
assert fingerprint(static) == keys["static"]
for function in (jnp.exp, jnp.mean, jax.nn.relu, jax.nn.softmax, jax.nn.gelu):
    library[function.__name__] = fingerprint(function)
assert fingerprint(jnp.ones(2)) != fingerprint(jnp.zeros(2))
assert fingerprint(jax.random.key(1)) != fingerprint(jax.random.key(2))
"""
NUMBA = """
import numba
@numba.njit
def jitted(x):
    return x * FACTOR
@numba.njit(fastmath=True)
def fast(x):
    return x * FACTOR
@numba.vectorize
def vectorized(x):
    return x * FACTOR
keys["jit"], keys["fast"] = fingerprint(jitted), fingerprint(fast)
keys["vectorized"] = fingerprint(vectorized)
jitted(1.0), fast(1), vectorized(1.0)
assert fingerprint(jitted) == keys["jit"]
assert fingerprint(fast) == keys["fast"]
assert fingerprint(vectorized) == keys["vectorized"]
"""


def _run(name, script, folder, factor, seed):
    """Return the keys that a process computes, the user's and the library's."""
    path = folder / f"{name}{factor}.py"
    path.write_text(
        f"import json\nFACTOR = {factor}\nkeys, library = {{}}, {{}}\n"
        "from resumable_search._keys.fingerprint import fingerprint\n"
        f"{script}\nprint(json.dumps([keys, library]))\n"
    )
    done = interpreters.run([path], env={**os.environ, "PYTHONHASHSEED": seed})
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("name", "script"), [("jax", JAX), ("numba", NUMBA)])
def test_a_compiled_function_counts_as_what_it_was_made_from(name, script, tmp_path):
    """Its key is the same in each process and after a call, and changes with it."""
    pytest.importorskip(name)
    keys, library = _run(name, script, tmp_path, 2, "1")
    assert _run(name, script, tmp_path, 2, "2") == [keys, library]
    others, same = _run(name, script, tmp_path, 3, "1")
    assert same == library
    assert len({*keys.values(), *others.values()}) == 2 * len(keys)
    assert len(set(library.values())) == len(library)


# PyTorch warns that TorchScript goes.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_with_the_way_out():
    """What PyTorch has compiled from source does not tell what it computes."""
    torch = pytest.importorskip("torch")
    traced = torch.jit.trace(torch.abs, torch.ones(1))
    with pytest.raises(FingerprintError, match="use the Python function"):
        fingerprint(traced)
