"""The command line as a process of its own, beside searches that run."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resumable_search._checkpoint.locks import SearchLock
from resumable_search._checkpoint.reader import CheckpointReader
from tests.cli.conftest import search

ROOT = Path(__file__).parents[2]

SCRIPT = """
    import sys
    import numpy as np
    from resumable_search import ResumableGridSearchCV
    from tests import fakes

    X, y = np.zeros((8, 1)), np.array([0, 1] * 4)
    ResumableGridSearchCV(
        fakes.Logged(sys.argv[1], seconds=float(sys.argv[2])),
        {"value": [float(i) for i in range(6)], "seconds": [float(sys.argv[2])]},
        cv=2, n_jobs=2, refit=False, checkpoint=sys.argv[3],
    ).fit(X, y)
"""


def command(*arguments):
    return [sys.executable, "-m", "resumable_search", *map(str, arguments)]


def environment(**variables):
    return {**os.environ, "PYTHONPATH": str(ROOT), **variables}


def run(*arguments, **variables):
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env=environment(**variables),
        timeout=60,
    )


def watch(path):
    return subprocess.Popen(
        command("watch", path, "--interval", "0.1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(PYTHONUNBUFFERED="1"),
    )


def wait_for_fits(log, number, process):
    while len(Path(log).read_text().splitlines()) < number:
        assert process.poll() is None
        time.sleep(0.02)


def test_a_search_is_watched_killed_and_resumed(script, tmp_path, log):
    """Watching tells that the process died, and later that it came to its end."""
    path = tmp_path / "watched.sqlite"
    Path(log).touch()
    process = script(SCRIPT, log, 0.3, path)
    wait_for_fits(log, 1, process)
    watcher = watch(path)
    first = watcher.stdout.readline()
    assert " of 12 done" in first
    os.kill(process.pid, signal.SIGKILL)
    _, err = watcher.communicate(timeout=60)
    assert watcher.returncode == 1
    assert f"Error: Search 1 died (process {process.pid} on " in err
    assert "fit it again to go on" in err
    assert "died" in run("list", path).stdout

    n_begun = len(Path(log).read_text().splitlines())
    again = script(SCRIPT, log, 0.3, path)
    wait_for_fits(log, n_begun + 1, again)
    watcher = watch(path)
    out, err = watcher.communicate(timeout=60)
    assert (watcher.returncode, err) == (0, "")
    last, end = out.splitlines()[-2:]
    assert "12 of 12 done" in last
    assert end.endswith("Search 1 finished.")
    assert again.wait(timeout=60) == 0


def test_ctrl_c_ends_watching(tmp_path, log):
    """With the exit code that shells give, and no traceback."""
    path = tmp_path / "watched.sqlite"
    search(path, log, [1.0])
    reader = CheckpointReader(path)
    lock = SearchLock(path, reader.searches()[0].key)
    reader.close()
    lock.acquire()
    watcher = watch(path)
    assert "2 of 2 done" in watcher.stdout.readline()
    watcher.send_signal(signal.SIGINT)
    _, err = watcher.communicate(timeout=60)
    lock.release()
    assert (watcher.returncode, err) == (130, "")


def test_help_imports_nothing_that_takes_time():
    """Neither scikit-learn nor numpy nor a framework, nor what draws tables."""
    code = (
        "import sys\n"
        "from resumable_search.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'sklearn', 'scipy', 'pandas', 'joblib', 'keras',\n"
        "         'tensorflow', 'torch', 'jax', 'rich', 'sqlite3'}\n"
        "sys.exit(str(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment()
    )
    assert result.stderr == "set()\n"
    assert "Exit codes: 0" in result.stdout


def test_status_needs_no_scikit_learn(tmp_path, log):
    """Its import would be most of the time that the command takes."""
    path = tmp_path / "checkpoint.sqlite"
    search(path, log, [1.0])
    code = (
        "import sys\n"
        "from resumable_search.cli import main\n"
        "try: main(['status', sys.argv[1]])\n"
        "except SystemExit: pass\n"
        "sys.exit('sklearn' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], env=environment(), timeout=60
    )
    assert result.returncode == 0


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_can_complete_words(shell):
    """Each by the script that the documentation names."""
    result = run(_RESUMABLE_SEARCH_COMPLETE=f"{shell}_source")
    assert "resumable-search" in result.stdout
    words = {"COMP_WORDS": "resumable-search st", "COMP_CWORD": "1"}
    if shell == "fish":
        words["COMP_CWORD"] = "st"
    result = run(_RESUMABLE_SEARCH_COMPLETE=f"{shell}_complete", **words)
    assert "status" in result.stdout


def test_a_reader_that_stops_reading_is_no_error(tmp_path, log):
    """As in ``resumable-search list | head -1``."""
    path = tmp_path / "checkpoint.sqlite"
    search(path, log, [1.0])
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        command("list", path),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    os.close(writing)
    assert process.communicate(timeout=60)[1] == ""
    assert process.returncode == 0


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}], ids=str)
def test_colors_are_for_terminals_that_want_them(tmp_path, log, variables):
    """The bar is drawn in color, unless NO_COLOR says otherwise."""
    path = tmp_path / "checkpoint.sqlite"
    search(path, log, [1.0])
    assert "\x1b" not in run("status", path, **variables).stdout
    outer, inner = pty.openpty()
    process = subprocess.Popen(
        command("status", path),
        stdout=inner,
        env=environment(TERM="xterm-256color", **variables),
    )
    os.close(inner)
    shown = b""
    while True:
        try:
            shown += os.read(outer, 4096)
        except OSError:  # the other side is closed
            break
    os.close(outer)
    assert process.wait(timeout=60) == 0
    assert (b"\x1b[38;" in shown) is (not variables)
    assert "2 of 2 done" in shown.decode()


def test_a_terminal_of_another_encoding_shows_what_it_can(tmp_path, log):
    """The rest is spelled out."""
    path = tmp_path / "ключ.sqlite"
    search(path, log, [1.0])
    result = run("status", path, PYTHONIOENCODING="latin-1")
    assert result.returncode == 0
    assert r"\u043a\u043b\u044e\u0447.sqlite" in result.stdout


def test_the_default_checkpoint_is_that_of_a_search(tmp_path, log, monkeypatch):
    """The one in the current directory, or the one that the variable names."""
    assert "checkpoint.sqlite does not exist" in run("list").stderr
    search(None, log, [1.0])
    assert run("list").returncode == 0
    path = tmp_path / "elsewhere.sqlite"
    search(path, log, [1.0, 2.0])
    result = run("status", RESUMABLE_SEARCH_CHECKPOINT=str(path))
    assert "4 of 4 done" in result.stdout
