"""Memory of the block coder's kernels, without the counting of owners.

Compiled code counts the owners of an array up and down, in memory and locked, wherever the array goes into a function
or comes out of a tuple; in the loops of the coder that took three times as long as the coding itself. The kernels
therefore begin with making all their arrays `bare`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from compress_mpi.methods.events.program import Program
from compress_mpi.methods.events.tinyflow import FEATURES, RELATIVE_KNOTS

__all__ = ["GAP_CLASSES", "Work", "bare", "work_of"]

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


def _without_owners(context: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, given = signature.return_type, arguments[0]
        if not isinstance(kind, types.BaseTuple):
            return _without_owner(context, builder, kind, given)
        of_arrays: Any = kind
        for place, of_array in enumerate(of_arrays):
            array = _without_owner(context, builder, of_array, builder.extract_value(given, place))
            given = builder.insert_value(given, array, place)
        return given

    return value(value), generate


def _without_owner(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    found = context.make_array(kind)(context, builder, array)
    found.meminfo = found.meminfo.type(None)
    return found._getvalue()


bare: Any = intrinsic(_without_owners)
"""In a kernel: an array, or a tuple of arrays, without a count of owners; who calls the kernel keeps the other."""
