"""Why folds failed (``errors``)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .._texts import day_and_time, inert_lines
from .options import checkpoint_argument, json_option, search_option
from .output import fitting, parameters_text, print_json, show, utc

if TYPE_CHECKING:
    from .._records import CandidateRecord, FoldRecord

    _Failed = tuple[CandidateRecord, int, FoldRecord]

__all__ = ["errors"]


@click.command()
@checkpoint_argument
@search_option
@json_option
def errors(checkpoint: str | None, number: int | None, wants_json: bool) -> None:
    """Show why folds failed.

    Of each fold whose last try failed; identical tracebacks once.
    """
    from .._results import view_search
    from .facts import choose, opened, readable

    with opened(checkpoint) as reader:
        search = choose(reader, number)
        with readable(reader.path):
            groups = _by_error(view_search(reader, search).failed())
    if wants_json:
        print_json(
            [
                {
                    "error": error,
                    "count": len(failed),
                    "folds": [_record(*fold) for fold in failed],
                }
                for error, failed in groups.items()
            ]
        )
        return
    if not groups:
        click.echo(f"No fold of search {search.number} has failed.")
    for place, (error, failed) in enumerate(groups.items()):
        if place:
            click.echo()
        _print_group(error, failed)


def _by_error(failed: Sequence["_Failed"]) -> dict[str, list["_Failed"]]:
    """Put folds with the same error together, the most frequent one first."""
    groups: dict[str, list[_Failed]] = {}
    for fold in failed:
        groups.setdefault(fold[2].error or "", []).append(fold)
    return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def _record(
    candidate: "CandidateRecord", split: int, record: "FoldRecord"
) -> dict[str, Any]:
    return {
        "candidate": candidate.position,
        "params": candidate.values(),
        "split": split,
        "attempts": record.attempts,
        "started": utc(record.started),
        "finished": utc(record.finished),
        "worker": record.worker,
        "device": record.device,
    }


def _print_group(error: str, failed: Sequence["_Failed"]) -> None:
    count = "1 fold" if len(failed) == 1 else f"{len(failed)} folds"
    click.echo(f"{count} failed with:")
    click.echo()
    for text in inert_lines(error.strip("\n")).split("\n"):
        click.echo(f"    {text}".rstrip())
    click.echo()
    show(
        fitting(
            ["candidate", "split", "attempts", "when", "worker", "parameters"],
            [
                [
                    candidate.position,
                    split,
                    record.attempts,
                    day_and_time(record.finished),
                    "" if record.worker is None else record.worker,
                    parameters_text(candidate.values()),
                ]
                for candidate, split, record in failed
            ],
            whole=["when"],
            right=["candidate", "split", "attempts", "worker"],
        )
    )
