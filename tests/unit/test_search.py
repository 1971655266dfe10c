"""Minimisers and islands, without MPI; real ranks are in tests/mpi."""

from typing import get_args

import numpy as np
import pytest

from compress_mpi.io.settings import CompressConfig
from compress_mpi.methods.selection import genetic
from compress_mpi.methods.selection.cma_es import decode
from compress_mpi.methods.selection.error_function import distances
from compress_mpi.methods.selection.search import MINIMISERS, IslandSearch, idle_members
from compress_mpi.parallel.serial import SerialTeam
from selection_tools import columns, made_up_prior, made_up_problem, made_up_weights, settings

PRIOR = made_up_prior(n_rep=80)
REFERENCE, PROBLEM = made_up_problem(PRIOR)
WEIGHTS = made_up_weights(PROBLEM, REFERENCE, 8)


class Crew(SerialTeam):
    """Looks like several members that share the evaluations of an island."""

    size = 3

    def split(self, n_tasks):
        return range(n_tasks), self


def searched(minimizer="genetic", team=None, threads=1, **changes):
    search = IslandSearch(settings(minimizer, **changes), PROBLEM, WEIGHTS, team or SerialTeam(), threads)
    while not search.done:
        search.advance()
    return search


def same(a, b):
    assert a.best()[0] == b.best()[0]
    assert np.array_equal(a.best()[1], b.best()[1])
    assert np.array_equal(np.concatenate(a.history), np.concatenate(b.history))


def test_runcards_offer_exactly_the_minimisers_there_are():
    assert set(get_args(CompressConfig.model_fields["minimizer"].annotation)) == set(MINIMISERS)


@pytest.mark.parametrize("minimizer", MINIMISERS)
def test_a_search_finds_better_subsets_than_chance(minimizer):
    search = searched(minimizer)
    erf, rows = search.best()
    assert len(set(rows.tolist())) == 8
    assert np.array_equal(rows, np.sort(rows))
    judged = distances(PRIOR[rows], REFERENCE) @ WEIGHTS[columns(REFERENCE)]
    assert erf == pytest.approx(judged, rel=1e-9)
    rng = np.random.default_rng(0)
    random = [
        distances(PRIOR[rng.choice(80, 8, replace=False)], REFERENCE) @ WEIGHTS[columns(REFERENCE)]
        for _ in range(400)
    ]
    assert erf < min(random)


@pytest.mark.parametrize("minimizer", MINIMISERS)
def test_history_never_rises_and_ends_at_the_best(minimizer):
    search = searched(minimizer)
    history = np.concatenate(search.history)
    assert len(history) == 450
    assert (np.diff(history) <= 0).all()
    assert history[-1] == search.erf == pytest.approx(search.best()[0], rel=1e-12)


@pytest.mark.parametrize("minimizer", MINIMISERS)
def test_threads_and_crews_change_nothing(minimizer):
    alone = searched(minimizer)
    same(alone, searched(minimizer, threads=2))
    same(alone, searched(minimizer, team=Crew()))


@pytest.mark.parametrize("minimizer", MINIMISERS)
def test_seeds_and_islands_matter(minimizer):
    indices = {tuple(searched(minimizer, seed=seed).best()[1]) for seed in range(4)}
    assert len(indices) > 1


@pytest.mark.parametrize("minimizer", MINIMISERS)
@pytest.mark.parametrize("stop", [1, 2])
def test_a_restart_ends_like_the_uninterrupted_search(minimizer, stop):
    whole = searched(minimizer, max_iteration=1150)
    first = IslandSearch(settings(minimizer, max_iteration=1150), PROBLEM, WEIGHTS, SerialTeam())
    for _ in range(stop):
        first.advance()
    # what a file would hold
    state = {name: np.array(value) for name, value in first.state().items()}
    second = IslandSearch(settings(minimizer, max_iteration=1150), PROBLEM, WEIGHTS, Crew())
    second.restore(state, np.concatenate(first.history))
    assert second.iteration == first.iteration
    while not second.done:
        second.advance()
    same(whole, second)


def test_cma_restarts_when_it_has_converged_and_remembers_the_best():
    search = IslandSearch(settings("cma", max_iteration=3000, islands=1), PROBLEM, WEIGHTS, SerialTeam())
    island = search.islands[0]
    island._begin()
    island._strategy.opts["maxiter"] = 5
    best = []
    while island.generation == 0:
        search.advance()
        best.append(island.erf)
    assert len(island._values) < 50
    assert island.erf <= min(best)


def test_migration_spreads_the_best_subset():
    search = IslandSearch(settings(max_iteration=10**6, islands=4), PROBLEM, WEIGHTS, SerialTeam())
    search.advance()
    best = min(search.islands.values(), key=lambda island: island.erf)
    receiver = search.islands[(best.number + 1) % 4]
    worse, index = receiver.erf, best.index.copy()
    assert receiver.erf > best.erf
    search._migrate()
    assert receiver.erf == pytest.approx(best.erf, rel=1e-12)
    assert receiver.erf < worse
    assert np.array_equal(receiver.index, index)


def test_the_published_mutation_table():
    mutations = genetic.draw_mutations(np.random.default_rng(0), 20_000)
    shares = np.bincount(mutations.swaps.ravel(), minlength=5)[1:] / mutations.swaps.size
    assert shares == pytest.approx([0.3, 0.3, 0.1, 0.3], abs=0.01)


def test_choices_are_distinct_and_uniform():
    rng = np.random.default_rng(1)
    counts = np.zeros(6)
    for _ in range(3000):
        out = np.full(4, -1, dtype=np.int64)
        genetic._choose(rng.random(4), 4, 6, out)
        assert len(set(out.tolist())) == 4
        assert 0 <= out.min() <= out.max() < 6
        counts[out] += 1
    assert counts / 3000 == pytest.approx(np.full(6, 4 / 6), abs=0.04)


def test_a_subset_that_leaves_one_replica_out():
    """Fewer outsiders than a mutant may want."""
    search = searched(n_select=79, islands=1, max_iteration=50)
    assert len(set(search.best()[1].tolist())) == 79


def test_decoding_keys():
    assert decode(np.array([0.1, 3.0, -1.0, 2.0, 2.0]), 2).tolist() == [1, 3]


def test_idle_members_are_counted():
    search = IslandSearch(settings(islands=2), PROBLEM, WEIGHTS, SerialTeam())
    island = search.islands[0]
    assert idle_members(search.settings, 2 * island.most_useful_crew, island) == 0
    assert idle_members(search.settings, 2 * island.most_useful_crew + 5, island) == 5
    for kind in MINIMISERS.values():
        assert kind.default_islands >= 1
