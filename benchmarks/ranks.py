"""The real command line under the real mpirun: what a second rank brings, and how long a job takes to start."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from case import Scale
from compress_mpi.methods.selection.genetic import N_MUTANTS
from compress_mpi.parallel.launcher import cores_available
from jobs import COMMAND, JobError, finish, start
from measures import Outcome, ratios

__all__ = ["measure"]

ABOUT = "compress-mpi under mpirun, one thread per rank"
_ISLANDS = 16
_TRIALS = 100
_POLL = 0.005
_TIMEOUT = 600.0


def _write_runcard(folder: Path, pdf: str, n_select: int, iterations: int) -> None:
    # YAML contains JSON
    card = {
        "pdf": pdf,
        "compressed": n_select,
        "minimizer": "genetic",
        "max_iteration": iterations,
        "nf": 3,
        "islands": _ISLANDS,
        "trials": _TRIALS,
        "output": "result.h5",
    }
    (folder / "runcard.yml").write_text(json.dumps(card))


def _launch(
    ranks: int, pdf: str, folders: Sequence[Path], n_select: int, iterations: int, env: Mapping[str, str]
) -> tuple[float, float]:
    """Run one job in a folder of its own.

    Returns
    -------
    float
        Seconds until the result file is there, which is written just before the first iteration.
    float
        Evaluations per second of the search, from ``/history/seconds``.
    """
    with tempfile.TemporaryDirectory(prefix="bench-ranks-") as name:
        folder = Path(name)
        _write_runcard(folder, pdf, n_select, iterations)
        paths = [word for path in folders for word in ("--pdf-path", path.resolve())]
        began = time.perf_counter()
        job = start(ranks, [*COMMAND, "runcard.yml", "--quiet", "--threads", 1, *paths], folder, env)
        result = folder / "result.h5"
        while not result.exists() and job.poll() is None and time.perf_counter() - began < _TIMEOUT:
            time.sleep(_POLL)
        ready = time.perf_counter() - began
        finish(job, _TIMEOUT)
        with h5py.File(result) as file:
            seconds = np.asarray(file["/history/seconds"])
    if len(seconds) != iterations:
        raise JobError(f"{pdf}: expected {iterations} iterations in the history, got {len(seconds)}")
    return ready, _ISLANDS * N_MUTANTS * iterations / float(seconds[-1])


def measure(scale: Scale, pdf: str = "demo", folders: Sequence[Path] = (), n_select: int = 50) -> Outcome:
    """Jobs of one and of two ranks in turn, then jobs with an empty numba cache."""
    settings = {"set": pdf, "N": n_select, "islands": _ISLANDS, "generations": scale.job_iterations}
    outcome = Outcome(ABOUT, settings)
    if cores_available() < 2:
        outcome.notes.append("fewer than two cores: the second rank has none of its own")
    # fills the cache, and makes the demo set where it is not yet there
    _launch(1, pdf, folders, n_select, 1, {})
    ready: dict[int, list[float]] = {1: [], 2: []}
    rates: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(scale.repeats):
        for ranks in (1, 2):
            begin, rate = _launch(ranks, pdf, folders, n_select, scale.job_iterations, {})
            ready[ranks].append(begin)
            rates[ranks].append(rate)
    for ranks in (1, 2):
        outcome.add(f"evaluations, {_count(ranks)}", "1/s", rates[ranks])
    outcome.add("evaluations, 2 ranks / 1 rank", "x", ratios(rates[2], rates[1]))
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
            cold.append(_launch(2, pdf, folders, n_select, 1, env)[0])
            if not any(Path(cache).rglob("*.nbi")):
                raise JobError("NUMBA_CACHE_DIR: nothing was cached there")
            warm.append(_launch(2, pdf, folders, n_select, 1, env)[0])
    outcome.add("start to first iteration, 2 ranks, cold cache", "s", cold)
    outcome.add("start to first iteration, 2 ranks, cold / warm", "x", ratios(cold, warm))
