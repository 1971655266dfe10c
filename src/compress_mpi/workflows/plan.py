"""How much work, memory and time a compression will take, before any of it is spent.

Memory is counted on arrays of the right shape. Time comes from a short measurement
of the real kernel on random numbers: its cost hardly depends on the values.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from compress_mpi.io.settings import CompressConfig
from compress_mpi.methods.selection.cma_es import CMAIsland
from compress_mpi.methods.selection.error_function import Reference, build_reference
from compress_mpi.methods.selection.estimators import CORRELATION, ESTIMATORS
from compress_mpi.methods.selection.island import SearchSettings
from compress_mpi.methods.selection.normalisation import random_distances
from compress_mpi.methods.selection.problem import (
    Problem,
    build_problem,
    correlation_columns,
    empty_state,
    standardise,
)
from compress_mpi.methods.selection.search import IslandSearch, evaluations_of, kinds_of, useful_members
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.workflows.budget import settings_of
from compress_mpi.workflows.enhance_plan import EnhancePlan
from compress_mpi.workflows.plan_enhanced import EnhancedCost, enhanced_cost
from compress_mpi.workflows.prior import PriorPlan, read_grid_values
from compress_mpi.workflows.record import PHASES
from compress_mpi.workflows.sizes import Share, share, work_of
from compress_mpi.workflows.sizes import idle_ranks as idle_in
from compress_mpi.workflows.targets import planned_sizes

__all__ = [
    "PROCESS_BYTES",
    "Cost",
    "SizeCost",
    "estimate",
    "idle_ranks",
    "launch_seconds",
    "reading_seconds",
    "seconds_on",
    "shares_of",
]

PROCESS_BYTES = 200_000_000
"""Python and its libraries in one rank, as ``top`` counts them."""

_MEASUREMENT = 0.5
_TRIALS = 20
_REPLICAS_PER_READER = 32


@dataclass(frozen=True)
class SizeCost:
    """Work of one subset size.

    Attributes
    ----------
    n_rep : int
        Size N.
    evaluations : int
        Of the error function in the search, over all islands and phases.
    rate : float
        Evaluations per second on one core of this machine.
    trial : float
        Seconds for one random subset.
    state_bytes : int
        One island.
    crew : int
        Ranks that can share one island.
    seconds : float or None
        Search time that is the budget of the runcard, if one is.
    phases : int
        Searches, each with that budget.
    """

    n_rep: int
    evaluations: int
    rate: float
    trial: float
    state_bytes: int
    crew: int
    seconds: float | None = None
    phases: int = 1


@dataclass(frozen=True)
class Cost:
    """Work and memory of a runcard.

    Attributes
    ----------
    islands, trials, members : int
    points, correlation_points : int
        Points that enter the estimators; upper bounds, as constant and dependent points are left out.
    node_bytes : int
        Arrays that a node holds once: the prior on the grid and its standardised copy, and those of an enhancement.
    member_seconds : float
        Reading one member.
    sizes : tuple of SizeCost
    enhanced : EnhancedCost or None
        Where there is an enhanced set.
    """

    islands: int
    trials: int
    members: int
    points: int
    correlation_points: int
    node_bytes: int
    member_seconds: float
    sizes: tuple[SizeCost, ...]
    enhanced: EnhancedCost | None = None

    def rank_bytes(self, ranks: int) -> int:
        """Memory of one of so many ranks, the arrays of its node not counted."""
        return PROCESS_BYTES + max(
            -(-self.islands // len(one.ranks)) * self.sizes[position].state_bytes
            for one in shares_of(self, ranks)
            for position in one.sizes
        )


def estimate(
    config: CompressConfig, plan: PriorPlan, more: EnhancePlan | None = None, seconds: float = _MEASUREMENT
) -> Cost:
    """Measure this machine for a little while on a problem of the right shape.

    Parameters
    ----------
    config : CompressConfig
    plan : PriorPlan
        Of its prior.
    more : EnhancePlan or None
        Where there is an enhanced set.
    seconds : float
        Time for the measurement of the search, shared by the sizes.

    Raises
    ------
    PDFSetError
        If the first or the last replica cannot be read.
    """
    reading = _reading(plan)
    reference, problem = _random_problem(config, plan)
    settings = [settings_of(config, n, len(plan.members)) for n in planned_sizes(config, len(plan.members))]
    sizes = tuple(_measure(problem, one, seconds / len(settings)) for one in settings)
    grid = 8 * len(plan.members) * plan.n_columns * len(plan.xgrid)
    node_bytes = grid + problem.z.nbytes + problem.zc.nbytes
    enhanced = None if more is None else enhanced_cost(plan, more, node_bytes)
    if enhanced is not None:
        node_bytes += enhanced.node_bytes
        sizes = tuple(_in_phases(config, size, enhanced.pool, len(plan.members)) for size in sizes)
    return Cost(
        settings[0].islands,
        config.trials,
        len(plan.members),
        int(np.count_nonzero(~reference.constant)),
        len(reference.points) if CORRELATION in reference.names else 0,
        node_bytes,
        reading,
        sizes,
        enhanced,
    )


def _in_phases(config: CompressConfig, size: SizeCost, pool: int, members: int) -> SizeCost:
    """The same size with the phases that follow the prior's: as many searches in a larger pool."""
    settings = settings_of(config, size.n_rep, pool)
    later = (len(PHASES) - 1) * _evaluations(settings, pool, size.rate)
    # what grows with the pool is the state of one method, of the others it does not depend on it
    grown = (
        size.state_bytes * pool // members if config.minimizer in ("cma", "portfolio") else size.state_bytes
    )
    return replace(size, evaluations=size.evaluations + later, state_bytes=grown, phases=len(PHASES))


