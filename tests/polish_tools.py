"""A made-up prior with some of everything that a polish must cope with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress_mpi.methods.enhancement.basis import Basis, basis_of
from compress_mpi.methods.enhancement.linear import combine
from compress_mpi.methods.polish.objective import Objective
from compress_mpi.methods.polish.polish import Candidate, polish_one
from compress_mpi.methods.polish.settings import PolishSettings
from compress_mpi.methods.polish.target import Target, build_target
from compress_mpi.methods.selection.error_function import Reference, build_reference, distances
from compress_mpi.methods.selection.grid import correlation_nodes
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.types import ESTIMATORS, FloatArray
from selection_tools import made_up_prior

N_SELECT = 8


@dataclass(frozen=True, eq=False)
class PolishCase:
    prior: FloatArray
    reference: Reference
    normalisation: FloatArray
    basis: Basis
    directions: FloatArray
    target: Target

    @property
    def start(self) -> FloatArray:
        return self.prior[: self.target.n_select]

    def objective(self, settings: PolishSettings | None = None) -> Objective:
        start = self.target.standardise(self.start)
        directions = self.target.standardise_directions(self.directions)
        return Objective(start, directions, self.target, settings or PolishSettings())

    def candidate(
        self, settings: PolishSettings, number: int = 0, start: FloatArray | None = None
    ) -> Candidate:
        chosen = self.start if start is None else start
        parts = (self.directions, self.target, self.reference, self.normalisation)
        return polish_one(number, 1, chosen, *parts, settings, seed=7)


def polish_case(names=ESTIMATORS, n_select: int = N_SELECT, definition: str = "paper") -> PolishCase:
    """Three flavours on ten nodes: one point never varies, one is twice another, some are near zero."""
    prior = made_up_prior(n_rep=60)
    prior[:, 0, 3] = 1.0
    prior[:, 2, 9] = 2.0 * prior[:, 2, 8]
    prior[:, 1] -= np.quantile(prior[:, 1], 0.03, axis=0)
    nodes = correlation_nodes(prior.shape[2], prior.shape[1], definition)
    reference = build_reference(prior, names, nodes)
    rng = np.random.default_rng(2)
    random = [distances(prior[rng.choice(len(prior), n_select, replace=False)], reference) for _ in range(50)]
    normalisation = np.quantile(random, 0.84, axis=0)
    basis = basis_of(prior, 0.99)
    directions = combine(basis.weights, prior)
    target = build_target(prior, reference, normalisation, n_select, 0, SerialTeam())
    return PolishCase(prior, reference, normalisation, basis, directions, target)
