r"""A smoothed bootstrap: a replica, moved a little; fit to be published as a larger set.

.. math:: z = \sqrt{1 - h^2} \, z_i + h \, g

with i a random replica and g standard normal in every component. Mean and covariance of the prior stay, its tails
almost; what the replica has beyond the components is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress_mpi.methods.enhancement.basis import Basis
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.types import FloatArray, IntArray

__all__ = ["KDE", "KDESettings"]


@dataclass(frozen=True)
class KDESettings:
    """How far replicas move.

    Attributes
    ----------
    bandwidth : float
        h, above 0 and at most 1; at 1 the components are Gaussian.
    """

    bandwidth: float = 0.3

    def __post_init__(self) -> None:
        if not 0.0 < self.bandwidth <= 1.0:
            raise ValueError(f"bandwidth: expected a number above 0 and at most 1, got {self.bandwidth:g}")


class KDE:
    """The generator ``kde``; see ``source.Source``.

    Parameters
    ----------
    basis : Basis
    settings : KDESettings
    seed : int
    """

    name = "kde"
    limit: int | None = None

    def __init__(self, basis: Basis, settings: KDESettings, seed: int) -> None:
        self._basis, self._settings, self._seed = basis, settings, seed

    def weights(self, numbers: IntArray) -> FloatArray:
        """Weights of candidates by number, float64 ``(len(numbers), R)``."""
        drawn = [self._draw(int(number)) for number in numbers]
        parents = np.array([parent for parent, _ in drawn], dtype=np.int64)
        z = np.array([point for _, point in drawn]).reshape(len(drawn), self._basis.n_components)
        return self._basis.to_weights(z, parents)

    def _draw(self, number: int) -> tuple[int, FloatArray]:
        """Parent and coordinates of one candidate."""
        rng = generator(self._seed, Stream.KDE, number)
        parent = int(rng.integers(self._basis.n_rep))
        h = self._settings.bandwidth
        noise = rng.standard_normal(self._basis.n_components)
        return parent, np.sqrt(1.0 - h**2) * self._basis.coordinates[parent] + h * noise
