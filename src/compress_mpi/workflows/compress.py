"""The main task: select the replicas that best reproduce a prior.

Read from top to bottom, this is what happens between a runcard and its results.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import EXIT_REQUEUE
from compress_mpi.io.atomic import sweep
from compress_mpi.io.runcard import RuncardSource, load_runcard
from compress_mpi.io.store import read_tree
from compress_mpi.methods.selection.error_function import Reference, build_reference, distances
from compress_mpi.methods.selection.estimators import ESTIMATORS
from compress_mpi.methods.selection.island import SearchSettings
from compress_mpi.methods.selection.normalisation import bootstrap_spread, normalisation, random_distances
from compress_mpi.methods.selection.problem import (
    Problem,
    build_problem,
    correlation_columns,
    point_columns,
    standardise,
)
from compress_mpi.methods.selection.search import (
    IslandSearch,
    evaluations_of,
    useful_members,
    warm_up,
)
from compress_mpi.parallel.board import Board, Order
from compress_mpi.parallel.info import mpi_library
from compress_mpi.parallel.progress import Progress
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.parallel.signals import StopSignals
from compress_mpi.parallel.threads import threads_per_rank
from compress_mpi.types import FloatArray
from compress_mpi.workflows.auto import find_smallest, measure_with
from compress_mpi.workflows.budget import settings_of
from compress_mpi.workflows.conclusion import outcome_of, write_own_files
from compress_mpi.workflows.outputs import (
    Outputs,
    companions_missing,
    merge_lines,
    plan_outputs,
    require_writable,
)
from compress_mpi.workflows.prior import Prior, PriorPlan, load_prior, plan_prior
from compress_mpi.workflows.record import Launch, Record, resume, start
from compress_mpi.workflows.several import Outcome, Selected, run_sizes, table
from compress_mpi.workflows.sizes import Work, work_of
from compress_mpi.workflows.targets import planned_sizes, target_of

__all__ = ["Options", "run"]


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
    """What the sizes of one launch have in common, and what can be done with one of them.

    ``team`` and ``board`` are those of a part while it works on a size.
    """

    source: RuncardSource
    prior: Prior
    reference: Reference
    problem: Problem
    team: Any
    threads: int
    signals: StopSignals
    deadline: float
    options: Options
    board: Board | None = None
    results_only: bool = False

    @property
    def quiet(self) -> bool:
        return self.options.quiet

    def look(self, output: Outputs) -> tuple[Outcome | None, float]:
        return _look(self, output)

    def work(self, output: Outputs, done: float) -> Work:
        return _work(self, output.n_rep, done)

    def idle_warning(self, idle: int, ranks: int) -> str:
        return _idle_warning(self, idle, ranks)

    def select(self, output: Outputs, team: Any, board: Board) -> Selected:
        return _compress(replace(self, team=team, board=board), output)

    def complete(self, output: Outputs, record: Record) -> None:
        record.completed(None if self.results_only else output.set_name)
        record.ended("complete")
        record.write()

    def tell(self, text: str) -> None:
        _tell(text)


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
    if isinstance(source.config.compressed, str):
        return _find_smallest(replace(run, results_only=True))
    outcomes = run_sizes(run, outputs)
    if not all(outcome.complete for outcome in outcomes):
        return EXIT_REQUEUE
    if len(outcomes) > 1:
        team.on_root(lambda: _tell(table(outcomes)))
    return 0


def _prepare(options: Options) -> tuple[RuncardSource, PriorPlan, list[Outputs]]:
    """Refuse whatever can be refused before any work is done."""
    source = load_runcard(options.runcard, options.overrides)
    plan = plan_prior(source.config, options.folders, options.backend or source.config.backend)
    outputs = _make_ready(source, plan, planned_sizes(source.config, len(plan.members)))
    for warning in (*source.warnings, *plan.warnings):
        _tell(f"warning: {warning}")
    return source, plan, outputs


def _make_ready(source: RuncardSource, plan: PriorPlan, sizes: Sequence[int]) -> list[Outputs]:
    """The files of some sizes: refused where they cannot be, else their folders made."""
    numbered = isinstance(source.config.compressed, str) or None
    outputs = plan_outputs(source.config.output, plan.pdfset.name, sizes, numbered)
    for output in outputs:
        require_writable(output)
        if output.result.exists():
            read_tree(output.result)
    for output in outputs:
        output.folder.mkdir(parents=True, exist_ok=True)
        sweep(output.result)
    return outputs


def _reference(source: RuncardSource, prior: Prior) -> Reference:
    reference = build_reference(prior.values, source.config.estimators.names, prior.plan.nodes)
    if len(reference.dropped) and "correlation" in reference.names:
        where = ", ".join(f"{prior.plan.label(f)}@{prior.plan.xgrid[x]:.3g}" for f, x in reference.dropped)
        _tell(
            f"warning: correlation: {len(reference.dropped)} of {len(reference.dropped) + len(reference.points)} "
            f"points are determined by the others and left out (flavour@x): {where}"
        )
    return reference


def _problem(prior: Prior, reference: Reference, team: Any) -> Problem:
    """Standardised prior, again one copy per node."""
    columns = correlation_columns(reference)
    n_rep, n_point = len(prior.values), len(point_columns(reference))
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
    alone, settings = SerialTeam(), _settings(run, n_select=2)
    random_distances(run.problem, 2, 1, 0, alone)
    warm_up(settings, run.problem, np.ones(len(ESTIMATORS)), alone)


def _settings(run: _Run, n_select: int) -> SearchSettings:
    return settings_of(run.source.config, n_select, len(run.problem.z))


def _find_smallest(run: _Run) -> int:
    """Sizes by the target of the runcard in place of a list."""
    config, plan = run.source.config, run.prior.plan
    target = target_of(config.auto, len(plan.members))
    measure = measure_with(target, run.reference.names, run.problem, config.trials, config.seed, run.team)
    return find_smallest(
        run,
        target,
        measure,
        lambda sizes: _make_ready(run.source, plan, sizes),
        lambda output, mark: _publish(replace(run, results_only=False), output, mark),
    )


def _publish(run: _Run, output: Outputs, mark: Mapping[str, Any]) -> str:
    """All files of a size whose result is complete, and why it was chosen; what to say about it."""
    record = resume(output.result, run.source, run.prior, run.reference, output.n_rep)
    outcome = _outcome(run, output, record)
    if record.target == mark["target"] and record.compressed_set and not companions_missing(output):
        return outcome.text
    write_own_files(run.source.config, run.prior.plan, output, record)
    merge_lines([outcome.lines] if outcome.lines is not None else [])
    record.chosen(mark)
    record.completed(output.set_name)
    record.write()
    return outcome.text


def _look(run: _Run, output: Outputs) -> tuple[Outcome | None, float]:
    """What there is of a size; makes up for files of a complete one that are gone."""
    record = _earlier(run, output)
    if record is None:
        return None, 0.0
    if not record.complete:
        iteration = len(record.history)
        if iteration:
            _tell(f"{output.result}: going on after iteration {iteration}")
        return None, _settings(run, output.n_rep).spent(iteration, record.seconds)
    outcome = _outcome(run, output, record)
    if outcome.lines is not None and (not record.compressed_set or companions_missing(output)):
        write_own_files(run.source.config, run.prior.plan, output, record)
        merge_lines([outcome.lines])
        if not record.compressed_set:
            record.completed(output.set_name)
            record.write()
    text = f"{output.result}: complete already; --restart starts over"
    text += "" if run.results_only else f"\n{outcome.text}"
    return replace(outcome, text=text), 1.0


def _work(run: _Run, n_rep: int, done: float) -> Work:
    """Cost of what is left of a size; counted, not timed, so that it is the same on any machine."""
    settings, pool = _settings(run, n_rep), len(run.problem.z)
    evaluations = round((1.0 - done) * evaluations_of(settings, settings.max_iteration, pool))
    most = useful_members(settings, pool)
    return work_of(n_rep, 0 if done else run.source.config.trials, evaluations, settings.islands, most)


def _idle_warning(run: _Run, idle: int, ranks: int) -> str:
    settings = _settings(run, n_select=2)
    more = "the numbers in 'portfolio'" if settings.portfolio else "'islands'"
    return (
        f"warning: {idle} of {ranks} ranks sit idle: {settings.islands} islands of '{settings.minimizer}' "
        f"use at most {ranks - idle}; raise {more} or ask for fewer ranks"
    )


def _compress(run: _Run, output: Outputs) -> Selected:
    """Select one subset."""
    team = run.team
    record = team.on_root(lambda: _earlier(run, output)) or _begin(run, output)
    norm = team.on_root(lambda: _normalise(run, record))
    search = _search(run, output, record, norm)
    record.launched(Launch(platform.node(), mpi_library(), team.size, team.n_nodes, run.threads))
    _save(run, record, search, norm, np.zeros(0), "running")
    if _advance(run, output, record, search, norm):
        return Selected(team.on_root(lambda: _conclude(run, output, record)), record)
    text = f"{output.result}: stopped ({_why(run)}) after iteration {search.iteration}; start again to go on"
    return Selected(Outcome(output.n_rep, False, text))


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
    return search


def _advance(run: _Run, output: Outputs, record: Record, search: IslandSearch, norm: FloatArray) -> bool:
    """Search until the end or until somebody wants to stop, with checkpoints; whether it is the end."""
    earlier, began = record.seconds, time.monotonic()
    saved, times = began, [record.elapsed]
    board = _board(run)
    seconds = search.settings.seconds
    progress = Progress(
        search.settings.max_iteration if seconds is None else round(seconds),
        lambda: board.label(output.n_rep),
        enabled=board.speaks and not run.options.quiet,
        unit="iteration" if seconds is None else "second",
        start=search.iteration if seconds is None else round(earlier),
        start_evaluations=search.evaluations,
    )
    order = Order(Order.GO_ON)
    with progress:
        while not search.done and order.reason is None:
            search.advance(lambda: earlier + time.monotonic() - began)
            now = time.monotonic()
            times.append(np.full(len(search.history[-1]), earlier + now - began))
            progress.update(
                search.iteration if seconds is None else round(earlier + now - began),
                erf=search.erf,
                evaluations=search.evaluations,
            )
            board.report(output.n_rep, search.progress)
            order = _order(run, now - saved)
            if order != Order.GO_ON or search.done:
                end = "running" if search.done else order.reason or "running"
                _save(run, record, search, norm, np.concatenate(times), end)
                saved = time.monotonic()
    return search.done


def _order(run: _Run, since_saved: float) -> Order:
    """What all ranks of the part do next: the strongest wish of any of them."""
    board = _board(run)
    wish = board.wish()
    if wish == Order.GO_ON and run.team.rank == 0 and since_saved >= run.source.config.checkpoint_interval:
        wish = Order(Order.CHECKPOINT)
    return board.agree(run.team, wish)


def _why(run: _Run) -> str:
    return _board(run).order.reason or "running"


def _board(run: _Run) -> Board:
    """The board of the part; there is one while it works."""
    if run.board is None:
        raise RuntimeError("no part of the job works on this size")
    return run.board


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
        record.searched(search.evaluations, search.why_done, search.certified)
        record.ended(end)
        record.write()

    run.team.on_root(write)


def _conclude(run: _Run, output: Outputs, record: Record) -> Outcome:
    """Write the files of this size alone; once those that sizes share are written too, it is complete."""
    if not run.results_only:
        write_own_files(run.source.config, run.prior.plan, output, record)
    return _outcome(run, output, record)


def _outcome(run: _Run, output: Outputs, record: Record) -> Outcome:
    return outcome_of(record, output, len(run.prior.plan.members), run.results_only)


def _tell(text: str) -> None:
    stream = sys.stderr if text.startswith("warning") else sys.stdout
    print(f"compress-mpi: {text}" if stream is sys.stderr else text, file=stream, flush=True)
