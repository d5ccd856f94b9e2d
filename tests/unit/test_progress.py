"""What the person watching sees, and what other processes read."""

import io
import logging
import os
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from resumable_search._progress import progress as _progress
from resumable_search._progress import terminal as _terminal
from resumable_search._progress.lines import Lines, clock
from resumable_search._progress.pace import Pace
from resumable_search._progress.progress import Progress
from resumable_search._progress.tally import Tally, texts_of
from resumable_search._progress.terminal import TerminalDisplay
from resumable_search._progress.waiting import said_when_slow
from resumable_search._records import LiveStatus, LiveWorker
from tests.terminals import Terminal


def call(candidate, parameters, n_splits=2):
    return SimpleNamespace(
        candidate=candidate, parameters=parameters, n_splits=n_splits
    )


def result(score, seconds=1.0):
    return {"test_scores": score, "fit_time": seconds, "score_time": 0.0}


def worker(number, **fields):
    fields = {"candidate": 0, "split": 0, "parameters": {"a": "1"}, **fields}
    return LiveWorker(number=number, **fields)


def make_progress(verbose=1, n_workers=2, metric="score", n_folds=10, tell=None):
    progress = Progress(verbose, n_workers, metric, tell)
    progress.expect(n_folds)
    return progress


# ---------------------------------------------------------------------------
# Counts and the best candidate


def test_the_best_candidate_is_the_best_that_has_all_its_folds():
    """One good fold is no mean."""
    tally = Tally(n_workers=2, metric="score")
    good, better = {"a": 1}, {"a": 2}
    tally.count(call(0, good), result(0.5), resumed=True)
    tally.count(call(0, good), result(0.7), resumed=False)
    tally.count(call(1, better), result(0.9), resumed=False)
    status = tally.status(())
    assert status.best_score == pytest.approx(0.6)
    assert status.best_parameters == {"a": "1"}


def test_candidates_are_compared_by_the_metric_of_the_refit():
    """With several metrics the one that decides is the one that is shown."""
    tally = Tally(n_workers=1, metric="f1")
    scores = {"f1": 0.25, "accuracy": 0.9}
    tally.count(call(0, {"a": 1}, n_splits=1), result(scores), resumed=False)
    assert tally.status(()).best_score == 0.25


def test_folds_of_a_next_round_come_on_top():
    """Successive halving asks for folds more than once."""
    tally = Tally(n_workers=1, metric="score")
    tally.expect(8)
    tally.expect(8)  # another batch of the same round
    tally.end_round()
    tally.expect(4)
    assert tally.status(()).n_total == 12


def test_parameters_are_short_and_send_no_commands_to_the_terminal():
    """A value may describe itself as it likes."""

    class Rude:
        def __repr__(self):
            return "\x1b[2Jrude\x07" + "y" * 200

    texts = texts_of({"rate": 0.1 + 0.2, "rude": Rude(), "name": "a b"})
    assert texts["rate"] == "0.3"
    assert texts["name"] == "'a b'"
    assert texts["rude"].isprintable()
    assert len(texts["rude"]) <= 80


# ---------------------------------------------------------------------------
# The time left


def test_resumed_folds_say_nothing_about_the_time_left():
    """They took no time."""
    tally = Tally(n_workers=1, metric="score")
    tally.expect(4)
    tally.count(call(0, {}), result(0.5, seconds=1000.0), resumed=True)
    assert tally.status(()).seconds_left is None
    tally.count(call(1, {}), result(0.5, seconds=10.0), resumed=False)
    assert tally.status(()).seconds_left == pytest.approx(20.0)


def test_the_time_left_is_divided_among_the_workers():
    """Six folds of five seconds, two at a time."""
    pace = Pace(n_workers=2)
    pace.note(100.0, 5.0)
    assert pace.seconds_left(6, [], 100.0) == pytest.approx(15.0)
    assert pace.seconds_left(1, [], 100.0) == pytest.approx(5.0)
    assert pace.seconds_left(0, [], 100.0) == 0.0


