"""``erf``: how far one set of replicas is from another, by every estimator of the error function."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError, RuncardError, StoreError
from compress_mpi.io import runcard
from compress_mpi.io.backends import read_members
from compress_mpi.io.pdfset import PDFSet, open_set, require_replicas, require_scale
from compress_mpi.io.pycompressor import read_compress_dat
from compress_mpi.io.settings import CompressConfig
from compress_mpi.io.store import read_tree
from compress_mpi.methods.selection.error_function import Reference, build_reference, distances
from compress_mpi.methods.selection.estimators import ESTIMATORS
from compress_mpi.methods.selection.kernel import build_problem, correlation_columns, standardise
from compress_mpi.methods.selection.normalisation import bootstrap_spread, normalisation, random_distances
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.types import FloatArray
from compress_mpi.workflows.prior import PriorPlan, plan_prior

__all__ = ["Normalised", "Pair", "erf_between", "lines", "load_pair", "normalised"]

_RESULTS = (".h5", ".hdf5")


@dataclass(frozen=True)
class Pair:
    """Two sets on one grid.

    Attributes
    ----------
    config : CompressConfig
        What decides the grid and the estimators.
    plan : PriorPlan
        Of the prior.
    prior, compressed : float64 (replica, flavour, x)
        x f(x, q0).
    name : str
        Of the compressed set.
    warnings : tuple of str
    """

    config: CompressConfig
    plan: PriorPlan
    prior: FloatArray
    compressed: FloatArray
    name: str
    warnings: tuple[str, ...]


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


@dataclass(frozen=True)
class _Selection:
    """What a file says about a selection."""

    pdf: str
    index: np.ndarray
    settings: Mapping[str, Any]
    sha256: str = ""


def load_pair(
    prior: str | None,
    compressed: str,
    overrides: Sequence[str] = (),
    folders: Sequence[Path] = (),
    backend: str | None = None,
) -> Pair:
    """Read two sets.

    Parameters
    ----------
    prior : str or None
        Name of a set, or path of its folder. None takes the prior of a result.
    compressed : str
        The same; or a result (``.h5``) or ``compress_*_output.dat``, whose replicas are then taken from the
        prior. The settings of a ``.h5`` hold, unless overridden.
    overrides : sequence of str
        ``key=value`` for ``q0``, ``nf``, ``xgrid``, ``definition``, ``est_dic``, ``trials``, ``seed``, ``backend``.
    folders : sequence of Path
        Where to look for sets first.
    backend : str or None
        Reader of LHAPDF sets.

    Returns
    -------
    Pair
        Member 0 of a compressed set is its average and is left out under every definition; pyCompressor
        counts it in.

    Raises
    ------
    CompressError
        If a set, a file or a setting is unfit.
    """
    selection = _selection(Path(compressed))
    if prior is None and selection is None:
        raise RuncardError(
            f"--prior: missing; '{compressed}' is a set, which does not say what it was made from"
        )
    name, folders = _as_name(prior or (selection.pdf if selection else ""), folders)
    settings = dict(selection.settings) if selection else {}
    settings |= {"pdfsetting": {"pdf": name}, "compressed": 2}
    config = runcard._validate(runcard._gather(settings, "settings", overrides), "settings")
    plan = plan_prior(config, folders, backend or config.backend)
    values = _read(plan, plan.pdfset, plan.members)
    subset = _subset(plan, values, compressed, selection, folders)
    warnings = (*plan.warnings, *_other_values(selection, config, values))
    return Pair(config, plan, values, subset, Path(compressed).name, warnings)


def _other_values(selection: _Selection | None, config: CompressConfig, values: FloatArray) -> list[str]:
    """A warning where a result was made from other values than those found now."""
    if selection is None or not selection.sha256:
        return []
    now = runcard._effective(config)
    if any(now[key] != selection.settings.get(key) for key in ("q0", "nf", "xgrid", "definition")):
        return []
    if hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest() == selection.sha256:
        return []
    return [
        f"the values of {config.pdf} found now are not those of the compression (other sha256): "
        "distances differ from those in the file"
    ]


def _selection(path: Path) -> _Selection | None:
    """A selection in a file; None if it is the name of a set."""
    if path.suffix in _RESULTS:
        tree = read_tree(path)
        index = np.asarray(tree.datasets["/selection/index"])
        if not index.any():
            raise StoreError(f"{path}: nothing has been selected yet; run the runcard again")
        settings = json.loads(tree.datasets["/settings"])
        at = tree.attributes
        return _Selection(str(at["/prior", "name"]), index, settings, str(at["/prior", "sha256"]))
    if path.suffix == ".dat":
        content = read_compress_dat(path)
        return _Selection(content.pdfset_name, np.asarray(content.index), {})
    return None


def _as_name(name: str, folders: Sequence[Path]) -> tuple[str, list[Path]]:
    """A set as a runcard names it, and where to look for it: a path means its folder."""
    path = Path(name)
    is_path = len(path.parts) > 1 or name.startswith(("~", "."))
    if not is_path:
        return name, list(folders)
    path = path.expanduser().resolve()
    if path.name == "demo":
        raise RuncardError(f"--prior {name}: 'demo' is the built-in prior; rename the folder and its files")
    return path.name, [path.parent, *folders]


def _read(plan: PriorPlan, pdfset: PDFSet, members: Sequence[int]) -> FloatArray:
    return read_members(pdfset, list(members), plan.flavours, plan.xgrid, plan.q0, plan.backend)


def _subset(
    plan: PriorPlan,
    values: FloatArray,
    compressed: str,
    selection: _Selection | None,
    folders: Sequence[Path],
) -> FloatArray:
    if selection is None:
        return _other_set(plan, compressed, folders)
    rows = selection.index - plan.members[0]
    outside = selection.index[(rows < 0) | (rows >= len(values))]
    if outside.size:
        raise PDFSetError(
            f"{compressed}: selects member {outside[0]}, but {plan.pdfset.name} has {plan.members[0]} to "
            f"{plan.members[-1]}; it is a selection from another prior, or of definition 'pycompressor'"
        )
    return values[rows]


def _other_set(plan: PriorPlan, name: str, folders: Sequence[Path]) -> FloatArray:
    if name == "demo":
        from compress_mpi.io.demo import cached_demo_set

        folders = [cached_demo_set(), *folders]
    pdfset = open_set(name, folders)
    require_replicas(pdfset, 1)
    require_scale(pdfset, plan.q0)
    return _read(plan, pdfset, range(1, pdfset.n_rep + 1))


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
        "q0": config.q0,
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
        f"            q0 = {settings['q0']:g} GeV, nf = {settings['nf']}, definition '{settings['definition']}', "
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
