"""The main task: select the replicas that best reproduce a prior.

Read from top to bottom, this is what happens between a runcard and its results.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import EXIT_REQUEUE
from compress_mpi.io.atomic import sweep
from compress_mpi.io.runcard import RuncardSource, load_runcard
from compress_mpi.io.setwriter import write_subset
from compress_mpi.io.store import read_tree
from compress_mpi.methods.selection.error_function import Reference, build_reference, distances
from compress_mpi.methods.selection.estimators import ESTIMATORS
from compress_mpi.methods.selection.island import SearchSettings
from compress_mpi.methods.selection.normalisation import bootstrap_spread, normalisation, random_distances
from compress_mpi.methods.selection.problem import Problem, build_problem, correlation_columns, standardise
from compress_mpi.methods.selection.search import MINIMISERS, IslandSearch, idle_members, search_settings
from compress_mpi.parallel.info import mpi_library
from compress_mpi.parallel.progress import Progress
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.parallel.signals import StopSignals
from compress_mpi.parallel.threads import threads_per_rank
from compress_mpi.types import FloatArray
from compress_mpi.workflows.outputs import Outputs, plan_outputs, require_writable, write_companions
from compress_mpi.workflows.prior import Prior, PriorPlan, load_prior, plan_prior
from compress_mpi.workflows.record import Launch, Record, resume, start

__all__ = ["Options", "run"]

_GO_ON, _CHECKPOINT, _STOP = 0, 1, 2


@dataclass(frozen=True)
class Options:
    """What the command line adds to a runcard.

    Attributes
    ----------
    runcard : Path
    overrides : sequence of str
        ``key=value``.
    restart : bool
        Start over although there is a result.
    threads : int or None
        Threads per rank; None takes the cores that are there.
    backend : str or None
        Reader of LHAPDF sets; None takes the runcard's.
    folders : sequence of Path
        Where to look for sets first.
    quiet : bool
        No progress.
    """

    runcard: Path
    overrides: Sequence[str] = ()
    restart: bool = False
    threads: int | None = None
    backend: str | None = None
    folders: Sequence[Path] = ()
    quiet: bool = False


@dataclass(frozen=True)
class _Run:
    """What the sizes of one launch have in common."""

    source: RuncardSource
    prior: Prior
    reference: Reference
    problem: Problem
    team: Any
    threads: int
    signals: StopSignals
    deadline: float
    options: Options


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
    source, plan, outputs = team.on_root(lambda: _prepare(options))
    limit = source.config.time_limit
    prior = load_prior(plan, team)
    reference = team.on_root(lambda: _reference(source, prior))
    run = _Run(
        source,
        prior,
        reference,
        _problem(prior, reference, team),
        team,
        threads_per_rank(team, options.threads),
        signals,
        began + limit if limit is not None else np.inf,
        options,
    )
    team.in_turn(lambda: _warm_up(run))
    for output in outputs:
        code = _compress(run, output)
        if code:
            return code
    return 0


def _prepare(options: Options) -> tuple[RuncardSource, PriorPlan, list[Outputs]]:
    """Refuse whatever can be refused before any work is done."""
    source = load_runcard(options.runcard, options.overrides)
    plan = plan_prior(source.config, options.folders, options.backend or source.config.backend)
    outputs = plan_outputs(source.config.output, plan.pdfset.name, source.config.compressed)
    for output in outputs:
        require_writable(output)
        if output.result.exists():
            read_tree(output.result)
    for output in outputs:
        output.folder.mkdir(parents=True, exist_ok=True)
        sweep(output.result)
    for warning in (*source.warnings, *plan.warnings):
        _tell(f"warning: {warning}")
    return source, plan, outputs


def _reference(source: RuncardSource, prior: Prior) -> Reference:
    reference = build_reference(prior.values, source.config.estimators.names, prior.plan.nodes)
    if len(reference.dropped) and "correlation" in reference.names:
        where = ", ".join(f"{prior.plan.flavours[f]}@{prior.plan.xgrid[x]:.3g}" for f, x in reference.dropped)
        _tell(
            f"warning: correlation: {len(reference.dropped)} of {len(reference.dropped) + len(reference.points)} "
            f"points are determined by the others and left out (flavour@x): {where}"
        )
    return reference


def _problem(prior: Prior, reference: Reference, team: Any) -> Problem:
    """Standardised prior, again one copy per node."""
    columns = correlation_columns(reference)
    n_rep, n_point = len(prior.values), int((~reference.constant).sum())
    z, zc = team.shared((n_rep, n_point)), team.shared((n_rep, len(columns)))

    def fill(rows: range) -> None:
        part = slice(rows.start, rows.stop)
        z.array[part] = standardise(prior.values[part], reference)

    def fill_columns(rows: range) -> None:
        part = slice(rows.start, rows.stop)
        zc.array[part] = z.array[part][:, columns]

    z.fill(fill)
    zc.fill(fill_columns)
    return build_problem(z.array, zc.array, reference)


def _warm_up(run: _Run) -> None:
    """Compile, or read from the cache, what the search will call."""
    alone, settings = SerialTeam(), _settings(run, n_select=2, max_iteration=1)
    random_distances(run.problem, 2, 1, 0, alone)
    MINIMISERS[settings.minimizer](0, settings, run.problem, np.ones(len(ESTIMATORS))).warm_up(alone)


def _settings(run: _Run, n_select: int, max_iteration: int | None = None) -> SearchSettings:
    config = run.source.config
    return search_settings(
        config.minimizer, n_select, max_iteration or config.max_iteration, config.seed, config.islands
    )


def _compress(run: _Run, output: Outputs) -> int:
    """Select one subset."""
    team = run.team
    record = team.on_root(lambda: _earlier(run, output))
    if record is not None and record.complete:
        team.on_root(lambda: _report_complete(run, output, record))
        return 0
    record = record or _begin(run, output)
    norm = team.on_root(lambda: _normalise(run, record))
    search = _search(run, output, record, norm)
    record.launched(Launch(platform.node(), mpi_library(), team.size, team.n_nodes, run.threads))
    _save(run, record, search, norm, np.zeros(0), "running")
    if _advance(run, output, record, search, norm):
        team.on_root(lambda: _conclude(run, output, record))
        return 0
    if team.rank == 0:
        _tell(
            f"{output.result}: stopped ({_why(run)}) after iteration {search.iteration}; start again to go on"
        )
    return EXIT_REQUEUE


def _earlier(run: _Run, output: Outputs) -> Record | None:
    if run.options.restart or not output.result.exists():
        return None
    return resume(output.result, run.source, run.prior, run.reference, output.n_rep)


def _begin(run: _Run, output: Outputs) -> Record:
    """Evaluate the random subsets and start a record with them."""
    config, team = run.source.config, run.team
    found = random_distances(run.problem, output.n_rep, config.trials, config.seed, team)
    random = found[:, [ESTIMATORS.index(name) for name in run.reference.names]]
    return team.on_root(
        lambda: start(output.result, run.source, run.prior, run.reference, output.n_rep, random)
    )


def _normalise(run: _Run, record: Record) -> FloatArray:
    norm = normalisation(record.random, record.names)
    record.normalised(norm, bootstrap_spread(record.random, run.source.config.seed, record.n_rep))
    return norm


def _search(run: _Run, output: Outputs, record: Record, norm: FloatArray) -> IslandSearch:
    weights = np.zeros(len(ESTIMATORS))
    for name, value in zip(record.names, norm, strict=True):
        weights[ESTIMATORS.index(name)] = 1.0 / (len(norm) * value)
    search = IslandSearch(_settings(run, output.n_rep), run.problem, weights, run.team, run.threads)
    if record.checkpoint:
        search.restore(record.checkpoint, record.history)
    if run.team.rank == 0:
        _announce(run, output, search)
    return search


def _announce(run: _Run, output: Outputs, search: IslandSearch) -> None:
    ranks, settings = run.team.size, search.settings
    idle = idle_members(settings, ranks, next(iter(search.islands.values())))
    if idle:
        _tell(
            f"warning: {idle} of {ranks} ranks sit idle: {settings.islands} islands of '{settings.minimizer}' "
            f"use at most {ranks - idle}; raise 'islands' or ask for fewer ranks"
        )
    if search.iteration:
        _tell(f"{output.result}: going on after iteration {search.iteration}")


def _advance(run: _Run, output: Outputs, record: Record, search: IslandSearch, norm: FloatArray) -> bool:
    """Search until the end or until somebody wants to stop, with checkpoints; whether it is the end."""
    earlier, began = record.seconds, time.monotonic()
    saved, times = began, [record.elapsed]
    progress = Progress(
        search.settings.max_iteration,
        f"compress N={output.n_rep}",
        enabled=run.team.rank == 0 and not run.options.quiet,
        start=search.iteration,
        start_evaluations=search.evaluations,
    )
    order = _GO_ON
    with progress:
        while not search.done and order != _STOP:
            search.advance()
            now = time.monotonic()
            times.append(np.full(len(search.history[-1]), earlier + now - began))
            progress.update(search.iteration, erf=search.erf, evaluations=search.evaluations)
            order = _order(run, now - saved)
            if order != _GO_ON or search.done:
                end = _why(run) if order == _STOP and not search.done else "running"
                _save(run, record, search, norm, np.concatenate(times), end)
                saved = time.monotonic()
    return search.done


def _order(run: _Run, since_saved: float) -> int:
    """What all ranks do next: the strongest wish of any of them."""
    wish = _GO_ON
    if run.signals.received is not None or (run.team.rank == 0 and time.monotonic() > run.deadline):
        wish = _STOP
    elif run.team.rank == 0 and since_saved >= run.source.config.checkpoint_interval:
        wish = _CHECKPOINT
    return int(-run.team.min(np.array([-float(wish)]))[0])


def _why(run: _Run) -> str:
    return run.signals.received or "time_limit"


def _save(
    run: _Run, record: Record, search: IslandSearch, norm: FloatArray, seconds: FloatArray, end: str
) -> None:
    """Write a checkpoint with the best subset so far; collective."""
    state = search.state()
    _, rows = search.best()

    def write() -> None:
        history = np.concatenate(search.history) if search.history else np.zeros(0)
        record.progressed(history, seconds if len(seconds) else record.elapsed, state)
        # what is written down is judged by the reference, not by the kernel
        found = distances(run.prior.values[rows], run.reference)
        members = np.array([run.prior.plan.members[row] for row in rows], dtype=np.int64)
        record.selected(members, found, float(np.mean(found / norm)))
        record.ended(end)
        record.write()

    run.team.on_root(write)


def _conclude(run: _Run, output: Outputs, record: Record) -> None:
    """Write everything else; only then is the result complete."""
    _write_outputs(run, output, record)
    record.completed(output.set_name)
    record.ended("complete")
    record.write()
    _tell(_summary(run, output, record))


def _write_outputs(run: _Run, output: Outputs, record: Record) -> None:
    config, index = run.source.config, np.asarray(record.tree.datasets["/selection/index"])
    description = (
        f"{output.n_rep} replicas of {output.pdf} selected by compress-mpi "
        f"({config.minimizer}, seed {config.seed}, ERF {record.tree.attributes['/selection', 'erf']:.6g})"
    )
    write_subset(run.prior.plan.pdfset, index.tolist(), output.folder, output.set_name, description)
    write_companions(
        output,
        index,
        record.history,
        dict(zip(record.names, record.random.T, strict=True)),
        {name: record.tree.attributes[f"/estimators/{name}", "erf"] for name in record.names},
    )


def _report_complete(run: _Run, output: Outputs, record: Record) -> None:
    """Nothing left to search; make up for companions that are gone."""
    if not (output.folder / output.set_name).exists() or not output.compress_dat.exists():
        _write_outputs(run, output, record)
    _tell(f"{output.result}: complete already; --restart starts over\n{_summary(run, output, record)}")


def _summary(run: _Run, output: Outputs, record: Record) -> str:
    norm = np.array([record.tree.attributes[f"/estimators/{n}", "normalisation"] for n in record.names])
    typical = float(np.median(np.mean(record.random / norm, axis=1)))
    rows = [
        f"{output.pdf}: {output.n_rep} of {len(run.prior.plan.members)} replicas, "
        f"ERF {record.tree.attributes['/selection', 'erf']:.6g} (random subsets: median {typical:.3g}), "
        f"search {record.seconds:.1f} s",
        f"  result          {output.result}",
        f"  compressed set  {output.folder / output.set_name}",
        f"  pyCompressor    {output.compress_dat}, {output.erf_random.parent}/",
    ]
    return "\n".join(rows)


def _tell(text: str) -> None:
    stream = sys.stderr if text.startswith("warning") else sys.stdout
    print(f"compress-mpi: {text}" if stream is sys.stderr else text, file=stream, flush=True)
