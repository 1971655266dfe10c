"""Who works together: the team of all ranks, and its parts.

An ordinary exception inside a function that a team runs is raised on all
members, that of the lowest task first, marked ``collective = True`` if the team
holds all ranks of the job. An exception anywhere else concerns one rank only and
has to reach :func:`compress_mpi.parallel.abort.run_guarded`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from compress_mpi.errors import LaunchError
from compress_mpi.parallel.abort import abort_job
from compress_mpi.parallel.channel import Channel
from compress_mpi.parallel.launcher import affinity, check_launch, launched_ranks
from compress_mpi.parallel.mailbox import Mailbox
from compress_mpi.parallel.nodes import Nodes, blocks, discover, pretended_ranks_per_node
from compress_mpi.parallel.outcome import Attempt
from compress_mpi.parallel.rows import RowExchange
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.parallel.shared import NodeArray
from compress_mpi.parallel.threads import run_tasks
from compress_mpi.types import FloatArray

__all__ = ["MPITeam", "world_team"]

T = TypeVar("T")
R = TypeVar("R")

_LOWEST = np.iinfo(np.int64).min
_MAGNITUDE = np.iinfo(np.int64).max


def world_team(ranks_per_node: int | None = None) -> MPITeam | SerialTeam:
    """Team of all ranks of the job; collective over them. Starts MPI.

    Parameters
    ----------
    ranks_per_node : int, optional
        Pretend that nodes end after so many ranks, to test many nodes on one;
        the environment variable ``COMPRESS_MPI_RANKS_PER_NODE`` does the same.

    Returns
    -------
    MPITeam or SerialTeam
        The latter for a single process, also where MPI is not installed.

    Raises
    ------
    LaunchError
        If launcher and MPI library do not match, or there is no MPI library.
    """
    mpi = _start_mpi()
    size = mpi.COMM_WORLD.Get_size() if mpi is not None else 1
    check_launch(size)
    pretended = pretended_ranks_per_node(ranks_per_node)
    if size == 1:
        return SerialTeam()
    comm = mpi.COMM_WORLD.Dup()
    nodes, cores_share, crowded = discover(comm, affinity(), pretended)
    return MPITeam(Channel(comm, everybody=True, patient=crowded), nodes, cores_share)


class MPITeam:
    """Ranks of one communicator; see :class:`compress_mpi.types.Team` for each method.

    Parameters
    ----------
    channel : Channel
    nodes : Nodes
        Of the members.
    cores_share : int
        Cores for this rank.

    Attributes
    ----------
    rank, size : int
    node_rank, node_size : int
        The same among the members on this node.
    n_nodes : int
    """

    def __init__(self, channel: Channel, nodes: Nodes, cores_share: int) -> None:
        self.rank, self.size = channel.rank, channel.size
        self.cores_share = cores_share
        self.node = nodes.of[self.rank]
        self.node_rank = nodes.node_rank(self.rank)
        self.node_size = len(nodes.members(self.node))
        self.n_nodes = len(nodes.cores)
        self._channel, self._nodes = channel, nodes
        self._node_channels: tuple[Channel, Channel] | None = None
        self._row_exchanges: dict[tuple[int, int], RowExchange] = {}

    def map(self, function: Callable[[T], R], tasks: Sequence[T], *, threads: int = 1) -> list[R]:
        """Results of ``function`` over ``tasks``, in task order, on every member.

        Parameters
        ----------
        function : callable
            Not collective. Its results are pickled.
        tasks : sequence
            The same on every member; member ``r`` takes ``r, r + size, ...``.
        threads : int
            Run that many of this member's tasks at a time.
        """
        mine = range(self.rank, len(tasks), self.size)
        results, position, error = run_tasks(lambda number: function(tasks[number]), mine, threads)
        with Attempt() as packing:
            packed = self._channel.pack(results)
        failed = mine[position] if error is not None else self.rank
        self._channel.agree(error or packing.error, failed)
        merged: list[Any] = [None] * len(tasks)
        for member, theirs in enumerate(self._channel.gather(packed)):
            merged[member :: self.size] = self._channel.unpack(theirs)
        return merged

    def map_rows(
        self, function: Callable[[Sequence[int]], FloatArray], n_tasks: int, width: int
    ) -> FloatArray:
        """Rows computed in contiguous blocks of tasks, float64 ``(n_tasks, width)``, on every member."""
        key = (n_tasks, width)
        if key not in self._row_exchanges:
            self._row_exchanges[key] = RowExchange(self._channel, n_tasks, width)
        return self._row_exchanges[key].run(function)

    def min(self, values: FloatArray) -> FloatArray:
        """Element-wise minimum over members; NaN where any has NaN, and -0.0 is below 0.0."""
        mine = np.array(values, dtype=np.float64)
        keys = _ordered(mine.reshape(-1).view(np.int64))
        keys[np.isnan(mine).reshape(-1)] = _LOWEST
        keys = self._channel.smallest(keys)
        smallest = _ordered(keys).view(np.float64)
        smallest[keys == _LOWEST] = np.nan
        return smallest.reshape(mine.shape)

    def any(self, flag: bool) -> bool:
        """True where any member says so."""
        return bool(self._channel.largest(np.array([flag], dtype=np.int64))[0])

    def on_root(self, function: Callable[[], R]) -> R:
        """Run ``function`` on member 0 only; its result, or its error, on all. The others sleep."""
        error: Exception | None = None
        value: Any = None
        packed = None
        if self.rank == 0:
            with Attempt() as attempt:
                value = function()
                packed = self._channel.pack((True, value))
            if attempt.error is not None:
                error, inner = self._channel.pack_error(attempt.error)
                packed = self._channel.pack((False, inner))
        good, content = self._channel.unpack(self._channel.broadcast_bytes(packed, root=0))
        if not good:
            self._channel.raise_packed(content, error)
        return value if self.rank == 0 else content

    def together(self, function: Callable[[], R]) -> R:
        """Every member runs ``function`` and gets its own result; an error on one is raised on all."""
        with Attempt() as attempt:
            value = function()
        self._channel.agree(attempt.error, self.rank)
        return value

    def in_turn(self, function: Callable[[], R]) -> R:
        """Like :meth:`together`, but member 0 first, then one member per node, then the rest.

        For what fills a cache: compiled code is then read, not made, by the last.
        """
        turn = 0 if self.rank == 0 else 1 if self.node_rank == 0 else 2
        value: Any = None
        for now in range(3):
            with Attempt() as attempt:
                if now == turn:
                    value = function()
            self._channel.agree(attempt.error, self.rank)
        return value

    def exchange(self, rows: dict[int, Any]) -> dict[int, Any]:
        """Union of every member's ``{task: object}``, sorted; of equal tasks the lowest member's wins."""
        packed = b""
        with Attempt() as packing:
            packed = self._channel.pack(rows)
        received = self._channel.gather(packed)
        # nothing packs to no bytes: while there is no error, agreeing on it costs no collective
        if not all(received):
            self._channel.agree(packing.error, self.rank)
        union: dict[int, Any] = {}
        for theirs in reversed(received):
            union.update(self._channel.unpack(theirs))
        return dict(sorted(union.items()))

    def split(self, n_tasks: int) -> tuple[range, MPITeam | SerialTeam]:
        """Share ``n_tasks`` long-lived tasks.

        Returns
        -------
        tasks : range
            Those of this member's part.
        part : MPITeam or SerialTeam
            Who works on them; neighbours in rank.
        """
        if n_tasks <= self.size:
            return self._split_members(n_tasks)
        return blocks(n_tasks, self.size)[self.rank], SerialTeam(self.cores_share)

    def part(self, parts: Sequence[range]) -> MPITeam | SerialTeam:
        """Collective: the team of the part that this member belongs to.

        Parameters
        ----------
        parts : sequence of range
            The same on every member: contiguous ranges of members, in order, which together are all of them.
        """
        number = next(number for number, members in enumerate(parts) if self.rank in members)
        members = parts[number]
        channel = self._channel.part(number)
        if len(members) == 1:
            channel.free()
            return SerialTeam(self.cores_share)
        return MPITeam(channel, self._nodes.among(members), self.cores_share)

    def mailbox(self) -> Mailbox:
        """Collective: a new mailbox for notes among the members."""
        return Mailbox(self._channel.part(0))

    def shared(self, shape: tuple[int, ...], dtype: DTypeLike = np.float64) -> NodeArray:
        """Array of zeros with one copy per node; see :class:`NodeArray`."""
        node, leaders = self._nodes_apart()
        return NodeArray(shape, dtype, self._nodes, self._channel, node, leaders)

    def wait(self) -> None:
        """Wait for all members, asleep."""
        self._channel.barrier()

    def abort(self, code: int) -> NoReturn:
        """End all ranks of the job, whatever they do; not collective."""
        abort_job(code)

    def close(self) -> None:
        """Collective: give the communicators back."""
        channels = [self._channel, *(self._node_channels or ())]
        self._node_channels = None
        self._row_exchanges.clear()
        for channel in channels:
            channel.free()

    def _split_members(self, n_tasks: int) -> tuple[range, MPITeam | SerialTeam]:
        parts = blocks(self.size, max(1, n_tasks))
        task = next(number for number, members in enumerate(parts) if self.rank in members)
        return range(task, task + 1) if n_tasks else range(0), self.part(parts)

    def _nodes_apart(self) -> tuple[Channel, Channel]:
        """Collective at first: the members on this node, and the leaders (or the others) of all nodes."""
        if self._node_channels is None:
            node = self._channel.part(self.node)
            leaders = self._channel.part(min(self.node_rank, 1))
            self._node_channels = node, leaders
        return self._node_channels


def _ordered(bits: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Map the bits of float64 to integers in the same order; its own inverse."""
    return np.where(bits < 0, bits ^ _MAGNITUDE, bits)


def _start_mpi() -> Any:
    """The MPI module, or None for a single process on a machine without MPI."""
    try:
        import mpi4py

        # Threads never speak MPI at the same time; full locking would cost latency.
        mpi4py.rc.thread_level = "serialized"
        with warnings.catch_warnings():
            # check_launch says it once and for all ranks, and what to do.
            warnings.filterwarnings("ignore", "suspicious MPI execution", RuntimeWarning)
            from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        if launched_ranks() == 1:
            return None
        raise LaunchError(
            f"launcher: {launched_ranks()} processes were started, but no MPI library can be loaded "
            f"({error}); install one with `pip install 'compress-mpi[mpi]'`, or load your site's module"
        ) from error
    return MPI
