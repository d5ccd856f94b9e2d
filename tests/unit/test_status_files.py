"""The status file: what a running search says of itself to those who look on."""

import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest

from resumable_search._checkpoint.status_files import (
    read_status,
    remove_status,
    write_status,
)
from resumable_search._records import LiveStatus, LiveWorker

KEY = "0a" * 20


@pytest.fixture
def checkpoint(tmp_path):
    """Give the place of a checkpoint whose search is locked."""
    (tmp_path / ".checkpoint.sqlite.locks").mkdir()
    return tmp_path / "checkpoint.sqlite"


@pytest.fixture
def file(checkpoint):
    """Give the place of the status file."""
    return checkpoint.parent / ".checkpoint.sqlite.locks" / f"{KEY}.status"


@pytest.fixture
def status():
    """Give the status of a search that this process could run."""
    return LiveStatus(
        pid=os.getpid(),
        host=socket.gethostname(),
        started=time.time() - 5,
        updated=time.time(),
        n_total=12,
        n_done=4,
        n_resumed=2,
        n_failed=1,
        metric="score",
        best_score=0.75,
        best_parameters={"alpha": "0.1", "name": "'\udc80ü\n'"},
        seconds_left=17.5,
        workers=(
            LiveWorker(
                number=0,
                pid=4711,
                device="GPU-1",
                candidate=3,
                parameters={"alpha": "1"},
                split=2,
                attempt=2,
                started=time.time(),
                epoch=4,
                n_epochs=10,
            ),
            LiveWorker(number=1),
        ),
    )


def test_what_is_written_is_read(checkpoint, status):
    """Every field comes back as it was; the last one written counts."""
    write_status(checkpoint, KEY, status)
    assert read_status(checkpoint, KEY) == status
    write_status(checkpoint, KEY, replace(status, n_done=5, best_score=float("inf")))
    assert read_status(checkpoint, KEY).n_done == 5
    assert read_status(checkpoint, KEY).best_score == float("inf")


def test_a_search_that_does_not_run_has_no_status(checkpoint, status):
    """Neither before it starts nor after its end; removing twice is fine."""
    assert read_status(checkpoint, KEY) is None
    write_status(checkpoint, KEY, status)
    remove_status(checkpoint, KEY)
    remove_status(checkpoint, KEY)
    assert read_status(checkpoint, KEY) is None
    assert list((checkpoint.parent / ".checkpoint.sqlite.locks").iterdir()) == []


