"""``validate``: the error functions of selections of many sizes among those of random subsets, as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compress_mpi.errors import StoreError
from compress_mpi.io.ccomp import read_compression, read_random
from compress_mpi.io.pycompressor import read_erf_lines
from compress_mpi.io.report.figures_validation import draw_validation
from compress_mpi.io.report.style import save_figure
from compress_mpi.types import ESTIMATORS

__all__ = ["read_validation", "validate"]

_BANDS = ("rcv", "rmd", "l50", "u50", "l68", "u68", "l90", "u90")
_NAME = "erf_validation"

ByEstimator = dict[str, dict[int, Any]]


def validate(random: Path, reduced: Path, ccomp: bool, folder: Path) -> str:
    """Draw the validation plots.

    Parameters
    ----------
    random, reduced : Path
        ``erf_randomized.dat`` and ``erf_reduced.dat``; of the C++ code ``erf_random.dat`` and
        ``erf_compression.dat``.
    ccomp : bool
        Whether they are of the C++ code.
    folder : Path
        Where ``erf_validation.png`` and ``.pdf`` go; made if it is missing.

    Returns
    -------
    str
        What was drawn, and where.

    Raises
    ------
    StoreError
        If a file is damaged, or the two have no size in common.
    OutputError
        If the figure cannot be written.
    """
    bands, points = read_validation(random, reduced, ccomp)
    save_figure(draw_validation(bands, points), folder, _NAME)
    return "\n".join([str(folder / f"{_NAME}.png"), str(folder / f"{_NAME}.pdf"), *_summary(bands, points)])


def read_validation(random: Path, reduced: Path, ccomp: bool = False) -> tuple[ByEstimator, ByEstimator]:
    """Bands and distances by estimator and size; arguments and errors as for ``validate``.

    Returns
    -------
    dict
        Estimator -> size -> bands of random subsets.
    dict
        Estimator -> size -> distance.
    """
    read_bands, read_points = (read_random, read_compression) if ccomp else (read_erf_lines, read_erf_lines)
    bands, points = read_bands(random), read_points(reduced)
    _require_bands(random, bands)
    _require_numbers(reduced, points)
    if not set(bands) & set(points):
        raise StoreError(
            f"{random} has sizes {_listed(bands)}, {reduced} has {_listed(points)}: none in common; "
            "are they of the same runs?"
        )
    return _by_estimator(bands), _by_estimator(points)


def _listed(sizes: Mapping[int, Any]) -> str:
    return ", ".join(map(str, sorted(sizes))) or "none"


def _require_bands(path: Path, sizes: Mapping[int, Mapping[str, Any]]) -> None:
    for n, values in sizes.items():
        for name, band in values.items():
            if not isinstance(band, Mapping) or not all(_is_number(band.get(key)) for key in _BANDS):
                raise StoreError(
                    f"{path}: size {n}: {name}: expected an object with numbers {', '.join(_BANDS)}; "
                    "is this the file of the selections?"
                )


def _require_numbers(path: Path, sizes: Mapping[int, Mapping[str, Any]]) -> None:
    for n, values in sizes.items():
        for name, value in values.items():
            if not _is_number(value):
                raise StoreError(
                    f"{path}: size {n}: {name}: expected a number; is this the file of the random subsets?"
                )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _by_estimator(sizes: Mapping[int, Mapping[str, Any]]) -> ByEstimator:
    names = dict.fromkeys(name for values in sizes.values() for name in values)
    known = [name for name in ESTIMATORS if name in names]
    ordered = [*known, *(name for name in names if name not in known)]
    return {name: {n: v[name] for n, v in sorted(sizes.items()) if name in v} for name in ordered}


def _summary(bands: ByEstimator, points: ByEstimator) -> list[str]:
    lines = [f"{'estimator':<20}{'N':>6}{'compressed':>14}{'random median':>16}{'ratio':>9}"]
    for name, by_size in bands.items():
        for n, band in by_size.items():
            value = points.get(name, {}).get(n)
            if value is not None:
                ratio = f"{value / band['rmd']:>9.3g}" if band["rmd"] else f"{'-':>9}"
                lines.append(f"{name:<20}{n:>6}{value:>14.6g}{band['rmd']:>16.6g}{ratio}")
    return lines
