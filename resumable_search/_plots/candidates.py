"""Drawing candidates: their parameters against their scores."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .drawing import plain
from .parameter_axes import ParameterAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection, QuadMesh
    from matplotlib.container import ErrorbarContainer

__all__ = ["CandidateDrawing"]

# More cells than can have their score written in them, more that can have its spread,
# and more beside each other.
_MOST_WRITTEN = 100
_MOST_WITH_SPREAD = 30
_MOST_BESIDE = 9


@dataclass(frozen=True, kw_only=True)
class CandidateDrawing:
    """Candidates on their way to a picture."""

    ax: "Axes"
    scores: NDArray[np.float64]
    """Of shape (n_candidates, n_splits), all finite."""
    metric: str
    has_others: bool
    """Whether parameters were varied that are not drawn."""

    def line(
        self, axis: ParameterAxis
    ) -> "tuple[list[ErrorbarContainer], PathCollection | None]":
        """Connect the best candidates of a parameter's values."""
        best = _best_of_each(axis.places, self.means)
        others = np.setdiff1d(np.arange(len(self.means)), best)
        bars = self._error_bars(
            axis.places[best],
            self.scores[best],
            fmt=axis.line_format,
            label="best candidate at a value" if len(others) else "candidate",
            zorder=3,
        )
        points = None
        if len(others):
            points = self.ax.scatter(
                axis.places[others],
                self.means[others],
                s=16,
                color="0.6",
                alpha=0.7,
                label="other candidate",
                zorder=2,
            )
        self._finish(axis)
        return [bars], points

    def points(
        self, axis: ParameterAxis
    ) -> "tuple[list[ErrorbarContainer], PathCollection]":
        """Draw each candidate by itself."""
        bars = self._error_bars(
            axis.places, self.scores, fmt="none", elinewidth=0.8, alpha=0.3, capsize=0
        )
        points = self.ax.scatter(
            axis.places, self.means, s=16, alpha=0.7, label="candidate", zorder=2
        )
        self._finish(axis)
        return [bars], points

    def lines(
        self, x: ParameterAxis, lines: ParameterAxis
    ) -> "list[ErrorbarContainer]":
        """Draw a line for each value of the second parameter."""
        from matplotlib import colormaps

        values = lines.distinct
        ordered = colormaps["viridis"](np.linspace(0, 0.9, len(values)))
        drawn = []
        for i, value in enumerate(values):
            here = np.flatnonzero(lines.places == value)
            best = here[_best_of_each(x.places[here], self.means[here])]
            # Bars at the same place would hide each other.
            aside = 0.0 if x.categories is None else 0.06 * (i - (len(values) - 1) / 2)
            drawn.append(
                self._error_bars(
                    x.places[best] + aside,
                    self.scores[best],
                    fmt=x.line_format,
                    color=ordered[i] if lines.categories is None else f"C{i}",
                    label=f"{lines.label} = {lines.text(value)}",
                )
            )
        x.set_up(self.ax, "x")
        self.ax.set_ylabel(self._score_label(spread=True) + self._aggregated())
        return drawn

    def colored_points(self, x: ParameterAxis, y: ParameterAxis) -> "PathCollection":
        """Draw each candidate at its two values, with its score as color."""
        order = self.means.argsort()  # the best ones on top
        points = self.ax.scatter(
            x.places[order], y.places[order], c=self.means[order], s=30
        )
        x.set_up(self.ax, "x")
        y.set_up(self.ax, "y")
        label = self._score_label(spread=False)
        self.ax.figure.colorbar(points, ax=self.ax, label=label)
        return points

    def heat_map(self, x: ParameterAxis, y: ParameterAxis) -> "QuadMesh":
        """Draw a cell for each pair of values, with the best candidate's score."""
        x, y = x.as_categories(), y.as_categories()
        assert x.categories is not None
        assert y.categories is not None
        means = self.means
        shape = (len(y.categories), len(x.categories))
        cells = np.full(shape, np.nan)
        number = np.ravel_multi_index(
            (y.places.astype(int), x.places.astype(int)), shape
        )
        best = _best_of_each(number, means)
        cells.flat[number[best]] = means[best]
        self.ax.set_facecolor("0.92")  # where there is no candidate
        image = self.ax.pcolormesh(
            np.arange(shape[1] + 1) - 0.5, np.arange(shape[0] + 1) - 0.5, cells
        )
        middle = (np.nanmin(cells) + np.nanmax(cells)) / 2
        has_room = cells.size <= _MOST_WRITTEN and shape[1] <= _MOST_BESIDE
        for i in best if has_room else ():
            text = f"{means[i]:.3g}"
            if self.scores.shape[1] > 1 and cells.size <= _MOST_WITH_SPREAD:
                text += f"\n±{self.scores[i].std():.2g}"
            self.ax.text(
                x.places[i],
                y.places[i],
                text,
                ha="center",
                va="center",
                fontsize="small",
                color="black" if means[i] > middle else "white",
            )
        x.set_up(self.ax, "x")
        y.set_up(self.ax, "y")
        label = self._score_label(spread=False) + self._aggregated()
        self.ax.figure.colorbar(image, ax=self.ax, label=label)
        return image

    # ------------------------------------------------------------------

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean scores, of shape (n_candidates,)."""
        return np.asarray(self.scores.mean(axis=1))

    def _error_bars(
        self, places: NDArray[np.float64], scores: NDArray[np.float64], **options: Any
    ) -> "ErrorbarContainer":
        """Draw means over the splits, with the spread where there are several."""
        spread = scores.std(axis=1) if scores.shape[1] > 1 else None
        options = {"capsize": 3} | options
        return self.ax.errorbar(places, scores.mean(axis=1), yerr=spread, **options)

    def _finish(self, axis: ParameterAxis) -> None:
        """Mark the best candidate of all, and name the axes."""
        top = int(self.means.argmax())
        self.ax.plot(
            axis.places[top],
            self.means[top],
            "*",
            color="C1",
            ms=13,
            label=f"best ({self.means[top]:.4g})",
            zorder=4,
        )
        axis.set_up(self.ax, "x")
        self.ax.set_ylabel(self._score_label(spread=True))

    def _score_label(self, *, spread: bool) -> str:
        n_splits = self.scores.shape[1]
        label = f"Mean test {plain(self.metric)}"
        if n_splits == 1:
            return label
        return f"{label} over {n_splits} folds{' (± std)' if spread else ''}"

    def _aggregated(self) -> str:
        return "\nbest over the other parameters" if self.has_others else ""


def _best_of_each(places: NDArray[Any], means: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the index of the best candidate at each place, in the places' order."""
    order = np.lexsort((-means, places))
    _, first = np.unique(places[order], return_index=True)
    return order[first]
