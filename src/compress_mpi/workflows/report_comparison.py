"""The comparison of a selection with its prior, as numbers for a page and arrays for its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress_mpi.io.pycompressor import random_bands
from compress_mpi.io.report.figures_search import Judged
from compress_mpi.methods.comparison.bands import Bands, bands, identical_flavours, relative_to
from compress_mpi.methods.comparison.correlations import Correlations, compare_correlations
from compress_mpi.methods.comparison.distributions import (
    frechet_distances_to,
    ks_distance,
    over_random_subsets,
)
from compress_mpi.methods.comparison.luminosity import CHANNELS
from compress_mpi.methods.comparison.points import contributions, worst_points
from compress_mpi.methods.selection.error_function import Reference, build_reference, distances
from compress_mpi.methods.selection.estimators import CORRELATION
from compress_mpi.methods.selection.grid import correlation_nodes
from compress_mpi.types import FloatArray
from compress_mpi.workflows.report_facts import Result
from compress_mpi.workflows.report_sets import SQRT_S, PriorSample, SubsetSample

__all__ = ["Comparison", "Distribution", "FlavourBands", "compare"]

_ORDER = (21, 0, 2, 1, -2, -1, 3, -3, 4, -4, 5, -5, 6, -6)
_X_CHOSEN = (1e-3, 0.1, 0.4)
_FLAVOURS_CHOSEN = 6
_TRIALS = 40
_WORST = 5


@dataclass(frozen=True)
class FlavourBands:
    """One flavour, or several that are the same function, at one scale.

    Attributes
    ----------
    pids : tuple of int
    absolute, ratio : tuple of Bands
        Prior and compressed; ``ratio`` to the prior's mean.
    """

    pids: tuple[int, ...]
    absolute: tuple[Bands, Bands]
    ratio: tuple[Bands, Bands]


@dataclass(frozen=True)
class Distribution:
    """Values of one flavour at one x, and their Kolmogorov-Smirnov distance."""

    pids: tuple[int, ...]
    x: float
    prior: FloatArray
    compressed: FloatArray
    ks: Judged


@dataclass(frozen=True)
class Comparison:
    """Everything a report shows about prior and selection.

    Attributes
    ----------
    bands : dict
        Scale in GeV to the flavours there.
    vanishing : dict
        Scale in GeV to the flavours that are zero in every replica.
    frechet : dict
        Flavours to their distance.
    luminosity : dict
        Channel to the ratios of prior and compressed, along ``mass``.
    facts : dict
        JSON-able numbers.
    """

    sample: PriorSample
    reference: Reference
    bands: dict[float, list[FlavourBands]]
    vanishing: dict[float, list[int]]
    correlations: Correlations
    distributions: list[Distribution]
    frechet: dict[tuple[int, ...], Judged]
    mass: FloatArray
    luminosity: dict[str, tuple[Bands, Bands]]
    facts: dict[str, Any]


def compare(result: Result, sample: PriorSample, chosen: SubsetSample) -> Comparison:
    """Compare a selection with its prior.

    Random numbers, which only set the scale of distances, depend on nothing but the size of the
    selection: the same file gives the same page.

    Parameters
    ----------
    result : Result
    sample : PriorSample
        Of its prior.
    chosen : SubsetSample
        Its selection.
    """
    rng = np.random.default_rng(result.index.size)
    definition = result.facts["search"]["definition"]
    nodes = correlation_nodes(len(sample.x), len(sample.pids), definition)
    reference = build_reference(sample.values, result.names, nodes)
    subset = chosen.values
    scales = {q: sample.at(q) for q in (*sample.scales, sample.q_high)}
    groups = {q: _groups(values, sample.pids) for q, values in scales.items()}
    lumi = _luminosity(sample, chosen)
    found = Comparison(
        sample,
        reference,
        {
            q: [_flavour(values, chosen.at(sample, q), g, sample.pids) for g in groups[q]]
            for q, values in scales.items()
        },
        {q: _vanishing(values, sample.pids) for q, values in scales.items()},
        compare_correlations(sample.values, subset, reference.points),
        _distributions(sample, subset, groups[sample.q0], rng),
        _frechet(sample, subset, groups[sample.q0], rng),
        sample.mass,
        lumi,
        {},
    )
    found.facts.update(_facts(result, subset, found))
    return found


def _groups(values: FloatArray, pids: Sequence[int]) -> list[list[int]]:
    """Positions of flavours that are not zero, equal ones together, in the order people list them."""
    rank = {pid: place for place, pid in enumerate(_ORDER)}
    order = sorted(range(len(pids)), key=lambda f: rank.get(pids[f], len(_ORDER)))
    shown = [f for f in order if values[:, f].any()]
    return [[shown[k] for k in group] for group in identical_flavours(values[:, shown])]


def _vanishing(values: FloatArray, pids: Sequence[int]) -> list[int]:
    return [pid for f, pid in enumerate(pids) if not values[:, f].any()]


def _flavour(values: FloatArray, subset: FloatArray, group: list[int], pids: Sequence[int]) -> FlavourBands:
    prior, compressed = bands(values[:, group[0]]), bands(subset[:, group[0]])
    ratios = relative_to(prior, prior.mean), relative_to(compressed, prior.mean)
    return FlavourBands(tuple(pids[f] for f in group), (prior, compressed), ratios)


def _distributions(
    sample: PriorSample, subset: FloatArray, groups: list[list[int]], rng: np.random.Generator
) -> list[Distribution]:
    columns = sorted({int(np.argmin(np.abs(np.log(sample.x / x)))) for x in _X_CHOSEN})
    rows = [group[0] for group in groups[:_FLAVOURS_CHOSEN]]
    part = sample.values[:, rows][:, :, columns]
    distance = ks_distance(part, subset[:, rows][:, :, columns])
    random = over_random_subsets(part, len(subset), _TRIALS, rng, lambda s: ks_distance(part, s))
    return [
        Distribution(
            tuple(sample.pids[f] for f in groups[i]),
            float(sample.x[column]),
            sample.values[:, row, column],
            subset[:, row, column],
            Judged(float(distance[i, j]), random_bands(random[:, i, j])),
        )
        for j, column in enumerate(columns)
        for i, row in enumerate(rows)
    ]


def _frechet(
    sample: PriorSample, subset: FloatArray, groups: list[list[int]], rng: np.random.Generator
) -> dict[tuple[int, ...], Judged]:
    rows = [group[0] for group in groups]
    prior = sample.values[:, rows]
    measure = frechet_distances_to(prior)
    found = measure(subset[:, rows])
    random = over_random_subsets(prior, len(subset), _TRIALS, rng, measure)
    return {
        tuple(sample.pids[f] for f in group): Judged(float(value), random_bands(trials))
        for group, value, trials in zip(groups, found, random.T, strict=True)
    }


def _luminosity(sample: PriorSample, chosen: SubsetSample) -> dict[str, tuple[Bands, Bands]]:
    found = {}
    for c, channel in enumerate(CHANNELS if sample.mass.size else ()):
        prior = bands(sample.luminosity[:, :, c])
        if not prior.mean.all():  # a set without antiquarks has no qqbar
            continue
        compressed = bands(chosen.luminosity[:, :, c])
        found[channel] = relative_to(prior, prior.mean), relative_to(compressed, prior.mean)
    return found


def _facts(result: Result, subset: FloatArray, found: Comparison) -> dict[str, Any]:
    sample = found.sample
    recomputed = dict(zip(found.reference.names, distances(subset, found.reference).tolist(), strict=True))
    written = {name: one["distance"] for name, one in result.facts["estimators"].items()}
    return {
        "prior_unchanged": sample.sha256 == result.facts["prior"]["sha256"],
        "recomputed": recomputed,
        "largest_difference": max(
            abs(recomputed[name] - value) / max(abs(value), 1e-300) for name, value in written.items()
        ),
        "scales": {"low": sample.q0, "high": sample.q_high},
        "worst": _worst(result, subset, found),
        "constant": [
            {**sample.column(int(f)), "x": float(sample.x[i])}
            for f, i in np.argwhere(found.reference.constant)
        ],
        "bands": [
            {"q": q, "flavours": list(one.pids), **_deviation(*one.absolute)}
            for q, flavours in found.bands.items()
            for one in flavours
        ],
        "correlation": {"largest": found.correlations.largest, "rms": found.correlations.rms},
        "ks": [
            {"flavours": list(d.pids), "x": d.x, "distance": d.ks.value, "random": dict(d.ks.random)}
            for d in found.distributions
        ],
        "frechet": [
            {"flavours": list(pids), "distance": one.value, "random": dict(one.random)}
            for pids, one in found.frechet.items()
        ],
        "luminosity": {
            "sqrt_s": SQRT_S,
            "mass": found.mass.tolist(),
            "channels": {
                name: {
                    "ratio": both[1].mean.tolist(),
                    "prior_stdev": both[0].stdev.tolist(),
                    "compressed_stdev": both[1].stdev.tolist(),
                }
                for name, both in found.luminosity.items()
            },
        },
    }


def _deviation(prior: Bands, compressed: Bands) -> dict[str, float]:
    """How far the compressed set strays, in standard deviations of the prior, and its own spread."""
    spread = prior.stdev > 0
    if not spread.any():
        return {"largest_shift": 0.0, "stdev_ratio_min": 1.0, "stdev_ratio_max": 1.0}
    shift = np.abs(compressed.mean - prior.mean)[spread] / prior.stdev[spread]
    ratio = compressed.stdev[spread] / prior.stdev[spread]
    return {
        "largest_shift": float(shift.max()),
        "stdev_ratio_min": float(ratio.min()),
        "stdev_ratio_max": float(ratio.max()),
    }


def _worst(result: Result, subset: FloatArray, found: Comparison) -> dict[str, list[dict[str, Any]]]:
    sample, reference = found.sample, found.reference
    worst = {}
    for name in result.names:
        if name == CORRELATION:
            continue
        terms = contributions(subset, name, reference.values, reference.constant)
        worst[name] = [
            {**point._asdict(), **sample.column(point.flavour), "x": float(sample.x[point.x])}
            for point in worst_points(terms, _WORST)
        ]
    return worst
