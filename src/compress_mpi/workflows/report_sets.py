"""What a report says about the sets: the prior, read again, and the selected replicas among it.

The compressed set's own folder is not needed: its members are copies of the prior's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError
from compress_mpi.io.backends import knots
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.io.scales import read_at_scales
from compress_mpi.methods.comparison.luminosity import (
    CHANNELS,
    luminosities,
    luminosity_nodes,
    mass_nodes,
)
from compress_mpi.types import FloatArray
from compress_mpi.workflows.combine import find_set
from compress_mpi.workflows.report_facts import Result
from compress_mpi.workflows.words import beside

__all__ = ["SQRT_S", "PriorSample", "sample_key", "sample_prior"]

SQRT_S = 13000.0
"""Collider energy of the luminosities in GeV."""
_HIGH_SCALE = 100.0
_MASS_RANGE = (20.0, 5000.0)
_MASSES = 16
_STEP = 0.1
_CHUNK = 100


@dataclass(frozen=True)
class PriorSample:
    """The members of a prior, as far as a report wants them.

    Attributes
    ----------
    pdfset : PDFSet
    pids : tuple of int
        Flavours at each scale.
    x : float64 (x,)
    scales : tuple of float
        GeV, of the comparison.
    q_high : float
        GeV; equals the highest of ``scales`` where the set reaches no higher.
    values : float64 (replica, scale * flavour, x)
        x f(x, Q) at the scales of the comparison.
    high : float64 (replica, flavour, x)
        The same at ``q_high``.
    sha256 : str
        Digest of ``values``, as the compression forms it.
    mass : float64 (mass,)
        GeV; empty where the set's range allows no luminosity.
    luminosity : float64 (replica, mass, channel)
        GeV^-2.
    """

    pdfset: PDFSet
    pids: tuple[int, ...]
    x: FloatArray
    scales: tuple[float, ...]
    q_high: float
    values: FloatArray
    high: FloatArray
    sha256: str
    mass: FloatArray
    luminosity: FloatArray

    @property
    def q0(self) -> float:
        """The scale that is shown where one has to do."""
        return self.scales[0]

    def at(self, q: float) -> FloatArray:
        """Values at one of ``scales`` or at ``q_high``, float64 ``(replica, flavour, x)``."""
        if q not in self.scales:
            return self.high
        first = self.scales.index(q) * len(self.pids)
        return self.values[:, first : first + len(self.pids)]

    def column(self, f: int) -> dict[str, float]:
        """Flavour and scale of a position on the flavour axis of ``values``."""
        return {"flavour": self.pids[f % len(self.pids)], "q": self.scales[f // len(self.pids)]}


def sample_key(result: Result) -> tuple[Any, ...]:
    """What decides whether two results share a sample."""
    prior = result.facts["prior"]
    x = np.asarray(result.tree.datasets["/prior/xgrid"]).tobytes()
    return (
        prior["name"],
        prior["members"],
        prior["first_member"],
        tuple(prior["scales"]),
        tuple(prior["flavours"]),
        x,
    )


def sample_prior(result: Result, folders: Sequence[Path]) -> PriorSample:
    """Read the prior of a result again.

    Parameters
    ----------
    result : Result
    folders : sequence of Path
        Where to look for the set first.

    Raises
    ------
    PDFSetError
        If it is not found, damaged, or has fewer members than it had.
    """
    prior = result.facts["prior"]
    pdfset = find_set(prior["name"], beside(result.path, folders))
    first, members = prior["first_member"], prior["members"]
    if first + members - 1 > pdfset.n_rep:
        raise PDFSetError(
            f"{pdfset.info_path}: the set has {pdfset.n_rep} replicas now, but {first + members - 1} when the "
            "result was made; find the old version with --pdf-path"
        )
    x = np.asarray(result.tree.datasets["/prior/xgrid"], dtype=np.float64)
    return _read(pdfset, range(first, first + members), tuple(prior["flavours"]), x, tuple(prior["scales"]))


def _read(
    pdfset: PDFSet, members: range, pids: tuple[int, ...], x: FloatArray, scales: tuple[float, ...]
) -> PriorSample:
    everything = tuple(dict.fromkeys((*pids, *pdfset.flavours)))
    columns = np.arange(len(pids))
    q_high = max(min(_HIGH_SCALE, pdfset.q_max), *scales)
    low_x, high_x = _x_range(pdfset, q_high)
    mass = _masses(pdfset, low_x)
    nodes = [luminosity_nodes(m, SQRT_S, _STEP) for m in mass]
    # beyond the last knot, and at x = 1, densities count as zero
    inside = [(x_m >= low_x) & (x_m <= high_x) & (x_m < 1.0) for x_m in nodes]
    n = len(scales)
    grids = [(q, x) for q in (*scales, q_high)]
    grids += [(float(m), x_m[k]) for m, x_m, k in zip(mass, nodes, inside, strict=True)]
    parts: list[list[FloatArray]] = []
    for start in range(0, len(members), _CHUNK):
        chunk = list(members[start : start + _CHUNK])
        found = read_at_scales(pdfset, chunk, everything, grids)
        lumi = [
            _luminosity(values, k, everything, float(m))
            for m, k, values in zip(mass, inside, found[n + 1 :], strict=True)
        ]
        parts.append(
            [
                np.concatenate([one[:, columns] for one in found[:n]], axis=1),
                found[n][:, columns],
                np.stack(lumi, axis=1) if lumi else np.zeros((len(chunk), 0, len(CHANNELS))),
            ]
        )
    values, high, luminosity = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    return PriorSample(pdfset, pids, x, scales, q_high, values, high, digest, mass, luminosity)


def _luminosity(values: FloatArray, inside: np.ndarray, pids: Sequence[int], mass: float) -> FloatArray:
    whole = np.zeros((*values.shape[:2], len(inside)))
    whole[:, :, inside] = values
    return luminosities(whole, pids, mass, _STEP)


def _x_range(pdfset: PDFSet, q: float) -> tuple[float, float]:
    own = knots(pdfset, q)
    return float(own[0]), float(own[-1])


def _masses(pdfset: PDFSet, x_min: float) -> FloatArray:
    """Masses whose momentum fractions and scale the set covers."""
    low = max(_MASS_RANGE[0], pdfset.q_min, SQRT_S * np.sqrt(x_min))
    high = min(_MASS_RANGE[1], pdfset.q_max)
    return mass_nodes(low, high, SQRT_S, _STEP, _MASSES) if low < high else np.zeros(0)
