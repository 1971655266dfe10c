"""Laws of a polish, whatever its settings."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from compress_mpi.methods.enhancement.linear import combine
from compress_mpi.methods.polish.settings import PolishSettings
from polish_tools import PolishCase, polish_case

case = cache(polish_case)
some = settings(max_examples=12)
radii = st.floats(0.0, 2.0)


def quick(**changes) -> PolishSettings:
    return replace(PolishSettings(steps=8), **changes)


@some
@given(radii, st.floats(0.01, 5.0), st.integers(0, 3))
def test_no_replica_moves_beyond_the_radius(radius, rate, number):
    found = case().candidate(quick(radius=radius, learning_rate=rate), number)
    assert np.abs(found.displacement).max() <= radius
    assert ((found.kept >= 0) & (found.kept <= 1)).all()


@some
@given(st.integers(0, 5), st.floats(0.01, 5.0))
def test_radius_zero_is_the_start(number, rate):
    found = case().candidate(quick(radius=0.0, learning_rate=rate), number)
    assert not found.displacement.any()
    assert found.erf == found.start_erf
    assert found.refused is not None


@some
@given(radii, st.integers(0, 3))
def test_weights_sum_to_one(radius, number):
    one: PolishCase = case()
    found = one.candidate(quick(radius=radius), number)
    change = found.displacement @ one.basis.weights
    assert np.abs(change.sum(axis=1)).max() < 1e-13
    parents = np.eye(len(one.prior))[: len(change)]
    by_weights = combine(parents + change, one.prior)
    directly = one.start + np.tensordot(found.displacement, one.directions, axes=1)
    np.testing.assert_allclose(by_weights, directly, rtol=1e-10, atol=1e-10)


@some
@given(st.permutations(range(8)), radii)
def test_the_order_of_replicas_does_not_matter(order, radius):
    order = np.array(order)
    plain = case().candidate(quick(radius=radius))
    turned = case().candidate(quick(radius=radius), start=case().start[order])
    np.testing.assert_allclose(turned.displacement, plain.displacement[order], atol=1e-6)
    assert abs(turned.erf - plain.erf) <= 1e-6 * plain.erf


@some
@given(radii, st.integers(0, 3))
def test_never_taken_unless_better(radius, number):
    found = case().candidate(quick(radius=radius), number)
    assert (found.refused is not None) or found.erf < found.start_erf
