"""Priors and problems that several tests of the selection share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compress_mpi.methods.selection.error_function import Reference, build_reference, distances
from compress_mpi.methods.selection.grid import correlation_nodes
from compress_mpi.methods.selection.island import SearchSettings
from compress_mpi.methods.selection.normalisation import normalisation, random_distances
from compress_mpi.methods.selection.problem import Problem, build_problem, correlation_columns, standardise
from compress_mpi.methods.selection.search import IslandSearch
from compress_mpi.parallel.rows import rows_of
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.types import ESTIMATORS, FloatArray

MIXED = {"tempering": 3, "exchange": 1, "genetic": 2, "cma": 1}
"""Islands of a portfolio with something of everything."""

PUBLISHED = ("mean", "stdev", "skewness", "kurtosis", "kolmogorov_smirnov", "correlation")


def made_up_prior(n_rep: int = 60, n_flavour: int = 3, n_x: int = 10, seed: int = 1) -> FloatArray:
    """Skewed, heavy-tailed, correlated values, float64 ``(replica, flavour, x)``."""
    rng = np.random.default_rng(seed)
    modes = rng.normal(size=(4, n_flavour, n_x)).cumsum(axis=2)
    strength = rng.standard_t(5, size=(n_rep, 4)) + 0.3 * rng.exponential(size=(n_rep, 4))
    noise = 0.3 * rng.normal(size=(n_rep, n_flavour, n_x))
    return 5.0 + np.einsum("rk,kfx->rfx", 0.2 * strength, modes) + noise


def made_up_problem(
    prior: FloatArray, names: Sequence[str] = PUBLISHED, definition: str = "paper"
) -> tuple[Reference, Problem]:
    nodes = correlation_nodes(prior.shape[2], prior.shape[1], definition)
    reference = build_reference(prior, names, nodes)
    z = standardise(prior, reference)
    return reference, build_problem(z, z[:, correlation_columns(reference)], reference)


def columns(reference: Reference) -> list[int]:
    """Where the estimators of a reference stand among all."""
    return [ESTIMATORS.index(name) for name in reference.names]


def made_up_weights(problem: Problem, reference: Reference, n_select: int) -> FloatArray:
    random = random_distances(problem, n_select, 60, 0, SerialTeam())[:, columns(reference)]
    weights = np.zeros(len(ESTIMATORS))
    weights[columns(reference)] = 1.0 / (len(reference.names) * normalisation(random, reference.names))
    return weights


def settings(minimizer: str = "genetic", **changes: Any) -> SearchSettings:
    values = {"n_select": 8, "max_iteration": 450, "seed": 3, "islands": 3, "descent": True, **changes}
    if minimizer == "portfolio":
        values = {"portfolio": MIXED, **values}
        values["islands"] = sum(values["portfolio"].values())
    return SearchSettings(minimizer, **values)


def judged_erf(prior: FloatArray, rows: Sequence[int], reference: Reference, weights: FloatArray) -> float:
    """ERF by the reference, with nothing of the kernel."""
    return float(distances(prior[np.asarray(rows)], reference) @ weights[columns(reference)])


def finish(search: IslandSearch, clock: Callable[[], float] = lambda: 0.0) -> IslandSearch:
    while not search.done:
        search.advance(clock)
    return search


class Divided(SerialTeam):
    """Looks like several members that share the evaluations of an island; each works on its part."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def split(self, n_tasks: int) -> tuple[range, SerialTeam]:
        return range(n_tasks), self

    def map_rows(
        self, function: Callable[[Sequence[int]], FloatArray], n_tasks: int, width: int
    ) -> FloatArray:
        cuts = [n_tasks * part // self.size for part in range(self.size + 1)]
        parts = [range(*ends) for ends in itertools.pairwise(cuts)]
        return np.concatenate([rows_of(function, part, width) for part in parts])
