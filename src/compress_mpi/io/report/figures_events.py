"""Figures of columns: distributions of two tables with their ratio, differences and responses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.io.report.axes import column_text, number_axis, write_inside
from compress_mpi.io.report.histograms import Binning, choose_bins, fractions
from compress_mpi.io.report.style import LOOKS, SLIDE_WIDTH, new_figure, shared_legend, styled
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "ACROSS",
    "ColumnPanel",
    "ErrorPanel",
    "draw_columns",
    "draw_errors",
    "draw_heights",
    "panel_width",
]

ACROSS = 4
"""Columns side by side that suit a slide."""
_DARK = "#3c4654"
_BAND = "#c3c9d1"


@dataclass(frozen=True)
class ColumnPanel:
    """One column of two tables.

    Attributes
    ----------
    name : str
    first, second : arrays (row,)
        Any numbers; NaN and infinities are not drawn.
    note : str
        Above the panel, in place of nothing.
    """

    name: str
    first: NDArray[Any]
    second: NDArray[Any]
    note: str = ""


@dataclass(frozen=True)
class ErrorPanel:
    """What decoding did to one column.

    Attributes
    ----------
    name : str
    residual : float64 (row,)
        Decoded minus original.
    response : float64 (row,)
        Residual over original; may be NaN or infinite.
    bound : float or None
        Greatest error that is guaranteed.
    """

    name: str
    residual: FloatArray
    response: FloatArray
    bound: float | None = None


def panel_width(panels: int) -> float:
    """Width in inches of a figure with so many panels side by side: a single one is not stretched over a slide."""
    return {1: 0.45, 2: 0.7, 3: 0.9}.get(panels, 1.0) * SLIDE_WIDTH


@styled
def draw_columns(
    panels: Sequence[ColumnPanel], labels: Sequence[str], *, independent: bool = False
) -> Figure:
    """Distributions of columns in two tables, and the ratio of the second to the first below.

    Parameters
    ----------
    panels : sequence of ColumnPanel
        ``ACROSS`` or fewer.
    labels : sequence of str
        Legend of both tables; with one label only the first is drawn.
    independent : bool
        Whether the rows of both are different events; the ratio then has error bars of its own.
    """
    both = len(labels) == 2
    figure = new_figure(panel_width(len(panels)), 6.2 if both else 4.6)
    grid = figure.subplots(
        1 + both, len(panels), squeeze=False, sharex="col", height_ratios=(2.2, 1)[: 1 + both]
    )
    for axes, panel in zip(grid.T, panels, strict=True):
        samples = (panel.first, panel.second)[: 1 + both]
        bins = choose_bins(*samples)
        heights = [fractions(values, bins.edges) for values in samples]
        draw_heights(axes[0], bins, heights)
        if both:
            _ratio(axes[1], bins, heights, samples, independent)
            axes[0].tick_params(labelbottom=False)
        axes[0].set_title(panel.note, fontsize=14)
        number_axis(axes[-1], "x", column_text(panel.name))
    for axes, name in zip(grid[:, 0], ("fraction per bin", "ratio"), strict=False):
        axes.set_ylabel(name)
    figure.align_ylabels(grid[:, 0])
    shared_legend(figure, *_column_legend(labels))
    return figure


def _column_legend(labels: Sequence[str]) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    first = Patch(facecolor=LOOKS[0].fill or "none", edgecolor=LOOKS[0].colour, lw=1.5)
    if len(labels) == 1:
        return [first], list(labels)
    handles = [first, Line2D([], [], color=LOOKS[1].colour), Patch(color=_BAND)]
    return handles, [*labels, f"statistical error of {labels[0]}"]


def draw_heights(axes: Axes, bins: Binning, heights: Sequence[FloatArray]) -> None:
    """Histograms of one column: the first filled, the others as lines.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    bins : Binning
    heights : sequence of float64 (bin,)
    """
    for look, values in zip(LOOKS, heights, strict=False):
        filled = look.fill is not None
        axes.stairs(
            values,
            bins.edges,
            baseline=None if bins.log_y and not filled else 0,
            fill=filled,
            facecolor=look.fill or "none",
            edgecolor=look.colour,
            lw=1.0 if filled else 1.8,
        )
    axes.set_xscale("log" if bins.log_x else "linear")
    axes.set_xlim(bins.edges[0], bins.edges[-1])
    _height_axis(axes, bins, np.concatenate(list(heights)))
    if bins.empty:
        write_inside(axes, "no finite value", "middle")


def _height_axis(axes: Axes, bins: Binning, heights: FloatArray) -> None:
    filled = heights[heights > 0]
    low, high = (float(filled.min()), float(filled.max())) if filled.size else (0.1, 1.0)
    if bins.log_y:
        axes.set_yscale("log")
        axes.set_ylim(low / 2, high * (high / low) ** 0.12)
    else:
        axes.set_ylim(0, 1.18 * high)
    number_axis(axes, "y", "", ticks=5)


def _ratio(
    axes: Axes,
    bins: Binning,
    heights: Sequence[FloatArray],
    samples: Sequence[NDArray[Any]],
    independent: bool,
) -> None:
    rows = [max(int(np.isfinite(np.asarray(v, np.float64)).sum()), 1) for v in samples]
    known = (heights[0] > 0) & (heights[1] > 0)
    centres = (np.sqrt if bins.log_x else np.asarray)(
        bins.edges[1:] * bins.edges[:-1] if bins.log_x else bins.edges[1:] / 2 + bins.edges[:-1] / 2
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(known, heights[1] / heights[0], np.nan)
        own = 1.0 / np.sqrt(rows[0] * heights[0])
        error = ratio / np.sqrt(rows[1] * heights[1]) if independent else np.zeros_like(ratio)
    own = np.where(heights[0] > 0, own, 0.0)
    axes.stairs(1 + own, bins.edges, baseline=1 - own, fill=True, color=_BAND, lw=0)
    axes.axhline(1, color=_DARK, lw=0.8)
    axes.errorbar(
        centres[known],
        ratio[known],
        yerr=error[known] if independent else None,
        fmt="o",
        ms=3.5,
        lw=1.2,
        color=LOOKS[1].colour,
    )
    half = _half_width(np.abs(ratio[known] - 1), own[known])
    axes.set_ylim(1 - half, 1 + half)
    axes.grid(axis="y", alpha=0.25)
    number_axis(axes, "y", "", ticks=4)


def _half_width(distances: FloatArray, errors: FloatArray) -> float:
    """Room for nine tenths of the points and the middle of the band."""
    if not distances.size:
        return 0.5
    wanted = max(1.3 * float(np.quantile(distances, 0.9)), 1.6 * float(np.median(errors)), 0.004)
    return min(wanted, 1.0)


@styled
def draw_errors(panels: Sequence[ErrorPanel]) -> Figure:
    """Differences between decoded and original values, and below the same over the original value.

    Parameters
    ----------
    panels : sequence of ErrorPanel
        ``ACROSS`` or fewer.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure = new_figure(panel_width(len(panels)), 6.6)
    grid = figure.subplots(2, len(panels), squeeze=False)
    for (upper, lower), panel in zip(grid.T, panels, strict=True):
        upper.set_title(column_text(panel.name), fontsize=15)
        _errors(upper, panel.residual, "residual", panel.bound)
        _errors(lower, panel.response, "response")
    for axes in grid[:, 0]:
        axes.set_ylabel("fraction per bin")
    handles: list[Any] = [Patch(facecolor=LOOKS[0].fill or "none", edgecolor=LOOKS[0].colour, lw=1.5)]
    labels = ["decoded − original (above), over original (below)"]
    if any(panel.bound for panel in panels):
        handles.append(Line2D([], [], color=LOOKS[1].colour, ls="--"))
        labels.append("bound")
    shared_legend(figure, handles, labels)
    return figure


