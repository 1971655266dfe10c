"""Same seed, same answer, whoever computes it: the real command line at many numbers of ranks."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from cli_tools import BAD, RUNCARD, compress, write_runcard
from mpirun import mpirun
from selection_tools import MIXED

pytestmark = pytest.mark.mpi

EXACT = (
    "/selection/index",
    "/history/erf",
    "/estimators/mean/random",
    "/estimators/correlation/random",
)


LENGTHS = {"tempering": 40, "exchange": 60, "genetic": 1100, "cma": 110, "portfolio": 40}
"""Iterations: several epochs, and with genetic a migration."""


def outcome(path: Path) -> dict[str, list]:
    """All that must not depend on ranks, bit for bit."""
    with h5py.File(path) as file:
        found = {name: np.asarray(file[name]).tolist() for name in EXACT}
        found |= {
            f"/checkpoint/{name}": np.asarray(file["checkpoint"][name]).tolist()
            for name in file["checkpoint"]
        }
        found["erf"] = float(file["/selection"].attrs["erf"])
        found["local_optimum"] = int(file["/selection"].attrs["local_optimum"])
        found["evaluations"] = int(file["/history"].attrs["evaluations"])
        found["ended_by"] = str(file["/history"].attrs["ended_by"])
        found["sha256"] = file["/prior"].attrs["sha256"]
    return found


def run_at(folder: Path, ranks: int, card: dict, **extra) -> dict[str, list]:
    folder.mkdir()
    write_runcard(folder, **card)
    result = compress(["runcard.yml", "--quiet"], folder, ranks, **extra)
    assert result.returncode == 0, result.stderr
    (path,) = folder.glob("*.h5")
    return outcome(path)


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Callable[[Sequence[str]], dict[str, dict[str, list]]]:
    """What one process finds with each of some minimisers."""
    found: dict[str, dict[str, list]] = {}

    def find(names: Sequence[str]) -> dict[str, dict[str, list]]:
        new = [name for name in names if name not in found]
        found.update(all_at(tmp_path_factory.mktemp("alone"), 0, new))
        return {name: found[name] for name in names}

    return find


def all_at(
    folder: Path, ranks: int, names: Sequence[str], timeout: float = 120
) -> dict[str, dict[str, list]]:
    """A short search with each minimiser, all in one start of MPI."""
    for name in names:
        section = {"minimizer": name, "max_iteration": LENGTHS[name], "seed": 5}
        card = {**RUNCARD, "minimization": section, "compressed": 5, "output": f"{name}.h5"}
        if name == "portfolio":
            del card["islands"]
            card["portfolio"] = MIXED
        (folder / f"{name}.yml").write_text(yaml.safe_dump(card))
    cards = [f"{name}.yml" for name in names]
    if not ranks:
        for card in cards:
            result = compress([card, "--quiet"], folder)
            assert result.returncode == 0, result.stderr
    else:
        program = Path(__file__).parent / "programs" / "several_cards.py"
        env = {"LHAPDF_DATA_PATH": str(BAD / "sets")}
        result = mpirun(ranks, [sys.executable, program, *cards], cwd=folder, env=env, timeout=timeout)
        assert result.returncode == 0, result.stderr
    return {name: outcome(folder / f"{name}.h5") for name in names}


def test_one_process_does_what_each_minimiser_promises(alone):
    for name, found in alone(list(LENGTHS)).items():
        islands, sweeps = LENGTHS[name], 0
        if name in ("tempering", "portfolio"):
            sweeps = found["/checkpoint/sweeps"]
            assert sweeps >= 1
        if name == "exchange":
            assert found["ended_by"] == "converged"
        else:
            assert found["ended_by"] == "budget"
            assert len(found["/history/erf"]) == islands + sweeps
        assert found["local_optimum"] == (name in ("tempering", "portfolio", "exchange"))


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7])
def test_minimisers_give_the_same_bits_at_any_number_of_ranks(tmp_path, alone, ranks):
    """Fewer ranks than islands, as many, and more (then an island has a crew).

    Every minimiser on fewer and on more; the default, and all together, on every number.
    """
    names = list(LENGTHS) if ranks in (2, 7) else ["tempering", "portfolio"]
    assert all_at(tmp_path, ranks, names) == alone(names)


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_128_oversubscribed_ranks_give_the_same_bits(tmp_path, alone):
    """Of a portfolio, in which every minimiser has islands, and each of them a crew."""
    names = ["portfolio"]
    assert all_at(tmp_path, 128, names, timeout=800) == alone(names)


def test_many_islands_on_fewer_ranks_through_the_command_line(tmp_path):
    section = {"minimizer": "tempering", "max_iteration": 60, "seed": 5}
    card = {"minimization": section, "islands": 12, "compressed": 5}
    found = run_at(tmp_path / "alone", 0, card)
    for ranks in (2, 5):
        assert run_at(tmp_path / f"ranks{ranks}", ranks, card) == found


def test_pretended_nodes_give_the_same_bits(tmp_path):
    """Two ranks per node: the prior is then assembled over three nodes."""
    card = {"minimization": {"minimizer": "genetic", "max_iteration": 400, "seed": 5}}
    alone = run_at(tmp_path / "alone", 0, card)
    assert run_at(tmp_path / "nodes", 5, card, env={"COMPRESS_MPI_RANKS_PER_NODE": "2"}) == alone
    told = json.loads(compress(["inspect", "nodes/compress_tiny_4.h5", "--json"], tmp_path).stdout)
    assert told["launches"][0]["nodes"] == 3
    assert told["launches"][0]["ranks"] == 5


def test_threads_give_the_same_bits(tmp_path):
    folder = tmp_path
    write_runcard(folder)
    for threads in (1, 4):
        args = ["runcard.yml", "-q", "--threads", threads, "--set", f"output=t{threads}.h5"]
        result = compress(args, folder)
        assert result.returncode == 0, result.stderr
    assert outcome(folder / "t1.h5") == outcome(folder / "t4.h5")


def test_several_sizes_in_one_launch_are_the_single_ones(tmp_path):
    folder = tmp_path
    write_runcard(folder, compressed=[3, 5])
    result = compress(["runcard.yml", "-q"], folder, 2)
    assert result.returncode == 0, result.stderr
    several = {n: outcome(folder / f"compress_tiny_{n}.h5") for n in (3, 5)}
    for n in (3, 5):
        single = compress(
            ["runcard.yml", "-q", "--set", f"compressed={n}", "--set", f"output=single_{n}.h5"], folder
        )
        assert single.returncode == 0, single.stderr
        assert outcome(folder / f"single_{n}.h5") == several[n]
        assert (folder / f"tiny_compressed_{n}" / f"tiny_compressed_{n}_{n:04d}.dat").exists()


@pytest.mark.parametrize("where", ["advance", "read", "write"])
def test_an_exception_on_one_rank_ends_all_with_one_message(tmp_path, where):
    """An unexpected error on rank 1 (0 for writing) only, at three places of the story."""
    write_runcard(tmp_path, minimization={"max_iteration": 10**7})
    program = Path(__file__).parent / "programs" / "fail_inside.py"
    env = {"LHAPDF_DATA_PATH": str(BAD / "sets")}
    result = mpirun(
        3, [sys.executable, program, where, "runcard.yml", "-q"], cwd=tmp_path, env=env, timeout=60
    )
    ended = time.time()
    assert result.returncode not in (0, 85)
    assert result.stderr.count("compress-mpi: error") == 1, result.stderr
    assert "made up" in result.stderr
    (failed,) = [float(line.split()[1]) for line in result.stdout.splitlines() if line.startswith("failing")]
    assert ended - failed < 5


def test_more_ranks_than_work_are_told(tmp_path):
    write_runcard(tmp_path, islands=1, minimization={"minimizer": "cma", "max_iteration": 2})
    result = compress(["runcard.yml", "-q"], tmp_path, 14)
    assert result.returncode == 0, result.stderr
    assert "3 of 14 ranks sit idle" in result.stderr
    assert "islands" in result.stderr


def test_a_launcher_that_does_not_match_is_refused(tmp_path):
    """What n processes see when their MPI library does not know the launcher."""
    write_runcard(tmp_path)
    alone = {"PMI_SIZE": "4", "PMI_RANK": "0", "MPI4PY_LIBMPI": ""}
    for rank, messages in ((0, 1), (2, 0)):
        env = {**alone, "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": str(rank), "PMI_RANK": str(rank)}
        env.pop("PMI_SIZE")
        result = compress(["runcard.yml"], tmp_path, env=env)
        assert result.returncode == 6, result.stderr
        assert result.stderr.count("compress-mpi: error") == messages
    assert not list(tmp_path.glob("*.h5"))


def test_doctor_tells_what_it_sees(tmp_path):
    result = compress(["doctor"], tmp_path, 3)
    assert result.returncode == 0, result.stderr
    assert "3 processes started, 3 ranks on 1 node" in result.stdout
    for word in ("MPICH", "HDF5", "numba", "neopdf found", "sets (", "hessian"):
        assert word in result.stdout
    assert result.stdout.count("MPI ") == 1, "one rank speaks"
