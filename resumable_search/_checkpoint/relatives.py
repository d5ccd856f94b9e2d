"""What has changed since a search that is much like this one was run."""

from collections.abc import Sequence
from pathlib import Path

from .._records import SearchRecord

__all__ = ["outdated_relatives", "relative_text"]

# The newest ones.
_MOST_RELATIVES = 200


def relative_text(
    path: Path, search: SearchRecord, others: Sequence[SearchRecord]
) -> str | None:
    """Say how the nearest relative differs, if its folds cannot be used.

    Searches that this run itself has started are no relatives: in nested
    cross-validation each has other data, and that is no surprise to anybody.
    """
    nearest: list[str] | None = None
    for other in others[:_MOST_RELATIVES]:
        if other.run == search.run or other.is_outdated:
            continue
        if _estimator_class(other) != _estimator_class(search):
            continue
        changes = _changes(other.parts, search.parts)
        if not changes:
            return None  # the same but for the candidates
        if nearest is None or len(changes) < len(nearest):
            nearest = changes
    if nearest is None:
        return None
    return (
        f"The checkpoint {path} holds folds of a similar search, but none of them can "
        "be used for this one, because of what has changed since: "
        f"{'; '.join(nearest)}. All folds run."
    )


def outdated_relatives(
    search: SearchRecord, others: Sequence[SearchRecord]
) -> list[SearchRecord]:
    """Return the searches of the same estimator whose scores cannot be trusted."""
    return [
        other
        for other in others
        if other.is_outdated and _estimator_class(other) == _estimator_class(search)
    ]


def _estimator_class(search: SearchRecord) -> str:
    return search.parts.get("estimator", {}).get("", ("", ""))[1]


def _changes(
    old: dict[str, dict[str, tuple[str, str]]],
    new: dict[str, dict[str, tuple[str, str]]],
) -> list[str]:
    changes = []
    for part in new:
        before, after = old.get(part, {}), new[part]
        if part == "scorer" and {k for k, _ in after.values()} <= {
            k for k, _ in before.values()
        }:
            continue
        for name in dict.fromkeys([*before, *after]):
            was, now = before.get(name), after.get(name)
            if was is not None and now is not None and was[0] == now[0]:
                continue
            changes.append(_change(part, name, was, now))
    return changes


def _change(
    part: str, name: str, was: tuple[str, str] | None, now: tuple[str, str] | None
) -> str:
    label = f"{part} {name!r}" if name else f"code of {part}"
    if part == "estimator" and name:
        label = f"estimator parameter {name!r}"
    if was is not None and now is not None and was[1] == now[1]:
        return f"{label}: other content ({now[1]})"
    return f"{label}: {was[1] if was else '(none)'} -> {now[1] if now else '(none)'}"
