"""Figures of what a flow makes of the rows: latents beside a normal distribution, uniforms beside a flat one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from compress_mpi.io.report.axes import column_text, number_axis, write_inside
from compress_mpi.io.report.events_types import Latents
from compress_mpi.io.report.figures_events import ACROSS, panel_width
from compress_mpi.io.report.histograms import fractions
from compress_mpi.io.report.style import LOOKS, new_figure, shared_legend, styled
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_latents", "draw_uniforms"]

_DARK = "#3c4654"
_SPAN = 5.0


def _grid(panels: int) -> tuple[Figure, Any]:
    rows = -(-panels // ACROSS)
    across = -(-panels // rows)
    figure = new_figure(panel_width(across), 0.9 + 3.5 * rows)
    grid = figure.subplots(rows, across, squeeze=False)
    for axes in grid.flat[panels:]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("density")
    return figure, grid


@styled
def draw_latents(latents: Latents) -> Figure:
    """Latents of every column beside the standard normal distribution that a perfect flow would give.

    Parameters
    ----------
    latents : Latents
        Eight columns or fewer suit a slide.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure, grid = _grid(len(latents.columns))
    edges = np.linspace(-_SPAN, _SPAN, 51)
    x = np.linspace(-_SPAN, _SPAN, 201)
    normal = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)
    for k, (axes, name) in enumerate(zip(grid.flat, latents.columns, strict=False)):
        density = fractions(latents.values[:, k], edges) / (edges[1] - edges[0])
        axes.stairs(
            density, edges, fill=True, facecolor=LOOKS[0].fill or "none", edgecolor=LOOKS[0].colour, lw=1.0
        )
        axes.plot(x, normal, color=LOOKS[1].colour)
        axes.set_xlim(-_SPAN, _SPAN)
        axes.set_ylim(0, 1.3 * max(float(density.max()), float(normal.max())))
        number_axis(axes, "x", f"latent of {column_text(name, 16)}", ticks=5)
        number_axis(axes, "y", axes.get_ylabel(), ticks=5)
        write_inside(axes, _normality(latents, k))
    handles = [
        Patch(facecolor=LOOKS[0].fill or "none", edgecolor=LOOKS[0].colour, lw=1.5),
        Line2D([], [], color=LOOKS[1].colour),
    ]
    shared_legend(figure, handles, ["latents", "standard normal"])
    return figure


def _normality(latents: Latents, k: int) -> str:
    text = f"$p$ = {_probability(latents.p_values[k])}".replace("= <", "<") if len(latents.p_values) else ""
    if len(latents.before):
        text += f"  (before: {_probability(latents.before[k])})"
    return text


def _probability(value: float) -> str:
    # what is printed as zero is none
    return "< 1e-99" if value < 1e-99 else f"{value:.2g}"


@styled
def draw_uniforms(latents: Latents) -> Figure:
    """Where rows fall in their conditional distributions; flat, within the band, for a perfect model.

    Parameters
    ----------
    latents : Latents
        With ``uniforms``; eight columns or fewer suit a slide.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    values = latents.uniforms if latents.uniforms is not None else np.zeros((0, len(latents.columns)))
    figure, grid = _grid(len(latents.columns))
    edges = np.linspace(*latents.span, 41)
    for k, (axes, name) in enumerate(zip(grid.flat, latents.columns, strict=False)):
        flat = 1 / (latents.span[1] - latents.span[0])
        density = fractions(values[:, k], edges) / (edges[1] - edges[0])
        noise = flat * np.sqrt(40 / max(int(np.isfinite(values[:, k]).sum()), 1))
        axes.axhspan(flat - noise, flat + noise, color="#c3c9d1", lw=0)
        axes.axhline(flat, color=LOOKS[1].colour)
        axes.stairs(density, edges, color=LOOKS[0].colour, lw=1.8, baseline=None)
        axes.set_xlim(*latents.span)
        axes.set_ylim(*_around(density, flat, noise))
        number_axis(axes, "x", f"$u$ of {column_text(name, 16)}", ticks=5)
        number_axis(axes, "y", axes.get_ylabel(), ticks=5)
    handles = [
        Line2D([], [], color=LOOKS[0].colour),
        Line2D([], [], color=LOOKS[1].colour),
        Patch(color="#c3c9d1"),
    ]
    shared_legend(figure, handles, ["$u$", "flat", "its statistical error"])
    return figure


def _around(density: FloatArray, flat: float, noise: float) -> tuple[float, float]:
    """Limits that show the line and the band, and how far from flat the values are."""
    half = 1.2 * max(float(np.abs(density - flat).max(initial=0.0)), 3 * noise)
    return max(flat - half, 0.0), flat + half
