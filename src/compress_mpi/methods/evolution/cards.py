"""Theory card and operator card: everything that decides an operator, as plain data."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from compress_mpi.methods.evolution.library import eko_module
from compress_mpi.methods.evolution.theory import Theory
from compress_mpi.types import FloatArray

__all__ = ["DEFAULT_SOLVER", "Cards", "Scale", "Solver", "digest", "eko_cards", "make_cards"]

Scale = tuple[float, int]
"""A scale in GeV and the number of active flavours there."""

_ALPHA_EM = 0.007496252  # eko wants a number > 0; without QED it enters nothing


@dataclass(frozen=True)
class Solver:
    """How the evolution equations are solved.

    Attributes
    ----------
    iterations : int
        Steps of the exact solution between two scales; without effect at LO.
    degree : int
        Of the polynomials in log x that interpolate between nodes.
    """

    iterations: int = 10
    degree: int = 4


DEFAULT_SOLVER = Solver()


@dataclass(frozen=True)
class Cards:
    """The two cards of eko, JSON-able.

    Attributes
    ----------
    theory, operator : dict
        As eko reads them from YAML.
    """

    theory: dict[str, Any]
    operator: dict[str, Any]

    @property
    def targets(self) -> list[Scale]:
        """Scales evolved to, in the order of the card."""
        return [(float(q), int(nf)) for q, nf in self.operator["mugrid"]]


def make_cards(
    theory: Theory, start: Scale, targets: Sequence[Scale], x: FloatArray, solver: Solver = DEFAULT_SOLVER
) -> Cards:
    """Cards of one operator.

    Parameters
    ----------
    theory : Theory
    start : Scale
        Where the densities are given.
    targets : sequence of Scale
        Where they are wanted; repeated ones count once.
    x : float64 (nx,)
        Nodes of the operator, increasing, the last one 1.
    solver : Solver

    Raises
    ------
    ValueError
        If the nodes are too few, do not increase or do not end at 1.
    """
    nodes = [float(node) for node in x]
    if len(nodes) <= solver.degree or nodes[-1] != 1.0 or nodes[0] <= 0 or sorted(set(nodes)) != nodes:
        raise ValueError(
            f"x nodes: expected at least {solver.degree + 1}, increasing from above 0 to 1, "
            f"got {len(nodes)} from {nodes[0]:g} to {nodes[-1]:g}"
        )
    return Cards(_theory_card(theory), _operator_card(start, targets, nodes, solver))


def _theory_card(theory: Theory) -> dict[str, Any]:
    ratios = [t / m for t, m in zip(theory.thresholds, theory.masses, strict=True)]
    nf_ref = theory.fixed or min(5, theory.most)
    return {
        "order": [theory.order, 0],
        "couplings": {
            "alphas": theory.alphas,
            "alphaem": _ALPHA_EM,
            "ref": [theory.mz, nf_ref],
            "em_running": False,
        },
        "heavy": {
            "masses": [[mass, math.nan] for mass in theory.masses],
            "masses_scheme": "pole",
            "matching_ratios": ratios,
        },
        "xif": 1.0,
        "n3lo_ad_variation": [0] * 7,
        "use_fhmruvv": True,
        "matching_order": [theory.order - 1, 0],
    }


def _operator_card(
    start: Scale, targets: Sequence[Scale], nodes: list[float], solver: Solver
) -> dict[str, Any]:
    return {
        "init": list(start),
        "mugrid": [list(target) for target in sorted(set(targets), key=lambda scale: (scale[1], scale[0]))],
        "xgrid": nodes,
        "configs": {
            "evolution_method": "iterate-exact",
            "ev_op_max_order": [10, 0],
            "ev_op_iterations": solver.iterations,
            "interpolation_polynomial_degree": solver.degree,
            "interpolation_is_log": True,
            "scvar_method": None,
            "inversion_method": "exact",
            "n_integration_cores": 1,
            "polarized": False,
            "time_like": False,
        },
        "debug": {"skip_singlet": False, "skip_non_singlet": False},
    }


def digest(cards: Cards, version: str) -> str:
    """Name of the operator by all that decides it: SHA-256 of both cards and the version of eko."""
    content = {"eko": version, "theory": cards.theory, "operator": cards.operator}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def eko_cards(cards: Cards) -> tuple[Any, Any]:
    """The cards as objects of eko, ``(TheoryCard, OperatorCard)``."""
    runcards = eko_module("eko.io.runcards")
    return runcards.TheoryCard.from_dict(cards.theory), runcards.OperatorCard.from_dict(
        {**cards.operator, "init": tuple(cards.operator["init"]), "mugrid": cards.targets}
    )
