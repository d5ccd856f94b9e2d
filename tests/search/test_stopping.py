"""A search that is stopped keeps what it has and says how to go on."""

import os
import pty
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from resumable_search import ResumableGridSearchCV, SearchInterrupted, read_results
from resumable_search._fit.stopping import StopWatch
from tests import fakes
from tests.conftest import still_running

SCRIPT = """
    import signal, sys
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it
    import numpy as np
    from resumable_search import ResumableGridSearchCV
    from tests import fakes

    log, seconds, grace_period, verbose = sys.argv[1:5]
    X = np.arange(24, dtype=np.float64).reshape(12, 2)
    y = np.array([0, 1] * 6)
    search = ResumableGridSearchCV(
        fakes.Logged(log, seconds=float(seconds)),
        {"value": [float(value) for value in range(10)]},
        cv=2, n_jobs=2, refit=False,
        grace_period=float(grace_period), verbose=int(verbose),
    )
"""

FIT = "    search.fit(X, y)\n"

REPORT = """
    from resumable_search import SearchInterrupted
    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    try:
        search.fit(X, y)
    except SearchInterrupted as exc:
        print("stopped by", exc.reason, exc.signum)
        print(exc.n_done, exc.n_total, int(exc.cv_results_["n_completed"].sum()))
        print(int(search.partial_results["n_completed"].sum()))
        print(search.resumption.n_run)
    print([signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before)
"""


def wait_for_fits(log, n):
    deadline = time.monotonic() + 60
    while len(fakes.fits(log)) < n and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(fakes.fits(log)) >= n


@pytest.mark.parametrize(
    ("signum", "name"),
    [
        (signal.SIGINT, "Ctrl-C"),
        (signal.SIGTERM, "SIGTERM"),
        (signal.SIGHUP, "SIGHUP"),
    ],
)
def test_a_signal_stops_the_search_and_says_how_to_go_on(script, log, signum, name):
    """Nothing is left running, and the status is not that of success."""
    process = script(SCRIPT + FIT, log, 0.3, 0, 0)
    wait_for_fits(log, 5)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signum)
    _, err = process.communicate(timeout=30)
    assert process.returncode not in (0, None)
    assert not still_running(family)
    n_done = int(sum(read_results()["n_completed"]))
    assert n_done >= 3
    assert "SearchInterrupted" in err
    assert f"stopped by {name} with {n_done} of 20 folds finished" in err
    assert "call the same fit again" in err


def test_the_exception_carries_the_results_and_all_is_as_before(script, log):
    """Handlers are put back; the search itself has the results too."""
    process = script(SCRIPT + REPORT, log, 0.3, 0, 0)
    wait_for_fits(log, 5)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    lines = out.splitlines()
    assert lines[0] == f"stopped by SIGTERM {int(signal.SIGTERM)}"
    n_done, n_total, n_in_results = map(int, lines[1].split())
    assert (n_total, n_in_results) == (20, n_done)
    assert lines[2] == lines[3] == str(n_done)
    assert lines[4] == "True"


def test_folds_that_run_are_given_the_grace_period(script, log):
    """They finish and are kept; no other one begins."""
    process = script(SCRIPT + REPORT, log, 1.0, 60, 0)
    wait_for_fits(log, 2)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=30)
    assert out.splitlines()[1] == "2 20 2"
    assert len(fakes.fits(log)) == 2


def test_a_second_ctrl_c_ends_the_grace_period(script, log):
    """Whoever asks twice does not want to wait."""
    process = script(SCRIPT + REPORT, log, 60, 600, 0)
    wait_for_fits(log, 2)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert out.splitlines()[1] == "0 20 0"


@pytest.mark.slow
def test_an_interrupted_refit_says_that_all_folds_are_finished(script, log):
    """What is left is the refit."""
    source = SCRIPT.replace("refit=False", "refit=True") + FIT
    process = script(source, log, 0.2, 0, 0)
    wait_for_fits(log, 21)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert "with all 20 folds finished, before the end of its refit" in err


