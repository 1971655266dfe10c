"""Every pair of columns, before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.io.report.axes import column_text, number_axis
from compress_mpi.io.report.figures_events import draw_heights
from compress_mpi.io.report.histograms import Binning, choose_bins, fractions
from compress_mpi.io.report.style import LOOKS, SLIDE_WIDTH, new_figure, shared_legend, styled
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST_PAIRED", "draw_pairs"]

MOST_PAIRED = 5
"""Columns beyond which panels are too small to be read."""
_COLOURS = ("Blues", "Oranges")


@styled
def draw_pairs(
    names: Sequence[str],
    first: Mapping[str, NDArray[Any]],
    second: Mapping[str, NDArray[Any]],
    labels: tuple[str, str],
) -> Figure:
    """Columns against each other: one table below the diagonal, the other above it, on the same axes.

    On the diagonal are the distributions of both. Darker is more, on a logarithmic scale that both share.

    Parameters
    ----------
    names : sequence of str
        Two to ``MOST_PAIRED`` columns.
    first, second : mapping of arrays (row,)
    labels : (str, str)
        Legend of both.
    """
    from matplotlib.patches import Patch

    size = min(SLIDE_WIDTH, 2.9 * len(names) + 0.8)
    figure = new_figure(size, 0.86 * size)
    grid = figure.subplots(len(names), len(names), squeeze=False)
    bins = [choose_bins(first[name], second[name]) for name in names]
    for row, column in product(range(len(names)), repeat=2):
        axes = grid[row, column]
        if row == column:
            tables = (first[names[row]], second[names[row]])
            draw_heights(axes, bins[row], [fractions(values, bins[row].edges) for values in tables])
            axes.set_yticks([], [])
            axes.set_yticks([], [], minor=True)
        else:
            lower = row > column
            table = first if lower else second
            _density(
                axes,
                (table[names[column]], table[names[row]]),
                (bins[column], bins[row]),
                _COLOURS[not lower],
            )
        _outer_labels(axes, row, column, names)
    handles = [
        Patch(facecolor=LOOKS[0].fill or "none", edgecolor=LOOKS[0].colour, lw=1.5),
        Patch(facecolor="#fdbf86", edgecolor=LOOKS[1].colour, lw=1.5),
    ]
    shared_legend(figure, handles, [f"{labels[0]} (below)", f"{labels[1]} (above)"])
    return figure


def _density(
    axes: Axes, values: tuple[NDArray[Any], NDArray[Any]], bins: tuple[Binning, Binning], colours: str
) -> None:
    from matplotlib.colors import LogNorm

    counted, rows = _counts(values, bins)
    axes.pcolormesh(
        bins[0].edges,
        bins[1].edges,
        np.ma.masked_equal(counted, 0),
        cmap=colours,
        # the palest colours cannot be told from none
        norm=LogNorm(0.2 / rows, max(float(counted.max()), 1.0 / rows)),
        rasterized=True,
    )
    for which, one in zip("xy", bins, strict=True):
        getattr(axes, f"set_{which}scale")("log" if one.log_x else "linear")
        getattr(axes, f"set_{which}lim")(one.edges[0], one.edges[-1])


def _counts(
    values: tuple[NDArray[Any], NDArray[Any]], bins: tuple[Binning, Binning]
) -> tuple[FloatArray, int]:
    """Share of the rows per cell, float64 (y, x), and the rows in which both are finite."""
    x, y = (np.asarray(v, dtype=np.float64) for v in values)
    kept = np.isfinite(x) & np.isfinite(y)
    across, up = (np.clip(v[kept], b.edges[0], b.edges[-1]) for v, b in zip((x, y), bins, strict=True))
    counted = np.histogram2d(up, across, bins=[bins[1].edges, bins[0].edges])[0]
    rows = max(int(kept.sum()), 1)
    return np.asarray(counted / rows, dtype=np.float64), rows


def _outer_labels(axes: Axes, row: int, column: int, names: Sequence[str]) -> None:
    """Numbers and names along the left and the lower edge only."""
    last = row == len(names) - 1
    number_axis(axes, "x", column_text(names[column], 16) if last else "", ticks=3)
    axes.tick_params(labelbottom=last, which="both")
    if not last:
        axes.set_xlabel("")
    axes.xaxis.label.set_fontsize(13)
    axes.yaxis.label.set_fontsize(13)
    if row != column:
        number_axis(axes, "y", column_text(names[row], 16) if column == 0 else "", ticks=3)
        axes.tick_params(labelleft=column == 0, which="both")
        if column:
            axes.set_ylabel("")
    elif column == 0:
        axes.set_ylabel(column_text(names[0], 16))
