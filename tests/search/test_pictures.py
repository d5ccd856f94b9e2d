"""Pictures show what the checkpoint knows, and say what they leave out."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC

from resumable_search import (
    CandidateComparisonDisplay,
    CheckpointError,
    ResumableGridSearchCV,
    SearchProgressDisplay,
)
from tests.checkpoints import all_folds, write_search
from tests.fakes import Raises

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def no_figure_left():
    """Close all figures after each test."""
    yield
    plt.close("all")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.sqlite"


def fold_times(*times):
    """Give folds of one candidate each, from pairs (started, finished)."""
    n = len(times)
    return {
        "candidate": np.arange(n),
        "split": np.zeros(n, int),
        "started": np.array([start for start, _ in times], float),
        "finished": np.array([end for _, end in times], float),
        "worker": np.zeros(n, int),
        "device": np.full(n, ""),
        "failed": np.zeros(n, bool),
    }


def legend(display):
    found = display.ax_.get_legend()
    return [text.get_text() for text in found.get_texts()] if found else []


def note(display):
    return display.ax_.get_legend().get_title().get_text()


# ---------------------------------------------------------------------------
# Progress


def test_a_fitted_search_is_drawn_as_its_cv_results(iris):
    """Each candidate's mean score, and the best one so far, of this search."""
    search = ResumableGridSearchCV(SVC(), {"C": [0.1, 1.0, 10.0]}, cv=3).fit(*iris)
    ResumableGridSearchCV(SVC(), {"gamma": [0.1]}, cv=3).fit(*iris)
    display = SearchProgressDisplay.from_search(search)
    drawn = sorted(display.points_.get_offsets()[:, 1].tolist())
    np.testing.assert_allclose(drawn, sorted(search.cv_results_["mean_test_score"]))
    assert display.line_.get_ydata()[-1] == pytest.approx(search.best_score_)
    assert display.figure_ is display.ax_.figure


def test_a_search_that_ended_in_an_error_is_drawn_as_far_as_it_came(data, log):
    """Its checkpoint has what was finished before."""
    search = ResumableGridSearchCV(
        Raises(log), {"value": [1.0, 2.0, -1.0]}, cv=2, error_score="raise"
    )
    with pytest.raises(RuntimeError, match=r"no fit with -1\.0"):
        search.fit(*data)
    display = SearchProgressDisplay.from_search(search)
    assert len(display.points_.get_offsets()) == 2
    assert len(display.failed_.get_xdata()) >= 1


def test_the_best_score_never_falls(path):
    """Whatever comes after it."""
    scores = all_folds(3, score=lambda c, s: [0.5, 0.9, 0.1][c])
    write_search(path, [{"a": i} for i in range(3)], scores)
    display = SearchProgressDisplay.from_checkpoint(path)
    assert display.line_.get_ydata().tolist() == [0.5, 0.9, 0.9, 0.9]


def test_candidates_that_miss_a_fold_have_no_point_and_failures_are_marked(path):
    """One has failed in a fold, one waits for one, one has scored NaN."""
    scores = all_folds(4) | {(1, 2): None, (3, 0): float("nan")}
    del scores[2, 0]
    write_search(path, [{"a": i} for i in range(4)], scores)
    display = SearchProgressDisplay.from_checkpoint(path)
    assert len(display.points_.get_offsets()) == 1
    assert len(display.failed_.get_xdata()) == 1
    assert "failed fold (1)" in legend(display)


def test_a_search_in_which_all_failed_is_drawn_without_scores(path):
    """There is no best one."""
    write_search(path, [{"a": 1}], all_folds(1, score=lambda c, s: None))
    display = SearchProgressDisplay.from_checkpoint(path)
    assert display.line_ is None
    assert legend(display) == ["failed fold (3)"]


def test_a_pause_is_cut_out_and_marked():
    """The night between two runs takes no room; it can be kept."""
    folds = fold_times((0, 30), (31, 60), (28_860, 28_900))
    display = SearchProgressDisplay(folds=folds, scores=np.ones((3, 1))).plot()
    assert display.points_.get_offsets()[:, 0].tolist() == [30, 60, 100]
    assert [line.get_xdata()[0] for line in display.pauses_] == [60]
    assert "pause cut out (8 h)" in legend(display)
    display.plot(pauses="keep")
    assert display.pauses_ == []
    assert display.points_.get_offsets()[-1, 0] == pytest.approx(28_900 / 3600)


def test_each_worker_has_its_row_of_folds(path):
    """The device is in the label; places that changed their device have two rows."""
    scores = all_folds(3) | {(1, 1): None}
    write_search(path, [{"a": i} for i in range(3)], scores)
    display = SearchProgressDisplay.from_checkpoint(path, kind="workers")
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["worker 0", "worker 1\nGPU-8f3a1c2d"]
    assert [len(bars.get_paths()) for bars in display.bars_] == [6, 3]
    assert legend(display) == [
        *("candidate 0", "candidate 1", "candidate 2"),
        "failed fold (1)",
    ]
    display.plot(kind="workers", color_by="split")
    assert legend(display)[:2] == ["split 0", "split 1"]


