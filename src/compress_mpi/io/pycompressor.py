"""Result files of pyCompressor, so that either tool's scripts read the other's files.

``<PDF>/compress_<PDF>_<N>_output.dat`` holds the selection as JSON;
``erfs_output/erf_randomized.dat`` and ``erfs_output/erf_reduced.dat`` hold one
line per size, ``N:`` and a JSON object. pyCompressor appends a line at each run
and the last one counts; here the line of the same size is replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import OutputError, StoreError
from compress_mpi.io.atomic import atomic_write
from compress_mpi.types import FloatArray

__all__ = [
    "CompressDat",
    "has_erf_line",
    "merge_erf_line",
    "random_bands",
    "read_compress_dat",
    "read_erf_lines",
    "write_compress_dat",
]


@dataclass(frozen=True)
class CompressDat:
    """Content of one ``compress_<PDF>_<N>_output.dat``."""

    pdfset_name: str
    """Set the replica numbers refer to; its name ends in ``_enhanced`` for an enhanced prior."""
    erfs: tuple[float, ...]
    """Total error function after each iteration; pyCompressor leaves it empty for CMA-ES."""
    index: tuple[int, ...]
    """Replica numbers; files of pyCompressor may repeat one, and may contain member 0."""


def write_compress_dat(
    path: Path | str, pdfset_name: str, erfs: Sequence[float] | FloatArray, index: Sequence[int] | np.ndarray
) -> None:
    """Write a selection in pyCompressor's format, atomically; missing folders are created.

    Parameters
    ----------
    path : Path or str
        Usually ``<PDF>/compress_<PDF>_<N>_output.dat``.
    pdfset_name : str
        Set the replica numbers refer to.
    erfs : float64 (n_iteration,)
        Total error function per iteration, dimensionless.
    index : int (n_rep,)
        Selected replica numbers, from 1.

    Raises
    ------
    OutputError
        If the file cannot be written; an old one stays as it was.
    """
    content = {
        "pdfset_name": pdfset_name,
        "ERFs": [float(erf) for erf in erfs],
        "index": [int(number) for number in index],
    }
    _make_folder(Path(path))
    atomic_write(path, json.dumps(content, indent=2))


def read_compress_dat(path: Path | str) -> CompressDat:
    """Read a selection written by either tool.

    Parameters
    ----------
    path : Path or str
        A ``compress_<PDF>_<N>_output.dat``.

    Returns
    -------
    CompressDat

    Raises
    ------
    StoreError
        If the file cannot be read, is no JSON object, or a key is missing or malformed.
    """
    content = _decode(_read_text(path), str(path))
    if not isinstance(content, dict):
        raise StoreError(f"{path}: expected a JSON object with pdfset_name, ERFs and index")
    for key, (is_valid, expected) in _DAT_KEYS.items():
        if key not in content:
            raise StoreError(f"{path}: {key}: missing; expected {expected}")
        if not is_valid(content[key]):
            raise StoreError(f"{path}: {key}: expected {expected}")
    erfs = tuple(float(erf) for erf in content["ERFs"])
    return CompressDat(content["pdfset_name"], erfs, tuple(content["index"]))


def random_bands(trials: FloatArray) -> dict[str, float]:
    """Mean, median and central intervals of one estimator's distance over random subsets.

    Parameters
    ----------
    trials : float64 (n_trial,)
        Distances of random subsets, not normalised; at least one.

    Returns
    -------
    dict
        ``rcv`` (mean), ``rmd`` (median) and lower and upper edges ``l50``, ``u50``, ``l68``, ``u68``,
        ``l90``, ``u90``. ``u68`` is the estimator's normalisation, Eq. (9) of arXiv:1504.06469.

    Raises
    ------
    ValueError
        If ``trials`` is empty.
    """
    if len(trials) == 0:
        raise ValueError("bands need at least one random trial")
    ordered = np.sort(trials)
    bands = {"rcv": float(np.mean(trials)), "rmd": float(np.median(trials))}
    for percent, central in (("50", 0.50), ("68", 0.68), ("90", 0.90)):
        # Both existing codes compute the tail in exactly this order, and floating point
        # makes it 159, not 160, for 68 % of 1000.
        tail = int(len(ordered) * (1 - central) / 2)
        bands[f"l{percent}"] = float(ordered[tail])
        bands[f"u{percent}"] = float(ordered[len(ordered) - tail - 1])
    return bands


def merge_erf_line(path: Path | str, n: int, values: Mapping[str, Any]) -> None:
    """Put the line of size ``n`` into an ``erfs_output`` file, in place of older lines of that size.

    All other lines keep every byte. The change is atomic; where the file
    system knows locks, jobs that share the folder wait for each other.

    Parameters
    ----------
    path : Path or str
        ``erf_randomized.dat`` or ``erf_reduced.dat``; missing folders are created.
    n : int
        Number of selected replicas.
    values : mapping
        Estimator -> bands (see :func:`random_bands`), or estimator -> distance, not normalised.

    Raises
    ------
    OutputError
        If the file cannot be read or written; it stays as it was.
    """
    path = Path(path)
    line = f"{n}:{json.dumps(dict(values), default=_plain)}\n".encode()
    _make_folder(path)
    with _locked(path.parent):
        lines = _raw_lines(path)
        places = [number for number, old in enumerate(lines) if _size_of(old) == n]
        if places:
            lines[places[0]] = line
        else:
            lines.append(line)
        atomic_write(path, b"".join(old for number, old in enumerate(lines) if number not in places[1:]))


def has_erf_line(path: Path | str, n: int) -> bool:
    """Whether an ``erfs_output`` file exists and has a line of size ``n``; other lines may be anything.

    Raises
    ------
    OutputError
        If the file cannot be read.
    """
    return any(_size_of(line) == n for line in _raw_lines(Path(path)))


def read_erf_lines(path: Path | str) -> dict[int, dict[str, Any]]:
    """Read an ``erfs_output`` file of either tool; of several lines of one size the last counts.

    Parameters
    ----------
    path : Path or str
        ``erf_randomized.dat`` or ``erf_reduced.dat``.

    Returns
    -------
    dict
        Size -> estimator -> bands or distance, in order of first appearance.

    Raises
    ------
    StoreError
        If the file cannot be read or a line is malformed; names the line.
    """
    sizes: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if line.strip():
            size, values = _parse_line(line, f"{path}: line {number}")
            sizes[size] = values
    return sizes


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    return type(value) is float or _is_count(value)


_DAT_KEYS = {
    "pdfset_name": (lambda value: isinstance(value, str) and value != "", "the name of a PDF set"),
    "ERFs": (lambda value: isinstance(value, list) and all(map(_is_number, value)), "a list of numbers"),
    "index": (
        lambda value: isinstance(value, list) and value and all(map(_is_count, value)),
        "a list of replica numbers (integers)",
    ),
}


def _read_text(path: Path | str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: not a text file; expected a .dat file of pyCompressor") from error


def _decode(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise StoreError(
            f"{where}: not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from error
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{where}: not usable JSON: {error}") from error


def _parse_line(line: str, where: str) -> tuple[int, dict[str, Any]]:
    match = re.fullmatch(r"\s*([0-9]{1,18})\s*:(.*)", line, re.ASCII)
    if match is None:
        raise StoreError(f"{where}: expected a size, a colon and a JSON object, such as 50:{{...}}")
    values = _decode(match[2], where)
    if not isinstance(values, dict):
        raise StoreError(f"{where}: expected a JSON object of estimators after '{match[1]}:'")
    return int(match[1]), values


def _raw_lines(path: Path) -> list[bytes]:
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OutputError(f"{path}: cannot be read to add a line: {error.strerror or error}") from error
    if lines and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    return lines


def _size_of(line: bytes) -> int | None:
    match = re.match(rb"\s*([0-9]{1,18})\s*:", line)
    return int(match[1]) if match else None


def _plain(value: Any) -> Any:
    return np.asarray(value).tolist()


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot be created: {error.strerror or error}") from error


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = -1
    # Some cluster file systems have no locks; replacing the file stays atomic without.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)
