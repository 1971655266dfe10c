"""Several sizes in one launch, side by side: same answers, one stop for all, one error for all."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from cli_tools import BAD, PROGRAM, compress, wait_for, write_runcard
from compress_mpi.io.pycompressor import read_erf_lines
from mpirun import descendants, kill_job, mpirun, start_mpirun

pytestmark = pytest.mark.mpi

ENV = {"LHAPDF_DATA_PATH": str(BAD / "sets")}
ODD = Path(__file__).parent / "programs" / "in_one_size.py"
SLOWLY = ODD.with_name("slowly.py")
RUNCARDS = Path(__file__).parents[2] / "runcards"
SIZES = (3, 6, 4)
# with few islands a team of many ranks is slow, so that sizes go side by side from few ranks on
CARD = {"islands": 2, "compressed": list(SIZES)}


def card(**search: object) -> dict:
    return {**CARD, "minimization": {"max_iteration": 1000, "seed": 5, **search}}


def outcome(path: Path) -> dict:
    """All that must not depend on ranks or on company, bit for bit."""
    with h5py.File(path) as file:
        assert file.attrs["status"] == "complete"
        names = ["/selection/index", "/history/erf", "/estimators/mean/random"]
        names += [f"/checkpoint/{name}" for name in file["checkpoint"]]
        found = {name: np.asarray(file[name]).tolist() for name in names}
        found["erf"] = float(file["/selection"].attrs["erf"])
    return found


def outcomes(folder: Path) -> dict[int, dict]:
    return {n: outcome(folder / f"compress_tiny_{n}.h5") for n in SIZES}


def iterations(folder: Path) -> dict[int, int]:
    found = dict.fromkeys(SIZES, 0)
    for n in SIZES:
        with contextlib.suppress(FileNotFoundError), h5py.File(folder / f"compress_tiny_{n}.h5") as file:
            found[n] = len(file["/history/erf"])
    return found


def statuses(folder: Path) -> list[str]:
    found = []
    for n in SIZES:
        with h5py.File(folder / f"compress_tiny_{n}.h5") as file:
            found.append(str(file.attrs["status"]))
    return found


def ranks_of(job) -> dict[int, int]:
    """Process of each rank."""
    found = {}
    for pid in descendants(job.pid):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            rank = [word.removeprefix(b"PMI_RANK=") for word in words if word.startswith(b"PMI_RANK=")]
            if rank and b"runcard.yml" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found[int(rank[0])] = pid
    return found


def start(folder: Path, ranks: int, *words: str):
    return start_mpirun(ranks, [PROGRAM, "runcard.yml", "-q", *words], cwd=folder, env=ENV)


@pytest.fixture(scope="module")
def each_alone(tmp_path_factory) -> dict[int, dict]:
    folder = tmp_path_factory.mktemp("alone")
    found = {}
    for n in SIZES:
        write_runcard(folder, **{**card(), "compressed": n})
        result = compress(["runcard.yml", "-q"], folder)
        assert result.returncode == 0, result.stderr
        found[n] = outcome(folder / f"compress_tiny_{n}.h5")
    return found


@pytest.mark.parametrize(
    ("ranks", "shared_out"),
    [
        (1, ""),
        (2, ""),
        (3, "sizes: 3 on rank 0; 6 on rank 1; 4 on rank 2"),
        (4, "sizes: 3 on rank 0; 6 on ranks 1 to 2; 4 on rank 3"),
        (7, "sizes: 3 on ranks 0 to 1; 6 on ranks 2 to 3; 4 on ranks 4 to 5"),
    ],
)
def test_a_list_gives_what_each_size_gives_alone(tmp_path, each_alone, ranks, shared_out):
    write_runcard(tmp_path, **card())
    result = compress(["runcard.yml"], tmp_path, ranks)
    assert result.returncode == 0, result.stderr
    assert outcomes(tmp_path) == each_alone
    assert shared_out in result.stdout
    blocks = [line for line in result.stdout.splitlines() if line.startswith("tiny: ")]
    assert [int(line.split()[1]) for line in blocks] == list(SIZES), (
        "each told once, in the order of the list"
    )
    table = [line.split() for line in result.stdout.splitlines()[-len(SIZES) :]]
    assert [int(row[0]) for row in table] == sorted(SIZES)
    assert [float(row[1]) for row in table] == pytest.approx(
        [each_alone[n]["erf"] for n in sorted(SIZES)], rel=1e-5
    )
    assert "compress N=3" in result.stderr
    for name in ("erf_randomized.dat", "erf_reduced.dat"):
        assert list(read_erf_lines(tmp_path / "erfs_output" / name)) == list(SIZES)
    for n in SIZES:
        assert (tmp_path / f"tiny_compressed_{n}" / f"tiny_compressed_{n}_{n:04d}.dat").exists()


def test_fewer_ranks_than_sizes_and_a_hidden_node_border(tmp_path):
    """Four sizes on two ranks of two pretended nodes, two each."""
    write_runcard(tmp_path, **{**card(), "compressed": [5, 6, 7, 4], "islands": 1})
    result = compress(["runcard.yml"], tmp_path, 2, env={"COMPRESS_MPI_RANKS_PER_NODE": "1"})
    assert result.returncode == 0, result.stderr
    assert "sizes: 5, 6 on rank 0; 7, 4 on rank 1" in result.stdout
    write_runcard(tmp_path, name="one.yml", **{**card(), "compressed": 7, "islands": 1, "output": "one"})
    assert compress(["one.yml", "-q"], tmp_path).returncode == 0
    assert outcome(tmp_path / "compress_tiny_7.h5") == outcome(tmp_path / "one" / "compress_tiny_7.h5")


def test_a_signal_to_one_rank_stops_every_part(tmp_path):
    """To the second rank of a part of two."""
    number = signal.SIGUSR1
    write_runcard(tmp_path, **card(max_iteration=10**8), checkpoint_interval=0.2)
    job = start(tmp_path, 4)
    wait_for(lambda: all(iterations(tmp_path).values()))
    os.kill(ranks_of(job)[2], number)
    said, errors = job.communicate(timeout=30)
    kill_job(job)
    assert job.returncode == 85, errors
    assert said.count(f"stopped ({number.name}) after iteration") == len(SIZES)
    for n in SIZES:
        with h5py.File(tmp_path / f"compress_tiny_{n}.h5") as file:
            assert file["/launches/end"].asstr()[-1] == number.name


def test_a_finished_part_hears_the_signal_and_its_sizes_stay_complete(tmp_path):
    """Rank 0 has finished size 3 and waits for the others, who are slow; it alone gets the signal."""
    write_runcard(tmp_path, **card(minimizer="genetic"))
    job = start_mpirun(3, [sys.executable, ODD, "wait", "3", "runcard.yml", "-q"], cwd=tmp_path, env=ENV)
    wait_for(lambda: iterations(tmp_path)[3] == 1000 and ranks_of(job))
    time.sleep(0.3)
    os.kill(ranks_of(job)[0], signal.SIGUSR1)
    said, errors = job.communicate(timeout=60)
    kill_job(job)
    assert job.returncode == 85, errors
    assert said.count("stopped (SIGUSR1)") == 2
    assert statuses(tmp_path) == ["complete", "running", "running"]
    assert list(read_erf_lines(tmp_path / "erfs_output" / "erf_reduced.dat")) == [3]
    again = compress(["runcard.yml", "-q"], tmp_path, 4)
    assert again.returncode == 0, again.stderr
    assert statuses(tmp_path) == ["complete"] * 3
    assert list(read_erf_lines(tmp_path / "erfs_output" / "erf_reduced.dat")) == list(SIZES)


def test_a_time_limit_stops_every_part(tmp_path):
    write_runcard(tmp_path, **card(max_iteration=10**8), time_limit=1)
    result = compress(["runcard.yml", "-q"], tmp_path, 3, timeout=60)
    assert result.returncode == 85, result.stderr
    assert result.stdout.count("stopped (time_limit)") == len(SIZES)
    assert all(iterations(tmp_path).values())


def test_sizes_that_were_not_begun_are_named(tmp_path):
    write_runcard(tmp_path, **card(max_iteration=10**8), time_limit=1)
    result = compress(["runcard.yml", "-q"], tmp_path)
    assert result.returncode == 85, result.stderr
    assert result.stdout.count("not begun") == 2
    assert result.stdout.count("stopped (time_limit)") == 1


def test_kill_at_random_moments_and_go_on_with_other_ranks(tmp_path, each_alone):
    write_runcard(tmp_path, **card(), checkpoint_interval=0.05)
    chance = random.Random(4)
    for ranks in (4, 3):
        before = sum(iterations(tmp_path).values())
        # rests between its epochs, so that the kill comes between the first and the last of them
        words = [sys.executable, SLOWLY, "0.1", "runcard.yml", "-q"]
        job = start_mpirun(ranks, words, cwd=tmp_path, env=ENV)
        wait_for(
            lambda job=job, before=before: (
                sum(iterations(tmp_path).values()) > before or job.poll() is not None
            )
        )
        time.sleep(chance.uniform(0.0, 0.3))
        running = list(ranks_of(job).values())
        for pid in chance.sample(running, min(1, len(running))):
            os.kill(pid, signal.SIGKILL)
        job.communicate(timeout=30)
        kill_job(job)
        assert job.returncode != 0
    partial = iterations(tmp_path)
    assert any(0 < done < 1000 for done in partial.values()), partial
    result = compress(["runcard.yml", "-q"], tmp_path, 3)
    assert result.returncode == 0, result.stderr
    assert outcomes(tmp_path) == each_alone


def test_an_error_in_one_part_ends_all_with_one_message(tmp_path):
    write_runcard(tmp_path, **card(max_iteration=10**8))
    words = [sys.executable, ODD, "fail", "6", "runcard.yml", "-q"]
    result = mpirun(4, words, cwd=tmp_path, env=ENV, timeout=60)
    ended = time.time()
    assert result.returncode not in (0, 85)
    assert result.stderr.count("compress-mpi: error") == 1, result.stderr
    assert "made up" in result.stderr
    failed = [float(line.split()[1]) for line in result.stdout.splitlines() if line.startswith("failing")]
    assert failed
    assert ended - min(failed) < 5


def test_a_foreign_result_of_one_size_is_refused_before_any_work(tmp_path):
    write_runcard(tmp_path, **{**card(seed=6), "compressed": 6})
    assert compress(["runcard.yml", "-q"], tmp_path).returncode == 0
    write_runcard(tmp_path, **card())
    result = compress(["runcard.yml", "-q"], tmp_path, 3)
    assert result.returncode == 4, result.stderr
    assert result.stderr.count("compress-mpi: error") == 1
    assert "seed: 6 in the file, 5 now" in result.stderr
    assert not (tmp_path / "compress_tiny_3.h5").exists()


def test_lost_companions_of_a_complete_list_come_back(tmp_path):
    write_runcard(tmp_path, **card())
    assert compress(["runcard.yml", "-q"], tmp_path).returncode == 0
    reduced = tmp_path / "erfs_output" / "erf_reduced.dat"
    whole = reduced.read_bytes()
    reduced.write_bytes(whole.splitlines(keepends=True)[0])
    again = compress(["runcard.yml", "-q"], tmp_path, 3)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("complete already") == len(SIZES)
    assert reduced.read_bytes() == whole


@pytest.mark.parametrize("name", ["sizes", "auto", "portfolio"])
def test_the_shipped_runcards_run(tmp_path, name):
    """As they are, but for a shorter search and easier target."""
    shorter = ["--set", "trials=60", "--set"]
    if name == "portfolio":
        shorter += ["max_evaluations=2000", "--set", "descent=true"]
    else:
        shorter += ["max_iteration=200", "--set", "islands=2"]
    easier = (
        ["--set", "auto.factor=1.2", "--set", "est_dic.moment_estimators=[mean,stdev]"]
        if name == "auto"
        else []
    )
    result = compress([RUNCARDS / f"{name}.yml", "-q", *shorter, *easier], tmp_path, 2)
    assert result.returncode == 0, result.stderr
    found = sorted(path.name for path in (tmp_path / name).glob("demo_compressed_*"))
    if name == "sizes":
        assert found == ["demo_compressed_20", "demo_compressed_40", "demo_compressed_80"]
    else:
        assert len(found) == 1
    if name == "portfolio":
        page = compress(["inspect", tmp_path / name / "compress_demo_50.h5"], tmp_path).stdout
        assert "search      portfolio, seed 1" in page
        assert "budget 2000 evaluations, or 5000 iterations without a lower ERF" in page
        assert "no single swap of a replica lowers the ERF: all were tried" in page
    if name == "auto":
        assert "is the smallest size that meets the target" in result.stdout
