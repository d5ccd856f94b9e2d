"""Maintenance of a checkpoint: ``copy``, ``prune`` and ``verify``."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .._texts import day_and_time, inert
from .options import checkpoint_argument, search_option

if TYPE_CHECKING:
    from .._checkpoint.pruning import Pruning
    from .._records import SearchRecord

__all__ = ["copy", "prune", "verify"]


@click.command()
@click.argument("source", type=click.Path())
@click.argument("target", type=click.Path())
@click.option("--replace", is_flag=True, help="Replace TARGET if it is there.")
def copy(source: str, target: str, replace: bool) -> None:
    """Copy a checkpoint, also while a search runs.

    TARGET is a file or a directory. The copy has everything that was stored before.
    What a killed search has left in the file SOURCE-wal is in it too, which a plain
    copy of the file would lack. The files of unfinished fits (save_epochs) are not
    copied.
    """
    from .._checkpoint.copying import copy_checkpoint
    from .._checkpoint.locations import find_checkpoint

    path, there = find_checkpoint(source), find_checkpoint(target)
    if target.endswith(os.sep) or os.path.isdir(there):  # noqa: PTH112 - never raises
        there /= path.name
    copy_checkpoint(path, there, replace=replace)
    click.echo(f"Copied {inert(path)} to {inert(there)} ({_bytes(_size(there))}).")


@click.command()
@checkpoint_argument
@search_option
@click.option(
    "--all-but-last", is_flag=True, help="All searches but the one started last."
)
@click.option(
    "--outdated",
    is_flag=True,
    help="All searches whose scores an older version of resumable_search stored, "
    "which are not used any more.",
)
@click.option("--yes", "-y", "is_sure", is_flag=True, help="Do not ask.")
def prune(
    checkpoint: str | None,
    number: int | None,
    all_but_last: bool,
    outdated: bool,
    is_sure: bool,
) -> None:
    """Remove a search from a checkpoint.

    And the folds that no other search uses. Needs --search, --all-but-last or
    --outdated. It shows what goes, and asks. A search that is running is refused.
    Random states stay: the same search, fitted again, draws the same candidates and
    splits.
    """
    from .._checkpoint.pruning import plan_pruning
    from .facts import opened, readable

    if [number is not None, all_but_last, outdated].count(True) != 1:
        raise click.UsageError("Give one of --search N, --all-but-last, --outdated.")
    with opened(checkpoint) as reader:
        path = reader.path
        with readable(path):
            searches = reader.searches()
            if outdated:
                searches = [search for search in searches if search.is_outdated]
            else:
                searches = _chosen(searches, number, path)
            pruning = plan_pruning(reader, searches)
    if not searches:
        click.echo(
            "There is no search of an older version of resumable_search."
            if outdated
            else "There is no search but the one that was started last."
        )
        return
    _refuse_running(path, searches)
    _show(pruning)
    if not is_sure:
        click.confirm("Remove this?", abort=True)
    _prune(path, pruning)


def _chosen(
    searches: Sequence["SearchRecord"], number: int | None, path: Path
) -> list["SearchRecord"]:
    from .._results import choose_search

    chosen = choose_search(searches, number, path)
    if number is not None:
        return [chosen]
    return [search for search in searches if search.number != chosen.number]


def _refuse_running(path: Path, searches: Sequence["SearchRecord"]) -> None:
    """Say so before anybody is asked; what counts is the lock, later."""
    from .._checkpoint.locks import find_holder

    for search in searches:
        holder = find_holder(path, search.key)
        if holder is not None and holder.is_running:
            raise click.ClickException(
                f"Search {search.number} is running, in process {holder.pid} on "
                f"{inert(holder.host)}. Nothing was removed. Stop it first, or wait "
                "for it to finish."
            )


def _show(pruning: "Pruning") -> None:
    click.echo("To be removed:")
    for search in pruning.searches:
        click.echo(
            f"  search {search.number}: {inert(search.kind)} of "
            f"{inert(search.estimator)}, started {day_and_time(search.started)}"
        )
    click.echo(f"  {_counted(pruning.n_candidates, 'candidate')}")
    click.echo(f"  {_counted(pruning.n_folds, 'fold')} that no other search uses")
    if pruning.folders:
        what = _counted(len(pruning.folders), "directory", "directories")
        click.echo(f"  {what} with files of unfinished fits")
    if pruning.n_shared:
        click.echo("To be kept:")
        click.echo(f"  {_counted(pruning.n_shared, 'fold')} that other searches use")


def _prune(path: Path, plan: "Pruning") -> None:
    from .._checkpoint.pruning import CheckpointPruner
    from .._exceptions import CheckpointError

    size = _size(path) + sum(map(_size, plan.folders))
    pruner = CheckpointPruner(path)
    try:
        pruning = pruner.prune(plan.searches)
        try:
            pruner.compact()
        except CheckpointError as exc:  # it needs as much room as the file again
            click.echo(f"The file could not be made smaller: {inert(exc)}", err=True)
    finally:
        pruner.close()
    freed = size - _size(path) - sum(map(_size, plan.folders))
    click.echo(
        f"Removed {_counted(len(pruning.searches), 'search', 'searches')} and "
        f"{_counted(pruning.n_folds, 'fold')}. {_bytes(max(freed, 0))} freed."
    )


@click.command()
@checkpoint_argument
def verify(checkpoint: str | None) -> None:
    """Check that a checkpoint is whole and can be read.

    The exit code is 1 if something is wrong. The file is not changed.
    """
    from .._checkpoint.locations import find_checkpoint
    from .._checkpoint.verifying import find_problems

    path = find_checkpoint(checkpoint)
    n_problems = 0
    for problem in find_problems(path):
        click.echo(inert(problem))
        n_problems += 1
    if n_problems:
        raise click.ClickException(
            f"{_counted(n_problems, 'problem')} in {inert(path)}. Restore it from a "
            "copy, or move it away to start afresh."
        )
    click.echo(f"{inert(path)} is whole.")
    _tell_of_outdated(path)


def _tell_of_outdated(path: Path) -> None:
    from .describing import OUTDATED
    from .facts import opened

    with opened(str(path)) as reader:
        numbers = sorted(s.number for s in reader.searches() if s.is_outdated)
    if numbers:
        listed = ", ".join(map(str, numbers))
        what = "search" if len(numbers) == 1 else "searches"
        click.echo(f"Scores of the {what} {listed}: {OUTDATED}.")


def _counted(number: int, what: str, many: str = "") -> str:
    return f"{number} {what if number == 1 else many or what + 's'}"


def _size(path: Path) -> int:
    """Return the bytes of a directory, or of a checkpoint with its log."""
    if path.is_dir():
        return sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    log = path.with_name(f"{path.name}-wal")
    return sum(f.stat().st_size for f in (path, log) if f.exists())


def _bytes(number: float) -> str:
    if number < 1000:
        return f"{number} bytes"
    for unit in ("kB", "MB"):
        number /= 1000
        if number < 1000:
            return f"{number:.3g} {unit}"
    return f"{number / 1000:.3g} GB"
