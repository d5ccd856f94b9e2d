"""Optuna's dashboard over a search, to look at."""

from collections.abc import Callable, Iterable
from typing import Any

import optuna
from optuna.trial import FrozenTrial
from optuna_dashboard import wsgi

from .._texts import inert
from .follower import Snapshot
from .trials import ReadOnlyStorage, distributions, trials

__all__ = ["Plots"]

_App = Callable[[dict[str, Any], Any], Iterable[bytes]]

# Goes into the pages of Optuna's dashboard: the way back, and nothing to change.
_ADDITION = """
<link rel="stylesheet" href="/page/plots.css">
<a id="to-search" href="/">&#8592; Search progress</a>
<script defer src="/page/plots.js" data-life="{life}"></script>
"""


class Plots:
    """A study that is what a search is. Not for several threads at once.

    Optuna's dashboard, and a page of it that is open, keep finished trials as they
    saw them first. Where one changes after all (a failed fold was run again, the file
    was replaced), both begin a new `life`.
    """

    def __init__(self) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # no "study created"
        self.life = 0
        self._seen: Snapshot | None = None
        self._distributions: dict[str, Any] = {}
        self._finished: dict[int, Any] = {}
        self._trials: list[FrozenTrial] = []
        self._storage: ReadOnlyStorage | None = None
        self._app: _App | None = None

    def update(self, snapshot: Snapshot) -> None:
        """Take over what was found."""
        view = snapshot.view
        if view is None:
            return
        last, self._seen = self._seen, snapshot
        if last is not None and last.view is view and last.status == snapshot.status:
            return
        then = last.view if last is not None and last.life == snapshot.life else None
        found = self._distributions
        if then is None or then.candidates is not view.candidates:
            found = distributions(view.candidates)
        is_same = then is not None and found == self._distributions
        known = (then, self._trials) if then is not None and is_same else None
        self._trials = trials(snapshot, found, known)
        ended = [trial for trial in self._trials if trial.state.is_finished()]
        finished = {trial.number: (trial.state, trial.value) for trial in ended}
        if (
            self._storage is None
            or not is_same
            or any(finished.get(n) != what for n, what in self._finished.items())
        ):
            self.life += 1
            name = f"{inert(view.search.kind)}, search {view.search.number}"
            self._storage = ReadOnlyStorage(name, inert(view.search.metric))
            self._app = wsgi(self._storage)
        self._distributions, self._finished = found, finished
        self._storage.replace(self._trials)

    def answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request to Optuna's dashboard."""
        if self._app is None:
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [b"There is no search to show yet.\n"]
        # It takes it for granted that browsers send this.
        environ.setdefault("HTTP_ACCEPT_ENCODING", "")
        if not environ["PATH_INFO"].startswith("/dashboard"):
            return self._app(environ, start_response)
        return self._page(environ, start_response)

    def _page(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Return the page of Optuna's dashboard with our addition."""
        assert self._app is not None
        for name in ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_RANGE"):
            environ.pop(name, None)
        begun: list[Any] = []
        answer = self._app(environ, lambda *begin: begun.extend(begin))
        body = b"".join(answer)
        if hasattr(answer, "close"):  # it is a file
            answer.close()
        status, headers = begun[:2]
        addition = _ADDITION.format(life=self.life).encode()
        body = body.replace(b"</body>", addition + b"</body>")
        kept = [
            (name, value)
            for name, value in headers
            if name.lower() not in ("content-length", "etag", "last-modified")
        ]
        kept += [("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        start_response(status, kept)
        return [body]
