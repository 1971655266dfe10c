"""The smallest size that meets a target: which sizes to try, and what meeting it means.

The sizes that are tried depend on the limits and on the verdicts alone, so that the
search is the same on any number of ranks and after any restart. It takes for
granted that a size larger than one that meets the target meets it too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from compress_mpi.errors import RuncardError
from compress_mpi.io.settings import Auto, CompressConfig
from compress_mpi.methods.selection.estimators import ESTIMATORS
from compress_mpi.methods.selection.normalisation import random_distances
from compress_mpi.methods.selection.problem import Problem
from compress_mpi.types import Team

__all__ = [
    "Target",
    "Verdict",
    "closest",
    "next_sizes",
    "planned_sizes",
    "smallest_passing",
    "surprises",
    "target_of",
]

AT_ONCE = 4
"""Sizes of one round; part of the plan, as it decides which sizes are tried."""
_DEFAULT_FACTOR = 10.0


@dataclass(frozen=True)
class Target:
    """What every estimator of a selection has to reach.

    Attributes
    ----------
    factor : float or None
        Random subsets that many times larger are the measure.
    random_size : int or None
        Random subsets of this size are the measure.
    tolerance : dict or None
        Largest distance by estimator, not normalised.
    smallest, largest : int
        Sizes that may be tried.
    """

    factor: float | None
    random_size: int | None
    tolerance: dict[str, float] | None
    smallest: int
    largest: int

    def __str__(self) -> str:
        if self.tolerance is not None:
            return "tolerance " + ", ".join(f"{name} {value:g}" for name, value in self.tolerance.items())
        if self.random_size is not None:
            return f"median of random subsets of size {self.random_size}"
        return f"median of random subsets of size {self.factor:g} N"

    def random_size_for(self, n_rep: int) -> int | None:
        """Size of the random subsets that size ``n_rep`` is measured against; None under a tolerance."""
        if self.factor is not None:
            return round(self.factor * n_rep)
        return self.random_size

    def limits(
        self, n_rep: int, names: tuple[str, ...], problem: Problem, trials: int, seed: int, team: Team
    ) -> dict[str, float]:
        """Largest distance of each estimator at size ``n_rep``; collective.

        Parameters
        ----------
        n_rep : int
        names : tuple of str
            Estimators of the run.
        problem, trials, seed, team
            See ``normalisation.random_distances``: the random subsets are those of that size's own run.
        """
        size = self.random_size_for(n_rep)
        if size is None:
            return dict(self.tolerance or {})
        medians = np.median(random_distances(problem, size, trials, seed, team), axis=0)
        return {name: float(medians[ESTIMATORS.index(name)]) for name in names}


@dataclass(frozen=True)
class Verdict:
    """One size against the target.

    Attributes
    ----------
    n_rep : int
    distances, limits : dict
        By estimator, not normalised.
    """

    n_rep: int
    distances: dict[str, float]
    limits: dict[str, float]

    @property
    def ratios(self) -> dict[str, float]:
        """Distance over limit, by estimator."""
        return {
            name: distance / self.limits[name] if self.limits[name] else np.inf * (distance > 0)
            for name, distance in self.distances.items()
        }

    @property
    def worst(self) -> tuple[str, float]:
        """Estimator with the largest ratio, and that ratio."""
        ratios = self.ratios
        name = max(ratios, key=lambda name: ratios[name])
        return name, float(ratios[name])

    @property
    def passes(self) -> bool:
        """Whether every estimator is within its limit."""
        return all(distance <= self.limits[name] for name, distance in self.distances.items())


def target_of(auto: Auto, members: int) -> Target:
    """The target of a runcard, and the sizes at which it can be met with a prior of ``members`` replicas.

    Raises
    ------
    RuncardError
        If there is no such size.
    """
    given = (auto.factor, auto.random_size, auto.tolerance)
    factor = auto.factor if any(value is not None for value in given) else _DEFAULT_FACTOR
    largest, why = members - 1, f"the prior has {members} replicas"
    if factor is not None:
        # a random subset as large as the prior is the prior, at distance zero
        while largest >= 2 and round(factor * largest) >= members:
            largest = min(largest - 1, int(members / factor) + 1)
        why = f"random subsets of size {factor:g} N must be smaller than the prior, {members} replicas"
    elif auto.random_size is not None and auto.random_size >= members:
        raise RuncardError(
            f"auto.random_size: expected less than the replicas of the prior, {members}, got {auto.random_size}"
        )
    if auto.smallest > largest:
        raise RuncardError(
            f"auto.smallest: expected at most {largest}, got {auto.smallest}: {why}; "
            "lower it, choose another target or take a larger prior"
        )
    return Target(
        factor,
        auto.random_size,
        auto.tolerance,
        auto.smallest,
        largest if auto.largest is None else min(largest, auto.largest),
    )


def planned_sizes(config: CompressConfig, members: int) -> tuple[int, ...]:
    """Sizes known before a run: those of the list, or the first round of auto.

    Raises
    ------
    RuncardError
        As :func:`target_of`.
    """
    if isinstance(config.compressed, str):
        return next_sizes(target_of(config.auto, members), {})
    return config.compressed


def next_sizes(target: Target, verdicts: Mapping[int, bool]) -> tuple[int, ...]:
    """Sizes of the next round.

    Doubling from the smallest until one passes, then ``AT_ONCE`` sizes between the
    largest that fails and the smallest that passes, in equal ratios, until those are neighbours.

    Parameters
    ----------
    target : Target
    verdicts : mapping
        Size -> whether it passes, of all rounds so far.

    Returns
    -------
    tuple of int
        In order; empty where the answer is known.
    """
    high = smallest_passing(verdicts)
    if high is None:
        start = target.smallest if not verdicts else 2 * max(verdicts)
        if verdicts and max(verdicts) >= target.largest:
            return ()
        return tuple(sorted({min(start * 2**step, target.largest) for step in range(AT_ONCE)}))
    failing = [size for size in verdicts if size < high]
    if not failing:
        return ()
    low = max(failing)
    between = range(low + 1, high)
    if len(between) <= AT_ONCE:
        return tuple(between)
    steps = np.arange(1, AT_ONCE + 1) / (AT_ONCE + 1)
    points = np.rint(low * (high / low) ** steps).astype(int)
    return tuple(sorted({int(min(max(point, low + 1), high - 1)) for point in points}))


def smallest_passing(verdicts: Mapping[int, bool]) -> int | None:
    """The smallest size that passes, None if none does."""
    return min((size for size, passes in verdicts.items() if passes), default=None)


def surprises(verdicts: Mapping[int, bool]) -> list[int]:
    """Sizes that fail although a smaller one passes."""
    answer = smallest_passing(verdicts)
    return sorted(
        size for size, passes in verdicts.items() if answer is not None and size > answer and not passes
    )


def closest(verdicts: Mapping[int, Verdict]) -> Verdict:
    """The size whose worst estimator comes nearest to its limit."""
    return min(verdicts.values(), key=lambda verdict: (verdict.worst[1], verdict.n_rep))
