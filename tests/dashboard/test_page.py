"""The page follows a search, whatever happens to it, and changes nothing."""

import json
import os
import socket
import sys
import time
from importlib.resources import files

import pytest

from resumable_search import CheckpointError, ResumableSearchError
from resumable_search._checkpoint.locks import SearchLock
from resumable_search._checkpoint.status_files import remove_status, write_status
from resumable_search._dashboard.readings import headline
from resumable_search._dashboard.server import make_server
from resumable_search._records import LiveStatus, LiveWorker
from resumable_search._texts import inert
from tests.checkpoints import all_folds, write_search

GRID = [{"a": 1}, {"a": 2}, {"a": 3}]
KEY = "5ea4c4"


@pytest.fixture(autouse=True)
def no_plots(monkeypatch):
    """Be quick: as where Optuna's dashboard is not installed."""
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)


def letters(state):
    return ["".join(fold[0] for fold in row["folds"]) for row in state["rows"]]


def say(path, **fields):
    """Write the status of a search that this process runs."""
    now = time.time()
    path.with_name(f".{path.name}.locks").mkdir(exist_ok=True)
    status = LiveStatus(
        **{
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": now - 60,
            "updated": now,
            "n_total": 9,
            "n_done": 3,
            "n_resumed": 2,
            "n_failed": 0,
            "metric": "score",
            "seconds_left": 90.0,
        }
        | fields
    )
    write_status(path, KEY, status)


def test_the_state_is_what_the_checkpoint_holds(path, dashboard):
    """Each fold, the mean scores, the best candidate, the counts."""
    scores = all_folds(3) | {(2, 1): None}
    del scores[1, 2]
    write_search(path, GRID, scores)
    state = dashboard().state()
    assert letters(state) == ["ddd", "ddp", "dfd"]
    assert [row["score"] for row in state["rows"]] == [0.0, None, None]
    assert (state["n_done"], state["n_failed"], state["n_folds"]) == (7, 1, 9)
    assert state["best"] == {"candidate": 0, "score": 0.0, "parameters": {"a": "1"}}
    assert state["running"] is None
    assert state["problem"] is None


def test_errors_are_grouped_by_their_traceback(path, dashboard):
    """The most frequent first, with the folds that they were in."""
    failed = dict.fromkeys([(0, 0), (1, 0), (2, 0)])
    errors = {(0, 0): "Traceback:\nOne: x", (1, 0): "Two: y", (2, 0): "Two: y"}
    write_search(path, GRID, failed, errors=errors)
    first, second = dashboard().state()["errors"]
    assert (first["headline"], first["n"]) == ("Two: y", 2)
    assert first["folds"] == [[1, 0], [2, 0]]
    assert (second["headline"], second["text"]) == ("One: x", "Traceback:\nOne: x")


HEADER = "Traceback (most recent call last):"
FRAME = '  File "a.py", line 1, in f\n    work()'


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (f"{HEADER}\n{FRAME}\nValueError: bad\nGot: 3\n  in all", "ValueError: bad"),
        (f"{HEADER}\n{FRAME}\nm.f.<locals>.Odd: a\n\nb", "m.f.<locals>.Odd: a"),
        (f"{HEADER}\n{FRAME}\nMemoryError\n", "MemoryError"),
        (
            f"{HEADER}\n{FRAME}\nKeyError: 1\n\nDuring handling of the above "
            "exception, another exception occurred:\n\n"
            f"{HEADER}\n{FRAME}\nRuntimeError: 2\nmore",
            "RuntimeError: 2",
        ),
        (
            "FoldTimeoutError: It took long.\nGive it more.",
            "FoldTimeoutError: It took long.",
        ),
        (f"{HEADER}\n{FRAME}", "work()"),
        ("no traceback\nat all", "at all"),
        ("", ""),
    ],
)
def test_the_headline_of_an_error_names_it(error, expected):
    """Its message may go on for lines, and another error may have led to it."""
    assert headline(error) == expected


