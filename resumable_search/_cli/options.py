"""What several commands take."""

from typing import Any

import click

__all__ = ["checkpoint_argument", "json_option", "search_option"]


def checkpoint_argument(command: Any) -> Any:
    """Take the checkpoint, as a path that need not be there."""
    # That it is not there is no wrong usage: the error comes from who opens it.
    return click.argument("checkpoint", required=False, type=click.Path())(command)


def search_option(command: Any) -> Any:
    """Take the number of a search."""
    return click.option(
        "--search",
        "number",
        type=click.IntRange(min=1),
        metavar="N",
        help="Number of the search, as 'list' shows it. Default: the one that was "
        "started last.",
    )(command)


def json_option(command: Any) -> Any:
    """Take the wish for JSON."""
    return click.option(
        "--json", "wants_json", is_flag=True, help="Print JSON, for other programs."
    )(command)
