"""Figures of a compression in phases: how each converged, and what each and a polish arrived at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compress_mpi.io.report.figures_search import Judged, plain_log_ticks, random_legend
from compress_mpi.io.report.style import LOOKS, RANDOM_SHADES, SLIDE_WIDTH, new_figure, shared_legend, styled
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PhaseCurve", "draw_erf_of_phases", "draw_phase_curves"]

_DARK = "#3c4654"
_STAGES = ("prior", "direct", "adiabatic", "polished")


@dataclass(frozen=True)
class PhaseCurve:
    """Convergence of one phase.

    Attributes
    ----------
    name : str
    evaluations, erf : float64 (iteration,)
        Not empty; evaluations count from the beginning of the phase.
    """

    name: str
    evaluations: FloatArray
    erf: FloatArray


def _colour(name: str) -> str:
    """Always the same colour for the same phase."""
    return LOOKS[_STAGES.index(name) if name in _STAGES else 0].colour


@styled
def draw_phase_curves(curves: Sequence[PhaseCurve], total: Judged) -> Figure:
    """Total ERF of every phase against the evaluations of the error function in it.

    Parameters
    ----------
    curves : sequence of PhaseCurve
    total : Judged
        Of random subsets and of the answer.
    """
    from matplotlib.lines import Line2D

    figure = new_figure(SLIDE_WIDTH, 5.6)
    axes = figure.subplots()
    axes.axhspan(total.random["l68"], total.random["u68"], color=RANDOM_SHADES["68"], lw=0)
    axes.axhline(total.random["rmd"], color=_DARK, lw=1.5)
    handles = []
    ends = [float(curve.erf[-1]) for curve in curves]
    # an error function of zero has no place on the axis: it is drawn at its edge
    floor = 0.85 * min([v for v in (*ends, total.random["l68"]) if v > 0] or [0.1])
    for curve in curves:
        colour = _colour(curve.name)
        x, erf = np.maximum(curve.evaluations, 1.0), np.maximum(curve.erf, floor)
        axes.plot(x, erf, color=colour, drawstyle="steps-post", lw=2.2)
        marker = LOOKS[_STAGES.index(curve.name)].marker if curve.name in _STAGES else "o"
        axes.plot(x[-1], erf[-1], marker, color=colour, ms=9, clip_on=False, zorder=5)
        handles.append(Line2D([], [], color=colour, marker=marker, ms=9))
    first = min(float(max(curve.evaluations[0], 1.0)) for curve in curves)
    last = max(float(curve.evaluations[-1]) for curve in curves)
    axes.set(xscale="log", yscale="log", xlim=(0.9 * first, 1.15 * max(last, first * 2)))
    axes.set(xlabel="evaluations of the error function in the phase", ylabel="total ERF")
    axes.set_ylim(bottom=floor)
    plain_log_ticks(axes)
    bands, labels = random_legend(("68",))
    named = [f"{_title(curve.name)}: {end:.4g}" for curve, end in zip(curves, ends, strict=True)]
    shared_legend(figure, [*handles, *bands], [*named, *labels])
    return figure


@styled
def draw_erf_of_phases(erfs: Mapping[str, float], total: Judged) -> Figure:
    """Total ERF of prior alone, direct, adiabatic and polished, beside that of random subsets.

    Parameters
    ----------
    erfs : mapping of float
        In the order in which they are drawn; not empty.
    total : Judged
        Of random subsets and of the answer.
    """
    figure = new_figure(SLIDE_WIDTH * 0.62, 5.4)
    axes = figure.subplots()
    axes.axhspan(total.random["l68"], total.random["u68"], color=RANDOM_SHADES["68"], lw=0)
    axes.axhline(total.random["rmd"], color=_DARK, lw=1.5)
    top = 1.25 * total.random["u68"]
    bottom = 0.6 * min([v for v in erfs.values() if v > 0] or [0.1])
    for place, (name, value) in enumerate(erfs.items()):
        _bar(axes, place, value, bottom, name)
    axes.set(yscale="log", ylim=(bottom, max(top, 1.6 * max(erfs.values()))), xlim=(-0.6, len(erfs) - 0.4))
    axes.set_xticks(range(len(erfs)), [_title(name) for name in erfs], fontsize=15)
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("total ERF")
    plain_log_ticks(axes)
    axes.grid(False, axis="x")
    handles, labels = random_legend(("68",))
    shared_legend(figure, handles, labels)
    return figure


def _bar(axes: Axes, place: int, value: float, bottom: float, name: str) -> None:
    colour, top = _colour(name), max(value, bottom)
    axes.bar(place, top - bottom, bottom=bottom, width=0.6, color=colour, lw=0, zorder=3)
    axes.annotate(
        f"{value:.4g}",
        (place, top),
        xytext=(0, 5),
        textcoords="offset points",
        ha="center",
        fontweight="bold",
        color=colour,
        zorder=6,
    )


def _title(name: str) -> str:
    return "prior alone" if name == "prior" else name
