"""What the command line tells about searches."""

import csv
import io
import json
import os
import socket
import time

import numpy as np
import pytest

from resumable_search import ResumableGridSearchCV, read_results
from resumable_search._checkpoint.locks import SearchLock
from resumable_search._checkpoint.reader import CheckpointReader
from resumable_search._checkpoint.status_files import remove_status, write_status
from resumable_search._records import LiveStatus, LiveWorker
from tests import fakes
from tests.checkpoints import write_search
from tests.cli.conftest import search


def record_of(path, number):
    reader = CheckpointReader(path)
    try:
        return next(s for s in reader.searches() if s.number == number)
    finally:
        reader.close()


@pytest.fixture
def running(checkpoint):
    """Let this process hold search 1 and say how it is."""
    key = record_of(checkpoint, 1).key
    lock = SearchLock(checkpoint, key)
    lock.acquire()
    now = time.time()
    worker = LiveWorker(
        number=0,
        pid=os.getpid(),
        device="GPU-0123456789abcdef",
        candidate=1,
        split=1,
        started=now - 90,
        epoch=3,
        n_epochs=10,
    )
    status = LiveStatus(
        pid=os.getpid(),
        host=socket.gethostname(),
        started=now,
        updated=now,
        n_total=4,
        n_done=4,
        n_resumed=3,
        n_failed=0,
        metric="score",
        seconds_left=130.0,
        workers=(worker, LiveWorker(number=1)),
    )
    write_status(checkpoint, key, status)
    yield checkpoint
    remove_status(checkpoint, key)
    lock.release()


def test_status_tells_of_the_search_that_was_started_last(cli, checkpoint):
    """Its folds, its candidates and the best one."""
    lines = cli("status", checkpoint).stdout.splitlines()
    facts = dict(line.split("  ", 1) for line in lines)
    facts = {name: value.strip() for name, value in facts.items()}
    assert facts["search 2"].startswith("ResumableGridSearchCV of ")
    assert facts["folds"] == "4 of 6 done, 2 failed"
    assert facts["candidates"] == "2 of 3 complete"
    assert facts["state"].startswith("finished; fit it again to try the failed folds")
    assert "value=2" in facts["best so far"]


def test_status_of_an_earlier_search(cli, checkpoint):
    """By its number."""
    assert "4 of 4 done\n" in cli("status", checkpoint, "--search", 1).stdout


def test_status_as_json_has_the_best_of_cv_results(cli, checkpoint):
    """To the last bit, although it is computed without scikit-learn."""
    status = json.loads(cli("status", checkpoint, "--json").stdout)
    results = read_results(checkpoint)
    best = int(np.nanargmax(results["mean_test_score"]))
    assert status["best"] == {
        "candidate": best,
        "mean_test_score": results["mean_test_score"][best],
        "std_test_score": results["std_test_score"][best],
        "params": {"value": 2.0},
    }
    assert (status["n_done"], status["n_failed"], status["n_folds"]) == (4, 2, 6)
    assert status["state"] == "finished"
    assert status["process"] is None


def two_scores(estimator, X, y):
    """Score by two metrics, as one function."""
    return {"up": estimator.value, "down": -estimator.value}


@pytest.mark.parametrize(
    ("scoring", "refit", "metric", "best"),
    [
        (["accuracy", "f1"], False, "accuracy", 0),
        (two_scores, "down", "down", 0),
        (two_scores, "up", "up", 1),
    ],
)
def test_the_best_candidate_is_that_of_the_deciding_metric(
    cli, tmp_path, log, scoring, refit, metric, best
):
    """Of the first one, where none decides."""
    path = tmp_path / "metrics.sqlite"
    search(path, log, [1.0, 2.0], scoring=scoring, refit=refit)
    status = json.loads(cli("status", path, "--json").stdout)
    assert (status["metric"], status["best"]["candidate"]) == (metric, best)
    first = json.loads(cli("results", path, "--json").stdout)[0]
    assert first["candidate"] == best


def test_status_of_a_running_search_has_a_line_for_each_worker(cli, running):
    """Device, candidate, split, time and epoch; the time that is left."""
    lines = cli("status", running, "--search", 1).stdout.splitlines()
    state = next(line for line in lines if line.startswith("state"))
    assert f"process {os.getpid()} on {socket.gethostname()}" in state
    assert "folds        4 of 4 done, 3 of them resumed" in lines
    assert "time left    about 0:02:10" in lines
    first, second = lines[-2:]
    assert first.split()[:4] == ["0", "GPU-01234567", "1", "1"]
    assert "3 of 10  value=2" in first
    assert second.split() == ["1", "CPU", "no", "process"]


