"""The main task: select the replicas that best reproduce a prior.

Read from top to bottom, this is what happens between a runcard and its results.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from compress_mpi.errors import EXIT_REQUEUE
from compress_mpi.io.atomic import sweep
from compress_mpi.io.runcard import RuncardSource, load_runcard, without_enhancement
from compress_mpi.io.store import read_tree
from compress_mpi.methods.selection.error_function import Reference, build_reference
from compress_mpi.methods.selection.estimators import ESTIMATORS
from compress_mpi.methods.selection.normalisation import random_distances
from compress_mpi.methods.selection.search import warm_up
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.parallel.signals import StopSignals
from compress_mpi.parallel.threads import threads_per_rank
from compress_mpi.workflows.auto import find_smallest, measure_with
from compress_mpi.workflows.budget import settings_of
from compress_mpi.workflows.conclusion import write_own_files
from compress_mpi.workflows.outputs import (
    Outputs,
    companions_missing,
    first_phase,
    merge_lines,
    names_a_file,
    plan_outputs,
    require_writable,
)
from compress_mpi.workflows.pool import prior_pool
from compress_mpi.workflows.prior import Prior, PriorPlan, load_prior, plan_prior
from compress_mpi.workflows.record_files import resume
from compress_mpi.workflows.selection import Options, Run, tell
from compress_mpi.workflows.several import run_sizes, table
from compress_mpi.workflows.targets import planned_sizes, target_of

if TYPE_CHECKING:
    from compress_mpi.workflows.enhance_plan import EnhancePlan
    from compress_mpi.workflows.polish import Polishing

__all__ = ["Options", "run"]

# What belongs to enhancement and polish is imported where a runcard asks for it: every rank pays for imports.


def run(options: Options, team: Any, signals: StopSignals) -> int:
    """Run a ``compress`` runcard; collective.

    Parameters
    ----------
    options : Options
    team : MPITeam or SerialTeam
        Of the whole job.
    signals : StopSignals
        Open since before MPI was started.

    Returns
    -------
    int
        Exit code, see ``errors.EXIT_CODES``.

    Raises
    ------
    CompressError
        On all ranks, for anything that is refused or fails.
    """
    began = time.monotonic()
    source, plan, outputs, more = team.on_root(lambda: _prepare(options))
    limit = source.config.time_limit
    prior = load_prior(plan, team)
    reference = team.on_root(lambda: _reference(source, prior))
    job = Run(
        source,
        prior,
        reference,
        prior_pool(prior, reference, team),
        team,
        threads_per_rank(team, options.threads),
        signals,
        began + limit if limit is not None else np.inf,
        options,
    )
    if source.config.task == "enhance" and more is not None:
        return _enhance_only(job, more)
    team.in_turn(lambda: _warm_up(job))
    if isinstance(source.config.compressed, str):
        return _find_smallest(replace(job, results_only=True))
    job = replace(job, polishing=_polishing(job))
    if more is not None:
        return _with_enhancement(job, outputs, more)
    return _select_all(job, outputs)


def _prepare(options: Options) -> tuple[RuncardSource, PriorPlan, list[Outputs], EnhancePlan | None]:
    """Refuse whatever can be refused before any work is done."""
    source = load_runcard(options.runcard, options.overrides)
    plan = plan_prior(source.config, options.folders, options.backend or source.config.backend)
    more = _plan_enhancement(source, plan, options) if source.config.enhanced else None
    sizes = planned_sizes(source.config, len(plan.members))
    outputs = _make_ready(source, plan, sizes, more.name if more is not None else "")
    said = [*source.warnings, *plan.warnings, *(more.warnings if more is not None else ())]
    if plan.combination is not None and source.config.polish.radius is not None:
        said.append(
            "polish: the prior comes from several sets, and polished replicas combine replicas of all of them; where"
            " the sets differ in alpha_s or quark masses, such a replica obeys the evolution of none"
        )
    for warning in said:
        tell(f"warning: {warning}")
    return source, plan, outputs, more


def _plan_enhancement(source: RuncardSource, plan: PriorPlan, options: Options) -> EnhancePlan:
    from compress_mpi.workflows.enhance_plan import plan_enhancement, refuse_other_set

    more = plan_enhancement(source, plan, options.folders)
    if not options.restart:
        refuse_other_set(more)
    return more


def _polishing(job: Run) -> Polishing | None:
    """What a polish needs, where one is asked for; collective."""
    if job.source.config.polish.radius is None:
        return None
    from compress_mpi.workflows.polish import prepare_polish

    return prepare_polish(job.source.config.polish, job.prior, job.reference, job.team)


def _make_ready(
    source: RuncardSource, plan: PriorPlan, sizes: Sequence[int], pool: str = ""
) -> list[Outputs]:
    """The files of some sizes: refused where they cannot be, else their folders made."""
    numbered = isinstance(source.config.compressed, str) or None
    outputs = plan_outputs(source.config.output, plan.pdfset.name, sizes, numbered, pool)
    every = [*outputs, *_first_phases(source, outputs).values()] if pool else outputs
    for output in every:
        require_writable(output)
        if output.result.exists():
            read_tree(output.result)
    for output in every:
        output.folder.mkdir(parents=True, exist_ok=True)
        sweep(output.result)
    return outputs


def _first_phases(source: RuncardSource, outputs: Sequence[Outputs]) -> dict[int, Outputs]:
    folder_named = not names_a_file(source.config.output)
    return {output.n_rep: first_phase(output, folder_named) for output in outputs}


def _reference(source: RuncardSource, prior: Prior) -> Reference:
    reference = build_reference(prior.values, source.config.estimators.names, prior.plan.nodes)
    if len(reference.dropped) and "correlation" in reference.names:
        where = ", ".join(f"{prior.plan.label(f)}@{prior.plan.xgrid[x]:.3g}" for f, x in reference.dropped)
        tell(
            f"warning: correlation: {len(reference.dropped)} of {len(reference.dropped) + len(reference.points)} "
            f"points are determined by the others and left out (flavour@x): {where}"
        )
    return reference


def _warm_up(job: Run) -> None:
    """Compile, or read from the cache, what the search will call."""
    alone, settings = SerialTeam(), settings_of(job.source.config, 2, len(job.pool.values))
    random_distances(job.pool.problem, 2, 1, 0, alone)
    warm_up(settings, job.pool.problem, np.ones(len(ESTIMATORS)), alone)


def _select_all(job: Run, outputs: Sequence[Outputs]) -> int:
    outcomes = run_sizes(job, outputs)
    if not all(outcome.complete for outcome in outcomes):
        return EXIT_REQUEUE
    if len(outcomes) > 1:
        job.team.on_root(lambda: tell(table(outcomes)))
    return 0


def _enhance_only(job: Run, more: EnhancePlan) -> int:
    from compress_mpi.workflows.enhance import enhance

    return 0 if enhance(job, more) is not None else EXIT_REQUEUE


def _with_enhancement(job: Run, outputs: Sequence[Outputs], more: EnhancePlan) -> int:
    """The prior alone, then the enhanced set."""
    from compress_mpi.workflows.enhance import enhance, enhanced_pool

    first = _first_phases(job.source, outputs)
    alone = replace(job, source=without_enhancement(job.source), polishing=None)
    code = _select_all(alone, list(first.values()))
    if code:
        return code
    enhanced = enhance(job, more)
    if enhanced is None:
        return EXIT_REQUEUE
    pool = enhanced_pool(job, more, enhanced)
    return _select_all(replace(job, pool=pool, first=first), outputs)


def _find_smallest(job: Run) -> int:
    """Sizes by the target of the runcard in place of a list."""
    config, plan = job.source.config, job.prior.plan
    target = target_of(config.auto, len(plan.members))
    measure = measure_with(
        target, job.reference.names, job.pool.problem, config.trials, config.seed, job.team
    )
    return find_smallest(
        job,
        target,
        measure,
        lambda sizes: _make_ready(job.source, plan, sizes),
        lambda output, mark: _publish(replace(job, results_only=False), output, mark),
    )


def _publish(job: Run, output: Outputs, mark: Mapping[str, Any]) -> str:
    """All files of a size whose result is complete, and why it was chosen; what to say about it."""
    record = resume(output.result, job.source, job.prior, job.reference, output.n_rep)
    outcome = job.outcome(output, record)
    if record.target == mark["target"] and record.compressed_set and not companions_missing(output):
        return outcome.text
    write_own_files(job.source.config, job.pool.pdfset, job.prior.plan.pdfset, output, record)
    merge_lines([outcome.lines] if outcome.lines is not None else [])
    record.chosen(mark)
    record.completed(output.set_name)
    record.write()
    return outcome.text
