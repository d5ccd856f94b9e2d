"""A page in the browser that follows a search."""

import click

from .options import checkpoint_argument, search_option

__all__ = ["dashboard"]


@click.command()
@checkpoint_argument
@search_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen at. The default is for this machine alone; whoever "
    "reaches another one can read parameters, scores and tracebacks.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="Port to listen at; 0: any that is free.",
)
def dashboard(checkpoint: str | None, number: int | None, host: str, port: int) -> None:
    """Serve a local page that follows a search, until Ctrl-C.

    Its folds, workers and errors, and plots by Optuna's dashboard where
    the package optuna-dashboard is installed. Nothing is changed. Without --search
    it goes over to a search that is started later.
    """
    from .._dashboard.server import serve

    serve(checkpoint, search=number, host=host, port=port, announce=click.echo)
