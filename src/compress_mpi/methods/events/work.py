"""Memory of the block coder's kernels, without the counting of owners.

Compiled code counts the owners of an array up and down, in memory and locked, wherever the array goes into a function
or comes out of a tuple; in the loops of the coder that took three times as long as the coding itself. The kernels
therefore begin with making all their arrays `bare`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import carray
from numpy.typing import NDArray

from compress_mpi.methods.compiled import njit
from compress_mpi.methods.events.program import Program
from compress_mpi.methods.events.tinyflow import FEATURES, RELATIVE_KNOTS

__all__ = ["GAP_CLASSES", "Work", "bare", "bare_program", "bare_work", "work_of"]

GAP_CLASSES = 64
"""Lengths of a gap in bits, from 0."""


class Work(NamedTuple):
    """Work space.

    ``features``, ``hidden`` and ``density`` are those of a network; ``here`` and ``before`` the slots of all columns in
    the row and in the one before, -1 where unknown; ``counts`` what was seen of the gaps of a sorted column.
    """

    features: NDArray[np.int32]
    hidden: NDArray[np.int32]
    density: NDArray[np.int64]
    here: NDArray[np.int64]
    before: NDArray[np.int64]
    counts: NDArray[np.int64]


def work_of(program: Program) -> Work:
    """Work space as it is before the first row."""
    inputs = FEATURES * int(np.diff(program.source_offset).max(initial=0))
    # one more than there are knots: what follows the last one is read, and multiplied with nothing
    outputs = int(program.segments.max(initial=1)) + 2 + RELATIVE_KNOTS.size
    columns = program.kind.size
    return Work(
        np.zeros(max(inputs, 1), dtype=np.int32),
        np.zeros((2, max(outputs, int(program.hidden.max(initial=1)))), dtype=np.int32),
        np.zeros((2, outputs), dtype=np.int64),
        np.full(columns, -1, dtype=np.int64),
        np.full(columns, -1, dtype=np.int64),
        np.ones((GAP_CLASSES, GAP_CLASSES), dtype=np.int64),
    )


@njit(inline="always")
def bare(array):  # type: ignore[no-untyped-def]
    """The same memory as an array that has no count of owners; whoever calls a kernel keeps the other."""
    return carray(array.ctypes, array.shape)


@njit(inline="always")
def bare_program(program):  # type: ignore[no-untyped-def]
    """A program of bare arrays."""
    return Program(
        bare(program.kind),
        bare(program.edges),
        bare(program.slots),
        bare(program.edge_offset),
        bare(program.intervals),
        bare(program.sources),
        bare(program.source_offset),
        bare(program.hidden),
        bare(program.segments),
        bare(program.relative),
        bare(program.weights),
        bare(program.weight_offset),
        bare(program.waves),
    )


@njit(inline="always")
def bare_work(work):  # type: ignore[no-untyped-def]
    """Work space of bare arrays."""
    return Work(
        bare(work.features),
        bare(work.hidden),
        bare(work.density),
        bare(work.here),
        bare(work.before),
        bare(work.counts),
    )
