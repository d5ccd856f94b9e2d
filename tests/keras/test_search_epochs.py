"""Searches over Keras models: killed in the middle of a fit, and with many workers."""

import collections
import itertools
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris

from resumable_search import ResumableGridSearchCV
from resumable_search._engine import resting, slots
from resumable_search.keras import KerasClassifier

keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.keras,
    # Keras on PyTorch, with NumPy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

SCRIPT = """
    import json, os, signal, sys
    from pathlib import Path

    import numpy as np
    from sklearn.datasets import load_iris
    from resumable_search import ResumableGridSearchCV
    from resumable_search.keras import KerasClassifier

    log, mark = Path(sys.argv[1]), Path(sys.argv[2])

    def build(meta, units):
        import keras

        model = keras.Sequential([
            keras.layers.Input(meta["X_shape_"][1:]),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ])
        model.compile(
            keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy"
        )
        return model

    def callbacks():
        import keras

        class Watch(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                n_samples = self.params["steps"]
                with log.open("a") as file:
                    file.write(f"{n_samples} {epoch}\\n")
                # Once in a fold, and once in the refit, which has more steps.
                once = Path(f"{mark}-{n_samples}")
                if epoch == 3 and not once.exists():
                    once.touch()
                    os.kill(os.getpid(), signal.SIGKILL)

        return [
            keras.callbacks.ReduceLROnPlateau("loss", patience=1),
            keras.callbacks.EarlyStopping("loss", patience=4),
            Watch(),
        ]

    X, y = load_iris(return_X_y=True)
    estimator = KerasClassifier(
        build, epochs=6, batch_size=16, callbacks=callbacks, random_state=0
    )
    search = ResumableGridSearchCV(
        estimator, {"model__units": [4]}, cv=2, save_epochs=1, max_retries=1
    )
    search.fit(X, y)
    print(json.dumps({
        "scores": [search.cv_results_[f"split{i}_test_score"][0] for i in (0, 1)],
        "probabilities": search.predict_proba(X).tolist(),
        "history": search.best_estimator_.history_["loss"],
    }))
"""


def run(process):
    out, err = process.communicate(timeout=200)
    return process.returncode, out, err


@pytest.mark.slow
def test_folds_and_the_refit_go_on_from_their_epochs(script, tmp_path):
    """Killed in a fold and in the refit, the end is that of an undisturbed search."""
    log, mark = tmp_path / "epochs", tmp_path / "mark"
    code, _, _ = run(script(SCRIPT, log, mark))
    assert code == -signal.SIGKILL  # in the refit; a fold's worker died before that
    code, out, err = run(script(SCRIPT, log, mark))
    assert code == 0, err
    killed = json.loads(out.splitlines()[-1])
    assert not list(tmp_path.glob(".resumable_search/*-folds"))

    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    for n_steps in (5, 10):
        Path(f"{mark}-{n_steps}").touch()
    code, out, err = run(script(SCRIPT, tmp_path / "log", mark, cwd=undisturbed))
    assert code == 0, err
    assert json.loads(out.splitlines()[-1]) == killed
    # The epoch that was killed before it was saved was run again, and no other.
    again = collections.Counter(log.read_text().splitlines())
    again.subtract((tmp_path / "log").read_text().splitlines())
    assert {epoch: n for epoch, n in again.items() if n} == {"5 3": 1, "10 3": 1}


def build(meta, units):
    model = keras.Sequential(
        [
            keras.layers.Input(meta["X_shape_"][1:]),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


@pytest.mark.slow
def test_scores_do_not_depend_on_the_workers(tmp_path):
    """Equal seeds give equal scores to the bit, whatever the number and the order."""
    X, y = load_iris(return_X_y=True)
    scores = []
    for n_jobs, units in [(1, [4, 5]), (2, [5, 4])]:
        search = ResumableGridSearchCV(
            KerasClassifier(build, epochs=2, random_state=0),
            {"model__units": units},
            scoring="neg_log_loss",
            cv=2,
            n_jobs=n_jobs,
            refit=False,
            checkpoint=tmp_path / f"{n_jobs}.sqlite",
            error_score="raise",
        )
        search.fit(X, y)
        order = np.argsort(units)
        scores.append(search.cv_results_["split1_test_score"][order].tolist())
    assert scores[0] == scores[1]
    assert len(set(scores[0])) == 2


@pytest.mark.slow
def test_a_worn_worker_is_replaced_by_a_warm_one(monkeypatch, tmp_path):
    """With TensorFlow, after a number of folds; the scores are the same."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow keeps what models leave behind")
    monkeypatch.setattr(slots, "FOLDS_PER_WORKER", 2)
    log = tmp_path / "workers"

    class Noting(KerasClassifier):
        def fit(self, X, y):
            with log.open("a") as file:
                file.write(f"{os.getpid()}\n")
            return super().fit(X, y)

    X, y = load_iris(return_X_y=True)
    search = ResumableGridSearchCV(
        Noting(build, random_state=0),
        {"model__units": list(range(2, 14))},
        cv=2,
        refit=False,
        error_score="raise",
    )
    search.fit(X, y)
    pids = log.read_text().split()
    assert len(pids) == 24
    assert len(set(pids)) > 1
    # One after the other, each worker's folds in one piece.
    n_changes = sum(a != b for a, b in itertools.pairwise(pids))
    assert n_changes + 1 == len(set(pids))


def test_workers_share_what_jax_compiled(monkeypatch, tmp_path):
    """A second worker compiles nothing that the first one has."""
    if keras.backend.backend() != "jax":
        pytest.skip("only JAX compiles for a persistent cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    X, y = load_iris(return_X_y=True)
    compiled = []
    for turn in range(2):
        resting.end_all()
        ResumableGridSearchCV(
            KerasClassifier(build, epochs=2, random_state=0),
            {"model__units": [8]},
            cv=2,
            refit=False,
            checkpoint=tmp_path / f"{turn}.sqlite",
            error_score="raise",
        ).fit(X, y)
        files = (tmp_path / "cache" / "resumable_search" / "jax").glob("*-cache")
        compiled.append({file.name for file in files})
    assert compiled[0]
    assert compiled[0] == compiled[1]
