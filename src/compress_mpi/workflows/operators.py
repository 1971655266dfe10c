"""Evolution operators, from the cache or computed by all ranks, and an evolver for the members' knots."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.methods.evolution.apply import to_export_order
from compress_mpi.methods.evolution.cards import DEFAULT_SOLVER, Cards, Scale, Solver, digest, make_cards
from compress_mpi.methods.evolution.library import eko_version, is_compiled
from compress_mpi.methods.evolution.placement import MOST_NODES, Evolver, Knots, nodes_of, targets_of
from compress_mpi.methods.evolution.solver import compute, joined, pack, recipes, unpack, warm
from compress_mpi.methods.evolution.theory import Theory, active_flavours
from compress_mpi.parallel.shared import SharedArray
from compress_mpi.types import FloatArray
from compress_mpi.workflows.operator_cache import OperatorCache

__all__ = ["Evolution", "EvolutionPlan", "find_evolver", "plan_evolution"]

Say = Callable[[str], None]


def _quiet(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, eq=False)
class EvolutionPlan:
    """An evolution to do.

    Attributes
    ----------
    theory : Theory
    q0 : float
        GeV, where the densities are given.
    source : float64 (n,)
        x nodes at which they are given.
    knots : Knots
        Of the member files to be.
    cards : Cards
    solver : Solver
    """

    theory: Theory
    q0: float
    source: FloatArray
    knots: Knots
    cards: Cards
    solver: Solver

    @property
    def nodes(self) -> FloatArray:
        """x nodes of the operators."""
        return np.array(self.cards.operator["xgrid"])

    @property
    def name(self) -> str:
        """Digest of all that decides the operators, which is their name in the cache."""
        return digest(self.cards, eko_version())


@dataclass(frozen=True, eq=False)
class Evolution:
    """An evolver, and the memory of its operators.

    Attributes
    ----------
    evolver : Evolver
    warnings : tuple of str
        What was found damaged in the cache.
    cached : bool
        Whether the operators were there before.
    shared : SharedArray
    """

    evolver: Evolver
    warnings: tuple[str, ...]
    cached: bool
    shared: SharedArray

    def free(self) -> None:
        """Collective: give the memory of the operators back; the evolver is of no use afterwards."""
        self.shared.free()


def plan_evolution(
    theory: Theory,
    q0: float,
    source: FloatArray,
    knots: Knots,
    solver: Solver = DEFAULT_SOLVER,
    most_nodes: int = MOST_NODES,
) -> EvolutionPlan:
    """Decide which operators take densities at ``q0`` to the knots of member files.

    Parameters
    ----------
    theory : Theory
    q0 : float
        GeV; on a threshold the densities are those above it.
    source : float64 (n,)
    knots : Knots
    solver : Solver
    most_nodes : int
        x nodes of the operators.

    Raises
    ------
    ValueError
        If knots reach beyond the nodes of the source.
    """
    start: Scale = (q0, active_flavours(theory, q0))
    targets = [target for scales in targets_of(theory, knots.q) for target in scales]
    cards = make_cards(theory, start, targets, nodes_of(knots.x, source, most_nodes), solver)
    return EvolutionPlan(theory, q0, source, knots, cards, solver)


def find_evolver(
    plan: EvolutionPlan,
    cache: Path,
    team: Any,
    stop: Callable[[], bool] = lambda: False,
    say: Say = _quiet,
) -> Evolution | None:
    """The evolver of a plan; collective. Its operators are read or computed once, and kept once per node.

    Parameters
    ----------
    plan : EvolutionPlan
    cache : Path
        Folder of operators; only the root rank uses it.
    team : MPITeam or SerialTeam
    stop : callable
        Asked on every rank between parts; where any says so, what is done stays in the cache.
    say : callable
        Told on the root rank what is going on.

    Returns
    -------
    Evolution or None
        None if it was stopped.

    Raises
    ------
    LaunchError
        If eko is not installed.
    OutputError
        If the cache cannot be written.
    """
    team.together(eko_version)
    keeper = team.on_root(lambda: OperatorCache(cache, plan.cards))
    found = _OnRoot(team.together(lambda: keeper.read() if team.rank == 0 else None))
    ready = team.on_root(lambda: found.arrays is not None)
    if not ready and not _compute(plan, keeper, found, team, stop, say):
        return None
    shared = _share(plan, found, team)
    places = plan.theory, plan.knots, plan.source, plan.solver.degree
    evolver = Evolver(shared.array, plan.cards.targets, plan.nodes, *places)
    return Evolution(evolver, tuple(team.on_root(lambda: keeper.warnings)), ready, shared)


@dataclass
class _OnRoot:
    """Operators on the root rank."""

    arrays: list[FloatArray] | None


def _compute(
    plan: EvolutionPlan, keeper: OperatorCache, found: _OnRoot, team: Any, stop: Callable[[], bool], say: Say
) -> bool:
    """Compute all missing parts, and join them on the root rank; False if it was stopped."""
    wanted = recipes(plan.cards)
    kept = team.together(lambda: _parts_of(keeper, len(wanted)) if team.rank == 0 else {})
    missing = team.on_root(lambda: [n for n in range(len(wanted)) if n not in kept])
    # more ranks than parts would only compile, and each takes memory
    crew = min(team.size, max(1, len(missing)))
    if missing and is_compiled():
        team.on_root(lambda: say("preparing eko; where it was never used this takes many minutes"))
        turns = [wanted[n] for n in missing]
        team.in_turn(lambda: warm(plan.theory, turns) if team.rank < crew else None)
    for first in range(0, len(missing), crew):
        if team.any(stop()):
            return False
        begin = time.monotonic()
        turn = missing[first : first + crew]
        results = team.map(lambda n: pack(compute(plan.cards, wanted[n])), turn)
        kept.update(zip(turn, results, strict=True) if team.rank == 0 else ())
        done = len(wanted) - len(missing) + first + len(turn)
        text = f"evolution operators: part {done} of {len(wanted)} ({time.monotonic() - begin:.0f} s)"
        team.on_root(functools.partial(_keep, keeper, kept, turn, say, text))
    team.on_root(lambda: _join(plan, keeper, found, wanted, kept))
    return True


def _keep(keeper: OperatorCache, kept: Mapping[int, bytes], turn: Sequence[int], say: Say, text: str) -> None:
    for number in turn:
        keeper.write_part(str(number), kept[number])
    say(text)


def _parts_of(keeper: OperatorCache, n_parts: int) -> dict[int, bytes]:
    found = ((number, keeper.read_part(str(number))) for number in range(n_parts))
    return {number: part for number, part in found if part is not None}


def _join(
    plan: EvolutionPlan, keeper: OperatorCache, found: _OnRoot, wanted: list[Any], kept: Mapping[int, bytes]
) -> None:
    parts = {recipe: unpack(kept[number]) for number, recipe in enumerate(wanted)}
    found.arrays = keeper.write(joined(plan.cards, parts))


def _share(plan: EvolutionPlan, found: _OnRoot, team: Any) -> SharedArray:
    """Operators on x f in the order of export grids, one copy per node; collective."""
    x = plan.nodes
    n = len(plan.cards.targets)
    shared: SharedArray = team.shared((n, 14, len(x), 14, len(x)))
    for number in range(n):
        operator = team.on_root(lambda k=number: to_export_order((found.arrays or [])[k], x))
        if number in shared.rows:
            shared.array[number] = operator
    shared.publish()
    return shared
