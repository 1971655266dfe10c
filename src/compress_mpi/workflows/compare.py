"""``compare``: distributions, correlations and Frechet distances of several sets beside their prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError, RuncardError
from compress_mpi.io.pycompressor import random_bands
from compress_mpi.io.report.style import flavour_label, flavour_text
from compress_mpi.methods.comparison.bands import identical_flavours
from compress_mpi.methods.comparison.correlations import compare_correlations
from compress_mpi.methods.comparison.distributions import (
    frechet_distances_to,
    ks_distance,
    over_random_subsets,
)
from compress_mpi.methods.selection.error_function import Reference, build_reference
from compress_mpi.types import FloatArray
from compress_mpi.workflows.pair import Pair, load_pair, read_polished, read_set
from compress_mpi.workflows.words import scale_text

__all__ = ["Sets", "compare_sets", "lines", "load_sets"]

_ORDER = (21, 2, 1, -2, -1, 3, -3, 4, -4, 5, -5, 6, -6)
_X_CHOSEN = (1e-3, 0.1, 0.4)
_TRIALS = 40


@dataclass(frozen=True)
class Sets:
    """Sets on one grid.

    Attributes
    ----------
    pair : Pair
        Prior and compressed set.
    values : dict of float64 (replica, scale * flavour, x)
        By name, the prior first, the compressed set second.
    groups : list of list of int
        Flavours to show, as positions; those that are the same function together.
    warnings : tuple of str
    """

    pair: Pair
    values: dict[str, FloatArray]
    groups: list[list[int]]
    reference: Reference
    warnings: tuple[str, ...] = field(default=())

    @property
    def columns(self) -> list[int]:
        """Positions on the x axis at which distributions are compared."""
        x = self.pair.plan.xgrid
        return sorted({int(np.argmin(np.abs(np.log(x / wanted)))) for wanted in _X_CHOSEN})

    def label(self, group: Sequence[int]) -> str:
        """Flavours of a group in math text."""
        return " = ".join(flavour_label(self.pair.plan.flavours[f]) for f in group)

    def pids(self, group: Sequence[int]) -> list[int]:
        """PDG ids of a group."""
        return [self.pair.plan.flavours[f] for f in group]


def load_sets(
    prior: str | None,
    compressed: str,
    enhanced: str | None = None,
    random: bool = False,
    flavours: str | None = None,
    overrides: Sequence[str] = (),
    folders: Sequence[Path] = (),
    backend: str | None = None,
    polished: bool = False,
) -> Sets:
    """Read the sets.

    Parameters
    ----------
    prior, compressed, overrides, folders, backend
        As for ``pair.load_pair``.
    enhanced : str or None
        Name or folder of a set compressed from an enhanced prior.
    random : bool
        Whether to show a random subset of the prior, of the size of the compressed set, drawn by the seed.
    flavours : str or None
        PDG ids or names separated by commas; None takes all that are not zero.
    polished : bool
        Whether to show the polished set of the result too.

    Raises
    ------
    CompressError
        If a set, a file, a setting or a flavour is unfit.
    """
    pair = load_pair(prior, compressed, overrides, folders, backend)
    n_rep = len(pair.compressed)
    if n_rep < 2:
        raise PDFSetError(f"{compressed}: a comparison needs two replicas or more, got {n_rep}")
    if n_rep > len(pair.prior):
        raise PDFSetError(f"{compressed}: has {n_rep} replicas, more than its prior with {len(pair.prior)}")
    values = {f"prior ({len(pair.prior)})": pair.prior, f"compressed ({n_rep})": pair.compressed}
    if random:
        rng = np.random.default_rng(pair.config.seed)
        values[f"random ({n_rep})"] = pair.prior[rng.choice(len(pair.prior), n_rep, replace=False)]
    if enhanced is not None:
        other = read_set(pair.plan, enhanced, folders)
        if len(other) < 2:
            raise PDFSetError(f"{enhanced}: a comparison needs two replicas or more, got {len(other)}")
        values[f"enhanced ({len(other)})"] = other
    if polished:
        other = read_polished(pair.plan, Path(compressed), folders)
        values[f"polished ({len(other)})"] = other
    reference = build_reference(pair.prior, ("correlation",), pair.plan.nodes)
    return Sets(pair, values, _groups(pair, flavours), reference, pair.warnings)


def _groups(pair: Pair, flavours: str | None) -> list[list[int]]:
    pids = list(pair.plan.flavours)
    if flavours is not None:
        return [[pids.index(pid)] for pid in _chosen(flavours, pids)]
    order = sorted(range(len(pids)), key=lambda f: _ORDER.index(pids[f]))
    shown = [f for f in order if pair.prior[:, f].any()]
    return [[shown[k] for k in group] for group in identical_flavours(pair.prior[:, shown])]


def _chosen(flavours: str, known: Sequence[int]) -> list[int]:
    names = {flavour_text(pid): pid for pid in known} | {str(pid): pid for pid in known}
    words = [word.strip() for word in flavours.split(",")]
    wrong = [word for word in words if word not in names]
    if wrong:
        raise RuncardError(
            f"--flavours: expected some of {','.join(flavour_text(pid) for pid in known)}, got '{wrong[0]}'; "
            "nf decides which there are"
        )
    return list(dict.fromkeys(names[word] for word in words))


def compare_sets(sets: Sets) -> dict[str, Any]:
    """All numbers of the comparison.

    Returns
    -------
    dict
        JSON-able. ``ks``: Kolmogorov-Smirnov distance to the prior by flavour and x; ``correlations``: largest
        and root-mean-square difference to the prior's matrix, over all scales; ``frechet``: squared distance by
        flavour. ``shown`` is the scale of the first and the last, the first of ``q0``. What is large or small
        is told by ``random``, the bands of 40 random subsets of the compressed set's size.
    """
    prior, *others = sets.values.values()
    names = list(sets.values)[1:]
    return {
        "prior": {"name": sets.pair.plan.pdfset.name, "members": len(prior)},
        "sets": {name: len(values) for name, values in sets.values.items()},
        "q0": sets.pair.plan.q0,
        "shown": sets.pair.plan.scales[0],
        "ks": _ks(sets, prior, others, names),
        "correlations": {
            name: {"largest": found.largest, "rms": found.rms}
            for name, found in (
                (name, compare_correlations(prior, values, sets.reference.points))
                for name, values in zip(names, others, strict=True)
            )
        },
        "frechet": _frechet(sets, prior, others, names),
    }


def _subset_rng(sets: Sets) -> np.random.Generator:
    return np.random.default_rng(len(sets.pair.compressed))


def _ks(
    sets: Sets, prior: FloatArray, others: Sequence[FloatArray], names: Sequence[str]
) -> list[dict[str, Any]]:
    rows, columns = [group[0] for group in sets.groups], sets.columns
    part = prior[:, rows][:, :, columns]
    found = [ks_distance(part, values[:, rows][:, :, columns]) for values in others]
    random = over_random_subsets(
        part, len(sets.pair.compressed), _TRIALS, _subset_rng(sets), lambda subset: ks_distance(part, subset)
    )
    return [
        {
            "flavours": sets.pids(group),
            "x": float(sets.pair.plan.xgrid[column]),
            "distance": {name: float(one[i, j]) for name, one in zip(names, found, strict=True)},
            "random": random_bands(random[:, i, j]),
        }
        for j, column in enumerate(columns)
        for i, group in enumerate(sets.groups)
    ]


def _frechet(
    sets: Sets, prior: FloatArray, others: Sequence[FloatArray], names: Sequence[str]
) -> list[dict[str, Any]]:
    rows = [group[0] for group in sets.groups]
    measure = frechet_distances_to(prior[:, rows])
    found = [measure(values[:, rows]) for values in others]
    random = over_random_subsets(
        prior[:, rows], len(sets.pair.compressed), _TRIALS, _subset_rng(sets), measure
    )
    return [
        {
            "flavours": sets.pids(group),
            "distance": {name: float(one[i]) for name, one in zip(names, found, strict=True)},
            "random": random_bands(random[:, i]),
        }
        for i, group in enumerate(sets.groups)
    ]


def lines(files: Sequence[Path], facts: dict[str, Any]) -> list[str]:
    """The comparison as text."""
    names = list(facts["sets"])[1:]
    head = "".join(f"{name:>18}" for name in names)
    rows = [
        f"{'Frechet distance':<24}{head}{'random median':>18}",
        *(
            f"{_flavours(row):<24}"
            + "".join(f"{row['distance'][name]:>18.5g}" for name in names)
            + f"{row['random']['rmd']:>18.5g}"
            for row in facts["frechet"]
        ),
        f"{'correlation, rms':<24}" + "".join(f"{facts['correlations'][n]['rms']:>18.5g}" for n in names),
        f"{'correlation, largest':<24}"
        + "".join(f"{facts['correlations'][n]['largest']:>18.5g}" for n in names),
        f"{'KS distance':<24}{head}{'random median':>18}",
        *(
            f"{_flavours(row) + ' at x = ' + format(row['x'], '.3g'):<24}"
            + "".join(f"{row['distance'][name]:>18.5g}" for name in names)
            + f"{row['random']['rmd']:>18.5g}"
            for row in facts["ks"]
        ),
    ]
    several = isinstance(facts["q0"], list)
    at = [f"at Q = {facts['shown']:g} GeV, correlations over {scale_text(facts['q0'])}"] if several else []
    return [*map(str, files), "", *at, *rows]


def _flavours(row: dict[str, Any]) -> str:
    return " = ".join(map(flavour_text, row["flavours"]))
