"""What parameters do to the score."""

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from .._results import SearchView
from .candidates import CandidateDrawing
from .data import read_view, score_table, view_of
from .drawing import legend_above, new_axes
from .parameter_axes import ParameterAxis, varied

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection, QuadMesh
    from matplotlib.container import ErrorbarContainer
    from matplotlib.figure import Figure

__all__ = ["CandidateComparisonDisplay"]

_KINDS = ("auto", "lines", "heatmap", "points")

# More values of a number than make a readable row of cells.
_MOST_CELLS = 24

# More lines than can be told apart.
_MOST_LINES = 10


class CandidateComparisonDisplay:
    """What one or two parameters do to the score.

    Make one with `from_search` or `from_checkpoint`, which also draw it. Needs
    matplotlib.

    Where other parameters were varied too, what is connected or fills a cell is the
    best candidate with a value: an average over the others would depend on which of
    them were tried. Those that were not the best are shown as points where one
    parameter is drawn. Of a candidate that comes several times (successive halving),
    the last scores are shown.

    Parameters
    ----------
    parameters : sequence of str
        Names of the one or two parameters.

    candidates : list of dict of str to object
        The candidates' parameters: numbers, strings, booleans and None, and of
        other values the text.

    scores : ndarray of shape (n_candidates, n_splits)
        Test scores. NaN: not finished, or failed.

    metric : str, default="score"
        What the scores are called.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Axes with the picture.

    figure_ : matplotlib.figure.Figure
        Figure that the axes are in.

    lines_ : list of matplotlib.container.ErrorbarContainer or None
        The best candidates and their spread; with two parameters a line for each
        value of the second. None for a heat map, and for points of two parameters.

    points_ : matplotlib.collections.PathCollection or None
        The other candidates; all of them with ``kind="points"``. None where there
        are none.

    image_ : matplotlib.collections.QuadMesh or None
        The heat map. None where lines or points are drawn.

    n_left_out_ : int
        Number of candidates that are not shown: a fold is not finished or has
        failed, a score is not finite, or they do not have the parameters.

    See Also
    --------
    SearchProgressDisplay : Scores over time.
    read_results : The numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from resumable_search import CandidateComparisonDisplay
    >>> from resumable_search import ResumableGridSearchCV
    >>> X, y = load_iris(return_X_y=True)
    >>> search = ResumableGridSearchCV(SVC(), {"C": [0.1, 1, 10]}, cv=3).fit(X, y)
    >>> display = CandidateComparisonDisplay.from_search(search, parameters="C")
    >>> display.ax_.get_xscale()
    'log'
    >>> display.figure_.savefig("comparison.png")
    """

    ax_: "Axes"
    figure_: "Figure"
    lines_: "list[ErrorbarContainer] | None"
    points_: "PathCollection | None"
    image_: "QuadMesh | None"

    def __init__(
        self,
        *,
        parameters: Sequence[str],
        candidates: list[dict[str, Any]],
        scores: NDArray[np.float64],
        metric: str = "score",
    ) -> None:
        self.parameters = parameters
        self.candidates = candidates
        self.scores = scores
        self.metric = metric

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        parameters: str | Sequence[str] | None = None,
        metric: str | None = None,
        kind: str = "auto",
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the candidates of a fitted search.

        Parameters
        ----------
        search : ResumableGridSearchCV or ResumableRandomizedSearchCV
            The search.

        parameters : str or sequence of one or two str, default=None
            Names of parameters. ``None``: those that differ between candidates, if
            they are two at the most.

        metric : str, default=None
            Name of a scorer. ``None``: the one that candidates are compared by.

        kind, ax
            As `plot` takes them.

        Returns
        -------
        display : CandidateComparisonDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the search has not come as far as its checkpoint.
        CheckpointError
            If the checkpoint is not there any more, or cannot be read.
        ValueError
            If `parameters` or `metric` are none of the search's, or there is nothing
            to draw yet.
        """
        return cls._of(view_of(search), parameters, metric).plot(ax, kind=kind)

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: str | os.PathLike[str] | None = None,
        *,
        search: int | None = None,
        parameters: str | Sequence[str] | None = None,
        metric: str | None = None,
        kind: str = "auto",
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw the candidates of a search, while it runs or after it was killed.

        Parameters
        ----------
        checkpoint : str or path-like, default=None
            The file. ``None``: where a search without the parameter would keep it.

        search : int, default=None
            Number of the search in the file. ``None``: the one that was started
            last.

        parameters : str or sequence of one or two str, default=None
            Names of parameters. ``None``: those that differ between candidates, if
            they are two at the most.

        metric : str, default=None
            Name of a scorer. ``None``: the one that candidates are compared by.

        kind, ax
            As `plot` takes them.

        Returns
        -------
        display : CandidateComparisonDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        CheckpointError
            If there is no such file or search, or it cannot be read.
        ValueError
            If `parameters` or `metric` are none of the search's, or there is nothing
            to draw yet.
        """
        view = read_view(checkpoint, search)
        return cls._of(view, parameters, metric).plot(ax, kind=kind)

    @classmethod
    def _of(
        cls,
        view: SearchView,
        parameters: str | Sequence[str] | None,
        metric: str | None,
    ) -> Self:
        name, scores = score_table(view, metric)
        # Successive halving: the last round of a candidate used the most samples.
        last = {c.key: i for i, c in enumerate(view.candidates)}
        candidates = [view.candidates[i].values() for i in last.values()]
        return cls(
            parameters=_chosen(parameters, candidates),
            candidates=candidates,
            scores=scores[list(last.values())],
            metric=name,
        )

    def plot(self, ax: "Axes | None" = None, *, kind: str = "auto") -> Self:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. ``None``: those of a new figure.

        kind : {"auto", "lines", "heatmap", "points"}, default="auto"
            ``"lines"``: the mean score of the best candidate with each value,
            with the standard deviation over the folds; with two parameters a line
            for each value of the second. Categories are not connected.
            ``"heatmap"``: for two parameters, a cell for each pair of values, with
            the mean score of the best candidate.
            ``"points"``: each candidate by itself; with two parameters its score
            is its color.
            ``"auto"``: points where values hardly ever repeat, as those that were
            drawn from a distribution; else lines for one parameter and a heat map
            for two.

        Returns
        -------
        display : CandidateComparisonDisplay
            This object.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If `kind` has another value, or no candidate is complete yet.
        """
        if kind not in _KINDS:
            raise ValueError(
                "The 'kind' parameter of plot must be one of "
                f"{', '.join(map(repr, _KINDS))}. Got {kind!r} instead."
            )
        shown, note = self._shown()
        self.n_left_out_ = len(self.candidates) - len(shown)
        axes = [
            ParameterAxis.of(name, [self.candidates[i][name] for i in shown])
            for name in self.parameters
        ]
        if kind == "auto":
            kind = self._best_kind(axes)
        self._check_kind(kind, axes)
        self.ax_ = new_axes(type(self).__name__, ax)
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        self.lines_ = self.points_ = self.image_ = None
        drawing = CandidateDrawing(
            ax=self.ax_,
            scores=self.scores[shown],
            metric=self.metric,
            has_others=bool(self._others()),
        )
        x, y = axes[0], axes[-1]
        if kind == "heatmap":
            self.image_ = drawing.heat_map(x, y)
        elif kind == "lines" and len(axes) == 2:
            self.lines_ = drawing.lines(x, y)
        elif kind == "lines":
            self.lines_, self.points_ = drawing.line(x)
        elif len(axes) == 2:
            self.points_ = drawing.colored_points(x, y)
        else:
            self.lines_, self.points_ = drawing.points(x)
        legend_above(self.ax_, note=note)
        return self

    # ------------------------------------------------------------------

    def _shown(self) -> tuple[list[int], str]:
        """Return the positions of the candidates that can be shown, and why not all."""
        is_finite = np.isfinite(self.scores.sum(axis=1))
        has_all = [all(p in c for p in self.parameters) for c in self.candidates]
        shown = [i for i, has in enumerate(has_all) if has and is_finite[i]]
        if not shown:
            raise ValueError(
                f"None of the {len(self.candidates)} candidates has all its folds "
                f"finished and {' and '.join(map(repr, self.parameters))} among its "
                "parameters, so there is nothing to draw yet."
            )
        n_without = len(has_all) - sum(has_all)
        n_incomplete = len(has_all) - n_without - len(shown)
        reasons = [
            f"{n} {why}"
            for n, why in (
                (n_incomplete, "without scores of all folds"),
                (n_without, "without the parameter"),
            )
            if n
        ]
        if not reasons:
            return shown, ""
        return shown, f"{len(shown)} candidates; not shown: {', '.join(reasons)}"

    def _best_kind(self, axes: Sequence[ParameterAxis]) -> str:
        n_shown = len(axes[0].places)
        n_cells = math.prod(len(axis.distinct) for axis in axes)
        if len(axes) == 1:
            drawn = axes[0].categories is None and n_cells > n_shown / 2
            return "points" if drawn and self._others() else "lines"
        is_fine = any(
            axis.categories is None and len(axis.distinct) > _MOST_CELLS
            for axis in axes
        )
        return "points" if is_fine or n_cells > 4 * n_shown else "heatmap"

    def _check_kind(self, kind: str, axes: Sequence[ParameterAxis]) -> None:
        if kind == "heatmap" and len(axes) == 1:
            raise ValueError(
                "The kind 'heatmap' needs two parameters. Got one: "
                f"{self.parameters[0]!r}."
            )
        if kind == "lines" and len(axes) == 2:
            n_lines = len(axes[1].distinct)
            if n_lines > _MOST_LINES:
                raise ValueError(
                    f"The kind 'lines' draws a line for each of the {n_lines} values "
                    f"of {self.parameters[1]!r}; {_MOST_LINES} can be told apart. "
                    "Give the parameters the other way round, or another kind."
                )

    def _others(self) -> list[str]:
        """Return the other parameters that were varied."""
        return [n for n in varied(self.candidates) if n not in self.parameters]


def _chosen(
    parameters: str | Sequence[str] | None, candidates: Sequence[dict[str, Any]]
) -> tuple[str, ...]:
    """Return the names of the parameters to draw."""
    known = list(dict.fromkeys(name for c in candidates for name in c))
    if parameters is None:
        names = varied(candidates) or known[:1]
        if len(names) not in (1, 2):
            raise ValueError(
                f"This search varies {len(names)} parameters. Give one or two of them "
                f"as 'parameters': {', '.join(map(repr, names))}."
            )
        return tuple(names)
    names = [parameters] if isinstance(parameters, str) else list(parameters)
    if len(set(names)) != len(names) or len(names) not in (1, 2):
        raise ValueError(
            "The 'parameters' parameter must be the name of a parameter or two "
            f"different ones. Got {parameters!r} instead."
        )
    for name in names:
        if name not in known:
            raise ValueError(
                "The 'parameters' parameter must name parameters of the search: "
                f"{', '.join(map(repr, known))}. Got {name!r} instead."
            )
    return tuple(names)
