"""Numbers about evolution operators, as JSON. A program of its own, for eko runs uncompiled here."""

from __future__ import annotations

import itertools
import json
import math
import os

os.environ["NUMBA_DISABLE_JIT"] = "1"

import numpy as np

from compress_mpi.methods.evolution.apply import EXPORT_PIDS, rotation, to_export_order
from compress_mpi.methods.evolution.cards import Solver, eko_cards, make_cards
from compress_mpi.methods.evolution.library import eko_module
from compress_mpi.methods.evolution.placement import Evolver, Knots
from compress_mpi.methods.evolution.solver import compute, joined, recipes, warm
from compress_mpi.methods.evolution.theory import theory_of

INFO = {
    "OrderQCD": 0,
    "AlphaS_MZ": 0.118,
    "MZ": 91.2,
    "MCharm": 1.5,
    "MBottom": 4.5,
    "MTop": 170.0,
    "NumFlavors": 5,
}
THEORY = theory_of(INFO)
X = np.array([1e-3, 1e-2, 0.1, 0.3, 0.6, 1.0])
DEGREE, CF = 3, 4 / 3
START, END = (2.0, 4), (2.05, 4)


def operators(targets):
    cards = make_cards(THEORY, START, targets, X, Solver(1, DEGREE))
    parts = {recipe: compute(cards, recipe) for recipe in recipes(cards)}
    return cards, {scale: found.operator for scale, found in joined(cards, parts)}


def splitting(x, f):
    """P_qq (x) f at one node, for f between the nodes the polynomials that eko takes (quadrature)."""
    nodes = X[list(X).index(x) :]
    points, weights = np.polynomial.legendre.leggauss(24)
    total = 0.0
    for low, high in itertools.pairwise(nodes):
        y = np.exp(0.5 * (np.log(high) - np.log(low)) * (points + 1) + np.log(low))
        dy = 0.5 * (np.log(high) - np.log(low)) * weights * y
        z = x / y
        values = rotation(X, y, DEGREE) @ f
        here = f[list(X).index(x)]
        total += np.sum(dy * x / y**2 * (1 + z**2) / (1 - z) * (values / z - here))
        if high == 1.0:
            total -= here * (-2 * math.log(1 - x) - x - x * x / 2)
    return CF * total


def small_step():
    """Change of a valence density in a small step, by eko and by its LO evolution equation."""
    cards, found = operators([END])
    f = X**-0.4 * (1 - X) ** 3
    into = np.zeros((14, len(X)))
    into[EXPORT_PIDS.index(2)] = X * f
    operator = to_export_order(found[END], X)
    out = np.einsum("ajbk,bk->aj", operator, into) / X
    valence = out[EXPORT_PIDS.index(2)] - out[EXPORT_PIDS.index(-2)]
    coupling = eko_module("eko.runner.commons").couplings(*eko_cards(cards))
    a = [coupling.a_s(q * q, nf_to=nf) for q, nf in (START, END)]
    step = math.log(a[0] / a[1]) / (11 - 2 / 3 * START[1])
    expected = [2 * step * splitting(x, f) for x in X[:-1]]
    return {"found": (valence - f)[:-1].tolist(), "expected": expected}


def placed():
    """Rows of an evolver on other x knots, and the same by hand."""
    targets = [(2.0, 4), (2.05, 4)]
    cards, found = operators(targets)
    stack = np.stack([to_export_order(found[target], X) for target in cards.targets])
    source = np.geomspace(1e-4, 1.0, 9)
    knots = Knots(((1e-3, 0.05, 0.3, 1.0),), ((2.0, 2.05),), (2, 0))
    values = np.random.default_rng(4).random((3, 14, 9)) * (1 - source)
    rows = Evolver(stack, cards.targets, X, THEORY, knots, source, DEGREE).rows(values)
    start = values @ rotation(source, X, DEGREE).T
    out = rotation(X, np.array(knots.x[0]), DEGREE)
    at_end = np.einsum("ajbk,rbk->raj", stack[cards.targets.index((2.05, 4))], start) @ out.T
    rows = rows.reshape(3, 4, 2, 2)
    gluon, up = EXPORT_PIDS.index(21), EXPORT_PIDS.index(2)
    return {
        "start": float(np.abs(rows[:, :, 0, 1] - start[:, gluon] @ out.T).max()),
        "gluon": float(np.abs(rows[:, :, 1, 1] - at_end[:, gluon]).max()),
        "up": float(np.abs(rows[:, :, 1, 0] - at_end[:, up]).max()),
        "moved": float(np.abs(at_end[:, gluon] - start[:, gluon] @ out.T).max()),
    }


def rotations():
    """Interpolation of what it has to give exactly, and of grids that differ below 1e-8 only."""
    fine = np.geomspace(1e-3, 1.0, 40)
    cubic = np.log(fine) ** 3 - 2 * np.log(fine)
    tiny = np.append(np.geomspace(1e-9, 9e-9, 5), 1.0)
    shifted = np.append(np.geomspace(1.1e-9, 8e-9, 5), 1.0)
    matrix = rotation(tiny, shifted, DEGREE)
    return {
        "cubic": float(np.abs(rotation(X, fine, DEGREE) @ (np.log(X) ** 3 - 2 * np.log(X)) - cubic).max()),
        "same": rotation(X, X.copy(), DEGREE) is None,
        "tiny": float(np.abs(matrix @ np.log(tiny) - np.log(shifted)).max()),
    }


def main() -> None:
    for theory in (THEORY, theory_of({**INFO, "FlavorScheme": "fixed"})):
        warm(theory, recipes(make_cards(theory, START, [END], X)))
    print(json.dumps({"step": small_step(), "placed": placed(), "rotations": rotations()}))


if __name__ == "__main__":
    main()
