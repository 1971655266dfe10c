"""The scripts of ``jobs/`` on a real Slurm, down to the requeue after USR1."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from cli_tools import compress, write_runcard
from slurm_tools import ENDED, JOBS, PATIENCE, Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.mpi]

CHAIN = {"minimization": {"max_iteration": 20_000, "seed": 11}, "compressed": 5, "checkpoint_interval": 0.2}


class Jobs(Cluster):
    """Submits jobs from a folder and watches them."""

    def submit(self, script: Path, *arguments: object, options: tuple[str, ...] = ()) -> str:
        words = ["--parsable", "--ntasks-per-node=2", "--time=5", *options, script, *arguments]
        return self.run("sbatch", *words)

    def facts(self, job: str) -> list[dict[str, str]]:
        """One entry per array task."""
        tasks = self.run("scontrol", "show", "job", "--oneliner", job).splitlines()
        return [dict(re.findall(r"(\w+)=(\S*)", task)) for task in tasks if task]

    def wait(self, job: str, until: Callable[[dict[str, str]], bool] | None = None) -> list[dict[str, str]]:
        end = time.monotonic() + PATIENCE
        while not all(f["JobState"] in ENDED or (until and until(f)) for f in self.facts(job)):
            assert time.monotonic() < end, f"{self.facts(job)}\n{self.log()}"
            time.sleep(0.3)
        return self.facts(job)

    def finish(self, job: str) -> None:
        for task in self.wait(job):
            assert task["JobState"] == "COMPLETED", f"{task}\n{self.log()}"

    def launches(self, name: str) -> list[tuple[int, str]]:
        """Ranks and end of every launch in a result."""
        with h5py.File(self.folder / name) as file:
            ends = file["/launches/end"].asstr()[()].tolist()
            return list(zip(file["/launches/ranks"][()].tolist(), ends, strict=True))

    def iteration(self, name: str) -> int:
        path = self.folder / name
        if not path.exists():
            return 0
        with h5py.File(path) as file:
            return len(file["/history/erf"])


@pytest.fixture
def cluster(slurm, tmp_path):
    return Jobs(slurm, tmp_path)


def answer(path: Path) -> tuple[list[int], list[float]]:
    with h5py.File(path) as file:
        assert file.attrs["status"] == "complete"
        return file["/selection/index"][()].tolist(), file["/history/erf"][()].tolist()


def test_a_plain_run(cluster):
    write_runcard(cluster.folder)
    cluster.finish(cluster.submit(JOBS / "cpu.slurm", "runcard.yml", "--set", "seed=6"))
    assert cluster.launches("compress_tiny_4.h5") == [(2, "complete")]
    assert "seed 6" in compress(["inspect", "compress_tiny_4.h5"], cluster.folder).stdout


def test_a_failure_shows_in_the_state_of_the_job(cluster):
    write_runcard(cluster.folder, pdf="hessian")
    for script in ("cpu.slurm", "restart_chain.slurm"):
        (task,) = cluster.wait(cluster.submit(JOBS / script, "runcard.yml"))
        assert (task["JobState"], task["ExitCode"], task["Restarts"]) == ("FAILED", "3:0", "0"), cluster.log()
    assert "ErrorType" in cluster.log()


def test_an_array_over_sizes_becomes_one_report(cluster):
    write_runcard(cluster.folder)
    job = cluster.submit(JOBS / "sizes_array.slurm", "runcard.yml", options=("--array=3,4,5",))
    cluster.finish(job)
    files = [f"compress_tiny_{n}.h5" for n in (3, 4, 5)]
    assert [cluster.launches(name) for name in files] == [[(2, "complete")]] * 3
    erfs = (cluster.folder / "erfs_output" / "erf_reduced.dat").read_text().splitlines()
    assert sorted(line.partition(":")[0] for line in erfs) == ["3", "4", "5"]
    from compress_mpi.workflows.report import write_report

    page = write_report([cluster.folder / name for name in files], cluster.folder / "report")
    assert "3, 4 and 5 replicas" in page.read_text()


def test_the_chain_ends_with_the_answer_of_an_uninterrupted_run(cluster):
    alone = cluster.folder / "alone"
    alone.mkdir()
    for folder in (cluster.folder, alone):
        write_runcard(folder, **CHAIN)
    name = "compress_tiny_5.h5"
    job = cluster.submit(JOBS / "restart_chain.slurm", "runcard.yml", "-q")
    cluster.wait(job, lambda task: cluster.iteration(name) > 0)
    # what Slurm does by itself ahead of the end of a job
    cluster.run("scancel", "--signal=USR1", "--batch", job)
    cluster.finish(job)
    (task,) = cluster.facts(job)
    assert task["Restarts"] == "1", cluster.log()
    assert cluster.launches(name) == [(2, "SIGUSR1"), (2, "complete")]
    assert "going on after iteration" in cluster.log()
    result = compress(["runcard.yml", "-q"], alone)
    assert result.returncode == 0, result.stderr
    assert answer(cluster.folder / name) == answer(alone / name)


def test_slurm_itself_sends_the_signal_in_time(cluster):
    write_runcard(cluster.folder, **{**CHAIN, "minimization": {"max_iteration": 10**8, "seed": 11}})
    # limits count in minutes and are looked at twice a minute: the signal comes 10 to 45 s after the start
    options = ("--time=1", "--signal=B:USR1@20")
    job = cluster.submit(JOBS / "restart_chain.slurm", "runcard.yml", "-q", options=options)
    (task,) = cluster.wait(job, lambda task: task["Restarts"] == "1")
    cluster.run("scancel", job)
    assert task["Restarts"] == "1", cluster.log()
    assert cluster.launches("compress_tiny_5.h5")[0] == (2, "SIGUSR1")
    assert "back into the queue" in cluster.log()


def test_a_written_script_runs(cluster):
    from compress_mpi.workflows.job import JobRequest, job_script

    write_runcard(cluster.folder, output=str(cluster.folder))
    request = JobRequest(1, 2, "00:05:00", launcher="srun", partition="cpu")
    script, _ = job_script(
        cluster.folder / "runcard.yml", request, folders=[Path(cluster.env["LHAPDF_DATA_PATH"])]
    )
    (cluster.folder / "job.slurm").write_text(script)
    cluster.finish(cluster.run("sbatch", "--parsable", "job.slurm").strip())
    assert cluster.launches("compress_tiny_4.h5") == [(2, "complete")]
