"""numba, without what no kernel of this program asks for.

Kernels take ``njit`` from here. Before the first of them is compiled, or read from the cache,
numba imports two things that this program never uses: every installed package that registers an
extension of it (awkward does), and ``scipy.linalg``, to see that it is there. Both together are up to
a third of the start of a rank, and some five hundred modules that all ranks of a node look for.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from typing import Any

from numba import njit

__all__ = ["njit"]


def _without_extensions() -> None:
    """Kernels take numbers and arrays of numpy, which numba knows by itself."""
    entrypoints: Any = importlib.import_module("numba.core.entrypoints")
    if hasattr(entrypoints, "_already_initialized"):
        entrypoints._already_initialized = True


def _without_linear_algebra() -> None:
    """Let numba take it on trust that scipy has a BLAS; a function that calls it still looks."""
    linalg: Any = importlib.import_module("numba.np.linalg")
    late = "numba.np.arraymath" in sys.modules
    if late or not hasattr(linalg, "ensure_blas") or find_spec("scipy") is None:
        return
    look, linalg.ensure_blas = linalg.ensure_blas, lambda: None
    try:
        importlib.import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = look


_without_extensions()
_without_linear_algebra()
