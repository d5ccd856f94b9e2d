"""What searches a checkpoint holds (``list``)."""

import click

from .._texts import day_and_time, inert
from .options import checkpoint_argument, json_option
from .output import fitting, print_json, show, utc

__all__ = ["list_searches"]

_TO_THE_MINUTE = len("2030-12-31 23:59")


@click.command("list")
@checkpoint_argument
@json_option
def list_searches(checkpoint: str | None, wants_json: bool) -> None:
    """List the searches in a checkpoint.

    The one that was started last comes first.
    """
    from .facts import gather, opened, readable

    with opened(checkpoint) as reader:
        with readable(reader.path):
            searches = reader.searches()
        found = [gather(reader, search) for search in searches]
    if wants_json:
        print_json(
            [
                {
                    "search": facts.search.number,
                    "class": facts.search.kind,
                    "estimator": facts.search.estimator,
                    "started": utc(facts.search.started),
                    "n_folds": facts.view.n_folds,
                    "n_done": facts.n_done,
                    "n_failed": facts.n_failed,
                    "state": str(facts.state),
                }
                for facts in found
            ]
        )
        return
    if not found:
        click.echo("The checkpoint holds no search yet.")
        return
    show(
        fitting(
            ["search", "state", "folds", "failed", "started", "class", "estimator"],
            [
                [
                    facts.search.number,
                    facts.state,
                    f"{facts.n_done}/{facts.view.n_folds}",
                    facts.n_failed,
                    day_and_time(facts.search.started)[:_TO_THE_MINUTE],
                    # Short enough for a line; JSON and 'status' have the whole names.
                    inert(facts.search.kind).removeprefix("Resumable"),
                    inert(facts.search.estimator.rpartition(".")[2]),
                ]
                for facts in found
            ],
            whole=["state", "started"],
            right=["search", "folds", "failed"],
        )
    )
