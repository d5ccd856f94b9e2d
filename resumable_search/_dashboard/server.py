"""The server behind ``resumable-search dashboard``."""

import contextlib
import json
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from .._checkpoint.locations import find_checkpoint
from .._checkpoint.reader import CheckpointReader
from .._exceptions import ResumableSearchError
from .._results import choose_search
from .._texts import inert
from .board import Board
from .follower import Follower, Snapshot
from .guard import Guard, is_loopback

if TYPE_CHECKING:
    from .plots import Plots

__all__ = ["Dashboard", "make_server", "serve"]

# Seconds between two looks at the checkpoint, and how many times as long as a look
# takes they are at least.
_INTERVAL = 1.0
_REST = 5.0

_PAGE_HEADERS = [
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Cache-Control", "no-store"),
]

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".js": "text/javascript; charset=utf-8",
}

#: What the page and Optuna's dashboard are made of: address -> file of this package.
_FILES = {
    "/": "page.html",
    "/page/page.css": "page.css",
    "/page/page.js": "page.js",
    "/page/plots.css": "plots.css",
    "/page/plots.js": "plots.js",
}

_OF_OPTUNA = ("/dashboard", "/static/", "/api/", "/csv/", "/favicon.ico")


class Dashboard:
    """The application: a page of our own, and Optuna's dashboard where it is there.

    Parameters
    ----------
    path : pathlib.Path
        The checkpoint.
    number : int or None
        Number of the search. None: the one that was started last.
    """

    def __init__(self, path: Path, number: int | None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._follower = Follower(path, number)
        self._board = Board()
        self._plots = _plots()
        self._snapshot: Snapshot | None = None
        self._next_look = 0.0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request (WSGI)."""
        address = environ.get("PATH_INFO", "/") or "/"
        if address in _FILES:
            return _file(_FILES[address], start_response)
        if address in ("/state.json", "/life.json"):
            with self._lock:
                snapshot = self._look()
                found = self._life()
                if address == "/state.json":
                    found |= self._state(snapshot, environ)
            return _answer(json.dumps(found).encode(), ".json", start_response)
        if self._plots is not None and address.startswith(_OF_OPTUNA):
            with self._lock:
                self._look()
                return self._plots.answer(environ, start_response)
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"There is no such page.\n"]

    def _look(self) -> Snapshot:
        begin = time.monotonic()
        if self._snapshot is None or begin >= self._next_look:
            self._snapshot = self._follower.look()
            self._board.update(self._snapshot)
            if self._plots is not None:
                self._plots.update(self._snapshot)
            took = time.monotonic() - begin
            self._next_look = begin + max(_INTERVAL, _REST * took)
        return self._snapshot

    def _state(self, snapshot: Snapshot, environ: dict[str, Any]) -> dict[str, Any]:
        query = parse_qs(environ.get("QUERY_STRING", ""))
        life, version = (_number(query, name) for name in ("life", "version"))
        state = self._board.state(snapshot, life, version)
        return {**state, "checkpoint": inert(self._path)}

    def _life(self) -> dict[str, Any]:
        return {"plots": None if self._plots is None else self._plots.life}


def _plots() -> "Plots | None":
    if find_spec("optuna_dashboard") is None:
        return None
    from .plots import Plots  # an optional dependency, and slow to import

    return Plots()


def _number(query: dict[str, list[str]], name: str) -> int:
    text = query.get(name, ["0"])[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0


def _file(name: str, start_response: Any) -> Iterable[bytes]:
    body = files(__package__).joinpath(name).read_bytes()
    return _answer(body, Path(name).suffix, start_response)


def _answer(body: bytes, kind: str, start_response: Any) -> Iterable[bytes]:
    headers = [("Content-Type", _TYPES[kind]), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers + _PAGE_HEADERS)
    return [body]


# ---------------------------------------------------------------------------
# The server


class _Handler(WSGIRequestHandler):
    timeout = 30.0  # a connection on which nothing comes is closed

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Say nothing: a page asks every second or two."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking a name server for the machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that has gone."""


class _ServerV6(_Server):
    address_family = socket.AF_INET6


def make_server(
    checkpoint: str | os.PathLike[str] | None = None,
    *,
    search: int | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
) -> WSGIServer:
    """Return a server that listens already; ``serve_forever`` has it answer.

    Parameters and errors are those of `serve`.
    """
    path = find_checkpoint(checkpoint)
    reader = CheckpointReader(path)
    try:
        if search is not None:
            choose_search(reader.searches(), search, path)
    finally:
        reader.close()
    kind = _ServerV6 if ":" in host else _Server
    try:
        server = kind((host, port), _Handler)
    except (OSError, OverflowError) as exc:
        raise ResumableSearchError(
            f"The dashboard cannot listen at {host}, port {port}: {exc}. Another "
            "program may use the port. Give another 'port', or 0 for any that is free."
        ) from exc
    server.set_app(Guard(Dashboard(path, search), host))
    return server


def serve(
    checkpoint: str | os.PathLike[str] | None = None,
    *,
    search: int | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    announce: Callable[[str], object] = lambda _: None,
) -> None:
    """Serve a page that follows a search, until it is interrupted.

    Nothing is changed, and nothing is read while no page is open.

    Parameters
    ----------
    checkpoint : str or path-like, default=None
        The file. ``None``: where a search without the parameter would keep it.

    search : int, default=None
        Number of the search in the file. ``None``: the one that was started last,
        also when another one is started later.

    host : str, default="127.0.0.1"
        Address to listen at. The default is for this machine alone. Whoever reaches
        another one can read parameters, scores and tracebacks.

    port : int, default=8080
        Port to listen at. 0: any that is free.

    announce : callable, default=nothing is done
        Called with what a user has to know: the address, and warnings.

    Raises
    ------
    CheckpointError
        If there is no such file or search, or it cannot be read.
    ResumableSearchError
        If the port cannot be listened at.
    """
    with (
        contextlib.suppress(KeyboardInterrupt),
        make_server(checkpoint, search=search, host=host, port=port) as server,
    ):
        port = server.server_port
        name = f"[{host}]" if ":" in host else host
        announce(f"http://{name}:{port}/ (stop with Ctrl-C)")
        if not is_loopback(host):
            announce(
                "Others can reach this page, and it asks for no password. To look at "
                "a machine from afar, leave 'host' as it is and use "
                f"'ssh -L {port}:127.0.0.1:{port} MACHINE'."
            )
        if find_spec("optuna_dashboard") is None:
            announce("For plots of parameters: pip install optuna optuna-dashboard")
        server.serve_forever()
