"""Stop anywhere, go on exactly: kill -9, signals and time limits through the real command line."""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from cli_tools import BAD, PROGRAM, compress, wait_for, write_runcard
from compress_mpi.io.demo import write_demo_set
from mpirun import kill_a_rank, kill_job, start_mpirun
from selection_tools import MIXED

pytestmark = pytest.mark.mpi

ENV = {"LHAPDF_DATA_PATH": str(BAD / "sets")}
LENGTHS = {"tempering": 12_000, "portfolio": 400}
"""Iterations of more than a second on a set of 12 replicas."""

SHORT = {"tempering": 25, "genetic": 6_000, "portfolio": 25}
"""Iterations of some dozens of epochs. Islands of every minimiser are in the portfolio."""

SLOWLY = Path(__file__).parents[1] / "mpi" / "programs" / "slowly.py"


def card(minimizer: str) -> dict:
    return {
        "minimization": {"minimizer": minimizer, "max_iteration": LENGTHS[minimizer], "seed": 11},
        "compressed": 5,
        "checkpoint_interval": 0.1,
        **({"portfolio": MIXED, "islands": None} if minimizer == "portfolio" else {}),
    }


def start(folder: Path, ranks: int):
    return start_mpirun(ranks, [PROGRAM, "runcard.yml", "-q"], cwd=folder, env=ENV)


def outcome(path: Path) -> dict:
    with h5py.File(path) as file:
        assert file.attrs["status"] == "complete"
        found = {name: np.asarray(file[name]).tolist() for name in ("/selection/index", "/history/erf")}
        found |= {
            f"/checkpoint/{name}": np.asarray(file["checkpoint"][name]).tolist()
            for name in file["checkpoint"]
        }
    return found


def iteration(path: Path) -> int:
    """How far a file is; 0 if there is none. A file is replaced in one step, so it is always readable."""
    if not path.exists():
        return 0
    with h5py.File(path) as file:
        return len(file["/history/erf"])


