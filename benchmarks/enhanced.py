"""What enhancement and polish bring: error functions at equal numbers of evaluations, and the time of a polish."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from case import Case, Scale
from compress_mpi.methods.enhancement.basis import Basis, basis_of
from compress_mpi.methods.enhancement.choose import enhance
from compress_mpi.methods.enhancement.guards import build_guard
from compress_mpi.methods.enhancement.linear import combine
from compress_mpi.methods.enhancement.mix import Mix, MixSettings
from compress_mpi.methods.polish.polish import polish
from compress_mpi.methods.polish.settings import PolishSettings
from compress_mpi.methods.polish.target import build_target
from compress_mpi.methods.selection.error_function import error_function
from compress_mpi.methods.selection.problem import Problem, build_problem, correlation_columns, standardise
from compress_mpi.methods.selection.search import IslandSearch, search_settings
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.types import FloatArray, IntArray
from measures import Outcome, ratios

__all__ = ["measure"]

_RADIUS = 0.3
_TIMES = 3


@dataclass(frozen=True)
class _Pool:
    """Prior and new replicas of one seed."""

    values: FloatArray
    problem: Problem


def measure(case: Case, scale: Scale) -> Outcome:
    """Compare at every size of ``scale``, over ``scale.repeats`` seeds of generator, search and polish."""
    outcome = Outcome(
        "error function of the default minimiser on one core, against the prior alone at equal evaluations",
        {
            "set": case.name,
            "replicas": len(case.values),
            "pool": _TIMES * len(case.values),
            "generator": "mix",
            "iterations of a phase": scale.chain_iterations,
            "polish radius": _RADIUS,
        },
    )
    basis = basis_of(case.values)
    pools = [_pool(case, basis, seed) for seed in range(scale.repeats)]
    for n_select in scale.sizes:
        _measure_size(case, scale, n_select, basis, pools, outcome)
    return outcome


def _pool(case: Case, basis: Basis, seed: int) -> _Pool:
    source = Mix(basis.n_rep, MixSettings(), seed)
    n_new = (_TIMES - 1) * basis.n_rep
    chosen = enhance(source, build_guard(case.values, basis), n_new, SerialTeam(1))
    values = np.concatenate([case.values, chosen.values(case.values)])
    z = standardise(values, case.reference)
    return _Pool(values, build_problem(z, z[:, correlation_columns(case.reference)], case.reference))


def _measure_size(
    case: Case, scale: Scale, n_select: int, basis: Basis, pools: list[_Pool], outcome: Outcome
) -> None:
    norm = case.normalisation(n_select, scale.trials)
    directions = combine(basis.weights, case.values)
    target = build_target(case.values, case.reference, norm, n_select, 0, SerialTeam(1))
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for seed, pool in enumerate(pools):
        own = _Pool(case.values, case.problem)
        first = _search(case, norm, own, n_select, seed, scale.chain_iterations)
        long = _search(case, norm, own, n_select, seed, 3 * scale.chain_iterations)
        direct = _search(case, norm, pool, n_select, seed, scale.chain_iterations)
        starts = (first[1], direct[1])
        adiabatic = _search(case, norm, pool, n_select, seed, scale.chain_iterations, starts)
        note("prior alone, one phase", first[0])
        note("prior alone, equal evaluations", long[0])
        note("direct", direct[0])
        note("adiabatic", adiabatic[0])
        note("enhanced", min(first[0], direct[0], adiabatic[0]))
        best = direct if direct[0] <= adiabatic[0] else adiabatic
        for name, values, (erf, rows) in (
            ("the prior's selection", case.values, first),
            ("the enhanced selection", pool.values, best),
        ):
            began = time.process_time()
            polished = polish(
                [values[rows]],
                directions,
                target,
                case.reference,
                norm,
                PolishSettings(radius=_RADIUS, candidates=1),
                seed,
                SerialTeam(1),
            )
            note(f"{name}, polished", polished.best.erf if polished.best is not None else erf)
            note(f"polish of {name}: processor time", time.process_time() - began)
            note(f"{name}, polished / not", found[f"{name}, polished"][-1] / erf)
    found["enhanced / prior alone at equal evaluations"] = ratios(
        found["enhanced"], found["prior alone, equal evaluations"]
    )
    for name, values in found.items():
        unit = "x" if " / " in name else "s" if "time" in name else "1"
        outcome.add(f"N = {n_select}: {name}", unit, values)


def _search(
    case: Case,
    norm: FloatArray,
    pool: _Pool,
    n_select: int,
    seed: int,
    iterations: int,
    starts: Sequence[IntArray] = (),
) -> tuple[float, IntArray]:
    settings = search_settings("tempering", n_select, iterations, seed, descent=False)
    settings = replace(settings, starts=tuple(tuple(start.tolist()) for start in starts))
    search = IslandSearch(settings, pool.problem, case.weights(norm), SerialTeam(1))
    while not search.done:
        search.advance()
    rows = search.best()[1]
    return error_function(pool.values[rows], case.reference, norm), rows
