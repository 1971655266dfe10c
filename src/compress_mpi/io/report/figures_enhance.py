"""Figures of an enhancement: how the training of its generator went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from compress_mpi.io.report.style import LOOKS, SLIDE_WIDTH, new_figure, styled
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_losses"]

_DISTANCE = "score of real - score of generated"
_LIKELIHOOD = {"train": "training replicas", "validation": "held-out replicas"}


@styled
def draw_losses(losses: Mapping[str, FloatArray], best_epoch: int | None = None) -> Figure:
    """Losses against the epoch, of a flow or of a GAN.

    A flow has one panel, the negative log-likelihood per replica of those it learns
    from and of those held out. A GAN has two: the distance that the critic sees
    between real and generated replicas, and its gradient penalty.

    Parameters
    ----------
    losses : mapping of float64 (epoch,)
        As ``losses_info.json`` names them; not empty.
    best_epoch : int, optional
        Whose weights were kept; marked where it is not the last.
    """
    if "rdloss" in losses:
        return _game(losses)
    figure = new_figure(SLIDE_WIDTH / 2 + 1, 5.2)
    axes = figure.subplots()
    for look, (name, values) in zip(LOOKS, losses.items(), strict=False):
        _curve(axes, values, look.colour, _LIKELIHOOD.get(name, name))
    length = max(len(values) for values in losses.values())
    if best_epoch is not None and best_epoch < length:
        axes.axvline(best_epoch, color="#3c4654", lw=1.5, ls=":", label=f"kept: epoch {best_epoch}")
    axes.set_ylabel("negative log-likelihood per replica")
    axes.legend()
    return figure


def _game(losses: Mapping[str, FloatArray]) -> Figure:
    figure = new_figure(SLIDE_WIDTH, 5.2)
    left, right = figure.subplots(1, 2)
    distance = -np.asarray(losses["rdloss"]) - np.asarray(losses["fdloss"])
    _curve(left, distance, LOOKS[0].colour, _DISTANCE)
    if "advloss" in losses:
        _curve(left, np.asarray(losses["advloss"]), LOOKS[1].colour, "loss of the generator")
    left.axhline(0.0, color="#3c4654", lw=0.8)
    left.set_ylabel("critic's score")
    left.legend()
    if "gploss" in losses:
        _curve(right, np.asarray(losses["gploss"]), LOOKS[2].colour, "gradient penalty")
    right.set_ylabel(r"mean of $(|\nabla D| - 1)^2$")
    right.legend()
    return figure


def _curve(axes: Axes, values: FloatArray, colour: str, label: str) -> None:
    # a point where there is no line
    marker = "o" if len(values) == 1 else None
    axes.plot(np.arange(1, len(values) + 1), values, color=colour, marker=marker, label=label)
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.25)
