"""Optuna's dashboard shows the candidates as trials, to read only."""

import json

import pytest

from resumable_search._records import LiveWorker
from tests.checkpoints import all_folds, write_search
from tests.dashboard.test_page import say

pytest.importorskip("optuna_dashboard")

GRID = [{"a": 1}, {"a": 2}, {"a": 3}, {"a": 400}]


def trials(client):
    return client.json("/api/studies/0")["trials"]


def test_a_candidate_is_a_trial_with_its_mean_score_and_its_folds(path, dashboard):
    """Complete, failed, or still to be done."""
    scores = all_folds(3) | {(1, 1): None}
    write_search(path, GRID, scores)
    found = trials(dashboard())
    states = [trial["state"] for trial in found]
    assert states == ["Complete", "Fail", "Complete", "Waiting"]
    assert found[2]["values"] == [pytest.approx(0.2)]
    assert [v["value"] for v in found[2]["intermediate_values"]] == [0.2] * 3
    assert {"key": "error", "value": "Traceback: ValueError: no"} in (
        found[1]["user_attrs"]
    )
    assert found[2]["datetime_start"] < found[2]["datetime_complete"]


def test_a_candidate_of_which_folds_run_is_running(path, dashboard):
    """As the status says; between two of its folds too."""
    write_search(path, GRID, {(0, 0): 0.5})
    say(path, workers=(LiveWorker(number=0, candidate=1, split=0),))
    states = [trial["state"] for trial in trials(dashboard())]
    assert states == ["Running", "Running", "Waiting", "Waiting"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 400], ("IntDistribution", {"low": 1, "high": 400, "log": True})),
        ([1, 2.5], ("FloatDistribution", {"low": 1.0, "high": 2.5, "log": False})),
        ([0, 1000], ("IntDistribution", {"low": 0, "log": False})),
        ([None, 3, "auto", True], ("CategoricalDistribution", {})),
        ([float("nan"), 1.0], ("CategoricalDistribution", {})),
        ([2**80, 1], ("CategoricalDistribution", {})),
        (["<b>"], ("CategoricalDistribution", {})),
    ],
    ids=str,
)
def test_the_space_is_inferred_from_the_values(path, dashboard, values, expected):
    """Numbers have a range, over two decades a logarithmic one; others are choices."""
    write_search(path, [{"a": v} for v in values], all_folds(len(values)))
    (space,) = dashboard().json("/api/studies/0")["union_search_space"]
    kind, fields = expected
    assert space["distribution"]["type"] == kind
    assert space["distribution"].items() >= fields.items()


def test_names_and_values_are_shown_spelled_out(path, dashboard):
    """As on the page: nothing in them changes the direction of writing."""
    evil = "\u202eevil\x1b"
    write_search(path, [{evil: evil}, {evil: "b"}], all_folds(2), scorers=[evil])
    (trial, _) = trials(dashboard())
    (parameter,) = trial["params"]
    told = r"\u202eevil\x1b"
    assert (parameter["name"], parameter["param_external_value"]) == (told, told)


def test_a_mean_that_is_no_number_is_a_failure(path, dashboard):
    """Optuna knows no complete trial without a value."""
    write_search(path, GRID[:1], all_folds(1, score=lambda c, s: float("nan")))
    (trial,) = trials(dashboard())
    assert trial["state"] == "Fail"


def test_a_failed_candidate_that_is_run_again_begins_a_new_life(path, dashboard):
    """An open page keeps finished trials as it saw them, so it has to know."""
    write_search(path, GRID, {**all_folds(1), (0, 2): None})
    client = dashboard()
    before = client.json("/life.json")
    assert trials(client)[0]["state"] == "Fail"
    write_search(path, GRID, {(1, 0): 0.5})
    assert client.json("/life.json") == before
    write_search(path, GRID, {(0, 2): 0.5})
    assert client.json("/life.json") != before
    assert trials(client)[0]["state"] == "Complete"


def test_no_route_that_changes_something_is_reached(path, dashboard):
    """Each one that Optuna's dashboard has."""
    import optuna
    from optuna_dashboard import wsgi

    write_search(path, GRID, all_folds(4))
    client = dashboard()
    before = path.read_bytes(), trials(client)
    refused = 0
    for route in wsgi(optuna.storages.InMemoryStorage()).routes:
        if route.method != "GET":
            address = route.rule
            for part in ("<study_id:int>", "<trial_id:int>", "<history_id>"):
                address = address.replace(part, "0")
            address = address.partition("<")[0]
            assert client.ask(address, method=route.method)[0] == 405, route
            refused += 1
    assert refused > 10
    assert (path.read_bytes(), trials(client)) == before


def test_the_storage_refuses_to_be_changed():
    """Whoever comes to it."""
    import optuna

    from resumable_search._dashboard.trials import ReadOnlyStorage

    storage = ReadOnlyStorage("a search", "score")
    study = optuna.load_study(study_name="a search", storage=storage)
    for change in (
        lambda: study.ask(),
        lambda: study.set_user_attr("a", 1),
        lambda: optuna.delete_study(study_name="a search", storage=storage),
        lambda: optuna.create_study(storage=storage),
    ):
        with pytest.raises(RuntimeError, match="only read here"):
            change()


def test_the_two_pages_lead_to_each_other(path, dashboard):
    """Scripts of the addition are files: the page's policy allows no others."""
    write_search(path, GRID, all_folds(4))
    client = dashboard()
    code, headers, body = client.ask("/dashboard/studies/0")
    assert code == 200
    assert b'<a id="to-search" href="/">' in body
    assert "unsafe-inline" not in headers["Content-Security-Policy"].split("script")[1]
    assert int(headers["Content-Length"]) == len(body)
    assert b'href="/dashboard/studies/0"' in client.ask("/")[2]
    assert client.ask("/page/plots.js")[0] == 200


def test_other_endpoints_that_read_work(path, dashboard):
    """The list of studies, what matters, and the table."""
    write_search(path, [{"a": i, "b": i % 2} for i in range(8)], all_folds(8))
    client = dashboard()
    (study,) = client.json("/api/studies")["study_summaries"]
    assert study["study_name"] == "ResumableGridSearchCV, search 1"
    assert study["directions"] == ["maximize"]
    assert client.json("/api/studies/0")["objective_names"] == ["score"]
    assert client.json("/api/studies/0/param_importances")["param_importances"]
    assert client.ask("/csv/0")[2].startswith(b"Number,State,score,Param a")
    assert json.dumps(client.json("/api/meta"))
