"""A parameter's values as places on an axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from .drawing import plain, spans_decades

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ParameterAxis", "varied"]

# More values than an axis can name.
_MOST_TICKS = {"x": 16, "y": 24}

# Letters that fit under an axis side by side.
_LETTERS = 70


@dataclass(frozen=True, kw_only=True)
class ParameterAxis:
    """A parameter's values as places on an axis.

    Numbers stand where they are. If one of the values is none (a text, a boolean,
    None), all are categories: the numbers in ascending order, then the others in the
    order in which they first came.
    """

    name: str
    places: NDArray[np.float64]
    """Of each candidate."""
    categories: list[str] | None
    """Names of the places 0, 1...; None: the places are the values."""

    @classmethod
    def of(cls, name: str, values: Sequence[Any]) -> Self:
        """Place values, one of each candidate."""
        if all(map(_is_number, values)):
            places = np.array(values, dtype=np.float64)
            return cls(name=name, places=places, categories=None)
        texts = [str(value) for value in values]
        numbers = sorted(filter(_is_number, values))
        names = list(dict.fromkeys([*map(str, numbers), *texts]))
        places = np.array([names.index(text) for text in texts], dtype=np.float64)
        return cls(name=name, places=places, categories=names)

    @property
    def label(self) -> str:
        """The name, as matplotlib shows it."""
        return plain(self.name, 60)

    @property
    def distinct(self) -> NDArray[np.float64]:
        """The places, each once, in ascending order."""
        return np.unique(self.places)

    @property
    def line_format(self) -> str:
        """How candidates are drawn: nothing lies between two categories."""
        return "o-" if self.categories is None else "o"

    def text(self, place: float) -> str:
        """Return the value at a place as a text."""
        if self.categories is None:
            return f"{place:.6g}"
        return plain(self.categories[int(place)], 24)

    def as_categories(self) -> "ParameterAxis":
        """Return the same values side by side, numbers in ascending order."""
        if self.categories is not None:
            return self
        distinct = self.distinct
        return ParameterAxis(
            name=self.name,
            places=np.searchsorted(distinct, self.places).astype(np.float64),
            categories=[self.text(place) for place in distinct],
        )

    def set_up(self, ax: "Axes", which: str) -> None:
        """Set scale, ticks and label of the x or the y axis."""
        ax.set(**{f"{which}label": self.label})
        distinct = self.distinct
        if self.categories is None:
            if spans_decades(distinct):
                ax.set(**{f"{which}scale": "log"})
            elif _has_room(distinct):
                ax.set(**{f"{which}ticks": distinct})
            return
        step = math.ceil(len(self.categories) / _MOST_TICKS[which])
        ticks = list(range(0, len(self.categories), step))
        labels = [self.text(tick) for tick in ticks]
        axis = ax.xaxis if which == "x" else ax.yaxis
        ax.set(**{f"{which}lim": (-0.5, len(self.categories) - 0.5)})
        axis.set_ticks(ticks, labels)
        if which == "x" and sum(map(len, labels)) + 2 * len(labels) > _LETTERS:
            for label in axis.get_ticklabels():
                label.set(rotation=30, ha="right", rotation_mode="anchor")


def varied(candidates: Sequence[dict[str, Any]]) -> list[str]:
    """Return the names of the parameters that differ between candidates."""
    names = dict.fromkeys(name for candidate in candidates for name in candidate)
    return [
        name
        for name in names
        if len({repr(candidate.get(name, ...)) for candidate in candidates}) > 1
    ]


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )


def _has_room(distinct: NDArray[np.float64]) -> bool:
    """Return whether all values can be ticks without touching each other."""
    if not 2 <= len(distinct) <= 8:
        return False
    return bool(np.diff(distinct).min() >= 0.08 * np.ptp(distinct))
