"""A dashboard that listens at a port of its own."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from resumable_search._dashboard import server as _server


class Client:
    """Asks a dashboard."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, address, method="GET", **headers):
        """Give status, headers and body of an answer, redirections not followed."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            self.url + address, method=method, headers=named
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as exc:
            return exc.code, dict(exc.headers), exc.read()

    def json(self, address):
        status, _, body = self.ask(address)
        assert status == 200, body
        return json.loads(body)

    def state(self, known=None):
        """Give the state, or what has changed since `known`."""
        known = known or {"life": 0, "version": 0}
        return self.json(f"/state.json?life={known['life']}&version={known['version']}")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoint.sqlite"


@pytest.fixture
def dashboard(path, monkeypatch):
    """Give a function that starts a dashboard, and gives a client of it."""
    monkeypatch.setattr(_server, "_INTERVAL", 0.0)
    monkeypatch.setattr(_server, "_REST", 0.0)
    servers = []

    def start(**options):
        server = _server.make_server(path, port=0, **options)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        servers.append((server, thread))
        return Client(server.server_port)

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()
