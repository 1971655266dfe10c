"""Distances between distributions against plain loops, and the laws they obey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compress_mpi.methods.comparison.distributions import (
    frechet_distance,
    frechet_distances_to,
    ks_distance,
    over_random_subsets,
)

numbers = st.floats(-100, 100, allow_nan=False).map(lambda v: round(v, 3))


def sets(n_point: int, low: int = 2) -> st.SearchStrategy[np.ndarray]:
    return st.integers(low, 7).flatmap(lambda n: arrays(np.float64, (n, n_point), elements=numbers))


def ks_by_loop(a: np.ndarray, b: np.ndarray) -> float:
    return max(abs(sum(v <= t for v in a) / len(a) - sum(v <= t for v in b) / len(b)) for t in [*a, *b])


def frechet_by_roots(a: np.ndarray, b: np.ndarray) -> float:
    """The formula as printed, with symmetric matrix roots."""
    c1, c2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    w, v = np.linalg.eigh(c1)
    root = v @ np.diag(np.sqrt(np.maximum(w, 0))) @ v.T
    middle = np.linalg.eigvalsh(root @ c2 @ root)
    shift = a.mean(axis=0) - b.mean(axis=0)
    return float(shift @ shift + np.trace(c1 + c2) - 2 * np.sqrt(np.maximum(middle, 0)).sum())


def test_ks_against_loops() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 2, 3)), np.round(rng.normal(0.3, 2, size=(11, 2, 3)), 1)
    b[4] = a[4]  # ties
    expected = [[ks_by_loop(a[:, f, x], b[:, f, x]) for x in range(3)] for f in range(2)]
    np.testing.assert_allclose(ks_distance(a, b), expected, atol=1e-14)


@given(sets(2), sets(2))
def test_ks_laws(a: np.ndarray, b: np.ndarray) -> None:
    d = ks_distance(a, b)
    assert np.all((d >= 0) & (d <= 1))
    np.testing.assert_allclose(d, ks_distance(b, a), atol=1e-14)
    assert not ks_distance(a, np.repeat(a, 3, axis=0)[::-1]).any()
    np.testing.assert_allclose(ks_distance(2 * a + 1, 2 * b + 1), d, atol=1e-14)


def test_disjoint_sets_are_one_apart() -> None:
    assert ks_distance(np.arange(5.0), np.arange(10.0, 13.0)) == 1.0


def test_frechet_against_matrix_roots() -> None:
    rng = np.random.default_rng(1)
    mix = rng.normal(size=(6, 6))
    a, b = rng.normal(size=(200, 6)) @ mix, 0.2 + rng.normal(size=(40, 6)) @ mix.T
    assert frechet_distance(a, b) == pytest.approx(frechet_by_roots(a, b), rel=1e-10)


def test_frechet_with_fewer_replicas_than_points() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(9, 20)), rng.normal(size=(5, 20))
    assert frechet_distance(a, b) == pytest.approx(frechet_by_roots(a, b), rel=1e-6)


@given(sets(1), sets(1))
def test_frechet_of_one_point_is_known(a: np.ndarray, b: np.ndarray) -> None:
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(sets(3), sets(3))
def test_frechet_is_symmetric_and_not_negative(a: np.ndarray, b: np.ndarray) -> None:
    d = frechet_distance(a, b)
    assert d >= 0
    assert d == pytest.approx(frechet_distance(b, a), rel=1e-9, abs=1e-7)


@given(sets(3), arrays(np.float64, 3, elements=numbers))
def test_frechet_is_zero_for_equal_sets_only(a: np.ndarray, shift: np.ndarray) -> None:
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-8)
    assert frechet_distance(a, a + shift) == pytest.approx(shift @ shift, rel=1e-9, abs=1e-7)


def test_frechet_sees_the_spread() -> None:
    a = np.random.default_rng(3).normal(size=(50, 4))
    wider = a.mean(axis=0) + 3 * (a - a.mean(axis=0))
    assert frechet_distance(a, wider) == pytest.approx(4 * a.var(axis=0, ddof=1).sum(), rel=1e-12)


def test_frechet_of_every_flavour_at_once() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=(30, 3, 5)), rng.normal(size=(8, 3, 5))
    expected = [frechet_distance(a[:, f], b[:, f]) for f in range(3)]
    np.testing.assert_allclose(frechet_distances_to(a)(b), expected, rtol=1e-14)


def test_one_replica_has_no_covariance() -> None:
    with pytest.raises(ValueError, match="two replicas or more, got 1"):
        frechet_distance(np.zeros((1, 3)), np.zeros((4, 3)))


def test_random_subsets_are_distinct_and_repeatable() -> None:
    prior = np.arange(12.0)[:, None]

    def draw() -> np.ndarray:
        return over_random_subsets(prior, 5, 20, np.random.default_rng(5), lambda s: np.sort(s[:, 0]))

    found = draw()
    assert found.shape == (20, 5)
    assert all(len(set(row)) == 5 for row in found)
    assert len({tuple(row) for row in found}) > 10
    np.testing.assert_array_equal(found, draw())
