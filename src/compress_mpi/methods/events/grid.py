"""The grid of a column: which values it may decode to, and the integer that stands for each.

The four kinds:

``absolute``
    floats as multiples of a step, so that zero stays zero;
``relative``
    floats in cells as wide as a relative error allows (:mod:`~compress_mpi.methods.events.grid_relative`);
``ulps``
    floats as the integers of their bits, lossless, with -0.0, infinities and what is below the normal numbers;
``integer``
    integers and flags as multiples of an odd step, 1 for lossless.

What no index keeps within the bound is *apart*: stored as it is, in another place. Which values those are is decided
without rounding, so the bound holds for every single value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.grid_float import (
    FLOATS,
    absolute_index,
    absolute_value,
    bits_index,
    bits_value,
)
from compress_mpi.methods.events.grid_integer import INTEGERS, WIDEST, integer_index, integer_value
from compress_mpi.methods.events.grid_relative import relative_index, relative_value
from compress_mpi.types import IntArray

__all__ = ["DTYPES", "Grid", "index_of", "value_of"]

DTYPES = (*INTEGERS, *FLOATS)
"""Types of columns, by their NumPy names."""
_KINDS = {"absolute": FLOATS, "relative": FLOATS, "ulps": FLOATS, "integer": INTEGERS}


@dataclass(frozen=True)
class Grid:
    r"""The values of one column.

    Attributes
    ----------
    kind : {"absolute", "relative", "ulps", "integer"}
    step : float or int
        Distance of neighbours in units of the column; for ``relative`` the bound, for ``ulps`` 1.
    dtype : str
        NumPy name of the type of the column.
    bound : float or int
        Greatest \|x - value\| in units of the column; for ``relative``, greatest \|x - value\| / \|x\|. 0: lossless.

    Raises
    ------
    ValueError
        If these do not fit each other.
    """

    kind: str
    step: float | int
    dtype: str
    bound: float | int

    def __post_init__(self) -> None:
        if self.dtype not in _KINDS.get(self.kind, ()):
            raise ValueError(f"grid: there is no kind '{self.kind}' for columns of type '{self.dtype}'")
        if not _fits(self.kind, self.step, self.bound):
            raise ValueError(f"grid '{self.kind}': step {self.step!r} and bound {self.bound!r} are no grid")

    @property
    def lossless(self) -> bool:
        """Whether every value comes back with the same bits."""
        return self.kind in ("ulps", "integer") and self.step == 1

    def facts(self) -> dict[str, str | float | int]:
        """What to store, as plain numbers and words; :meth:`from_facts` reads it."""
        return {"kind": self.kind, "step": self.step, "dtype": self.dtype, "bound": self.bound}

    @staticmethod
    def from_facts(facts: Mapping[str, Any]) -> Grid:
        """Put :meth:`facts` back.

        Raises
        ------
        ValueError
            If one is missing, or they are no grid.
        """
        missing = [name for name in ("kind", "step", "dtype", "bound") if name not in facts]
        if missing:
            raise ValueError(f"stored grid: '{missing[0]}' is missing")
        return Grid(facts["kind"], facts["step"], facts["dtype"], facts["bound"])


def _fits(kind: str, step: Any, bound: Any) -> bool:
    number = int if kind in ("ulps", "integer") else float
    if type(step) is not number or type(bound) is not number:
        return False
    if kind == "absolute":
        return 0 < step < math.inf and 0 <= bound < math.inf
    if kind == "relative":
        return 0 < step == bound < 1
    if kind == "ulps":
        return step == 1 and bound == 0
    return 0 < step <= WIDEST and step % 2 == 1 and bound == step // 2


def index_of(x: NDArray[Any], grid: Grid) -> tuple[IntArray, NDArray[np.bool_]]:
    """Indices of the values of a column.

    Parameters
    ----------
    x : (n,), of the type of the grid
    grid : Grid

    Returns
    -------
    index : int64 (n,)
        0 where apart.
    apart : bool (n,)
        What has no index, or none within the bound.

    Raises
    ------
    ValueError
        If x is of another type.
    """
    if x.dtype.name != grid.dtype or x.ndim != 1:
        raise ValueError(f"grid of '{grid.dtype}' (n,): got '{x.dtype.name}' of shape {x.shape}")
    # views of bits need the machine's own byte order, without gaps
    x = np.ascontiguousarray(x, dtype=grid.dtype)
    if grid.kind == "absolute":
        return absolute_index(x, float(grid.step), float(grid.bound))
    if grid.kind == "relative":
        return relative_index(x, float(grid.bound))
    if grid.kind == "ulps":
        return bits_index(x)
    return integer_index(x, int(grid.step)), np.zeros(len(x), dtype=bool)


def value_of(index: IntArray, grid: Grid) -> NDArray[Any]:
    """Values of indices, the same bits on any machine.

    Parameters
    ----------
    index : int64 (n,)
        Any: one that :func:`index_of` never gives has a value too.
    grid : Grid

    Returns
    -------
    (n,), of the type of the grid
    """
    if grid.kind == "absolute":
        return absolute_value(index, float(grid.step), grid.dtype)
    if grid.kind == "relative":
        return relative_value(index, float(grid.bound), grid.dtype)
    if grid.kind == "ulps":
        return bits_value(index, grid.dtype)
    return integer_value(index, int(grid.step), grid.dtype)
