"""Stages as jobs of a scheduler that is pretended: what PSI/J hides, and what it says wrongly."""

from __future__ import annotations

import builtins
import os
import signal
import threading
import time
from dataclasses import replace

import pytest

from cli_tools import wait_for
from compress_mpi.errors import LaunchError
from compress_mpi.launch import scheduler
from compress_mpi.launch.donefile import Done
from compress_mpi.launch.runner import run, submit
from compress_mpi.launch.settings import LaunchSettings
from compress_mpi.launch.ticket import load_ticket
from launch_tools import never, notes, request, stage_command

SLURM = LaunchSettings(where="slurm", gpus=1, partition="gpu", time_s=60, poll_s=0.1, grace_s=0.8)
SBATCH = """#!/bin/bash
cp "$1" SITE/job; env >SITE/environment
[ ! -e SITE/refuse ] || { echo "sbatch: error: invalid partition specified: gpu" >&2; exit 1; }
echo 7 R None >>SITE/queue
[ -e SITE/held ] || SLURM_JOB_ID=7 setsid bash "$1" >/dev/null 2>&1 &
echo Submitted batch job 7
"""
SQUEUE = """#!/bin/bash
[ ! -e SITE/down ] || { echo "slurm_load_jobs error: Unable to contact slurm controller" >&2; exit 1; }
echo JOBID ST REASON; cat SITE/queue
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with the commands of a scheduler first on the path; its file ``queue`` is what squeue shows."""
    pytest.importorskip("psij", reason="psij-python not installed: pip install 'compress-mpi[launch]'")
    place = tmp_path / "site"
    place.mkdir()
    scripts = {"sbatch": SBATCH, "squeue": SQUEUE, "scancel": "#!/bin/bash\necho $* >>SITE/cancelled\n"}
    for name, text in {**scripts, "scontrol": "#!/bin/bash\necho node\n"}.items():
        (place / name).write_text(text.replace("SITE", str(place)))
        (place / name).chmod(0o755)
    (place / "queue").touch()
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    return place


def launch(folder, settings=SLURM, stop=never, on_progress=None):
    return run(settings, folder, stage_command(folder), stop, on_progress)


def test_a_job_is_described_and_starts_without_the_variables_of_the_parent(site, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_CPU_BIND", "none")
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    handler = signal.getsignal(signal.SIGCHLD)
    settings = replace(SLURM, cores=4, account="theory", options={"qos": "short"}, time_s=5400)
    assert launch(request(tmp_path / "stage"), settings) == Done(0, "1 steps")
    assert signal.getsignal(signal.SIGCHLD) == handler
    job = (site / "job").read_text()
    for words in (
        *('--partition="gpu"', '--account="theory"', '--qos="short"', "--time=1:30:0", "--nodes=1"),
        *("--gpus-per-task=1", "--cpus-per-task=4", "--ntasks-per-node=1"),
    ):
        assert f"#SBATCH {words}\n" in job
    environment = (site / "environment").read_text()
    assert "SLURM_CONF=/etc/slurm.conf" in environment
    assert "PMI_RANK" not in environment
    assert "SLURM_CPU_BIND" not in environment


def test_a_refused_job_says_why_and_what_to_look_at(site, tmp_path):
    (site / "refuse").touch()
    with pytest.raises(
        LaunchError, match=r"did not take the job: .* invalid partition .*: gpu; check partition"
    ):
        launch(request(tmp_path / "stage"))


def test_a_job_that_the_scheduler_has_forgotten_is_not_done(site, tmp_path):
    (site / "held").touch()
    folder = request(tmp_path / "stage")
    threading.Timer(0.5, lambda: (site / "queue").write_text("")).start()
    before = time.monotonic()
    with pytest.raises(LaunchError, match=r"is gone and left no done\.json: .* \(slurm says of job 7: compl"):
        launch(folder)
    assert time.monotonic() - before > SLURM.grace_s


def test_a_scheduler_that_does_not_answer_for_a_while_is_waited_for(site, tmp_path):
    (site / "down").touch()
    folder = request(tmp_path / "stage", steps=20, nap=0.1)
    assert launch(folder) == Done(0, "20 steps")
    assert len([line for line in notes(folder) if line.startswith("begin")]) == 1


def test_a_job_that_waits_says_so_and_is_cancelled_with_its_driver(site, tmp_path):
    (site / "held").touch()
    (site / "queue").write_text("7 PD Resources\n")
    seen = []
    folder = request(tmp_path / "stage")
    assert launch(folder, stop=lambda: "SIGTERM" if seen else None, on_progress=seen.append) is None
    assert seen[0].text == "job 7 waits in the queue of slurm"
    assert (site / "cancelled").read_text() == "-Q 7\n"
    _, cancelled = load_ticket(SLURM, folder)
    assert cancelled


def test_a_job_of_a_lost_driver_that_is_gone_is_submitted_again(site, tmp_path):
    folder = request(tmp_path / "stage")
    (site / "held").touch()
    submit(SLURM, folder, stage_command(folder))
    (site / "queue").write_text("")
    (site / "held").unlink()
    assert launch(folder) == Done(0, "1 steps")
    assert "attempt 2" in (folder / "stage.log").read_text()


def test_a_job_whose_number_could_not_be_noted_is_found_by_its_own_note(site, tmp_path):
    folder = request(tmp_path / "stage", steps=20, nap=0.05)
    ticket = submit(SLURM, folder, stage_command(folder))
    wait_for(lambda: notes(folder))
    ticket.native_id = None
    ticket.save()
    assert launch(folder) == Done(0, "20 steps")
    assert len([line for line in notes(folder) if line.startswith("begin")]) == 1


@pytest.mark.parametrize(
    ("where", "lines"),
    [
        (
            "pbs",
            [
                "#PBS -q gpu",
                "#PBS -A theory",
                '#PBS -l "select=1:ncpus=4:ngpus=1"',
                "#PBS -l walltime=1:30:0",
            ],
        ),
        ("pbs_classic", ["#PBS -q gpu", "#PBS -A theory", '#PBS -l "nodes=1:ppn=4:gpus=1"']),
        ("lsf", ['#BSUB -q "gpu"', '#BSUB -G "theory"', "#BSUB -gpu num=1/task", "#BSUB -W 1:30"]),
    ],
)
def test_jobs_of_other_schedulers_are_written(tmp_path, where, lines):
    psij = pytest.importorskip("psij", reason="psij-python not installed: pip install 'compress-mpi[launch]'")
    settings = replace(SLURM, where=where, account="theory", cores=4, time_s=5400)
    backend = scheduler.SchedulerBackend(settings, tmp_path)
    job = psij.Job(backend.spec(tmp_path / "launch.sh"))
    with (tmp_path / "job").open("w") as file:
        backend._executor.generate_submit_script(job, backend._executor._create_script_context(job), file)
    text = (tmp_path / "job").read_text()
    assert not set(lines) - set(text.splitlines()), text
    assert text.count("select=") + text.count("nodes=") < 2


def test_what_is_not_installed_or_not_known_is_said(tmp_path, monkeypatch):
    with pytest.raises(LaunchError, match=r"launch.where: expected process, slurm, .* got flux"):
        submit(LaunchSettings(where="flux"), request(tmp_path / "stage"), ["true"])
    scheduler._import_psij.cache_clear()
    original = builtins.__import__

    def missing(name, *arguments):
        if name == "psij":
            raise ImportError("No module named 'psij'")
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(LaunchError, match=r"needs PSI/J.*pip install 'compress-mpi\[launch\]'"):
        submit(SLURM, tmp_path / "stage", ["true"])
