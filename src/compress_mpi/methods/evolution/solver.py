"""Operators in parts: what has to be computed, one part of it, and the parts joined.

The three steps of ``eko.runner.managed.solve`` with its working folder left out, so that the
parts can be computed anywhere; the result has the same bits.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress_mpi.methods.evolution.cards import Cards, Scale, Solver, eko_cards, make_cards
from compress_mpi.methods.evolution.library import eko_module
from compress_mpi.methods.evolution.theory import Theory
from compress_mpi.types import FloatArray

__all__ = ["Recipe", "compute", "joined", "pack", "recipes", "unpack", "warm"]

Recipe = Any
"""An ``Evolution`` at fixed number of flavours, or a ``Matching`` at a threshold, of eko."""


@dataclass
class _Bench:
    """What eko's functions ask of an operator under construction: cards, and parts by recipe."""

    theory_card: Any
    operator_card: Any
    found: list[Recipe] = field(default_factory=list)
    parts: dict[Recipe, Any] = field(default_factory=dict)
    parts_matching: dict[Recipe, Any] = field(default_factory=dict)

    def load_recipes(self, found: Sequence[Recipe]) -> None:
        self.found.extend(found)


def recipes(cards: Cards) -> list[Recipe]:
    """What has to be computed: matchings, which take longest, before evolutions, each by scale."""
    bench = _Bench(*eko_cards(cards))
    eko_module("eko.runner.recipes").create(bench)
    return sorted(bench.found, key=lambda recipe: (not _is_matching(recipe), _order(recipe)))


def _is_matching(recipe: Recipe) -> bool:
    return isinstance(recipe, eko_module("eko.io.items").Matching)


def _order(recipe: Recipe) -> tuple[float, ...]:
    if _is_matching(recipe):
        return (recipe.scale, recipe.hq, recipe.inverse)
    return (recipe.nf, recipe.target, recipe.origin, recipe.cliff)


def compute(cards: Cards, recipe: Recipe) -> Any:
    """One part, as an ``Operator`` of eko; the slow step."""
    parts = eko_module("eko.runner.parts")
    bench = _Bench(*eko_cards(cards))
    with np.errstate(all="ignore"):  # some integrands overflow far from the contour's saddle and are cut off
        return parts.match(bench, recipe) if _is_matching(recipe) else parts.evolve(bench, recipe)


def pack(operator: Any) -> bytes:
    """An operator of eko as bytes, compressed."""
    stream = io.BytesIO()
    operator.save(stream)
    return stream.getvalue()


def unpack(data: bytes) -> Any:
    """The operator in the bytes of `pack`."""
    return eko_module("eko.io.items").Operator.load(io.BytesIO(data))


def joined(cards: Cards, parts: Mapping[Recipe, Any]) -> Iterator[tuple[Scale, Any]]:
    """Operators from the start to each target, in the order of the card.

    Parameters
    ----------
    cards : Cards
    parts : mapping of Recipe to operator
        All of `recipes`.

    Yields
    ------
    Scale, operator
        In eko's units: the operator acts on f(x), not x f(x), with flavours in eko's order.
    """
    operators = eko_module("eko.runner.operators")
    bench = _Bench(*eko_cards(cards))
    bench.parts = {recipe: part for recipe, part in parts.items() if not _is_matching(recipe)}
    bench.parts_matching = {recipe: part for recipe, part in parts.items() if _is_matching(recipe)}
    points = zip(cards.targets, bench.operator_card.evolgrid, strict=True)
    for target, point in points:
        yield target, operators.join(operators.retrieve(point, bench))


def warm(theory: Theory, wanted: Sequence[Recipe]) -> None:
    """Have everything compiled that `compute` needs, by one small evolution.

    Parameters
    ----------
    theory : Theory
    wanted : sequence of Recipe
        What is going to be computed; without matchings among it none is compiled, which saves most.
    """
    x: FloatArray = np.geomspace(1e-2, 1.0, 4)
    threshold = theory.thresholds[1]
    nf = theory.fixed or 4
    start = (0.9 * threshold, nf)
    end = (1.1 * threshold, nf + any(map(_is_matching, wanted)))
    cards = make_cards(theory, start, [end], x, Solver(iterations=1, degree=2))
    for recipe in recipes(cards):
        compute(cards, recipe)
