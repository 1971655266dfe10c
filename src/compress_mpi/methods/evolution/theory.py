"""The theory that an LHAPDF ``.info`` file fixes, and what it leaves open."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["ACTIVE", "Theory", "active_flavours", "assumptions", "flavours_of_blocks", "theory_of"]

_HEAVY = ("Charm", "Bottom", "Top")
_HIGHEST = 3
ACTIVE = (3, 6)
"""Fewest and most active flavours of the evolution."""

_SAME = 1e-5
"""Relative distance at which a knot is on a threshold: files hold six digits."""


@dataclass(frozen=True)
class Theory:
    """What decides an evolution operator, besides its scales and nodes.

    Attributes
    ----------
    order : int
        Powers of alpha_s in the evolution kernels: 1 is LO, 2 NLO.
    alphas, mz : float
        Coupling at the scale ``mz`` (GeV).
    masses, thresholds : tuple of float
        Of charm, bottom and top in GeV: pole masses, and where the number of flavours changes.
    fixed : int or None
        Number of flavours at every scale in a fixed-flavour scheme.
    most : int
        Active flavours never exceed it.
    """

    order: int
    alphas: float
    mz: float
    masses: tuple[float, float, float]
    thresholds: tuple[float, float, float]
    fixed: int | None
    most: int


def theory_of(info: Mapping[str, Any]) -> Theory:
    """The theory of a set.

    Parameters
    ----------
    info : mapping
        Keys of its ``.info`` file: OrderQCD, AlphaS_MZ, MZ, MCharm, MBottom, MTop, and, where they are,
        ThresholdCharm and so on, FlavorScheme and NumFlavors.

    Returns
    -------
    Theory

    Raises
    ------
    ValueError
        If a key is missing or makes no sense.
    """
    order = _number(info, "OrderQCD")
    if order not in range(_HIGHEST + 1):
        raise ValueError(f"OrderQCD: expected 0 (LO) to {_HIGHEST} (N3LO), got {order:g}")
    masses = [_positive(info, f"M{name}") for name in _HEAVY]
    thresholds = [
        _positive(info, f"Threshold{name}") if f"Threshold{name}" in info else mass
        for name, mass in zip(_HEAVY, masses, strict=True)
    ]
    if sorted(thresholds) != thresholds:
        raise ValueError(f"thresholds of charm, bottom and top: expected to increase, got {thresholds} GeV")
    most = int(_number(info, "NumFlavors")) if "NumFlavors" in info else 5
    if not ACTIVE[0] <= most <= ACTIVE[1]:
        raise ValueError(f"NumFlavors: expected {ACTIVE[0]} to {ACTIVE[1]}, got {most}")
    fixed = most if str(info.get("FlavorScheme", "variable")).strip().lower() == "fixed" else None
    alphas, mz = _positive(info, "AlphaS_MZ"), _positive(info, "MZ")
    triples = (masses[0], masses[1], masses[2]), (thresholds[0], thresholds[1], thresholds[2])
    return Theory(int(order) + 1, alphas, mz, *triples, fixed, most)


def _number(info: Mapping[str, Any], key: str) -> float:
    if key not in info:
        raise ValueError(f"key '{key}' is missing; evolution needs it")
    value = info[key]
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{key}: expected a number, got {value!r}")
    return float(value)


def _positive(info: Mapping[str, Any], key: str) -> float:
    value = _number(info, key)
    if value <= 0:
        raise ValueError(f"{key}: expected a number > 0, got {value:g}")
    return value


def active_flavours(theory: Theory, q: float, below: bool = False) -> int:
    """Number of active flavours at a scale.

    Parameters
    ----------
    theory : Theory
    q : float
        GeV.
    below : bool
        What it is just under a threshold, where ``q`` is one; by default as LHAPDF has it, just above.
    """
    if theory.fixed is not None:
        return theory.fixed
    passed = [
        q > threshold if not math.isclose(q, threshold, rel_tol=_SAME) else not below
        for threshold in theory.thresholds
    ]
    return min(ACTIVE[0] + sum(passed), theory.most)


def flavours_of_blocks(theory: Theory, blocks: Sequence[Sequence[float]]) -> list[list[int]]:
    """Number of active flavours at every knot of the subgrids of a set.

    Parameters
    ----------
    theory : Theory
    blocks : sequence of sequence of float
        Q knots of each subgrid in GeV. The last of a subgrid that others follow is below the
        threshold it lies on, the first of the next one above.
    """
    last = len(blocks) - 1
    return [
        [
            active_flavours(theory, q, below=number < last and position == len(knots) - 1)
            for position, q in enumerate(knots)
        ]
        for number, knots in enumerate(blocks)
    ]


def assumptions(info: Mapping[str, Any], theory: Theory) -> list[str]:
    """What an ``.info`` file does not fix and the evolution takes for granted, one sentence each.

    Parameters
    ----------
    info : mapping
    theory : Theory
        From `theory_of`.
    """
    found = [
        "heavy-quark masses are pole masses",
        "matching at each threshold is one order below the evolution (none at LO)",
        "factorisation and renormalisation scales are equal",
        "evolution equations are solved exactly (iterated), whatever the fit did",
        "space-like, unpolarised, QCD only; a photon is left as it is",
    ]
    if not any(f"Threshold{name}" in info for name in _HEAVY) and theory.fixed is None:
        found.append("the number of flavours changes at the quark masses")
    coupling = info.get("AlphaS_OrderQCD")
    if coupling is not None and coupling != theory.order - 1:
        found.append(f"alpha_s runs with OrderQCD {theory.order - 1}, although AlphaS_OrderQCD is {coupling}")
    return found