def test_one_of_several_metrics_is_drawn(path):
    """The one that decides, unless another is named."""
    scores = all_folds(2, score=lambda c, s: {"accuracy": 0.5, "f1": 0.25})
    write_search(path, [{"a": 0}, {"a": 1}], scores, scorers=["accuracy", "f1"])
    display = SearchProgressDisplay.from_checkpoint(path)
    assert display.ax_.get_ylabel() == "Mean test accuracy over 3 folds"
    display = SearchProgressDisplay.from_checkpoint(path, metric="f1")
    assert display.line_.get_ydata()[-1] == 0.25
    with pytest.raises(ValueError, match="must be one of 'accuracy', 'f1'"):
        SearchProgressDisplay.from_checkpoint(path, metric="recall")


def test_a_picture_is_drawn_on_given_axes(path):
    """No figure is made for it."""
    write_search(path, [{"a": 0}], all_folds(1))
    _, (left, right) = plt.subplots(1, 2)
    assert SearchProgressDisplay.from_checkpoint(path, ax=left).ax_ is left
    assert CandidateComparisonDisplay.from_checkpoint(path, ax=right).ax_ is right
    assert len(plt.get_fignums()) == 1


# ---------------------------------------------------------------------------
# Comparison


GRID = [{"a": a, "b": b} for a in (1, 10, 100) for b in ("x", "y")]


def test_the_best_candidate_of_each_value_is_connected_the_others_are_points(path):
    """An average over the other parameter would depend on what was tried."""
    write_search(path, GRID, all_folds(6))
    display = CandidateComparisonDisplay.from_checkpoint(path, parameters="a")
    (line, _, _) = display.lines_[0]
    assert line.get_xdata().tolist() == [1, 10, 100]
    np.testing.assert_allclose(line.get_ydata(), [0.1, 0.3, 0.5])
    np.testing.assert_allclose(display.points_.get_offsets()[:, 1], [0, 0.2, 0.4])


def test_the_spread_over_folds_is_the_standard_deviation_of_cv_results(iris):
    """And there is none where there is one fold."""
    search = ResumableGridSearchCV(SVC(), {"C": [0.1, 10.0]}, cv=3).fit(*iris)
    display = CandidateComparisonDisplay.from_search(search)
    _, _, (bars,) = display.lines_[0]
    drawn = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
    np.testing.assert_allclose(drawn, search.cv_results_["std_test_score"])
    single = CandidateComparisonDisplay(
        parameters=["a"], candidates=[{"a": 1}], scores=np.array([[0.5]])
    ).plot()
    assert single.lines_[0].has_yerr is False
    assert single.ax_.get_ylabel() == "Mean test score"


@pytest.mark.parametrize(
    ("values", "scale"),
    [([0.001, 0.1], "log"), ([32, 64, 128], "linear"), ([0, 100], "linear")],
    ids=str,
)
def test_an_axis_is_logarithmic_where_values_span_decades(path, values, scale):
    """Two of them at least, and no zero."""
    write_search(path, [{"a": v} for v in values], all_folds(len(values)))
    display = CandidateComparisonDisplay.from_checkpoint(path)
    assert display.ax_.get_xscale() == scale


def test_values_that_are_no_numbers_are_categories_with_no_line_between(path):
    """Numbers among them come first."""
    values = ["auto", None, 10, True, 2]
    write_search(path, [{"a": v} for v in values], all_folds(5))
    display = CandidateComparisonDisplay.from_checkpoint(path)
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["2", "10", "auto", "None", "True"]
    assert display.lines_[0][0].get_linestyle() == "None"


def test_two_parameters_make_a_heat_map_of_the_best_candidates(path):
    """A cell in which there is no candidate is empty."""
    grid = [{**c, "c": c2} for c in GRID[:-1] for c2 in (0, 1)]
    write_search(path, grid, all_folds(len(grid)))
    display = CandidateComparisonDisplay.from_checkpoint(path, parameters=["a", "b"])
    cells = display.image_.get_array()
    np.testing.assert_allclose(
        np.ma.filled(cells, np.nan), [[0.1, 0.5, 0.9], [0.3, 0.7, np.nan]]
    )
    (colorbar,) = (ax for ax in display.figure_.axes if ax is not display.ax_)
    assert colorbar.get_ylabel().endswith("best over the other parameters")


def test_two_parameters_make_a_line_for_each_value_of_the_second(path):
    """Where lines are asked for, and can be told apart."""
    write_search(path, GRID, all_folds(6))
    display = CandidateComparisonDisplay.from_checkpoint(path, kind="lines")
    assert legend(display) == ["b = x", "b = y"]
    many = [{"a": i % 2, "b": i} for i in range(12)]
    write_search(path, many, all_folds(12), key="02")
    with pytest.raises(ValueError, match="each of the 12 values of 'b'; 10 can be"):
        CandidateComparisonDisplay.from_checkpoint(path, kind="lines")


