"""Rank 0 of a real MPI job runs a stage in a process of its own, which starts MPI itself."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from cli_tools import wait_for
from launch_tools import notes, request
from mpirun import kill_job, mpirun, start_mpirun

pytestmark = pytest.mark.mpi

DRIVER = Path(__file__).parents[1] / "launch_driver.py"


def drive(folder):
    return mpirun(2, [sys.executable, DRIVER, folder], cwd=folder, timeout=60)


def kinds(folder):
    return [line.split()[0] for line in notes(folder)]


def test_a_stage_may_start_mpi_itself(tmp_path):
    folder = request(tmp_path / "stage", steps=2, mpi=True)
    done = drive(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("2 steps\n")
    assert "mpi 1" in notes(folder)


def test_a_failure_is_said_once_and_ends_all_ranks(tmp_path):
    folder = request(tmp_path / "stage", fail=3)
    done = drive(folder)
    assert done.returncode == 6
    assert done.stderr.count("compress-mpi: error") == 1
    assert done.stderr.endswith("\n  a line of the log\n")


@pytest.mark.parametrize(
    ("number", "code", "left"),
    [(signal.SIGUSR1, 85, True), (signal.SIGTERM, 85, False), (signal.SIGKILL, -9, True)],
)
def test_a_signal_to_mpirun(tmp_path, number, code, left):
    folder = request(tmp_path / "stage", steps=60, nap=0.05)
    job = start_mpirun(2, [sys.executable, DRIVER, folder], cwd=folder)
    try:
        wait_for(lambda: (folder / "progress.json").exists())
        job.send_signal(number)
        job.communicate(timeout=30)
    finally:
        kill_job(job)
    assert job.returncode == code
    assert left == ("end" not in kinds(folder))
    assert json.loads((folder / "ticket.json").read_text())["where"] == "process" if left else True
    assert drive(folder).stdout.endswith("60 steps\n")
    assert kinds(folder).count("begin") == (1 if left else 2)
