"""Figures of a search: how it converged and where it stands among random subsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from compress_mpi.io.report.style import (
    LOOKS,
    RANDOM_SHADES,
    SLIDE_WIDTH,
    Look,
    estimator_label,
    new_figure,
    shared_legend,
    styled,
)
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "Judged",
    "draw_convergence",
    "draw_erf_by_size",
    "draw_erf_per_estimator",
    "plain_log_ticks",
    "random_legend",
]

_LEVELS = ("90", "68", "50")
_POLISHED = LOOKS[3]


@dataclass(frozen=True)
class Judged:
    """A distance and the same distance of random subsets.

    Attributes
    ----------
    value : float
        Of the selection.
    random : mapping of float
        ``rcv`` (mean), ``rmd`` (median) and the edges ``l50`` ... ``u90``, see ``io.pycompressor.random_bands``.
    """

    value: float
    random: Mapping[str, float]


@styled
def draw_convergence(iteration: FloatArray, erf: FloatArray, seconds: FloatArray, total: Judged) -> Figure:
    """Total ERF against iteration and against search time.

    Parameters
    ----------
    iteration, erf, seconds : float64 (iteration,)
        Not empty; seconds need not increase at every step.
    total : Judged
    """
    timed = np.unique(seconds[seconds > 0]).size > 1
    figure = new_figure(SLIDE_WIDTH if timed else SLIDE_WIDTH / 2 + 1, 5.2)
    panels = figure.subplots(1, 2 if timed else 1, sharey=True, squeeze=False)[0]
    xs: list[tuple[FloatArray, str]] = [(np.asarray(iteration), "iteration")]
    if timed:
        xs.append((np.maximum(seconds, seconds[seconds > 0].min()), "search time [s]"))
    for axes, (x, label) in zip(panels, xs, strict=True):
        _random_level(axes, total)
        line = axes.plot(x, erf, color=LOOKS[1].colour, drawstyle="steps-post", label="best subset so far")[0]
        end = axes.plot(x[-1], erf[-1], LOOKS[1].marker, color=LOOKS[1].colour, ms=8, clip_on=False)[0]
        axes.set(yscale="log", xlabel=label)
        if label == "iteration":
            axes.set(xscale="log", xlim=(x[0] * 0.9, x[-1] * 1.15))
        else:
            axes.set_xlim(0, x[-1] * 1.04)
        lowest = min(float(erf[-1]), total.random["l68"])
        if lowest > 0:
            axes.set_ylim(bottom=0.8 * lowest)
        plain_log_ticks(axes)
    panels[0].set_ylabel("total ERF")
    panels[0].annotate(
        f"{erf[-1]:.4g}",
        (xs[0][0][-1], erf[-1]),
        xytext=(-10, -8),
        textcoords="offset points",
        ha="right",
        va="top",
        color=LOOKS[1].colour,
        fontweight="bold",
    )
    handles, labels = random_legend(("68",))
    shared_legend(figure, [(line, end), *handles], ["best subset so far", *labels])
    return figure


def _random_level(axes: Axes, total: Judged) -> None:
    axes.axhspan(total.random["l68"], total.random["u68"], color=RANDOM_SHADES["68"], lw=0)
    axes.axhline(total.random["rmd"], color="#3c4654", lw=1.5)


def plain_log_ticks(axes: Axes) -> None:
    """Mark a logarithmic vertical axis: numbers like 0.2 rather than powers, where the axis spans about a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_ylim()
    decades = np.log10(high / low)
    subs = (1, 2, 5) if decades < 1.3 else (1,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs))
    if decades < 4:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.25)


