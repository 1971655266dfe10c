"""How far selected replicas may move, how the way is found, and what is refused at its end."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PolishSettings"]


@dataclass(frozen=True)
class PolishSettings:
    """Settings of a polish.

    Attributes
    ----------
    radius : float
        Largest displacement of a replica along any component, in standard deviations of that component.
    steps : int
        Gradient steps of a candidate.
    candidates : int
        Runs from different starts; the best is taken.
    learning_rate : float
        Of Adam, in the unbounded coordinates; it falls to a hundredth over the run.
    width : (float, float)
        Softness of the Kolmogorov-Smirnov edges at the beginning and the end, in standard deviations of the subset.
    correlation_weight, marginal_weight : float
        Of the distance of the whole correlation matrix and of the marginals' Wasserstein distance, in medians
        of random subsets.
    limit_weight : float
        Of the mean excess over the limits, in standard deviations of the prior.
    scatter : float
        Standard deviation of the random displacement with which every candidate but the first of a start sets
        out, as a fraction of the radius.
    rare : float
        Where fewer replicas of the prior than this fraction are negative, none should become negative.
    tolerance : float
        Excess over the limits that a replica may end with, in standard deviations of the prior.
    halvings : int
        How often a replica beyond it goes back by half of its way, before it goes back altogether; and how often the
        set does, before it is refused.
    more_negative : float
        By how much the fraction of negative values of any flavour, at the points that ``rare`` names, may exceed
        both the prior's and that of the start.
    """

    radius: float = 0.3
    steps: int = 800
    candidates: int = 2
    learning_rate: float = 0.05
    width: tuple[float, float] = (0.1, 0.02)
    correlation_weight: float = 0.05
    marginal_weight: float = 0.05
    limit_weight: float = 20.0
    scatter: float = 0.1
    rare: float = 0.1
    tolerance: float = 0.25
    halvings: int = 3
    more_negative: float = 0.01

    def __post_init__(self) -> None:
        if not 0.0 <= self.radius < float("inf"):
            raise ValueError(f"radius: expected a number >= 0, got {self.radius!r}")
        for name in ("steps", "candidates"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected an integer >= 1, got {getattr(self, name)!r}")
