"""What a minimiser is: the shape of an island, and what it is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from compress_mpi.methods.selection.problem import Problem
from compress_mpi.types import FloatArray, IntArray, Team

__all__ = ["Island", "SearchSettings"]


@dataclass(frozen=True)
class SearchSettings:
    """What the search is asked to do.

    Attributes
    ----------
    minimizer : str
        A name in ``search.MINIMISERS``.
    n_select : int
        Size N of the subset.
    max_iteration : int
        Iterations (generations) of every island.
    seed : int
    islands : int
        Never derived from the number of ranks.
    """

    minimizer: str
    n_select: int
    max_iteration: int
    seed: int
    islands: int


class Island(Protocol):
    """One of several searches that run side by side."""

    default_islands: ClassVar[int]
    epoch_length: ClassVar[int]
    most_useful_crew: int
    erf: float

    def __init__(
        self, number: int, settings: SearchSettings, problem: Problem, weights: FloatArray
    ) -> None: ...

    @property
    def index(self) -> IntArray:
        """Best subset: rows of the pool, sorted."""

    def warm_up(self, crew: Team) -> None:
        """Compile what a search calls on every rank, on an island that is thrown away; ``crew`` is a team of one."""

    def evaluations(self, iterations: int) -> int:
        """Error-function evaluations in so many iterations."""

    def advance(self, epoch: int, iterations: int, crew: Team) -> FloatArray:
        """Run one epoch with the crew; returns the lowest ERF after each iteration."""

    def adopt(self, index: IntArray, erf: float) -> None:
        """Consider a migrant."""

    def state(self) -> dict[str, np.ndarray]:
        """Arrays from which ``restore`` continues bit for bit; called between epochs."""

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Continue from what ``state`` gave."""
