"""What is checked at the end of a descent, and which replicas go back.

The hinges of the loss are soft: at points where the prior hardly varies a single value may end some standard
deviations beyond them. Values are not clipped, which would break sum rules and evolution; the replica goes back
towards its parent, which is within its limits by definition. A set in which too many values are slightly negative goes
back as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress_mpi.methods.polish.limits import worst_excess
from compress_mpi.methods.polish.objective import Objective
from compress_mpi.methods.polish.settings import PolishSettings
from compress_mpi.methods.polish.target import Target
from compress_mpi.types import FloatArray

__all__ = ["Violations", "bring_back", "refusal", "violations"]


@dataclass(frozen=True, eq=False)
class Violations:
    """How far a subset leaves what the prior is like.

    Attributes
    ----------
    outside_share : float
        Fraction of values outside the prior's minimum to maximum.
    outside_depth : float
        How far outside, at most, in standard deviations of the prior.
    negative_share : float64 (flavour,)
        Fraction of negative values at the points where the prior rarely has any; 0 for a flavour without such points.
    negative_depth : float
        How far below zero they are, at most, in standard deviations of the prior.
    """

    outside_share: float
    outside_depth: float
    negative_share: FloatArray
    negative_depth: float


def violations(y: FloatArray, target: Target) -> Violations:
    """Of replicas in units of the prior, float64 ``(replica, point)``."""
    outside = np.maximum(y - target.highest, target.lowest - y)
    below = target.zero - y
    return Violations(
        outside_share=float(np.mean(outside > 0)),
        outside_depth=float(max(0.0, outside.max())),
        negative_share=target.negative_shares(y),
        negative_depth=float(max(0.0, below.max())),
    )


def bring_back(
    objective: Objective, displacement: FloatArray, settings: PolishSettings
) -> tuple[FloatArray, FloatArray]:
    """Let replicas that end beyond their limits go back, by halves and then altogether; then the set, by halves.

    Parameters
    ----------
    displacement : float64 (replica, component)

    Returns
    -------
    displacement : float64 (replica, component)
    kept : float64 (replica,)
        Which part of its displacement each replica keeps: 1, 1/2, ... or 0.
    """
    kept = np.ones(len(displacement))
    for _ in range(settings.halvings):
        kept[_beyond(objective, kept[:, None] * displacement, settings)] /= 2.0
    kept[_beyond(objective, kept[:, None] * displacement, settings)] = 0.0
    for _ in range(settings.halvings):
        if refusal(objective.values(kept[:, None] * displacement), objective, settings) is not None:
            kept /= 2.0
    return kept[:, None] * displacement, kept


def _beyond(objective: Objective, displacement: FloatArray, settings: PolishSettings) -> np.ndarray:
    return worst_excess(objective.values(displacement), objective.limits) > settings.tolerance


def refusal(y: FloatArray, objective: Objective, settings: PolishSettings) -> str | None:
    """Why polished replicas cannot be accepted as a set, with the figure that failed; None where they can.

    Parameters
    ----------
    y : float64 (replica, point)
        Polished replicas in units of the prior.
    objective : Objective
        Has the selected ones.
    """
    if not np.isfinite(y).all():
        return "a value is not finite"
    target = objective.target
    allowed = (
        np.maximum(target.negative_shares(objective.start), target.negative_share) + settings.more_negative
    )
    found = target.negative_shares(y)
    worst = int(np.argmax(found - allowed))
    if found[worst] > allowed[worst]:
        return (
            f"{found[worst]:.2%} of the values of flavour number {worst} are negative where the prior rarely is; "
            f"allowed: {allowed[worst]:.2%}"
        )
    return None
