"""Figures of bytes: where they are, and what an error costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from compress_mpi.io.report.axes import human_bytes, number_axis
from compress_mpi.io.report.events_types import BitsScan, RateCurve, Sizes
from compress_mpi.io.report.style import LOOKS, SLIDE_WIDTH, new_figure, styled
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_bits_scan", "draw_bytes", "draw_rates"]

_GREY = "#98a2af"


@styled
def draw_bits_scan(scan: BitsScan) -> Figure:
    """Compression ratios and errors of the codec ``latent`` against the number of bits N.

    Parameters
    ----------
    scan : BitsScan
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(SLIDE_WIDTH, 5.0)
    left, right = figure.subplots(1, 2)
    marker = len(scan.bits) < 40
    for axes, curves in ((left, scan.ratios), (right, scan.errors)):
        for look, (name, values) in zip(LOOKS, curves.items(), strict=False):
            axes.plot(
                scan.bits, values, color=look.colour, marker=look.marker if marker else None, ms=6, label=name
            )
        axes.set_xlabel("bits $N$")
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.grid(alpha=0.25)
        if curves:
            axes.legend()
    left.axhline(1, color=_GREY, lw=1.2, zorder=0)
    _log_if_positive(left, scan.ratios.values())
    number_axis(left, "y", "compression ratio $R$", ticks=7)
    _log_if_positive(right, scan.errors.values())
    number_axis(right, "y", "error", ticks=7)
    return figure


def _log_if_positive(axes: Axes, curves: Iterable[FloatArray]) -> None:
    if any((np.asarray(values) > 0).any() for values in curves):
        axes.set_yscale("log")


@styled
def draw_rates(curves: Sequence[RateCurve], error: str) -> Figure:
    """Bits per value against the error, one curve per codec.

    Parameters
    ----------
    curves : sequence of RateCurve
        Five at most.
    error : str
        Name of the horizontal axis.
    """
    figure = new_figure(0.62 * SLIDE_WIDTH, 5.4)
    axes = figure.subplots()
    axes.set_xscale("log")
    for look, curve in zip(LOOKS, curves, strict=False):
        order = np.argsort(curve.error)
        axes.plot(
            np.asarray(curve.error)[order],
            np.asarray(curve.bits)[order],
            color=look.colour,
            marker=look.marker,
            ms=7,
            label=curve.label,
        )
    axes.set_ylim(bottom=0)
    number_axis(axes, "x", error, ticks=6)
    axes.set_ylabel("bits per value")
    axes.grid(alpha=0.25)
    axes.legend()
    return figure


@styled
def draw_bytes(sizes: Sizes) -> Figure:
    """Bytes of the file by part, and of the whole beside the same rows in other formats.

    Parameters
    ----------
    sizes : Sizes
    """
    referred = bool(sizes.references)
    height = 1.4 + 0.62 * max(len(sizes.parts), len(sizes.references) + 1, 2)
    figure = new_figure(SLIDE_WIDTH if referred else 0.6 * SLIDE_WIDTH, height)
    panels = figure.subplots(1, 1 + referred, squeeze=False)[0]
    whole = max(sizes.total, 1)
    texts = [f"{human_bytes(size)}  ({100 * size / whole:.3g} %)" for size in sizes.parts.values()]
    _bars(panels[0], list(sizes.parts), list(sizes.parts.values()), texts, [LOOKS[0].colour] * len(texts))
    panels[0].set_title("compressed file by part")
    if referred:
        names = list(sizes.references)
        texts = [f"{human_bytes(sizes.references[name])}  ($R$ = {sizes.ratio(name):.3g})" for name in names]
        _bars(
            panels[1],
            [*names, "compressed"],
            [*sizes.references.values(), sizes.total],
            [*texts, human_bytes(sizes.total)],
            [*[_GREY] * len(names), LOOKS[1].colour],
        )
        panels[1].set_title("the same rows in other formats")
    return figure


def _bars(
    axes: Axes, names: Sequence[str], sizes: Sequence[int], texts: Sequence[str], colours: Sequence[str]
) -> None:
    rows = np.arange(len(names))[::-1]
    axes.barh(rows, sizes, color=colours, height=0.62)
    largest = max([*sizes, 1])
    for row, size, text in zip(rows, sizes, texts, strict=True):
        axes.text(size + 0.02 * largest, row, text, va="center", fontsize=13)
    axes.set_yticks(rows, names)
    # a single bar is no wall
    room = max(2 - len(names), 0) / 2
    axes.set_ylim(-0.6 - room, len(names) - 0.4 + room)
    axes.set_xticks([])
    # room for the numbers behind the bars
    axes.set_xlim(0, 1.62 * largest)
    axes.tick_params(axis="y", length=0)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
