"""Workers forked from a process that has imported scikit-learn are as good as new."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from resumable_search._engine import forkserver as _forkserver
from resumable_search._engine import resting as _resting
from tests import fakes
from tests.conftest import still_running
from tests.engine.test_workers import search

pytestmark = pytest.mark.skipif(
    not _forkserver.IS_POSSIBLE, reason="this system starts workers alone"
)


class Looks(fakes.Logged):
    """Prints what a function finds in its process."""

    def __init__(self, log, value=0.0, seconds=0.0, look=None):
        super().__init__(log, value, seconds)
        self.look = look

    def act(self):
        print("found:", self.look())


@pytest.fixture
def in_worker(data, log, capsys):
    """Give a function that has a worker that starts now print what another returns."""

    def evaluate(look):
        _resting.end_all()
        estimator = Looks(log, look=look)
        search(estimator, {"value": [0.0]}, n_jobs=1, resume=False).fit(*data)
        lines = capsys.readouterr().out.splitlines()
        return next(line[7:] for line in lines if line.startswith("found: "))

    return evaluate


def server_of(in_worker):
    """Return the process that the next worker is forked from."""
    return psutil.Process(int(in_worker(os.getppid)))


def test_workers_have_one_server(in_worker):
    """It is no worker, and the workers are told apart by their names."""
    server = server_of(in_worker)
    assert server.ppid() == os.getpid()
    assert server.name() == "search-forks"
    assert server_of(in_worker) == server
    assert in_worker(lambda: psutil.Process().name()) == "search-worker"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda patch, path: patch.setenv("SET_BY_THE_TEST", str(path)),
            id="environment",
        ),
        pytest.param(lambda patch, path: patch.chdir(path), id="directory"),
        pytest.param(lambda patch, path: patch.syspath_prepend(path), id="path"),
    ],
)
def test_a_worker_has_what_its_parent_has_now(change, in_worker, tmp_path, monkeypatch):
    """The environment, the working directory and ``sys.path`` are not the server's."""
    in_worker(os.getpid)
    folder = tmp_path / "another"
    folder.mkdir()
    change(monkeypatch, folder)

    def look():
        return Path.cwd(), sys.path, os.environ.get("SET_BY_THE_TEST")

    assert in_worker(look) == str(look())


def test_a_variable_that_is_gone_is_gone_in_a_worker(in_worker, monkeypatch):
    """It is not left over from the server."""
    monkeypatch.setenv("JAX_SET_BY_THE_TEST", "1")
    assert in_worker(lambda: "JAX_SET_BY_THE_TEST" in os.environ) == "True"
    monkeypatch.delenv("JAX_SET_BY_THE_TEST")
    assert in_worker(lambda: "JAX_SET_BY_THE_TEST" in os.environ) == "False"


def test_a_worker_has_the_limits_that_its_parent_has_now(script):
    """The file mode mask and limits are handed on as to any child."""
    process = script(
        """
        import os, resource, sys
        from sklearn.dummy import DummyClassifier
        from resumable_search import ResumableGridSearchCV
        from resumable_search._engine import resting

        def look():
            with open("/proc/self/status") as status:
                umask = [line for line in status if line.startswith("Umask")]
            files = resource.getrlimit(resource.RLIMIT_NOFILE)
            seconds = resource.getrlimit(resource.RLIMIT_CPU)
            return umask, files, seconds

        class Looks(DummyClassifier):
            def fit(self, X, y):
                print("worker", look(), flush=True)
                return super().fit(X, y)

        def fit():
            resting.end_all()
            grid = {"strategy": ["prior"]}
            ResumableGridSearchCV(
                Looks(), grid, cv=2, n_jobs=1, refit=False, resume=False
            ).fit([[0], [1], [2], [3]], [0, 1, 0, 1])
            print("parent", look(), flush=True)

        fit()
        os.umask(0o027)
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
        resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6))
        fit()
        """
    )
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    first, second = out.splitlines()[2], out.splitlines()[5]
    assert "0027" in second
    assert first != second
    lines = out.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("parent"):
            assert lines[number - 1] == line.replace("parent", "worker")


