"""How low the error function gets, and how soon, on one core against the published algorithm."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np

import yardstick
from case import Case, Scale
from compress_mpi.methods.selection.error_function import error_function
from compress_mpi.methods.selection.search import MINIMISERS, IslandSearch, SearchSettings
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.types import FloatArray
from measures import Outcome, ratios

__all__ = ["measure"]

ABOUT = "ERF after equal wall time on one core, and the time to reach the yardstick's ERF"
_PATIENCE = 2.0
"""A search that has not reached the yardstick's ERF in so many times the yardstick's time gives up."""

_NO_END = 10**9


class Run(NamedTuple):
    """ERF at the yardstick's time, seconds until its ERF (infinite if given up), and the share of a core had."""

    erf: float
    seconds: float
    core_share: float


def _contestants() -> dict[str, tuple[str, int | None]]:
    """Every minimiser as it comes, and the published algorithm on one island, as published."""
    named: dict[str, tuple[str, int | None]] = {
        f"{name} ({kind.default_islands} islands)": (name, None) for name, kind in MINIMISERS.items()
    }
    return {"genetic (1 island)": ("genetic", 1), **named}


def _new_search(
    case: Case, weights: FloatArray, n_select: int, seed: int, minimizer: str, islands: int | None
) -> IslandSearch:
    settings = SearchSettings(minimizer, n_select, _NO_END, seed, islands)
    return IslandSearch(settings, case.problem, weights, SerialTeam(1))


def _run(case: Case, norm: FloatArray, search: IslandSearch, wall: float, target: float) -> Run:
    """Advance by whole epochs until the yardstick's time is over and its ERF reached."""
    reached, in_time, now = math.inf, None, 0.0
    began, began_cpu = time.perf_counter(), time.process_time()
    while now < wall or (math.isinf(reached) and now < _PATIENCE * wall):
        search.advance()
        now = time.perf_counter() - began
        if search.erf < target:
            reached = min(reached, now)
        # of an epoch that ends too late nothing counts, unless it is the first
        if now <= wall or in_time is None:
            in_time = search.best()[1]
    share = (time.process_time() - began_cpu) / now
    return Run(error_function(case.values[in_time], case.reference, norm), reached, share)


def measure(case: Case, scale: Scale) -> Outcome:
    """Yardstick and each minimiser in turn, from a new seed every time, under one normalisation."""
    outcome = Outcome(
        ABOUT,
        {
            "set": case.name,
            "N": list(scale.sizes),
            "yardstick generations": scale.generations,
            "trials": scale.trials,
        },
        notes=[
            "a time ratio of 0 is a search that had not reached the yardstick's ERF in twice its time",
        ],
    )
    for n_select in scale.sizes:
        _measure_size(case, scale, n_select, outcome)
    return outcome


def _measure_size(case: Case, scale: Scale, n_select: int, outcome: Outcome) -> None:
    norm = case.normalisation(n_select, scale.trials)
    weights, contestants = case.weights(norm), _contestants()
    for minimizer, islands in contestants.values():
        # compiles
        _new_search(case, weights, n_select, 0, minimizer, islands).advance()
    erfs, walls, duplicates = [], [], []
    runs: dict[str, list[Run]] = {name: [] for name in contestants}
    for seed in range(1, scale.repeats + 1):
        began = time.perf_counter()
        rng = np.random.default_rng(seed)
        found = yardstick.search(case.yardstick, n_select, norm, scale.generations, rng)
        walls.append(time.perf_counter() - began)
        erfs.append(error_function(case.values[found.members], case.reference, norm))
        duplicates.append(found.duplicates)
        for name, (minimizer, islands) in contestants.items():
            search = _new_search(case, weights, n_select, seed, minimizer, islands)
            runs[name].append(_run(case, norm, search, walls[-1], erfs[-1]))
    _enter(outcome, f"N={n_select} yardstick", erfs, walls)
    outcome.add(f"N={n_select} yardstick, replicas selected twice", "1", duplicates)
    for name, done in runs.items():
        prefix = f"N={n_select} {name}"
        outcome.add(f"{prefix} ERF", "1", [run.erf for run in done])
        outcome.add(f"{prefix}: ERF of yardstick / ours", "x", ratios(erfs, [run.erf for run in done]))
        outcome.add(
            f"{prefix}: time of yardstick / ours to its ERF",
            "x",
            ratios(walls, [run.seconds for run in done]),
        )
        outcome.add(f"{prefix}: share of the core it had", "1", [run.core_share for run in done])


def _enter(outcome: Outcome, prefix: str, erfs: list[float], walls: list[float]) -> None:
    outcome.add(f"{prefix} ERF", "1", erfs)
    outcome.add(f"{prefix} wall time", "s", walls)
