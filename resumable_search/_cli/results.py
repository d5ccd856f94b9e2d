"""The candidates and their scores (``results``)."""

import csv
import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from .._texts import inert
from .options import checkpoint_argument, json_option, search_option
from .output import (
    fitting,
    has_room,
    parameters_text,
    print_json,
    show,
    table,
    value_text,
)

if TYPE_CHECKING:
    from .facts import Facts

__all__ = ["results"]

# Of a table, its place after the candidate and its folds.
_FIRST_SCORE = 2

# Letters of parameters below which other columns give way.
_LEAST_PARAMETERS = 24


@click.command()
@checkpoint_argument
@search_option
@click.option(
    "--sort",
    metavar="METRIC",
    help="Metric whose best candidates come first. Default: the one that the search "
    "compares candidates by.",
)
@click.option(
    "--top", type=click.IntRange(min=1), metavar="N", help="Only the first N."
)
@click.option("--all-columns", is_flag=True, help="All columns of cv_results_.")
@click.option(
    "--columns",
    metavar="NAMES",
    help="Columns of cv_results_, separated by commas; also 'candidate' (its place in "
    "cv_results_) and 'n_completed' (its finished folds).",
)
@click.option("--csv", "wants_csv", is_flag=True, help="Print CSV, with all columns.")
@json_option
def results(
    checkpoint: str | None,
    number: int | None,
    sort: str | None,
    top: int | None,
    all_columns: bool,
    columns: str | None,
    wants_csv: bool,
    wants_json: bool,
) -> None:
    """Show the candidates and their scores, the best first.

    Candidates that lack folds come last. What is not there is null in JSON, and
    empty in CSV.
    """
    from .facts import choose, gather, opened

    if wants_csv and wants_json:
        raise click.UsageError("--csv and --json exclude each other.")
    if all_columns and columns:
        raise click.UsageError("--all-columns and --columns exclude each other.")
    with opened(checkpoint) as reader:
        facts = gather(reader, choose(reader, number))
    _tell_of_outdated(facts)
    found = _Results(facts)
    metric = found.metric_of(sort)
    order = found.order(metric)[:top]
    names = found.chosen(columns) if columns else found.names()
    rows = [found.row(i, names) for i in order]
    if wants_json and columns:
        print_json([dict(zip(names, row, strict=True)) for row in rows])
    elif wants_json:
        print_json([found.record(i) for i in order])
    elif wants_csv:
        click.echo(_csv(names, rows), nl=False)
    elif not found.params:
        click.echo("No candidate is known yet.")
    else:
        if columns or all_columns:
            _print_columns(names, rows)
        else:
            _print_summary(found, order, metric)
        _tell_coming(facts.search.n_candidates - len(found.params))


class _Results:
    """``cv_results_`` of a search by candidates, in plain values."""

    def __init__(self, facts: "Facts") -> None:
        from .facts import readable

        self._metric = facts.metric
        self.n_splits = facts.search.n_splits
        with readable(facts.checkpoint):
            found = facts.view.results()
        self.params: list[dict[str, Any]] = found.pop("params")
        self._values: dict[str, list[Any]] = {
            "candidate": list(range(len(self.params))),
            "n_completed": found.pop("n_completed").tolist(),
            **{name: values.tolist() for name, values in found.items()},
        }

    def names(self) -> list[str]:
        """Return the names of all columns."""
        return list(self._values)

    def metrics(self) -> list[str]:
        """Return the names of all metrics."""
        start = "mean_test_"
        return [n.removeprefix(start) for n in self._values if n.startswith(start)]

    def chosen(self, names: str) -> list[str]:
        """Return the columns that were asked for; an unknown one is wrong usage."""
        chosen = [name.strip() for name in names.split(",") if name.strip()]
        for name in chosen:
            if name not in self._values:
                raise click.BadParameter(
                    f"There is no column {name!r}. There are: "
                    f"{inert(', '.join(self._values))}.",
                    param_hint="'--columns'",
                )
        return chosen

    def metric_of(self, sort: str | None) -> str:
        """Return the metric to sort by; an unknown one is wrong usage."""
        if sort is None:
            return self._metric
        metric = sort.removeprefix("mean_test_")
        if metric not in self.metrics():
            raise click.BadParameter(
                f"There is no metric {sort!r}. There are: "
                f"{inert(', '.join(self.metrics())) or 'none yet'}.",
                param_hint="'--sort'",
            )
        return metric

    def order(self, metric: str) -> list[int]:
        """Return the candidates, the best first, those that lack folds last."""
        means = self._values.get(f"mean_test_{metric}", [])
        n_completed = self._values["n_completed"]

        def place(i: int) -> tuple[bool, bool, float]:
            is_nan = math.isnan(means[i])
            return n_completed[i] < self.n_splits, is_nan, 0.0 if is_nan else -means[i]

        return sorted(range(len(means)), key=place)

    def row(self, i: int, names: Sequence[str]) -> list[Any]:
        """Return a candidate's values; None where there is none."""
        return [self._values[name][i] for name in names]

    def record(self, i: int) -> dict[str, Any]:
        """Return all of a candidate, its parameters as one object."""
        record = {"candidate": i, "params": self.params[i]}
        for name, values in self._values.items():
            if not name.startswith("param_"):
                record[name] = values[i]
        return record


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _text(value: object) -> str:
    return "" if _is_missing(value) else value_text(value)