def test_a_search_whose_folds_failed_has_finished(path, dashboard):
    """Its text says what fitting it again would do."""
    write_search(path, GRID, all_folds(3) | {(2, 1): None})
    state = dashboard().state()
    assert state["state"] == "finished"
    assert state["state_text"].endswith("; fit it again to try the failed folds again")
    write_search(path, GRID, {(2, 1): 0.5})
    assert dashboard().state()["state_text"] == "finished"


def test_stopped_and_died_are_told_apart(path, dashboard):
    """A process that was killed leaves its name, one that stops does not."""
    write_search(path, GRID, {(0, 0): 0.5})
    client = dashboard()
    state = client.state()
    assert state["state"] == "stopped"
    assert state["state_text"].startswith("stopped before its end (started ")
    lock = SearchLock(path, KEY)
    lock.acquire()
    state = client.state()
    assert (state["state"], state["running"]) == ("running", None)
    holder = path.with_name(f".{path.name}.locks") / f"{KEY}.holder"
    left = holder.read_bytes()
    lock.release()
    holder.write_bytes(left)
    state = client.state()
    assert state["state"] == "died"
    assert f"died (process {os.getpid()} on " in state["state_text"]


def test_only_what_has_changed_is_sent_again(path, dashboard):
    """A fold more changes one row; nothing new changes none."""
    write_search(path, GRID, {(0, 0): 0.5})
    client = dashboard()
    known = client.state()
    assert len(known["rows"]) == 3
    assert client.state(known)["rows"] == []
    write_search(path, GRID, {(1, 2): 0.5})
    (row,) = client.state(known)["rows"]
    assert row["i"] == 1


def test_a_search_that_grows_is_followed(path, dashboard):
    """Candidates that were not there before have rows at once."""
    write_search(path, GRID[:1], all_folds(1))
    client = dashboard()
    known = client.state()
    write_search(path, GRID, {})
    state = client.state(known)
    assert state["n_folds"] == 9
    assert [row["i"] for row in state["rows"]] == [1, 2]


def test_the_search_that_was_started_last_is_followed(path, dashboard):
    """Unless another one was asked for."""
    first = write_search(path, GRID[:1], all_folds(1), key="01")
    newest, fixed = dashboard(), dashboard(search=first)
    known = newest.state()
    second = write_search(path, GRID, {}, key="02")
    state = newest.state(known)
    assert (state["search"], len(state["rows"])) == (second, 3)
    assert state["life"] != known["life"]
    assert fixed.state()["search"] == first


def test_a_file_that_is_replaced_or_gone_is_no_end(path, dashboard, tmp_path):
    """It says so, and goes on with what comes in its place."""
    write_search(path, GRID, all_folds(3))
    client = dashboard()
    known = client.state()
    path.unlink()
    assert "does not exist" in client.state(known)["problem"]
    path.write_text("this is no checkpoint, but a text of some length" * 40)
    assert "is not a checkpoint" in client.state(known)["problem"]
    other = tmp_path / "other.sqlite"
    write_search(other, GRID, {(0, 0): 0.5})
    other.replace(path)
    state = client.state(known)
    assert letters(state) == ["dpp", "ppp", "ppp"]
    assert state["life"] != known["life"]


def test_workers_are_those_of_the_running_search(path, dashboard):
    """With device, fold, attempt and epoch; none when nobody runs it."""
    write_search(path, GRID, {(0, 0): 0.5})
    client = dashboard()
    assert client.state()["running"] is None
    busy = LiveWorker(
        number=0, pid=1, device="GPU-1", candidate=1, split=2, epoch=3, n_epochs=9
    )
    say(path, workers=(busy, LiveWorker(number=1)))
    running = client.state()["running"]
    assert (running["n_resumed"], running["seconds_left"]) == (2, 90.0)
    first, second = running["workers"]
    assert (first["candidate"], first["split"], first["epoch"]) == (1, 2, 3)
    assert second["candidate"] is None
    remove_status(path, KEY)
    assert client.state()["running"] is None


