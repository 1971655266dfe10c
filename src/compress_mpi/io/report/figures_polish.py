"""Figures of a polish: the way of the minimisation, how far replicas moved, and distances not fitted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from compress_mpi.io.report.style import LOOKS, SLIDE_WIDTH, new_figure, shared_legend, styled
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_held_out", "draw_way"]

_BEFORE, _AFTER = LOOKS[1], LOOKS[3]
_NAMES = {"stdev": "std. deviation", "correlation": "correlations", "products": "products of two"}


@styled
def draw_way(curve: FloatArray, displacement: FloatArray, radius: float, erf: float) -> Figure:
    """Total ERF along the best minimisation, and how far replicas moved along each component.

    Parameters
    ----------
    curve : float64 (step,)
    displacement : float64 (replica, component)
        Standard deviations of the components.
    radius : float
        Largest displacement that was allowed.
    erf : float
        Of the polished set as it reads back.
    """
    figure = new_figure(SLIDE_WIDTH, 5.0)
    left, right = figure.subplots(1, 2)
    left.plot(np.arange(len(curve)), curve, color=_AFTER.colour, lw=2.2)
    left.axhline(erf, color="#3c4654", lw=1.5, ls=":", label=f"polished set: {erf:.4g}")
    left.set(xlabel="step", ylabel="total ERF", xlim=(0, max(len(curve) - 1, 1)))
    left.set_ylim(bottom=0)
    left.grid(alpha=0.25)
    left.legend()
    edges = np.linspace(-radius, radius, 41)
    # rounding may put a value on the far side of the last edge
    counts = np.histogram(np.clip(displacement, -radius, radius), edges)[0] / displacement.size
    right.stairs(counts, edges, fill=True, color=_AFTER.colour, alpha=0.65)
    right.set(xlabel="displacement along a component [standard deviations]", ylabel="fraction per bin")
    right.set_xlim(-1.02 * radius, 1.02 * radius)
    right.grid(alpha=0.25)
    return figure


@styled
def draw_held_out(selected: Mapping[str, float], polished: Mapping[str, float]) -> Figure:
    """Distances to the prior where nothing was fitted, before and after.

    Parameters
    ----------
    selected, polished : mapping of float
        Same names.
    """
    from matplotlib.patches import Patch

    figure = new_figure(SLIDE_WIDTH * 0.8, 4.8)
    axes = figure.subplots()
    top = max([*selected.values(), *polished.values()], default=1.0) or 1.0
    for place, (name, before) in enumerate(selected.items()):
        after = polished[name]
        axes.bar(place - 0.19, before, width=0.36, color=_BEFORE.colour, lw=0)
        axes.bar(place + 0.19, after, width=0.36, color=_AFTER.colour, lw=0)
        if before:
            text = f"{100 * (after / before - 1):+.0f} %".replace("-", "−")
            axes.text(place, max(before, after) + 0.02 * top, text, ha="center", va="bottom", fontsize=14)
    axes.set_xticks(range(len(selected)), [_NAMES.get(name, name) for name in selected], fontsize=15)
    axes.tick_params(axis="x", length=0)
    axes.set(xlim=(-0.6, len(selected) - 0.4), ylim=(0, 1.15 * top))
    axes.set_ylabel("distance to the prior (rms)")
    axes.grid(axis="y", alpha=0.25)
    shared_legend(figure, [Patch(color=_BEFORE.colour), Patch(color=_AFTER.colour)], ["selected", "polished"])
    return figure
