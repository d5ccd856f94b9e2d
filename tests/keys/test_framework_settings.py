"""The settings of frameworks that a key holds, read without importing any."""

import json
import os
import sys

import pytest
from sklearn.linear_model import Ridge

from resumable_search import ResumableGridSearchCV
from resumable_search._fit.keys import SearchKeys
from resumable_search._frameworks.settings import framework_settings
from resumable_search.keras import KerasClassifier
from tests.helpers import interpreters

SCRIPT = """
import json, sys
from sklearn.linear_model import Ridge

from resumable_search import ResumableGridSearchCV
from resumable_search._frameworks.settings import framework_settings
from resumable_search._fit.keys import SearchKeys
from resumable_search.keras import KerasClassifier
packages = frozenset([sys.argv[1]])
before = framework_settings(packages)
assert not {"keras", "torch", "jax", "tensorflow"} & set(sys.modules)
library = __import__(sys.argv[1])
imported = framework_settings(packages)
exec(sys.argv[2])
print(json.dumps([before, imported, framework_settings(packages)]))
"""


def _settings(name, change, home, **variables):
    """Return them before the import, after it, and after a change."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    done = interpreters.run(
        ["-c", SCRIPT, name, change],
        env={**os.environ, **quiet, "KERAS_HOME": str(home), **variables},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


CHANGES = {
    "floatx": "library.config.set_floatx('float64')",
    "epsilon": "library.config.set_epsilon(1e-3)",
    "image_data_format": "library.config.set_image_data_format('channels_first')",
    "dtype_policy": "library.config.set_dtype_policy('mixed_float16')",
}


@pytest.mark.keras
@pytest.mark.timeout(900)
def test_settings_of_keras_are_the_same_before_and_after_its_import(tmp_path):
    """They come from the variables and the file, and a change of one is seen."""
    pytest.importorskip("keras")
    content = {"floatx": "float16", "epsilon": 1e-5, "backend": "tensorflow"}
    (tmp_path / "keras.json").write_text(json.dumps(content))
    before, imported, changed = _settings(
        "keras", "; ".join(CHANGES.values()), tmp_path
    )
    assert before == imported
    assert before["keras"]["epsilon"] == 1e-5
    different = {
        name
        for name, value in changed["keras"].items()
        if value != imported["keras"][name]
    }
    assert different == CHANGES.keys()


@pytest.mark.parametrize(
    ("name", "change", "variables"),
    [
        ("torch", "library.set_default_dtype(library.float64)", {}),
        ("torch", "library.use_deterministic_algorithms(True)", {}),
        ("jax", "library.config.update('jax_enable_x64', True)", {}),
        (
            "jax",
            "library.config.update('jax_enable_x64', False)",
            {"JAX_ENABLE_X64": "1"},
        ),
    ],
)
def test_settings_are_the_same_before_and_after_the_import(
    name, change, variables, tmp_path
):
    """Having imported the framework changes none of its settings."""
    pytest.importorskip(name)
    before, imported, changed = _settings(name, change, tmp_path, **variables)
    assert before == imported
    assert changed != imported


def test_what_reaches_no_framework_has_no_settings():
    """A search of scikit-learn's estimators depends on no framework."""
    assert framework_settings(frozenset({"sklearn", "numpy"})) == {}


def test_the_backend_of_keras_brings_its_own_settings(monkeypatch):
    """What runs on Keras over PyTorch depends on PyTorch's settings too."""
    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    found = framework_settings(frozenset({"keras"}))
    assert found.keys() == {"keras", "torch"}
    assert found["keras"]["backend"] == "torch"


@pytest.mark.parametrize("variables", [("tensorflow", "tensorflow"), ("jax", "torch")])
def test_settings_count_in_the_keys_of_what_reaches_a_framework(monkeypatch, variables):
    """Another backend is another key for a Keras estimator, and not for another."""
    monkeypatch.setitem(sys.modules, "keras", None)
    keras_keys, other_keys = set(), set()
    for backend in variables:
        monkeypatch.setenv("KERAS_BACKEND", backend)
        search = ResumableGridSearchCV(KerasClassifier(None), {})
        keys = SearchKeys(search, None, None)
        keras_keys.add(keys.key_of(search.estimator, "estimator", cloned=True))
        other_keys.add(keys.key_of(Ridge(), "estimator", cloned=True))
    assert len(keras_keys) == len(set(variables))
    assert len(other_keys) == 1
