"""The random subsets that normalise the error function."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import yardstick
from case import PUBLISHED_TRIALS, REAL_SET, Case, Scale
from compress_mpi.methods.selection.normalisation import random_distances
from compress_mpi.parallel.serial import SerialTeam
from jobs import finish, start
from measures import Outcome, ratios

__all__ = ["measure", "measure_ranks"]

ABOUT = "distances of random subsets, one core; then real jobs of two ranks"
_RANKS = 2
_TRIALS = 1000


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


def measure_ranks(outcome: Outcome, scale: Scale, pdf: str, folders: Sequence[Path]) -> None:
    """Wall time of the same under ``mpirun -n 2``, and against what pyCompressor took on two cores."""
    for n_select in scale.sizes:
        seconds = rank_seconds(scale, pdf, folders, n_select)
        outcome.add(f"N={n_select} two ranks, wall time", "s", seconds)
        known = PUBLISHED_TRIALS.get(n_select)
        if pdf == REAL_SET and known is not None and scale.trials == _TRIALS:
            published = [known] * len(seconds)
            outcome.add(f"N={n_select} pyCompressor / two ranks, wall time", "x", ratios(published, seconds))


def rank_seconds(scale: Scale, pdf: str, folders: Sequence[Path], n_select: int) -> list[float]:
    """Seconds from before to after the trials on two ranks, of each repetition."""
    request = {
        "what": "trials",
        "pdf": pdf,
        "folders": [str(folder.resolve()) for folder in folders],
        "n_select": n_select,
        "count": scale.trials,
        "repeats": scale.repeats,
    }
    with tempfile.TemporaryDirectory(prefix="bench-trials-") as folder:
        program = Path(__file__).with_name("search_rank.py")
        return list(
            json.loads(finish(start(_RANKS, [sys.executable, program, json.dumps(request)], Path(folder))))
        )


def _ours(case: Case, n_select: int, trials: int, seed: int) -> float:
    began = time.process_time()
    random_distances(case.problem, n_select, trials, seed, SerialTeam())
    return time.process_time() - began


def _theirs(case: Case, n_select: int, trials: int, seed: int) -> float:
    began = time.process_time()
    yardstick.random_distances(case.yardstick, n_select, trials, np.random.default_rng(seed))
    return time.process_time() - began
