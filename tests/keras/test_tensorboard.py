"""What TensorBoard reads of a search: curves of fits, parameters and scores."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from resumable_search import ResumableGridSearchCV, ResumableSearchWarning
from resumable_search._engine import slots
from resumable_search._records import EpochEvent
from resumable_search.keras import KerasClassifier
from tests.fakes import Raises

pytest.importorskip("tensorboard")

from tensorboard.backend.event_processing import (
    data_provider,
    plugin_event_multiplexer,
)
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import (
    api_pb2,
    backend_context,
    get_experiment,
    list_session_groups,
)

from resumable_search._tensorboard.curves import FoldCurves
from resumable_search._tensorboard.names import candidate_name


def curve(directory, tag="epoch_loss"):
    """Give step -> value, as TensorBoard reads a directory; fail if a step is twice."""
    accumulator = EventAccumulator(str(directory))
    accumulator.Reload()
    points = [(item.step, item.value) for item in accumulator.Scalars(tag)]
    assert len(dict(points)) == len(points)
    return dict(points)


class Page:
    """The HParams page, as TensorBoard's own server makes it of the files."""

    def __init__(self, logdir):
        multiplexer = plugin_event_multiplexer.EventMultiplexer()
        multiplexer.AddRunsFromDirectory(str(logdir))
        multiplexer.Reload()
        provider = data_provider.MultiplexerDataProvider(multiplexer, str(logdir))
        context = backend_context.Context(base_plugin.TBContext(data_provider=provider))
        experiment = get_experiment.Handler(
            RequestContext(), context, "", api_pb2.GetExperimentRequest()
        ).run()
        self.columns = {info.name: info for info in experiment.hparam_infos}
        self.metrics = [info.name.tag for info in experiment.metric_infos]
        request = api_pb2.ListSessionGroupsRequest(
            allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE],
            slice_size=1000,
        )
        groups = list_session_groups.Handler(
            RequestContext(), context, "", request
        ).run()
        self.rows = [self._row(group) for group in groups.session_groups]

    @staticmethod
    def _row(group):
        row = {
            name: getattr(value, value.WhichOneof("kind"))
            for name, value in group.hparams.items()
        }
        row |= {value.name.tag: value.value for value in group.metric_values}
        (session,) = group.sessions
        return {**row, "status": api_pb2.Status.Name(session.status)}

    def column(self, name, **where):
        return [
            row.get(name)
            for row in self.rows
            if all(row[key] == value for key, value in where.items())
        ]


def search_directory(logdir):
    (directory,) = logdir.iterdir()
    return directory


def event_files(logdir):
    return {path: path.stat().st_mtime_ns for path in logdir.rglob("*tfevents*")}


# Parameters and scores


def test_the_table_has_the_candidates_of_any_estimator(iris, tmp_path):
    """Parameters with their types, the means of cv_results_, and that all went well."""
    search = ResumableGridSearchCV(
        SVC(),
        {"C": [0.5, 2], "gamma": ["scale", 0.1], "shrinking": [True]},
        scoring=["accuracy", "f1_macro"],
        refit=False,
        cv=2,
        return_train_score=True,
        tensorboard=tmp_path / "logs",
    ).fit(*iris)
    page = Page(tmp_path / "logs")
    results = search.cv_results_
    assert len(page.rows) == 4
    assert set(page.column("status")) == {"STATUS_SUCCESS"}
    for number, parameters in enumerate(results["params"]):
        where = {"C": parameters["C"], "gamma": str(parameters["gamma"])}
        for tag in ("mean_test_accuracy", "std_test_f1_macro", "mean_train_accuracy"):
            expected = pytest.approx(results[tag][number])
            assert page.column(tag, **where) == [expected]
    assert page.columns["C"].domain_interval.max_value == 2
    # One of its values is a number, the other is not: all are shown as text.
    assert list(page.columns["gamma"].domain_discrete) == ["0.1", "scale"]
    assert page.columns["shrinking"].type == api_pb2.DATA_TYPE_BOOL
    assert page.metrics[:2] == ["mean_test_accuracy", "std_test_accuracy"]


