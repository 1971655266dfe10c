"""A prior and faulty generators that several tests of the enhancement share."""

from __future__ import annotations

import numpy as np

from compress_mpi.methods.enhancement.basis import Basis, basis_of
from compress_mpi.methods.enhancement.guards import Guard, build_guard
from compress_mpi.types import FloatArray, IntArray


def smooth_prior(n_rep: int = 120, n_flavour: int = 2, n_x: int = 12, seed: int = 1) -> FloatArray:
    """Positive, correlated, somewhat skewed values, float64 ``(replica, flavour, x)``."""
    rng = np.random.default_rng(seed)
    modes = rng.normal(size=(5, n_flavour, n_x)).cumsum(axis=2) / np.sqrt(n_x)
    strength = rng.normal(size=(n_rep, 5)) + 0.2 * rng.exponential(size=(n_rep, 5))
    noise = 0.02 * rng.normal(size=(n_rep, n_flavour, n_x))
    return 8.0 + np.einsum("rk,kfx->rfx", strength, modes) + noise


def guarded(prior: FloatArray, sums: FloatArray | None = None) -> tuple[Basis, Guard]:
    basis = basis_of(prior)
    return basis, build_guard(prior, basis, sums)


class Table:
    """A generator whose weights are all written down."""

    def __init__(self, weights: FloatArray, name: str = "flow") -> None:
        self.name, self.limit, self._weights = name, len(weights), weights

    def weights(self, numbers: IntArray) -> FloatArray:
        return self._weights[numbers]


def scaled(basis: Basis, factor: float, n: int, seed: int = 0, shift: float = 0.0) -> FloatArray:
    """Weights of normal candidates, float64 ``(n, R)``; with 1 and 0 like the prior."""
    rng = np.random.default_rng(seed)
    return basis.to_weights(factor * rng.normal(size=(n, basis.n_components)) + shift)
