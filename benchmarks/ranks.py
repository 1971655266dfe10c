"""What a second rank brings, and how long the real command line takes to start, under the real mpirun."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from case import Scale
from compress_mpi.errors import EXIT_REQUEUE
from compress_mpi.methods.selection.tempering import TemperingIsland
from compress_mpi.parallel.launcher import cores_available
from jobs import COMMAND, JobError, finish, start
from measures import Outcome, ratios

__all__ = ["measure"]

ABOUT = "the default minimiser on one and on two ranks, one thread each, and the start of a job"
_TRIALS = 100
_POLL = 0.005
_TIMEOUT = 600.0


def _write_runcard(folder: Path, pdf: str, n_select: int) -> None:
    # YAML contains JSON
    card = {
        "pdf": pdf,
        "compressed": n_select,
        "minimizer": "tempering",
        "max_iteration": 15000,
        # it is over after its first epoch, without a final descent
        "time_limit": 0.01,
        "nf": 3,
        "trials": _TRIALS,
        "output": "result.h5",
    }
    (folder / "runcard.yml").write_text(json.dumps(card))


def _start_up(ranks: int, pdf: str, folders: Sequence[Path], n_select: int, env: Mapping[str, str]) -> float:
    """Seconds from the start of mpirun until the result file is there, which is just before the first iteration."""
    with tempfile.TemporaryDirectory(prefix="bench-ranks-") as name:
        folder = Path(name)
        _write_runcard(folder, pdf, n_select)
        paths = [word for path in folders for word in ("--pdf-path", path.resolve())]
        began = time.perf_counter()
        words = [*COMMAND, "runcard.yml", "--quiet", "--threads", 1, *paths]
        job = start(ranks, words, folder, env)
        result = folder / "result.h5"
        while not result.exists() and job.poll() is None and time.perf_counter() - began < _TIMEOUT:
            time.sleep(_POLL)
        ready = time.perf_counter() - began
        finish(job, _TIMEOUT, (0, EXIT_REQUEUE))
    return ready


def _search(
    ranks: int, pdf: str, folders: Sequence[Path], n_select: int, iterations: int
) -> tuple[float, float]:
    """Evaluations per second of wall time, and per second of a core, of one search."""
    request = {
        "what": "search",
        "pdf": pdf,
        "folders": [str(folder.resolve()) for folder in folders],
        "n_select": n_select,
        "count": iterations,
        "repeats": 1,
    }
    program = Path(__file__).with_name("search_rank.py")
    with tempfile.TemporaryDirectory(prefix="bench-ranks-") as folder:
        job = start(ranks, [sys.executable, program, json.dumps(request)], Path(folder))
        ((evaluations, wall, busy),) = json.loads(finish(job, _TIMEOUT))
    return evaluations / wall, evaluations / busy


def measure(scale: Scale, pdf: str = "demo", folders: Sequence[Path] = (), n_select: int = 50) -> Outcome:
    """Searches on one and on two ranks in turn, then starts of the command, then starts with an empty cache."""
    islands = TemperingIsland.default_islands
    settings = {"set": pdf, "N": n_select, "islands": islands, "iterations": scale.job_iterations}
    notes = [
        "by processor time: same evaluations, all time of both ranks counted, also what they spend waiting"
    ]
    outcome = Outcome(ABOUT, settings, notes=notes)
    if cores_available() < 2:
        outcome.notes.append("fewer than two cores: the second rank has none of its own")
    # fills the cache, and makes the demo set where it is not yet there
    _start_up(1, pdf, folders, n_select, {})
    wall: dict[int, list[float]] = {1: [], 2: []}
    core: dict[int, list[float]] = {1: [], 2: []}
    ready: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(scale.repeats):
        for ranks in (1, 2):
            rate, per_core = _search(ranks, pdf, folders, n_select, scale.job_iterations)
            wall[ranks].append(rate)
            core[ranks].append(per_core)
            ready[ranks].append(_start_up(ranks, pdf, folders, n_select, {}))
    for ranks in (1, 2):
        outcome.add(f"evaluations, {_count(ranks)}", "1/s", wall[ranks])
    outcome.add("evaluations, 2 ranks / 1 rank", "x", ratios(wall[2], wall[1]))
    efficiency = ratios(core[2], core[1])
    outcome.add("evaluations, 2 ranks / 1 rank, by processor time", "x", [2 * value for value in efficiency])
    for ranks in (1, 2):
        outcome.add(f"start to first iteration, {_count(ranks)}, warm cache", "s", ready[ranks])
    if scale.cold_starts:
        _measure_cold(outcome, scale, pdf, folders, n_select)
    return outcome


def _count(ranks: int) -> str:
    return f"{ranks} rank" if ranks == 1 else f"{ranks} ranks"


def _measure_cold(outcome: Outcome, scale: Scale, pdf: str, folders: Sequence[Path], n_select: int) -> None:
    cold, warm = [], []
    for _ in range(scale.cold_starts):
        with tempfile.TemporaryDirectory(prefix="bench-numba-") as cache:
            env = {"NUMBA_CACHE_DIR": cache}
            cold.append(_start_up(2, pdf, folders, n_select, env))
            if not any(Path(cache).rglob("*.nbi")):
                raise JobError("NUMBA_CACHE_DIR: nothing was cached there")
            warm.append(_start_up(2, pdf, folders, n_select, env))
    outcome.add("start to first iteration, 2 ranks, cold cache", "s", cold)
    outcome.add("start to first iteration, 2 ranks, cold / warm", "x", ratios(cold, warm))