def test_scores_of_the_splits_are_a_curve_over_the_splits(iris, tmp_path):
    """The step is the number of the split."""
    search = ResumableGridSearchCV(
        SVC(), {"C": [1]}, cv=3, tensorboard=tmp_path / "logs"
    ).fit(*iris)
    (candidate,) = (
        path for path in search_directory(tmp_path / "logs").iterdir() if path.is_dir()
    )
    scores = [search.cv_results_[f"split{split}_test_score"][0] for split in range(3)]
    assert list(curve(candidate, "test_score").values()) == pytest.approx(scores)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores:UserWarning")
def test_a_candidate_with_a_failed_fold_is_marked(data, log, tmp_path):
    """Its mean is not a number, and stays out."""
    ResumableGridSearchCV(
        Raises(log),
        {"value": [-1.0, 1.0]},
        refit=False,
        cv=2,
        tensorboard=tmp_path / "logs",
    ).fit(*data)
    page = Page(tmp_path / "logs")
    assert page.column("status", value=-1.0) == ["STATUS_FAILURE"]
    assert page.column("mean_test_score", value=-1.0) == [None]
    assert page.column("status", value=1.0) == ["STATUS_SUCCESS"]
    assert page.column("mean_test_score", value=1.0) != [None]


def test_a_resumed_search_leaves_the_files_that_are_there(iris, tmp_path):
    """Those that were removed are written again, from the stored scores."""
    logs = tmp_path / "logs"
    search = ResumableGridSearchCV(
        SVC(), {"C": [1, 2]}, cv=2, refit=False, tensorboard=logs
    )
    search.fit(*iris)
    before, rows = event_files(logs), Page(logs).rows
    clone(search).fit(*iris)
    assert event_files(logs) == before
    for path in list(before)[1:]:
        path.unlink()
    resumed = clone(search).fit(*iris)
    assert resumed.resumption.n_run == 0
    assert Page(logs).rows == rows


def test_a_grown_grid_keeps_the_runs_of_its_candidates(iris, tmp_path):
    """A candidate is named by its parameters, which do not change as a number would."""
    logs = tmp_path / "logs"
    for grid in ([2], [1, 2, 4]):
        ResumableGridSearchCV(
            SVC(), {"C": grid}, cv=2, refit=False, tensorboard=logs
        ).fit(*iris)
    names = {
        path.name[:3] for path in search_directory(logs).iterdir() if path.is_dir()
    }
    assert names == {"C=1", "C=2", "C=4"}
    page = Page(logs)
    assert sorted(page.column("C")) == [1, 2, 4]
    assert page.columns["C"].domain_interval.max_value == 4


def test_other_data_and_other_splits_are_another_directory(iris, tmp_path):
    """Their curves and scores are not to be taken for each other's."""
    X, y = iris
    logs = tmp_path / "logs"
    for data, cv in ((X, 2), (X[:, :2], 2), (X, 3)):
        ResumableGridSearchCV(
            SVC(), {"C": [1]}, cv=cv, refit=False, tensorboard=logs
        ).fit(data, y)
    assert len(list(logs.iterdir())) == 3


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"model__units": 64, "epochs": 3}, "units=64-epochs=3-0a1b2c"),
        ({"a__C": 1, "b__C": 2.5}, "a__C=1-b__C=2.5-0a1b2c"),
        ({"kernel": "rbf", "path": "../etc/x"}, "kernel=rbf-path=.._etc_x-0a1b2c"),
        ({"tree": DecisionTreeClassifier()}, "tree=DecisionTreeClassifier_..._-0a1b2c"),
        ({}, "candidate-0a1b2c"),
    ],
)
def test_runs_are_named_by_their_parameters(parameters, name):
    """Short, without what means something in a path or in a shell."""
    assert candidate_name(parameters, "0a1b2c3d4e5f") == name


def test_names_of_many_parameters_are_cut(tmp_path):
    """A file system takes them; the key tells them apart."""
    name = candidate_name({f"parameter{i}": "x" * 50 for i in range(9)}, "0a1b2c3d")
    assert len(name) < 100
    assert name.endswith("-0a1b2c")


# The parameter


def test_the_parameter_is_one_of_scikit_learn(iris, tmp_path):
    """It is cloned and set, and held against its constraint."""
    search = ResumableGridSearchCV(SVC(), {"C": [1]}, tensorboard="logs")
    assert clone(search).tensorboard == "logs"
    assert search.set_params(tensorboard=None).tensorboard is None
    with pytest.raises(ValueError, match="'tensorboard' parameter of Resum"):
        search.set_params(tensorboard=3).fit(*iris)


