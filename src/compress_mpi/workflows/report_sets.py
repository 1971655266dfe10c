"""What a report says about the sets: the prior, read again, and the selected replicas among it.

The compressed set's own folder is not needed: its members are copies of the prior's, or of an enhanced set's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from compress_mpi.types import FloatArray, IntArray
from compress_mpi.workflows.combine import find_set
from compress_mpi.workflows.origin import find_enhanced
from compress_mpi.workflows.report_facts import Result
from compress_mpi.workflows.words import beside

__all__ = ["SQRT_S", "PriorSample", "SubsetSample", "sample_key", "sample_prior", "sample_subset"]

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


@dataclass(frozen=True)
class SubsetSample:
    """Some replicas at the points of a prior's sample; axes as there.

    Attributes
    ----------
    values, high, luminosity : float64 (replica, ...)
    """

    values: FloatArray
    high: FloatArray
    luminosity: FloatArray

    def at(self, sample: PriorSample, q: float) -> FloatArray:
        """Values at one of the scales of a sample, float64 ``(replica, flavour, x)``."""
        if q not in sample.scales:
            return self.high
        first = sample.scales.index(q) * len(sample.pids)
        return self.values[:, first : first + len(sample.pids)]


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


def sample_subset(
    result: Result, index: IntArray, sample: PriorSample, folders: Sequence[Path]
) -> SubsetSample:
    """Replicas that a result names, from its prior's sample or from its enhanced set.

    Parameters
    ----------
    result : Result
    index : int64 (n,)
        Numbers as in its ``/selection/index``.
    sample : PriorSample
        Of its prior.
    folders : sequence of Path
        Where to look for the enhanced set first.

    Raises
    ------
    PDFSetError
        If the enhanced set is not found, or one of them cannot be read.
    """
    more, rows = result.facts["enhanced"], index - result.facts["prior"]["first_member"]
    if more is None:
        return SubsetSample(sample.values[rows], sample.high[rows], sample.luminosity[rows])
    pdfset = find_enhanced(more["name"], result.path, folders)
    new = index > 0
    if not new.any():
        raise PDFSetError(f"{result.path}: selects nothing but member 0")
    read = _read_members(pdfset, index[new].tolist(), sample)
    of_prior = (sample.values, sample.high, sample.luminosity)
    found = [np.empty((len(index), *own.shape[1:])) for own in of_prior]
    for out, own, part in zip(found, of_prior, read, strict=True):
        out[new] = part
        # 0 stands for member 0 of the prior, which comes first in its sample
        out[~new] = own[rows[~new]]
    return SubsetSample(*found)


def _read(
    pdfset: PDFSet, members: range, pids: tuple[int, ...], x: FloatArray, scales: tuple[float, ...]
) -> PriorSample:
    q_high = max(min(_HIGH_SCALE, pdfset.q_max), *scales)
    low_x, _ = _x_range(pdfset, q_high)
    mass = _masses(pdfset, low_x)
    empty = np.zeros(0)
    frame = PriorSample(pdfset, pids, x, scales, q_high, empty, empty, "", mass, empty)
    values, high, luminosity = _read_members(pdfset, members, frame)
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()
    return replace(frame, values=values, high=high, sha256=digest, luminosity=luminosity)


def _read_members(
    pdfset: PDFSet, members: Sequence[int], frame: PriorSample
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Values at the scales of the comparison and at the high one, and luminosities, at the points of a sample."""
    everything = tuple(dict.fromkeys((*frame.pids, *pdfset.flavours)))
    columns, n = np.arange(len(frame.pids)), len(frame.scales)
    low_x, high_x = _x_range(frame.pdfset, frame.q_high)
    nodes = [luminosity_nodes(m, SQRT_S, _STEP) for m in frame.mass]
    # beyond the last knot, and at x = 1, densities count as zero
    inside = [(x_m >= low_x) & (x_m <= high_x) & (x_m < 1.0) for x_m in nodes]
    grids = [(q, frame.x) for q in (*frame.scales, frame.q_high)]
    grids += [(float(m), x_m[k]) for m, x_m, k in zip(frame.mass, nodes, inside, strict=True)]
    parts: list[list[FloatArray]] = []
    for start in range(0, len(members), _CHUNK):
        chunk = list(members[start : start + _CHUNK])
        found = read_at_scales(pdfset, chunk, everything, grids)
        lumi = [
            _luminosity(values, k, everything, float(m))
            for m, k, values in zip(frame.mass, inside, found[n + 1 :], strict=True)
        ]
        parts.append(
            [
                np.concatenate([one[:, columns] for one in found[:n]], axis=1),
                found[n][:, columns],
                np.stack(lumi, axis=1) if lumi else np.zeros((len(chunk), 0, len(CHANNELS))),
            ]
        )
    values, high, luminosity = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    return values, high, luminosity


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