def test_a_handler_of_the_users_is_left_alone(script, log):
    """What it raises ends the search like any exception, and all is kept."""
    source = (
        SCRIPT
        + """
    def handler(number, frame):
        raise RuntimeError("the user's own way to stop")

    signal.signal(signal.SIGTERM, handler)
"""
        + FIT
    )
    process = script(source, log, 0.3, 0, 0)
    wait_for_fits(log, 5)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert "RuntimeError: the user's own way to stop" in err
    assert sum(read_results()["n_completed"]) >= 3


@pytest.mark.slow
def test_a_signal_after_the_last_fold_is_not_lost(script, log):
    """All folds are resumed, and it comes while their results are put together."""
    run = script(SCRIPT + FIT, log, 0.0, 0, 0)
    run.communicate(timeout=60)
    slow = """
    import os, time
    from sklearn.model_selection import GridSearchCV
    format_results = GridSearchCV._format_results

    def send_first(self, *arguments):
        GridSearchCV._format_results = format_results
        os.kill(os.getpid(), signal.SIGTERM)
        return format_results(self, *arguments)

    GridSearchCV._format_results = send_first
"""
    process = script(
        SCRIPT.replace("refit=False", "refit=True") + slow + FIT, log, 0, 0, 0
    )
    _, err = process.communicate(timeout=60)
    assert "stopped by SIGTERM with all 20 folds finished" in err


def test_processes_that_a_splitter_forks_can_be_stopped(script, log):
    """They do not take a signal for a request to the search."""
    pool = """
    import multiprocessing

    class Splitter:
        def get_n_splits(self, X=None, y=None, groups=None):
            return 2

        def split(self, X, y, groups=None):
            with multiprocessing.get_context("fork").Pool(1) as pool:
                halves = pool.map(abs, [0, 6])  # ended by SIGTERM
            for start in halves:
                test = np.arange(start, start + 6)
                yield np.setdiff1d(np.arange(12), test), test

    search.cv = Splitter()
"""
    process = script(SCRIPT + pool + FIT, log, 0.0, 0, 0)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err


@pytest.mark.slow
def test_a_search_in_a_forked_child_leaves_the_parents_workers_alone(script, log):
    """They are the parent's to end."""
    fork = """
    import os
    search.fit(X, y)
    if (child := os.fork()) == 0:
        search.set_params(param_grid={"value": [100.0]}).fit(X, y)
        os._exit(0)
    os.waitpid(child, 0)
    time.sleep(1)
    search.set_params(param_grid={"value": [200.0]}, max_retries=0).fit(X, y)
    print(search.resumption.n_failed)
"""
    source = SCRIPT.replace("import signal, sys", "import signal, sys, time")
    process = script(source + fork, log, 0.0, 0, 0)
    out, err = process.communicate(timeout=60)
    assert out.split() == ["0"], err


@pytest.mark.slow
def test_an_ignored_signal_stays_ignored(script, log):
    """As for a script that was started with nohup."""
    source = SCRIPT + "\n    signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + FIT
    process = script(source, log, 0.05, 0, 0)
    wait_for_fits(log, 2)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err


def test_a_fit_in_a_thread_works_without_signal_handling(data, log):
    """Signals are the main thread's; the search runs all the same."""
    before = signal.getsignal(signal.SIGTERM)
    found = []

    def fit():
        search = ResumableGridSearchCV(
            fakes.Logged(log, seconds=0.2), {"value": [1.0, 2.0]}, cv=2, refit=False
        )
        found.append(search.fit(*data))

    thread = threading.Thread(target=fit)
    thread.start()
    wait_for_fits(log, 1)
    assert signal.getsignal(signal.SIGTERM) == before
    thread.join()
    assert found[0].resumption.n_run == 4


def test_a_request_that_nobody_looks_at_is_raised_by_the_second():
    """A search that is busy elsewhere can be interrupted wherever it is."""
    with StopWatch() as stop:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert stop.is_requested()
        assert stop.reason == "SIGTERM"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_the_exception_can_be_pickled():
    """As it must to come out of a process of somebody's pool."""
    import pickle

    exc = SearchInterrupted("text", reason="quit", n_done=3, n_total=4)
    again = pickle.loads(pickle.dumps(exc))
    assert (str(again), again.reason, again.n_done) == ("text", "quit", 3)


# ---------------------------------------------------------------------------
# "quit"


