"""What has changed since a search that is much like this one was run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .._records import SearchRecord
from .rows import number, parsed

__all__ = [
    "Change",
    "about_equal",
    "all_changes",
    "changes",
    "nearest_relative",
    "outdated_relatives",
    "with_details",
]

#: Part -> name -> (key, text).
Table = dict[str, dict[str, tuple[str, str]]]

# The newest ones.
_MOST_RELATIVES = 200

# Of relative size, below which numbers that other processors computed differ.
_ABOUT_EQUAL = 1e-6

# What only names the candidates: those that both searches have are the same folds.
_NAMES = "candidate parameters"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Something that is not the same in two searches.

    Attributes
    ----------
    part : str
        What it is part of: ``"estimator"``, ``"data"``, ``"splitter"``, ...; ``"code"``
        for what the functions and classes of the search reach.
    name : str
        Of the parameter, the file, the global and so on.
    before, after : str or None
        A short text of the value in each search; None where there is none.
    remark : str
        What else is known, such as that two lists have the same items.
    """

    part: str
    name: str
    before: str | None
    after: str | None
    remark: str = ""

    def __str__(self) -> str:
        label = f"{self.part} {self.name!r}" if self.name else f"code of {self.part}"
        if self.part == "estimator" and self.name:
            label = f"estimator parameter {self.name!r}"
        if self.part in ("train scores", _NAMES):
            label = self.part
        remark = f" ({self.remark})" if self.remark else ""
        if self.before == self.after:
            return f"{label}: other content ({self.after}){remark}"
        before = "(none)" if self.before is None else self.before
        after = "(none)" if self.after is None else self.after
        return f"{label}: {before} -> {after}{remark}"


def nearest_relative(
    search: SearchRecord, others: Sequence[SearchRecord], *, is_inner: bool
) -> tuple[SearchRecord, list[Change]] | None:
    """Return the search that differs least, and how, if there is one to speak of.

    Parameters
    ----------
    search : SearchRecord
        The one that starts.
    others : sequence of SearchRecord
        All that are in the checkpoint, the newest first.
    is_inner : bool
        Whether another fit runs the search, as nested cross-validation does. Those that
        the same run has started are no relatives then: each has other data, and that
        is no surprise to anybody.
    """
    nearest: tuple[SearchRecord, list[Change]] | None = None
    for other in others[:_MOST_RELATIVES]:
        if other.is_outdated or _estimator_class(other) != _estimator_class(search):
            continue
        if is_inner and other.run == search.run:
            continue
        found = _that_matter(changes(other.parts, search.parts), other, search)
        if all(change.part == _NAMES for change in found):
            return other, found
        if nearest is None or len(found) < len(nearest[1]):
            nearest = other, found
    return nearest


def _that_matter(
    found: list[Change], old: SearchRecord, new: SearchRecord
) -> list[Change]:
    """Leave out that less is wanted than is there."""
    spare = set()
    if set(new.scorers.values()) <= set(old.scorers.values()):
        spare.add("scorer")
    if new.parts.get("train scores", {}).get("", ("", ""))[1] != "wanted":
        spare.add("train scores")
    return [change for change in found if change.part not in spare]


def outdated_relatives(
    search: SearchRecord, others: Sequence[SearchRecord]
) -> list[SearchRecord]:
    """Return the searches of the same estimator whose scores cannot be trusted."""
    return [
        other
        for other in others
        if other.is_outdated and _estimator_class(other) == _estimator_class(search)
    ]


def with_details(found: Sequence[Change], before: Table, new: Table) -> list[Change]:
    """Return changes with what the details of two searches tell beyond them."""
    more = [
        Change(
            part=change.part,
            name=change.name,
            before=change.before,
            after=change.after,
            remark=_remark(change, before, new),
        )
        for change in found
    ]
    code = [{"code": table.get("code", {})} for table in (before, new)]
    return [*more, *changes(*code)]


def all_changes(
    old: SearchRecord, new: SearchRecord, old_details: Table, new_details: Table
) -> list[Change]:
    """Return all that is not the same in two searches."""
    found = changes(old.parts, new.parts)
    if old.key_rules != new.key_rules:
        rules = [f"rules {search.key_rules}" for search in (old, new)]
        found.insert(
            0, Change(part="keys", name="rules", before=rules[0], after=rules[1])
        )
    return with_details(found, old_details, new_details)


def changes(old: Table, new: Table) -> list[Change]:
    """Return what is not the same in two tables."""
    found = []
    for part in dict.fromkeys([*old, *new]):
        before, after = old.get(part, {}), new.get(part, {})
        # A scorer counts by what it is, whatever its name.
        if part == "scorer" and {k for k, _ in before.values()} == {
            k for k, _ in after.values()
        }:
            continue
        for name in dict.fromkeys([*before, *after]):
            was, now = before.get(name), after.get(name)
            if was is not None and now is not None and was[0] == now[0]:
                continue
            found.append(
                Change(
                    part=part,
                    name=name,
                    before=was and was[1],
                    after=now and now[1],
                )
            )
    return found


def _remark(change: Change, old: Table, new: Table) -> str:
    """Return what the details tell of a change, "" for nothing."""
    if change.part == "estimator":
        was, now = (t.get("same items", {}).get(change.name) for t in (old, new))
        if was is not None and was == now:
            return (
                "the same items in another order; make a list of a set with sorted(), "
                "so that its order stays"
            )
    if change.part == "data" and change.before == change.after:
        was, now = (t.get("sample", {}).get(change.name) for t in (old, new))
        if was is not None and now is not None:
            if about_equal(was[1], now[1]):
                return (
                    "equal to 1e-6 as far as a sample tells, as from another "
                    "processor; 'data_key' lets it count as the same"
                )
            return "the same shape, and the values differ by more than 1e-6"
    return ""


def about_equal(one: str, other: str, tolerance: float = _ABOUT_EQUAL) -> bool:
    """Compare two samples, which may come from a stranger's file."""
    try:
        (values, sums, sizes), (values_2, sums_2, _) = map(_numbers, (one, other))
        scale = max(sum(sizes) / max(len(values), 1), 1e-300)
        return all(
            _is_near(a, b, max(abs(a), abs(b), scale * 1e-3), tolerance)
            for a, b in zip(values, values_2, strict=True)
        ) and all(
            _is_near(a, b, size, tolerance)
            for a, b, size in zip(sums, sums_2, sizes, strict=True)
        )
    except (ValueError, TypeError, OverflowError):
        return False


def _numbers(sample: str) -> list[list[float]]:
    return [[float(number(value)) for value in values] for values in parsed(sample)]


def _is_near(a: float, b: float, size: float, tolerance: float) -> bool:
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= tolerance * size


def _estimator_class(search: SearchRecord) -> str:
    return search.parts.get("estimator", {}).get("", ("", ""))[1]
