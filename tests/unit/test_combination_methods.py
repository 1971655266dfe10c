"""Replicas from Hessian sets by the published formulas, and the common grid of several sets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress_mpi.methods.combination.common_grid import common_q, common_x
from compress_mpi.methods.combination.hessian import (
    ASYMMETRIC,
    ONE_SIGMA,
    SYMMETRIC,
    displacements,
    eigenvectors,
    moments,
    sigma_scale,
)


def published(values: list[float], randoms: list[float], kind: str, scale: float) -> float:
    """Eq. 6.4 of Watt and Thorne for one point, term by term, with LHAPDF's order of members."""
    total = values[0]
    for j, r in enumerate(randoms, 1):
        if kind == SYMMETRIC:
            total += r * (values[j] - values[0]) * scale
        elif r < 0:
            total -= r * (values[2 * j] - values[0]) * scale
        else:
            total += r * (values[2 * j - 1] - values[0]) * scale
    return total


@pytest.mark.parametrize("kind", [ASYMMETRIC, SYMMETRIC])
def test_replicas_follow_the_published_formula(kind: str) -> None:
    rng = np.random.default_rng(3)
    n_eigen, scale = 5, 0.6
    members = rng.standard_normal((1 + n_eigen * (2 if kind == ASYMMETRIC else 1), 4))
    normals = rng.standard_normal((7, n_eigen))
    found = displacements(members, kind, normals, scale)
    expected = [
        [published(members[:, point].tolist(), r.tolist(), kind, scale) for point in range(4)]
        for r in normals
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_replica_does_not_depend_on_its_company() -> None:
    rng = np.random.default_rng(4)
    members, normals = rng.standard_normal((9, 30)), rng.standard_normal((6, 4))
    together = displacements(members, ASYMMETRIC, normals, 1.0)
    alone = [displacements(members, ASYMMETRIC, normals[k : k + 1], 1.0)[0] for k in range(6)]
    assert np.array_equal(together, alone)


def test_a_symmetric_pair_is_a_symmetric_set() -> None:
    rng = np.random.default_rng(5)
    central, steps, normals = (
        rng.standard_normal(8),
        rng.standard_normal((3, 8)),
        rng.standard_normal((10, 3)),
    )
    pairs = np.array([central, *(central + sign * step for step in steps for sign in (1, -1))])
    single = np.array([central, *(central + step for step in steps)])
    np.testing.assert_allclose(
        displacements(pairs, ASYMMETRIC, normals, 1.1),
        displacements(single, SYMMETRIC, normals, 1.1),
        atol=1e-13,
    )


@pytest.mark.parametrize(
    ("level", "factor"), [(68.0, 1.00558), (90.0, 0.607957), (95.45, 0.5), (ONE_SIGMA, 1.0)]
)
def test_confidence_levels_become_one_sigma(level: float, factor: float) -> None:
    assert sigma_scale(level) == pytest.approx(factor, rel=1e-5 if level != 95.45 else 1e-3)
    # the inverse by its definition: the probability inside 1/factor standard deviations
    assert 100 * math.erf(1 / sigma_scale(level) / math.sqrt(2)) == pytest.approx(level, rel=1e-12)


@pytest.mark.parametrize("level", [0.0, 100.0, -5.0, math.nan])
def test_senseless_levels_are_refused(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        sigma_scale(level)


def test_members_that_come_in_no_pairs_are_refused() -> None:
    assert (eigenvectors(7, ASYMMETRIC), eigenvectors(7, SYMMETRIC), eigenvectors(4, SYMMETRIC)) == (3, 6, 3)
    with pytest.raises(ValueError, match="an even number of error members beside the central one, got 3"):
        eigenvectors(4, ASYMMETRIC)
    with pytest.raises(ValueError, match="got 0"):
        eigenvectors(1, SYMMETRIC)


@pytest.mark.parametrize("kind", [ASYMMETRIC, SYMMETRIC])
def test_moments_are_those_of_many_replicas(kind: str) -> None:
    """The asymmetric formula moves the mean away from the central member, by as much as is written."""
    rng = np.random.default_rng(6)
    members = 1 + 0.1 * rng.standard_normal((9, 6))
    n = 20_000
    normals = rng.standard_normal((n, 4 if kind == ASYMMETRIC else 8))
    found = displacements(members, kind, normals, 0.8)
    mean, stdev = moments(members, kind, 0.8)
    assert np.all(np.abs(found.mean(axis=0) - mean) < 4.5 * stdev / math.sqrt(n))
    # the kurtosis of a sum of half-normal laws stays below 6
    assert np.all(np.abs(found.std(axis=0, ddof=1) / stdev - 1) < 4.5 * math.sqrt(5 / (4 * n)))
    shift = np.abs(mean - members[0]) / (stdev / math.sqrt(n))
    assert (shift.max() > 10) == (kind == ASYMMETRIC)


# Grids


def test_one_grid_is_its_own_common_grid() -> None:
    x, q = np.geomspace(1e-5, 1, 20), [np.geomspace(1, 2, 5), np.geomspace(2, 100, 9)]
    assert np.array_equal(common_x([x, x.copy()]), x)
    assert all(map(np.array_equal, common_q([q, [g.copy() for g in q]]), q))


def test_thresholds_of_every_set_end_subgrids() -> None:
    one = [np.geomspace(1, 1.5, 4), np.geomspace(1.5, 5, 6), np.geomspace(5, 1e4, 12)]
    two = [np.geomspace(1.2, 1.4, 4), np.geomspace(1.4, 1e5, 15)]
    found = common_q([one, two])
    assert [(float(g[0]), float(g[-1])) for g in found] == [(1.2, 1.4), (1.4, 1.5), (1.5, 5.0), (5.0, 1e4)]
    assert all(len(g) >= 4 for g in found)


def test_a_threshold_rounded_differently_is_one_threshold() -> None:
    one = [np.geomspace(1, 1.51, 5), np.geomspace(1.51, 100, 9)]
    two = [np.geomspace(1, 1.5100004, 5), np.geomspace(1.5100004, 100, 9)]
    assert len(common_q([one, two])) == 2


def test_sets_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="in x do not overlap"):
        common_x([np.geomspace(1e-6, 1e-3, 5), np.geomspace(1e-2, 1, 5)])
    with pytest.raises(ValueError, match="in Q do not overlap"):
        common_q([[np.geomspace(1, 2, 5)], [np.geomspace(3, 9, 5)]])


KNOTS = st.lists(st.floats(1e-6, 1.0), min_size=4, max_size=30, unique=True).map(
    lambda x: np.array(sorted(x))
)


@given(sets=st.lists(KNOTS, min_size=1, max_size=4))
def test_common_knots_lie_inside_every_set(sets: list[np.ndarray]) -> None:
    low, high = max(x[0] for x in sets), min(x[-1] for x in sets)
    if low >= high:
        return
    found = common_x(sets)
    assert (found[0], found[-1]) == (low, high)
    assert len(found) >= 4 or np.nextafter(low, high) == high
    assert np.all(np.diff(found) > 0)