def test_without_the_package_no_fold_is_run(iris, monkeypatch, tmp_path):
    """The error says how to install it."""
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    search = ResumableGridSearchCV(SVC(), {"C": [1]}, tensorboard="logs")
    with pytest.raises(ImportError, match="pip install tensorboard"):
        search.fit(*iris)
    assert not Path("logs").exists()


@pytest.mark.parametrize(
    ("logdir", "error"),
    [("gs://bucket/logs", ValueError), ("a-file/logs", NotADirectoryError)],
)
def test_a_place_without_files_is_an_error_before_any_fold(
    data, log, logdir, error, tmp_path
):
    """Not after a night of folds."""
    Path("a-file").write_text("")
    search = ResumableGridSearchCV(Raises(log), {"value": [1.0]}, tensorboard=logdir)
    with pytest.raises(error):
        search.fit(*data)
    assert not Path(log).exists()


def test_a_search_goes_on_when_the_files_cannot_be_written(iris, tmp_path):
    """With a warning; the scores are what counts."""
    search = ResumableGridSearchCV(
        SVC(), {"C": [1, 2]}, cv=2, refit=False, tensorboard="logs"
    ).fit(*iris)
    directory = search_directory(Path("logs"))
    for path in list(event_files(directory)):
        path.unlink()
    for path in directory.iterdir():
        path.rmdir()
        path.write_text("in the way")
    with pytest.warns(ResumableSearchWarning, match="HParams page will lack"):
        resumed = clone(search).fit(*iris)
    np.testing.assert_array_equal(
        resumed.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"]
    )


def test_the_files_are_written_without_tensorflow(script, tmp_path):
    """Although it is installed, and tensorboard would use it."""
    process = script(
        """
        import sys
        from pathlib import Path
        import resumable_search

        assert "tensorboard" not in sys.modules

        from resumable_search._records import EpochEvent
        from resumable_search._tensorboard.curves import FoldCurves
        from resumable_search._tensorboard.search_log import SearchLog

        log, parameters = SearchLog(Path("logs")), {"C": 1}
        log.announce([parameters])
        log.begin("search")
        result = {"test_scores": 0.5, "fit_time": 1.0}
        log.count(parameters, 0, 0, 1, result, failed=False)
        curves = FoldCurves(lambda: log.curves(parameters, 0))
        curves(EpochEvent(fit=0, epoch=1, n_epochs=1, logs={"loss": 1.0}))
        print("tensorboard" in sys.modules, "tensorflow" in sys.modules)
        """
    )
    out, err = process.communicate(timeout=100)
    assert out.split() == ["True", "False"], err
    assert Page(tmp_path / "logs").column("mean_test_score") == [0.5]


# Curves


def tell(curves, epochs, *, fit=0, offset=0.0):
    for epoch in epochs:
        logs = {"loss": epoch + offset, "val_loss": -epoch - offset, "mae": 0.0}
        curves(EpochEvent(fit=fit, epoch=epoch, n_epochs=9, logs=logs))


def test_train_and_validation_curves_share_their_tags(tmp_path):
    """In two runs, so that TensorBoard draws both into one picture."""
    tell(FoldCurves(lambda: tmp_path), [1, 2])
    assert curve(tmp_path / "train") == {0: 1, 1: 2}
    assert curve(tmp_path / "validation") == {0: -1, 1: -2}
    assert curve(tmp_path / "train", "epoch_mae") == {0: 0, 1: 0}


def test_a_resumed_curve_goes_on_where_the_fit_does(tmp_path):
    """What was drawn after the saved epoch is replaced; a viewer sees that at once."""
    tell(FoldCurves(lambda: tmp_path), [1, 2, 3, 4])
    viewer = EventAccumulator(str(tmp_path / "train"))
    viewer.Reload()
    tell(FoldCurves(lambda: tmp_path), [3, 4, 5], offset=0.5)
    expected = {0: 1, 1: 2, 2: 3.5, 3: 4.5, 4: 5.5}
    assert curve(tmp_path / "train") == expected
    viewer.Reload()
    seen = [(item.step, item.value) for item in viewer.Scalars("epoch_loss")]
    assert seen == list(expected.items())