def test_a_running_search_as_json(cli, running):
    """Workers with their whole device and times."""
    status = json.loads(cli("status", running, "--search", 1, "--json").stdout)
    assert status["state"] == "running"
    assert status["process"] == {"pid": os.getpid(), "host": socket.gethostname()}
    assert status["n_resumed"] == 3
    worker = status["workers"][0]
    assert worker["device"] == "GPU-0123456789abcdef"
    assert (worker["epoch"], worker["n_epochs"]) == (3, 10)
    assert worker["seconds"] >= 90


def test_list_has_a_line_for_each_search(cli, running):
    """The one that was started last first."""
    rows = [line.split() for line in cli("list", running).stdout.splitlines()]
    assert rows[0] == [
        *("search", "state", "folds", "failed", "started", "class", "estimator")
    ]
    assert [row[:4] for row in rows[1:]] == [
        ["2", "finished", "4/6", "2"],
        ["1", "running", "4/4", "0"],
    ]
    listed = json.loads(cli("list", running, "--json").stdout)
    assert [s["search"] for s in listed] == [2, 1]
    assert listed[0]["n_failed"] == 2


def test_results_come_best_first_and_incomplete_ones_last(cli, checkpoint):
    """Numbers in the table are of cv_results_."""
    lines = cli("results", checkpoint).stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["2", "2/2"],
        ["0", "2/2"],
        ["1", "0/2"],
    ]
    assert len(cli("results", checkpoint, "--top", 1).stdout.splitlines()) == 2


def test_results_as_json_are_cv_results(cli, checkpoint):
    """NaN is null; parameters are one object."""
    records = json.loads(cli("results", checkpoint, "--json").stdout)
    expected = read_results(checkpoint)
    assert [r["candidate"] for r in records] == [2, 0, 1]
    for record in records:
        i = record["candidate"]
        assert record["params"] == expected["params"][i]
        for name in ("split0_test_score", "mean_fit_time", "rank_test_score"):
            value = expected[name][i]
            assert record[name] == (None if np.isnan(value) else value)


def test_results_as_csv_are_cv_results(cli, checkpoint):
    """Floats come back bit for bit; what is missing is empty."""
    text = cli("results", checkpoint, "--csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    expected = read_results(checkpoint)
    assert [row["candidate"] for row in rows] == ["2", "0", "1"]
    assert float(rows[0]["mean_fit_time"]) == expected["mean_fit_time"][2]
    assert rows[2]["mean_test_score"] == ""
    assert {"param_value", "n_completed", "std_score_time"} <= set(rows[0])


def test_results_with_columns_of_choice(cli, checkpoint):
    """In the order that was asked for, in a table and in JSON."""
    wanted = "param_value,split1_test_score"
    lines = cli("results", checkpoint, "--columns", wanted).stdout.splitlines()
    assert lines[0].split() == ["param_value", "split1_test_score"]
    text = cli("results", checkpoint, "--columns", wanted, "--json").stdout
    assert list(json.loads(text)[0]) == ["param_value", "split1_test_score"]
    everything = cli("results", checkpoint, "--all-columns").stdout
    assert "std_score_time" in everything.splitlines()[0]


def test_results_by_another_metric(cli, tmp_path, log):
    """Its best candidate comes first."""
    path = tmp_path / "metrics.sqlite"
    search(path, log, [1.0, 2.0], scoring=two_scores, refit="up")
    assert [
        json.loads(cli("results", path, "--json", "--sort", name).stdout)[0][
            "candidate"
        ]
        for name in ("up", "down", "mean_test_down")
    ] == [1, 0, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sort", "f1"], "There is no metric 'f1'. There are: score."),
        (["--columns", "score"], "There is no column 'score'. There are: candidate,"),
        (["--csv", "--json"], "--csv and --json exclude each other."),
        (["--top", "0"], "0 is not in the range x>=1."),
    ],
    ids=str,
)
def test_wrong_usage_is_exit_code_2(cli, checkpoint, arguments, message):
    """It says what there is."""
    result = cli("results", checkpoint, *arguments, code=2)
    assert message in result.stderr
    assert result.stdout == ""


class ManyParameters(fakes.Logged):
    """Has more parameters than a line has room for."""

    def __init__(
        self, log, value=0.0, seconds=0.0, the_first_of_them="", the_second_of_them=""
    ):
        super().__init__(log, value, seconds)
        self.the_first_of_them = the_first_of_them
        self.the_second_of_them = the_second_of_them


@pytest.mark.parametrize("command", ["results", "status"])
def test_long_parameters_are_broken_at_eighty_columns(cli, tmp_path, log, command):
    """No line is longer, and no parameter is lost."""
    path = tmp_path / "wide.sqlite"
    X, y = np.zeros((8, 1)), np.array([0, 1] * 4)
    grid = {"the_first_of_them": ["a" * 50], "the_second_of_them": ["b" * 50]}
    ResumableGridSearchCV(
        ManyParameters(log), grid, cv=2, refit=False, checkpoint=path
    ).fit(X, y)
    lines = cli(command, path, env={"COLUMNS": "80"}).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    together = "".join("".join(line.split()) for line in lines)
    assert f"the_first_of_them={'a' * 50}," in together
    assert f"the_second_of_them={'b' * 50}" in together


