"""Figures that put many numbers into one: correlation matrices and Frechet distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from compress_mpi.io.report.figures_search import Judged, random_legend
from compress_mpi.io.report.style import (
    LOOKS,
    RANDOM_SHADES,
    SLIDE_WIDTH,
    flavour_label,
    new_figure,
    shared_legend,
    styled,
)
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_correlations", "draw_frechet"]


@styled
def draw_correlations(
    matrices: Mapping[str, FloatArray], difference: tuple[str, FloatArray], pids: Sequence[int]
) -> Figure:
    """Correlation matrices side by side, and their difference on a scale of its own.

    Parameters
    ----------
    matrices : mapping of float64 (point, point)
        By title.
    difference : (str, float64 (point, point))
        Title and matrix.
    pids : sequence of int
        PDG id of every point; points of a flavour are neighbours.
    """
    from matplotlib.ticker import MaxNLocator

    limit = max(float(np.abs(difference[1]).max(initial=0.0)), 1e-12)
    panels = [*((title, matrix, "RdBu_r", 1.0) for title, matrix in matrices.items())]
    panels.append((*difference, "PuOr_r", limit))
    figure = new_figure(SLIDE_WIDTH * len(panels) / 3, 5.6, layout="compressed")
    for axes, (title, matrix, colours, scale) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        image = axes.imshow(matrix, cmap=colours, vmin=-scale, vmax=scale, interpolation="nearest")
        axes.set_title(title)
        _flavour_blocks(axes, pids)
        bar = figure.colorbar(image, ax=axes, shrink=0.9, aspect=25, orientation="horizontal")
        bar.locator = MaxNLocator(4, symmetric=True)
        bar.update_ticks()
    return figure


def _flavour_blocks(axes: Axes, pids: Sequence[int]) -> None:
    edges = [0, *(i for i in range(1, len(pids)) if pids[i] != pids[i - 1]), len(pids)]
    centres = [(a + b - 1) / 2 for a, b in pairwise(edges)]
    labels = [f"${flavour_label(pids[a])}$" for a in edges[:-1]]
    axes.set_xticks(centres, labels)
    axes.set_yticks(centres, labels)
    axes.tick_params(length=0)
    for edge in edges[1:-1]:
        axes.axhline(edge - 0.5, color="white", lw=1)
        axes.axvline(edge - 0.5, color="white", lw=1)


@styled
def draw_frechet(judged: Mapping[str, Judged], compressed: str) -> Figure:
    """Frechet distance of every flavour among those of random subsets.

    Parameters
    ----------
    judged : mapping of Judged
        By flavour, in math text.
    compressed : str
        Legend of the selection.
    """
    from matplotlib.lines import Line2D

    figure = new_figure(SLIDE_WIDTH, 5.2)
    axes = figure.subplots()
    for column, one in enumerate(judged.values()):
        for level, width in (("90", 0.3), ("68", 0.46), ("50", 0.6)):
            low, high = (one.random[edge + level] for edge in "lu")
            axes.bar(column, high - low, bottom=low, width=width, color=RANDOM_SHADES[level], lw=0)
        axes.plot([column - 0.3, column + 0.3], [one.random["rmd"]] * 2, color="#3c4654", lw=1.8)
        axes.plot(column, one.value, LOOKS[1].marker, color=LOOKS[1].colour, ms=11, mec="white", zorder=5)
    everything = [v for one in judged.values() for v in (one.value, one.random["l90"], one.random["u90"])]
    positive = [v for v in everything if v > 0] or [1.0]
    axes.set(yscale="log", ylim=(min(positive) / 2, max(positive) * 2))
    axes.set_xticks(range(len(judged)), [f"${name}$" for name in judged], fontsize=18)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(judged) - 0.4)
    axes.set_ylabel("Fréchet distance $d^2$ to prior")
    axes.grid(axis="y", alpha=0.25)
    handles, labels = random_legend()
    marker = Line2D([], [], color=LOOKS[1].colour, marker=LOOKS[1].marker, ls="", ms=11)
    shared_legend(figure, [marker, *handles], [compressed, *labels])
    return figure
