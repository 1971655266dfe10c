"""Array types and the one protocol that the numerics see of the parallel world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["ESTIMATORS", "ESTIMATOR_LISTS", "FloatArray", "IntArray", "Team"]

ESTIMATOR_LISTS: dict[str, tuple[str, ...]] = {
    "moment_estimators": ("mean", "stdev", "skewness", "kurtosis", "moment5th", "moment6th"),
    "stat_estimators": ("kolmogorov_smirnov",),
    "corr_estimators": ("correlation",),
}
"""Which estimator belongs in which list of a runcard's ``est_dic``."""

ESTIMATORS: tuple[str, ...] = tuple(name for names in ESTIMATOR_LISTS.values() for name in names)
"""All estimators in canonical order, which is the order of every array with an estimator axis."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

T = TypeVar("T")
R = TypeVar("R")


class Team(Protocol):
    """Who works together on one thing.

    Every method is collective unless it says otherwise: all members call it,
    all get the same answer, and an error on one member is raised on all.
    """

    rank: int
    size: int

    def map(self, function: Callable[[T], R], tasks: Sequence[T]) -> list[R]:
        """Results of ``function`` over ``tasks``, in task order, on every member.

        Member ``r`` computes the tasks ``r, r + size, ...``; ``function`` must not
        be collective. Results are pickled; meant for few, small results.
        """
        ...

    def map_rows(
        self, function: Callable[[Sequence[int]], FloatArray], n_tasks: int, width: int
    ) -> FloatArray:
        """Rows computed in contiguous blocks of tasks, as float64 ``(n_tasks, width)`` on every member.

        ``function(block)`` gets the task numbers of one block and returns
        float64 ``(len(block), width)``. Moves raw arrays, so it suits inner loops.
        """
        ...

    def min(self, values: FloatArray) -> FloatArray:
        """Element-wise minimum over members (exact, hence the same at any size)."""
        ...

    def on_root(self, function: Callable[[], R]) -> R:
        """Run ``function`` on member 0 only and give its result, or its error, to all."""
        ...

    def split(self, n_tasks: int) -> tuple[range, Team]:
        """Share ``n_tasks`` long-lived tasks.

        With at least as many tasks as members, each gets a contiguous range and
        a team of one. With more members than tasks, each task gets a team of
        members; sizes differ by at most one.
        """
        ...

    def any(self, flag: bool) -> bool:
        """True where any member says so."""
        ...

    def exchange(self, rows: dict[int, Any]) -> dict[int, Any]:
        """Union of every member's ``{task: object}``, the same on every member."""
        ...
