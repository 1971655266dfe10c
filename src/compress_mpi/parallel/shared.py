"""An array that exists once per node, filled by all ranks together."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from compress_mpi.errors import CompressError
from compress_mpi.parallel.channel import Channel
from compress_mpi.parallel.nodes import Nodes
from compress_mpi.parallel.outcome import Attempt

__all__ = ["NodeArray", "SharedArray"]


class SharedArray:
    """The array of a team of one; :class:`NodeArray` is the same over MPI.

    Starts as zeros. Each rank writes its ``rows`` into ``array``, then all call
    :meth:`publish` (or give the work to :meth:`fill`), which makes every copy
    complete and read-only.

    Parameters
    ----------
    shape : tuple of int
        At least one axis; the first is shared out.
    dtype : dtype

    Attributes
    ----------
    array : array ``shape``
    rows : range
        Of the first axis, for this rank to fill; disjoint over all ranks.

    Raises
    ------
    ValueError
        If there is no axis.
    """

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> None:
        self.array: NDArray[Any] = self._allocate(_checked(shape), np.dtype(dtype))
        self.rows = self._own_rows(shape[0])
        self.array[self.rows.start : self.rows.stop] = 0

    def fill(self, function: Callable[[range], None]) -> None:
        """Run ``function(rows)``, which writes into ``array``, then publish; errors are collective.

        Not called on ranks that have no rows.
        """
        if self.rows:
            function(self.rows)
        self.publish()

    def publish(self) -> None:
        """Collective: complete every copy, to the last bit; from here on read-only."""
        self.array.flags.writeable = False

    def free(self) -> None:
        """Collective: give the memory back. No view of the array may be used afterwards."""
        self.array = np.empty((0, *self.array.shape[1:]), dtype=self.array.dtype)

    def __enter__(self) -> SharedArray:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # With an error of one rank only, the others will not come to free: the job is about to end.
        if error is None or getattr(error, "collective", False):
            self.free()

    def _allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        return np.empty(shape, dtype=dtype)

    def _own_rows(self, n_rows: int) -> range:
        return range(n_rows)


class NodeArray(SharedArray):
    """One copy per node in an MPI shared-memory window; construction is collective.

    Parameters
    ----------
    shape, dtype
        As for :class:`SharedArray`.
    nodes : Nodes
    team : Channel
        All members.
    node : Channel
        The members on this node.
    leaders : Channel
        Member 0 of each node, ordered by node; not used by other ranks.

    Raises
    ------
    CompressError
        If the shared memory of a node has no room for it.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        nodes: Nodes,
        team: Channel,
        node: Channel,
        leaders: Channel,
    ) -> None:
        self._nodes, self._team, self._node, self._leaders = nodes, team, node, leaders
        self._window: Any = None
        super().__init__(shape, dtype)

    def fill(self, function: Callable[[range], None]) -> None:
        """Run ``function(rows)``, which writes into ``array``, then publish; errors are collective."""
        with Attempt() as attempt:
            if self.rows:
                function(self.rows)
        self._team.agree(attempt.error, self._team.rank)
        self.publish()

    def publish(self) -> None:
        """Collective: the node leaders pass their rows on, as raw bytes."""
        self._meet()
        if self._node.rank == 0:
            for owner, rows in zip(self._nodes.of, self._shares, strict=True):
                if rows:
                    self._leaders.broadcast(self.array[rows.start : rows.stop], root=owner)
        self._meet()
        self.array.flags.writeable = False

    def free(self) -> None:
        """Collective: give the memory back. No view of the array may be used afterwards."""
        super().free()
        if self._window is not None:
            self._window.Unlock_all()
            self._window.Free()
        self._window = None

    def _allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        from mpi4py import MPI

        n_bytes = max(1, int(np.prod(shape, dtype=np.int64))) * dtype.itemsize
        with Attempt() as attempt:
            if self._node.rank == 0:
                _check_room(n_bytes)
        self._team.agree(attempt.error, self._team.rank)
        own = n_bytes if self._node.rank == 0 else 0
        self._window = MPI.Win.Allocate_shared(own, dtype.itemsize, comm=self._node.comm)
        self._window.Lock_all(MPI.MODE_NOCHECK)
        memory, _ = self._window.Shared_query(0)
        return np.ndarray(shape, dtype=dtype, buffer=memory)

    def _own_rows(self, n_rows: int) -> range:
        self._shares = self._nodes.share_rows(n_rows)
        return self._shares[self._team.rank]

    def _meet(self) -> None:
        """Everything written on this node before is visible on it afterwards."""
        self._window.Sync()
        self._node.barrier()
        self._window.Sync()


def _checked(shape: tuple[int, ...]) -> tuple[int, ...]:
    if not shape:
        raise ValueError("shared array: expected a shape with at least one axis, got ()")
    return shape


def _check_room(n_bytes: int, folder: str = "/dev/shm") -> None:
    """A full /dev/shm does not fail at once: the first write would kill the process with SIGBUS."""
    if not os.path.isdir(folder):
        return
    stat = os.statvfs(folder)
    room = stat.f_bavail * stat.f_frsize
    if room < n_bytes:
        raise CompressError(
            f"shared memory: {n_bytes / 2**20:.0f} MiB are needed in {folder} of each node, "
            f"{room / 2**20:.0f} MiB are free; remove leftovers there, or give a container more "
            "(docker run --shm-size)"
        )
