"""How far a search is, in one line."""

import sys
import time
from collections.abc import Mapping
from datetime import timedelta

from .._records import LiveStatus

__all__ = [
    "Lines",
    "best_text",
    "clock",
    "counts_text",
    "parameters_text",
    "running_text",
    "say",
    "status_line",
    "times_text",
]

# Seconds between two lines; it grows with the time that the search has taken, so
# that a night's output can still be read.
_SHORTEST_PAUSE = 2.0
_PAUSE_SHARE = 0.01

# Seconds without a new fold after which a line says what runs; it grows likewise.
_LONGEST_SILENCE = 60.0
_SILENCE_SHARE = 0.1


class Lines:
    """Prints a line now and then: for files, pipes and what is no real terminal.

    ::

        [resumable_search] 13/24 folds done, 6 of them resumed | best 0.9716 with \
model__units=64 | 0:00:12 elapsed, about 0:00:10 left
    """

    #: Seconds between two looks at whether it is time for a line.
    pause = 1.0

    def __init__(self) -> None:
        self._last_time = time.monotonic()
        self._n_shown = 0
        self._has_shown_resumed = False

    def show(self, status: LiveStatus) -> None:
        """Print a line if there is something new and it is time for one."""
        elapsed = status.updated - status.started
        pause = max(_SHORTEST_PAUSE, elapsed * _PAUSE_SHARE)
        silence = time.monotonic() - self._last_time
        is_time = silence >= pause
        is_quiet = silence >= max(_LONGEST_SILENCE, elapsed * _SILENCE_SHARE)
        # What was resumed is said at once: it is what the person wants to see.
        resumed = status.n_resumed and not self._has_shown_resumed
        if is_quiet or (status.n_done > self._n_shown and (is_time or resumed)):
            self._print(status)

    def close(self, status: LiveStatus) -> None:
        """Print the last line, unless it has been printed."""
        if status.n_done > self._n_shown:
            self._print(status)

    def _print(self, status: LiveStatus) -> None:
        self._last_time = time.monotonic()
        self._n_shown = status.n_done
        self._has_shown_resumed = status.n_resumed > 0
        say(status_line(status))


def say(line: str) -> None:
    """Print a line, whatever characters standard output can take."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    line = line.encode(encoding, "backslashreplace").decode(encoding)
    print(line, flush=True)  # noqa: T201 - asked for by verbose


def status_line(status: LiveStatus) -> str:
    """Say in one line how far the search is."""
    parts = [counts_text(status), running_text(status)]
    parts += [best_text(status), times_text(status)]
    return f"[resumable_search] {' | '.join(filter(None, parts))}"


def counts_text(status: LiveStatus) -> str:
    """Say how many folds there are of which kind."""
    n_done = status.n_done - status.n_failed  # as in "resumable-search status"
    text = f"{n_done}/{status.n_total} folds done"
    if status.n_resumed:
        text += f", {status.n_resumed} of them resumed"
    if status.n_failed:
        text += f", {status.n_failed} failed"
    return text


def running_text(status: LiveStatus) -> str:
    """Say how far the fold is that has run for the longest."""
    begun = [worker for worker in status.workers if worker.started is not None]
    if not begun:
        return ""
    first = min(begun, key=lambda worker: worker.started or 0.0)
    seconds = status.updated - (first.started or 0.0)
    if seconds < _LONGEST_SILENCE:
        return ""
    text = f"one runs since {clock(seconds)}"
    if first.epoch is not None and first.n_epochs is not None:
        text += f", epoch {first.epoch}/{first.n_epochs}"
    return text


def best_text(status: LiveStatus) -> str:
    """Name the best candidate, if there is one."""
    if status.best_score is None:
        return ""
    metric = "" if status.metric == "score" else f"{status.metric} "
    text = f"best {metric}{status.best_score:.4g}"
    if status.best_parameters:
        text += f" with {parameters_text(status.best_parameters)}"
    return text


def parameters_text(parameters: Mapping[str, str]) -> str:
    """Write parameters as scikit-learn does."""
    return ", ".join(f"{name}={value}" for name, value in parameters.items())


def times_text(status: LiveStatus) -> str:
    """Say how long it has taken and will take."""
    text = f"{clock(status.updated - status.started)} elapsed"
    if status.n_done < status.n_total and status.seconds_left is not None:
        text += f", about {clock(status.seconds_left)} left"
    return text


def clock(seconds: float) -> str:
    """Write a time as hours, minutes and seconds."""
    return str(timedelta(seconds=round(max(0.0, seconds))))
