"""How a search went: its scores over time, and what its workers did."""

import os
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from .._results import SearchView
from .data import fold_table, read_view, score_table, view_of
from .drawing import WorkingTime, legend_above, new_axes, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection, PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

__all__ = ["SearchProgressDisplay"]

# More candidates than a legend can name.
_MOST_NAMED = 10


class SearchProgressDisplay:
    """How a search went: its scores over time, and what its workers did.

    Make one with `from_search` or `from_checkpoint`, which also draw it. Needs
    matplotlib.

    Parameters
    ----------
    folds : dict of str to ndarray of shape (n_folds,)
        The finished and failed folds in the order in which they ended:
        ``"candidate"`` and ``"split"`` (positions, from 0), ``"started"`` and
        ``"finished"`` (seconds since 1970), ``"worker"`` (number of its place; -1:
        not known), ``"device"`` (UUID of the GPU, or empty) and ``"failed"``.

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

    line_ : matplotlib.lines.Line2D or None
        Best score so far. None with ``kind="workers"``, and where no candidate is
        complete.

    points_ : matplotlib.collections.PathCollection or None
        Scores of the complete candidates. None with ``kind="workers"``.

    failed_ : matplotlib.lines.Line2D or None
        Marks of the failed folds. None where there are none, and with
        ``kind="workers"``.

    bars_ : list of matplotlib.collections.PolyCollection or None
        The folds of each worker, from the top down. None with ``kind="score"``.

    pauses_ : list of matplotlib.lines.Line2D
        Marks where pauses were cut out of the time.

    See Also
    --------
    CandidateComparisonDisplay : Parameters against the score.
    read_results : The numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from resumable_search import ResumableGridSearchCV, SearchProgressDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> search = ResumableGridSearchCV(SVC(), {"C": [0.1, 1, 10]}, cv=3).fit(X, y)
    >>> display = SearchProgressDisplay.from_search(search)
    >>> display.ax_.get_ylabel()
    'Mean test score over 3 folds'
    >>> display.figure_.savefig("progress.png")
    """

    ax_: "Axes"
    figure_: "Figure"
    line_: "Line2D | None"
    points_: "PathCollection | None"
    failed_: "Line2D | None"
    bars_: "list[PolyCollection] | None"
    pauses_: "list[Line2D]"

    def __init__(
        self,
        *,
        folds: dict[str, NDArray[Any]],
        scores: NDArray[np.float64],
        metric: str = "score",
    ) -> None:
        self.folds = folds
        self.scores = scores
        self.metric = metric

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        metric: str | None = None,
        kind: str = "score",
        color_by: str = "candidate",
        pauses: str = "cut",
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw how a fitted search went.

        Parameters
        ----------
        search : ResumableGridSearchCV or ResumableRandomizedSearchCV
            The search. Its checkpoint is read, so that folds of earlier runs are
            there too.

        metric : str, default=None
            Name of a scorer. ``None``: the one that candidates are compared by.

        kind, color_by, pauses, ax
            As `plot` takes them.

        Returns
        -------
        display : SearchProgressDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        NotFittedError
            If the search has not come as far as its checkpoint.
        CheckpointError
            If the checkpoint is not there any more, or cannot be read.
        ValueError
            If there is nothing to draw yet.
        """
        display = cls._of(view_of(search), metric)
        return display.plot(ax, kind=kind, color_by=color_by, pauses=pauses)

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: str | os.PathLike[str] | None = None,
        *,
        search: int | None = None,
        metric: str | None = None,
        kind: str = "score",
        color_by: str = "candidate",
        pauses: str = "cut",
        ax: "Axes | None" = None,
    ) -> Self:
        """Draw how a search has gone so far, while it runs or after it was killed.

        Parameters
        ----------
        checkpoint : str or path-like, default=None
            The file. ``None``: where a search without the parameter would keep it.

        search : int, default=None
            Number of the search in the file. ``None``: the one that was started
            last.

        metric : str, default=None
            Name of a scorer. ``None``: the one that candidates are compared by.

        kind, color_by, pauses, ax
            As `plot` takes them.

        Returns
        -------
        display : SearchProgressDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        CheckpointError
            If there is no such file or search, or it cannot be read.
        ValueError
            If there is nothing to draw yet.
        """
        display = cls._of(read_view(checkpoint, search), metric)
        return display.plot(ax, kind=kind, color_by=color_by, pauses=pauses)

    @classmethod
    def _of(cls, view: SearchView, metric: str | None) -> Self:
        name, scores = score_table(view, metric)
        return cls(folds=fold_table(view), scores=scores, metric=name)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        kind: str = "score",
        color_by: str = "candidate",
        pauses: str = "cut",
    ) -> Self:
        """Draw it.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Axes to draw on. ``None``: those of a new figure.

        kind : {"score", "workers"}, default="score"
            ``"score"``: the mean score of each complete candidate, at the time at
            which its last fold was finished, and the best one so far. Candidates
            of which a fold is missing have no point.
            ``"workers"``: a row for each worker (and GPU), with a bar for each fold
            that it has finished or that failed. What a kill cut off is not there.

        color_by : {"candidate", "split"}, default="candidate"
            What the bars' colors stand for, with ``kind="workers"``. The colors of
            candidates repeat where there are more than 20.

        pauses : {"cut", "keep"}, default="cut"
            Whether times in which no fold was running for long (more than a second
            and a twentieth of the working time) are left out, and marked.

        Returns
        -------
        display : SearchProgressDisplay
            This object.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a parameter has another value, or no fold has ended yet.
        """
        _check("kind", kind, ("score", "workers"))
        _check("color_by", color_by, ("candidate", "split"))
        _check("pauses", pauses, ("cut", "keep"))
        if not len(self.folds["finished"]):
            raise ValueError(
                "No fold of this search has ended yet, so there is nothing to draw. "
                "Draw it when the first one is finished."
            )
        rows = self._rows()
        height = 1.6 + 0.45 * len(rows) if kind == "workers" else 4.2
        self.ax_ = new_axes(type(self).__name__, ax, min(height, 12.0))
        self.figure_ = self.ax_.figure  # type: ignore[assignment]
        self.line_ = self.points_ = self.failed_ = self.bars_ = None
        self._named: list[Any] = []
        time = WorkingTime(
            self.folds["started"], self.folds["finished"], cut=pauses == "cut"
        )
        if kind == "score":
            self._plot_scores(time)
        else:
            self._plot_workers(time, rows, color_by)
        self.pauses_ = time.mark_pauses(self.ax_)
        self.ax_.set_xlabel(time.label())
        legend_above(self.ax_, self._named)
        return self

    # ------------------------------------------------------------------

    def _plot_scores(self, time: WorkingTime) -> None:
        ax = self.ax_
        finished, scores = self._complete()
        n_splits = self.scores.shape[1]
        if len(scores):
            best = np.maximum.accumulate(scores)
            x = time(finished)
            self.points_ = ax.scatter(
                x, scores, s=22, color="C0", alpha=0.6, label="candidate", zorder=2
            )
            (self.line_,) = ax.plot(
                np.append(x, time.total),
                np.append(best, best[-1]),
                drawstyle="steps-post",
                color="C1",
                label=f"best so far ({best[-1]:.4g})",
                zorder=3,
            )
        else:
            ax.set_yticks([])
        ax.set_xlim(-0.03 * time.total, 1.03 * time.total)
        failed = self.folds["finished"][self.folds["failed"]]
        if len(failed):
            (self.failed_,) = ax.plot(
                time(failed),
                np.full(len(failed), 0.025),
                "x",
                color="C3",
                label=f"failed fold ({len(failed)})",
                transform=ax.get_xaxis_transform(),
                zorder=4,
            )
        over = f" over {n_splits} folds" if n_splits > 1 else ""
        ax.set_ylabel(f"Mean test {plain(self.metric)}{over}")

    def _complete(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return when the complete candidates were finished, and their mean scores."""
        n_candidates, n_splits = self.scores.shape
        done = ~self.folds["failed"]
        candidate = self.folds["candidate"][done]
        n_done = np.bincount(candidate, minlength=n_candidates)
        last = np.full(n_candidates, -np.inf)
        np.maximum.at(last, candidate, self.folds["finished"][done])
        means = self.scores.mean(axis=1)
        kept = np.flatnonzero((n_done == n_splits) & np.isfinite(means))
        kept = kept[np.argsort(last[kept], kind="stable")]
        return last[kept], means[kept]

    # ------------------------------------------------------------------

    def _rows(self) -> list[tuple[int, str]]:
        pairs = zip(self.folds["worker"], self.folds["device"], strict=True)
        return sorted({(int(worker), str(device)) for worker, device in pairs})

    def _plot_workers(
        self, time: WorkingTime, rows: list[tuple[int, str]], color_by: str
    ) -> None:
        from matplotlib import colormaps
        from matplotlib.patches import Patch

        ax, folds = self.ax_, self.folds
        begin, end = time(folds["started"]), time(folds["finished"])
        number = folds[color_by]
        palette = colormaps["tab10" if number.max() < _MOST_NAMED else "tab20"].colors  # type: ignore[attr-defined]
        self.bars_ = []
        for y, (worker, device) in enumerate(rows):
            here = np.flatnonzero(
                (folds["worker"] == worker) & (folds["device"] == device)
            )
            failed = folds["failed"][here]
            # A white line between bars, where it leaves something of them.
            edge = np.where(end[here] - begin[here] > time.total / 150, 0.6, 0.0)
            self.bars_.append(
                ax.broken_barh(
                    [(begin[i], end[i] - begin[i]) for i in here],
                    (y - 0.4, 0.8),
                    facecolors=[
                        "white" if f else palette[number[i] % len(palette)]
                        for i, f in zip(here, failed, strict=True)
                    ],
                    edgecolors=np.where(failed, "C3", "white"),
                    linewidths=np.where(failed, 1.4, edge),
                )
            )
        ax.set_xlim(0, time.total)
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.set_yticks(range(len(rows)), [_row_name(*row) for row in rows])
        if number.max() < _MOST_NAMED:
            self._named += [
                Patch(color=palette[n], label=f"{color_by} {n}")
                for n in np.unique(number)
            ]
        if n_failed := int(folds["failed"].sum()):
            self._named.append(
                Patch(fc="white", ec="C3", lw=1.4, label=f"failed fold ({n_failed})")
            )


def _row_name(worker: int, device: str) -> str:
    name = "unknown worker" if worker < 0 else f"worker {worker}"
    # The beginning of a UUID tells the GPUs of a machine apart.
    return f"{name}\n{plain(device[:12])}" if device else name


def _check(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(
            f"The '{name}' parameter of plot must be one of "
            f"{', '.join(map(repr, allowed))}. Got {value!r} instead."
        )
