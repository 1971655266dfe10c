"""Replica exchange: chains obey detailed balance, temperatures are exchanged by one rule on all islands."""

import itertools

import numpy as np

from compress_mpi.methods.selection import estimators as est
from compress_mpi.methods.selection import kernel, tempering
from compress_mpi.methods.selection.error_function import distances
from compress_mpi.methods.selection.island import Report
from compress_mpi.methods.selection.problem import empty_state
from compress_mpi.methods.selection.search import IslandSearch
from compress_mpi.parallel.serial import SerialTeam
from selection_tools import columns, made_up_prior, made_up_problem, made_up_weights, settings

POOL, N, NAMES = 7, 3, ("mean", "stdev", "kolmogorov_smirnov", "correlation")
PRIOR = made_up_prior(n_rep=POOL, n_flavour=1, n_x=6, seed=4)
REFERENCE, PROBLEM = made_up_problem(PRIOR, NAMES)
WEIGHTS = made_up_weights(PROBLEM, REFERENCE, N)
SUBSETS = list(itertools.combinations(range(POOL), N))


def parts(subset):
    """What moments contribute to the ERF of a subset, and the rest, by the reference."""
    terms = distances(PRIOR[list(subset)], REFERENCE) * WEIGHTS[columns(REFERENCE)]
    cheap = [name in est.MOMENT_ORDER for name in REFERENCE.names]
    return terms[cheap].sum(), terms[np.logical_not(cheap)].sum()


PARTS = np.array([parts(subset) for subset in SUBSETS])
ENERGY = PARTS.sum(axis=1)
TEMPERATURE = float(np.std(ENERGY))


class Chain:
    """The compiled chain at one temperature, step by step."""

    def __init__(self, subset):
        self.state = empty_state(PROBLEM, N)
        kernel.load(PROBLEM, self.state, np.array(subset))
        self.outside = np.setdiff1d(np.arange(POOL), subset)
        nothing = np.zeros(4, dtype=np.int64)
        moments = kernel.moments_of(PROBLEM, self.state, WEIGHTS, nothing, nothing, 0)
        erf = kernel.others_within(PROBLEM, self.state, WEIGHTS, 0, moments, np.inf)
        self.erfs, self.best = np.array([moments, erf, erf]), np.array(subset)

    def steps(self, uniform):
        return tempering._chain(
            PROBLEM,
            self.state,
            WEIGHTS,
            self.outside,
            TEMPERATURE,
            np.atleast_2d(uniform),
            self.erfs,
            self.best,
            np.empty(1),
        )

    @property
    def subset(self):
        return tuple(sorted(self.state.members.tolist()))


def accepted(subset, slot, place, first, second):
    """Whether a certain swap is accepted with certain numbers from [0, 1) for its two parts."""
    chain = Chain(subset)
    chain.steps([(slot + 0.5) / N, (place + 0.5) / (POOL - N), first, second])
    return chain.subset != subset


def test_steps_obey_detailed_balance_exactly():
    """Every step between two of all 35 subsets is accepted with the two probabilities of the rule."""
    flow = np.zeros((len(SUBSETS), len(SUBSETS)))
    for i, subset in enumerate(SUBSETS):
        outside = np.setdiff1d(np.arange(POOL), subset).tolist()
        for slot, place in itertools.product(range(N), range(POOL - N)):
            other = tuple(sorted({*subset, outside[place]} - {subset[slot]}))
            j = SUBSETS.index(other)
            first, second = np.minimum(1.0, np.exp(-(PARTS[j] - PARTS[i]) / TEMPERATURE))
            near = 1e-6
            assert accepted(subset, slot, place, first * (1 - near), second * (1 - near))
            for a, b, limit in ((first * (1 + near), 1e-9, first), (1e-9, second * (1 + near), second)):
                assert limit == 1.0 or not accepted(subset, slot, place, a, b)
            flow[i, j] = first * second / (N * (POOL - N)) * np.exp(-ENERGY[i] / TEMPERATURE)
    assert np.count_nonzero(flow) == len(SUBSETS) * N * (POOL - N)
    np.testing.assert_allclose(flow, flow.T, rtol=1e-12)


