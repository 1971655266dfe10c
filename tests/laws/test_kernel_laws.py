"""The compiled kernel against the reference, and laws that any error function obeys."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress_mpi.methods.selection import estimators as est
from compress_mpi.methods.selection import kernel
from compress_mpi.methods.selection.error_function import build_reference, distances
from compress_mpi.methods.selection.estimators import KOLMOGOROV_SMIRNOV
from compress_mpi.methods.selection.problem import BLOCK, empty_state, point_columns, standardise
from compress_mpi.types import ESTIMATORS
from selection_tools import PUBLISHED, columns, made_up_prior, made_up_problem

PRIOR = made_up_prior()
REFERENCE, PROBLEM = made_up_problem(PRIOR, ESTIMATORS)
NOTHING = np.zeros(4, dtype=np.int64)


def loaded(members, problem=PROBLEM):
    state = empty_state(problem, len(members))
    kernel.load(problem, state, np.asarray(members, dtype=np.int64))
    return state


def evaluated(state, problem=PROBLEM, reference=REFERENCE):
    out = np.empty(len(ESTIMATORS))
    kernel.propose(problem, state, NOTHING, NOTHING, 0, out)
    return out[columns(reference)]


def from_scratch(members, problem=PROBLEM, reference=REFERENCE):
    out = np.empty(len(ESTIMATORS))
    kernel.subset_distances(problem, np.asarray(members, dtype=np.int64), out)
    return out[columns(reference)]


def judged(members, reference=REFERENCE, prior=PRIOR):
    return distances(prior[members], reference, kernel.EDGE_TOLERANCE)


def close(found, expected):
    # a distance is a square: where it nearly vanishes its root carries the rounding
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-13)


def subsets(least=10, most=40):
    return st.integers(least, most).flatmap(
        lambda n: st.permutations(range(len(PRIOR))).map(lambda order: np.array(order[:n]))
    )


@given(subsets())
def test_kernel_is_the_reference(members):
    close(from_scratch(members), judged(members))
    close(evaluated(loaded(members)), judged(members))


@given(subsets(least=2, most=9))
def test_tiny_subsets_lose_digits_to_cancellation_but_no_more(members):
    """Two replicas close together and far from the mean of the prior are the worst case."""
    np.testing.assert_allclose(from_scratch(members), judged(members), rtol=1e-4, atol=1e-10)


@given(subsets(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_a_proposal_is_the_subset_it_stands_for(members, k, random):
    state = loaded(members)
    slots = np.array(random.sample(range(len(members)), 4))
    added = np.array(random.sample(sorted(set(range(len(PRIOR))) - set(members.tolist())), 4))
    out = np.empty(len(ESTIMATORS))
    before = evaluated(state)
    kernel.propose(PROBLEM, state, slots, added, k, out)
    swapped = members.copy()
    swapped[slots[:k]] = added[:k]
    close(out[columns(REFERENCE)], judged(swapped))
    assert np.array_equal(evaluated(state), before), "a proposal must not change the subset"
    kernel.commit(PROBLEM, state, slots, added, k)
    assert np.array_equal(state.members, swapped)
    close(evaluated(state), judged(swapped))


@given(subsets(), st.integers(0, 4), st.floats(0.0, 2.0), st.randoms(use_true_random=False))
def test_a_limit_changes_nothing_but_the_time(members, k, part, random):
    state, weights = loaded(members), np.linspace(0.1, 1.0, len(ESTIMATORS))
    slots = np.array(random.sample(range(len(members)), 4))
    added = np.array(random.sample(sorted(set(range(len(PRIOR))) - set(members.tolist())), 4))
    out = np.empty(len(ESTIMATORS))
    kernel.propose(PROBLEM, state, slots, added, k, out)
    expected = kernel.weighted(out, weights)
    total = kernel.erf_within(PROBLEM, state, weights, slots, added, k, np.inf)
    assert total == pytest.approx(expected, rel=1e-13)
    assert kernel.erf_within(PROBLEM, state, weights, slots, added, k, total) == total
    limit = part * total
    found = kernel.erf_within(PROBLEM, state, weights, slots, added, k, limit)
    assert found == (total if total <= limit else np.inf)


@given(subsets(), st.integers(0, 4), st.randoms(use_true_random=False))
def test_moments_and_the_rest_are_two_parts_of_the_reference(members, k, random):
    """What comes from moments alone is their share of the reference; the rest makes it the whole."""
    state, weights = loaded(members), np.linspace(0.1, 1.0, len(ESTIMATORS))
    slots = np.array(random.sample(range(len(members)), 4))
    added = np.array(random.sample(sorted(set(range(len(PRIOR))) - set(members.tolist())), 4))
    swapped = members.copy()
    swapped[slots[:k]] = added[:k]
    parts = judged(swapped) * weights[columns(REFERENCE)]
    cheap = [name in est.MOMENT_ORDER for name in REFERENCE.names]
    assert 0 < sum(cheap) < len(cheap)
    moments = kernel.moments_of(PROBLEM, state, weights, slots, added, k)
    assert moments == pytest.approx(parts[cheap].sum(), rel=1e-10)
    whole = kernel.others_within(PROBLEM, state, weights, k, moments, np.inf)
    assert whole == pytest.approx(parts.sum(), rel=1e-10)
    assert whole == kernel.erf_within(PROBLEM, state, weights, slots, added, k, np.inf)


@given(
    st.integers(1, 3),
    st.integers(2, 70),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 69)), max_size=5),
    st.sampled_from([ESTIMATORS, ("mean",), (KOLMOGOROV_SMIRNOV,)]),
)
@settings(max_examples=30)
def test_points_are_put_in_another_order_and_filled_up(n_flavour, n_x, dead, names):
    """Every point with a spread once, then zeros to the end of a block, at least one of them."""
    prior = np.random.default_rng(n_x).normal(size=(12, n_flavour, n_x))
    for flavour, x in dead:
        prior[:, min(flavour, n_flavour - 1), min(x, n_x - 1)] = 0.7
    reference = build_reference(prior, names, np.zeros(0, dtype=np.int64))
    found = point_columns(reference)
    kept = np.flatnonzero(np.ptp(prior, axis=0).reshape(-1))
    assert len(found) % BLOCK == 0
    assert len(kept) < len(found) <= len(kept) + BLOCK
    assert np.array_equal(np.sort(found[: len(kept)]), kept)
    assert (found[len(kept) :] == -1).all()
    z = standardise(prior, reference)
    flat = prior.reshape(12, -1)[:, found[: len(kept)]]
    np.testing.assert_allclose(
        z[:, : len(kept)], (flat - flat.mean(axis=0)) / flat.std(axis=0, ddof=1), atol=1e-9
    )
    assert not z[:, len(kept) :].any()


@given(st.permutations(range(3)), st.integers(10, 40))
@settings(max_examples=20)
def test_the_order_of_points_does_not_matter(order, n):
    prior = PRIOR[:, order]
    reference, problem = made_up_problem(prior, ESTIMATORS)
    close(from_scratch(np.arange(n), problem, reference), from_scratch(np.arange(n)))


@given(subsets(), st.randoms(use_true_random=False))
def test_adding_and_removing_a_replica_returns_the_same_state(members, random):
    state = loaded(members)
    slot = np.array([random.randrange(len(members))])
    outsider = np.array([random.choice(sorted(set(range(len(PRIOR))) - set(members.tolist())))])
    original = members[slot].copy()
    kernel.commit(PROBLEM, state, slot, outsider, 1)
    kernel.commit(PROBLEM, state, slot, original, 1)
    fresh = loaded(members)
    assert np.array_equal(state.members, fresh.members)
    assert np.array_equal(state.values, fresh.values)
    np.testing.assert_allclose(state.sums, fresh.sums, rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(state.products, fresh.products, rtol=1e-12, atol=1e-9)


@given(subsets(), st.randoms(use_true_random=False))
def test_the_order_of_replicas_does_not_matter(members, random):
    shuffled = members.tolist()
    random.shuffle(shuffled)
    close(from_scratch(members), from_scratch(shuffled))
    close(judged(members), judged(np.array(shuffled)))


@given(st.floats(1e-3, 1e3), st.floats(0.1, 10.0))
@settings(max_examples=20)
def test_common_units_of_a_point_do_not_matter(scale, other):
    """Distances are relative: rescaling a flavour changes nothing."""
    prior = PRIOR * np.array([scale, other, 1.0])[:, None]
    reference, problem = made_up_problem(prior, PUBLISHED)
    members = np.arange(12)
    np.testing.assert_allclose(
        from_scratch(members, problem, reference), from_scratch(members)[[0, 1, 2, 3, 6, 7]], rtol=1e-8
    )


def test_the_whole_prior_has_no_distance():
    everything = np.arange(len(PRIOR))
    assert judged(everything) == pytest.approx(np.zeros(len(ESTIMATORS)), abs=1e-20)
    assert from_scratch(everything) == pytest.approx(np.zeros(len(ESTIMATORS)), abs=1e-20)


@pytest.mark.parametrize("names", [PUBLISHED, ESTIMATORS, ("mean",), ("correlation",), (KOLMOGOROV_SMIRNOV,)])
def test_no_drift_over_ten_thousand_swaps(names):
    """Relative difference of the total below 1e-10 at any step, with replicas 10 s away going in and out."""
    prior = made_up_prior(n_rep=200, seed=5)
    prior[0] += 10 * prior.std(axis=0)
    reference, problem = made_up_problem(prior, names)
    rng = np.random.default_rng(0)
    state = loaded(rng.permutation(200)[:50], problem)
    for step in range(10_000):
        outside = np.setdiff1d(np.arange(200), state.members)
        k = 1 + step % 4
        kernel.commit(problem, state, rng.permutation(50)[:4], rng.permutation(outside)[:4], k)
        if step % 250 == 249:
            expected = judged(state.members, reference, prior)
            found = evaluated(state, problem, reference)
            assert found.sum() == pytest.approx(expected.sum(), rel=1e-10)
            np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_constant_points_and_dead_flavours_do_not_enter():
    prior = made_up_prior()
    prior[:, 0] = 0.0
    prior[:, 1, 2] = 0.7
    reference, problem = made_up_problem(prior, ESTIMATORS)
    assert np.count_nonzero(np.ptp(problem.z, axis=0)) == 19
    members = np.arange(0, 60, 4)
    close(from_scratch(members, problem, reference), judged(members, reference, prior))


def test_a_subset_without_spread_at_a_point():
    prior = made_up_prior()
    prior[:5, 1, 3] = prior[0, 1, 3]
    reference, problem = made_up_problem(prior, PUBLISHED)
    members = np.arange(5)
    found = from_scratch(members, problem, reference)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, judged(members, reference, prior), rtol=1e-8)


def test_ties_on_edges_are_counted_alike():
    """Values on a coarse grid often equal the mean of a subset; rounding must not decide."""
    prior = np.round(made_up_prior(n_rep=80, seed=2) * 4) / 4
    reference, problem = made_up_problem(prior, (KOLMOGOROV_SMIRNOV,))
    rng = np.random.default_rng(3)
    state = loaded(rng.permutation(80)[:16], problem)
    for _ in range(300):
        outside = np.setdiff1d(np.arange(80), state.members)
        kernel.commit(problem, state, rng.permutation(16)[:2], rng.permutation(outside)[:2], 2)
        close(evaluated(state, problem, reference), judged(state.members, reference, prior))
