"""The team of one: the same interface without MPI, for one process and for tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from compress_mpi.parallel.abort import abort_job
from compress_mpi.parallel.launcher import cores_available
from compress_mpi.parallel.mailbox import SerialMailbox
from compress_mpi.parallel.rows import rows_of
from compress_mpi.parallel.shared import SharedArray
from compress_mpi.parallel.threads import run_tasks
from compress_mpi.types import FloatArray

__all__ = ["SerialTeam"]

T = TypeVar("T")
R = TypeVar("R")


class SerialTeam:
    """One member; see :class:`compress_mpi.types.Team` for the meaning of each method.

    Errors simply come out of the call, without a mark.

    Parameters
    ----------
    cores_share : int, optional
        Cores for this rank; by default all that it may run on.
    """

    rank = 0
    size = 1
    node_rank = 0
    node_size = 1
    n_nodes = 1

    def __init__(self, cores_share: int | None = None) -> None:
        self.cores_share = cores_share or cores_available()

    def map(self, function: Callable[[T], R], tasks: Sequence[T], *, threads: int = 1) -> list[R]:
        """Results of ``function`` over ``tasks``, in task order."""
        results, _, error = run_tasks(function, tasks, threads)
        if error is not None:
            raise error
        return results

    def map_rows(
        self, function: Callable[[Sequence[int]], FloatArray], n_tasks: int, width: int
    ) -> FloatArray:
        """``function(range(n_tasks))`` as float64 ``(n_tasks, width)``."""
        if n_tasks == 0:
            return np.empty((0, width))
        return rows_of(function, range(n_tasks), width)

    def min(self, values: FloatArray) -> FloatArray:
        """A copy of ``values``."""
        return np.array(values, dtype=np.float64)

    def any(self, flag: bool) -> bool:
        """``flag`` itself."""
        return bool(flag)

    def on_root(self, function: Callable[[], R]) -> R:
        """``function()``."""
        return function()

    def together(self, function: Callable[[], R]) -> R:
        """``function()``."""
        return function()

    def in_turn(self, function: Callable[[], R]) -> R:
        """``function()``."""
        return function()

    def exchange(self, rows: dict[int, Any]) -> dict[int, Any]:
        """``rows``, sorted by task."""
        return dict(sorted(rows.items()))

    def split(self, n_tasks: int) -> tuple[range, SerialTeam]:
        """All tasks, and this team."""
        return range(n_tasks), self

    def part(self, parts: Sequence[range]) -> SerialTeam:
        """This team: there is nothing to divide."""
        return self

    def mailbox(self) -> SerialMailbox:
        """A mailbox without anybody to write to."""
        return SerialMailbox()

    def shared(self, shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> SharedArray:
        """An array of this process."""
        return SharedArray(shape, dtype)

    def wait(self) -> None:
        """Return at once."""

    def abort(self, code: int) -> NoReturn:
        """End the job, including other ranks if this is a part of a larger team."""
        abort_job(code)

    def close(self) -> None:
        """Nothing to free."""
