"""A checkpoint may come from anybody: what is in it comes out as text."""

import json
import sqlite3

import numpy as np
import pytest
from click.testing import CliRunner

from resumable_search import ResumableGridSearchCV
from resumable_search._texts import inert
from resumable_search.cli import main
from tests import fakes
from tests.cli.conftest import search

EVIL = "\x1b]0;title\x07\x1b[2J[red]x[/red][link=http://a]\x9b31m\u202e\u2028\r\x7f\n:smile:"
TOLD = inert(EVIL)


class WithNote(fakes.Logged):
    def __init__(self, log, value=0.0, seconds=0.0, note=""):
        super().__init__(log, value, seconds)
        self.note = note


@pytest.fixture
def hostile(tmp_path, log):
    """Give a file with evil text wherever it holds text."""
    path = tmp_path / "hostile.sqlite"
    X, y = np.zeros((8, 1)), np.array([0, 1] * 4)
    ResumableGridSearchCV(
        WithNote(log), {"note": [EVIL, f"{EVIL}2"]}, cv=2, refit=False, checkpoint=path
    ).fit(X, y)
    db = sqlite3.connect(path)
    with db:
        (parts,) = db.execute("SELECT parts FROM searches").fetchone()
        table = json.loads(parts)
        table["estimator"][""] = ["k", EVIL]
        db.execute("INSERT INTO errors VALUES (1, ?)", (f"Traceback\n{EVIL}",))
        db.execute("UPDATE searches SET kind = ?, parts = ?", (EVIL, json.dumps(table)))
        db.execute(
            "UPDATE folds SET state = 'failed', error = 1 WHERE key = "
            "(SELECT min(key) FROM folds)"
        )
    db.close()
    return path


def test_what_a_terminal_would_obey_is_spelled_out():
    """Control characters, changes of direction, other line ends; nothing else."""
    assert TOLD.startswith(r"\x1b]0;title\x07\x1b[2J[red]x[/red][link=http://a]\x9b31m")
    assert TOLD.endswith(r"\u202e\u2028\r\x7f\n:smile:")
    assert inert("\ud800 é 漢字 🎉") == "\\ud800 é 漢字 🎉"


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["watch"],
        ["results"],
        ["results", "--all-columns"],
        ["results", "--csv"],
        ["errors"],
        ["list"],
        ["prune", "--search", "1", "--yes"],
    ],
    ids=" ".join,
)
def test_nothing_in_a_checkpoint_reaches_the_terminal_as_a_command(
    cli, hostile, arguments
):
    """Escape sequences and markup are text on one line."""
    command, *options = arguments
    text = cli(command, hostile, *options, env={"COLUMNS": "1000"}).output
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "[red]x[/red]" in text


@pytest.mark.parametrize("command", ["status", "results", "errors", "list"])
def test_json_has_no_control_character(cli, hostile, command):
    """And gives back what there was."""
    text = cli(command, hostile, "--json").stdout
    assert all(c.isprintable() or c == "\n" for c in text)
    assert any(EVIL in found for found in texts_in(json.loads(text)))


def texts_in(value):
    if isinstance(value, str):
        return [value]
    if not isinstance(value, dict | list):
        return []
    children = value.values() if isinstance(value, dict) else value
    return [text for child in children for text in texts_in(child)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE candidates SET parameters = '[]'",
        "UPDATE searches SET scorers = '[1]'",
        "UPDATE searches SET parts = '{\"estimator\": 1}'",
        "UPDATE folds SET test_score = '\"high\"'",
        "UPDATE searches SET started = 1e300",
        "UPDATE searches SET key = '../../x'",
    ],
)
@pytest.mark.parametrize("command", ["status", "results", "errors", "list"])
def test_content_that_no_search_writes_is_no_traceback(
    cli, tmp_path, log, statement, command
):
    """One line says that it is wrong, or it is shown as it is."""
    path = tmp_path / "wrong.sqlite"
    search(path, log, [1.0])
    db = sqlite3.connect(path)
    with db:
        db.execute(statement)
    db.close()
    result = CliRunner().invoke(main, [command, str(path)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    if result.exit_code:
        assert len(result.stderr.splitlines()) == 1
        assert str(path) in result.stderr
