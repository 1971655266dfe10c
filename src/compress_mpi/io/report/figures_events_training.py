"""Figures of a flow's training: losses and learning rate, and the scan over depth and width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from compress_mpi.io.report.axes import number_axis
from compress_mpi.io.report.events_types import ScanCurve, TrainingCurve
from compress_mpi.io.report.figures_events import panel_width
from compress_mpi.io.report.style import LOOKS, SLIDE_WIDTH, new_figure, shared_legend, styled
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_scan_curves", "draw_training"]

_DARK = "#3c4654"
_NAMES = {"train": "training rows", "validation": "held-out rows"}
_LOSS = "negative log-likelihood"
_ACROSS = 4


@styled
def draw_training(curve: TrainingCurve) -> Figure:
    """Losses against the epoch, with the learning rate below where it is known.

    Parameters
    ----------
    curve : TrainingCurve
    """
    rated = curve.rate is not None
    figure = new_figure(0.62 * SLIDE_WIDTH, 6.0 if rated else 4.8)
    panels = figure.subplots(1 + rated, 1, squeeze=False, sharex=True, height_ratios=(2.6, 1)[: 1 + rated])[
        :, 0
    ]
    for look, (name, values) in zip(LOOKS, curve.losses.items(), strict=False):
        _line(panels[0], values, color=look.colour, label=_NAMES.get(name, name))
    length = max((len(values) for values in curve.losses.values()), default=0)
    if curve.best_epoch is not None and curve.best_epoch < length:
        panels[0].axvline(
            curve.best_epoch, color=_DARK, lw=1.5, ls=":", label=f"kept: epoch {curve.best_epoch}"
        )
    panels[0].set_ylim(*_loss_limits(curve.losses.values()))
    number_axis(panels[0], "y", f"{_LOSS} per row", ticks=6)
    panels[0].legend()
    panels[0].grid(alpha=0.25)
    if curve.rate is not None:
        _rate(panels[1], curve.rate)
    panels[-1].set_xlabel("epoch")
    _epochs(panels[-1], length)
    figure.align_ylabels(list(panels))
    return figure


def _line(axes: Axes, values: FloatArray, **style: Any) -> None:
    # a point where there is no line
    axes.plot(np.arange(1, len(values) + 1), values, marker="o" if len(values) == 1 else None, **style)


def _rate(axes: Axes, rate: FloatArray) -> None:
    _line(axes, rate, color=LOOKS[2].colour, drawstyle="steps-post")
    axes.set_yscale("log")
    positive = rate[rate > 0]
    if positive.size:
        axes.set_ylim(float(positive.min()) / 2, float(positive.max()) * 2)
    number_axis(axes, "y", "learning rate", ticks=3)
    axes.grid(alpha=0.25)


def _epochs(axes: Axes, length: int) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlim(0.5 if length < 40 else 0, max(length, 1) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _loss_limits(curves: Iterable[FloatArray]) -> tuple[float, float]:
    """The first epochs of a training may lie far above all that is of interest."""
    curves = [np.asarray(values, dtype=np.float64) for values in curves]
    known = [values[np.isfinite(values)] for values in curves]
    settled = [values[len(values) // 20 :] for values in known if values.size]
    if not settled:
        return 0.0, 1.0
    low = min(float(values.min()) for values in settled)
    high = max(float(np.quantile(values, 0.98)) for values in settled)
    room = 0.06 * (high - low) or 0.05 * max(abs(high), 1.0)
    return low - room, high + 2 * room


@styled
def draw_scan_curves(curves: Sequence[ScanCurve]) -> Figure:
    """Losses of all trials: a panel per number of layers K, a colour per width H, held-out rows dashed.

    Parameters
    ----------
    curves : sequence of ScanCurve
        One or more.
    """
    from matplotlib.lines import Line2D

    depths = sorted({curve.transforms for curve in curves})
    widths = sorted({curve.hidden for curve in curves})
    colours = dict(zip(widths, _colours(len(widths)), strict=True))
    rows = -(-len(depths) // _ACROSS)
    across = -(-len(depths) // rows)
    figure = new_figure(panel_width(across), 1.2 + 4.0 * rows)
    grid = figure.subplots(rows, across, squeeze=False, sharey=True)
    losses = [values for curve in curves for values in (curve.train, curve.validation)]
    # large trials begin so far above the others that these could not be told apart
    limits = _loss_limits([values[len(values) // 3 :] for values in losses])
    for axes, depth in zip(grid.flat, depths, strict=False):
        here = [curve for curve in curves if curve.transforms == depth]
        for curve in here:
            _line(axes, curve.train, color=colours[curve.hidden], lw=1.8)
            _line(axes, curve.validation, color=colours[curve.hidden], lw=1.8, ls="--")
        axes.set_title(f"$K$ = {depth}")
        axes.set_ylim(*limits)
        axes.set_xlabel("epoch")
        _epochs(axes, max(max(len(curve.train), len(curve.validation)) for curve in here))
        axes.grid(alpha=0.25)
    for axes in grid.flat[len(depths) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        number_axis(axes, "y", f"{_LOSS} per row", ticks=6)
    handles = [Line2D([], [], color=colours[width]) for width in widths]
    handles += [Line2D([], [], color=_DARK), Line2D([], [], color=_DARK, ls="--")]
    shared_legend(figure, handles, [*(f"$H$ = {width}" for width in widths), "training", "held out"])
    return figure


def _colours(count: int) -> list[Any]:
    import matplotlib as mpl

    if count <= len(LOOKS):
        return [look.colour for look in LOOKS[:count]]
    return list(mpl.colormaps["viridis"](np.linspace(0, 0.95, count)))
