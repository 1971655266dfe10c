"""Enhancement: a set with more replicas than the prior has, every new one a weighted sum of the prior's.

The replicas of the prior are read on their own knots; principal components of them say what
varies. A generator draws candidates, in which a network may have been trained somewhere
else; what the guards accept is written as an LHAPDF set, whose members LHAPDF
evolves as it evolves those of the prior.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from compress_mpi.io.datadir import is_linked
from compress_mpi.io.enhancedfile import EnhancedRecord, read_weights
from compress_mpi.io.enhancedset import default_filter
from compress_mpi.io.exportgrid import PIDS, export_xgrid
from compress_mpi.io.knots import KnotLayout, at_knot, knot_layout, read_knots
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.io.scales import read_at_scales
from compress_mpi.methods.enhancement.basis import Basis, basis_of
from compress_mpi.methods.enhancement.choose import Enhanced
from compress_mpi.methods.enhancement.choose import enhance as choose
from compress_mpi.methods.enhancement.guards import build_guard
from compress_mpi.methods.enhancement.kde import KDE, KDESettings
from compress_mpi.methods.enhancement.mix import Mix, MixSettings
from compress_mpi.methods.enhancement.quality import measure_quality
from compress_mpi.methods.enhancement.source import Drawn, Source
from compress_mpi.methods.enhancement.sum_rules import sum_rules
from compress_mpi.types import FloatArray
from compress_mpi.workflows.enhance_plan import (
    EnhancePlan,
    known_weights,
    require_prior_first,
    written_record,
)
from compress_mpi.workflows.enhance_record import record_of, summary_of
from compress_mpi.workflows.enhanced_set import (
    EnhancedContents,
    central_member,
    linked_set,
    write_enhanced_set,
)
from compress_mpi.workflows.pool import Pool, pool_of
from compress_mpi.workflows.prior import PriorPlan, read_grid_values
from compress_mpi.workflows.selection import Run, tell
from compress_mpi.workflows.training import stop_reason, train

__all__ = ["MadeSet", "enhance", "enhanced_pool"]


@dataclass(frozen=True)
class MadeSet:
    """An enhanced set.

    Attributes
    ----------
    pdfset : PDFSet
    weights : float64 (new, R) or None
        Of the new replicas; None for a set that somebody else has made.
    """

    pdfset: PDFSet
    weights: FloatArray | None


def enhance(job: Run, plan: EnhancePlan) -> MadeSet | None:
    """Make the enhanced set of a plan, unless it is there; collective.

    Parameters
    ----------
    job : Run
    plan : EnhancePlan

    Returns
    -------
    MadeSet or None
        None where somebody wants the job to stop.

    Raises
    ------
    EnhanceError
        On all ranks, if the generator is refused; the message names the figure.
    LaunchError, PDFSetError, OutputError
        On all ranks.
    """
    team = job.team
    if plan.existing is not None:
        known = team.on_root(lambda: known_weights(plan, job.prior.sha256))
        return MadeSet(plan.existing, _weights_there(job, plan, plan.existing.n_rep) if known else None)
    if team.on_root(lambda: written_record(plan, job.prior.sha256, job.options.restart) is not None):
        team.on_root(lambda: tell(f"{plan.tree.folder}: complete already"))
        return _made_before(job, plan)
    layout, knots = _read_knots(job)
    basis = team.on_root(lambda: basis_of(knots, plan.settings["variance"]))
    source = _source(job, plan, basis)
    if source is None:
        return None
    values = job.prior.values[job.prior.plan.first_row :]
    sums = team.on_root(lambda: _sums(layout, knots, job.prior.plan.scales[0]))
    chosen = choose(source, build_guard(values, basis, sums), plan.total - len(knots), team)
    evolved = _evolved(job, plan, knots)
    if evolved is None:
        return None
    weights = _weights(chosen, len(knots), team)
    quality = measure_quality(_new_values(chosen, values, team), values, job.source.config.seed, team)
    record = team.on_root(lambda: record_of(job, plan, basis, chosen, quality, weights))
    made = _write(job, plan, layout, knots, evolved, replace(record, weights=weights))
    team.on_root(lambda: tell(summary_of(plan, chosen, quality)))
    return MadeSet(made, weights)


def _made_before(job: Run, plan: EnhancePlan) -> MadeSet | None:
    """A set that is there; collective. A killed run may have left its links unmade."""
    team, weights = job.team, _weights_there(job, plan, plan.total)
    central = None
    if not team.on_root(lambda: is_linked(plan.tree, plan.total, plan.datadir)):
        layout, knots = _read_knots(job)
        evolved = _evolved(job, plan, knots)
        if evolved is None:
            return None
        central = team.on_root(lambda: central_member(layout, knots, evolved, weights))
    return MadeSet(team.on_root(lambda: linked_set(plan.tree, plan.total, plan.datadir, central)), weights)


def _weights_there(job: Run, plan: EnhancePlan, total: int) -> FloatArray:
    """Weights from the sidecar, one copy per node; collective."""
    n_rep = job.prior.plan.pdfset.n_rep
    return _shared(job.team, (total - n_rep, n_rep), lambda rows: read_weights(plan.tree.sidecar, rows))


def _shared(team: Any, shape: tuple[int, ...], rows_of: Callable[[range], FloatArray]) -> FloatArray:
    """An array with one copy per node whose rows the ranks work out in parts; collective."""
    shared = team.shared(shape)

    def fill(rows: range) -> None:
        shared.array[rows.start : rows.stop] = rows_of(rows)

    shared.fill(fill)
    return np.asarray(shared.array)


def _read_knots(job: Run) -> tuple[KnotLayout, FloatArray]:
    """All replicas on their own knots, one copy per node; collective."""
    pdfset = job.prior.plan.pdfset
    layout = job.team.on_root(lambda: knot_layout(pdfset))
    shared = job.team.shared((pdfset.n_rep, layout.size))

    def read(rows: range) -> None:
        read_knots(pdfset, [row + 1 for row in rows], layout, shared.array[rows.start : rows.stop])

    shared.fill(read)
    return layout, shared.array


def _evolved(job: Run, plan: EnhancePlan, knots: FloatArray) -> FloatArray | None:
    """What new replicas are sums of: the prior as it is, or evolved anew; collective. None where told to stop."""
    if plan.settings["evolution"] == "linear":
        return knots
    from compress_mpi.workflows.evolved_knots import evolved_knots

    prior = job.prior.plan
    say = (lambda text: None) if job.quiet else (lambda text: print(text, file=sys.stderr, flush=True))
    found = evolved_knots(
        prior.pdfset,
        prior.scales[0],
        job.team,
        stop=lambda: stop_reason(job) is not None,
        say=say,
        backend=prior.backend,
    )
    if found is None:
        return None
    word = "warning: " if found.noticeable or found.warnings else ""
    said = word + "\n".join([*found.warnings, *found.lines])
    job.team.on_root(lambda: tell(said))
    return found.shared.array


def _sums(layout: KnotLayout, knots: FloatArray, q0: float) -> FloatArray:
    """Momentum and valence of every replica at the knot next to a scale, float64 (R, sum)."""
    _, x, values = at_knot(layout, knots, q0)
    return sum_rules(np.moveaxis(values, 1, 2), x, layout.flavours)[1]


def _source(job: Run, plan: EnhancePlan, basis: Basis) -> Source | None:
    """The generator, trained if need be; None where the training was told to stop."""
    settings, seed = plan.settings, job.source.config.seed
    if plan.kind == "mix":
        return Mix(basis.n_rep, MixSettings(spread=settings["spread"]), seed, plan.origins)
    if plan.kind == "kde":
        return KDE(basis, KDESettings(bandwidth=settings["bandwidth"]), seed)
    output = job.team.on_root(lambda: train(job, plan, basis))
    return None if output is None else Drawn(plan.kind, basis, output.candidates)


def _weights(chosen: Enhanced, n_rep: int, team: Any) -> FloatArray:
    """Weights of the new replicas, one copy per node; collective."""
    return _shared(team, (len(chosen.numbers), n_rep), chosen.weights)


def _new_values(chosen: Enhanced, values: FloatArray, team: Any) -> FloatArray:
    """New replicas on the grid of the compression, one copy per node; collective."""
    shape = (len(chosen.numbers), *values.shape[1:])
    return _shared(team, shape, lambda rows: chosen.values(values, rows))


def _write(
    job: Run,
    plan: EnhancePlan,
    layout: KnotLayout,
    knots: FloatArray,
    evolved: FloatArray,
    record: EnhancedRecord,
) -> PDFSet:
    """Tree, links and sidecar; collective."""
    pdfset, q0 = job.prior.plan.pdfset, job.prior.plan.scales[0]
    x = job.team.on_root(lambda: export_xgrid("n3fit", at_knot(layout, knots[:1], q0)[1]))
    contents = EnhancedContents(
        prior=pdfset,
        layout=layout,
        knots=knots,
        evolved=evolved,
        record=record,
        q0=q0,
        x=x,
        grids=_export_values(job.prior.plan, x, q0, job.team),
        description=(
            f"{record.total} replicas: {pdfset.n_rep} of {pdfset.name} and {len(record.weights)} made of them by"
            f" compress-mpi (generator {plan.kind}, seed {record.seed})"
        ),
        filter_yml=default_filter(pdfset, q0),
        runcard=job.source.text,
    )
    return write_enhanced_set(contents, plan.folder, plan.datadir, job.team)


def _export_values(plan: PriorPlan, x: FloatArray, q0: float, team: Any) -> FloatArray:
    """The prior on the export grid, one copy per node; collective."""

    def read(rows: range) -> FloatArray:
        return read_at_scales(plan.pdfset, [row + 1 for row in rows], PIDS, [(q0, x)], plan.backend)[0]

    return _shared(team, (plan.pdfset.n_rep, len(PIDS), len(x)), read)


def enhanced_pool(job: Run, plan: EnhancePlan, made: MadeSet) -> Pool:
    """All replicas of an enhanced set on the grid of the compression, one copy per node; collective.

    Parameters
    ----------
    job : Run
    plan : EnhancePlan
    made : MadeSet
    """
    prior, first = job.prior, job.prior.plan.first_row
    shared = job.team.shared((first + made.pdfset.n_rep, *prior.values.shape[1:]))
    # what this program has written begins with the files of the prior, which have been read
    known = len(prior.values) if made.weights is not None else first

    def fill(rows: range) -> None:
        for row in rows:
            if row < known:
                shared.array[row] = prior.values[row]
        rest = [row for row in rows if row >= known]
        if rest:
            members = [row - first + 1 for row in rest]
            shared.array[rest[0] : rest[-1] + 1] = read_grid_values(prior.plan, made.pdfset, members)

    shared.fill(fill)
    if made.weights is None:
        job.team.on_root(lambda: _compare(plan.name, shared.array, prior.values, first))
    numbers = np.arange(1 - first, made.pdfset.n_rep + 1)
    return pool_of(made.pdfset, numbers, shared.array, job.reference, job.team, made.weights)


def _compare(name: str, values: FloatArray, prior: FloatArray, first: int) -> None:
    spread = prior[first:].std(axis=0)
    same = values[: len(prior)][: len(values)] - prior[: len(values)]
    shift = np.abs(np.divide(same, spread, out=np.zeros_like(same), where=spread > 0)).max()
    said = require_prior_first(name, float(shift))
    if said is not None:
        tell(f"warning: {said}")
