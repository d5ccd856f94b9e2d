"""The job for Slurm, with a stand-in for the one command of Slurm's that it calls."""

import os
import signal
import subprocess
import time

import pytest

from resumable_search import read_results
from tests.deploy.conftest import EXAMPLE, N_FOLDS
from tests.deploy.test_run_until_finished import fits


@pytest.fixture
def submit(noted_search, environment, tmp_path, no_process_left):
    """Give a function that starts the job, as a node does, and gives its process."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "scontrol").write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/scontrol\n')
    (tools / "scontrol").chmod(0o755)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    started = []

    def submit_job():
        process = subprocess.Popen(
            ["bash", EXAMPLE / "search.sbatch"],
            cwd=noted_search.parent,
            stdout=subprocess.DEVNULL,
            env=environment
            | {
                "PATH": f"{tools}{os.pathsep}{environment['PATH']}",
                "SLURM_SUBMIT_DIR": str(noted_search.parent),
                "SLURM_JOB_ID": "17",
                "TMPDIR": str(scratch),
            },
        )
        started.append(process)
        return process

    yield submit_job
    for process in started:
        process.kill()
        process.wait()


def stop(job, number, tmp_path):
    """Send a signal to the shell alone, once folds have been finished."""
    deadline = time.monotonic() + 60
    while len(fits(tmp_path)) < 8:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    job.send_signal(number)
    return job.wait(timeout=120)


@pytest.mark.faults
def test_a_job_at_its_time_limit_goes_back_into_the_queue(
    submit, tmp_path, noted_search
):
    """Its checkpoint is copied from the node, and the next try goes on from there."""
    assert stop(submit(), signal.SIGUSR1, tmp_path) == 143
    assert (tmp_path / "scontrol").read_text() == "requeue 17\n"
    kept = noted_search.with_name("checkpoint.sqlite")
    n_kept = sum(read_results(kept)["n_completed"])
    assert n_kept > 0
    assert not list((tmp_path / "scratch").iterdir())

    n_begun = len(fits(tmp_path))
    assert submit().wait(timeout=120) == 0
    # The refit is one more.
    assert len(fits(tmp_path)) - n_begun == N_FOLDS - n_kept + 1
    assert noted_search.with_name("results.json").exists()
    assert (tmp_path / "scontrol").read_text() == "requeue 17\n"


@pytest.mark.faults
def test_a_job_that_is_cancelled_does_not_come_back(submit, tmp_path, noted_search):
    """What it has finished is kept."""
    assert stop(submit(), signal.SIGTERM, tmp_path) == 143
    assert not (tmp_path / "scontrol").exists()
    kept = noted_search.with_name("checkpoint.sqlite")
    assert sum(read_results(kept)["n_completed"]) > 0