def test_only_the_owner_can_read_the_file(checkpoint, status, file):
    """Parameters are nobody else's business, whatever the umask."""
    before = os.umask(0)
    try:
        write_status(checkpoint, KEY, status)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_status_of_a_process_that_is_gone_counts_as_none(checkpoint, status):
    """A killed search cannot remove its file."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    write_status(checkpoint, KEY, replace(status, pid=process.pid))
    assert read_status(checkpoint, KEY) is None


def test_a_process_of_another_host_is_believed_for_a_minute(checkpoint, status):
    """Whether it lives cannot be asked; its clock says when it last did."""
    elsewhere = replace(status, host="another", pid=2**31 - 1)
    write_status(checkpoint, KEY, elsewhere)
    assert read_status(checkpoint, KEY) == elsewhere
    for seconds in (-61, 120):
        silent = replace(elsewhere, updated=time.time() + seconds)
        write_status(checkpoint, KEY, silent)
        assert read_status(checkpoint, KEY) is None


def test_a_status_that_is_not_renewed_counts_as_none(checkpoint, status):
    """Another process may have the number of the one that wrote it."""
    write_status(checkpoint, KEY, replace(status, updated=time.time() - 61))
    assert read_status(checkpoint, KEY) is None


def test_what_a_later_version_adds_is_passed_over(checkpoint, status, file):
    """A reader of today can look on at a search of tomorrow."""
    content = asdict(status)
    content["mood"] = "good"
    content["workers"][0]["shoe_size"] = 43
    file.write_text(json.dumps(content))
    assert read_status(checkpoint, KEY) == status


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"null",
        b"[]",
        b'"text"',
        b"{}",
        b"1" * 5000,
        b'{"pid": 1' + b" " * (1 << 20) + b"}",
    ],
    ids=lambda content: repr(content[:12]),
)
def test_a_file_that_is_no_status_counts_as_none(checkpoint, file, content):
    """Whatever lies there, those who look on get no error."""
    file.write_bytes(content)
    assert read_status(checkpoint, KEY) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pid", "1"),
        ("pid", True),
        ("pid", 0),
        ("pid", -1),
        ("pid", 2**40),
        ("pid", None),
        ("host", None),
        ("host", ["a"]),
        ("started", float("nan")),
        ("started", float("inf")),
        ("started", 10**400),
        ("updated", "now"),
        ("updated", 1e300),
        ("n_done", -1),
        ("n_done", 1.5),
        ("n_total", 10**100),
        ("metric", 3),
        ("best_score", "high"),
        ("best_score", True),
        ("best_score", 10**400),
        ("best_parameters", []),
        ("best_parameters", {"alpha": 1}),
        ("seconds_left", -1),
        ("seconds_left", 1e300),
        ("workers", 3),
        ("workers", None),
        ("workers", [3]),
        ("workers", {"number": 1}),
        ("workers", [{}]),
        ("workers", [{"number": "1"}]),
        ("workers", [{"number": 1, "parameters": None}]),
        ("workers", [{"number": 1, "epoch": float("nan")}]),
    ],
)
def test_a_field_of_the_wrong_type_counts_as_none(
    checkpoint, status, file, name, value
):
    """Who shows a status need not check it again."""
    file.write_text(json.dumps({**asdict(status), name: value}))
    assert read_status(checkpoint, KEY) is None


@pytest.mark.parametrize("missing", ["pid", "host", "updated", "n_total", "metric"])
def test_a_missing_field_counts_as_none(checkpoint, status, file, missing):
    """There is nothing to show in its place."""
    content = asdict(status)
    del content[missing]
    file.write_text(json.dumps(content))
    assert read_status(checkpoint, KEY) is None


def test_a_key_does_not_lead_out_of_the_directory(checkpoint, status, tmp_path):
    """Keys come from checkpoints, which may be anybody's."""
    (tmp_path / "other.status").write_text(json.dumps(asdict(status)))
    assert read_status(checkpoint, "../other") is None
    assert read_status(checkpoint, "") is None
    assert read_status(checkpoint, "a\0b") is None


def test_a_link_or_a_pipe_in_its_place_is_not_followed(
    checkpoint, status, file, tmp_path
):
    """A pipe that nobody writes to would keep the reader for ever."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(json.dumps(asdict(status)))
    file.symlink_to(elsewhere)
    assert read_status(checkpoint, KEY) is None
    file.unlink()
    os.mkfifo(file)
    assert read_status(checkpoint, KEY) is None
    aside = file.with_name(f"{file.name}.new")
    aside.symlink_to(elsewhere)
    write_status(checkpoint, KEY, replace(status, n_done=7))
    assert json.loads(elsewhere.read_text())["n_done"] == status.n_done


def test_a_status_that_cannot_be_written_is_skipped(checkpoint, status, file):
    """The last one stays, whole, and the search goes on."""
    write_status(checkpoint, KEY, status)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        write_status(checkpoint, KEY, replace(status, n_done=5))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert read_status(checkpoint, KEY) == status
    assert list(file.parent.iterdir()) == [file]


def test_a_directory_that_is_not_there_is_no_error(tmp_path, status):
    """It may have been deleted while the search runs."""
    write_status(tmp_path / "gone" / "checkpoint.sqlite", KEY, status)
    remove_status(tmp_path / "gone" / "checkpoint.sqlite", KEY)
    assert read_status(tmp_path / "gone" / "checkpoint.sqlite", KEY) is None
