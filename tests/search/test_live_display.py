"""Searches that somebody watches: in a terminal, in a notebook, from elsewhere."""

import re
import signal
import sys
import time
from pathlib import Path

import pytest
from sklearn.model_selection import GridSearchCV

from resumable_search._checkpoint.status_files import read_status
from tests import fakes
from tests.terminals import Terminal

SCRIPT = """
import sys
import numpy as np
from resumable_search import ResumableGridSearchCV
from tests.fakes import Logged

X, y = np.arange(24.0).reshape(12, 2), np.array([0, 1] * 6)
search = ResumableGridSearchCV(
    Logged({log!r}, seconds={seconds}), {{"value": [1.0, 2.0, 3.0, 4.0]}},
    cv=2, n_jobs=2, verbose={verbose}, refit=False,
)
search.fit(X, y)
print("best", search.cv_results_["mean_test_score"].max())
"""

ROOT = str(Path(__file__).parent.parent.parent)


@pytest.fixture
def terminal():
    """Give a terminal that is wide enough for all lines."""
    terminal = Terminal(columns=160, lines=30)
    yield terminal
    terminal.close()


@pytest.fixture
def start(terminal, log, tmp_path, monkeypatch):
    """Give a function that starts a search in the terminal."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("PYTHONPATH", ROOT)
    started = []

    def start(seconds=0.2, verbose=1):
        script = tmp_path / "script.py"
        script.write_text(SCRIPT.format(log=log, seconds=seconds, verbose=verbose))
        started.append(terminal.start([sys.executable, str(script)]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def without_times(lines):
    return sorted(re.sub(r" [\d.]+s$", "", line) for line in lines if "[CV" in line)


def test_a_search_in_a_terminal_shows_what_runs_and_leaves_a_line(terminal, start):
    """The cursor can always be seen."""
    process = start(seconds=0.4)
    terminal.wait_for("split0")
    assert any("━" in line or "─" in line for line in terminal.lines())
    assert process.wait(60) == 0
    text = "\n".join(terminal.all_lines())
    assert "8/8 folds done | best 15.5 with value=4 | " in text
    assert text.endswith("best 15.5")
    assert text.count("folds done") == 1
    assert "─" not in text
    assert b"\x1b[?25l" not in terminal.received


@pytest.mark.slow
def test_scikit_learns_own_lines_are_the_same_in_a_terminal(
    terminal, start, log, data, capsys
):
    """Each is whole and stands there once."""
    assert start(verbose=3).wait(60) == 0
    estimator = fakes.Logged(log)
    grid = {"value": [1.0, 2.0, 3.0, 4.0]}
    GridSearchCV(estimator, grid, cv=2, refit=False, verbose=3).fit(*data)
    expected = without_times(capsys.readouterr().out.splitlines())
    assert len(expected) == 8
    assert without_times(terminal.all_lines()) == expected


def test_an_interrupted_search_gives_the_terminal_back(terminal, start):
    """The picture is gone, and the error stands in its place."""
    process = start(seconds=30)
    terminal.wait_for("split1")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) != 0
    text = "\n".join(terminal.all_lines())
    assert "SearchInterrupted" in text
    assert "split0" not in text
    assert "─" not in text
    assert terminal.cursor[0] == 0
    assert terminal.cursor[2]
    assert b"\x1b[?25l" not in terminal.received


def test_others_can_look_on_while_a_search_runs(start, terminal, log, tmp_path):
    """The status is there while folds run, and gone after any end."""
    process = start(seconds=30, verbose=0)
    checkpoint = tmp_path / ".resumable_search" / "checkpoint.sqlite"
    locks = checkpoint.with_name(".checkpoint.sqlite.locks")
    deadline = time.monotonic() + 60
    while not list(locks.glob("*.status")) and time.monotonic() < deadline:
        time.sleep(0.05)
    (file,) = locks.glob("*.status")
    status = read_status(checkpoint, file.stem)
    assert (status.pid, status.n_total, status.n_done) == (process.pid, 8, 0)
    assert [w.parameters for w in status.workers] == [{"value": "1"}] * 2
    assert [w.split for w in status.workers] == [0, 1]
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.wait(60)
    assert list(locks.iterdir()) == []


@pytest.mark.slow
def test_a_search_in_a_notebook_has_one_output(log, monkeypatch):
    """It is replaced in its place, not written again and again."""
    monkeypatch.setenv("PYTHONPATH", ROOT)
    source = SCRIPT.format(log=log, seconds=0.5, verbose=1)
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    updates = []
    client = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3")
    process = client.process_message

    def note(message, *arguments, **options):
        if message["msg_type"] == "update_display_data":
            updates.append(message["content"]["data"]["text/html"])
        return process(message, *arguments, **options)

    monkeypatch.setattr(client, "process_message", note)
    client.execute()
    outputs = notebook.cells[0].outputs
    shown = [o for o in outputs if o.output_type == "display_data"]
    assert len(shown) == 1
    assert "8/8 folds done | best 15.5 with value=4" in shown[0].data["text/plain"]
    assert "8/8 folds done" in shown[0].data["text/html"]
    assert any("split0" in update for update in updates)