def test_a_search_that_was_killed_does_not_run(path, dashboard, script):
    """Its status is there still, its process is not."""
    write_search(path, GRID, {(0, 0): 0.5})
    process = script("pass")
    process.wait()
    say(path, pid=process.pid)
    assert dashboard().state()["running"] is None


def test_scores_that_are_no_numbers_of_json_come_as_texts(path, dashboard):
    """A candidate with one has no mean, and is not the best."""
    scores = all_folds(2) | {(1, 0): float("nan"), (1, 1): float("inf")}
    write_search(path, GRID[:2], scores)
    state = dashboard().state()
    assert [fold[1] for fold in state["rows"][1]["folds"]] == ["nan", "inf", "0.1"]
    assert state["best"]["candidate"] == 0


def test_the_metric_that_decides_is_shown(path, dashboard):
    """Of several scorers, and of a callable that gives several scores."""
    scores = all_folds(1, score=lambda c, s: {"f1": 0.25, "accuracy": 0.5})
    write_search(path, GRID[:1], scores, scorers=["f1", "accuracy"])
    state = dashboard().state()
    assert (state["metric"], state["best"]["score"]) == ("f1", 0.25)


def test_nothing_is_read_while_the_file_stays_as_it_is(path, dashboard, monkeypatch):
    """The reader is not even opened."""
    write_search(path, GRID, all_folds(3))
    client = dashboard()
    known = client.state()
    opened = []
    monkeypatch.setattr(
        "resumable_search._dashboard.follower.CheckpointReader", opened.append
    )
    client.state(known)
    assert opened == []


def test_a_finished_fold_is_read_once(path, dashboard, monkeypatch):
    """What is asked for again is what was not finished."""
    from resumable_search._dashboard import follower

    asked = []

    class Reader(follower.CheckpointReader):
        def find_all(self, keys):
            asked.append(len(keys))
            return super().find_all(keys)

    monkeypatch.setattr(follower, "CheckpointReader", Reader)
    write_search(path, GRID, all_folds(2))
    client = dashboard()
    client.state()
    write_search(path, GRID, {(2, 0): 0.5})
    client.state()
    assert asked == [9, 3]


def test_a_fold_that_was_taken_out_is_seen_in_a_minute(path, dashboard, monkeypatch):
    """All is read again then."""
    write_search(path, GRID, all_folds(3))
    client = dashboard()
    known = client.state()
    from resumable_search._checkpoint.store import CheckpointStore

    store = CheckpointStore(path)
    store._db.execute("DELETE FROM folds")
    store.close()
    monkeypatch.setattr("resumable_search._dashboard.follower._ALL_AGAIN_AFTER", 0.0)
    assert client.state(known)["n_done"] == 0


# ---------------------------------------------------------------------------
# What it keeps off


def test_no_request_changes_the_checkpoint(path, dashboard):
    """And those that mean to are refused."""
    write_search(path, GRID, all_folds(3))
    before = path.read_bytes()
    client = dashboard()
    client.state()
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        code, headers, _ = client.ask("/state.json", method=method)
        assert (code, headers["Allow"]) == (405, "GET, HEAD")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("host", "code"),
    [
        ("127.0.0.1:1", 200),
        ("localhost", 200),
        ("LocalHost:8080", 200),
        ("[::1]:8080", 200),
        ("rebound.example", 403),
        ("127.0.0.1.rebound.example", 403),
        ("localhost.rebound.example:8080", 403),
        ("", 403),
    ],
)
def test_only_names_of_this_machine_are_answered(path, dashboard, host, code):
    """A name that was made to point here would let its site read the page."""
    write_search(path, GRID, {})
    assert dashboard().ask("/state.json", Host=host)[0] == code