def _errors(axes: Axes, values: FloatArray, label: str, bound: float | None = None) -> None:
    bad = float(np.mean(~np.isfinite(values))) if values.size else 0.0
    finite = values[np.isfinite(values)]
    note = f"NaN or inf: {100 * bad:.3g} %"
    if not finite.any():
        axes.set(xticks=[], yticks=[])
        write_inside(
            axes, "no finite value" if not finite.size else "all equal to zero", "middle", fontsize=14
        )
        write_inside(axes, note)
        axes.set_xlabel(label)
        return
    bins = _error_bins(finite, bound)
    draw_heights(axes, bins, [fractions(finite, bins.edges)])
    for edge in () if not bound else (-bound, bound):
        axes.axvline(edge, color=LOOKS[1].colour, ls="--", lw=1.6)
    low, high = axes.get_ylim()
    # room for the note
    axes.set_ylim(low, high * (high / low) ** 0.1 if bins.log_y else high * 1.06)
    write_inside(axes, note)
    number_axis(axes, "x", label)


def _error_bins(finite: FloatArray, bound: float | None) -> Binning:
    """Symmetric about zero, up to the bound if that is not far beyond what was found."""
    found = choose_bins(np.abs(finite))
    half = float(np.abs(found.edges).max()) if not found.log_x else float(np.quantile(np.abs(finite), 0.99))
    if bound:
        largest = float(np.abs(finite).max())
        half = 1.12 * max(bound, largest) if max(bound, largest) < 5 * half else half
    edges = np.linspace(-half, half, 42)
    heights = fractions(finite, edges)
    filled = heights[heights > 0]
    steep = filled.size >= 8 and bool(filled.max() > 30 * np.median(filled))
    return Binning(edges, log_y=steep)
