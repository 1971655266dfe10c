"""How low the error function gets, and how soon, on one core against the published algorithm.

Both run in one thread, so time is that of the processor: the wall time of a core that nobody else uses.
"""

from __future__ import annotations

import math
import time
from typing import NamedTuple

import numpy as np

import yardstick
from case import Case, Scale
from compress_mpi.methods.selection.error_function import error_function
from compress_mpi.methods.selection.search import MINIMISERS, IslandSearch, search_settings
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.types import FloatArray
from measures import Outcome, ratios

__all__ = ["measure"]

ABOUT = "ERF after equal time on one core, and the time to reach the yardstick's ERF"
_PATIENCE = 2.0
"""A search that has not reached the yardstick's ERF in so many times the yardstick's time gives up."""

_NO_END = 10**9


class Run(NamedTuple):
    """ERF at the yardstick's time, and seconds until its ERF is reached (infinite if given up)."""

    erf: float
    seconds: float


def _contestants() -> dict[str, tuple[str, int | None]]:
    """Every minimiser as it comes, and the published algorithm on one island, as published."""
    named: dict[str, tuple[str, int | None]] = {
        f"{name} ({kind.default_islands} islands)": (name, None) for name, kind in MINIMISERS.items()
    }
    return {"genetic (1 island)": ("genetic", 1), **named}


def _new_search(
    case: Case, weights: FloatArray, n_select: int, seed: int, minimizer: str, islands: int | None
) -> IslandSearch:
    settings = search_settings(minimizer, n_select, _NO_END, seed, islands)
    return IslandSearch(settings, case.problem, weights, SerialTeam(1))


def _run(case: Case, norm: FloatArray, search: IslandSearch, budget: float, target: float) -> Run:
    """Advance by whole epochs until the yardstick's time is over and its ERF reached."""
    reached, in_time, now = math.inf, None, 0.0
    began = time.process_time()
    while now < budget or (math.isinf(reached) and now < _PATIENCE * budget):
        search.advance()
        now = time.process_time() - began
        if search.erf < target:
            reached = min(reached, now)
        # of an epoch that ends too late nothing counts, unless it is the first
        if now <= budget or in_time is None:
            in_time = search.best()[1]
    return Run(error_function(case.values[in_time], case.reference, norm), reached)


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
    erfs, seconds, duplicates = [], [], []
    runs: dict[str, list[Run]] = {name: [] for name in contestants}
    for seed in range(1, scale.repeats + 1):
        began = time.process_time()
        rng = np.random.default_rng(seed)
        found = yardstick.search(case.yardstick, n_select, norm, scale.generations, rng)
        seconds.append(time.process_time() - began)
        erfs.append(error_function(case.values[found.members], case.reference, norm))
        duplicates.append(found.duplicates)
        for name, (minimizer, islands) in contestants.items():
            search = _new_search(case, weights, n_select, seed, minimizer, islands)
            runs[name].append(_run(case, norm, search, seconds[-1], erfs[-1]))
    outcome.add(f"N={n_select} yardstick ERF", "1", erfs)
    outcome.add(f"N={n_select} yardstick time", "s", seconds)
    outcome.add(f"N={n_select} yardstick, replicas selected twice", "1", duplicates)
    for name, done in runs.items():
        prefix = f"N={n_select} {name}"
        outcome.add(f"{prefix} ERF", "1", [run.erf for run in done])
        outcome.add(f"{prefix}: ERF of yardstick / ours", "x", ratios(erfs, [run.erf for run in done]))
        speedups = ratios(seconds, [run.seconds for run in done])
        outcome.add(f"{prefix}: time of yardstick / ours to its ERF", "x", speedups)