def random_legend(levels: Sequence[str] = _LEVELS, mean: bool = False) -> tuple[list[Any], list[str]]:
    """Legend entries of the bands of random subsets.

    Parameters
    ----------
    levels : sequence of {"90", "68", "50"}
    mean : bool
        Whether the mean is drawn too.
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Line2D([], [], color="#3c4654", lw=1.5)]
    labels = ["random: median"]
    if mean:
        handles.append(Line2D([], [], color="#3c4654", marker="x", ls="", ms=8, mew=2))
        labels.append("mean")
    for level in sorted(levels):
        handles.append(Patch(color=RANDOM_SHADES[level]))
        labels.append(f"{level} %")
    return handles, labels


@styled
def draw_erf_per_estimator(
    judged: Mapping[str, Judged], compressed: str, polished: Mapping[str, float] | None = None
) -> Figure:
    """ERF of every estimator among those of random subsets, all divided by the normalisation.

    Parameters
    ----------
    judged : mapping of Judged
        By estimator; normalised. ``total`` may be among them.
    compressed : str
        Legend of the selection.
    polished : mapping of float, optional
        ERFs of the polished set, by the same names.
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter

    figure = new_figure(SLIDE_WIDTH, 1.6 + 0.72 * len(judged))
    axes = figure.subplots()
    axes.set_xscale("log")
    rows = np.arange(len(judged))[::-1]
    after = polished or {}
    known = [v for one in judged.values() for v in (one.value, one.random["l90"], one.random["rmd"]) if v > 0]
    known += [v for v in after.values() if v > 0]
    least = 0.5 * min(known, default=0.1)
    for row, (name, one) in zip(rows, judged.items(), strict=True):
        _random_bar(axes, row, one, least)
        axes.plot(
            max(one.value, least), row, LOOKS[1].marker, color=LOOKS[1].colour, ms=11, mec="white", zorder=5
        )
        if name in after:
            end, look = max(after[name], least), _POLISHED
            axes.plot([max(one.value, least), end], [row, row], color=look.colour, lw=2.0, zorder=4)
            axes.plot(end, row, look.marker, color=look.colour, ms=11, mec="white", zorder=6)
        if name == "total":
            axes.axhline(row + 0.5, color="#3c4654", lw=0.8)
    axes.set_xlim(least, 2 * max(one.random[k] for one in judged.values() for k in ("u90", "rcv")))
    axes.axvline(1.0, color="#3c4654", lw=1, ls=":", zorder=0)
    axes.set_yticks(rows, ["total" if n == "total" else estimator_label(n) for n in judged])
    axes.tick_params(axis="y", length=0)
    axes.set(xlabel="ERF / normalisation", ylim=(-0.6, len(judged) - 0.4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.grid(axis="x", alpha=0.25)
    handles, labels = random_legend(mean=True)
    shown = {1: compressed} | ({3: "polished"} if after else {})
    markers = [Line2D([], [], color=LOOKS[k].colour, marker=LOOKS[k].marker, ls="", ms=11) for k in shown]
    shared_legend(figure, [*markers, *handles], [*shown.values(), *labels])
    return figure


def _random_bar(axes: Axes, row: float, one: Judged, least: float) -> None:
    """Nested horizontal bars, thinner as they widen."""
    for level, height in zip(_LEVELS, (0.34, 0.52, 0.66), strict=True):
        low, high = (max(one.random[edge + level], least) for edge in "lu")
        axes.barh(row, high - low, left=low, height=height, color=RANDOM_SHADES[level], lw=0)
    axes.plot([one.random["rmd"]] * 2, [row - 0.33, row + 0.33], color="#3c4654", lw=1.8)
    axes.plot(one.random["rcv"], row, "x", color="#3c4654", ms=8, mew=2)


@styled
def draw_erf_by_size(
    results: Mapping[str, Mapping[int, Judged]],
    compressed: str = "compressed",
    others: Mapping[str, Mapping[str, Mapping[int, float]]] | None = None,
) -> Figure:
    """Distances against the size of the subset, one panel per estimator.

    Parameters
    ----------
    results : mapping of mappings
        Estimator (and ``total``) to size to distance. Distances of estimators are not normalised, because
        each size has a normalisation of its own; ``total`` is the ERF.
    compressed : str
        Legend of the selections.
    others : mapping, optional
        Legend of further selections to estimator to size to distance, such as those from an enhanced set.
    """
    from matplotlib.lines import Line2D

    others = others or {}
    columns = min(4 if len(results) > 6 else 3, len(results))
    rows = -(-len(results) // columns)
    figure = new_figure(SLIDE_WIDTH * max(columns, 2) / (4 if len(results) > 6 else 3), 0.6 + 3.4 * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    by_names = [results, *others.values()]
    sizes = sorted({n for by_name in by_names for by_size in by_name.values() for n in by_size})
    for axes, (name, by_size) in zip(panels.flat, results.items(), strict=False):
        _by_size(axes, by_size)
        for label, of_set in others.items():
            look = _look_of(label)
            found = of_set.get(name, {})
            at = sorted(found)
            axes.plot(at, [found[n] for n in at], color=look.colour, marker=look.marker, ms=8)
        _log_sizes(axes)
        axes.set_title("total ERF" if name == "total" else estimator_label(name))
        axes.set_xticks(sizes if len(sizes) <= 4 else sizes[:: -(-len(sizes) // 4)])
        axes.set_xlabel("replicas $N$")
    for axes in panels.flat[len(results) :]:
        axes.set_axis_off()
    for axes in panels[:, 0]:
        axes.set_ylabel("distance to prior")
    handles, labels = random_legend()
    looks = [LOOKS[1], *map(_look_of, others)]
    lines = [Line2D([], [], color=look.colour, marker=look.marker, ms=8) for look in looks]
    handles, labels = [*lines, *handles], [compressed, *others, *labels]
    if len(results) < panels.size:
        panels.flat[-1].legend(handles, labels, loc="center", fontsize=15)
    else:
        shared_legend(figure, handles, labels)
    return figure


def _look_of(label: str) -> Look:
    """The polished set looks the same in every figure."""
    return _POLISHED if label == "polished" else LOOKS[2]


def _by_size(axes: Axes, by_size: Mapping[int, Judged]) -> None:
    sizes = sorted(by_size)
    ordered = [by_size[n] for n in sizes]
    for level in _LEVELS:
        low, high = ([one.random[edge + level] for one in ordered] for edge in "lu")
        axes.fill_between(sizes, low, high, color=RANDOM_SHADES[level], lw=0)
        if len(sizes) == 1:
            axes.errorbar(
                sizes,
                [ordered[0].random["rmd"]],
                yerr=[[ordered[0].random["rmd"] - low[0]], [high[0] - ordered[0].random["rmd"]]],
                color=RANDOM_SHADES[level],
                elinewidth=24,
            )
    # a line of one point would not be seen
    alone = "_" if len(sizes) == 1 else None
    axes.plot(
        sizes, [one.random["rmd"] for one in ordered], color="#3c4654", lw=1.5, marker=alone, ms=24, mew=1.8
    )
    values = [one.value for one in ordered]
    axes.plot(sizes, values, color=LOOKS[1].colour, marker=LOOKS[1].marker, ms=8)


def _log_sizes(axes: Axes) -> None:
    axes.set_yscale("log")
    plain_log_ticks(axes)