def _csv(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(map(inert, names))
    for row in rows:
        writer.writerow("" if _is_missing(value) else inert(value) for value in row)
    return target.getvalue()


def _print_columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Show columns as they are, however wide: a pager can scroll, nobody unwraps."""
    headings = [inert(name) for name in names]
    numbers = [
        heading
        for heading, *values in zip(headings, *rows, strict=True)
        if all(v is None or isinstance(v, int | float) for v in values)
    ]
    texts = [[_text(value) for value in row] for row in rows]
    show(table(headings, texts, right=numbers), is_wide=True)


def _print_summary(found: _Results, order: Sequence[int], metric: str) -> None:
    """Show what people look for first, however many parameters there are."""
    metrics = sorted(found.metrics(), key=lambda name: name != metric)
    scores = [f"{part}_test_{name}" for name in metrics for part in ("mean", "std")]
    headings = [
        "candidate",
        "folds",
        *(inert(s.replace("_test_", " ", 1)) for s in scores),
    ]
    starts = [
        [
            str(i),
            f"{found.row(i, ['n_completed'])[0]}/{found.n_splits}",
            *map(_text, found.row(i, scores)),
        ]
        for i in order
    ]
    names = list(dict.fromkeys(name for params in found.params for name in params))
    columns = [*headings, *map(inert, names)]
    rows = [
        [*start, *(_text(found.params[i].get(name)) for name in names)]
        for i, start in zip(order, starts, strict=True)
    ]
    if has_room(columns, rows):
        show(table(columns, rows, right=headings))
        return
    rows = [
        [*start, parameters_text(found.params[i])]
        for i, start in zip(order, starts, strict=True)
    ]
    _print_narrow([*headings, "parameters"], rows)


def _print_narrow(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Leave out columns until the parameters, which are the last, have room.

    Deviations first, then means of all metrics but the first. A number is never cut.
    """
    from rich.text import Text

    *numbers, parameters = headings
    deviations = range(_FIRST_SCORE + 1, len(numbers), 2)
    other_means = range(_FIRST_SCORE + 2, len(numbers), 2)
    expendable = [*reversed(deviations), *reversed(other_means)]
    for n in range(len(expendable) + 1):
        kept = [c for c in range(len(headings)) if c not in expendable[:n]]
        columns = [headings[c] for c in kept]
        cells = [[row[c] for c in kept] for row in rows]
        if has_room(columns, cells, broken=[parameters], least=_LEAST_PARAMETERS):
            show(table(columns, cells, right=numbers))
            if n:
                left_out = ", ".join(headings[c] for c in sorted(expendable[:n]))
                show(Text(f"Left out: {left_out} (--all-columns shows all)."))
            return
    show(fitting(headings, rows, right=numbers, least=_LEAST_PARAMETERS))


def _tell_of_outdated(facts: "Facts") -> None:
    """Say that the scores are not used any more, apart from the table."""
    from .describing import OUTDATED

    if facts.search.is_outdated:
        click.echo(f"Scores {OUTDATED}.", err=True)


def _tell_coming(n: int) -> None:
    """Tell of candidates that are not known yet, apart from the table."""
    if n > 0:
        candidates = "candidate" if n == 1 else "candidates"
        click.echo(f"{n} more {candidates} to come.", err=True)