def test_other_sites_can_link_here_but_read_nothing(path, dashboard):
    """Browsers say where a request comes from."""
    write_search(path, GRID, {})
    client = dashboard()
    foreign = {"Sec_Fetch_Site": "cross-site"}
    link = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert client.ask("/state.json", **foreign)[0] == 403
    assert client.ask("/page/page.js", **foreign, Sec_Fetch_Mode="no-cors")[0] == 403
    assert client.ask("/", **foreign, **link)[0] == 200
    headers = client.ask("/")[1]
    assert headers["X-Frame-Options"] == "DENY"
    assert "Access-Control-Allow-Origin" not in headers


def test_what_a_terminal_would_obey_is_spelled_out(path, dashboard):
    """Changes of the direction of writing too; a traceback keeps its lines."""
    evil = "\x1b[2J\x07\u202eevil\u2066\x00"
    write_search(
        path,
        [{evil: evil}],
        {(0, 0): None, (0, 1): 0.5},
        errors={(0, 0): f"{HEADER}\n{FRAME}\n{evil}: {evil}\r\n{evil}"},
        kind=evil,
        estimator=evil,
        scorers=[evil],
    )
    worker = LiveWorker(number=0, pid=1, device=evil, candidate=0, split=2)
    say(path, host=evil, workers=(worker,))
    state = dashboard().state()
    texts = json.dumps(state, ensure_ascii=False)
    for part in ("kind", "estimator", "metric"):
        assert state[part] == inert(evil)
    assert state["rows"][0]["parameters"] == {inert(evil): inert(evil)}
    assert inert(evil) in state["errors"][0]["headline"]
    assert state["errors"][0]["text"].count("\n") == 4
    assert texts.isprintable()
    assert not any(f"\\u00{code}" in texts for code in ("00", "07", "1b"))


def test_the_page_works_without_a_network():
    """It asks nobody but its server, and runs no script but its own."""
    for file in files("resumable_search._dashboard").iterdir():
        if file.name.endswith((".html", ".css", ".js")):
            assert "//" not in file.read_text().replace("// ", ""), file.name
            assert "innerHTML" not in file.read_text()


def test_pages_that_are_not_there_are_404(path, dashboard):
    """Those of Optuna's dashboard too, where it is not installed."""
    write_search(path, GRID, {})
    client = dashboard()
    for address in ("/nowhere", "/../server.py", "/page/../server.py", "/dashboard"):
        assert client.ask(address)[0] == 404
    assert client.state()["plots"] is None


def test_a_checkpoint_that_is_not_there_is_an_error_at_once(path):
    """So is a search that is not in it."""
    with pytest.raises(CheckpointError, match="does not exist"):
        make_server(path, port=0)
    write_search(path, GRID, {})
    with pytest.raises(CheckpointError, match="has no search with the number 7"):
        make_server(path, port=0, search=7)


def test_a_port_that_is_taken_is_an_error_that_names_it(path):
    """And says what to do."""
    write_search(path, GRID, {})
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ResumableSearchError, match=f"port {port}.*another 'port'"):
            make_server(path, port=port)


def test_serving_announces_the_address_and_who_can_reach_it(path, script):
    """Ctrl-C ends it without a traceback."""
    write_search(path, GRID, {})
    process = script(
        """
        import os, signal, sys, threading
        from resumable_search._dashboard.server import serve
        sys.modules["optuna_dashboard"] = None  # as if it were not installed
        threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT)).start()
        def announce(text):
            print(text)
        serve(sys.argv[1], host="0.0.0.0", port=0, announce=announce)
        """,
        path,
    )
    out, errors = process.communicate(timeout=60)
    assert out.startswith("http://0.0.0.0:")
    assert "Others can reach this page" in out
    assert "For plots of parameters: pip install optuna optuna-dashboard\n" in out
    assert (process.returncode, errors) == (0, "")
