"""A skorch net that is killed inside a fold goes on from its last saved epoch."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

if importlib.util.find_spec("skorch") is None:
    pytest.skip("skorch is not installed", allow_module_level=True)

SCRIPT = """
    import json, os, signal, sys
    from pathlib import Path

    import numpy as np
    import skorch
    import torch
    from skorch.callbacks import Callback, EarlyStopping, LRScheduler
    from torch import nn

    from resumable_search import _folds
    from resumable_search._frameworks import hooks

    folder, kill, every = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    hooks.save_epochs()
    torch.manual_seed(0)
    np.random.seed(0)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(
                nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3),
                nn.Linear(16, 2),
            )

        def forward(self, X):
            return self.layers(X)

    class Kill(Callback):
        def on_epoch_end(self, net, **kwargs):
            with (folder / "epochs").open("a") as file:
                file.write(f"{len(net.history)} ")
            if len(net.history) == kill:
                os.kill(os.getpid(), signal.SIGKILL)

    X = np.random.normal(size=(120, 8)).astype("float32")
    y = (X[:, 0] + X[:, 1] > 0).astype("int64")
    net = skorch.NeuralNetClassifier(
        Net,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.05,
        max_epochs=12,
        iterator_train__shuffle=True,
        verbose=0,
        callbacks=[
            ("step", LRScheduler(torch.optim.lr_scheduler.StepLR, step_size=3)),
            ("plateau", LRScheduler(
                torch.optim.lr_scheduler.ReduceLROnPlateau,
                monitor="valid_loss", patience=1,
            )),
            ("stop", EarlyStopping(patience=4, load_best=True, sink=lambda *_: None)),
            ("kill", Kill()),
        ],
    )
    def watch(event):
        with (folder / "told").open("a") as file:
            file.write(json.dumps([event.epoch, event.n_epochs, event.logs]) + "\\n")

    with _folds.run(_folds.RunningFold(lambda: folder, every, [watch])):
        net.fit(X, y)
    print(json.dumps({
        "history": [[float(r["train_loss"]), float(r["valid_loss"])]
                    for r in net.history],
        "probabilities": net.predict_proba(X).tolist(),
        "draws": torch.rand(3).tolist() + np.random.rand(3).tolist(),
    }))
"""


def run(folder, kill=0, every=1):
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT), folder, str(kill), str(every)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONWARNINGS": "default::UserWarning"},
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Give what an undisturbed fit prints."""
    done = run(tmp_path_factory.mktemp("undisturbed"))
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("kill", "every"), [(1, 1), (4, 1), (7, 1), (5, 3)])
def test_a_killed_fit_ends_as_if_undisturbed(kill, every, undisturbed, tmp_path):
    """The same history, predictions and random states, to the bit."""
    assert run(tmp_path / "fold", kill, every).returncode == -signal.SIGKILL
    done = run(tmp_path / "fold", 0, every)
    assert json.loads(done.stdout) == undisturbed
    epochs = (tmp_path / "fold" / "epochs").read_text().split()
    n_again = (kill - 1) % every + 1
    assert len(epochs) == len(undisturbed["history"]) + n_again


def test_each_epoch_is_told_under_keras_names(undisturbed, tmp_path):
    """A fit that goes on goes on counting; each epoch has the measures of skorch."""
    run(tmp_path / "fold", 4, 2)
    run(tmp_path / "fold", 0, 2)
    told = [
        json.loads(line) for line in (tmp_path / "fold/told").read_text().splitlines()
    ]
    n_epochs = len(undisturbed["history"])
    assert [epoch for epoch, _, _ in told] == [1, 2, 3, *range(3, n_epochs + 1)]
    assert {n for _, n, _ in told} == {12}
    logs = told[-1][2]
    assert [logs["loss"], logs["val_loss"]] == undisturbed["history"][-1]
    assert set(logs) == {"loss", "val_loss", "val_acc"}


def test_a_damaged_state_means_the_fit_starts_again(undisturbed, tmp_path):
    """With a warning, and the result of an undisturbed fit."""
    run(tmp_path / "fold", 4)
    (state,) = (tmp_path / "fold").glob("*.skorch")
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(content)
    done = run(tmp_path / "fold")
    assert "EpochStateWarning" in done.stderr
    assert "checksum does not match" in done.stderr
    assert json.loads(done.stdout) == undisturbed


def test_without_a_fold_nothing_is_saved(tmp_path):
    """Outside of a fold, or without save_epochs, skorch is as it was."""
    script = textwrap.dedent(SCRIPT).replace(
        "_folds.RunningFold(lambda: folder, every, [watch])",
        "_folds.RunningFold(lambda: folder, None)",
    )
    folder = tmp_path / "fold"
    folder.mkdir()
    subprocess.run([sys.executable, "-c", script, folder, "0", "1"], check=True)
    assert [path.name for path in Path(folder).iterdir()] == ["epochs"]
