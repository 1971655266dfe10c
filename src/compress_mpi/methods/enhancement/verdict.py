"""What a generator as a whole must pass, and the refusal that names the figure that failed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from compress_mpi.errors import EnhanceError
from compress_mpi.methods.enhancement.guards import FIGURES, OUTSIDE, REASONS, Guard
from compress_mpi.types import FloatArray, IntArray

__all__ = [
    "SAMPLE",
    "Check",
    "GeneratorRefused",
    "check_rejections",
    "check_set",
    "require",
]

REJECTED = 0.2
"""Fraction of candidates that may be rejected. mix and kde lose 3 % and 1 %, an untamed flow 5 %."""
NEIGHBOUR = 0.1
"""Median distance to the nearest replica, over the prior's. Copies with noise have less; mix with lambda = 0.15
has 0.25, kde 0.4, flows 1.1."""
NEGATIVE = 0.05
"""Mean share of the points that count as positive at which a replica is negative: prior 0.0003, mix and kde 0.010,
a Gaussian 0.015, a generator that is twice too wide 0.054."""
SPREAD = (0.5, 1.25)
"""Median ratio of standard deviations. Means of two and three replicas have 0.65, the widest flow measured 1.12."""
SHIFT = 0.25
"""Root mean square over points of the shift of the mean, in standard deviations of the prior."""
MODES = 0.25
"""Number of independent directions over what as many normal candidates have. Every generator measured has 0.9;
c copies of few replicas have at most (c - 1)/K."""
SAMPLE = 2000
"""Replicas from which spread, shift and modes are taken: more would not move the figures."""
_NOISE = 3.0
"""Standard errors of a figure that are added to its limits, since few replicas are no proof."""


@dataclass(frozen=True)
class Check:
    """One figure and its limits.

    Attributes
    ----------
    name : str
    value : float
    low, high : float
        Passed between them, both included; infinite where there is none.
    text : str
        What the figure is.
    """

    name: str
    value: float
    low: float
    high: float
    text: str

    @property
    def passed(self) -> bool:
        """False for NaN."""
        return bool(self.low <= self.value <= self.high)


class GeneratorRefused(EnhanceError):
    """A generator whose replicas must not be used.

    Attributes
    ----------
    check : Check
        What failed.
    """

    def __init__(self, message: str, check: Check) -> None:
        super().__init__(message)
        self.check = check

    def __reduce__(self) -> tuple[type[GeneratorRefused], tuple[str, Check]]:
        # travels between ranks
        return type(self), (str(self), self.check)


def check_rejections(reasons: IntArray) -> Check:
    """How many candidates were rejected.

    Parameters
    ----------
    reasons : int64 (n,)
        Of ``guards.judge``, n > 0.
    """
    counts = np.bincount(reasons, minlength=len(REASONS))
    kinds = sorted(range(1, len(REASONS)), key=lambda number: -counts[number])
    named = ", ".join(f"{REASONS[number]} {counts[number]}" for number in kinds if counts[number])
    text = f"fraction of {len(reasons)} candidates that were rejected"
    value = 1.0 - counts[0] / len(reasons)
    # a handful of candidates may hold a bad one
    high = REJECTED + _NOISE * np.sqrt(REJECTED * (1 - REJECTED) / len(reasons))
    return Check("rejected", float(value), 0.0, float(min(high, 0.9)), f"{text} ({named or 'none'})")


def check_set(
    figures: FloatArray, values: FloatArray, coordinates: FloatArray, guard: Guard
) -> tuple[Check, ...]:
    """Figures of the new replicas together.

    Parameters
    ----------
    figures : float64 (n, figure)
        Of the accepted candidates, n > 1.
    values : float64 (m, P)
        Standardised values of the first of them, see ``Guard.standardise``.
    coordinates : float64 (m, K)
        Of the same.
    guard : Guard
    """
    f = dict(zip(FIGURES, figures.T, strict=True))
    n = len(values)
    narrow, wide = SPREAD
    few = _NOISE / np.sqrt(2.0 * (n - 1))
    spread = float(np.median(values.std(axis=0, ddof=1)))
    shift = float(np.sqrt(np.mean(values.mean(axis=0) ** 2)))
    inf = np.inf
    return (
        Check("neighbour", _median(f["neighbour"]), NEIGHBOUR, inf, _ABOUT["neighbour"]),
        Check("negative", float(f["negative_share"].mean()), 0.0, NEGATIVE, _ABOUT["negative"]),
        Check(
            "spread", spread, float(max(0.0, narrow * (1 - few))), float(wide * (1 + few)), _ABOUT["spread"]
        ),
        Check("shift", shift, 0.0, float(SHIFT + _NOISE / np.sqrt(n)), _ABOUT["shift"]),
        Check("modes", _modes(coordinates), MODES, inf, _ABOUT["modes"]),
        Check("outside", float((f["envelope"] > OUTSIDE).mean()), 0.0, 1.0, _ABOUT["outside"]),
    )


_ABOUT = {
    "neighbour": "median distance to the nearest replica of the prior over the prior's own (small: memorised)",
    "negative": "mean share of the points where the prior is positive at which a new replica is negative",
    "spread": "median standard deviation over the prior's (small: collapsed; large: over-dispersed)",
    "shift": "root mean square shift of the mean in standard deviations of the prior",
    "modes": "independent directions over what a generator without collapse has",
    "outside": f"fraction of replicas that leave the prior's envelope by more than {OUTSIDE} standard deviations "
    "somewhere (reported, no limit)",
}


def _median(values: FloatArray) -> float:
    # NumPy warns of NaN, where the figure itself says it
    return float("nan") if np.isnan(values).any() else float(np.median(values))


def _modes(coordinates: FloatArray) -> float:
    """Participation ratio of the covariance, over its expectation for normal candidates.

    (tr C)^2 / tr C^2 counts directions of equal variance; for n normal points in K dimensions it is
    1/(1/K + 1/n) but for terms of the next order.
    """
    n, k = coordinates.shape
    centred = coordinates - coordinates.mean(axis=0)
    covariance = centred.T @ centred
    squares = float(np.sum(covariance**2))
    if squares == 0.0:
        return 0.0
    return float(np.trace(covariance) ** 2 / squares * (1.0 / k + 1.0 / n))


def require(name: str, checks: tuple[Check, ...]) -> None:
    """Refuse a generator that fails.

    Raises
    ------
    GeneratorRefused
        With the first figure that failed, its value, its limit and what to do.
    """
    for check in checks:
        if not check.passed:
            limit = (
                f"at most {check.high:.3g}" if not check.value < check.low else f"at least {check.low:.3g}"
            )
            raise GeneratorRefused(
                f"generator {name}: {check.name} is {check.value:.3g}, allowed is {limit}: {check.text}. "
                f"{_advice(name)}",
                check,
            )


def _advice(name: str) -> str:
    if name in ("mix", "kde"):
        return "Ask for fewer replicas or gentler settings, or check the prior with 'compress-mpi validate'."
    return (
        "Take generator 'mix' or 'kde', which need no training, or train for longer or with other settings."
    )
