"""Evolved densities on the knots of member files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from compress_mpi.methods.evolution.apply import EXPORT_PIDS, evolve_rows, rotation
from compress_mpi.methods.evolution.cards import Scale
from compress_mpi.methods.evolution.theory import Theory, active_flavours, flavours_of_blocks
from compress_mpi.types import FloatArray

__all__ = ["MOST_NODES", "Evolver", "Knots", "nodes_of", "standard_scales", "targets_of"]

MOST_NODES = 100
"""x nodes of an operator; its cost grows with their square."""

_GLUON = 21
_LEAST_SCALES = 4
_LAMBDA2 = 0.0625


@dataclass(frozen=True)
class Knots:
    """Knots of a member file.

    Attributes
    ----------
    x, q : tuple of tuples of float
        Of every subgrid; Q in GeV.
    pids : tuple of int
        PDG codes of the columns; a gluon may be 0 or 21.
    """

    x: tuple[tuple[float, ...], ...]
    q: tuple[tuple[float, ...], ...]
    pids: tuple[int, ...]


def targets_of(theory: Theory, q: Sequence[Sequence[float]]) -> list[list[Scale]]:
    """Scale and number of flavours of every Q knot of every subgrid."""
    flavours = flavours_of_blocks(theory, q)
    return [list(zip(knots, nf, strict=True)) for knots, nf in zip(q, flavours, strict=True)]


def nodes_of(x: Sequence[Sequence[float]], source: FloatArray, most: int = MOST_NODES) -> FloatArray:
    """x nodes for an operator: the knots of the members, thinned out where there are too many.

    Parameters
    ----------
    x : sequence of sequence of float
        x knots of every subgrid.
    source : float64 (n,)
        Nodes at which the densities are given.
    most : int

    Returns
    -------
    float64 (m,)
        Increasing, the last one 1.

    Raises
    ------
    ValueError
        If a knot lies below the first node of the source, or none is 1.
    """
    union = np.unique(np.concatenate([np.asarray(knots, dtype=np.float64) for knots in x]))
    if union[0] < source[0]:
        raise ValueError(f"densities are given from x = {source[0]:g}, but the x knots begin at {union[0]:g}")
    if union[-1] != 1.0:
        raise ValueError(f"x knots end at {union[-1]:g}; evolution needs densities up to x = 1")
    chosen = np.unique(np.round(np.linspace(0, len(union) - 1, min(most, len(union)))).astype(int))
    return np.asarray(union[chosen])


def standard_scales(
    theory: Theory, q0: float, q_max: float, n_scales: int = 50
) -> tuple[tuple[float, ...], ...]:
    """Q knots where no set says which: from ``q0`` up, a subgrid for each number of flavours.

    Parameters
    ----------
    theory : Theory
    q0, q_max : float
        GeV.
    n_scales : int
        About how many in all, evenly spaced in log log Q as parton densities vary.

    Returns
    -------
    tuple of tuples of float
        A subgrid ends at a threshold and the next begins there; none has fewer than four knots.
    """
    crossed = [t for t in theory.thresholds if active_flavours(theory, t) > active_flavours(theory, t, True)]
    inside = [t for t in crossed if active_flavours(theory, q0) < active_flavours(theory, t) and t < q_max]
    walls = [q0, *inside, q_max]

    def t_of(q: float) -> float:
        return float(np.log(np.log(q * q / _LAMBDA2)))

    length = t_of(q_max) - t_of(q0)
    blocks = []
    for low, high in pairwise(walls):
        count = max(_LEAST_SCALES, round(n_scales * (t_of(high) - t_of(low)) / length))
        inner = np.sqrt(_LAMBDA2 * np.exp(np.exp(np.linspace(t_of(low), t_of(high), count)[1:-1])))
        blocks.append((low, *(float(f"{q:.6E}") for q in inner), high))
    return tuple(blocks)


class Evolver:
    """Takes replicas from one scale to all knots of their member files; not collective.

    Parameters
    ----------
    operators : float64 (n_target, 14, nx, 14, nx)
        From `to_export_order`.
    targets : sequence of Scale
        Of the operators.
    x : float64 (nx,)
        Their nodes.
    theory : Theory
    knots : Knots
        Of the member files; every Q has to be among the targets.
    source : float64 (n,)
        Nodes at which the replicas are given.
    degree : int
        Of the interpolation between nodes.

    Attributes
    ----------
    nodes : float64 (nx,)
        Of the operators.
    width : int
        Values of one replica on its knots.
    """

    def __init__(
        self,
        operators: FloatArray,
        targets: Sequence[Scale],
        x: FloatArray,
        theory: Theory,
        knots: Knots,
        source: FloatArray,
        degree: int = 4,
    ) -> None:
        position = {target: number for number, target in enumerate(targets)}
        self._given = (operators, tuple(targets), x, theory, knots)
        self._operators, self._degree = operators, degree
        self.nodes = x
        self._knots = knots
        self._into = rotation(source, x, degree)
        self._out = [rotation(x, np.array(nodes), degree) for nodes in knots.x]
        self._wanted = [[position[scale] for scale in scales] for scales in targets_of(theory, knots.q)]
        self._columns = _columns(knots.pids)
        self.width = sum(len(a) * len(b) * len(knots.pids) for a, b in zip(knots.x, knots.q, strict=True))

    def from_nodes(self) -> Evolver:
        """The same for replicas that are given at the nodes of the operators."""
        return Evolver(*self._given, source=self.nodes, degree=self._degree)

    def rows(self, values: FloatArray) -> FloatArray:
        """Replicas on the knots of their member files.

        Parameters
        ----------
        values : float64 (n, 14, n_source)
            x f(x) at the start, in the order of `EXPORT_PIDS`.

        Returns
        -------
        float64 (n, width)
            x f(x, Q), subgrid by subgrid, in each x slowest and flavour fastest, as files have them.
        """
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1, "blas"):  # the bits must not depend on how many there are
            return np.concatenate(self._blocks(values), axis=1)

    def _blocks(self, values: FloatArray) -> list[FloatArray]:
        start = np.ascontiguousarray(values if self._into is None else values @ self._into.T)
        parts = []
        for nodes, out, wanted in zip(self._knots.x, self._out, self._wanted, strict=True):
            block = np.empty((len(values), len(nodes), len(wanted), len(self._columns)))
            for k, number in enumerate(wanted):
                evolved = evolve_rows(self._operators[number], start)[:, self._columns]
                block[:, :, k] = np.moveaxis(evolved if out is None else evolved @ out.T, 1, 2)
            parts.append(block.reshape(len(values), -1))
        return parts


def _columns(pids: Sequence[int]) -> list[int]:
    unknown = [pid for pid in pids if pid != 0 and pid not in EXPORT_PIDS]
    if unknown:
        raise ValueError(f"flavours {unknown} are not evolved; known: {list(EXPORT_PIDS)}")
    return [EXPORT_PIDS.index(_GLUON if pid == 0 else pid) for pid in pids]
