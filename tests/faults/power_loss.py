"""The disk as a loss of power may leave it, replayed from a recording.

`record` runs a script under strace and notes what it did to a directory tree, in
order. `Disk` does the same again in memory, and knows at each step what has been
synced: the content of a file by a sync of that file, the name of a file by a sync
of its directory. Nothing else survives for certain; any of the rest may.
"""

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECTOR = 512

_CALLS = (
    "execve,openat,open,creat,write,pwrite64,ftruncate,truncate,fsync,fdatasync,"
    "unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat"
)
# Paths of open files, all bytes as numbers, as many as there are.
_STRACE = [
    "strace",
    "--seccomp-bpf",
    "-y",
    "-xx",
    "-s",
    "10000000",
    "-e",
    "signal=none",
]
_LINE = re.compile(r"(?P<call>\w+)\((?P<arguments>.*)\) += (?P<result>\d+)(<.*>)?$")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
# As in "socket:[8825]", where a path would stand.
_NO_FILES = {b"socket", b"pipe", b"anon_inode"}
_OPEN_FILE = re.compile(r"^\d+<((?:\\x[0-9a-f]{2})*)>")


@dataclass(frozen=True)
class Step:
    """One system call.

    Attributes
    ----------
    kind : {"mark", "create", "mkdir", "write", "truncate", "sync", "unlink", "rename"}
        "mark": a line that the script printed.
    path : str
        Relative to the directory of the recording.
    data : bytes
        What was written, or the line.
    position : int
        Where it was written, or the new size.
    to : str
        The new name.
    """

    kind: str
    path: str = ""
    data: bytes = b""
    position: int = -1
    to: str = ""


