"""What a minimiser is: the shape of an island, and what it is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np

from compress_mpi.methods.selection.problem import Problem
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.types import FloatArray, IntArray, Team

__all__ = ["EPOCHS_BETWEEN_MIGRATIONS", "Island", "Report", "SearchSettings", "first_subset", "neighbour"]

EPOCHS_BETWEEN_MIGRATIONS = 5
"""Subsets travel this rarely; everything else that islands tell each other is a few numbers."""


@dataclass(frozen=True)
class SearchSettings:
    """What the search is asked to do.

    Attributes
    ----------
    minimizer : str
        A name in ``search.MINIMISERS``, or ``portfolio``.
    n_select : int
        Size N of the subset.
    max_iteration : int
        Iterations of every island; without effect where ``seconds`` is given.
    seed : int
    islands : int
        Never derived from the number of ranks.
    seconds : float or None
        Budget of search time. The answer then depends on the clock.
    stagnation : int or None
        Iterations without a lower ERF after which the search ends.
    portfolio : mapping of int
        Number of islands by minimiser, for ``portfolio``.
    descent : bool or None
        Whether ``tempering`` and ``portfolio`` end in a steepest descent; None: as long as it takes no more
        evaluations than the search before it, whether or not that is to the end.
    starts : tuple of tuples of int
        Subsets, rows of the pool, from which the islands begin in turn; empty: a random subset for each.
    """

    minimizer: str
    n_select: int
    max_iteration: int
    seed: int
    islands: int
    seconds: float | None = None
    stagnation: int | None = None
    portfolio: Mapping[str, int] = field(default_factory=dict)
    descent: bool | None = None
    starts: tuple[tuple[int, ...], ...] = ()

    def spent(self, iteration: int, seconds: float) -> float:
        """Part of the budget, 0 to 1, after so many iterations of the islands and so much search time."""
        if self.seconds is not None:
            return min(1.0, seconds / self.seconds)
        return min(1.0, iteration / self.max_iteration)


@dataclass(frozen=True)
class Report:
    """What an island tells all others at the end of an epoch.

    Attributes
    ----------
    kind : str
        Its minimiser.
    erf : float
        Of the subset at hand.
    best : float
        Lowest so far.
    evaluations : int
        Of the error function in this epoch.
    numbers : tuple of float
        What islands of one kind tell each other.
    finished : bool
        Whether it would change nothing any more.
    index : int64 (n_select,) or None
        Subset at hand, when it is due.
    """

    kind: str
    erf: float
    best: float
    evaluations: int
    numbers: tuple[float, ...] = ()
    finished: bool = False
    index: IntArray | None = None


def neighbour(number: int, reports: Mapping[int, Report]) -> Report:
    """Report of the island before this one on a ring of all."""
    return reports[(number - 1) % len(reports)]


def first_subset(settings: SearchSettings, number: int, n_pool: int) -> IntArray:
    """Where an island begins: rows of the pool, sorted, int64 (n_select,)."""
    if settings.starts:
        return np.sort(np.array(settings.starts[number % len(settings.starts)], dtype=np.int64))
    rng = generator(settings.seed, Stream.START, settings.n_select, number)
    return np.sort(rng.choice(n_pool, settings.n_select, replace=False))


class Island(Protocol):
    """One of several searches that run side by side."""

    kind: ClassVar[str]
    default_islands: ClassVar[int]

    def __init__(
        self, number: int, settings: SearchSettings, problem: Problem, weights: FloatArray
    ) -> None: ...

    @property
    def index(self) -> IntArray:
        """Subset with the lowest ERF: rows of the pool, sorted."""

    @property
    def best(self) -> float:
        """Its ERF."""

    def warm_up(self, crew: Team) -> None:
        """Compile what a search calls on every rank, on an island that is thrown away; ``crew`` is a team of one."""

    @staticmethod
    def epoch_length(settings: SearchSettings) -> int:
        """Iterations between two reports."""

    @staticmethod
    def evaluations(settings: SearchSettings, iterations: int, n_pool: int) -> int:
        """Error-function evaluations in so many iterations on a pool of so many replicas."""

    @staticmethod
    def most_useful_crew(n_pool: int) -> int:
        """How many can work on one island."""

    def advance(self, epoch: int, iterations: int, progress: float, crew: Team) -> FloatArray:
        """Run one epoch with the crew; returns the lowest ERF so far after each iteration.

        ``progress`` is the part of the budget that is spent, from 0 to 1.
        """

    def report(self, migration: bool) -> Report:
        """What the others need to know; with ``migration`` the subset too."""

    def confer(self, epoch: int, reports: Mapping[int, Report]) -> None:
        """Take in what all islands reported, by number; ``epoch`` epochs have been run."""

    def state(self) -> dict[str, np.ndarray]:
        """Arrays from which ``restore`` continues bit for bit; called between epochs."""

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what ``state`` gave."""
