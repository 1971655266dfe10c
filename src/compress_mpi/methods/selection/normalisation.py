"""Normalisation of the error function from random subsets.

Source: :cite:`Carrazza:2015hva`, Sec. 3.2.2: the upper edge of the central 68 %
interval of each distance over random subsets of the same size. Both published
codes take the upper edge.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compress_mpi.errors import CompressError
from compress_mpi.methods.selection import estimators as est
from compress_mpi.methods.selection.kernel import subset_distances
from compress_mpi.methods.selection.problem import Problem
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.types import FloatArray, Team

__all__ = ["bootstrap_spread", "central_interval", "normalisation", "random_distances"]

N_BOOTSTRAP = 200


def central_interval(n_trials: int, level: float) -> tuple[int, int]:
    """Positions of the edges of a central interval among sorted trials, as in both published codes.

    Parameters
    ----------
    n_trials : int
    level : float
        0.68 for the normalisation; 0.5, 0.68 and 0.9 for the validation bands.

    Returns
    -------
    (int, int)
        Lower and upper position.
    """
    outside = int(n_trials * (1.0 - level) / 2.0)
    return outside, n_trials - outside - 1


def random_distances(problem: Problem, n_select: int, trials: int, seed: int, team: Team) -> FloatArray:
    """Distances of random subsets.

    Parameters
    ----------
    problem : Problem
    n_select : int
        Size of a subset; its members are distinct.
    trials : int
    seed : int
        Trial t draws from its own stream, so the result does not depend on the team.
    team : Team
        Shares the trials.

    Returns
    -------
    float64 (trials, 8)
        In the order of ``ESTIMATORS``.
    """

    def block(tasks: Sequence[int]) -> FloatArray:
        found = np.empty((len(tasks), len(est.ESTIMATORS)))
        for row, trial in zip(found, tasks, strict=True):
            rng = generator(seed, Stream.TRIAL, n_select, trial)
            subset_distances(problem, rng.choice(len(problem.z), n_select, replace=False), row)
        return found

    return team.map_rows(block, trials, len(est.ESTIMATORS))


def normalisation(random: FloatArray, names: Sequence[str]) -> FloatArray:
    """Upper edge of the central 68 % interval of each estimator's distance.

    Parameters
    ----------
    random : float64 (trials, n_estimator)
    names : sequence of str
        For the message only.

    Raises
    ------
    CompressError
        If an edge is 0: then that estimator tells no subset from the prior.
    """
    edge = np.sort(random, axis=0)[central_interval(len(random), 0.68)[1]]
    for name, value in zip(names, edge, strict=True):
        if not np.isfinite(value) or value <= 0.0:
            raise CompressError(
                f"estimator '{name}': its distance is {value:g} for random subsets, so it cannot be normalised; "
                "expected a positive number. Take it out of est_dic, or ask for another nf, q0 or xgrid."
            )
    return np.ascontiguousarray(edge)


def bootstrap_spread(random: FloatArray, seed: int, n_select: int) -> FloatArray:
    """Standard deviation of the normalisation over bootstrap samples of the trials.

    Two searches may only be compared under the same normalisation: with 1000
    trials it is known to a few per cent, for the skewness sometimes to 40 %.

    Parameters
    ----------
    random : float64 (trials, n_estimator)

    Returns
    -------
    float64 (n_estimator,)
    """
    rng = generator(seed, Stream.BOOTSTRAP, n_select)
    upper = central_interval(len(random), 0.68)[1]
    edges = [
        np.sort(random[rng.integers(len(random), size=len(random))], axis=0)[upper]
        for _ in range(N_BOOTSTRAP)
    ]
    return np.std(edges, axis=0, ddof=1)
