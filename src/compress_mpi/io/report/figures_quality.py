"""Figures of an enhanced set: how its new replicas compare with the prior, and where they leave its envelope."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compress_mpi.io.report.style import (
    LOOKS,
    SLIDE_WIDTH,
    mixed_x_axis,
    new_figure,
    robust_limits,
    shared_legend,
    styled,
)
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["QualityPanel", "draw_envelope", "draw_quality"]

_NOISE = {"halves": "#c3c9d1", "bootstrap": "#7d8896"}


@dataclass(frozen=True)
class QualityPanel:
    """One measure.

    Attributes
    ----------
    title : str
    new : float64 (flavour,)
        New replicas against the prior.
    bootstrap, halves : float64 (repetition, flavour)
        The prior's noise.
    limit : float or None
        Beyond which, on either side of zero, a set is not fit to be published.
    signed : bool
        Whether the measure has a sign.
    """

    title: str
    new: FloatArray
    bootstrap: FloatArray
    halves: FloatArray
    limit: float | None = None
    signed: bool = False


@styled
def draw_quality(
    panels: Sequence[QualityPanel], flavours: Sequence[str], scales: Sequence[str] = ()
) -> Figure:
    """Measures of the new replicas per flavour, above the prior's own noise.

    Parameters
    ----------
    panels : sequence of QualityPanel
        Six suit a slide.
    flavours : sequence of str
        Math text, without the dollar signs.
    scales : sequence of str, optional
        The scale of each flavour in words, where there are several: equal ones are neighbours.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    borders = [k for k in range(1, len(scales)) if scales[k] != scales[k - 1]]
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(SLIDE_WIDTH * max(columns, 2) / 3, 0.7 + 3.1 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _panel(axes, panel)
        axes.set_xticks(range(len(flavours)), _ticks(flavours), fontsize=16 if len(flavours) < 12 else 11)
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(-0.6, len(flavours) - 0.4)
        for border in borders:
            axes.axvline(border - 0.5, color="#3c4654", lw=1.0)
    if borders:
        for axes in grid[-1]:
            axes.set_xlabel(", ".join(dict.fromkeys(scales)))
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    handles = [
        Line2D([], [], color=LOOKS[1].colour, marker=LOOKS[1].marker, ls="", ms=10),
        *(Patch(color=colour) for colour in _NOISE.values()),
    ]
    labels = ["new replicas", "halves of the prior against each other", "bootstrap of the prior"]
    if any(panel.limit is not None for panel in panels):
        handles.append(Line2D([], [], color="black", ls=":", lw=1.6))
        labels.append("allowed for a published set")
    shared_legend(figure, handles, labels)
    return figure


def _ticks(flavours: Sequence[str]) -> list[str]:
    # too many to be read: every other, and so on
    step = -(-len(flavours) // 18)
    return [f"${name}$" if place % step == 0 else "" for place, name in enumerate(flavours)]


def _panel(axes: Axes, panel: QualityPanel) -> None:
    noise = {"halves": panel.halves, "bootstrap": panel.bootstrap}
    scale = (lambda v: v) if panel.signed else np.abs
    for (name, values), width in zip(noise.items(), (0.8, 0.5), strict=True):
        low, high = np.nanmin(scale(values), axis=0), np.nanmax(scale(values), axis=0)
        places = np.arange(len(low))
        axes.bar(places, high - low, bottom=low, width=width, color=_NOISE[name], lw=0)
    new = scale(panel.new)
    axes.plot(range(len(new)), new, LOOKS[1].marker, color=LOOKS[1].colour, ms=9, mec="white", zorder=5)
    if panel.signed:
        axes.axhline(0, color="black", lw=0.8)
        limits = [] if panel.limit is None else [np.array([panel.limit, -panel.limit])]
        axes.set_ylim(*robust_limits([new, *noise.values(), *limits]))
    else:
        _log(axes, new, *(scale(values) for values in noise.values()))
    for edge in () if panel.limit is None else (panel.limit, -panel.limit)[: 1 + panel.signed]:
        axes.axhline(edge, color="black", ls=":", lw=1.6)
    axes.set_title(panel.title)
    axes.grid(axis="y", alpha=0.25)


def _log(axes: Axes, *values: FloatArray) -> None:
    shown = np.concatenate([np.ravel(v) for v in values])
    shown = shown[np.isfinite(shown) & (shown > 0)]
    if not shown.size:
        return
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = 0.6 * float(shown.min()), 1.7 * float(shown.max())
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    few = np.log10(high / low) < 1.6
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    if few:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


@styled
def draw_envelope(x: FloatArray, share: FloatArray, depth: FloatArray, flavours: Sequence[str]) -> Figure:
    """Where new replicas leave the envelope of the prior: how many do, and how far the farthest goes.

    Parameters
    ----------
    x : float64 (x,)
    share : float64 (flavour, x)
        Fraction of the new replicas; NaN where there is nothing to leave.
    depth : float64 (flavour, x)
        Standard deviations of the prior.
    flavours : sequence of str
        Math text, without the dollar signs.
    """
    figure = new_figure(SLIDE_WIDTH, 1.9 + 0.42 * max(len(flavours), 5))
    panels = figure.subplots(1, 2, sharey=True)
    maps = (
        (100 * share, "% of the new replicas", "Blues"),
        (depth, "farthest, standard deviations of the prior", "Oranges"),
    )
    edges = np.concatenate([[x[0]], np.sqrt(x[1:] * x[:-1]), [x[-1]]])
    for axes, (values, title, colours) in zip(panels, maps, strict=True):
        axes.set_facecolor("#e3e6ea")
        # a map of zeros has a scale too
        top = max(float(np.nanmax(values, initial=0.0)), 1e-3)
        image = axes.pcolormesh(
            edges,
            np.arange(len(flavours) + 1) - 0.5,
            np.ma.masked_invalid(values),
            cmap=colours,
            vmin=0.0,
            vmax=top,
            rasterized=True,
        )
        mixed_x_axis(axes, x)
        axes.set_title(title)
        axes.set_yticks(range(len(flavours)), [f"${name}$" for name in flavours], fontsize=16)
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        figure.colorbar(image, ax=axes, pad=0.02, aspect=14)
    # the axis is shared: inverted twice, it would be as before
    if not panels[0].yaxis_inverted():
        panels[0].invert_yaxis()
    return figure
