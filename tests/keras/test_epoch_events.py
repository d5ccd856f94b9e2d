"""Keras fits inside folds tell how far they are, and are the same fits as before."""

import contextlib
import multiprocessing
import pickle

import numpy as np
import pytest

from resumable_search import _folds
from resumable_search._engine import epoch_reports
from resumable_search._engine.frames import FrameReader
from resumable_search._engine.messages import EpochEnded, Leaves
from resumable_search._engine.worker import _Inbox
from resumable_search._folds import RunningFold
from resumable_search._frameworks import hooks
from resumable_search._records import EpochEvent

keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.keras,
    # Keras on PyTorch, with NumPy 2.
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


class Stop(Exception):
    """Ends a fit where a kill would."""


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Stop


@pytest.fixture
def watch(tmp_path):
    """Give a function that runs another in a watched fold, and gives the events."""
    hooks.save_epochs()

    def run(function, save_epochs=None):
        events = []
        fold = RunningFold(lambda: tmp_path / "fold", save_epochs, [events.append])
        with _folds.run(fold), contextlib.suppress(Stop):
            function()
        return events

    return run


def build():
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.layers.Input((2,)),
            keras.layers.Dense(4, activation="relu"),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1),
        ]
    )
    # Not traced: that is quicker for so few steps.
    options = {} if keras.backend.backend() == "jax" else {"run_eagerly": True}
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"], **options)
    return model


def fit(epochs=3, callbacks=None, model=None, **arguments):
    model = model or build()
    generator = np.random.default_rng(0)
    X = generator.normal(size=(40, 2)).astype("float32")
    arguments = {"validation_split": 0.25, "verbose": 0, **arguments}
    history = model.fit(
        X, X.sum(axis=1), epochs=epochs, callbacks=callbacks, **arguments
    )
    return model, history


def positions(events):
    return [(event.fit, event.epoch, event.n_epochs) for event in events]


def test_each_epoch_is_told_with_its_logs(watch):
    """The numbers are those of the history; the learning rate comes with them."""
    found = []
    events = watch(lambda: found.append(fit()))
    history = found[0][1].history
    assert positions(events) == [(0, 1, 3), (0, 2, 3), (0, 3, 3)]
    for name, values in history.items():
        assert [event.logs[name] for event in events] == values
    assert {"loss", "mae", "val_loss", "val_mae"} == set(history)
    assert [event.logs["learning_rate"] for event in events] == pytest.approx(
        [0.01] * 3
    )


def test_a_watched_fit_is_the_fit_that_nobody_watches(watch):
    """Weights and history are equal to the bit; the user's callbacks are untouched."""
    expected, expected_history = fit()
    callbacks = [keras.callbacks.EarlyStopping(patience=9)]
    found = []
    watch(lambda: found.append(fit(callbacks=callbacks)))
    model, history = found[0]
    for weight, other in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other)
    assert history.history == expected_history.history
    assert model.history is history
    assert len(callbacks) == 1


def test_a_callback_list_is_given_back_as_it_was(watch):
    """A CallbackList is used by its caller after the fit, and has to be the same."""
    model = build()
    callbacks = keras.callbacks.CallbackList(
        [StopAfter(9)], add_history=True, model=model, epochs=2
    )
    before = list(callbacks.callbacks)
    events = watch(lambda: fit(epochs=2, callbacks=callbacks, model=model))
    assert [event.epoch for event in events] == [1, 2]
    assert callbacks.callbacks == before


def test_fits_of_a_fold_are_counted(watch):
    """An estimator that fits two models has two curves."""

    def twice():
        fit(epochs=1)
        fit(epochs=2)

    assert positions(watch(twice)) == [(0, 1, 1), (1, 1, 2), (1, 2, 2)]


def test_a_fit_inside_a_fit_is_not_told(watch):
    """What a callback trains belongs to the epoch in which it does."""

    class Trains(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            fit(epochs=1)

    events = watch(lambda: fit(epochs=2, callbacks=[Trains()]))
    assert positions(events) == [(0, 1, 2), (0, 2, 2)]


def test_an_initial_epoch_counts_as_done(watch):
    """A fit from epoch 2 to 4 begins with the third of four."""
    events = watch(lambda: fit(epochs=4, initial_epoch=2))
    assert positions(events) == [(0, 3, 4), (0, 4, 4)]


def test_a_fit_that_is_resumed_goes_on_counting(watch):
    """Its first event is that of the first epoch that runs, of as many as before."""
    events = watch(lambda: fit(epochs=5, callbacks=[StopAfter(3)]), save_epochs=2)
    assert [event.epoch for event in events] == [1, 2, 3]
    events = watch(lambda: fit(epochs=5, callbacks=[StopAfter(9)]), save_epochs=2)
    assert positions(events) == [(0, 3, 5), (0, 4, 5), (0, 5, 5)]
    # It has no epoch left now, and nothing to tell.
    assert watch(lambda: fit(epochs=5, callbacks=[StopAfter(9)]), save_epochs=2) == []


def test_a_state_is_found_whether_somebody_watches_or_not(watch, tmp_path):
    """Who looks on is no part of what identifies a fit."""
    fold = RunningFold(lambda: tmp_path / "fold", 1)
    with _folds.run(fold), pytest.raises(Stop):
        fit(callbacks=[StopAfter(2)])
    events = watch(lambda: fit(callbacks=[StopAfter(9)]), save_epochs=1)
    assert positions(events) == [(0, 3, 3)]


def test_outside_of_a_fold_nothing_is_told(watch):
    """A fit of the user's own has nobody to tell."""
    events = watch(lambda: None)
    fit(epochs=1)
    assert events == []


# In the worker, on the way to the parent


EVENT = EpochEvent(fit=0, epoch=1, n_epochs=9, logs={"loss": 0.5})


@pytest.mark.parametrize(("pause", "n_sent"), [(3600, 1), (0, 50)])
def test_the_parent_is_not_told_more_often_than_it_can_show(monkeypatch, pause, n_sent):
    """Epochs that follow each other within the pause are left out."""
    monkeypatch.setattr(epoch_reports, "SHORTEST_PAUSE", pause)
    sent = []
    (report,) = epoch_reports.watchers(sent.append, 4, None)
    for _ in range(50):
        report(EVENT)
    assert len(sent) == n_sent
    assert sent[0] == EpochEnded(4, EVENT)


def test_a_fit_does_not_wait_for_a_parent_that_does_not_read():
    """Events are dropped then; what comes after them still arrives."""
    parent, child = multiprocessing.Pipe()
    with parent, child:
        inbox = _Inbox(child)
        for _ in range(20_000):
            inbox.offer(EpochEnded(0, EVENT))
        reader = FrameReader(parent.fileno())
        kept, _ = reader.take()
        assert 0 < len(kept) < 20_000
        inbox.send(Leaves())
        assert [pickle.loads(message) for message in reader.take()[0]] == [Leaves()]
        reader.close()
