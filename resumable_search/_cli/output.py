"""What goes to the terminal. All that comes out of a checkpoint is made inert.

The library that draws the tables would obey markup in it: it gets no markup.
"""

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from .._texts import inert

__all__ = [
    "clock",
    "console",
    "fitting",
    "has_room",
    "parameters_text",
    "print_json",
    "show",
    "table",
    "utc",
    "value_text",
]

# Columns of what is not a terminal: no line is broken for those who search in it.
_UNLIMITED = 100_000

_LONGEST_VALUE = 80

# Letters between two columns of a table.
_GAP = 2


def value_text(value: object) -> str:
    """Return a parameter's value as people write it, in at most 80 characters."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = inert(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def parameters_text(parameters: Mapping[str, Any]) -> str:
    """Return parameters on one line: ``C=1, kernel=rbf``."""
    return ", ".join(f"{inert(n)}={value_text(v)}" for n, v in parameters.items())


def clock(seconds: float) -> str:
    """Return a duration as ``0:02:10``."""
    return str(timedelta(seconds=round(max(seconds, 0.0))))


def utc(seconds: float | None) -> str | None:
    """Return a moment, in seconds since 1970, as ISO 8601 in UTC."""
    if seconds is None:
        return None
    try:
        moment = datetime.fromtimestamp(round(seconds), UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def print_json(value: Any) -> None:
    """Print JSON that every reader takes: NaN and infinities are null."""
    text = json.dumps(_finite(value), indent=2, allow_nan=False)
    # The one control character that JSON need not spell out.
    click.echo(text.replace("\x7f", "\\u007f"))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# ---------------------------------------------------------------------------
# Tables


def console() -> Any:
    """Return rich's console on standard output, without markup."""
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    is_limited = is_terminal or os.environ.get("COLUMNS", "").isdecimal()
    return Console(
        width=None if is_limited else _UNLIMITED,
        force_terminal=is_terminal,
        markup=False,
        highlight=False,
        emoji=False,
    )


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    whole: Sequence[str] = (),
    right: Sequence[str] = (),
    cut: Sequence[str] = (),
) -> Any:
    """Make a table without lines. All texts must be inert.

    Parameters
    ----------
    columns : sequence of str
        The headings.
    rows : iterable of sequence
        What to show; its ``str`` is taken.
    whole : sequence of str, default=()
        Headings of the columns whose cells are never broken.
    right : sequence of str, default=()
        Headings of the columns of numbers: likewise, and aligned to the right.
    cut : sequence of str, default=()
        Headings of the columns whose cells are cut off where there is no room. Those
        of all others are broken.
    """
    from rich.table import Table
    from rich.text import Text

    padding = (0, _GAP, 0, 0)
    made = Table(box=None, pad_edge=False, padding=padding, header_style="bold")
    for column in columns:
        made.add_column(
            Text(column),
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column in {*whole, *right},
        )
    for row in rows:
        # A column that may not be broken at all would take the room of others.
        made.add_row(
            *(
                Text(str(cell), no_wrap=True, overflow="ellipsis")
                if column in cut
                else Text(str(cell))
                for column, cell in zip(columns, row, strict=True)
            )
        )
    return made


def has_room(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    broken: Sequence[str] = (),
    least: int = 12,
) -> bool:
    """Return whether a table can be shown without cutting anything off.

    Parameters
    ----------
    columns, rows
        As for `table`.
    broken : sequence of str, default=()
        Headings of the columns whose cells may be broken or cut.
    least : int, default=12
        Letters that such a column has to have, if its cells are as long.
    """
    from rich.cells import cell_len

    needed = _GAP * (len(columns) - 1)
    for heading, *cells in zip(columns, *rows, strict=True):
        widest = max(cell_len(str(cell)) for cell in (heading, *cells))
        needed += min(widest, least) if heading in broken else widest
    return needed <= int(console().width)


def fitting(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    whole: Sequence[str] = (),
    right: Sequence[str] = (),
    cut: Sequence[str] = (),
    least: int = 12,
) -> Any:
    """Make a table, or where it has no room a line for each cell that is not empty.

    Parameters are those of `table` and `has_room`.
    """
    from rich.text import Text

    rows = list(rows)
    broken = [column for column in columns if column not in {*whole, *right}]
    if has_room(columns, rows, broken=broken, least=least):
        return table(columns, rows, whole=whole, right=right, cut=cut)
    width = max(map(len, columns))
    blocks = (
        "\n".join(
            f"{column:<{width}}  {cell}"
            for column, cell in zip(columns, row, strict=True)
            if str(cell)
        )
        for row in rows
    )
    return Text("\n\n".join(blocks), overflow="fold")


def show(renderable: Any, *, is_wide: bool = False) -> None:
    """Print something that rich draws; `is_wide`: however wide the terminal is."""
    target = console()
    if is_wide:
        target.width = _UNLIMITED
    with target.capture() as capture:
        target.print(renderable)
    lines = capture.get().splitlines()
    click.echo("\n".join(line.rstrip() for line in lines), color=True)
