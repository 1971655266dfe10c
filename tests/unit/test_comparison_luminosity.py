"""Parton luminosities against loops and against functions that are integrated by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress_mpi.methods.comparison.luminosity import (
    CHANNELS,
    luminosities,
    luminosity_nodes,
    mass_nodes,
)

S = 13000.0
STEP = 0.1


def of_gluon(values: np.ndarray, mass: float, step: float) -> float:
    return float(luminosities(values[None, None], [21], mass, step)[0, 0])


def test_logarithms_integrate_to_a_cube() -> None:
    """For x f = ln(1/x) the integral is ln(1/tau)^3 / 6."""
    mass = mass_nodes(100.0, 100.5, S, 0.01, 1)[0]
    x = luminosity_nodes(mass, S, 0.01)
    length = 2 * math.log(S / mass)
    assert of_gluon(-np.log(x), mass, 0.01) == pytest.approx(length**3 / 6 / mass**2, rel=1e-5)


@given(st.floats(-0.4, 0.6), st.integers(2, 6))
def test_powers_integrate_to_a_logarithm(a: float, k: int) -> None:
    """x^a at both ends gives tau^a ln(1/tau); the rule is exact on a constant integrand."""
    mass = S * math.exp(-k * STEP)
    x = luminosity_nodes(mass, S, STEP)
    interior = of_gluon(x**a, mass, STEP)
    assert interior == pytest.approx(x[0] ** a * 2 * k * STEP / mass**2, rel=1e-9)


def test_a_realistic_gluon_has_converged() -> None:
    """Halving the step of a report changes nothing that a plot could show."""

    def gluon(x: np.ndarray) -> np.ndarray:
        return x**-0.25 * (1 - x) ** 4

    for mass in mass_nodes(20.0, 5000.0, S, STEP, 6):
        coarse, fine = (
            of_gluon(gluon(luminosity_nodes(mass, S, step)), mass, step) for step in (STEP, STEP / 8)
        )
        assert coarse == pytest.approx(fine, rel=2e-4)


def test_channels_against_loops() -> None:
    rng = np.random.default_rng(0)
    pids = [-2, -1, 21, 1, 2, 22]
    mass = mass_nodes(500.0, 600.0, S, STEP, 1)[0]
    x = luminosity_nodes(mass, S, STEP)
    values = rng.normal(size=(3, len(pids), len(x)))
    found = luminosities(values, pids, mass, STEP)
    quarks = [-2, -1, 1, 2]

    def integral(r: int, one: int, two: int) -> float:
        f, g = values[r, pids.index(one)], values[r, pids.index(two)]
        terms = [f[k] * g[len(x) - 1 - k] for k in range(len(x))]
        return STEP * (sum(terms) - (terms[0] + terms[-1]) / 2) / mass**2

    for r in range(3):
        expected = {
            "gg": integral(r, 21, 21),
            "gq": sum(integral(r, q, 21) + integral(r, 21, q) for q in quarks),
            "qqbar": sum(integral(r, q, -q) for q in quarks),
            "qq": sum(integral(r, p, q) for p in quarks for q in quarks),
        }
        np.testing.assert_allclose(found[r], [expected[c] for c in CHANNELS], rtol=1e-10)


def test_missing_flavours_count_as_zero() -> None:
    mass = S * math.exp(-2 * STEP)
    values = np.ones((2, 1, len(luminosity_nodes(mass, S, STEP))))
    only_up = dict(zip(CHANNELS, luminosities(values, [2], mass, STEP)[0], strict=True))
    assert only_up["gg"] == only_up["gq"] == only_up["qqbar"] == 0
    assert only_up["qq"] > 0
    only_gluon = dict(zip(CHANNELS, luminosities(values, [21], mass, STEP)[0], strict=True))
    assert only_gluon["gg"] > 0
    assert only_gluon["qq"] == 0


@given(st.floats(5, 500), st.floats(1.05, 50), st.integers(1, 30))
def test_masses_close_the_grid(low: float, ratio: float, count: int) -> None:
    high = min(low * ratio, 0.8 * S)
    masses = mass_nodes(low, high, S, STEP, count)
    assert len(masses) <= count
    assert np.all(np.diff(masses) > 0)
    for mass in masses:
        assert low * (1 - 1e-9) <= mass <= high * (1 + 1e-9)
        x = luminosity_nodes(mass, S, STEP)
        assert x[-1] == 1.0
        assert x[0] == pytest.approx((mass / S) ** 2)
        np.testing.assert_allclose(x * x[::-1], x[0], rtol=1e-9)


def test_no_mass_fits() -> None:
    assert mass_nodes(100.0, 100.01, S, STEP, 5).size == 0


def test_a_mass_off_the_grid_is_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        luminosity_nodes(100.0, S, STEP)