def test_what_runs_has_done_a_part_already():
    """A fold that has run for four of five seconds needs another one."""
    pace = Pace(n_workers=2)
    pace.note(100.0, 5.0)
    running = [worker(0, started=100.0), worker(1, started=102.0)]
    assert pace.seconds_left(2, running, 104.0) == pytest.approx(3.0)


def test_a_fold_that_takes_longer_than_others_is_not_over_at_once():
    """The time left does not stand at zero."""
    pace = Pace(n_workers=1)
    pace.note(100.0, 5.0)
    assert pace.seconds_left(1, [worker(0, started=100.0)], 200.0) > 1.0


def test_epochs_tell_the_time_before_the_first_fold_is_finished():
    """Without the time before the first one; the other folds do not import again."""
    pace = Pace(n_workers=1)
    assert pace.seconds_left(2, [worker(0, started=0.0)], 60.0) is None
    running = [worker(0, started=0.0, epoch=1, n_epochs=40)]
    assert pace.seconds_left(2, running, 60.0) is None  # what does an epoch take?
    running = [worker(0, started=0.0, epoch=10, n_epochs=40, epoch_seconds=2.0)]
    assert pace.seconds_left(2, running, 60.0) == pytest.approx(60.0 + 80.0)


def test_recent_folds_say_more_than_old_ones():
    """A grid that goes from small models to large ones gets slower."""
    pace = Pace(n_workers=1)
    now = 0.0
    for seconds in [1.0] * 100 + [9.0] * 100:
        now += seconds
        pace.note(now, seconds)
    assert pace.seconds_left(10, [], now) == pytest.approx(90.0)


def test_time_between_folds_counts():
    """Short folds wait for each other and for the disk."""
    pace = Pace(n_workers=2)
    for i in range(100):
        pace.note(i * 0.5, 0.001)
    assert pace.seconds_left(10, [], 50.0) == pytest.approx(5.0)


def test_a_time_is_written_in_hours_minutes_and_seconds():
    """Whole seconds; days where there are some."""
    assert clock(3723.4) == "1:02:03"
    assert clock(-1.0) == "0:00:00"
    assert clock(90000) == "1 day, 1:00:00"


# ---------------------------------------------------------------------------
# Lines


def test_a_line_says_how_far_and_what_is_best(capsys):
    """Done, resumed, failed, the best complete candidate, the times."""
    progress = make_progress()
    for score in (0.5, 0.7):
        progress.count(call(0, {"a": 1}), result(score), resumed=True)
    progress.count(call(1, {"a": 2}), result(0.9, seconds=10.0), resumed=False)
    progress.count(call(2, {}), None, resumed=False)
    progress.show()
    line = capsys.readouterr().out
    assert "3/10 folds done, 2 of them resumed, 1 failed" in line
    assert "best 0.6 with a=1" in line
    assert "about 0:00:" in line


def test_nothing_is_printed_twice(capsys):
    """The last line is left out where it says nothing new."""
    progress = make_progress()
    progress.count(call(0, {}), result(0.5), resumed=True)
    progress.show()
    progress.show()
    progress.close()
    progress.close()
    assert capsys.readouterr().out.count("[resumable_search]") == 1


def test_verbose_0_is_silent_and_tells_others(capsys):
    """Those who look on from other processes do not depend on it."""
    told = []
    progress = make_progress(verbose=0, tell=told.append)
    progress.count(call(0, {}), result(0.5), resumed=False)
    progress._next_status = 0.0
    progress.show([worker(1)])
    progress.close()
    assert capsys.readouterr() == ("", "")
    assert (told[0].n_done, told[0].workers) == (1, (worker(1),))


def test_others_are_told_once_a_second_at_most():
    """A search that is over before the first time tells nobody."""
    told = []
    progress = make_progress(verbose=0, tell=told.append)
    for _ in range(100):
        progress.show()
    assert told == []
    assert not progress.is_due


