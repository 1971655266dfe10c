"""Figures of sets: bands, distributions and luminosities of a prior and of what stands for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from compress_mpi.io.report.style import (
    LOOKS,
    SLIDE_WIDTH,
    Look,
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

__all__ = [
    "BandPanel",
    "BandsLike",
    "DistributionPanel",
    "draw_bands",
    "draw_distributions",
    "draw_luminosities",
]

_LUMINOSITY_TITLES = {"gg": "$gg$", "gq": "$gq$", "qqbar": r"$q\bar{q}$", "qq": "$qq$"}


class BandsLike(Protocol):
    """Mean, standard deviation and central 68 % interval, float64 ``(x,)`` each."""

    @property
    def mean(self) -> FloatArray: ...  # noqa: D102
    @property
    def stdev(self) -> FloatArray: ...  # noqa: D102
    @property
    def low(self) -> FloatArray: ...  # noqa: D102
    @property
    def high(self) -> FloatArray: ...  # noqa: D102


@dataclass(frozen=True)
class BandPanel:
    """One flavour.

    Attributes
    ----------
    title : str
        Math text.
    absolute, ratio : sequence of BandsLike
        One per set, the prior first; ``ratio`` to the mean of the prior.
    """

    title: str
    absolute: Sequence[BandsLike]
    ratio: Sequence[BandsLike]


@dataclass(frozen=True)
class DistributionPanel:
    """One flavour at one x.

    Attributes
    ----------
    title, note : str
    values : sequence of float64 (replica,)
        One per set, the prior first.
    """

    title: str
    values: Sequence[FloatArray]
    note: str


@styled
def draw_bands(x: FloatArray, panels: Sequence[BandPanel], sets: Sequence[str], q: float) -> Figure:
    """Parton densities with uncertainties, and their ratio to the prior below.

    Parameters
    ----------
    x : float64 (x,)
    panels : sequence of BandPanel
        Four at most suit a slide.
    sets : sequence of str
        Legend of each set, the prior first.
    q : float
        Scale in GeV.
    """
    columns = max(len(panels), 1)
    figure = new_figure(SLIDE_WIDTH * max(columns, 2) / 3, 6.4)
    grid = figure.subplots(2, columns, squeeze=False, sharex=True, height_ratios=(2, 1))
    for (upper, lower), panel in zip(grid.T, panels, strict=True):
        for look, absolute, ratio in zip(LOOKS, panel.absolute, panel.ratio, strict=False):
            _band(upper, x, absolute, look)
            _band(lower, x, ratio, look)
        upper.set_title(panel.title)
        upper.axhline(0, color="black", lw=0.8)
        upper.set_ylim(*_band_limits(panel.absolute))
        lower.set_ylim(*_ratio_limits(panel.ratio))
        lower.axhline(1, color="black", lw=0.8)
        mixed_x_axis(lower, x)
        lower.grid(alpha=0.25)
    grid[0, 0].set_ylabel(rf"$x f(x, Q)$ at $Q = {q:g}$ GeV")
    grid[1, 0].set_ylabel("ratio to prior")
    figure.align_ylabels(grid[:, 0])
    _legend(figure, sets)
    return figure


def _band(axes: Axes, x: FloatArray, band: BandsLike, look: Look) -> None:
    if look.fill:
        axes.fill_between(x, band.low, band.high, color=look.fill, lw=0)
    else:
        axes.fill_between(
            x,
            band.low,
            band.high,
            facecolor="none",
            edgecolor=look.colour,
            hatch=look.hatch,
            lw=0.8,
            alpha=0.75,
        )
    for edge in (band.mean - band.stdev, band.mean + band.stdev):
        axes.plot(x, edge, color=look.colour, ls=look.line, lw=1.6)
    # the prior is drawn first and wider, so that it shows on both sides of what agrees with it
    axes.plot(x, band.mean, color=look.colour, lw=3.4 if look.fill else 1.6)


def _legend(figure: Figure, sets: Sequence[str]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    labels: list[str] = []
    for look, name in zip(LOOKS, sets, strict=False):
        patch = Patch(
            facecolor=look.fill or "none", edgecolor="none" if look.fill else look.colour, hatch=look.hatch
        )
        handles += [(patch, Line2D([], [], color=look.colour, lw=2.2)), _dashed(look)]
        labels += [f"{name}: mean, 68 %", "std. deviation"]
    shared_legend(figure, handles, labels)


def _dashed(look: Look) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=look.colour, ls=look.line, lw=1.6)


def _band_limits(sets: Sequence[BandsLike]) -> tuple[float, float]:
    edges = [(b.low, b.high, b.mean - b.stdev, b.mean + b.stdev) for b in sets]
    return robust_limits([edge for of_set in edges for edge in of_set])


def _ratio_limits(sets: Sequence[BandsLike]) -> tuple[float, float]:
    """Room for the uncertainty at most points; it diverges towards the ends of x."""
    prior = sets[0]
    wide = np.maximum(np.abs(prior.high - 1), np.abs(prior.low - 1))
    wide = wide[np.isfinite(wide)]
    half = float(np.clip(1.5 * np.quantile(wide, 0.75), 0.005, 1.2)) if wide.size else 1.0
    return 1 - half, 1 + half


def _full_ratio_limits(sets: Sequence[BandsLike]) -> tuple[float, float]:
    """Room for every edge, where nothing diverges."""
    edges = [np.abs(e - 1) for b in sets for e in (b.low, b.high, b.mean + b.stdev, b.mean - b.stdev)]
    half = float(np.clip(1.35 * np.nanmax(edges), 0.002, 1.2))
    return 1 - half, 1 + half


@styled
def draw_distributions(panels: Sequence[DistributionPanel], sets: Sequence[str], heading: str) -> Figure:
    """Histograms of the values that replicas take.

    Parameters
    ----------
    panels : sequence of DistributionPanel
        Six at most suit a slide.
    sets : sequence of str
        Legend of each set, the prior first.
    heading : str
    """
    from matplotlib.patches import Patch

    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(SLIDE_WIDTH * max(columns, 2) / 3, 1.1 + 3.2 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _histograms(axes, panel)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("fraction per bin")
    handles = [
        Patch(facecolor=look.fill or "none", edgecolor=look.colour, hatch=look.hatch, lw=1.5)
        for look in LOOKS[: len(sets)]
    ]
    shared_legend(figure, handles, sets, heading)
    return figure


def _histograms(axes: Axes, panel: DistributionPanel) -> None:
    from matplotlib.ticker import MaxNLocator

    low, high = np.quantile(panel.values[0], [0.003, 0.997])
    room = 0.06 * (high - low) or 1.0
    edges = np.linspace(low - room, high + room, 25)
    for look, values in zip(LOOKS, panel.values, strict=False):
        # a replica outside is counted in the outermost bin, so that the fractions add up to one
        inside = np.clip(values, edges[0], edges[-1])
        fractions = np.histogram(inside, edges)[0] / len(values)
        axes.stairs(
            fractions,
            edges,
            fill=look.fill is not None,
            facecolor=look.fill or "none",
            edgecolor=look.colour,
            hatch=look.hatch,
            lw=1.5,
        )
    axes.set_xlabel(panel.title)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, axes.get_ylim()[1] * 1.28)
    axes.xaxis.set_major_locator(MaxNLocator(4, prune="both"))
    axes.text(0.5, 0.96, panel.note, transform=axes.transAxes, ha="center", va="top", fontsize=13)


@styled
def draw_luminosities(
    mass: FloatArray, ratios: Mapping[str, Sequence[BandsLike]], sets: Sequence[str], sqrt_s: float
) -> Figure:
    """Parton luminosities, divided by the mean of the prior.

    Parameters
    ----------
    mass : float64 (mass,)
        Invariant mass in GeV.
    ratios : mapping of sequences of BandsLike
        By channel; one per set, the prior first.
    sets : sequence of str
        Legend of each set.
    sqrt_s : float
        Collider energy in GeV.
    """
    figure = new_figure(SLIDE_WIDTH, 7.4)
    grid = figure.subplots(2, 2, sharex=True)
    for axes, (channel, of_sets) in zip(grid.flat, ratios.items(), strict=False):
        for look, band in zip(LOOKS, of_sets, strict=False):
            _band(axes, mass, band, look)
        axes.axhline(1, color="black", lw=0.8)
        title = _LUMINOSITY_TITLES.get(channel, channel)
        axes.text(0.5, 0.93, title, transform=axes.transAxes, ha="center", va="top", fontsize=20)
        axes.set_ylim(*_full_ratio_limits(of_sets))
        _mass_axis(axes, mass)
    for axes in grid.flat[len(ratios) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("ratio to prior")
    for axes in grid[1]:
        axes.set_xlabel(rf"$M_X$ [GeV],  $\sqrt{{s}} = {sqrt_s / 1000:g}$ TeV")
    _legend(figure, sets)
    return figure


def _mass_axis(axes: Axes, mass: FloatArray) -> None:
    from matplotlib.ticker import NullFormatter

    axes.set_xscale("log")
    axes.set_xlim(mass[0], mass[-1])
    ticks = [k * 10.0**d for d in range(0, 5) for k in (1, 2, 5) if mass[0] <= k * 10.0**d <= mass[-1]]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)
