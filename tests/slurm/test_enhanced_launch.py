"""The real program on a real Slurm: CPU ranks whose rank 0 has the network trained on the GPU partition."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import h5py
import pytest

from cli_tools import wait_for, write_runcard
from enhanced_runs import CARD, FIRST, RESULT, TREE, differences, files, write_prior
from mpirun import processes
from slurm_tools import JOBS, PATIENCE, Cluster

for _needed in ("torch", "zuko"):
    if find_spec(_needed) is None:
        pytest.skip(f"{_needed} is not installed (pip install 'compress-mpi[ml]')", allow_module_level=True)
pytest.importorskip("psij", reason="psij-python is not installed (pip install 'compress-mpi[launch]')")
pytestmark = [pytest.mark.slurm, pytest.mark.mpi]

GIVEN = {**CARD, "max_iteration": 30, "generator": {"kind": "flow", "epochs": 39, "components": 4}}
ELSEWHERE = {"where": "slurm", "partition": "gpu", "gpus": 1, "time": "2m"}


class Run(Cluster):
    """One runcard, submitted with the script of ``jobs/`` as it is."""

    def __init__(self, env: dict[str, str], folder: Path, **changes: object) -> None:
        super().__init__(env, folder)
        self.stage = folder / f"{TREE}.stage"
        write_runcard(folder, **{**GIVEN, "launch": ELSEWHERE, **changes})

    def submit(self) -> str:
        options = ("--parsable", "--ntasks-per-node=2", "--time=5", "--output=parent.log")
        return self.run("sbatch", *options, JOBS / "launch_inside.slurm", "runcard.yml")

    @contextlib.contextmanager
    def halted(self) -> Iterator[str]:
        """The training stands still from its first moments, for as long as the block takes; the number of its job."""
        words = ("-m", "compress_mpi", "stage", self.stage)
        # the program, and what watches its time
        wait_for(lambda: len(processes(*words)) == 2, PATIENCE)
        training = processes(*words)
        for pid in training:
            os.kill(pid, signal.SIGSTOP)
        try:
            wait_for(lambda: self.ticket() is not None)
            assert not (self.stage / "done.json").exists()
            yield str(self.ticket())
        finally:
            for pid in training:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def ticket(self) -> str | None:
        """Number of the training's job, once its parent has written it down."""
        number = json.loads((self.stage / "ticket.json").read_text())["native_id"]
        return None if number is None else str(number)

    def parent(self) -> str:
        """What the job has said so far."""
        path = self.folder / "parent.log"
        return path.read_text() if path.exists() else ""


def outcome(folder: Path) -> dict[str, object]:
    """All files of a run, without what says where its network was trained."""
    found = files(folder / "out")
    for content in found.values():
        if isinstance(content, dict):
            content.pop("runcard", None)
            content.pop("settings", None)
    return {name: content for name, content in found.items() if not name.endswith("input-runcard.json")}


@pytest.fixture(scope="module")
def env(slurm: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {**slurm, **write_prior(tmp_path_factory), "CPU_OPTIONS": "--ntasks-per-node=2"}


@pytest.fixture
def cluster(env: dict[str, str], tmp_path: Path) -> Iterator[Run]:
    place = Run(env, tmp_path)
    yield place
    place.cancel_all()


@pytest.fixture(scope="module")
def chained(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Made by two jobs, one after the other."""
    place = Run(env, tmp_path_factory.mktemp("chained"), launch={"where": "local"})
    gpu, cpu = place.run("bash", JOBS / "chain_gpu_cpu.sh", "runcard.yml").split()
    place.ends(gpu, "COMPLETED")
    assert (place.folder / TREE / "filter.yml").exists()
    assert not (place.folder / FIRST).exists(), "the first job makes the set and selects nothing"
    place.ends(cpu, "COMPLETED")
    return place


def test_chained_jobs_make_the_set_and_then_select(chained: Run) -> None:
    log = chained.log()
    assert log.count("few_enhanced: 140 replicas, 60 of them new (generator flow") == 1
    assert f"{TREE}: complete already" in log
    with h5py.File(chained.folder / RESULT) as file:
        assert file.attrs["status"] == "complete"
        assert [*file["phases"]] == ["adiabatic", "direct", "prior"]
        assert file["/launches/ranks"][()].tolist() == [2]


def test_a_requeued_run_finds_its_training_at_work_and_ends_as_any_other(cluster: Run, chained: Run) -> None:
    parent = cluster.submit()
    with cluster.halted() as child:
        cluster.run("scancel", "--signal=USR1", "--batch", parent)
        wait_for(lambda: f"{FIRST}: complete already" in cluster.parent(), PATIENCE)
        time.sleep(2)
        assert cluster.facts(parent)["JobState"] == "RUNNING", "it waits"
    cluster.ends(parent, "COMPLETED")
    first, _, second = cluster.parent().partition("start 2 of job")
    assert f"{TREE}.stage: not waited for any longer (SIGUSR1); start again to go on" in first
    assert "back into the queue" in first
    assert f"{FIRST}: complete already" in second
    facts = cluster.wait(child)
    assert (facts["Partition"], facts["JobState"]) == ("gpu", "COMPLETED")
    assert cluster.facts(parent)["Partition"] == "cpu"
    assert (cluster.stage / "stage.log").read_text().count("-- attempt") == 1
    assert differences(outcome(cluster.folder), outcome(chained.folder)) == []


def test_a_cancelled_run_cancels_its_training(cluster: Run) -> None:
    parent = cluster.submit()
    with cluster.halted() as child:
        cluster.run("scancel", parent)
        assert cluster.wait(parent)["JobState"] == "CANCELLED"
        assert cluster.wait(child)["JobState"] == "CANCELLED", cluster.log()
    assert not (cluster.stage / "done.json").exists()


def test_a_training_that_cannot_begin_is_told_with_its_last_lines(cluster: Run) -> None:
    """A library that is there but does not load on the node with the GPU."""
    broken = cluster.folder / "broken" / "zuko"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text('raise ImportError("libcudart.so: no such file")\n')
    path = os.pathsep.join(filter(None, [str(broken.parent), os.environ.get("PYTHONPATH")]))
    write_runcard(cluster.folder, **{**GIVEN, "launch": {**ELSEWHERE, "environment": {"PYTHONPATH": path}}})
    cluster.ends(cluster.submit(), "FAILED", "6:0")
    log = cluster.parent()
    assert f"{TREE}.stage: stage flow ended with exit code 1 and without done.json" in log
    assert log.rstrip().endswith("\n  compress-mpi: error: ImportError: libcudart.so: no such file")
    assert log.count("\ncompress-mpi: error") == 1
    with h5py.File(cluster.folder / FIRST) as file:
        assert file.attrs["status"] == "complete", "what the prior gave is kept"