def test_characters_that_the_output_cannot_take_are_no_error(monkeypatch):
    """A search does not end for an umlaut in a parameter."""
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="ascii"))
    progress = make_progress()
    progress.count(call(0, {"a": "ü"}, n_splits=1), result(0.5), resumed=True)
    progress.close()
    assert rb"with a='\xfc'" in output.getvalue()


def test_a_search_goes_on_when_nobody_can_read_any_more(monkeypatch):
    """The other end of a pipe is closed, or the terminal is gone."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    monkeypatch.setattr(sys, "stdout", stream)
    progress = make_progress()
    progress.count(call(0, {}), result(0.5), resumed=True)
    progress.show()
    progress.show()
    progress.close()
    with pytest.raises(BrokenPipeError):
        stream.close()


# ---------------------------------------------------------------------------
# The terminal


@pytest.fixture(autouse=True)
def free_terminal(monkeypatch):
    """Let a test that fails not keep the terminal from the others."""
    monkeypatch.setattr(_terminal, "_in_use", threading.Lock())


@pytest.fixture
def make_terminal(monkeypatch):
    """Give a function that makes a terminal the standard output and error.

    To be called in the test: pytest sets the streams between its phases.
    """
    opened = []

    def make(columns=80, lines=24, encoding="utf-8"):
        terminal = Terminal(columns, lines)
        for name in ("stdout", "stderr"):
            stream = os.fdopen(
                os.dup(terminal.slave), "w", encoding=encoding, buffering=1
            )
            monkeypatch.setattr(sys, name, stream)
            opened.append(stream)
        opened.append(terminal)
        return terminal

    monkeypatch.setenv("TERM", "xterm-256color")
    yield make
    monkeypatch.undo()
    for each in opened:
        each.close()


@pytest.fixture
def make_shown(make_terminal):
    """Give a function that makes a terminal and a progress that it shows."""
    opened = []

    def make():
        terminal = make_terminal()
        progress = make_progress()
        progress.count(call(0, {"a": 1}, n_splits=1), result(0.5), resumed=True)
        progress.show([worker(0), worker(1, split=1)])
        opened.append(progress)
        return terminal, progress

    yield make
    for progress in opened:
        progress.close()


def test_where_no_fold_finishes_a_line_says_what_runs(monkeypatch, capsys):
    """Once a minute, with the epoch: somebody may look at a log for hours."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    lines = Lines()
    status = LiveStatus(
        pid=1,
        host="host",
        started=0.0,
        updated=61.0,
        n_total=4,
        n_done=0,
        n_resumed=0,
        n_failed=0,
        metric="score",
        workers=(worker(0, started=0.0, epoch=12, n_epochs=200),),
    )
    for now[0] in (30.0, 61.0, 62.0, 100.0):
        lines.show(status)
    (line,) = capsys.readouterr().out.splitlines()
    assert "0/4 folds done | one runs since 0:01:01, epoch 12/200" in line


def test_a_picture_says_how_far_and_what_runs(make_terminal):
    """A bar, counts and times, the best candidate, a line for each worker."""
    terminal = make_terminal()
    progress = make_progress()
    progress.count(call(0, {"a": 1}, n_splits=1), result(0.5), resumed=True)
    progress.count(call(1, {"a": 2}, n_splits=1), None, resumed=False)
    busy = worker(
        0, device="GPU-8f3a2c1d-0000", started=0.0, attempt=2, epoch=3, n_epochs=30
    )
    progress.show([busy, worker(1, split=1), LiveWorker(number=2)])
    _, bar, counts, best, first, second, *rest = terminal.lines()
    assert bar == "━" * 16 + "─" * 63
    assert counts.startswith("1/10 folds done, 1 of them resumed, 1 failed | ")
    assert best == "best 0.5 with a=1"
    assert first.split()[:3] == ["0", "GPU-8f3a2c1d", "a=1"]
    assert first.endswith("epoch 3/30")
    assert "split0, try 2" in first
    assert second.split() == ["1", "a=1", "split1", "starts"]
    assert rest == []
    progress.close()


