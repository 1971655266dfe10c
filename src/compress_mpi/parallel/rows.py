"""Rows of numbers computed in blocks, each rank one, and put together on all."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from compress_mpi.parallel.channel import Channel
from compress_mpi.parallel.nodes import blocks
from compress_mpi.parallel.outcome import Attempt
from compress_mpi.types import FloatArray

__all__ = ["RowExchange", "rows_of"]


def rows_of(function: Callable[[Sequence[int]], FloatArray], block: range, width: int) -> FloatArray:
    """``function(block)`` as float64 ``(len(block), width)``.

    Raises
    ------
    ValueError
        If it has another shape.
    """
    rows = np.asarray(function(block), dtype=np.float64)
    if rows.shape != (len(block), width):
        raise ValueError(f"map_rows: expected rows of shape {(len(block), width)}, got {rows.shape}")
    return rows


class RowExchange:
    """Buffers and layout for one table shape, kept because inner loops come back with the same.

    Every rank sends its rows and one number more, 1 where it failed, so that an
    error costs no second collective while there is none.

    Parameters
    ----------
    channel : Channel
    n_tasks, width : int
        Shape of the table.
    """

    def __init__(self, channel: Channel, n_tasks: int, width: int) -> None:
        parts = blocks(n_tasks, channel.size)
        self._channel, self._shape = channel, (n_tasks, width)
        self._block = parts[channel.rank]
        self._counts = np.array([len(part) * width + 1 for part in parts], dtype=np.int64)
        self._send = np.zeros(self._counts[channel.rank])
        self._receive = np.empty(int(self._counts.sum()))
        self._flags = np.cumsum(self._counts) - 1
        self._values = np.delete(np.arange(self._receive.size), self._flags)

    def run(self, function: Callable[[Sequence[int]], FloatArray]) -> FloatArray:
        """Collective: the table of all blocks, on every rank; or the error of the lowest block."""
        with Attempt() as attempt:
            if self._block:
                self._send[:-1] = rows_of(function, self._block, self._shape[1]).ravel()
        self._send[-1] = attempt.error is not None
        self._channel.gather_floats(self._send, self._receive, self._counts)
        if self._receive[self._flags].any():
            self._channel.agree(attempt.error, self._channel.rank)
        return self._receive[self._values].reshape(self._shape)
