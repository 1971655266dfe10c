"""Text files of the C++ ``compressor``, in the shape that ``io.pycompressor.read_erf_lines`` gives.

``erf_random.dat`` has a line per run: the size N, then eight numbers per estimator (mean, median, and lower
and upper edge of the 50, 68 and 90 % intervals). ``erf_compression.dat`` has N and one number per estimator.
Numbers are separated by tabs. Estimators come in the order mean, standard deviation, skewness, kurtosis, then
in some versions the fifth and sixth moments, then Kolmogorov-Smirnov and correlation. A run appends its line,
so of several lines of one size the last counts.

Source: ``src/main.cc`` and ``bin/compressor_validate.C`` of https://github.com/scarrazza/compressor.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from compress_mpi.errors import StoreError
from compress_mpi.types import ESTIMATORS

__all__ = ["read_compression", "read_random"]

_BANDS = ("rcv", "rmd", "l50", "u50", "l68", "u68", "l90", "u90")
_HIGHER = ("moment5th", "moment6th")
_ORDERS = {
    len(names): names for names in (tuple(n for n in ESTIMATORS if n not in _HIGHER), tuple(ESTIMATORS))
}


def read_random(path: Path | str) -> dict[int, dict[str, dict[str, float]]]:
    """Read ``erf_random.dat``.

    Returns
    -------
    dict
        Size -> estimator -> bands.

    Raises
    ------
    StoreError
        If the file cannot be read or a line is malformed; names the line.
    """
    found = {}
    for n, numbers, where in _rows(Path(path)):
        blocks = [numbers[i : i + len(_BANDS)] for i in range(0, len(numbers), len(_BANDS))]
        names = _names(len(numbers) / len(_BANDS), where, len(_BANDS))
        found[n] = {
            name: dict(zip(_BANDS, block, strict=True)) for name, block in zip(names, blocks, strict=True)
        }
    return found


def read_compression(path: Path | str) -> dict[int, dict[str, float]]:
    """Read ``erf_compression.dat``.

    Returns
    -------
    dict
        Size -> estimator -> distance, not normalised.

    Raises
    ------
    StoreError
        As ``read_random``.
    """
    return {
        n: dict(zip(_names(len(numbers), where, 1), numbers, strict=True))
        for n, numbers, where in _rows(Path(path))
    }


def _names(count: float, where: str, each: int) -> tuple[str, ...]:
    if count not in _ORDERS:
        wanted = " or ".join(str(1 + each * n) for n in _ORDERS)
        raise StoreError(
            f"{where}: expected {wanted} numbers, got {1 + round(each * count)}; is it the other file?"
        )
    return _ORDERS[int(count)]


def _rows(path: Path) -> list[tuple[int, list[float], str]]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: not a text file; expected one of the C++ compressor") from error
    lines = enumerate(text.splitlines(), start=1)
    return [_row(line.split(), f"{path}: line {number}") for number, line in lines if line.strip()]


def _row(words: list[str], where: str) -> tuple[int, list[float], str]:
    if not words[0].isdecimal():
        raise StoreError(
            f"{where}: expected a size and numbers separated by tabs, got {words[0][:30]!r}; "
            "files of pyCompressor and of this program need no --format"
        )
    return int(words[0]), [_number(word, where) for word in words[1:]], where


def _number(word: str, where: str) -> float:
    try:
        value: Any = float(word)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise StoreError(f"{where}: expected a number, got {word[:30]!r}")
    return float(value)
