"""What a local page needs against other pages in the same browser.

Any site that its user visits can send requests to a server on the same machine. So
nothing can be changed by one, and what it would read is refused: a name that was made
to point here (DNS rebinding) is not the server's own, and a browser says of a request
which other site it comes from.
"""

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["Guard", "is_loopback"]

_App = Callable[[dict[str, Any], Any], Iterable[bytes]]

_HEADERS = [
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
]


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Lets an application see requests that read, from its own pages.

    Parameters
    ----------
    app : WSGI application
        What answers them.
    host : str
        The address at which it listens. If others than this machine can reach it, it
        may go by any name.
    """

    def __init__(self, app: _App, host: str) -> None:
        self._app = app
        self._is_local = is_loopback(host)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request."""

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, headers + _HEADERS, *rest)

        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            headers = [("Allow", "GET, HEAD"), ("Content-Type", "text/plain")]
            start("405 Method Not Allowed", headers)
            return [b"A checkpoint is only read here.\n"]
        reason = self._reason(environ)
        if reason is not None:
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [reason]
        return self._app(environ, start)

    def _reason(self, environ: dict[str, Any]) -> bytes | None:
        if self._is_local and not is_loopback(_name(environ.get("HTTP_HOST", ""))):
            return b"Use 127.0.0.1 or localhost as the name of this machine.\n"
        is_foreign = environ.get("HTTP_SEC_FETCH_SITE") in ("cross-site", "same-site")
        # A link elsewhere may lead here; what it leads to cannot be read there.
        is_link = environ.get("HTTP_SEC_FETCH_MODE") == "navigate" and (
            environ.get("HTTP_SEC_FETCH_DEST") == "document"
        )
        if is_foreign and not is_link:
            return b"This is not for other sites.\n"
        return None


def _name(host: str) -> str:
    """Leave out the port, and the brackets of an IPv6 address."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