def test_a_long_chain_meets_subsets_as_often_as_it_should():
    rng, chain = np.random.default_rng(0), Chain(SUBSETS[0])
    counts = dict.fromkeys(SUBSETS, 0)
    n_step = 30_000
    for uniform in 1.0 - rng.random((n_step, 2, 4)):
        chain.steps(uniform)
        counts[chain.subset] += 1
    expected = np.exp(-(ENERGY - ENERGY.min()) / TEMPERATURE)
    expected /= expected.sum()
    found = np.array([counts[subset] for subset in SUBSETS]) / n_step
    assert np.abs(found - expected).max() < 0.012
    assert found[ENERGY.argmin()] > 2 * found[ENERGY.argmax()], "the temperature is one that matters"


def begun(islands=5, **changes):
    reference, problem = made_up_problem(made_up_prior(n_rep=40))
    weights = made_up_weights(problem, reference, 6)
    wanted = settings("tempering", n_select=6, islands=islands, **changes)
    return IslandSearch(wanted, problem, weights, SerialTeam())


def test_temperatures_go_round_and_every_rung_is_taken_once():
    search = begun(max_iteration=2000)
    seen = []
    while search.why_done is None:
        search.advance()
        rungs = [int(island.state()["rung"]) for island in search.islands.values()]
        assert sorted(rungs) == list(range(5)), "an exchange is a permutation, agreed upon by all"
        lowest = {float(island.state()["temperature"]) for island in search.islands.values()}
        assert len(lowest) == 1, "all know the same ladder"
        temperatures = [island.temperature(search.progress) for island in search.islands.values()]
        assert np.argsort(temperatures).tolist() == np.argsort(rungs).tolist()
        seen.append(tuple(rungs))
    assert len(set(seen)) > 5


def test_the_ladder_cools_and_widens_upwards():
    search = begun()
    island = search.islands[0]
    falling = [island.temperature(progress) for progress in (0.0, 0.3, 1.0)]
    assert falling[0] > falling[1] > falling[2] > 0
    for rungs in (1, 2, 16, 1000):
        steps = [tempering.ladder(rung, rungs) for rung in range(rungs)]
        assert steps[0] == 1.0
        assert steps == sorted(set(steps))


def test_neighbours_always_exchange_where_the_colder_has_the_higher_erf():
    """And never where it is much lower; pairs alternate."""
    search = begun(islands=4)

    def after(epoch, erfs):
        reports = {n: Report("tempering", erf, erf, 0, (float(n), 0.3)) for n, erf in enumerate(erfs)}
        for number, island in search.islands.items():
            island._rung = number
            island.confer(epoch, reports)
        return [island._rung for island in search.islands.values()]

    late = 1001
    assert after(late, [4.0, 3.0, 2.0, 1.0]) == [0, 2, 1, 3]
    assert after(late + 1, [4.0, 3.0, 2.0, 1.0]) == [1, 0, 3, 2]
    assert after(late, [1.0, 20.0, 300.0, 4000.0]) == [0, 1, 2, 3]


def test_now_and_then_the_worst_chain_starts_again_from_the_best():
    """Only it, only then, and only where the subset of the best has come along."""
    search = begun(islands=4)
    subsets = {n: np.arange(6) + n for n in range(4)}

    def members_after(epoch, due):
        reports = {
            n: Report("tempering", erf, erf, 0, (float(n), 0.3), index=subsets[n] if due else None)
            for n, erf in enumerate([3.0, 1.0, 4.0, 2.0])
        }
        for number, island in search.islands.items():
            island._rung, island._members = number, subsets[number]
            island.confer(epoch, reports)
        return [island._members.tolist() for island in search.islands.values()]

    unchanged = [subset.tolist() for subset in subsets.values()]
    found = [members_after(epoch, due=True) for epoch in range(1000, 1100)]
    changed = [members for members in found if members != unchanged]
    assert 0 < len(changed) < len(found)
    assert all(members == [unchanged[n] for n in (0, 1, 1, 3)] for members in changed)
    assert all(members_after(epoch, due=False) == unchanged for epoch in range(1000, 1100))