def test_the_end_leaves_one_line(make_shown):
    """The picture is gone, the streams are as they were, the cursor goes on."""
    terminal, shown = make_shown()
    shown.close()
    line, rest = terminal.lines()
    assert line.startswith("[resumable_search] 1/10 folds done, 1 of them resumed")
    assert rest.endswith("elapsed")  # broken by the terminal
    assert terminal.cursor == (0, 2, True)
    assert "write" not in vars(sys.stdout)
    assert "write" not in vars(sys.stderr)


def test_what_is_printed_stands_above_the_picture(make_shown):
    """Output, errors and old handlers of loggers, whole and in order."""
    terminal, shown = make_shown()
    logger = logging.Logger("somebody's")
    logger.addHandler(logging.StreamHandler())
    for i in range(30):
        print("line", i)
    logger.warning("a record")
    print("an error", file=sys.stderr)
    shown.show([worker(0)])
    lines = terminal.all_lines()
    expected = [f"line {i}" for i in range(30)] + ["a record", "an error", ""]
    assert lines[:33] == expected
    assert lines[33].startswith("━━━")
    assert len(lines) == 37


def test_a_line_of_the_width_of_the_terminal_stays_whole(make_shown):
    """A refresh may come between the line and its line break."""
    terminal, shown = make_shown()
    text = "x" * 80
    sys.stdout.write(text)
    shown.show([worker(0)])
    sys.stdout.write("\n")
    shown.show([worker(0)])
    print("next")
    assert terminal.lines()[:2] == [text, "next"]


def test_a_line_that_is_begun_can_be_finished(make_shown):
    """The cursor stays where others left it, also at the bottom of the screen."""
    terminal, shown = make_shown()
    for i in range(40):
        print(i)
    print("loading ... ", end="")
    shown.show([worker(0), worker(1)])
    shown.show([worker(0), worker(1)])
    assert terminal.lines()[-5].startswith("━━━")
    print("done")
    assert "loading ... done" in terminal.lines()


def test_what_comes_from_elsewhere_is_kept(make_shown):
    """A library writes to the terminal itself; a person types."""
    terminal, shown = make_shown()
    os.write(terminal.slave, b"typed")
    shown.show([worker(0)])
    os.write(terminal.slave, b" text\r\n")
    shown.show([worker(0)])
    lines = terminal.lines()
    assert lines[:2] == ["typed text", ""]
    assert lines[2].startswith("━━━")
    assert len(lines) == 6


def test_many_workers_leave_room_in_a_small_terminal(make_terminal):
    """What scrolls by can still be read."""
    terminal = make_terminal(60, 12)
    progress = make_progress(n_workers=40)
    progress.count(call(0, {"a": 1}, n_splits=1), result(0.5), resumed=True)
    progress.show([worker(i) for i in range(40)])
    lines = terminal.lines()
    assert len(lines) == 8
    assert lines[-1] == "and 37 more at work"
    progress.close()


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (20, 4)])
def test_a_tiny_terminal_is_no_error(make_terminal, size):
    """Something is cut off."""
    make_terminal(*size)
    progress = make_progress()
    progress.count(call(0, {"a": 1}, n_splits=1), result(0.5), resumed=True)
    progress.show([worker(0), worker(1)])
    progress.close()


def test_a_resized_terminal_shows_one_picture(make_shown):
    """What the old width left is erased."""
    terminal, shown = make_shown()
    terminal.resize(40, 20)
    shown.show([worker(0)])
    lines = terminal.lines()
    assert len(lines) == 5
    assert lines[1] == "━" * 4 + "─" * 35


def test_a_terminal_without_such_characters_gets_others(make_terminal):
    """The bar is drawn in ASCII then."""
    terminal = make_terminal(encoding="ascii")
    progress = make_progress()
    progress.count(call(0, {"a": "ü" * 90}, n_splits=1), result(0.5), resumed=True)
    progress.show([worker(0)])
    assert terminal.lines()[1] == "#" * 8 + "-" * 71
    assert terminal.lines()[3].startswith("best 0.5 with a='???")
    progress.close()


