"""The random subsets that normalise the error function."""

from __future__ import annotations

import time

import numpy as np

import yardstick
from case import Case, Scale
from compress_mpi.methods.selection.normalisation import random_distances
from compress_mpi.parallel.serial import SerialTeam
from measures import Outcome, ratios

__all__ = ["measure"]

ABOUT = "distances of random subsets, one core"


def measure(case: Case, scale: Scale) -> Outcome:
    """Processor time of all trials, ours and the yardstick's in turn."""
    outcome = Outcome(ABOUT, {"set": case.name, "trials": scale.trials, "N": list(scale.sizes)})
    for n_select in scale.sizes:
        # compiles
        _ours(case, n_select, 1, 0)
        _theirs(case, n_select, 1, 0)
        ours, theirs = [], []
        for seed in range(scale.repeats):
            ours.append(_ours(case, n_select, scale.trials, seed))
            theirs.append(_theirs(case, n_select, scale.trials, seed))
        outcome.add(f"N={n_select} ours", "s", ours)
        outcome.add(f"N={n_select} yardstick", "s", theirs)
        outcome.add(f"N={n_select} yardstick / ours", "x", ratios(theirs, ours))
    return outcome


def _ours(case: Case, n_select: int, trials: int, seed: int) -> float:
    began = time.process_time()
    random_distances(case.problem, n_select, trials, seed, SerialTeam())
    return time.process_time() - began


def _theirs(case: Case, n_select: int, trials: int, seed: int) -> float:
    began = time.process_time()
    yardstick.random_distances(case.yardstick, n_select, trials, np.random.default_rng(seed))
    return time.process_time() - began
