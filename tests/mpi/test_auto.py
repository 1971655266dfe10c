"""``compressed: auto`` through the real command line: every kind of target, none met, stopped and resumed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from cli_tools import PROGRAM, compress, wait_for, write_runcard
from compress_mpi.io.demo import write_demo_set
from mpirun import descendants, kill_job, start_mpirun

pytestmark = pytest.mark.mpi

CARD = {
    "pdf": "short",
    "compressed": "auto",
    "auto": {"factor": 4, "smallest": 5, "largest": 30},
    "est_dic": {"corr_estimators": ["correlation"], "moment_estimators": ["mean", "stdev", "skewness"]},
    "trials": 60,
    "islands": 2,
    "minimization": {"minimizer": "genetic", "max_iteration": 400, "seed": 3},
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """The demo prior, with a few replicas only."""
    folder = tmp_path_factory.mktemp("sets")
    write_demo_set(folder, 300, "short")
    return {"LHAPDF_DATA_PATH": str(folder)}


@pytest.fixture(scope="module")
def run(environment):
    def start(folder: Path, ranks: int = 0, **changes):
        write_runcard(folder, **{**CARD, **changes})
        return compress(["runcard.yml", "-q"], folder, ranks, env=environment)

    return start


def chosen(folder: Path) -> dict:
    """The marked result and what its mark says, bit for bit."""
    marked = []
    for path in folder.glob("compress_short_*.h5"):
        with h5py.File(path) as file:
            assert file.attrs["status"] == "complete"
            if "auto" in file:
                marked.append(
                    {
                        "n_rep": int(file["/selection"].attrs["n_rep"]),
                        "index": np.asarray(file["/selection/index"]).tolist(),
                        "set": file.attrs["compressed_set"],
                        "target": file["auto"].attrs["target"],
                        **{name: np.asarray(file["auto"][name]).tolist() for name in file["auto"]},
                    }
                )
            else:
                assert "compressed_set" not in file.attrs
    (only,) = marked
    return only


def passes(found: dict) -> dict[int, bool]:
    return {
        size: all(d <= limit for d, limit in zip(distance, limits, strict=True))
        for size, distance, limits in zip(found["size"], found["distance"], found["limit"], strict=True)
    }


@pytest.fixture(scope="module")
def by_factor(tmp_path_factory, run) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("factor")
    result = run(folder)
    assert result.returncode == 0, result.stderr
    return folder, chosen(folder)


def check_answer(found: dict, folder: Path) -> None:
    answer, verdicts = found["n_rep"], passes(found)
    assert verdicts[answer]
    assert not verdicts[answer - 1]
    assert not any(passed for size, passed in verdicts.items() if size < answer)
    assert sorted(path.name for path in folder.glob("short_compressed_*")) == [f"short_compressed_{answer}"]
    assert found["set"] == f"short_compressed_{answer}"
    assert {int(path.stem.split("_")[-1]) for path in folder.glob("*.h5")} == set(verdicts)
    assert (folder / "short" / f"compress_short_{answer}_output.dat").exists()
    assert (folder / "erfs_output" / "erf_reduced.dat").read_text().startswith(f"{answer}:")


def test_factor(by_factor):
    folder, found = by_factor
    check_answer(found, folder)
    assert found["target"] == "median of random subsets of size 4 N"
    result = compress(["inspect", f"compress_short_{found['n_rep']}.h5"], folder)
    assert (
        "auto: the smallest size that meets the median of random subsets of size 4 N; tried: 5, "
        in result.stdout
    )


def test_the_answer_does_not_depend_on_ranks(by_factor, run, tmp_path):
    result = run(tmp_path, 3)
    assert result.returncode == 0, result.stderr
    assert chosen(tmp_path) == by_factor[1]


def test_other_targets_use_the_sizes_that_were_tried(by_factor, run):
    """Limits of one target, given as tolerances, choose the same size; no size is searched again."""
    folder, found = by_factor
    answer = found["n_rep"]
    row = found["size"].index(answer)
    names = ("mean", "stdev", "skewness", "correlation")
    told = run(folder, auto={**CARD["auto"], "factor": None, "random_size": 4 * answer})
    assert told.returncode == 0, told.stderr
    assert (
        f"auto: {answer} is the smallest size that meets the target (median of random subsets of size"
        in told.stdout
    )
    again = dict(zip(names, found["limit"][row], strict=True))
    told = run(folder, auto={"tolerance": again, "smallest": 5, "largest": 30})
    assert told.returncode == 0, told.stderr
    assert f"auto: {answer} is the smallest" in told.stdout
    assert told.stdout.count("complete already") == len(passes(found))
    assert chosen(folder)["target"].startswith("tolerance mean ")
    # and as an ordinary size it is complete, files and all
    plain = run(folder, compressed=answer)
    assert plain.returncode == 0, plain.stderr
    assert "complete already" in plain.stdout


def test_a_target_that_nobody_meets(run, tmp_path):
    result = run(tmp_path, 3, auto={"factor": 8, "smallest": 5, "largest": 20})
    assert result.returncode == 7
    assert result.stderr.count("compress-mpi: error") == 1, result.stderr
    assert "none of the sizes tried (5, 10, 20; allowed: 5 to 20) meets the target" in result.stderr
    assert "the closest is N = " in result.stderr
    assert "times its limit" in result.stderr
    assert len(list(tmp_path.glob("*.h5"))) == 3, "results are kept"
    assert not list(tmp_path.glob("short_compressed_*"))


@pytest.mark.parametrize(
    ("auto", "words"),
    [
        ({"factor": 20, "smallest": 15}, "auto.smallest: expected at most 14, got 15"),
        ({"random_size": 300}, "auto.random_size: expected less than the replicas of the prior, 300"),
    ],
)
def test_targets_the_prior_is_too_small_for(environment, tmp_path, auto, words):
    for command in (["runcard.yml"], ["check", "runcard.yml"]):
        write_runcard(tmp_path, **{**CARD, "auto": auto})
        result = compress(command, tmp_path, env=environment)
        assert result.returncode == 2, result.stderr
        assert words in result.stderr
    assert not list(tmp_path.glob("*.h5"))


def test_check_and_job_tell_of_the_first_round(environment, tmp_path):
    write_runcard(tmp_path, **CARD)
    told = compress(["check", "runcard.yml"], tmp_path, env=environment)
    assert told.returncode == 0, told.stderr
    assert "smallest size from 5 to 30 that meets: median of random subsets of size 4 N" in told.stdout
    assert [f"N = {n}: new" in told.stdout for n in (5, 10, 20, 30, 40)] == [True] * 4 + [False]
    script = compress(
        ["job", "runcard.yml", "--nodes", "1", "--ranks-per-node", "8", "--time", "00:10:00"],
        tmp_path,
        env=environment,
    )
    assert script.returncode == 0, script.stderr
    assert "first round of compressed: auto" in script.stdout
    assert "# sizes: 5 on " in script.stdout


def test_killed_and_stopped_it_goes_on_to_the_same_answer(by_factor, environment, tmp_path):
    write_runcard(tmp_path, **CARD)
    chance, partial = random.Random(2), 0
    for number in (signal.SIGKILL, signal.SIGUSR1):
        before = len(list(tmp_path.glob("*.h5")))
        job = start_mpirun(3, [PROGRAM, "runcard.yml", "-q"], cwd=tmp_path, env=environment)
        wait_for(
            lambda job=job, before=before: len(list(tmp_path.glob("*.h5"))) > before or job.poll() is not None
        )
        time.sleep(chance.uniform(0.0, 0.2))
        victims = []
        for pid in descendants(job.pid):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_text()
                if PROGRAM in words and "mpirun" not in words and "hydra" not in words:
                    victims.append(pid)
        for pid in chance.sample(victims, min(1, len(victims))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        job.communicate(timeout=60)
        kill_job(job)
        partial += job.returncode != 0
    assert partial >= 1
    result = compress(["runcard.yml", "-q"], tmp_path, 2, env=environment)
    assert result.returncode == 0, result.stderr
    assert chosen(tmp_path) == by_factor[1]