def test_no_color_is_respected(make_terminal, monkeypatch):
    """No colour is set where somebody wants none."""
    terminal = make_terminal()
    colour = b"\x1b[34m"
    for is_wanted in (True, False):
        if not is_wanted:
            monkeypatch.setenv("NO_COLOR", "1")
        terminal.received.clear()
        progress = make_progress()
        progress.count(call(0, {}), result(0.5), resumed=True)
        progress.show()
        terminal.lines()
        assert (colour in terminal.received) is is_wanted
        progress.close()


def test_a_dumb_terminal_gets_lines(make_terminal, monkeypatch):
    """It could not move its cursor."""
    terminal = make_terminal()
    monkeypatch.setenv("TERM", "dumb")
    progress = make_progress()
    progress.count(call(0, {}), result(0.5), resumed=True)
    progress.show([worker(0)])
    line = terminal.lines()[0]
    assert line.startswith("[resumable_search] 1/10")
    assert b"\x1b" not in terminal.received


def test_another_live_display_keeps_the_terminal(make_shown):
    """There are lines above it then, and nothing below."""
    terminal, shown = make_shown()
    from rich.console import Console
    from rich.live import Live

    with Live("theirs", console=Console(), auto_refresh=False) as live:
        live.refresh()
        shown.count(call(1, {}), result(0.5), resumed=False)
        shown.show([worker(0)])
        live.refresh()
        line, *_, theirs = terminal.lines()
        assert line.startswith("[resumable_search] 2/10 folds done")
        assert theirs == "theirs"
    shown.close()
    assert not any("━" in line for line in terminal.lines())


def test_a_second_search_in_a_thread_prints_lines(make_shown):
    """A terminal shows one picture at a time."""
    terminal, shown = make_shown()

    def search():
        progress = make_progress(n_folds=3)
        progress.count(call(0, {}), result(0.5), resumed=True)
        progress.show()
        progress.close()

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()
    shown.show()
    lines = terminal.lines()
    assert lines[0].startswith("[resumable_search] 1/3")
    assert lines[2].startswith("━━━")


def test_the_next_search_has_the_terminal_again(make_shown):
    """It is given back at the end."""
    _, shown = make_shown()
    assert TerminalDisplay.open() is None
    shown.close()
    display = TerminalDisplay.open()
    assert display is not None
    display.close(Tally(1, "score").status(()))


def test_a_terminal_that_is_gone_is_no_error(make_shown, monkeypatch):
    """The connection to the machine is lost, the search goes on."""
    _, shown = make_shown()
    null = os.open("/dev/full", os.O_WRONLY)
    kept = os.dup(sys.stdout.fileno())
    os.dup2(null, sys.stdout.fileno())
    shown.show([worker(0)])
    assert shown._display is None
    shown.show([worker(0)])
    shown.close()
    os.dup2(kept, sys.stdout.fileno())
    os.close(null)
    os.close(kept)


def test_a_notebook_has_the_first_choice(monkeypatch):
    """Its standard output is no terminal, and may be anything."""
    display = SimpleNamespace(pause=0.5)
    monkeypatch.setattr(
        "resumable_search._progress.notebook.NotebookDisplay.open",
        lambda: display,
    )
    assert _progress._open_display() is display


# ---------------------------------------------------------------------------
# What takes long before the first fold


def test_what_takes_long_is_said(capsys):
    """A block that takes longer than the person's patience prints a line."""
    with said_when_slow("Comparing the data.", verbose=1, patience=0.0):
        deadline = time.monotonic() + 60
        while not (out := capsys.readouterr().out):
            assert time.monotonic() < deadline

    assert out == "[resumable_search] Comparing the data.\n"


@pytest.mark.parametrize(("verbose", "patience"), [(1, 60.0), (0, 0.0)])
def test_what_is_quick_or_not_wanted_is_not_said(capsys, verbose, patience):
    """A quick block prints nothing, nor does any block with verbose=0."""
    with said_when_slow("Comparing the data.", verbose, patience):
        pass

    assert capsys.readouterr().out == ""
