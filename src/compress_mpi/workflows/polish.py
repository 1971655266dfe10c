"""Polish: the selected replicas, moved a little, as a set of their own beside the pure selection.

The selection stays the answer; what is polished is written beside it, with the weights by which every
replica is made of the prior's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.io.knots import grid_of, knot_layout, read_knots
from compress_mpi.io.pdfset import PDFSet, open_set
from compress_mpi.io.scales import read_at_scales
from compress_mpi.io.settings import Polish
from compress_mpi.io.setwriter import write_replicas
from compress_mpi.methods.enhancement.basis import Basis, basis_of
from compress_mpi.methods.enhancement.linear import combine
from compress_mpi.methods.polish.held_out import held_out
from compress_mpi.methods.polish.polish import Polished
from compress_mpi.methods.polish.polish import polish as polish_starts
from compress_mpi.methods.polish.settings import PolishSettings
from compress_mpi.methods.polish.target import build_target
from compress_mpi.methods.selection.error_function import Reference, distances
from compress_mpi.types import FloatArray, IntArray
from compress_mpi.workflows.outputs import Outputs
from compress_mpi.workflows.pool import Pool
from compress_mpi.workflows.prior import Prior, PriorPlan, read_grid_values
from compress_mpi.workflows.record import Record

__all__ = [
    "Polishing",
    "polish_selection",
    "polished_name",
    "prepare_polish",
    "write_polished_set",
]

_VARIANCE = 0.99999
_HEADER = "PdfType: replica\nFormat: lhagrid1"
_ROWS = 64
_ELSEWHERE = (2.5, 10.0, 73.0)
"""Scales in GeV, away from that of the comparison, at which the polish is judged."""


@dataclass(frozen=True, eq=False)
class Polishing:
    """What the sizes of one launch have in common.

    Attributes
    ----------
    config : Polish
        What the runcard asks for.
    settings : PolishSettings
    prior : Prior
    reference : Reference
        Of the prior.
    basis : Basis
    directions : float64 (component, scale * flavour, x)
        Change of the values per unit of each component.
    elsewhere : float64 (R, point)
        The prior where nothing is fitted: other scales, nodes between, all flavours of the set; one copy per node.
    scales : tuple of float
        Those scales, GeV.
    """

    config: Polish
    settings: PolishSettings
    prior: Prior
    reference: Reference
    basis: Basis
    directions: FloatArray
    elsewhere: FloatArray
    scales: tuple[float, ...]


def prepare_polish(config: Polish, prior: Prior, reference: Reference, team: Any) -> Polishing | None:
    """Components of the prior and its values elsewhere; collective. None where no polish is asked for."""
    if config.radius is None:
        return None
    settings = PolishSettings(radius=config.radius, steps=config.steps, candidates=config.candidates)
    values = prior.values[prior.plan.first_row :]
    basis, directions = team.on_root(lambda: _directions(values))
    scales = _scales(prior.plan)
    elsewhere = _read_elsewhere(prior.plan, scales, team)
    return Polishing(config, settings, prior, reference, basis, directions, elsewhere, scales)


def _directions(values: FloatArray) -> tuple[Basis, FloatArray]:
    basis = basis_of(values, _VARIANCE)
    return basis, combine(basis.weights, values)


def _scales(plan: PriorPlan) -> tuple[float, ...]:
    inside = [q for q in _ELSEWHERE if plan.pdfset.q_min <= q <= plan.pdfset.q_max and q not in plan.scales]
    return tuple(inside) or plan.scales


def _read_elsewhere(plan: PriorPlan, scales: Sequence[float], team: Any) -> FloatArray:
    x = np.sqrt(plan.xgrid[1:] * plan.xgrid[:-1])[::2]
    grids = [(q, x) for q in scales]
    shared = team.shared((plan.pdfset.n_rep, len(scales) * len(plan.pdfset.flavours) * len(x)))

    def fill(rows: range) -> None:
        members = [row + 1 for row in rows]
        found = read_at_scales(plan.pdfset, members, plan.pdfset.flavours, grids, plan.backend)
        shared.array[rows.start : rows.stop] = np.concatenate(found, axis=1).reshape(len(rows), -1)

    shared.fill(fill)
    return shared.array


def polished_name(output: Outputs) -> str:
    """Name of the polished set."""
    return f"{output.set_name}_polished"


def polish_selection(
    polishing: Polishing,
    pool: Pool,
    output: Outputs,
    record: Record,
    norm: FloatArray,
    seed: int,
    team: Any,
) -> None:
    """Polish the best selections of a record and write the polished set; collective.

    Raises
    ------
    PDFSetError, OutputError
        On all ranks.
    """
    settings, reference, prior = polishing.settings, polishing.reference, polishing.prior
    selections = team.on_root(lambda: record.selections()[: settings.candidates])
    starts = [pool.values[pool.rows(index)] for index in selections]
    values = prior.values[prior.plan.first_row :]
    target = build_target(values, reference, norm, output.n_rep, seed, team, settings.rare)
    found = polish_starts(starts, polishing.directions, target, reference, norm, settings, seed, team)
    team.on_root(lambda: _take_in(polishing, pool, output, record, norm, selections, found))


def _take_in(
    polishing: Polishing,
    pool: Pool,
    output: Outputs,
    record: Record,
    norm: FloatArray,
    selections: Sequence[IntArray],
    found: Polished,
) -> None:
    """Write the set, judge it as it reads back, and note everything."""
    plan, config = polishing.prior.plan, polishing.config
    refusals = ["" if reason is None else reason for reason in found.refused]
    facts: dict[str, Any] = {"settings": json.dumps(config.model_dump()), "refused": json.dumps(refusals)}
    if found.best is None:
        record.polished(facts, {"candidate_erf": found.erfs})
        return
    parents = selections[found.best.start]
    before = pool.weights_of(pool.rows(parents), len(polishing.elsewhere))
    after = before + combine(found.best.displacement, polishing.basis.weights)
    arrays = {
        "parents": parents,
        "weights": after,
        "displacement": found.best.displacement,
        "kept": found.best.kept,
        "candidate_erf": found.erfs,
        "curve": found.best.curve,
    }
    record.polished(facts, arrays)
    made = write_polished_set(plan.pdfset, output, record)
    values = read_grid_values(plan, made, range(1, output.n_rep + 1))
    judged = {
        name: held_out(combine(weights, polishing.elsewhere), polishing.elsewhere).as_dict()
        for name, weights in (("selected", before), ("polished", after))
    }
    erf = float(np.mean(distances(values, polishing.reference) / norm))
    facts |= {
        "set": made.name,
        "erf": erf,
        "start_erf": found.best.start_erf,
        "held_out": json.dumps({"scales": list(polishing.scales), **judged}),
    }
    record.polished(facts, arrays)


def write_polished_set(prior: PDFSet, output: Outputs, record: Record) -> PDFSet:
    """Write the polished set of a record: sums of the prior's replicas on every knot.

    Raises
    ------
    PDFSetError, OutputError
    """
    weights, parents = record.polish_array("weights"), record.polish_array("parents")
    layout = knot_layout(prior)
    rows, block = np.zeros((len(weights), layout.size)), np.empty((_ROWS, layout.size))
    # a piece of the prior at a time: all of its knots would be large
    for start in range(0, prior.n_rep, _ROWS):
        members = range(start + 1, min(start + _ROWS, prior.n_rep) + 1)
        read_knots(prior, members, layout, block[: len(members)])
        rows += combine(weights[:, start : start + len(members)], block[: len(members)])
    headers = [f"{_HEADER}\nPolishedFrom: {output.selected_from} {parent}" for parent in parents]
    grids = [grid_of(layout, row, header) for row, header in zip(rows, headers, strict=True)]
    name = polished_name(output)
    description = (
        f"{output.n_rep} replicas of {output.selected_from} selected and polished by compress-mpi: each is a weighted"
        f" sum of replicas of {prior.name}; weights in {Path(output.result).name}"
    )
    write_replicas(prior, grids, output.folder, name, description)
    return open_set(str(output.folder.absolute() / name))
