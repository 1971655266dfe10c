"""The figure by which compressions are validated: distances against the size, among random subsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from compress_mpi.io.report.figures_search import random_legend
from compress_mpi.io.report.style import (
    LOOKS,
    RANDOM_SHADES,
    SLIDE_WIDTH,
    estimator_label,
    new_figure,
    shared_legend,
    styled,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_validation"]

_LEVELS = ("90", "68", "50")
_INK = "#3c4654"


@styled
def draw_validation(
    random: Mapping[str, Mapping[int, Mapping[str, float]]],
    reduced: Mapping[str, Mapping[int, float]],
    compressed: str = "compressed",
) -> Figure:
    """Distances against N, one panel per estimator.

    Parameters
    ----------
    random : mapping
        Estimator -> size -> bands of random subsets, see ``io.pycompressor.random_bands``.
    reduced : mapping
        Estimator -> size -> distance of a selection, not normalised.
    compressed : str
        Legend of the selections.
    """
    from matplotlib.lines import Line2D

    columns = min(3, len(random))
    rows = -(-len(random) // columns)
    figure = new_figure(SLIDE_WIDTH * columns / 3, 0.8 + 3.5 * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes, (name, bands) in zip(panels.flat, random.items(), strict=False):
        _bars(axes, bands)
        points = sorted(reduced.get(name, {}).items())
        look = LOOKS[1]
        axes.plot(
            *np.array(points).reshape(-1, 2).T, look.marker, color=look.colour, ms=9, mec="white", zorder=5
        )
        axes.set_title(estimator_label(name))
        _size_axis(axes, sorted({*bands, *(n for n, _ in points)}))
        _distance_axis(axes, [v for band in bands.values() for v in band.values()] + [v for _, v in points])
    for axes in panels.flat[len(random) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("distance, not normalised")
    handles, labels = random_legend(mean=True)
    marker = Line2D([], [], color=LOOKS[1].colour, marker=LOOKS[1].marker, ls="", ms=9, mec="white")
    shared_legend(figure, [marker, *handles], [compressed, *labels])
    return figure


def _bars(axes: Axes, bands: Mapping[int, Mapping[str, float]]) -> None:
    """Nested vertical bars at every size; wider levels are thinner. Widths are logarithmic like the axis."""
    for n, band in bands.items():
        for level, half in zip(_LEVELS, (0.025, 0.04, 0.055), strict=True):
            low, high = (max(band[edge + level], 1e-300) for edge in "lu")
            left, right = n * (1 - half), n * (1 + half)
            axes.fill_between([left, right], low, high, color=RANDOM_SHADES[level], lw=0)
        axes.plot([n * 0.945, n * 1.055], [band["rmd"]] * 2, color=_INK, lw=1.8)
        axes.plot(n, band["rcv"], "x", color=_INK, ms=8, mew=2)


def _size_axis(axes: Axes, sizes: list[int]) -> None:
    from matplotlib.ticker import NullLocator

    axes.set(xlabel="replicas $N$", xlim=(sizes[0] * 0.8, sizes[-1] * 1.25))
    axes.set_xscale("log")
    shown: list[Any] = []
    for n in sizes:
        # numbers of neighbours must not touch
        if not shown or n / shown[-1] > 1.25 * (sizes[-1] / sizes[0]) ** 0.08:
            shown.append(n)
    axes.set_xticks(shown, [str(n) for n in shown])
    axes.xaxis.set_minor_locator(NullLocator())


def _distance_axis(axes: Axes, values: list[float]) -> None:
    from matplotlib.ticker import NullFormatter

    # limits first: without a positive distance a logarithmic axis finds none by itself
    shown = [value for value in values if value > 0] or [1.0]
    axes.set_ylim(min(shown) / 1.5, max(shown) * 1.5)
    axes.set_yscale("log")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", alpha=0.25)
