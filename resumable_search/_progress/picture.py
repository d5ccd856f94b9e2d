"""How far a search is, as a picture of a few lines.

::

    ━━━━━━━━━━━━━━━━━━━━━────────────────────
    13/24 folds done, 6 of them resumed | 0:00:12 elapsed, about 0:00:10 left
    best 0.9716 with model__dropout=0.2, model__units=64
    0  model__dropout=0.2, model__units=128    split 2/3  0:00:04  epoch 12/30
    1  model__dropout=0.4, model__units=32     split 1/3  0:00:01  epoch 4/30
"""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .._records import LiveStatus, LiveWorker
from .lines import best_text, clock, counts_text, parameters_text, times_text

__all__ = ["picture"]

_DEVICE_LENGTH = 12  # of "GPU-8f3a2c1d-...": enough to tell a machine's GPUs apart


def picture(
    status: LiveStatus,
    *,
    width: int,
    most_workers: int,
    ascii_only: bool = False,
) -> RenderableType:
    """Return a picture of a search for rich to render.

    Parameters
    ----------
    status : LiveStatus
        The search.
    width : int
        Columns there are.
    most_workers : int
        Number of workers that get a line.
    ascii_only : bool, default=False
        Whether to do without characters that are not ASCII.
    """
    lines: list[RenderableType] = [
        _bar(status, width, ("#", "-") if ascii_only else ("━", "─")),
        _cut(Text(f"{counts_text(status)} | {times_text(status)}")),
    ]
    best = best_text(status)
    if best:
        lines.append(_cut(Text(best, style="bold")))
    workers = [worker for worker in status.workers if worker.candidate is not None]
    if workers and most_workers > 0:
        lines.append(_workers(workers[:most_workers], status.updated))
    n_more = len(workers) - most_workers
    if n_more > 0:
        lines.append(_cut(Text(f"and {n_more} more at work", style="dim")))
    return Group(*lines)


def _bar(status: LiveStatus, width: int, marks: tuple[str, str]) -> Text:
    """Draw the folds as a line: resumed, run and failed ones, and those to come."""
    done, to_come = marks
    n_failed = min(status.n_failed, status.n_done)
    n_run = max(0, status.n_done - status.n_resumed - n_failed)
    bar = Text()
    n_counted = end = 0
    for n_folds, style in (
        (status.n_resumed, "blue"),
        (n_run, "green"),
        (n_failed, "red"),
    ):
        n_counted += n_folds
        start, end = end, round(width * min(1.0, n_counted / max(1, status.n_total)))
        bar.append(done * (end - start), style=style)
    bar.append(to_come * (width - end), style="dim")
    return bar


def _workers(workers: list[LiveWorker], now: float) -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(justify="right", style="cyan", no_wrap=True)
    has_devices = any(worker.device for worker in workers)
    if has_devices:
        table.add_column(style="cyan", no_wrap=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for _ in range(3):
        table.add_column(no_wrap=True)
    for worker in workers:
        device = [(worker.device or "")[:_DEVICE_LENGTH]] if has_devices else []
        table.add_row(
            str(worker.number),
            *map(Text, [*device, parameters_text(worker.parameters)]),
            _split(worker),
            _elapsed(worker, now),
            _epoch(worker),
        )
    return table


def _split(worker: LiveWorker) -> Text:
    # As in cv_results_: split0_test_score.
    text = Text("" if worker.split is None else f"split{worker.split}")
    if worker.attempt > 1:
        text.append(f", try {worker.attempt}", style="yellow")
    return text


def _elapsed(worker: LiveWorker, now: float) -> Text:
    if worker.started is None:
        return Text("starts", style="dim")
    return Text(clock(now - worker.started))


def _epoch(worker: LiveWorker) -> Text:
    if worker.epoch is None:
        return Text()
    of = "" if worker.n_epochs is None else f"/{worker.n_epochs}"
    return Text(f"epoch {worker.epoch}{of}")


def _cut(text: Text) -> Text:
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text
