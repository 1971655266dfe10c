"""Stages that the driver of an MPI job submits to another partition of a real Slurm, and chained jobs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli_tools import wait_for
from launch_tools import notes, request
from mpirun import processes
from slurm_tools import JOBS, PATIENCE, Cluster

pytest.importorskip("psij", reason="psij-python not installed: pip install 'compress-mpi[launch]'")
pytestmark = [pytest.mark.slurm, pytest.mark.mpi]

DRIVER = Path(__file__).parents[1] / "launch_driver.py"


class Launches(Cluster):
    """A cluster with the stage in ``stage``."""

    def __init__(self, env, folder):
        super().__init__(env, folder)
        self.stage = folder / "stage"

    def submit(self):
        """The script of ``jobs/`` with the driver of the tiny stage in place of compress-mpi."""
        script = (JOBS / "launch_inside.slurm").read_text()
        assert 'compress-mpi "$@" &' in script
        words = f'{sys.executable} {DRIVER} "$@" &'
        (self.folder / "parent.slurm").write_text(script.replace('compress-mpi "$@" &', words))
        options = ("--parsable", "--ntasks-per-node=2", "--time=5", "--output=parent.log")
        return self.run("sbatch", *options, "parent.slurm", self.stage, "slurm", "gpu")

    def child(self):
        """Number of the stage's job, once it works."""
        wait_for(lambda: any(line.startswith("begin") for line in notes(self.stage)), PATIENCE)
        return json.loads((self.stage / "ticket.json").read_text())["native_id"]

    def kinds(self):
        return [line.split()[0] for line in notes(self.stage)]


def kill_ranks(folder):
    """kill -9 of the drivers themselves, rank 0 first; a job that Slurm ends gets a SIGTERM before."""
    for pid in processes(sys.executable, DRIVER, folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def cluster(slurm, tmp_path):
    place = Launches(slurm, tmp_path)
    yield place
    place.cancel_all()


def test_a_stage_with_mpi_of_its_own_runs_on_the_gpu_partition(cluster):
    request(cluster.stage, steps=4, nap=0.2, mpi=True)
    parent = cluster.submit()
    child = cluster.child()
    cluster.ends(parent, "COMPLETED")
    assert "\n4 steps\n" in (cluster.folder / "parent.log").read_text()
    facts = cluster.wait(child)
    assert (facts["Partition"], facts["JobState"]) == ("gpu", "COMPLETED")
    assert cluster.facts(parent)["Partition"] == "cpu"
    assert notes(cluster.stage)[1:] == ["gpus 0", "mpi 1", "end 0 4 steps"]


def test_a_failed_stage_ends_the_parent_with_its_last_lines(cluster):
    request(cluster.stage, fail=3)
    cluster.ends(cluster.submit(), "FAILED", "6:0")
    log = (cluster.folder / "parent.log").read_text()
    assert "stage tiny failed with exit code 3: the GPU is on fire" in log
    assert "\n  a line of the log\n" in log


def test_a_partition_that_does_not_exist_is_said_at_once(cluster):
    request(cluster.stage)
    words = [sys.executable, DRIVER, cluster.stage, "slurm", "no-such"]
    done = subprocess.run(words, env=cluster.env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 6
    assert re.match(
        r"compress-mpi: error: launch.where: slurm did not take the job: .*[Pp]artition", done.stderr
    )


def test_a_stage_cancelled_by_hand_ends_the_parent(cluster):
    request(cluster.stage, steps=10**6, nap=0.05)
    parent = cluster.submit()
    cluster.run("scancel", cluster.child())
    cluster.ends(parent, "FAILED", "6:0")
    log = (cluster.folder / "parent.log").read_text()
    assert re.search(
        r"stage tiny (is gone|was ended from outside).*\(slurm says of job \d+: cancelled\)", log
    ), log
    assert cluster.kinds().count("begin") == 1


def test_a_cancelled_parent_cancels_its_stage(cluster):
    request(cluster.stage, steps=10**6, nap=0.05)
    parent = cluster.submit()
    child = cluster.child()
    cluster.run("scancel", parent)
    assert cluster.wait(parent)["JobState"] == "CANCELLED"
    assert cluster.wait(child)["JobState"] == "CANCELLED", cluster.log()


def test_a_requeued_parent_finds_its_stage_at_work(cluster):
    request(cluster.stage, steps=200, nap=0.05)
    parent = cluster.submit()
    child = cluster.child()
    cluster.run("scancel", "--signal=USR1", "--batch", parent)
    cluster.ends(parent, "COMPLETED")
    assert cluster.facts(parent)["Restarts"] == "1"
    assert cluster.wait(child)["JobState"] == "COMPLETED"
    assert cluster.kinds() == ["begin", "gpus", "end"]
    log = (cluster.folder / "parent.log").read_text()
    assert "back into the queue" in log
    assert "\n200 steps\n" in log


def test_a_killed_parent_leaves_the_result_to_the_next_one(cluster):
    request(cluster.stage, steps=60, nap=0.05)
    parent = cluster.submit()
    child = cluster.child()
    kill_ranks(cluster.stage)
    assert cluster.wait(parent)["JobState"] == "FAILED"
    assert cluster.wait(child)["JobState"] == "COMPLETED"
    cluster.ends(cluster.submit(), "COMPLETED")
    assert cluster.kinds() == ["begin", "gpus", "end"]


@pytest.mark.parametrize("fate", ["made in two jobs", "refused"])
def test_chained_jobs(cluster, fate):
    """A stand-in for compress-mpi: what is tested is the chain."""
    folder = cluster.folder / "bin"
    folder.mkdir()
    (folder / "compress-mpi").write_text(
        "#!/bin/bash\n"
        f'cd {cluster.folder}; echo "$1 ${{PMI_RANK:-alone}} $CUDA_VISIBLE_DEVICES" >>calls\n'
        f'[ "$1" = enhance ] || exit 0\n'
        f'[ "{fate}" != refused ] || exit 8\n'
        "[ -e half ] || { touch half; exit 85; }\n"
    )
    (folder / "compress-mpi").chmod(0o755)
    cluster.env = {
        **cluster.env,
        "PATH": f"{folder}:{cluster.env['PATH']}",
        "CPU_OPTIONS": "--ntasks-per-node=2",
    }
    gpu, cpu = cluster.run("bash", JOBS / "chain_gpu_cpu.sh", "runcard.yml").split()
    if fate == "refused":
        cluster.ends(gpu, "FAILED", "8:0")
        assert cluster.wait(cpu)["JobState"] == "CANCELLED"
        assert len((cluster.folder / "calls").read_text().splitlines()) == 1
        return
    cluster.ends(gpu, "COMPLETED")
    assert cluster.facts(gpu)["Restarts"] == "1"
    cluster.ends(cpu, "COMPLETED")
    calls = (cluster.folder / "calls").read_text().splitlines()
    assert calls[:2] == ["enhance alone 0"] * 2
    assert sorted(calls[2:]) == ["runcard.yml 0 ", "runcard.yml 1 "]


def test_the_heterogeneous_job_is_one_that_slurm_would_start(cluster):
    """Its two parts never start on a cluster of one node."""
    script = JOBS / "heterogeneous.slurm"
    subprocess.run(["bash", "-n", script], check=True)
    job = cluster.run("sbatch", "--parsable", script, "runcard.yml")
    parts = cluster.run(
        "squeue", "--noheader", "--Format=Partition,NumCPUs,MinCpus,HetJobOffset"
    ).splitlines()
    assert [line.split()[0] for line in sorted(parts)] == ["cpu", "gpu"], job
    cluster.run("scancel", job)
