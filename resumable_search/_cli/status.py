"""How a search is, once (``status``) or until it ends (``watch``)."""

import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .._texts import day_and_time, inert
from .options import checkpoint_argument, json_option, search_option
from .output import console, print_json, show

if TYPE_CHECKING:
    from .facts import Facts

__all__ = ["status", "watch"]

# As a shell gives it for a command that Ctrl-C ended.
_INTERRUPTED = 130

# A look at a search of very many folds takes long: times that, until the next one,
# so that the cores are the search's.
_REST = 9


@click.command()
@checkpoint_argument
@search_option
@json_option
def status(checkpoint: str | None, number: int | None, wants_json: bool) -> None:
    """Show how far a search is.

    And the best candidate so far, whether a process runs it, and what its workers
    do.
    """
    from .describing import describe, facts_json
    from .facts import choose, gather, opened

    with opened(checkpoint) as reader:
        facts = gather(reader, choose(reader, number))
    if wants_json:
        print_json(facts_json(facts))
    else:
        show(describe(facts, time.time(), has_bar=sys.stdout.isatty()))


@click.command()
@checkpoint_argument
@search_option
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Seconds between two looks; more for a search of very many folds.",
)
def watch(checkpoint: str | None, number: int | None, interval: float) -> None:
    """Show the same, live, until the search ends or Ctrl-C.

    Where the output is no terminal, a line is printed whenever a fold has finished
    or failed. The exit code is 1 if the search ended before it was finished, and 130
    after Ctrl-C.
    """
    from .._states import State
    from .describing import state_text
    from .facts import opened

    with opened(checkpoint) as reader:
        looks = _looks(reader, number, interval)
        is_live = sys.stdout.isatty() and not console().is_dumb_terminal
        try:
            facts = _show_live(looks) if is_live else _print_lines(looks)
        except KeyboardInterrupt:
            raise click.exceptions.Exit(_INTERRUPTED) from None
    end = f"Search {facts.search.number} {inert(state_text(facts))}."
    if facts.state is not State.FINISHED:
        raise click.ClickException(end)
    if not is_live:  # else it stands there already
        click.echo(f"{day_and_time(time.time())} {end}")


def _looks(reader: Any, number: int | None, interval: float) -> "Iterator[Facts]":
    """Look at a search again and again, until nobody runs it."""
    from .._states import State
    from .facts import choose, gather

    search = choose(reader, number)
    while True:
        began = time.monotonic()
        facts = gather(reader, search)
        took = time.monotonic() - began
        yield facts
        if facts.state is not State.RUNNING:
            return
        time.sleep(max(interval, took * _REST))


def _show_live(looks: "Iterator[Facts]") -> "Facts":
    from rich.live import Live

    from .describing import describe

    with Live(console=console(), auto_refresh=False) as live:
        for facts in looks:
            live.update(describe(facts, time.time(), has_bar=True), refresh=True)
    return facts


def _print_lines(looks: "Iterator[Facts]") -> "Facts":
    from .describing import line

    last = None
    for facts in looks:
        news = facts.n_done, facts.n_failed, facts.view.n_folds
        if news != last:
            click.echo(f"{day_and_time(time.time())} {line(facts)}")
            last = news
    return facts
