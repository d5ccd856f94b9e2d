"""Start-up scripts of machines in a cloud.

They run here with a PATH of their own, on which everything that would change this
machine is a stand-in that notes how it was called.
"""

import http.server
import shutil
import subprocess
import threading

import pytest

from tests.deploy.conftest import EXAMPLE

# Tools that only read, or write where they are told.
_REAL = """
    bash cat chmod cp curl dirname env git grep ls mkdir mv rm seq sh touch
"""

# Name -> what it does, beside noting how it was called.
_STAND_INS = {
    "apt-get": "",
    "blkid": 'cat "$MACHINE/blkid" >/dev/null 2>&1 && exit "$(cat "$MACHINE/blkid")"',
    "chown": "",
    "id": '[ -e "$MACHINE/user" ]',
    "mkfs.ext4": 'echo 0 > "$MACHINE/blkid"',
    "mount": 'touch "$MACHINE/mounted"',
    "mountpoint": '[ -e "$MACHINE/mounted" ]',
    "python3": """
        mkdir -p "$3/bin"
        printf '#!/usr/bin/env bash\\necho "pip $*" >> "$MACHINE/calls"' > "$3/bin/pip"
        chmod +x "$3/bin/pip"
    """,
    "sleep": "",
    "systemctl": "",
    "useradd": 'touch "$MACHINE/user"',
}


