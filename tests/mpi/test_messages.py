"""What ranks tell each other in a search, counted in real jobs, is what the model of the manual says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cli_tools import BAD, write_runcard
from mpirun import mpirun

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import scaling
from compress_mpi.parallel.nodes import blocks

pytestmark = pytest.mark.mpi

PROGRAM = Path(__file__).parent / "programs" / "counted.py"
N, POOL, ITERATIONS = 6, 12, 1200


def counted(folder: Path, ranks: int, islands: int, **budget: object) -> list[list[dict]]:
    """Entries of every rank."""
    minimization = {"minimizer": "tempering", "seed": 3, **(budget or {"max_iteration": ITERATIONS})}
    write_runcard(folder, compressed=N, islands=islands, minimization=minimization)
    env = {"LHAPDF_DATA_PATH": str(BAD / "sets")}
    done = mpirun(ranks, [sys.executable, PROGRAM, "runcard.yml", "-q"], cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    return [json.loads((folder / f"counted_{rank}.json").read_text()) for rank in range(ranks)]


def islands_of(rank: int, ranks: int, islands: int) -> int:
    """How many islands a rank speaks for."""
    if islands <= ranks:
        return int(rank in [part.start for part in blocks(ranks, islands)])
    return len(blocks(islands, ranks)[rank])


def in_epochs(entries: list[dict]) -> list[tuple[str, list, int]]:
    """Epochs and sweeps together with the agreement that follows each, and the checkpoints."""
    found: list[tuple[str, list, int]] = []
    for entry in entries:
        if entry["what"] == "order":
            what, calls, iterations = found.pop()
            found.append((what, [*calls, *entry["calls"]], iterations))
        else:
            found.append((entry["what"], entry["calls"], entry["iterations"]))
    return found


def check(calls: list, model: list) -> None:
    """Same calls in the same order; bytes at most those of the model, and not far below."""
    assert [call for call, *_ in calls] == [message.call for message in model]
    for (call, given, got), message in zip(calls, model, strict=True):
        assert given <= message.given, (call, given, message)
        assert got <= message.got, (call, got, message)
        assert got >= message.got / 4, (call, got, message)


def check_all(entries: list[dict], islands: int, own: int, ranks: int, timed: bool = False) -> dict[str, int]:
    """Every step of one rank; how often each kind came."""
    came = {"epoch": 0, "sweep": 0, "save": 0}
    for what, calls, iterations in in_epochs(entries):
        came[what] += 1
        if what == "epoch":
            migration = came[what] % scaling.EPOCHS_BETWEEN_MIGRATIONS == 0
            check(calls, scaling.epoch(N, islands, own, ranks, iterations, migration, timed))
        elif what == "sweep":
            check(calls, scaling.sweep(N, islands, own, ranks, N * (POOL - N), came[what] == 1))
        else:
            check(calls, scaling.checkpoint(N, islands, own, ranks, came["sweep"] > 0))
    return came


@pytest.mark.parametrize(("ranks", "islands"), [(2, 5), (3, 3), (4, 2)])
def test_messages_of_real_jobs_are_those_of_the_model(tmp_path, ranks, islands):
    for rank, entries in enumerate(counted(tmp_path, ranks, islands)):
        came = check_all(entries, islands, islands_of(rank, ranks, islands), ranks)
        # the budget is cut into a hundred epochs, so that their number does not grow with it
        assert came["epoch"] == 100
        assert came["sweep"] >= 1
        assert came["save"] == 2


def test_a_budget_of_time_costs_one_more_word_from_the_first_rank(tmp_path):
    for rank, entries in enumerate(counted(tmp_path, 2, 3, max_seconds=0.3)):
        assert check_all(entries, 3, islands_of(rank, 2, 3), 2, timed=True)["epoch"] >= 1


def test_one_rank_tells_nobody(tmp_path):
    (entries,) = counted(tmp_path, 1, 2)
    assert len(entries) > 100
    assert not any(entry["calls"] for entry in entries)


def test_messages_do_not_grow_with_the_iterations_made(tmp_path):
    sizes = [
        tuple(got for _, _, got in calls)
        for what, calls, _ in in_epochs(counted(tmp_path, 2, 2)[0])
        if what == "epoch"
    ]
    ordinary = [size for number, size in enumerate(sizes, 1) if number % scaling.EPOCHS_BETWEEN_MIGRATIONS]
    assert all(abs(a - b) <= 16 for size in ordinary for a, b in zip(ordinary[0], size, strict=True))
