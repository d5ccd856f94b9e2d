"""TensorBoard's event files, as far as they are needed here.

A reader takes the files of a directory in the order of their names and goes on to the
next one when one has no more. It keeps what it has read, so each file begins by saying
from which step on the earlier ones do not count any more. So a curve can go on, or
begin anew, under the eyes of a TensorBoard that runs, and a record that a kill cut
off hides nothing.
"""

import hashlib
import io
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

__all__ = ["EventFile", "scalars", "write_whole"]

_PREFIX = "events.out.tfevents."


def scalars(values: Mapping[str, float], step: int) -> Any:
    """Return the event of some numbers, by tag."""
    values_ = [Summary.Value(tag=tag, simple_value=v) for tag, v in values.items()]
    return Event(wall_time=time.time(), step=step, summary=Summary(value=values_))


class EventFile:
    """A file that grows while a fit runs.

    Parameters
    ----------
    directory : pathlib.Path
        Made if it is not there.
    step : int
        The first of this file. What earlier files have from there on is void.
    """

    def __init__(self, directory: Path, step: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        number = _next_number(_files(directory))
        self._path = directory / f"{_PREFIX}{number:06d}"
        self.write(*_head(step))

    def write(self, *events: Any) -> None:
        """Append events. They stay when the process is killed after that."""
        content = _encoded(events)
        with self._path.open("ab", buffering=0) as file:
            file.write(content)


def write_whole(directory: Path, events: list[Any], content: str) -> None:
    """Write a file in the place of those that are there, all at once.

    Parameters
    ----------
    directory : pathlib.Path
        Made if it is not there.
    events : list of Event
        What is to be in the file.
    content : str
        Tells whether it is in the newest file already, which is left alone then.
    """
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    earlier = _files(directory)
    if earlier and earlier[-1].name.endswith(f".{digest}"):
        return
    directory.mkdir(parents=True, exist_ok=True)
    name = f"{_PREFIX}{_next_number(earlier):06d}.{digest}"
    part = directory / f".part-{os.getpid()}"  # no name that a reader looks for
    part.write_bytes(_encoded([*_head(0), *events]))
    part.replace(directory / name)
    for file in earlier:
        file.unlink(missing_ok=True)


def _encoded(events: Iterable[Any]) -> bytes:
    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    for event in events:
        writer.write(event.SerializeToString())
    return buffer.getvalue()


def _head(step: int) -> list[Any]:
    now = time.time()
    return [
        Event(wall_time=now, file_version="brain.Event:2"),
        Event(
            wall_time=now, step=step, session_log=SessionLog(status=SessionLog.START)
        ),
    ]


def _files(directory: Path) -> list[Path]:
    return sorted(directory.glob(f"{_PREFIX}*"))


def _next_number(earlier: list[Path]) -> int:
    numbers = [file.name.removeprefix(_PREFIX).partition(".")[0] for file in earlier]
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=0)
