r"""A made-up but plausible proton, drawn as Monte Carlo replicas.

At every scale a parton density is :math:`x f = A\,x^{a}(1-x)^{b}(1 + c\sqrt{x} + d\,x)`, its
parameters drifting with :math:`t = \ln[\ln(Q/\Lambda)/\ln(Q_0/\Lambda)]`, the variable in which
leading-order evolution is linear. Valence numbers fix the normalisation of valence
quarks, momentum that of the gluon. It solves no evolution equation and no data
entered: it is there to be compressed.

Replicas scatter as fits do: a few per cent where data are plenty, tens of per cent
towards both ends of x; flavours are correlated; the spread is skewed (it acts on the
logarithm) and heavy-tailed (Student's t).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from compress_mpi.types import FloatArray

__all__ = [
    "COARSE",
    "FULL",
    "PIDS",
    "Q_GRIDS",
    "X_KNOTS",
    "DemoGrid",
    "draw",
    "eigenvectors",
    "replicas",
]

PIDS = (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 21)
_CHARM, _BOTTOM = 1.51, 4.92
Q_GRIDS = (
    (1.0, 1.15, 1.32, _CHARM),
    (_CHARM, 1.65, 2.2, 3.3, _BOTTOM),
    (_BOTTOM, 10.0, 40.0, 300.0, 5.0e3, 1.0e5),
)
"""Q knots in GeV; a subgrid ends at each threshold and the next begins there."""


def _x_knots() -> FloatArray:
    low = [10 ** (-6 + 5 * i / 28) for i in range(28)]
    return np.array([float(f"{x:.6E}") for x in low] + [0.1 + 0.9 * i / 21 for i in range(21)] + [1.0])


X_KNOTS = _x_knots()


@dataclass(frozen=True, eq=False)
class DemoGrid:
    """Knots of a demo set.

    Attributes
    ----------
    x : float64 (nx,)
    q : tuple of tuples of float
        GeV; a subgrid ends at each threshold and the next begins there.
    """

    x: FloatArray
    q: tuple[tuple[float, ...], ...]

    @property
    def charm(self) -> float:
        """Mass of the charm quark in GeV: where its threshold is."""
        return self.q[1][0]

    @property
    def bottom(self) -> float:
        """Mass of the bottom quark in GeV."""
        return self.q[2][0]


FULL = DemoGrid(X_KNOTS, Q_GRIDS)
COARSE = DemoGrid(
    np.array([float(f"{10 ** (-5 + i / 5):.6E}") for i in range(20)] + [i / 20 for i in range(2, 21)]),
    ((1.1, 1.2, 1.3, 1.4), (1.4, 2.0, 3.0, 4.75), (4.75, 12.0, 60.0, 500.0, 2.0e4)),
)
"""As another group would have it: fewer knots, a smaller range, other quark masses."""

# Momentum integrals; the knots proper are too coarse for them.
_X_SUM = np.concatenate([10 ** np.linspace(-7, -1, 121), np.linspace(0.1, 1, 61)[1:-1], [1.0]])


@dataclass(frozen=True)
class _Shape:
    """Central parameters at Q0 and their drift with t; ``size`` is A where no sum rule sets it."""

    a: float
    b: float
    c: float
    d: float
    size: float = 1.0
    drift_a: float = 0.0
    drift_b: float = 0.7
    drift_size: float = 0.0
    spread: tuple[float, float, float] = (0.015, 0.25, 0.06)  # of a, b and the curve in between


_SHAPES = {
    "uv": _Shape(0.68, 3.2, 1.5, 4.0, drift_a=-0.06, spread=(0.012, 0.08, 0.05)),
    "dv": _Shape(0.72, 4.3, 1.0, 3.0, drift_a=-0.06, spread=(0.02, 0.2, 0.08)),
    "ubar": _Shape(-0.12, 7.5, 0.5, 1.0, 0.110, -0.10, 0.5, 0.02, (0.012, 0.25, 0.1)),
    "dbar": _Shape(-0.12, 6.5, 0.7, 3.0, 0.115, -0.10, 0.5, 0.02, (0.012, 0.25, 0.1)),
    "s": _Shape(-0.12, 7.0, 0.2, 0.5, 0.070, -0.11, 0.4, 0.08, (0.02, 0.35, 0.2)),
    "sbar": _Shape(-0.12, 7.4, 0.2, 0.4, 0.070, -0.11, 0.4, 0.08, (0.02, 0.35, 0.2)),
    "g": _Shape(-0.10, 5.2, 0.0, 1.5, drift_a=-0.16, spread=(0.02, 0.25, 0.1)),
}
_NAMES = tuple(_SHAPES)
_HEAVY = ("c", "b")
_ROWS = len(_NAMES) + len(_HEAVY)
_BUMPS = np.linspace(-11.0, -0.4, 7)
"""Centres in ln x of smooth bumps that no five-parameter shape has."""
_PER_FLAVOUR = 4 + len(_BUMPS)
_DEGREES = 6.0
_SHARED = 4
_VARIED = 2


def draw(seed: int, member: int) -> FloatArray:
    """Standardised parameters of one replica, the same however many are drawn.

    Parameters
    ----------
    seed : int
    member : int
        Replica number.

    Returns
    -------
    float64 (n_flavour, n_parameter)
        Of zero mean, width about one, correlated between flavours, with Student tails.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(member,))))
    own = rng.standard_normal((_ROWS, _PER_FLAVOUR))
    shared = rng.standard_normal((_SHARED, _PER_FLAVOUR))
    chi2 = np.add.reduce(rng.standard_normal((2, int(_DEGREES))) ** 2, axis=1)
    i = np.arange(_ROWS)
    mixed = _mixed(own, shared)
    # A narrow fit and a wide one: the tails differ between valence (first two) and the rest.
    tail = np.sqrt((_DEGREES - 2) / chi2)[np.where(i < 2, 0, 1)][:, None]
    return np.clip(mixed * tail, -5.0, 5.0)