NUMBERS = {"accuracy": 0.123456, "neg_log_loss": -0.654321}
LONG = {"the_first_of_them": "a" * 30, "the_second_of_them": "b" * 30}


@pytest.fixture
def two_metrics(tmp_path):
    """Give a file with a search of two metrics, of which one candidate is known."""
    path = tmp_path / "metrics.sqlite"
    scores = {(0, 0): NUMBERS, (0, 1): NUMBERS}
    write_search(path, [LONG], scores, n_splits=2, scorers=[*NUMBERS], n_candidates=16)
    return path


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [
        (120, ["mean accuracy", "std accuracy", "mean neg_log_loss"], []),
        (100, ["std accuracy", "mean neg_log_loss"], ["std neg_log_loss"]),
        (60, ["mean accuracy"], ["std accuracy", "mean neg_log_loss"]),
    ],
)
def test_columns_give_way_to_parameters(cli, two_metrics, width, shown, left_out):
    """A line says which; no number is cut."""
    lines = cli("results", two_metrics, env={"COLUMNS": str(width)}).stdout.splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(lines)
    assert all(heading in lines[0] for heading in shown)
    assert not any(heading in lines[0] for heading in left_out)
    assert ("Left out: " in text) == bool(left_out)
    assert all(heading in text.partition("Left out: ")[2] for heading in left_out)
    assert len(lines[1]) - lines[1].index("the_first") >= 17
    assert "0.123456" in lines[1]
    assert ("-0.654321" in lines[1]) == ("mean neg_log_loss" in shown)


@pytest.mark.parametrize("width", [36, 20])
def test_where_no_table_has_room_each_cell_has_a_line(cli, two_metrics, width):
    """All is there, and digits stay whole."""
    env = {"COLUMNS": str(width)}
    lines = cli("results", two_metrics, env=env).stdout.splitlines()
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert {"2/2", "0.123456", "-0.654321"} <= set(words)
    listed = cli("list", two_metrics, env=env).stdout
    assert "folds      2/32\n" in listed
    assert "GridSearchCV" in "".join(listed.split())


def test_results_tell_of_candidates_to_come(cli, two_metrics, checkpoint):
    """Below a table and apart from it; other formats are for programs."""
    result = cli("results", two_metrics)
    assert result.stderr == "15 more candidates to come.\n"
    assert cli("results", two_metrics, "--all-columns").stderr == result.stderr
    assert cli("results", two_metrics, "--csv").stderr == ""
    assert cli("results", two_metrics, "--json").stderr == ""
    assert cli("results", checkpoint).stderr == ""


def test_errors_show_the_same_traceback_once(cli, checkpoint):
    """With a line for each fold that ended in it."""
    text = cli("errors", checkpoint).stdout
    assert text.startswith("2 folds failed with:\n")
    assert text.count("Traceback") == 1
    assert "RuntimeError: [red]too much[/red]\n" in text
    rows = [line.split() for line in text.splitlines()[-2:]]
    assert [row[:3] for row in rows] == [["1", "0", "1"], ["1", "1", "1"]]
    assert all(row[-1] == "value=3" for row in rows)


def test_errors_as_json(cli, checkpoint):
    """Grouped in the same way."""
    (group,) = json.loads(cli("errors", checkpoint, "--json").stdout)
    assert group["count"] == 2
    assert group["error"].endswith("RuntimeError: [red]too much[/red]\n")
    assert [fold["split"] for fold in group["folds"]] == [0, 1]
    assert group["folds"][0]["params"] == {"value": 3.0}


def test_no_errors(cli, checkpoint):
    """Says so, and that is well."""
    text = cli("errors", checkpoint, "--search", 1).stdout
    assert text == "No fold of search 1 has failed.\n"


def test_two_searches_are_compared_part_by_part(cli, checkpoint, log):
    """What is not the same, in words or for other programs."""
    search(checkpoint, log, [1.0, 2.0], cv=3)
    assert cli("why", checkpoint, 1, 3).stdout == "splitter 'cv': 2 -> 3\n"
    (change,) = json.loads(cli("why", checkpoint, 3, 1, "--json").stdout)
    assert (change["part"], change["before"], change["after"]) == ("splitter", "3", "2")
    assert "nothing but their candidates" in cli("why", checkpoint, 1, 1).stdout
    assert "code of estimator" in cli("why", checkpoint, 1, 2).stdout


def test_searches_to_compare_must_be_two_that_are_there(cli, checkpoint):
    """Anything else says what is wrong."""
    assert "A B" in cli("why", checkpoint, 1, code=2).stderr
    assert "no search with the number 7" in cli("why", checkpoint, 1, 7, code=1).stderr