def test_a_curve_that_begins_anew_replaces_the_half_one(tmp_path):
    """In the files, and for a viewer that has read the old one."""
    tell(FoldCurves(lambda: tmp_path), [1, 2, 3, 4])
    viewer = EventAccumulator(str(tmp_path / "train"))
    viewer.Reload()
    tell(FoldCurves(lambda: tmp_path), [1, 2], offset=0.5)
    assert curve(tmp_path / "train") == {0: 1.5, 1: 2.5}
    viewer.Reload()
    assert [item.value for item in viewer.Scalars("epoch_loss")] == [1.5, 2.5]


def test_a_record_that_a_kill_cut_off_hides_nothing(tmp_path):
    """What comes after it is in another file."""
    tell(FoldCurves(lambda: tmp_path), [1, 2, 3])
    (path,) = (tmp_path / "train").iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    tell(FoldCurves(lambda: tmp_path), [3, 4])
    assert curve(tmp_path / "train") == {0: 1, 1: 2, 2: 3, 3: 4}


def test_each_fit_of_a_fold_has_its_curve(tmp_path):
    """The second one in a directory below."""
    curves = FoldCurves(lambda: tmp_path)
    tell(curves, [1, 2])
    tell(curves, [1, 2, 3], fit=1)
    assert len(curve(tmp_path / "train")) == 2
    assert len(curve(tmp_path / "fit2" / "train")) == 3


def test_a_fit_goes_on_when_its_curve_cannot_be_written(tmp_path):
    """It is said once, and not for each epoch."""
    (tmp_path / "train").write_text("in the way")
    curves = FoldCurves(lambda: tmp_path)
    with pytest.warns(ResumableSearchWarning, match="curves of a fold end") as caught:
        tell(curves, [1, 2, 3])
    assert len(caught) == 1


# A search over Keras models


def build(meta, units):
    import keras

    model = keras.Sequential(
        [
            keras.layers.Input(meta["X_shape_"][1:]),
            keras.layers.Dense(units, activation="relu"),
            keras.layers.Dense(meta["n_classes_"], activation="softmax"),
        ]
    )
    # Not traced: that is quicker for so few steps.
    options = {} if keras.backend.backend() == "jax" else {"run_eagerly": True}
    model.compile("adam", "sparse_categorical_crossentropy", **options)
    return model


def killed_once(mark):
    """Give callbacks that kill the first fold in its fourth epoch."""
    import keras

    class Kill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 3 and not Path(mark).exists():
                Path(mark).touch()
                os.kill(os.getpid(), signal.SIGKILL)

    return [Kill()]


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_search_over_keras_models_draws_its_curves(monkeypatch, tmp_path):
    """Each split, one killed in the middle, and the refit; the parent is told."""
    pytest.importorskip("keras")
    seen = []
    note_epoch = slots.Attempt.note_epoch

    def noting(attempt, event, now):
        note_epoch(attempt, event, now)
        seen.append((attempt.epoch, attempt.n_epochs))

    monkeypatch.setattr(slots.Attempt, "note_epoch", noting)
    mark = str(tmp_path / "killed")
    search = ResumableGridSearchCV(
        KerasClassifier(
            build,
            epochs=6,
            random_state=0,
            callbacks=lambda: killed_once(mark),
            fit__validation_split=0.2,
        ),
        {"model__units": [4]},
        cv=2,
        save_epochs=2,
        error_score="raise",
        tensorboard=tmp_path / "logs",
    ).fit(*load_iris(return_X_y=True))
    assert Path(mark).exists()
    (candidate,) = (
        path for path in search_directory(tmp_path / "logs").iterdir() if path.is_dir()
    )
    assert candidate.name.startswith("units=4-")
    for run in ("split0", "split1", "refit"):
        for part in ("train", "validation"):
            assert list(curve(candidate / run / part)) == list(range(6))
    expected = search.best_estimator_.history_
    drawn = list(curve(candidate / "refit" / "train").values())
    assert drawn == pytest.approx(expected["loss"])
    assert Page(tmp_path / "logs").column("mean_test_score") == [
        pytest.approx(search.best_score_)
    ]
    assert (1, 6) in seen
    assert all(epoch <= 6 == n_epochs for epoch, n_epochs in seen)
