"""Select one subset: random subsets for the scale, the search with its checkpoints, what is written at the end.

A run without enhancement is one search among the replicas of the prior. With an enhanced
set there are three, the phases of its result: the first is that of the prior alone and has a
result of its own; the second searches the enhanced pool from random subsets; the third, adiabatic, begins
with the best of both. The lowest error function of all phases is the answer, never above the first's.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress_mpi.io.runcard import RuncardSource
from compress_mpi.methods.selection.error_function import Reference, distances
from compress_mpi.methods.selection.estimators import ESTIMATORS
from compress_mpi.methods.selection.island import SearchSettings
from compress_mpi.methods.selection.normalisation import bootstrap_spread, normalisation, random_distances
from compress_mpi.methods.selection.search import IslandSearch, evaluations_of, useful_members
from compress_mpi.parallel.board import Board, Order
from compress_mpi.parallel.info import mpi_library
from compress_mpi.parallel.progress import Progress
from compress_mpi.parallel.signals import StopSignals
from compress_mpi.types import FloatArray
from compress_mpi.workflows.budget import settings_of
from compress_mpi.workflows.conclusion import outcome_of, write_own_files
from compress_mpi.workflows.outputs import Outputs, companions_missing, merge_lines
from compress_mpi.workflows.pool import Pool
from compress_mpi.workflows.prior import Prior
from compress_mpi.workflows.record import PHASES, Launch, Record
from compress_mpi.workflows.record_files import resume, start
from compress_mpi.workflows.several import Outcome, Selected
from compress_mpi.workflows.sizes import Work, work_of

if TYPE_CHECKING:
    from compress_mpi.workflows.polish import Polishing

__all__ = ["Options", "Run", "tell"]


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
class Run:
    """What the sizes of one launch have in common, and what can be done with one of them.

    ``team`` and ``board`` are those of a part while it works on a size. ``first`` are the files of the
    first phase by size; None where a run is one search. ``polishing`` is there where a polish is asked for.
    """

    source: RuncardSource
    prior: Prior
    reference: Reference
    pool: Pool
    team: Any
    threads: int
    signals: StopSignals
    deadline: float
    options: Options
    board: Board | None = None
    results_only: bool = False
    first: dict[int, Outputs] | None = None
    polishing: Polishing | None = None

    @property
    def quiet(self) -> bool:
        """Whether to show no progress."""
        return self.options.quiet

    @property
    def phases(self) -> tuple[str, ...]:
        """Searches that this run does; the empty name is that of the only one."""
        return PHASES[1:] if self.first is not None else ("",)

    def look(self, output: Outputs) -> tuple[Outcome | None, float]:
        """The outcome of a size that is complete, or how much of it is done; makes up for files that are gone."""
        record = _earlier(self, output)
        if record is None:
            return None, 0.0
        if not (record.complete and record.is_polished(self.source.config.polish)):
            return None, _done(self, output, record)
        outcome = self.outcome(output, record)
        if outcome.lines is not None and (not record.compressed_set or _missing(output, record)):
            _write_files(self, output, record)
            merge_lines([outcome.lines])
            if not record.compressed_set:
                record.completed(output.set_name)
                record.write()
        text = f"{output.result}: complete already; --restart starts over"
        text += "" if self.results_only else f"\n{outcome.text}"
        return replace(outcome, text=text), 1.0

    def work(self, output: Outputs, done: float) -> Work:
        """Cost of what is left of a size; counted, not timed, so that it is the same on any machine."""
        settings, pool = _settings(self, output.n_rep), len(self.pool.values)
        whole = len(self.phases) * evaluations_of(settings, settings.max_iteration, pool)
        trials = 0 if done or self.first is not None else self.source.config.trials
        most = useful_members(settings, pool)
        return work_of(output.n_rep, trials, round((1.0 - done) * whole), settings.islands, most)

    def idle_warning(self, idle: int, ranks: int) -> str:
        """What to say where ranks have nothing to do."""
        settings = _settings(self, n_select=2)
        more = "the numbers in 'portfolio'" if settings.portfolio else "'islands'"
        return (
            f"warning: {idle} of {ranks} ranks sit idle: {settings.islands} islands of '{settings.minimizer}' "
            f"use at most {ranks - idle}; raise {more} or ask for fewer ranks"
        )

    def select(self, output: Outputs, team: Any, board: Board) -> Selected:
        """Select one subset; collective over ``team``."""
        return _select(replace(self, team=team, board=board), output)

    def complete(self, output: Outputs, record: Record) -> None:
        """Write down that nothing is left to do."""
        record.completed(None if self.results_only else output.set_name)
        record.ended("complete")
        record.write()

    def outcome(self, output: Outputs, record: Record) -> Outcome:
        """What there is to say of a size whose search is done."""
        return outcome_of(record, output, len(self.pool.values), self.results_only)

    def tell(self, text: str) -> None:
        """Print, in one piece."""
        tell(text)


def tell(text: str) -> None:
    """Print for the person who started the job, a warning on the error stream; for rank 0."""
    stream = sys.stderr if text.startswith("warning") else sys.stdout
    print(f"compress-mpi: {text}" if stream is sys.stderr else text, file=stream, flush=True)


def _settings(run: Run, n_select: int) -> SearchSettings:
    return settings_of(run.source.config, n_select, len(run.pool.values))


def _earlier(run: Run, output: Outputs) -> Record | None:
    if run.options.restart or not output.result.exists():
        return None
    return resume(output.result, run.source, run.prior, run.reference, output.n_rep, run.pool)


def _done(run: Run, output: Outputs, record: Record) -> float:
    """Part of all searches that is done."""
    spent, settings = 0.0, _settings(run, output.n_rep)
    for phase in run.phases:
        if phase and phase not in record.phases:
            continue
        record.enter(phase)
        iteration = len(record.history)
        complete = bool(phase) and record.phase_complete
        if iteration and not complete:
            where = f" of phase {phase}" if phase else ""
            tell(f"{output.result}: going on after iteration {iteration}{where}")
        spent += 1.0 if complete else settings.spent(iteration, record.seconds)
    record.enter("")
    return spent / len(run.phases)


def _select(run: Run, output: Outputs) -> Selected:
    team = run.team
    record = team.on_root(lambda: _earlier(run, output)) or _begin(run, output)
    norm = team.on_root(lambda: _normalise(run, record))
    record.launched(Launch(platform.node(), mpi_library(), team.size, team.n_nodes, run.threads))
    for phase in run.phases:
        record.enter(phase)
        if phase and team.on_root(lambda: record.phase_complete):
            continue
        search = _search(run, output, record, norm)
        _save(run, record, search, norm, np.zeros(0), "running")
        if not _advance(run, output, record, search, norm):
            return Selected(Outcome(output.n_rep, False, _stopped(run, output, phase, search.iteration)))
        if phase:
            team.on_root(record.leave)
    record.enter("")
    if run.polishing is not None:
        # a polish is short, and is not stopped once it has begun
        reason = _order(run, 0.0).reason
        if reason is not None:
            team.on_root(lambda: _leave(record, reason))
            text = f"{output.result}: stopped ({reason}) before the polish; start again to go on"
            return Selected(Outcome(output.n_rep, False, text))
        _polish(run, output, record, norm)
    return Selected(team.on_root(lambda: _conclude(run, output, record)), record)


def _leave(record: Record, reason: str) -> None:
    record.ended(reason)
    record.write()


def _polish(run: Run, output: Outputs, record: Record, norm: FloatArray) -> None:
    config = run.source.config
    if run.polishing is None or run.team.on_root(lambda: record.is_polished(config.polish)):
        return
    from compress_mpi.workflows.polish import polish_selection

    polish_selection(run.polishing, run.pool, output, record, norm, config.seed, run.team)


def _stopped(run: Run, output: Outputs, phase: str, iteration: int) -> str:
    where = f" of phase {phase}" if phase else ""
    reason = _board(run).order.reason or "running"
    return f"{output.result}: stopped ({reason}) after iteration {iteration}{where}; start again to go on"


def _begin(run: Run, output: Outputs) -> Record:
    """Start a record with the random subsets that give the scale: evaluate them, or take those of the first phase."""
    if run.first is not None:
        first = run.first[output.n_rep]
        return run.team.on_root(lambda: _begin_with_first(run, output, first))
    config, team = run.source.config, run.team
    found = random_distances(run.pool.problem, output.n_rep, config.trials, config.seed, team)
    random = found[:, [ESTIMATORS.index(name) for name in run.reference.names]]
    return team.on_root(
        lambda: start(output.result, run.source, run.prior, run.reference, output.n_rep, random)
    )


def _begin_with_first(run: Run, output: Outputs, first: Outputs) -> Record:
    """The first phase as it stands in its own result."""
    done = Record.read(first.result, run.reference.names)
    record = start(output.result, run.source, run.prior, run.reference, output.n_rep, done.random, run.pool)
    record.enter(PHASES[0])
    record.took_over(done)
    record.enter("")
    return record


def _normalise(run: Run, record: Record) -> FloatArray:
    norm = normalisation(record.random, record.names)
    record.normalised(norm, bootstrap_spread(record.random, run.source.config.seed, record.n_rep))
    return norm


def _search(run: Run, output: Outputs, record: Record, norm: FloatArray) -> IslandSearch:
    weights = np.zeros(len(ESTIMATORS))
    for name, value in zip(record.names, norm, strict=True):
        weights[ESTIMATORS.index(name)] = 1.0 / (len(norm) * value)
    settings = _settings(run, output.n_rep)
    if record.phase == PHASES[2]:
        # only rank 0 has kept the record up to date
        found = run.team.on_root(lambda: [record.index_of(phase) for phase in PHASES[:2]])
        settings = replace(settings, starts=tuple(tuple(run.pool.rows(index).tolist()) for index in found))
    search = IslandSearch(settings, run.pool.problem, weights, run.team, run.threads)
    if record.checkpoint:
        search.restore(record.checkpoint, record.history)
    return search


def _advance(run: Run, output: Outputs, record: Record, search: IslandSearch, norm: FloatArray) -> bool:
    """Search until the end or until somebody wants to stop, with checkpoints; whether it is the end."""
    earlier, began = record.seconds, time.monotonic()
    saved, times = began, [record.elapsed]
    board = _board(run)
    seconds = search.settings.seconds
    progress = Progress(
        search.settings.max_iteration if seconds is None else round(seconds),
        lambda: " ".join(filter(None, (board.label(output.n_rep), record.phase))),
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
            board.report(output.n_rep, _part(run, record.phase, search.progress))
            order = _order(run, now - saved)
            if order != Order.GO_ON or search.done:
                end = "running" if search.done else order.reason or "running"
                _save(run, record, search, norm, np.concatenate(times), end)
                saved = time.monotonic()
    return search.done


def _part(run: Run, phase: str, progress: float) -> float:
    return (run.phases.index(phase) + progress) / len(run.phases)


def _order(run: Run, since_saved: float) -> Order:
    """What all ranks of the part do next: the strongest wish of any of them."""
    board = _board(run)
    wish = board.wish()
    if wish == Order.GO_ON and run.team.rank == 0 and since_saved >= run.source.config.checkpoint_interval:
        wish = Order(Order.CHECKPOINT)
    return board.agree(run.team, wish)


def _board(run: Run) -> Board:
    """The board of the part; there is one while it works."""
    if run.board is None:
        raise RuntimeError("no part of the job works on this size")
    return run.board


def _save(
    run: Run, record: Record, search: IslandSearch, norm: FloatArray, seconds: FloatArray, end: str
) -> None:
    """Write a checkpoint with the best subset so far; collective."""
    state = search.state()
    _, rows = search.best()

    def write() -> None:
        history = np.concatenate(search.history) if search.history else np.zeros(0)
        record.progressed(history, seconds if len(seconds) else record.elapsed, state)
        # what is written down is judged by the reference, not by the kernel
        found = distances(run.pool.values[rows], run.reference)
        record.selected(run.pool.numbers[rows], found, float(np.mean(found / norm)))
        record.searched(search.evaluations, search.why_done, search.certified)
        record.ended(end)
        record.write()

    run.team.on_root(write)


def _conclude(run: Run, output: Outputs, record: Record) -> Outcome:
    """Write the files of this size alone; once those that sizes share are written too, it is complete."""
    if not run.results_only:
        _write_files(run, output, record)
    return run.outcome(output, record)


def _write_files(run: Run, output: Outputs, record: Record) -> None:
    prior = run.prior.plan.pdfset
    write_own_files(run.source.config, run.pool.pdfset, prior, output, record)
    if record.polished_set is not None and not (output.folder / record.polished_set).exists():
        from compress_mpi.workflows.polish import write_polished_set

        write_polished_set(prior, output, record)


def _missing(output: Outputs, record: Record) -> bool:
    """Whether any file that belongs to a complete size is gone."""
    polished = record.polished_set
    return companions_missing(output) or (polished is not None and not (output.folder / polished).exists())