def test_a_worker_has_no_files_but_its_own(in_worker, data, log):
    """Not those of the workers that were forked before it."""

    def n_files():
        return len(list(Path("/proc/self/fd").iterdir()))

    first = in_worker(n_files)
    search(fakes.Logged(log), {"value": [0.0, 1.0]}, n_jobs=3).fit(*data)
    assert in_worker(n_files) == first


def test_each_number_of_threads_has_its_server(in_worker, monkeypatch):
    """Libraries read it when they are imported."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    first = server_of(in_worker)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    second = server_of(in_worker)
    assert first != second
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert server_of(in_worker) == first
    # No more than two are kept.
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    server_of(in_worker)
    assert not still_running([second], seconds=10)
    assert first.is_running()


def test_a_server_that_is_gone_is_started_again(in_worker):
    """It had no worker: nobody notices."""
    server = server_of(in_worker)
    _resting.end_all()
    server.kill()
    still_running([server])
    assert server_of(in_worker) != server


def test_a_fold_whose_server_dies_runs_again(data, log):
    """Its worker ends with the server."""

    class KillsServer(fakes.Once):
        def misbehave(self):
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(30)

    found = search(KillsServer(log), {"value": [0.0, 1.0]}, n_jobs=2).fit(*data)
    assert found.resumption.n_failed == 0


def test_without_a_server_workers_start_alone(in_worker, monkeypatch):
    """It does not come up in some environment, in which a worker might."""
    _resting.end_all()
    _forkserver.renew()
    monkeypatch.setattr(_forkserver, "_BOOTSTRAP", "raise SystemExit('no module')")
    monkeypatch.setenv("SET_BY_THE_TEST", "without a server")
    assert in_worker(os.getppid) == str(os.getpid())


def test_a_server_ends_with_the_process_that_started_it(script):
    """However that ends, and its workers too."""
    process = script(
        """
        import os, time
        from sklearn.dummy import DummyClassifier
        from resumable_search import ResumableGridSearchCV

        ResumableGridSearchCV(
            DummyClassifier(), {"strategy": ["prior"]}, cv=2, n_jobs=2
        ).fit([[0], [1], [2], [3]], [0, 1, 0, 1])
        print("fitted", flush=True)
        time.sleep(100)
        """
    )
    assert process.stdout.readline() == "fitted\n"
    children = psutil.Process(process.pid).children(recursive=True)
    names = [child.name() for child in children]
    assert names.count("search-forks") == 1
    assert names.count("search-worker") == 2
    process.kill()
    assert not still_running(children, seconds=10)


def test_a_fork_of_the_user_leaves_the_servers_alone(data, log):
    """The child starts its own, and its end is not theirs."""
    search(fakes.Logged(log), {"value": [0.0]}, n_jobs=2).fit(*data)
    servers = [p for p in psutil.Process().children() if p.name() == "search-forks"]
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            search(fakes.Logged(log), {"value": [1.0]}, n_jobs=2).fit(*data)
            code = 0
        finally:
            _resting.end_all()
            _forkserver.end_all()
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [s for s in servers if s.is_running()] == servers
    search(fakes.Logged(log), {"value": [2.0]}, n_jobs=2).fit(*data)


def test_ctrl_c_while_a_server_starts_leaves_no_process(tmp_path):
    """The worker that comes after it is ended when it comes."""
    path = tmp_path / "script.py"
    path.write_text(
        textwrap.dedent(
            """
            import _thread, threading, time
            import psutil
            from resumable_search._engine import process

            threading.Timer(0.3, _thread.interrupt_main).start()
            try:
                process.start({})
            except KeyboardInterrupt:
                print("interrupted", flush=True)
            # The next one comes after it.
            process.start({}).kill()
            print(sum(
                child.name() in ("search-worker", "python")
                for child in psutil.Process().children(recursive=True)
                if child.ppid() != psutil.Process().pid
            ))
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        timeout=100,
    )
    assert done.stdout.splitlines() == ["interrupted", "0"], done.stderr