def _mixed(own: FloatArray, shared: FloatArray) -> FloatArray:
    """Parameters from own and common draws: neighbours share two of these with alternating sign."""
    i = np.arange(_ROWS)
    sign = np.where(i % 3 == 2, -1.0, 1.0)[:, None]
    return 0.75 * own + 0.5 * shared[i % _SHARED] + 0.43 * sign * shared[(i + 1) % _SHARED]


def eigenvectors() -> FloatArray:
    """Directions in the space of the parameters whose squares add up to the covariance of `draw`.

    Only the powers of x and of 1 - x are varied.

    Returns
    -------
    float64 (n_eigenvector, n_flavour, n_parameter)
        One standard deviation each.
    """
    found = []
    for parameter in range(_VARIED):
        for source in range(_ROWS + _SHARED):
            own, shared = np.zeros((_ROWS, _PER_FLAVOUR)), np.zeros((_SHARED, _PER_FLAVOUR))
            if source < _ROWS:
                own[source, parameter] = 1.0
            else:
                shared[source - _ROWS, parameter] = 1.0
            found.append(_mixed(own, shared))
    return np.stack(found)


def replicas(z: FloatArray, q: float, grid: DemoGrid = FULL) -> FloatArray:
    """Parton densities of several replicas on the x knots.

    Parameters
    ----------
    z : float64 (n_rep, n_flavour, n_parameter)
        From `draw`.
    q : float
        GeV.
    grid : DemoGrid
        x knots and quark masses.

    Returns
    -------
    float64 (n_rep, n_x, n_pid)
        x f(x, Q), in the order of `PIDS`; not negative.
    """
    t = math.log(math.log(q / 0.2) / math.log(1.65 / 0.2))
    shape = {name: _shape(name, z[:, i], t, grid.x) for i, name in enumerate(_NAMES)}
    summed = {name: _shape(name, z[:, i], t, _X_SUM) for i, name in enumerate(_NAMES)}
    for name, number in (("uv", 2.0), ("dv", 1.0)):
        size = (number / _integral(summed[name] / _X_SUM))[:, None]
        shape[name], summed[name] = shape[name] * size, summed[name] * size
    masses = zip(_HEAVY, (grid.charm, grid.bottom), strict=True)
    for i, (name, mass) in enumerate(masses, len(_NAMES)):
        for values, x in ((shape, grid.x), (summed, _X_SUM)):
            values[name] = values["g"] * _heavy(z[:, i], q / mass, x)
    _fix_gluon(shape, summed)
    return np.stack(_columns(shape), axis=-1)


