"""``erf``: how far one set of replicas is from another, by every estimator of the error function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError
from compress_mpi.methods.selection.error_function import Reference, build_reference, distances
from compress_mpi.methods.selection.estimators import ESTIMATORS
from compress_mpi.methods.selection.normalisation import bootstrap_spread, normalisation, random_distances
from compress_mpi.methods.selection.problem import build_problem, correlation_columns, standardise
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.types import FloatArray
from compress_mpi.workflows.pair import Pair
from compress_mpi.workflows.words import scale_text

__all__ = ["Normalised", "erf_between", "lines", "normalised"]


@dataclass(frozen=True)
class Normalised:
    """Scale of the distances, from random subsets of the prior.

    Attributes
    ----------
    norm, spread : float64 (n_estimator,)
        Normalisation and its standard deviation.
    random : float64 (trials, n_estimator)
        Distances of the random subsets.
    """

    norm: FloatArray
    spread: FloatArray
    random: FloatArray


def normalised(pair: Pair, reference: Reference) -> Normalised:
    """Normalise by random subsets of the prior, as a compression of the same seed and trials would.

    Raises
    ------
    PDFSetError
        If the compressed set is not smaller than the prior.
    """
    n_rep, config = len(pair.compressed), pair.config
    if n_rep >= len(pair.prior):
        raise PDFSetError(
            f"--normalised: random subsets of {n_rep} replicas need a larger prior than one of {len(pair.prior)}"
        )
    z = standardise(pair.prior, reference)
    problem = build_problem(z, np.ascontiguousarray(z[:, correlation_columns(reference)]), reference)
    found = random_distances(problem, n_rep, config.trials, config.seed, SerialTeam())
    random = found[:, [ESTIMATORS.index(name) for name in reference.names]]
    return Normalised(
        normalisation(random, reference.names), bootstrap_spread(random, config.seed, n_rep), random
    )


def erf_between(pair: Pair, with_normalisation: bool = False) -> dict[str, Any]:
    """Distances of all estimators.

    Parameters
    ----------
    pair : Pair
    with_normalisation : bool
        Whether to draw random subsets; then ``erf`` and ``total`` are known too.

    Returns
    -------
    dict
        JSON-able; see the keys in the manual.
    """
    reference = build_reference(pair.prior, pair.config.estimators.names, pair.plan.nodes)
    found = distances(pair.compressed, reference)
    scale = normalised(pair, reference) if with_normalisation else None
    return {
        "prior": {"name": pair.plan.pdfset.name, "members": len(pair.prior)},
        "compressed": {"name": pair.name, "members": len(pair.compressed)},
        "settings": _settings(pair, scale is not None),
        "dropped_correlation_points": len(reference.dropped),
        "estimators": {
            name: {"distance": float(value), **(_judged(scale, k, float(value)) if scale else {})}
            for k, (name, value) in enumerate(zip(reference.names, found, strict=True))
        },
        "total": float(np.mean(found / scale.norm)) if scale else None,
        "random_total": float(np.median(np.mean(scale.random / scale.norm, axis=1))) if scale else None,
    }


def _settings(pair: Pair, with_normalisation: bool) -> dict[str, Any]:
    config, x = pair.config, pair.plan.xgrid
    settings: dict[str, Any] = {
        "q0": pair.plan.q0,
        "nf": config.nf,
        "x": {"min": float(x[0]), "max": float(x[-1]), "nodes": len(x)},
        "definition": config.definition,
    }
    return settings | ({"trials": config.trials, "seed": config.seed} if with_normalisation else {})


def _judged(scale: Normalised, k: int, value: float) -> dict[str, float]:
    norm = float(scale.norm[k])
    return {
        "normalisation": norm,
        "uncertainty": float(scale.spread[k]) / norm,
        "erf": value / norm,
        "random_median": float(np.median(scale.random[:, k])) / norm,
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """The distances as text."""
    settings, x = facts["settings"], facts["settings"]["x"]
    head = [
        f"prior       {facts['prior']['name']}, {facts['prior']['members']} replicas",
        f"compressed  {facts['compressed']['name']}, {facts['compressed']['members']} replicas",
        f"            q0 = {scale_text(settings['q0'])}, nf = {settings['nf']}, definition '{settings['definition']}', "
        f"{x['nodes']} nodes x = {x['min']:.3g} ... {x['max']:.3g}, "
        f"{facts['dropped_correlation_points']} dependent correlation points left out",
        "",
    ]
    if facts["total"] is None:
        body = [f"{name:<20}{one['distance']:>14.8g}" for name, one in facts["estimators"].items()]
        return [*head, f"{'estimator':<20}{'distance':>14}", *body]
    head.append(f"{'estimator':<20}{'distance':>14}{'normalisation':>15}{'':9}{'ERF':>12}{'random':>9}")
    body = [
        f"{name:<20}{one['distance']:>14.8g}{one['normalisation']:>15.5g} +- {100 * one['uncertainty']:<4.1f}%"
        f"{one['erf']:>12.6g}{one['random_median']:>9.3g}"
        for name, one in facts["estimators"].items()
    ]
    return [*head, *body, f"{'total':<58}{facts['total']:>12.6g}{facts['random_total']:>9.3g}"]
