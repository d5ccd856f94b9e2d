"""The command that serves a page; what the page does stands in tests/dashboard."""

import json
import signal
import subprocess
import urllib.request

from tests.cli.test_processes import command, environment


def test_the_page_is_there_at_the_address_that_is_printed(checkpoint):
    """Of the search that was asked for; Ctrl-C ends it well."""
    process = subprocess.Popen(
        command("dashboard", checkpoint, "--search", 1, "--port", 0),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().split()[0]
        with urllib.request.urlopen(f"{address}state.json", timeout=60) as answer:
            state = json.load(answer)
        assert (state["search"], state["n_done"]) == (1, 4)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")


def test_no_such_file_is_an_error_of_one_line(cli, tmp_path):
    """As of the other commands."""
    result = cli("dashboard", tmp_path / "nothing.sqlite", code=1)
    assert "does not exist" in result.output
    assert "Traceback" not in result.output
