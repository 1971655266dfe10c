"""One communicator, spoken to without burning the cores of those who wait.

MPI libraries wait by spinning. Where ranks may have to wait for long, or share
cores, this uses the non-blocking collectives and sleeps between two looks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from compress_mpi.parallel.outcome import Attempt, RemoteError, raise_together, with_origin
from compress_mpi.types import FloatArray, IntArray

__all__ = ["Channel", "rest"]

# Measured with 16 and 64 ranks on 2 cores. A collective takes many rounds, so that
# sleeps of more than a few percent of the time waited add up.
_BUSY = 1e-4  # seconds
_SHORTEST_SLEEP = 5e-5
_LONGEST_SLEEP = 0.02
_SLEEP_SHARE = 0.02
_CHUNK = 1 << 30  # bytes; older MPIs count in 32 bits
_NO_ERROR = np.iinfo(np.int64).max


def rest(request: Any, meanwhile: Callable[[], None] | None = None) -> None:
    """Wait for a request: look often at first, then sleep for a small part of the time waited so far.

    Parameters
    ----------
    request : mpi4py.MPI.Request
    meanwhile : callable, optional
        Called between two looks.
    """
    start = time.perf_counter()
    while not request.Test():
        if meanwhile is not None:
            meanwhile()
        waited = time.perf_counter() - start
        if waited < _BUSY:
            os.sched_yield()
        else:
            time.sleep(min(max(_SLEEP_SHARE * waited, _SHORTEST_SLEEP), _LONGEST_SLEEP))


class Channel:
    """The few exchanges that a team is made of; every method is collective.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Owned by the channel: used by nothing else.
    everybody : bool
        The communicator holds all ranks of the job.
    patient : bool
        Sleep also where waits are short: ranks share cores. The same on all ranks.
    """

    def __init__(self, comm: Any, everybody: bool, patient: bool) -> None:
        from mpi4py import MPI

        self.comm, self.everybody, self.patient = comm, everybody, patient
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self._mpi = MPI

    def part(self, number: int) -> Channel:
        """Channel of the ranks that give the same number, in rank order."""
        comm = self.comm.Split(number, self.rank)
        return Channel(comm, self.everybody and comm.Get_size() == self.size, self.patient)

    def free(self) -> None:
        """Give the communicator back; nothing to do where that happened, or once MPI has ended."""
        if not self._mpi.Is_finalized() and self.comm != self._mpi.COMM_NULL:
            self.comm.Free()

    def barrier(self) -> None:
        """Wait for all, asleep."""
        rest(self.comm.Ibarrier())

    def largest(self, values: IntArray) -> IntArray:
        """Element-wise maximum of small int64 arrays."""
        return self._reduce(values, self._mpi.MAX, self.patient)

    def smallest(self, values: IntArray) -> IntArray:
        """Element-wise minimum of small int64 arrays."""
        return self._reduce(values, self._mpi.MIN, self.patient)

    def gather_floats(self, mine: FloatArray, receive: FloatArray, counts: IntArray) -> None:
        """Concatenate every rank's float64 values, bit by bit, into ``receive`` on all."""
        if self.patient:
            rest(self.comm.Iallgatherv(mine, [receive, counts]))
        else:
            self.comm.Allgatherv(mine, [receive, counts])

    def gather(self, mine: bytes) -> list[bytes]:
        """Every rank's bytes, in rank order, on all."""
        sizes = np.empty(self.size, dtype=np.int64)
        rest(self.comm.Iallgather(np.array([len(mine)], dtype=np.int64), sizes))
        everything = np.empty(int(sizes.sum()), dtype=np.uint8)
        rest(self.comm.Iallgatherv(np.frombuffer(mine, dtype=np.uint8), [everything, sizes]))
        ends = np.cumsum(sizes)
        return [everything[end - size : end].tobytes() for size, end in zip(sizes, ends, strict=True)]

    def broadcast(self, values: Any, root: int) -> None:
        """Fill the contiguous array ``values`` with the root's, bit by bit, on all."""
        raw = values.reshape(-1).view(np.uint8)
        for start in range(0, raw.size, _CHUNK):
            rest(self.comm.Ibcast(raw[start : start + _CHUNK], root=root))

    def broadcast_bytes(self, mine: bytes | None, root: int) -> bytes:
        """The root's bytes on all; the others give None."""
        size = np.array([len(mine) if mine is not None else 0], dtype=np.int64)
        self.broadcast(size, root)
        data = np.frombuffer(mine, dtype=np.uint8).copy() if mine is not None else np.empty(size[0], np.uint8)
        self.broadcast(data, root)
        return data.tobytes()

    def agree(self, error: Exception | None, task: int) -> None:
        """Raise the error of the lowest task on all ranks, if any rank has one.

        Parameters
        ----------
        error : Exception or None
            This rank's.
        task : int
            Number of the task that failed, in the order in which errors win.
        """
        key = _NO_ERROR if error is None else task * self.size + self.rank
        # Ranks come here from work of unequal length: sleep.
        first = int(self._reduce(np.array([key], dtype=np.int64), self._mpi.MIN, patient=True)[0])
        if first != _NO_ERROR:
            self.raise_from(error, first % self.size)

    def raise_from(self, error: Exception | None, owner: int) -> None:
        """Raise the error of rank ``owner`` on all ranks."""
        packed = None
        if self.rank == owner and error is not None:
            error, packed = self.pack_error(error)
        packed = self.broadcast_bytes(packed, owner)
        self.raise_packed(packed, error if self.rank == owner else None)

    def raise_packed(self, packed: bytes, original: Exception | None) -> None:
        """Raise an error that :meth:`pack_error` packed; the original where there is one."""
        error = original if original is not None else self.unpack(packed)
        raise_together(error, self.everybody, self.rank == 0)

    def pack(self, value: Any) -> bytes:
        """Bytes of any Python object, as mpi4py makes them."""
        return self._mpi.pickle.dumps(value)

    def unpack(self, packed: bytes) -> Any:
        """Object from the bytes of :meth:`pack`."""
        return self._mpi.pickle.loads(packed)

    def pack_error(self, error: Exception) -> tuple[Exception, bytes]:
        """``error`` and its bytes, or a stand-in where it does not survive the journey."""
        world = self._mpi.COMM_WORLD.Get_rank()
        error = with_origin(error, world)
        with Attempt() as attempt:
            packed = self.pack(error)
            copy = self.unpack(packed)
            if type(copy) is type(error) and str(copy) == str(error):
                return error, packed
        reason = f" (not sent as it is: {attempt.error})" if attempt.error is not None else ""
        stand_in = RemoteError(f"{type(error).__name__}: {error}{reason}")
        stand_in.__dict__.update(raised_on=error.raised_on, __notes__=error.__notes__)  # type: ignore[attr-defined]
        return stand_in, self.pack(stand_in)

    def _reduce(self, values: IntArray, operation: Any, patient: bool) -> IntArray:
        result = np.empty_like(values)
        if patient:
            rest(self.comm.Iallreduce(values, result, op=operation))
        else:
            self.comm.Allreduce(values, result, op=operation)
        return result
