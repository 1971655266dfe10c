"""What a benchmark reports: named lists of repeated measurements, and how they are summed up and shown."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Measure", "Outcome", "calibrated", "ratios", "table"]

_HEAD = ("measured", "median", "lowest", "highest", "unit", "runs")


def calibrated(function: Callable[[int], object], seconds: float) -> tuple[int, float]:
    """A number of repetitions that takes an eighth of ``seconds`` or more, and the processor time it took."""
    function(1)
    count = 1
    while True:
        began = time.process_time()
        function(count)
        took = time.process_time() - began
        if took > seconds / 8:
            return count, took
        count *= 4


@dataclass(frozen=True)
class Measure:
    """One quantity, measured several times.

    Attributes
    ----------
    name : str
    unit : str
        ``x`` for a ratio of two measurements made side by side in the same run.
    values : tuple of float
        In the order of the repetitions.
    """

    name: str
    unit: str
    values: tuple[float, ...]

    def summary(self) -> dict[str, Any]:
        """For the JSON file; the spread is that of the repetitions, lowest to highest."""
        return {
            "unit": self.unit,
            "median": float(np.median(self.values)),
            "lowest": min(self.values),
            "highest": max(self.values),
            "values": list(self.values),
        }


@dataclass
class Outcome:
    """All that one benchmark found.

    Attributes
    ----------
    about : str
        One line.
    settings : dict
        What the numbers depend on.
    measures : list of Measure
    notes : list of str
        What a reader must know to judge the numbers.
    """

    about: str
    settings: dict[str, Any]
    measures: list[Measure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, unit: str, values: Sequence[float]) -> None:
        """Enter a quantity with its repeated values."""
        self.measures.append(Measure(name, unit, tuple(float(value) for value in values)))

    def value(self, name: str) -> float:
        """Median of a quantity."""
        return float(np.median(next(m.values for m in self.measures if m.name == name)))

    def record(self) -> dict[str, Any]:
        """For the JSON file."""
        return {
            "about": self.about,
            "settings": self.settings,
            "measures": {measure.name: measure.summary() for measure in self.measures},
            "notes": self.notes,
        }


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Ratios of measurements of the same repetition, so that the load of the machine drops out."""
    return [a / b for a, b in zip(above, below, strict=True)]


def table(outcomes: dict[str, Outcome]) -> str:
    """All results as text for a person."""
    lines = []
    for name, outcome in outcomes.items():
        rows = [_row(measure) for measure in outcome.measures]
        widths = [max(len(row[i]) for row in [_HEAD, *rows]) for i in range(len(_HEAD))]
        settings = ", ".join(f"{key} {value}" for key, value in outcome.settings.items())
        lines += [f"{name}: {outcome.about}", f"  {settings}"]
        lines += ["  " + _aligned(row, widths) for row in [_HEAD, *rows]]
        lines += [f"  note: {note}" for note in outcome.notes] + [""]
    return "\n".join(lines)


def _row(measure: Measure) -> tuple[str, ...]:
    summary = measure.summary()
    numbers = [_number(summary[key]) for key in ("median", "lowest", "highest")]
    return (measure.name, *numbers, measure.unit, str(len(measure.values)))


def _number(value: float) -> str:
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(digits, 6)}f}"


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    left = (0, 4)
    cells = [
        cell.ljust(width) if i in left else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
