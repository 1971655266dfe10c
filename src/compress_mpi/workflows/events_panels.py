"""What figures of many columns share: which of them are drawn, and how they are named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.io.report.figures_events_pairs import MOST_PAIRED, draw_pairs
from compress_mpi.io.report.page import Plot
from compress_mpi.workflows.report_plots import Plotter

__all__ = ["SHOWN", "Both", "chosen", "left_out", "listed", "pair_plots"]

SHOWN = 24
"""Columns that are drawn at most: a page with figures of thousands could not be opened."""
Both = tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]
"""The same columns of two tables."""


def chosen(names: Sequence[str], weight: Mapping[str, float]) -> list[str]:
    """The ``SHOWN`` heaviest columns, in the order of the table."""
    # a weight that is NaN hides nothing
    order = sorted(names, key=lambda name: -np.nan_to_num(weight.get(name, 0.0), nan=np.inf))
    kept = set(order[:SHOWN])
    return [name for name in names if name in kept]


def left_out(shown: int, known: int, reason: str) -> str:
    """A sentence about columns that are not drawn; empty where all are."""
    return f"{shown} of {known} columns are drawn, those with {reason}." if shown < known else ""


def listed(names: Sequence[str]) -> str:
    """Names in a caption."""
    return ", ".join(names)


def pair_plots(
    names: Sequence[str], both: Both, plot: Plotter, stem: str, labels: tuple[str, str]
) -> list[Plot]:
    """The first few columns of two tables against each other; empty where there is one column only."""
    some = names[:MOST_PAIRED]
    if len(some) < 2:
        return []
    return [
        plot(
            stem,
            draw_pairs(some, *both, labels),
            f"{listed(some)} against each other: {labels[0]} below the diagonal, {labels[1]} above it, on the same "
            "axes and with a common logarithmic scale of colours.",
            f"Two-dimensional histograms of all pairs of {listed(some)}.",
        )
    ]
