"""The command line: ``resumable-search`` and ``python -m resumable_search``.

Each command is in a module of `_cli`, and imports what it needs when it runs, so
that help and completion are there at once.
"""

import os
import sys
from typing import Any

import click

from . import __version__
from ._cli.dashboard import dashboard
from ._cli.errors import errors
from ._cli.listing import list_searches
from ._cli.results import results
from ._cli.status import status, watch
from ._cli.upkeep import copy, prune, verify
from ._cli.why import why
from ._exceptions import ResumableSearchError
from ._texts import inert

__all__ = ["main"]


class _Commands(click.Group):
    """Says errors of the package on one line; a reader that has gone is no error."""

    def invoke(self, ctx: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            # One of another encoding shows what it can.
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            value = super().invoke(ctx)
            sys.stdout.flush()
        except ResumableSearchError as exc:
            raise click.ClickException(inert(exc)) from exc
        except BrokenPipeError:
            # Python flushes standard output once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None
        return value

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(self.commands)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0, all is well; 1, what was asked about is not (no such file "
    "or search, problems found, a search that died); 2, wrong usage.",
)
@click.version_option(__version__, "-V", "--version", prog_name="resumable-search")
def main() -> None:
    """Look at the searches in a checkpoint, and take care of it.

    CHECKPOINT is the file of a search. Without it: the environment variable
    RESUMABLE_SEARCH_CHECKPOINT, else .resumable_search/checkpoint.sqlite in the
    current directory, as for a search that has no 'checkpoint' parameter.
    """


# A new command is added here, in the place where the help shall list it.
for _command in (
    *(status, watch, dashboard),
    *(results, errors, list_searches, why),
    *(copy, prune, verify),
):
    main.add_command(_command)