class Terminal:
    """A script with a terminal as its standard input and output."""

    def __init__(self, source, *arguments, cwd):
        path = Path(cwd) / "script.py"
        path.write_text(textwrap.dedent(source))
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
            os.execv(sys.executable, [sys.executable, str(path), *map(str, arguments)])

    def type(self, text):
        os.write(self.fd, text.encode())

    def read_to_the_end(self):
        chunks = []
        while True:
            try:
                chunk = os.read(self.fd, 4096)
            except OSError:
                chunk = b""
            if not chunk:
                break
            chunks.append(chunk)
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return b"".join(chunks).decode(), os.waitstatus_to_exitcode(status)


def test_quit_and_enter_in_a_terminal_stop_the_search(log, tmp_path):
    """Anything else that is typed does not; the person is told of it."""
    terminal = Terminal(SCRIPT + FIT, log, 0.3, 0, 1, cwd=tmp_path)
    wait_for_fits(log, 3)
    terminal.type("quiet\n")
    wait_for_fits(log, 6)
    terminal.type("Quit\n")
    out, status = terminal.read_to_the_end()
    assert "Type 'quit' and Enter" in out
    assert "stopped by 'quit' with" in out
    assert status != 0
    assert len(fakes.fits(log)) < 20


@pytest.mark.slow
def test_nobody_is_listened_to_without_verbosity(log, tmp_path):
    """verbose=0 says that no person is watching; what is typed is for others."""
    source = SCRIPT + FIT + "    print('read', input())\n"
    terminal = Terminal(source, log, 0.05, 0, 0, cwd=tmp_path)
    wait_for_fits(log, 1)
    terminal.type("quit\n")
    out, status = terminal.read_to_the_end()
    assert "read quit" in out
    assert status == 0


@pytest.mark.slow
def test_input_from_a_pipe_is_never_read(script, log):
    """It belongs to the script."""
    source = SCRIPT + FIT + "    print('read', sys.stdin.read())\n"
    process = script(source, log, 0.05, 0, 1, stdin=subprocess.PIPE)
    out, err = process.communicate("quit\n", timeout=60)
    assert "read quit" in out
    assert process.returncode == 0, err


@pytest.mark.slow
def test_a_search_in_the_background_of_a_terminal_goes_on(log, tmp_path):
    """Reading there would stop the process."""
    source = """
        import os, subprocess, sys
        child = subprocess.Popen(
            [sys.executable, "search.py", *sys.argv[1:]],
            preexec_fn=lambda: os.setpgid(0, 0),
        )
        sys.exit(child.wait(timeout=60))
    """
    (tmp_path / "search.py").write_text(textwrap.dedent(SCRIPT + FIT))
    terminal = Terminal(source, log, 0.1, 0, 1, cwd=tmp_path)
    wait_for_fits(log, 2)
    terminal.type("quit\n")
    _, status = terminal.read_to_the_end()
    assert status == 0
    assert len(fakes.fits(log)) == 20


# ---------------------------------------------------------------------------
# Notebooks


@pytest.mark.slow
def test_the_interrupt_button_of_a_notebook_stops_the_search(
    tmp_path, log, monkeypatch
):
    """The cell ends with the exception; the next cell has the results."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    definitions = textwrap.dedent(SCRIPT).replace(
        "sys.argv[1:5]", repr([log, "0.3", "0", "1"])
    )
    definitions = definitions.replace(
        "signal.signal(signal.SIGINT, signal.default_int_handler)", ""
    )
    cells = [
        definitions,
        "search.fit(X, y)",
        "print(int(search.partial_results['n_completed'].sum()))",
    ]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
    )
    client = nbclient.NotebookClient(
        notebook,
        timeout=60,
        allow_errors=True,
        resources={"metadata": {"path": str(tmp_path)}},
    )

    def press_the_button():
        wait_for_fits(log, 5)
        pid = client.km.provisioner.pid
        os.kill(pid, signal.SIGINT)

    threading.Thread(target=press_the_button).start()
    client.execute()
    error = next(
        output for output in notebook.cells[1].outputs if output.output_type == "error"
    )
    assert error.ename == "SearchInterrupted"
    assert "stopped by Ctrl-C" in error.evalue
    n_done = int(notebook.cells[2].outputs[0].text)
    assert 3 <= n_done < 20