def test_values_that_never_repeat_make_points(path):
    """As those that were drawn from distributions."""
    rng = np.random.default_rng(0)
    candidates = [{"a": rng.random(), "b": rng.random()} for _ in range(300)]
    write_search(path, candidates, all_folds(300, 1), n_splits=1)
    display = CandidateComparisonDisplay.from_checkpoint(path)
    assert display.image_ is None
    assert len(display.points_.get_offsets()) == 300
    display = CandidateComparisonDisplay.from_checkpoint(path, parameters="a")
    assert len(display.points_.get_offsets()) == 300


def test_it_says_how_many_candidates_are_not_shown(path):
    """And why: incomplete ones, and those of another grid."""
    candidates = [{"a": 1}, {"a": 2}, {"a": 3}, {"b": 4}]
    scores = all_folds(4) | {(1, 0): None}
    write_search(path, candidates, scores)
    display = CandidateComparisonDisplay.from_checkpoint(path, parameters="a")
    assert display.n_left_out_ == 2
    assert note(display) == (
        "2 candidates; not shown: 1 without scores of all folds, 1 without the "
        "parameter"
    )


def test_parameters_have_to_be_named_where_more_than_two_vary(path):
    """The message names them."""
    write_search(path, [{"a": i, "b": i, "c": i} for i in (1, 2)], all_folds(2))
    with pytest.raises(ValueError, match=r"varies 3 parameters.*'a', 'b', 'c'"):
        CandidateComparisonDisplay.from_checkpoint(path)
    with pytest.raises(ValueError, match=r"must name parameters.*Got 'd' instead"):
        CandidateComparisonDisplay.from_checkpoint(path, parameters="d")
    with pytest.raises(ValueError, match=r"needs two parameters\. Got one: 'a'"):
        CandidateComparisonDisplay.from_checkpoint(path, parameters="a", kind="heatmap")


def test_texts_are_shown_as_they_are(path):
    """A dollar begins no formula; long and many-lined texts are cut."""
    texts = ["$\\frac{a}$", "two\nlines\x07", "x" * 200]
    write_search(path, [{"$a$": text} for text in texts], all_folds(3))
    display = CandidateComparisonDisplay.from_checkpoint(path)
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels[:2] == [r"\$\frac{a}\$", "two lines?"]
    assert len(labels[2]) == 24
    display.figure_.canvas.draw()  # a formula that is none would be an error here


# ---------------------------------------------------------------------------
# Nothing to draw


def test_nothing_to_draw_is_an_error_that_says_so(path):
    """No file, no candidate, no fold, no complete candidate."""
    with pytest.raises(CheckpointError, match="does not exist"):
        SearchProgressDisplay.from_checkpoint(path)
    write_search(path, [], {}, key="01")
    with pytest.raises(ValueError, match="has no candidates yet"):
        CandidateComparisonDisplay.from_checkpoint(path)
    write_search(path, [{"a": 1}], {}, key="02")
    with pytest.raises(ValueError, match="No fold of this search has ended yet"):
        SearchProgressDisplay.from_checkpoint(path)
    with pytest.raises(ValueError, match="None of the 1 candidates has all its folds"):
        CandidateComparisonDisplay.from_checkpoint(path)
    assert plt.get_fignums() == []


@pytest.mark.parametrize("display", [SearchProgressDisplay, CandidateComparisonDisplay])
def test_a_search_that_knows_no_checkpoint_cannot_be_drawn(display):
    """It was not fitted, or is scikit-learn's own."""
    with pytest.raises(NotFittedError, match="'fit' was not called, or failed before"):
        display.from_search(ResumableGridSearchCV(SVC(), {"C": [1]}))
    with pytest.raises(TypeError, match="Got GridSearchCV instead"):
        display.from_search(GridSearchCV(SVC(), {"C": [1]}))


@pytest.mark.parametrize("wrong", ["kind", "color_by", "pauses"])
def test_a_wrong_word_is_named(path, wrong):
    """With those that are right."""
    write_search(path, [{"a": 1}], all_folds(1))
    with pytest.raises(ValueError, match=f"The '{wrong}' parameter of plot must be"):
        SearchProgressDisplay.from_checkpoint(path, **{wrong: "sideways"})
    with pytest.raises(ValueError, match="must be one of 'auto', 'lines'"):
        CandidateComparisonDisplay.from_checkpoint(path, kind="sideways")


def test_without_matplotlib_the_message_says_how_to_install_it(path, script):
    """The package can be imported without it, and asks for it when it draws."""
    write_search(path, [{"a": 1}], all_folds(1))
    process = script(
        """
        import sys
        sys.modules["matplotlib"] = None
        from resumable_search import SearchProgressDisplay
        SearchProgressDisplay.from_checkpoint(sys.argv[1])
        """,
        path,
    )
    _, errors = process.communicate(timeout=60)
    assert "SearchProgressDisplay requires matplotlib. You can install it" in errors
    assert "'pip install matplotlib'" in errors