class Machine:
    """A directory that stands for a machine, and how its tools were called."""

    def __init__(self, directory, repository):
        self.root = directory / "root"
        self.disk = directory / "disk"
        self.disk.touch()
        self._directory = directory
        (self.root / "etc").mkdir(parents=True)
        (directory / "bin").mkdir()
        for name in _REAL.split():
            (directory / "bin" / name).symlink_to(shutil.which(name))
        for name, does in _STAND_INS.items():
            path = directory / "bin" / name
            path.write_text(
                f'#!/usr/bin/env bash\necho "{name} $*" >> "$MACHINE/calls"\n{does}\n'
            )
            path.chmod(0o755)
        self.environment = {
            "PATH": str(directory / "bin"),
            "HOME": str(directory),
            "MACHINE": str(directory),
            "DESTDIR": str(self.root),
            "DISK": str(self.disk),
            "REPOSITORY": f"file://{repository}",
        }
        self.disk_is("empty")

    def disk_is(self, what):
        status = {"empty": 2, "formatted": 0, "unclear": 8}[what]
        (self._directory / "blkid").write_text(str(status))

    def reboot(self):
        (self._directory / "mounted").unlink(missing_ok=True)

    def run(self, script, *arguments, **variables):
        """Run a script of the example; give its result and what it called."""
        (self._directory / "calls").write_text("")
        process = subprocess.run(
            [EXAMPLE / script, *map(str, arguments)],
            env=self.environment | variables,
            cwd=self._directory,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return process, (self._directory / "calls").read_text().splitlines()


@pytest.fixture
def machine(tmp_path, example):
    """Give a machine, and a repository with the example in it."""
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", example]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "A search"]):
        subprocess.run([*git, *command], check=True)
    (tmp_path / "machine").mkdir()
    return Machine(tmp_path / "machine", example)


BOTH = pytest.mark.parametrize(
    "script", ["google_cloud_startup.sh", "aws_user_data.sh"]
)


@BOTH
def test_a_new_machine_starts_the_search(machine, script):
    """The disk is formatted and mounted, the search installed and started."""
    process, calls = machine.run(script)
    assert process.returncode == 0, process.stderr
    project = machine.root / "opt/search"
    keep = machine.root / "mnt/search"
    wanted = [
        f"mkfs.ext4 -q {machine.disk}",
        f"mount {keep}",
        "useradd --system --home-dir /opt/search --shell /usr/sbin/nologin search",
        f"chown search: {keep}",
        f"pip install -q -r {project}/requirements.txt",
        "systemctl daemon-reload",
        "systemctl enable resumable-search",
        "systemctl start --no-block resumable-search",
    ]
    assert [call for call in calls if call in wanted] == wanted
    fstab = (machine.root / "etc/fstab").read_text()
    assert fstab == f"{machine.disk} {keep} ext4 defaults,nofail 0 2\n"
    units = machine.root / "etc/systemd/system"
    assert (units / "resumable-search.service").exists()
    drop_in = units / "resumable-search.service.d" / "power-off-when-finished.conf"
    assert drop_in.exists()


@BOTH
def test_a_machine_that_comes_back_goes_on(machine, script):
    """Nothing is formatted, fetched or noted twice; the search is started."""
    machine.run(script)
    machine.reboot()
    process, calls = machine.run(script)
    assert process.returncode == 0, process.stderr
    names = [call.split()[0] for call in calls]
    assert not {"mkfs.ext4", "useradd", "apt-get"} & set(names)
    assert names.count("mount") == 1
    assert "systemctl start --no-block resumable-search" in calls
    assert len((machine.root / "etc/fstab").read_text().splitlines()) == 1


@BOTH
def test_the_disk_of_another_machine_is_not_formatted(machine, script):
    """What the search has done before it was taken there is still on it."""
    machine.disk_is("formatted")
    process, calls = machine.run(script)
    assert process.returncode == 0, process.stderr
    assert not [call for call in calls if call.startswith("mkfs")]


@BOTH
@pytest.mark.parametrize("trouble", ["unclear", "missing"])
def test_a_disk_that_cannot_be_read_is_left_alone(machine, script, trouble):
    """The start-up ends with an error, and the search is not started without it."""
    machine.disk_is("unclear")
    if trouble == "missing":
        machine.disk.unlink()
    process, calls = machine.run(script)
    assert process.returncode != 0
    assert f"cannot tell what is on {machine.disk}" in process.stderr
    assert not [c for c in calls if c.startswith(("mkfs", "mount ", "systemctl"))]


@BOTH
def test_a_repository_that_was_fetched_by_half_is_fetched_again(machine, script):
    """The machine was taken away while it was set up."""
    half = machine.root / "opt/search.new"
    half.mkdir(parents=True)
    (half / "search.py").write_text("imp")
    process, _ = machine.run(script)
    assert process.returncode == 0, process.stderr
    assert not half.exists()
    search = machine.root / "opt/search/search.py"
    assert search.read_text() == (EXAMPLE / "search.py").read_text()


@pytest.mark.skipif(
    not (shutil.which("blkid") and shutil.which("mkfs.ext4")),
    reason="blkid and mkfs.ext4 are not installed",
)
def test_a_disk_is_formatted_once(machine, tmp_path):
    """With the real tools, on a file that stands for the disk."""
    for name in ("blkid", "mkfs.ext4"):
        tool = tmp_path / "machine" / "bin" / name
        tool.unlink()
        tool.symlink_to(shutil.which(name))
    with machine.disk.open("wb") as disk:
        disk.truncate(8 << 20)
    assert machine.run("google_cloud_startup.sh")[0].returncode == 0
    content = machine.disk.read_bytes()
    assert any(content)
    machine.reboot()
    assert machine.run("google_cloud_startup.sh")[0].returncode == 0
    assert machine.disk.read_bytes() == content


# ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "is_finished"),
    [
        ("exited", "0", True),
        ("exited", "143", False),
        ("exited", "1", False),
        ("killed", "TERM", False),
        ("killed", "KILL", False),
    ],
)
def test_a_machine_is_switched_off_only_when_the_search_is_finished(
    machine, tmp_path, code, status, is_finished
):
    """Not when it was stopped or has failed."""
    variables = {"EXIT_CODE": code, "EXIT_STATUS": status}
    process, calls = machine.run("when_finished.sh", tmp_path, **variables)
    assert process.returncode == 0, process.stderr
    assert calls == (["systemctl --no-block poweroff"] if is_finished else [])
    assert (tmp_path / "finished").exists() == is_finished


@pytest.fixture
def metadata():
    """Give the address of a service like EC2's, with a notice at the third look."""
    looks = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"secret")

        def do_GET(self):
            assert self.path == "/meta-data/spot/instance-action"
            looks.append(self.headers["X-aws-ec2-metadata-token"])
            self.send_response(200 if len(looks) == 3 else 404)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", looks
        server.shutdown()
        thread.join()


def test_the_notice_of_ec2_stops_the_search(machine, metadata):
    """It is asked for with a token, until it is there."""
    address, looks = metadata
    process, calls = machine.run("aws_spot_notice.sh", METADATA=address)
    assert process.returncode == 0, process.stderr
    assert looks == ["secret"] * 3
    assert calls == ["sleep 5", "sleep 5", "systemctl stop resumable-search"]
