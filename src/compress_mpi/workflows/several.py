"""Several sizes in one launch: parts of the ranks work side by side, then meet to finish.

Files that sizes share are written by rank 0 when the parts have met, in the order of the
list, so that no two processes ever write one; only then is a size complete.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from compress_mpi.parallel.board import Board
from compress_mpi.parallel.mailbox import SerialMailbox
from compress_mpi.parallel.signals import StopSignals
from compress_mpi.workflows.outputs import Outputs, SharedLines, merge_lines
from compress_mpi.workflows.sizes import Share, Work, idle_ranks, share

__all__ = ["Job", "Outcome", "Selected", "described", "run_sizes", "table"]


@dataclass(frozen=True)
class Outcome:
    """What a launch has to say about one size; small, as all ranks get it.

    Attributes
    ----------
    n_rep : int
    complete : bool
        Else stopped, or not begun.
    text : str
        For the person who started the job.
    erf, random, seconds : float
        Total ERF of the selection, median over random subsets, search time; NaN before the end.
    distances : dict
        Distance of the selection by estimator, not normalised.
    lines : SharedLines or None
        For the files that sizes share; None where there is nothing to write.
    """

    n_rep: int
    complete: bool
    text: str
    erf: float = np.nan
    random: float = np.nan
    seconds: float = np.nan
    distances: dict[str, float] | None = None
    lines: SharedLines | None = None


@dataclass(frozen=True)
class Selected:
    """A size as its part leaves it: what to say, and the record that is still to be closed."""

    outcome: Outcome
    record: Any = None


class Job(Protocol):
    """What a launch knows how to do with one size."""

    @property
    def team(self) -> Any:
        """Of all ranks of the job."""

    @property
    def signals(self) -> StopSignals:
        """Requests to stop that reach this rank."""

    @property
    def deadline(self) -> float:
        """Time of the monotonic clock at which to stop."""

    @property
    def quiet(self) -> bool:
        """Whether to show no progress."""

    def look(self, output: Outputs) -> tuple[Outcome | None, float]:
        """On rank 0: the outcome of a size that is complete, or how much of it is done, from 0 to 1."""

    def work(self, output: Outputs, done: float) -> Work:
        """On rank 0: the cost of what is left of a size."""

    def idle_warning(self, idle: int, ranks: int) -> str:
        """What to say where ranks have nothing to do."""

    def select(self, output: Outputs, team: Any, board: Board) -> Selected:
        """Select one subset; collective over ``team``."""

    def complete(self, output: Outputs, record: Any) -> None:
        """Write down that nothing is left to do."""

    def tell(self, text: str) -> None:
        """Print, in one piece."""


def run_sizes(job: Job, outputs: Sequence[Outputs]) -> list[Outcome]:
    """Work on several sizes; collective over the job's team.

    Parameters
    ----------
    job : Job
    outputs : sequence of Outputs
        One per size.

    Returns
    -------
    list of Outcome
        In the same order, the same on every rank.
    """
    team = job.team
    finished, shares = team.on_root(lambda: _plan(job, outputs))
    todo = [output for output in outputs if output.n_rep not in finished]
    apart = sum(bool(one.sizes) for one in shares) > 1
    found = _side_by_side(job, todo, shares) if apart else _one_by_one(job, todo)
    by_size = {**finished, **{outcome.n_rep: outcome for outcome in found}}
    return [by_size[output.n_rep] for output in outputs]


def _plan(job: Job, outputs: Sequence[Outputs]) -> tuple[dict[int, Outcome], list[Share]]:
    """What is complete, and who works on the rest."""
    finished, works, names = {}, [], []
    for output in outputs:
        outcome, done = job.look(output)
        if outcome is not None:
            finished[output.n_rep] = outcome
            job.tell(outcome.text)
        else:
            works.append(job.work(output, done))
            names.append(output.n_rep)
    shares = share(works, job.team.size)
    if works and idle_ranks(shares):
        job.tell(job.idle_warning(idle_ranks(shares), job.team.size))
    if sum(bool(one.sizes) for one in shares) > 1 and not job.quiet:
        job.tell("sizes: " + "; ".join(described(one, names) for one in shares if one.sizes))
    return finished, shares


def described(one: Share, names: Sequence[int]) -> str:
    """Such as ``20, 50 on ranks 0 to 3``."""
    sizes = ", ".join(str(names[position]) for position in one.sizes)
    first, last = one.ranks[0], one.ranks[-1]
    return f"{sizes} on rank {first}" if first == last else f"{sizes} on ranks {first} to {last}"


def _one_by_one(job: Job, outputs: Sequence[Outputs]) -> list[Outcome]:
    """All ranks on each size; each is finished before the next begins."""
    team, sizes = job.team, [output.n_rep for output in outputs]
    board = Board(SerialMailbox(), team.rank, [0], job.signals, job.deadline, sizes)
    outcomes: list[Outcome] = []
    for output, selected in _work_through(job, outputs, team, board):
        outcomes.append(selected.outcome)
        _finish(job, [selected.outcome], [(output, selected)] if team.rank == 0 else [])
    return outcomes


def _side_by_side(job: Job, outputs: Sequence[Outputs], shares: Sequence[Share]) -> list[Outcome]:
    """A part of the ranks for each share; they meet when all have ended."""
    team = job.team
    mine = next(one for one in shares if team.rank in one.ranks)
    part = team.part([one.ranks for one in shares])
    board = Board(
        team.mailbox(),
        team.rank,
        [one.ranks[0] for one in shares],
        job.signals,
        job.deadline,
        [output.n_rep for output in outputs],
        None if job.quiet else _say,
    )
    selected = list(_work_through(job, [outputs[position] for position in mine.sizes], part, board))
    board.meet()
    kept = selected if part.rank == 0 else []
    by_size = team.exchange({output.n_rep: one.outcome for output, one in kept})
    outcomes = [by_size[output.n_rep] for output in outputs]
    _finish(job, outcomes, kept)
    board.close()
    if part is not team:
        part.close()
    return outcomes


def _work_through(
    job: Job, outputs: Sequence[Outputs], team: Any, board: Board
) -> Iterator[tuple[Outputs, Selected]]:
    """Select for one size after the other, until somebody wants to stop."""
    stopped = False
    for place, output in enumerate(outputs):
        # the first begins in any case: every launch gets further
        if place and not stopped:
            stopped = board.agree(team, board.wish()).reason is not None
        if stopped:
            text = f"{output.result}: not begun; start again to go on"
            yield output, Selected(Outcome(output.n_rep, False, text))
            continue
        selected = job.select(output, team, board)
        stopped = not selected.outcome.complete
        yield output, selected


def _finish(job: Job, outcomes: Sequence[Outcome], kept: Sequence[tuple[Outputs, Selected]]) -> None:
    """Write what sizes share, close the records, and tell; collective over the job's team.

    Parameters
    ----------
    outcomes : sequence of Outcome
        The same on every rank.
    kept : sequence of (Outputs, Selected)
        Those whose records this rank holds.
    """
    team = job.team
    team.on_root(lambda: merge_lines([outcome.lines for outcome in outcomes if outcome.lines is not None]))

    def close() -> None:
        for output, one in kept:
            if one.outcome.complete:
                job.complete(output, one.record)

    team.together(close)

    def tell() -> None:
        for outcome in outcomes:
            job.tell(outcome.text)

    team.on_root(tell)


def table(outcomes: Sequence[Outcome]) -> str:
    """ERF against N, for a person.

    Parameters
    ----------
    outcomes : sequence of Outcome
        Of complete sizes.
    """
    rows = [
        f"{one.n_rep:>6}  {one.erf:>10.6g}  {one.random:>13.6g}  {one.erf / one.random:>6.3f}  {one.seconds:>8.1f}"
        for one in sorted(outcomes, key=lambda one: one.n_rep)
    ]
    return "\n".join([f"{'N':>6}  {'ERF':>10}  {'random median':>13}  {'ratio':>6}  {'search/s':>8}", *rows])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
