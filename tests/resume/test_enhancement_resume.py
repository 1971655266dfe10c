"""An enhanced and polished run may be stopped in any phase: it ends with the same bits, on any number of ranks."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import h5py
import pytest

from cli_tools import wait_for, write_runcard
from enhanced_runs import CARD, FIRST, RESULT, TREE, differences, files, write_prior
from mpirun import kill_a_rank, kill_job, mpirun, processes, start_mpirun

pytestmark = [pytest.mark.mpi, pytest.mark.slow]

TRAINED = all(find_spec(name) for name in ("torch", "zuko"))
EPOCHS = 39
"""Of the training: fewer than the patience of the flow, so that none is spared."""

GIVEN = {
    **CARD,
    "max_iteration": 30,
    "generator": {"kind": "flow", "epochs": EPOCHS, "components": 4} if TRAINED else {"kind": "mix"},
    "polish": {"radius": 0.3, "steps": 20, "candidates": 3},
    "checkpoint_interval": 1e-6,
}
MOMENTS = {
    "prior": (3, 20),
    "training": (3, 25),
    "writing": (1, 2),
    "linking": (1, 1),
    "direct": (3, 20),
    "adiabatic": (3, 20),
    "polish": (1, 2),
}
"""First and last step of every phase in which it may be killed."""

PHASES = [phase for phase in MOMENTS if TRAINED or phase != "training"]
STAGE = f"{TREE}.stage"
needs_training = pytest.mark.skipif(
    not TRAINED, reason="torch and zuko are not installed (pip install 'compress-mpi[ml]')"
)


class Place:
    """A folder with a runcard, and the launches in it."""

    def __init__(self, folder: Path, env: dict[str, str], **changes: object) -> None:
        self.folder, self.env = folder, env
        write_runcard(folder, **{**GIVEN, **changes})

    def words(self, phase: str = "none", step: int = 0, seconds: float = 0.0) -> list[object]:
        (self.folder / "beats").unlink(missing_ok=True)
        program = Path(__file__).parents[1] / "mpi" / "programs" / "slowly_enhanced.py"
        return [sys.executable, program, phase, step, seconds, "runcard.yml", "-q"]

    def start(self, ranks: int, *rest: object) -> subprocess.Popen[str]:
        return start_mpirun(ranks, self.words(*rest), cwd=self.folder, env=self.env)

    def arrive(self, ranks: int, phase: str, step: int, seconds: float) -> subprocess.Popen[str]:
        """Start a launch that rests in a step of a phase, and wait until it does."""
        job = self.start(ranks, phase, step, seconds)
        wait_for(lambda: self.beats().count(phase) >= step or job.poll() is not None)
        assert job.poll() is None, job.communicate()
        return job

    def finish(self, ranks: int) -> str:
        done = mpirun(ranks, self.words(), cwd=self.folder, env=self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def beats(self) -> list[str]:
        """Phase of every step of the last launch so far."""
        path = self.folder / "beats"
        return path.read_text().split() if path.exists() else []

    def epochs(self) -> int:
        """Epochs in the checkpoint of the training."""
        with h5py.File(self.folder / STAGE / "checkpoint.h5") as file:
            return int(file["done"][()])

    def outcome(self) -> dict[str, object]:
        """All files, without what says where the training was to run."""
        aside = ("runcard", "settings")
        found = files(self.folder / "out")
        for content in found.values():
            if isinstance(content, dict):
                for name in aside:
                    content.pop(name, None)
        return {name: content for name, content in found.items() if not name.endswith("input-runcard.json")}


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_prior(tmp_path_factory)


@pytest.fixture(scope="module")
def expected(sets: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """All files of a run that nobody stopped."""
    place = Place(tmp_path_factory.mktemp("whole"), sets)
    place.finish(2)
    assert {*place.beats()} == {*PHASES}
    return place.outcome()


@pytest.fixture
def place(sets: dict[str, str], tmp_path: Path) -> Place:
    return Place(tmp_path, sets)


def test_killed_in_every_phase(place: Place, expected: dict[str, object]) -> None:
    chance, said = random.Random(5), {}
    for number, phase in enumerate(PHASES):
        job = place.arrive((2, 1, 3)[number % 3], phase, chance.randint(*MOMENTS[phase]), seconds=5.0)
        said[phase] = kill_a_rank(job, "slowly_enhanced.py", chance)
        assert place.beats()[-1] == phase, f"killed too late: {place.beats()}"
        if phase == "training":
            assert 1 <= place.epochs() < EPOCHS
    said["end"] = place.finish(2)
    assert differences(place.outcome(), expected) == []
    # what each launch went on with is of the one before
    assert f"{FIRST}: going on after iteration" in said[PHASES[1]]
    assert f"{FIRST}: complete already" in said["linking"]
    assert f"{TREE}: complete already" in said["direct"]
    assert "of phase direct" in said["adiabatic"]
    assert "of phase adiabatic" in said["polish"]
    assert not [*place.folder.rglob(".*")], "strays are swept"


@needs_training
def test_told_to_stop_it_enters_the_phase_that_it_left(place: Place, expected: dict[str, object]) -> None:
    for ranks, phase, where in (
        (1, "training", f"{STAGE}: stopped (SIGUSR1) with a checkpoint"),
        (2, "direct", "of phase direct"),
    ):
        before = place.epochs() if phase == "direct" else 0
        job = place.arrive(ranks, phase, 8, seconds=0.5)
        job.send_signal(signal.SIGUSR1)
        said, errors = job.communicate(timeout=30)
        kill_job(job)
        assert job.returncode == 85, errors
        assert where in said
        assert f"{where}; start again to go on" in said
        if phase == "training":
            assert 7 <= place.epochs() < EPOCHS
            assert not (place.folder / STAGE / "done.json").exists()
            assert not (place.folder / TREE).exists()
        else:
            assert place.beats().count("training") == EPOCHS - before
    with h5py.File(place.folder / RESULT) as file:
        iteration = len(file["phases/direct/history/erf"])
        assert "adiabatic" not in file["phases"]
        assert file["/launches/end"].asstr()[()].tolist() == ["SIGUSR1"]
    said = place.finish(1)
    assert f"{RESULT}: going on after iteration {iteration} of phase direct" in said
    assert not {"prior", "training", "writing", "linking"} & {*place.beats()}
    assert differences(place.outcome(), expected) == []


@needs_training
def test_a_training_outlives_a_killed_launch(
    sets: dict[str, str], tmp_path: Path, expected: dict[str, object]
) -> None:
    """In a process of its own, halted in its first moments, so that it is there when the next launch comes."""
    place, stage = Place(tmp_path, sets, launch={"where": "process"}), tmp_path / STAGE
    job = place.start(2)
    words = ("-m", "compress_mpi", "stage", stage)
    wait_for(lambda: processes(*words) or job.poll() is not None)
    training = processes(*words)
    for pid in training:
        os.kill(pid, signal.SIGSTOP)
    try:
        kill_a_rank(job, "slowly_enhanced.py", random.Random(1))
        second = place.start(1)
        wait_for(lambda: "waiting" in place.beats() or second.poll() is not None)
        time.sleep(0.5)
        assert second.poll() is None, "it waits"
    finally:
        for pid in training:
            os.kill(pid, signal.SIGCONT)
    _, errors = second.communicate(timeout=60)
    kill_job(second)
    assert second.returncode == 0, errors
    assert len(training) == 1
    assert (stage / "stage.log").read_text().count("-- attempt") == 1
    assert differences(place.outcome(), expected) == []
