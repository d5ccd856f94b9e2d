"""Why the folds of one search cannot be used for another (``why``)."""

from typing import Any

import click

from .._texts import inert
from .options import json_option
from .output import print_json

__all__ = ["why"]


@click.command()
@click.argument("checkpoint_and_searches", nargs=-1, metavar="[CHECKPOINT] A B")
@json_option
def why(checkpoint_and_searches: tuple[str, ...], wants_json: bool) -> None:
    """Compare the searches A and B of a checkpoint, part by part.

    A and B are numbers, as 'list' shows them. What is not the same is why the folds
    of one cannot be used for the other.
    """
    from .._results import compare_searches

    checkpoint, first, second = _arguments(checkpoint_and_searches)
    changes = compare_searches(first, second, checkpoint=checkpoint)
    if wants_json:
        print_json([_record(change) for change in changes])
    elif not changes:
        click.echo(
            f"Searches {first} and {second} differ by nothing but their candidates."
        )
    for change in () if wants_json else changes:
        click.echo(inert(change))


def _arguments(given: tuple[str, ...]) -> tuple[str | None, int, int]:
    *checkpoint, first, second = given if len(given) in (2, 3) else ("", "")
    if not (first.isdecimal() and second.isdecimal()):
        raise click.UsageError("Give the numbers of two searches: [CHECKPOINT] A B.")
    return (checkpoint[0] if checkpoint else None), int(first), int(second)


def _record(change: Any) -> dict[str, Any]:
    return {
        "part": change.part,
        "name": change.name,
        "before": change.before,
        "after": change.after,
        "remark": change.remark,
    }