@pytest.fixture(scope="module", params=LENGTHS)
def uninterrupted(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    write_runcard(folder, **card(request.param))
    result = compress(["runcard.yml", "-q"], folder, 2)
    assert result.returncode == 0, result.stderr
    return request.param, outcome(folder / "compress_tiny_5.h5")


@pytest.fixture(scope="module")
def hundred(tmp_path_factory):
    """A set of a hundred replicas, in which descents are long."""
    folder = tmp_path_factory.mktemp("sets")
    write_demo_set(folder, n_rep=100, name="hundred")
    return {"LHAPDF_DATA_PATH": str(folder)}


def sweeps(path: Path) -> int:
    """Sweeps of the final descent so far."""
    if not path.exists():
        return 0
    with h5py.File(path) as file:
        return int(file["/checkpoint/sweeps"][()]) if "sweeps" in file["checkpoint"] else 0


@pytest.mark.slow
@pytest.mark.parametrize("minimizer", SHORT)
def test_kill_a_rank_at_random_moments(hundred, tmp_path, minimizer):
    """And once more in the final descent, where there is one; each time on another number of ranks."""
    section = {"minimizer": minimizer, "max_iteration": SHORT[minimizer], "seed": 11, "descent": True}
    given = {**card(next(iter(LENGTHS))), "pdf": "hundred", "compressed": 20, "minimization": section}
    if minimizer == "portfolio":
        given |= {"portfolio": MIXED, "islands": None}
    for folder in ("whole", "killed"):
        (tmp_path / folder).mkdir()
        write_runcard(tmp_path / folder, **{**given, "checkpoint_interval": 0.05})
    path, chance = tmp_path / "killed" / "compress_hundred_20.h5", random.Random(minimizer)

    def begin(ranks: int, pause: float, folder: str = "killed"):
        words = [sys.executable, SLOWLY, pause, "runcard.yml", "-q"]
        return start_mpirun(ranks, words, cwd=tmp_path / folder, env=hundred)

    whole = begin(2, 0.0, "whole")
    _, errors = whole.communicate(timeout=120)
    assert whole.returncode == 0, errors
    reached = []
    for ranks in (2, 3, 1):
        before = iteration(path)
        job = begin(ranks, 0.1)
        # at first somewhere in the start-up, later somewhere in the search
        if reached:
            wait_for(lambda job=job, before=before: iteration(path) > before or job.poll() is not None)
        time.sleep(chance.uniform(0.0, 0.3))
        kill_a_rank(job, SLOWLY.name, chance)
        assert iteration(path) >= before, "a checkpoint was lost"
        reached.append(iteration(path))
    expected = outcome(tmp_path / "whole" / path.name)
    total = len(expected["/history/erf"])
    assert 0 < reached[1] < reached[2] < total, f"the kills came too early or too late: {reached}"
    if expected["/checkpoint/sweeps"]:
        assert expected["/checkpoint/sweeps"] > 3
        job = begin(4, 0.1)
        wait_for(lambda: sweeps(path) > 0)
        kill_a_rank(job, SLOWLY.name, chance)
        assert 0 < sweeps(path) < expected["/checkpoint/sweeps"], "in the middle of the descent"
    last = begin(3, 0.0)
    said, errors = last.communicate(timeout=120)
    assert last.returncode == 0, errors
    assert "going on after iteration" in said
    assert outcome(path) == expected
    assert not list(path.parent.glob(".*tmp*")), "strays are swept"
    told = json.loads(compress(["inspect", path, "--json"], tmp_path).stdout)
    assert told["launches"][-1]["end"] == "complete"
    assert told["search"]["local_optimum"] is (minimizer != "genetic")


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_signals_to_mpirun_make_a_checkpoint(uninterrupted, tmp_path, number):
    minimizer, expected = uninterrupted
    if (minimizer, number) == ("portfolio", signal.SIGTERM):
        pytest.skip("the same path as USR1, which both minimisers go")
    write_runcard(tmp_path, **card(minimizer))
    path = tmp_path / "compress_tiny_5.h5"
    job = start(tmp_path, 3)
    wait_for(lambda: iteration(path) > 0)
    before, began = iteration(path), time.monotonic()
    job.send_signal(number)
    _, errors = job.communicate(timeout=30)
    kill_job(job)
    assert time.monotonic() - began < 10
    assert job.returncode == 85, errors
    assert before <= iteration(path) < LENGTHS[minimizer]
    told = compress(["inspect", path], tmp_path).stdout
    assert "running" in told
    assert number.name in told
    result = compress(["runcard.yml", "-q"], tmp_path, 2)
    assert result.returncode == 0, result.stderr
    assert outcome(path) == expected


def test_time_limit_stops_with_a_checkpoint(uninterrupted, tmp_path):
    minimizer, expected = uninterrupted
    write_runcard(tmp_path, **card(minimizer))
    path = tmp_path / "compress_tiny_5.h5"
    limit, codes = 0.25, []
    while 0 not in codes:
        result = compress(["runcard.yml", "-q", "--set", f"time_limit={limit}"], tmp_path)
        assert result.returncode in (0, 85), result.stderr
        codes.append(result.returncode)
        limit *= 4
    assert 85 in codes, "the limit never stopped the run"
    assert outcome(path) == expected


def test_a_finished_run_is_not_repeated(tmp_path):
    write_runcard(tmp_path)
    first = compress(["runcard.yml", "-q"], tmp_path)
    assert first.returncode == 0, first.stderr
    stamp = (tmp_path / "compress_tiny_4.h5").stat().st_mtime_ns
    again = compress(["runcard.yml"], tmp_path, 2)
    assert again.returncode == 0, again.stderr
    assert "complete already" in again.stdout
    assert (tmp_path / "compress_tiny_4.h5").stat().st_mtime_ns == stamp
    over = compress(["runcard.yml", "-q", "--restart"], tmp_path)
    assert over.returncode == 0, over.stderr
    assert (tmp_path / "compress_tiny_4.h5").stat().st_mtime_ns != stamp


def test_settings_that_do_not_touch_the_answer_may_change(tmp_path):
    write_runcard(tmp_path, minimization={"max_iteration": 10**8})
    stopped = compress(["runcard.yml", "-q", "--set", "time_limit=1"], tmp_path)
    assert stopped.returncode == 85, stopped.stderr
    more = compress(
        ["runcard.yml", "-q", "--set", "time_limit=2", "--set", "checkpoint_interval=5"], tmp_path
    )
    assert more.returncode == 85, more.stderr
    assert "going on after iteration" in more.stdout


def test_strays_of_killed_runs_are_swept(tmp_path):
    write_runcard(tmp_path)
    stray = tmp_path / ".compress_tiny_4.h5.tmp.4194000"
    stray.write_bytes(b"half a file")
    assert compress(["runcard.yml", "-q"], tmp_path).returncode == 0
    assert not stray.exists()
