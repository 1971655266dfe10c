"""What the compressed tables are compared with: SZ3, zstd and lzma, each as good as it gets."""

from __future__ import annotations

import importlib.util
import lzma
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.types import FloatArray

__all__ = ["SZ3", "Best", "indices", "missing_peers", "planes", "squeezers", "sz3_best"]

ALGORITHMS = ("INTERP", "INTERP_LORENZO", "LORENZO_REG", "NOPRED")
"""All of SZ3 that lose something."""

_ZSTD_LEVEL = 19


@dataclass(frozen=True)
class Best:
    """The smallest of several ways.

    Attributes
    ----------
    how : str
    size : int
        Bytes.
    mean : float64 (columns,)
        Mean absolute errors.
    """

    how: str
    size: int
    mean: FloatArray


def missing_peers() -> list[str]:
    """Names of packages that are not installed."""
    return [name for name in ("pysz", "pyarrow") if importlib.util.find_spec(name) is None]


class SZ3:
    """One algorithm of SZ3 with an absolute bound."""

    def __init__(self, algorithm: str, bound: float) -> None:
        from pysz import szAlgorithm, szConfig, szErrorBoundMode

        self._config = szConfig()
        self._config.errorBoundMode = szErrorBoundMode.ABS
        self._config.absErrorBound = bound
        self._config.cmprAlgo = getattr(szAlgorithm, algorithm)

    def compress(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Bytes of an array."""
        from pysz import sz

        found: NDArray[np.uint8] = sz.compress(np.ascontiguousarray(values), self._config)[0]
        return found

    @staticmethod
    def decompress(data: NDArray[np.uint8], like: NDArray[Any]) -> NDArray[Any]:
        """An array of the type and shape of another one."""
        from pysz import sz

        found: NDArray[Any] = sz.decompress(data, like.dtype, like.shape)[0]
        return found


def sz3_best(rows: NDArray[np.float32], steps: FloatArray) -> Best:
    """All algorithms on both layouts: the best one for each column alone, or one for the table as a whole.

    Parameters
    ----------
    rows : float32 (n, columns)
    steps : float64 (columns,)
        Twice the greatest error of each column.
    """
    chosen, size, mean = [], 0, np.zeros(len(steps))
    for column, step in enumerate(steps):
        values = np.ascontiguousarray(rows[:, column])
        found = {name: SZ3(name, step / 2).compress(values) for name in ALGORITHMS}
        name = min(found, key=lambda one: found[one].size)
        chosen.append(name)
        size += found[name].size
        mean[column] = _mean_error(values, SZ3.decompress(found[name], values))
    best = Best("columns: " + ", ".join(chosen), size, mean)
    # in double precision: divided by small steps, float32 would not have the digits
    scaled = rows / steps
    for name in ALGORITHMS:
        data = SZ3(name, 0.5).compress(scaled)
        if data.size < best.size:
            decoded = (SZ3.decompress(data, scaled) * steps).astype(np.float32)
            errors = np.array([_mean_error(a, b) for a, b in zip(rows.T, decoded.T, strict=True)])
            best = Best(f"table: {name}", data.size, errors)
    return best


def _mean_error(values: NDArray[Any], decoded: NDArray[Any]) -> float:
    return float(np.abs(values.astype(np.float64) - decoded).mean())


def indices(rows: NDArray[np.float32], steps: FloatArray) -> NDArray[np.int32]:
    """Rows (n, columns) on a grid, the small numbers of both signs near zero."""
    found = np.rint(rows / steps).astype(np.int64)
    return ((found << 1) ^ (found >> 63)).astype(np.int32)


def planes(rows: NDArray[Any]) -> bytes:
    """Byte planes of every column (n, columns), one after the other: what shuffling filters do."""
    columns = np.ascontiguousarray(rows.T)
    parts = columns.view(np.uint8).reshape(*columns.shape, columns.itemsize)
    return parts.transpose(0, 2, 1).tobytes()


def squeezers() -> Mapping[str, Callable[[bytes], int]]:
    """Sizes after a general compressor, by its name."""
    found: dict[str, Callable[[bytes], int]] = {
        "lzma": lambda data: len(lzma.compress(data, lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME))
    }
    if importlib.util.find_spec("pyarrow") is not None:
        import pyarrow

        codec = pyarrow.Codec("zstd", compression_level=_ZSTD_LEVEL)
        found["zstd"] = lambda data: len(codec.compress(data, asbytes=True))
    return found
