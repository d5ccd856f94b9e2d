"""The example's units and shell scripts, as systemd and shellcheck see them."""

import re
import shutil
import subprocess

import pytest

from tests.deploy.conftest import EXAMPLE

UNITS = ["resumable-search.service", "aws-spot-notice.service"]
SCRIPTS = sorted([*EXAMPLE.glob("*.sh"), *EXAMPLE.glob("*.sbatch")])

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
needs_shellcheck = pytest.mark.skipif(
    shutil.which("shellcheck") is None, reason="shellcheck is not installed"
)


def complaints(directory, unit):
    """Give what systemd says of a unit, which it reads and does not start."""
    process = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(directory / unit)],
        capture_output=True,
        text=True,
    )
    return process.stdout + process.stderr


def in_place(example):
    """Let the units' commands be where they say: the directory of the example."""
    (example / "venv" / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("true"), example / "venv" / "bin" / "python")
    for path in [*example.glob("*.service"), *example.glob("*.conf")]:
        path.write_text(path.read_text().replace("/opt/search", str(example)))
    drop_ins = example / "resumable-search.service.d"
    drop_ins.mkdir()
    for path in example.glob("*.conf"):
        shutil.copy(path, drop_ins)


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_has_nothing_to_say_about_a_unit(example, unit):
    """Not with the drop-ins for machines in the cloud either."""
    in_place(example)
    assert complaints(example, unit) == ""


@needs_systemd
@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("resumable-search.service", "KillMode=mixed", "KillMode=main"),
        ("power-off-when-finished.conf", "ExecStopPost=", "ExecAfter="),
    ],
)
def test_systemd_would_say_so(example, path, old, new):
    """A unit or drop-in that is wrong does not pass."""
    in_place(example)
    for place in (example, example / "resumable-search.service.d"):
        if (place / path).exists():
            text = (place / path).read_text()
            assert old in text
            (place / path).write_text(text.replace(old, new))
    assert complaints(example, "resumable-search.service") != ""


def setting(name, *paths):
    """Give a number of seconds in one of the example's files."""
    for path in paths:
        if found := re.search(rf"^{name}=(\d+)$", (EXAMPLE / path).read_text(), re.M):
            return int(found[1])
    raise AssertionError(name)


def test_systemd_waits_longer_than_folds_may_take_to_finish():
    """And less long than Google Cloud (30 s) and AWS (120 s) leave the machine on."""
    grace = re.search(r'"GRACE_PERIOD", "(\d+)"', (EXAMPLE / "search.py").read_text())
    assert int(grace[1]) < setting("TimeoutStopSec", "resumable-search.service") < 30
    conf = "aws-grace-period.conf"
    grace = setting("Environment=GRACE_PERIOD", conf)
    assert grace < setting("TimeoutStopSec", conf) < 120


@needs_shellcheck
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say_about_a_script(path):
    """All of its checks."""
    process = subprocess.run(["shellcheck", path], capture_output=True, text=True)
    assert (process.returncode, process.stdout) == (0, "")
