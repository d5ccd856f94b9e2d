"""What the pictures have in common: matplotlib, texts, lengths of time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "WorkingTime",
    "duration",
    "legend_above",
    "new_axes",
    "plain",
    "spans_decades",
]

# Letters that fit beside each other above axes, and as many as a handle takes.
_WIDTH = 105
_HANDLE = 8


def new_axes(what: str, ax: "Axes | None", height: float = 4.2) -> "Axes":
    """Return `ax`, or axes in a figure of their own.

    Parameters
    ----------
    what : str
        Who draws, for the message if matplotlib is not there.
    ax : matplotlib.axes.Axes or None
        As given by the user.
    height : float
        Of a new figure, in inches.
    """
    try:
        import matplotlib.pyplot as plt  # an optional dependency
    except ImportError as exc:
        raise ImportError(
            f"{what} requires matplotlib. You can install it with "
            "'pip install matplotlib'."
        ) from exc
    if ax is not None:
        return ax
    _, ax = plt.subplots(figsize=(7.2, height), layout="constrained")
    return ax


def plain(text: object, most: int = 36) -> str:
    """Return a text as matplotlib shows it letter by letter, shortened in its middle.

    Parameters and their values may hold what it would take for a formula.
    """
    shown = " ".join(str(text).split())
    shown = "".join(c if c.isprintable() else "?" for c in shown)
    if len(shown) > most:
        shown = f"{shown[: most - most // 3 - 1]}…{shown[-(most // 3) :]}"
    return shown.replace("$", r"\$")


def spans_decades(values: NDArray[np.float64]) -> bool:
    """Return whether values are better read on a logarithmic axis."""
    return bool(values.min() > 0 and values.max() >= 100 * values.min())


def legend_above(ax: "Axes", more: Sequence[Any] = (), note: str = "") -> None:
    """Put the legend above the axes, where it hides nothing.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Axes on which all is drawn.
    more : sequence of artists
        What is named beside that.
    note : str
        What else has to be said.
    """
    handles, labels = ax.get_legend_handles_labels()
    handles += more
    labels += [artist.get_label() for artist in more]
    if not handles and not note:
        return
    widths = [len(label) + _HANDLE for label in labels]
    n_columns = _WIDTH // max(widths, default=_WIDTH)
    if sum(widths) <= _WIDTH:
        n_columns = len(widths)
    ax.legend(
        handles,
        labels,
        title=note or None,
        title_fontproperties={"size": "small"},
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=max(1, n_columns),
        frameon=False,
        fontsize="small",
    )


def duration(seconds: float) -> str:
    """Return a length of time in the unit that reads best."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


class WorkingTime:
    """A time axis without the pauses in which no fold was running.

    Parameters
    ----------
    started, finished : ndarray of shape (n_folds,)
        When the folds ran, in seconds since 1970.
    cut : bool
        Whether to leave pauses out.
    """

    def __init__(
        self,
        started: NDArray[np.float64],
        finished: NDArray[np.float64],
        *,
        cut: bool,
    ) -> None:
        order = np.argsort(started)
        began, ended = started[order], np.maximum.accumulate(finished[order])
        self._origin = float(began[0])
        gaps = began[1:] - ended[:-1]
        working = float(ended[-1] - began[0] - gaps[gaps > 0].sum())
        # Shorter ones are what a search does between its folds.
        long = gaps > max(1.0, 0.05 * working) if cut else np.zeros(len(gaps), bool)
        self._ends = began[1:][long]
        self.lengths: NDArray[np.float64] = gaps[long]
        """Of the pauses that are cut out, in seconds."""
        self.unit, self._seconds = "s", 1.0
        total = float(ended[-1] - began[0] - self.lengths.sum())
        for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
            if total >= 3 * length:
                self.unit, self._seconds = unit, length
                break
        self.total = total / self._seconds
        """Length of the axis, in `unit`."""

    def __call__(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the places of points in time on the axis, in `unit`."""
        before = np.searchsorted(self._ends, times, side="right")
        cut_out = np.concatenate([[0.0], np.cumsum(self.lengths)])[before]
        return np.asarray((times - self._origin - cut_out) / self._seconds)

    def mark_pauses(self, ax: "Axes") -> list[Any]:
        """Draw a line where each pause was cut out."""
        if not len(self.lengths):
            return []
        what = "pause" if len(self.lengths) == 1 else f"{len(self.lengths)} pauses"
        lines = [
            ax.axvline(x, color="0.45", linestyle=(0, (2, 2)), linewidth=1)
            for x in self(self._ends)
        ]
        lines[0].set_label(f"{what} cut out ({duration(float(self.lengths.sum()))})")
        return lines

    def label(self) -> str:
        """Return the label of the axis."""
        if len(self.lengths):
            return f"Working time ({self.unit})"
        return f"Time since the first fold began ({self.unit})"
