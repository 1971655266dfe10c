"""Stop anywhere, go on exactly: kill -9, signals and time limits through the real command line."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from cli_tools import BAD, PROGRAM, compress, wait_for, write_runcard
from mpirun import descendants, kill_job, start_mpirun

pytestmark = pytest.mark.mpi

ENV = {"LHAPDF_DATA_PATH": str(BAD / "sets")}
LENGTHS = {"genetic": 100_000, "cma": 1_500}


def card(minimizer: str) -> dict:
    return {
        "minimization": {"minimizer": minimizer, "max_iteration": LENGTHS[minimizer], "seed": 11},
        "compressed": 5,
        "checkpoint_interval": 0.2,
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


@pytest.fixture(scope="module", params=["genetic", "cma"])
def uninterrupted(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    write_runcard(folder, **card(request.param))
    result = compress(["runcard.yml", "-q"], folder, 2)
    assert result.returncode == 0, result.stderr
    return request.param, outcome(folder / "compress_tiny_5.h5")


@pytest.mark.slow
def test_kill_a_rank_at_five_random_moments(uninterrupted, tmp_path):
    minimizer, expected = uninterrupted
    write_runcard(tmp_path, **card(minimizer))
    path = tmp_path / "compress_tiny_5.h5"
    chance = random.Random(minimizer)
    reached, partial = [], 0
    for ranks in (2, 3, 1, 4, 2):
        before = iteration(path)
        job = start(tmp_path, ranks)
        # at first somewhere in the start-up, later somewhere in the search
        if reached:
            wait_for(lambda job=job, before=before: iteration(path) > before or job.poll() is not None)
        time.sleep(chance.uniform(0.0, 0.3))
        victims = [
            pid for pid in descendants(job.pid) if "compress-mpi" in Path(f"/proc/{pid}/cmdline").read_text()
        ]
        for pid in chance.sample(victims, min(1, len(victims))):
            os.kill(pid, signal.SIGKILL)
        job.communicate(timeout=30)
        kill_job(job)
        assert job.returncode != 0
        assert iteration(path) >= before, "a checkpoint was lost"
        reached.append(iteration(path))
        partial += 0 < reached[-1] < LENGTHS[minimizer]
    assert partial >= 3, f"the kills came too early or too late: {reached}"
    result = compress(["runcard.yml", "-q"], tmp_path, 3)
    assert result.returncode == 0, result.stderr
    assert "going on after iteration" in result.stdout
    assert outcome(path) == expected
    assert not list(tmp_path.glob(".*tmp*")), "strays are swept"
    told = json.loads(compress(["inspect", path, "--json"], tmp_path).stdout)
    assert told["launches"][-1]["end"] == "complete"


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
def test_signals_to_mpirun_make_a_checkpoint(uninterrupted, tmp_path, number):
    minimizer, expected = uninterrupted
    if (minimizer, number) == ("cma", signal.SIGTERM):
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
    limit = 1
    while iteration(path) < LENGTHS[minimizer]:
        result = compress(["runcard.yml", "-q", "--set", f"time_limit={limit}"], tmp_path)
        assert result.returncode in (0, 85), result.stderr
        limit *= 2
    assert limit > 2, "the limit never stopped the run"
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