def _reading(plan: PriorPlan) -> float:
    """Seconds per member, from the two ends of the set."""
    pdfset, ends = plan.on_disk

    def read() -> None:
        read_grid_values(plan, pdfset, ends)

    # the first call also imports the library
    read()
    return _timed(read) / len(ends)


def _timed(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def _random_problem(config: CompressConfig, plan: PriorPlan) -> tuple[Reference, Problem]:
    present = [pid for pid in plan.flavours if pid in plan.pdfset.flavours]
    rng = np.random.default_rng(0)
    prior = 1.0 + rng.standard_normal((len(plan.members), len(present) * len(plan.scales), len(plan.xgrid)))
    reference = build_reference(prior, config.estimators.names, plan.nodes)
    z = standardise(prior, reference)
    return reference, build_problem(z, np.ascontiguousarray(z[:, correlation_columns(reference)]), reference)


def _measure(problem: Problem, settings: SearchSettings, seconds: float) -> SizeCost:
    team = SerialTeam(1)
    # on one core, without an end
    alone = replace(settings, max_iteration=10**9, seconds=None, stagnation=None)
    search = IslandSearch(alone, problem, _weights(problem, settings.n_select, team), team)
    search.advance()
    first, began = search.evaluations, time.perf_counter()
    while search.evaluations == first or time.perf_counter() - began < seconds:
        search.advance()
    rate = (search.evaluations - first) / (time.perf_counter() - began)
    trial = _timed(lambda: random_distances(problem, settings.n_select, _TRIALS, 0, team)) / _TRIALS
    pool = len(problem.z)
    return SizeCost(
        settings.n_select,
        _evaluations(settings, pool, rate),
        rate,
        trial,
        max(_island_bytes(problem, settings.n_select, kind.kind) for kind in kinds_of(settings)),
        max(1, useful_members(settings, pool) // settings.islands),
        settings.seconds,
    )


def _evaluations(settings: SearchSettings, pool: int, rate: float) -> int:
    """In the whole search; where the budget is a time, as many as one core makes in it."""
    if settings.seconds is not None:
        return round(settings.seconds * rate)
    return evaluations_of(settings, settings.max_iteration, pool)


def _island_bytes(problem: Problem, n_select: int, kind: str) -> int:
    pool = len(problem.z)
    if kind == "cma":
        # candidates before and after sampling, and a few vectors of the strategy
        return 8 * pool * (2 * CMAIsland.most_useful_crew(pool) + 10)
    # other views of the same memory do not count
    return sum(array.nbytes for array in empty_state(problem, n_select) if array.base is None)


def _weights(problem: Problem, n_select: int, team: SerialTeam) -> np.ndarray:
    typical = random_distances(problem, n_select, 3, 0, team).mean(axis=0)
    return np.divide(1.0 / len(ESTIMATORS), typical, out=np.zeros_like(typical), where=typical > 0)


def seconds_on(cost: Cost, size: SizeCost, workers: int, trial_workers: int) -> float:
    """Time to normalise and search for one size.

    Parameters
    ----------
    cost : Cost
    size : SizeCost
        One of ``cost.sizes``.
    workers : int
        Cores that advance islands. More of them than islands share the evaluations of one, by how much
        that helps depends on the search: it is not counted, so the time is then an upper bound.
    trial_workers : int
        Processes that evaluate random subsets.
    """
    trials = cost.trials * size.trial / max(trial_workers, 1)
    if size.seconds is not None:
        return trials + size.phases * size.seconds
    rounds = -(-cost.islands // max(workers, 1))
    return trials + rounds * size.evaluations / cost.islands / size.rate


def reading_seconds(cost: Cost, readers: int) -> float:
    """Time to read the prior with so many processes per node; few of them are let."""
    most = max(1, cost.members // _REPLICAS_PER_READER)
    return cost.member_seconds * cost.members / max(1, min(readers, most))


def shares_of(cost: Cost, ranks: int) -> list[Share]:
    """Who would work on which size."""
    return share(
        [
            work_of(size.n_rep, cost.trials, size.evaluations, cost.islands, cost.islands * size.crew)
            for size in cost.sizes
        ],
        max(ranks, 1),
    )


def launch_seconds(cost: Cost, ranks: int) -> float:
    """Time for all sizes on so many ranks of one core each, reading not counted."""
    return max(
        sum(seconds_on(cost, cost.sizes[p], len(one.ranks), len(one.ranks)) for p in one.sizes)
        for one in shares_of(cost, ranks)
        if one.sizes
    )


def idle_ranks(cost: Cost, ranks: int) -> int:
    """How many of so many ranks would find nothing to do."""
    return idle_in(shares_of(cost, ranks))