def why_not() -> str | None:
    """Say why nothing can be recorded here, if so."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(
        [*_STRACE, "-f", "-e", "trace=openat", "-o", "/dev/null", "true"],
        capture_output=True,
        text=True,
    )
    return f"strace: {tried.stderr}" if tried.returncode else None


def record(script: Path, directory: Path, environment: dict[str, str]) -> list[Step]:
    """Run a script in a directory; give what its main thread did there, in order."""
    trace = script.with_suffix(".strace")
    subprocess.run(
        # Following all children is what lets the kernel pick the calls, so that
        # the others cost nothing. Each thread has a file of its own.
        [*_STRACE, "-ff", "-e", f"trace={_CALLS}", "-o", trace, sys.executable, script],
        cwd=directory,
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        timeout=120,
    )
    (main_thread,) = (
        file
        for file in trace.parent.glob(f"{trace.name}.*")
        if _encoded(str(script)) in file.read_text().partition("\n")[0]
    )
    return list(_steps(main_thread, directory))


def _steps(trace: Path, directory: Path) -> Iterator[Step]:
    ends: dict[str, int] = {}  # where the next write without a position goes
    for line in trace.read_text().splitlines():
        match = _LINE.match(line)
        if match is None or match["call"] == "execve":  # or failed, or is no call
            continue
        call, arguments = match["call"], match["arguments"]
        texts = [_decoded(text) for text in _TEXT.findall(arguments)]
        if call == "write" and arguments.startswith("1<"):
            yield Step("mark", data=texts[0])
            continue
        opened = _OPEN_FILE.match(arguments)
        name = _decoded(opened[1] if opened else _TEXT.findall(arguments)[0])
        path = _relative(name, directory)
        if path is None:
            continue
        numbers = [int(number) for number in re.findall(r", (\d+)(?=,|$)", arguments)]
        if call == "openat":
            if "O_CREAT" in arguments:
                yield Step("create", path)
            if "O_TRUNC" in arguments:
                yield Step("truncate", path, position=0)
            ends[path] = 0
        elif call == "write":
            yield Step("write", path, texts[0], ends[path])
            ends[path] += len(texts[0])
        elif call == "pwrite64":
            yield Step("write", path, texts[0][: int(match["result"])], numbers[-1])
        elif call == "ftruncate":
            yield Step("truncate", path, position=numbers[-1])
        elif call in ("fsync", "fdatasync"):
            yield Step("sync", path)
        elif call in ("unlink", "rmdir"):
            yield Step("unlink", path)
        elif call in ("mkdir", "rename", "link"):
            yield Step(call, path, to=_relative(texts[-1], directory) or "")
        else:
            raise NotImplementedError(line)


def _encoded(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _relative(name: bytes, directory: Path) -> str | None:
    """Give a path in the directory; None for pipes, sockets and other places."""
    path = directory / os.fsdecode(name)
    if name.partition(b":")[0] in _NO_FILES or not path.is_relative_to(directory):
        return None
    return str(path.relative_to(directory))


@dataclass
class _File:
    synced: bytes = b""
    # What was written at a position, or (None) the size that was set.
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)


@dataclass
class _Directory:
    synced: dict[str, "_File | _Directory"] = field(default_factory=dict)
    # Names and what they stand for since.
    pending: list[dict[str, "_File | _Directory | None"]] = field(default_factory=list)


#: What of the pending changes of one file or directory has reached the disk.
Choice = Callable[[list[Any]], list[Any]]


def everything(pending: list[Any]) -> list[Any]:
    """Keep all, as after a kill: the operating system writes what is left."""
    return pending


def nothing(pending: list[Any]) -> list[Any]:
    """Lose all that was not synced."""
    return []


class Some:
    """Keep each change by chance, writes also torn between sectors."""

    def __init__(self, seed: object) -> None:
        self._random = random.Random(str(seed))

    def __call__(self, pending: list[Any]) -> list[Any]:
        kept = []
        for change in pending:
            fate = self._random.randrange(3)
            if fate == 0:
                kept.append(change)
            elif fate == 1 and isinstance(change, tuple) and change[1]:
                kept.extend(self._torn(*change))
        return kept

    def _torn(self, position: int, data: bytes) -> Iterator[tuple[int, bytes]]:
        end = position + len(data)
        edges = range(position - position % SECTOR, end, SECTOR)
        for edge in edges:
            start, stop = max(edge, position), min(edge + SECTOR, end)
            if self._random.randrange(2):
                yield start, data[start - position : stop - position]


class Disk:
    """A directory tree that knows what of it has been synced."""

    def __init__(self) -> None:
        self._root = _Directory()

    def apply(self, step: Step) -> None:
        """Do one step."""
        if step.kind == "mark":
            return
        parent = self._node(str(Path(step.path).parent))
        node, name = self._node(step.path), Path(step.path).name
        if step.kind == "sync":
            assert node is not None, step
            self._sync(node)
            return
        if isinstance(node, _File) and step.kind == "write":
            node.pending.append((step.position, step.data))
        elif isinstance(node, _File) and step.kind == "truncate":
            node.pending.append((step.position, None))
        elif step.kind in ("write", "truncate"):
            assert node is None, step  # of a file that has lost its name
        elif step.kind == "create":
            if node is None:
                parent.pending.append({name: _File()})
        elif step.kind == "mkdir":
            parent.pending.append({name: _Directory()})
        elif step.kind == "unlink":
            parent.pending.append({name: None})
        else:
            assert Path(step.to).parent == Path(step.path).parent, step
            before = {name: None} if step.kind == "rename" else {}
            parent.pending.append({**before, Path(step.to).name: node})

    def image(self, choice: Choice) -> dict[str, bytes | None]:
        """Give the files (path -> content) and directories (path -> None)."""
        return dict(_listed(self._root, "", choice))

    def _node(self, path: str) -> Any:
        node: Any = self._root
        for part in Path(path).parts:
            node = _names(node, everything).get(part) if node is not None else None
        return node

    def _sync(self, node: "_File | _Directory") -> None:
        if isinstance(node, _File):
            node.synced = _content(node, everything)
        else:
            node.synced = _names(node, everything)
        node.pending = []


def _names(directory: _Directory, choice: Choice) -> dict[str, "_File | _Directory"]:
    names: dict[str, Any] = dict(directory.synced)
    for change in choice(directory.pending):
        names.update(change)
    return {name: node for name, node in names.items() if node is not None}


def _content(file: _File, choice: Choice) -> bytes:
    content = bytearray(file.synced)
    for position, data in choice(file.pending):
        if data is None:
            content[position:] = bytes(max(0, position - len(content)))
        else:
            content.extend(bytes(max(0, position - len(content))))
            content[position : position + len(data)] = data
    return bytes(content)


def _listed(
    directory: _Directory, prefix: str, choice: Choice
) -> Iterator[tuple[str, bytes | None]]:
    for name, node in _names(directory, choice).items():
        if isinstance(node, _Directory):
            yield f"{prefix}{name}", None
            yield from _listed(node, f"{prefix}{name}/", choice)
        elif not name.endswith("-shm"):  # SQLite makes it anew
            yield f"{prefix}{name}", _content(node, choice)


def write_image(image: dict[str, bytes | None], directory: Path) -> None:
    """Write an image into an empty directory."""
    for name, content in image.items():
        path = directory / name
        if content is None:
            path.mkdir()
        else:
            path.write_bytes(content)
