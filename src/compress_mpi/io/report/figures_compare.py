"""Figures of several sets beside one prior: correlations along x and Frechet distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compress_mpi.io.report.figures_search import random_legend
from compress_mpi.io.report.style import (
    LOOKS,
    RANDOM_SHADES,
    SLIDE_WIDTH,
    mixed_x_axis,
    new_figure,
    shared_legend,
    styled,
)
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FrechetColumn", "draw_correlation_curves", "draw_frechet_of_sets"]


@dataclass(frozen=True)
class FrechetColumn:
    """One flavour.

    Attributes
    ----------
    title : str
        Math text.
    values : sequence of float
        Squared distance to the prior, one per set.
    random : mapping of float
        Bands of random subsets, see ``io.pycompressor.random_bands``.
    """

    title: str
    values: Sequence[float]
    random: Mapping[str, float]


@styled
def draw_correlation_curves(
    x: FloatArray, curves: Mapping[str, Sequence[FloatArray]], sets: Sequence[str]
) -> Figure:
    """Correlation between two flavours at the same x.

    Parameters
    ----------
    x : float64 (x,)
    curves : mapping
        Title of a pair, in math text, to float64 ``(x,)`` for each set, the prior first. Six pairs at most
        suit a slide.
    sets : sequence of str
        Legend.
    """
    from matplotlib.lines import Line2D

    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure = new_figure(SLIDE_WIDTH * max(columns, 2) / 3, 0.8 + 3.2 * rows)
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, (title, of_sets) in zip(panels.flat, curves.items(), strict=False):
        for look, values in zip(LOOKS, of_sets, strict=False):
            axes.plot(
                x, values, color=look.colour, ls="-" if look.fill else look.line, lw=3 if look.fill else 2
            )
        axes.axhline(0, color="black", lw=0.8)
        axes.set_title(f"${title}$")
        axes.set_ylim(-1.05, 1.05)
        mixed_x_axis(axes, x)
        axes.grid(alpha=0.25)
    for axes in panels.flat[len(curves) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel("correlation")
    handles = [
        Line2D([], [], color=look.colour, ls="-" if look.fill else look.line, lw=3 if look.fill else 2)
        for look in LOOKS[: len(sets)]
    ]
    shared_legend(figure, handles, sets)
    return figure


@styled
def draw_frechet_of_sets(columns: Sequence[FrechetColumn], sets: Sequence[str]) -> Figure:
    """Frechet distance of every flavour and set to the prior, among those of random subsets.

    Parameters
    ----------
    columns : sequence of FrechetColumn
    sets : sequence of str
        Legend, without the prior.
    """
    from matplotlib.lines import Line2D

    figure = new_figure(SLIDE_WIDTH, 5.2)
    axes = figure.subplots()
    step = 0.5 / max(len(sets), 1)
    for place, column in enumerate(columns):
        for level, width in (("90", 0.4), ("68", 0.6), ("50", 0.8)):
            low, high = (column.random[edge + level] for edge in "lu")
            axes.bar(place, high - low, bottom=low, width=width, color=RANDOM_SHADES[level], lw=0)
        axes.plot([place - 0.4, place + 0.4], [column.random["rmd"]] * 2, color="#3c4654", lw=1.8)
        for number, (look, value) in enumerate(zip(LOOKS[1:], column.values, strict=False)):
            shift = (number - (len(sets) - 1) / 2) * step
            axes.plot(place + shift, value, look.marker, color=look.colour, ms=10, mec="white", zorder=5)
    shown = [v for c in columns for v in (*c.values, c.random["l90"], c.random["u90"]) if v > 0] or [1.0]
    # limits first: without a positive distance a logarithmic axis finds none by itself
    axes.set(ylim=(min(shown) / 2, max(shown) * 2), xlim=(-0.6, len(columns) - 0.4))
    axes.set_yscale("log")
    axes.set_xticks(range(len(columns)), [f"${column.title}$" for column in columns], fontsize=18)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("Fréchet distance $d^2$ to prior")
    axes.grid(axis="y", alpha=0.25)
    handles, labels = random_legend()
    markers = [
        Line2D([], [], color=look.colour, marker=look.marker, ls="", ms=10)
        for look in LOOKS[1 : 1 + len(sets)]
    ]
    shared_legend(figure, [*markers, *handles], [*sets, *labels])
    return figure