def _shape(name: str, z: FloatArray, t: float, x: FloatArray) -> FloatArray:
    """x f without sum rules, for every replica on the nodes ``x``."""
    s = _SHAPES[name]
    size = s.size * math.exp(s.drift_size * t)
    central = size * x ** (s.a + s.drift_a * t) * (1 - x) ** (s.b + s.drift_b * t)
    # Fluctuations fade as evolution smooths them.
    deviation = _deviation(s, z, x) / (1 + 0.4 * max(t, 0.0))
    limited = deviation / np.sqrt(1 + (deviation / 1.5) ** 2)
    return central * (1 + s.c * np.sqrt(x) + s.d * x) * np.exp(limited)


def _deviation(s: _Shape, z: FloatArray, x: FloatArray) -> FloatArray:
    """Logarithm of replica over central value, float64 (n_rep, n_x)."""
    da, db, curve, size = (width * z[:, i, None] for i, width in enumerate((*s.spread, 0.02)))
    # Pivots keep the spread small in the middle of the x range.
    power = da * np.log(x / 0.05) + db * np.log1p(-np.minimum(x, 0.999) / 1.1)
    return power + curve * (np.sqrt(x) - 0.3) + size + _wiggle(z[:, 4:], x)


def _wiggle(z: FloatArray, x: FloatArray) -> FloatArray:
    """Smooth random function of ln x: two per cent in the middle, more towards the ends."""
    log_x = np.log(x)
    total = np.zeros((z.shape[0], x.size))
    for j, centre in enumerate(_BUMPS):
        width = 0.02 + 0.03 * ((centre + 4.0) / 4.0) ** 2
        total += width * z[:, j, None] * np.exp(-0.5 * ((log_x - centre) / 1.2) ** 2)
    return total


def _integral(values: FloatArray) -> FloatArray:
    """Trapezoids over the fine nodes, summed in a fixed order, float64 (n_rep,)."""
    steps = np.diff(_X_SUM)
    return np.add.reduce(0.5 * (values[:, 1:] + values[:, :-1]) * steps, axis=1)


def _heavy(z: FloatArray, scale: float, x: FloatArray) -> FloatArray:
    """Heavy quark over gluon: zero below threshold (``scale`` 1), logarithmic above, then levelling off."""
    log = 2 * math.log(max(scale, 1.0))
    return 0.035 * log / (1 + 0.12 * log) * (1 - x) ** 2.5 * np.exp(1.5 * _wiggle(z[:, 4:], x))


def _fix_gluon(shape: dict[str, FloatArray], summed: dict[str, FloatArray]) -> None:
    """Scale gluon and heavy quarks, which it makes, so that all momenta add up to one."""
    sea = summed["ubar"] + summed["dbar"]
    quarks = summed["uv"] + summed["dv"] + 2 * sea + summed["s"] + summed["sbar"]
    bound = summed["g"] + 2 * (summed["c"] + summed["b"])
    size = ((1 - _integral(quarks)) / _integral(bound))[:, None]
    for name in ("g", *_HEAVY):
        shape[name] = shape[name] * size


def _columns(shape: dict[str, FloatArray]) -> list[FloatArray]:
    down, up = shape["dv"] + shape["dbar"], shape["uv"] + shape["ubar"]
    light = [shape["sbar"], shape["ubar"], shape["dbar"], down, up, shape["s"]]
    return [shape["b"], shape["c"], *light, shape["c"], shape["b"], shape["g"]]
