"""What a generator is to the rest: candidates by number, and the origins that must not be mixed."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from compress_mpi.methods.enhancement.basis import Basis
from compress_mpi.types import FloatArray, IntArray

__all__ = ["Drawn", "Source", "mixing_warning", "require_origins"]


class Source(Protocol):
    """Candidates of one generator.

    Attributes
    ----------
    name : str
        As in a runcard.
    limit : int or None
        How many candidates there are; None: as many as are asked for.
    """

    name: str
    limit: int | None

    def weights(self, numbers: IntArray) -> FloatArray:
        """Weights of candidates by number, float64 ``(len(numbers), R)``; rows sum to 1.

        A candidate depends on its number only, not on the others that are asked for with it.
        """


class Drawn:
    """Candidates that a trained network has drawn, in component space.

    Parameters
    ----------
    name : str
    basis : Basis
    z : float64 (candidate, K)
    parents : int64 (candidate,), optional
        Replicas whose part beyond the components they get; without, none.
    """

    def __init__(self, name: str, basis: Basis, z: FloatArray, parents: IntArray | None = None) -> None:
        if z.ndim != 2 or z.shape[1] != basis.n_components:
            raise ValueError(f"candidates {z.shape} do not fit {basis.n_components} components")
        self.name = name
        self.limit: int | None = len(z)
        self._basis, self._z, self._parents = basis, z, parents

    def weights(self, numbers: IntArray) -> FloatArray:
        """Weights of candidates by number, float64 ``(len(numbers), R)``."""
        parents = None if self._parents is None else self._parents[numbers]
        return self._basis.to_weights(self._z[numbers], parents)


def require_origins(origins: IntArray | None, n_rep: int, least: int) -> IntArray:
    """Number of the set that each replica comes from.

    Parameters
    ----------
    origins : int64 (R,) or None
        None: all from one.
    n_rep : int
        R.
    least : int
        Replicas that every origin must have.

    Raises
    ------
    ValueError
        If there are not R numbers or an origin has too few replicas.
    """
    found = np.zeros(n_rep, dtype=np.int64) if origins is None else np.asarray(origins, dtype=np.int64)
    if found.shape != (n_rep,):
        raise ValueError(f"expected the origin of {n_rep} replicas, got {found.shape}")
    numbers, counts = np.unique(found, return_counts=True)
    if counts.min() < least:
        few = int(counts.argmin())
        raise ValueError(
            f"set {numbers[few] + 1} of the prior gives {counts[few]} replicas; a combination needs {least} of one "
            "set. Take more of it, or leave it out."
        )
    return found


def mixing_warning(name: str, origins: IntArray | None) -> str | None:
    """What to tell where a generator combines replicas of different sets; None where it does not.

    Parameters
    ----------
    name : str
        Of the generator; ``mix`` takes all parents of one candidate from one set.
    origins : int64 (R,) or None
    """
    if name == "mix" or origins is None or len(np.unique(origins)) < 2:
        return None
    return (
        f"generator {name}: the prior comes from {len(np.unique(origins))} sets, and new replicas combine replicas "
        "of all of them. Where the sets differ in alpha_s or quark masses, their combination obeys the evolution of "
        "none; take 'mix', which stays within one set."
    )
