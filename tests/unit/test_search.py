"""Minimisers and islands, without MPI; real ranks are in tests/mpi."""

from typing import get_args

import numpy as np
import pytest

from compress_mpi.io.settings import CompressConfig, Portfolio
from compress_mpi.methods.selection import genetic
from compress_mpi.methods.selection.cma_es import decode
from compress_mpi.methods.selection.island import EPOCHS_BETWEEN_MIGRATIONS
from compress_mpi.methods.selection.search import (
    MINIMISERS,
    IslandSearch,
    kinds_of,
    search_settings,
    useful_members,
)
from compress_mpi.parallel.serial import SerialTeam
from selection_tools import (
    MIXED,
    Divided,
    finish,
    judged_erf,
    made_up_prior,
    made_up_problem,
    made_up_weights,
    settings,
)

PRIOR = made_up_prior(n_rep=80)
REFERENCE, PROBLEM = made_up_problem(PRIOR)
WEIGHTS = made_up_weights(PROBLEM, REFERENCE, 8)
EVERY = [*MINIMISERS, "portfolio"]


def begun(minimizer="genetic", team=None, threads=1, **changes):
    return IslandSearch(settings(minimizer, **changes), PROBLEM, WEIGHTS, team or SerialTeam(), threads)


def searched(*arguments, **named):
    return finish(begun(*arguments, **named))


def same(a, b):
    assert a.best()[0] == b.best()[0]
    assert np.array_equal(a.best()[1], b.best()[1])
    assert np.array_equal(np.concatenate(a.history), np.concatenate(b.history))
    assert (a.evaluations, a.why_done, a.certified) == (b.evaluations, b.why_done, b.certified)
    ours, theirs = a.state(), b.state()
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


def test_runcards_offer_exactly_the_minimisers_there_are():
    offered = get_args(CompressConfig.model_fields["minimizer"].annotation)
    assert set(offered) == {*MINIMISERS, "portfolio"}
    assert set(Portfolio.model_fields) == set(MINIMISERS)


@pytest.mark.parametrize("minimizer", EVERY)
def test_a_search_finds_better_subsets_than_chance(minimizer):
    erf, rows = searched(minimizer).best()
    assert len(set(rows.tolist())) == 8
    assert np.array_equal(rows, np.sort(rows))
    assert erf == pytest.approx(judged_erf(PRIOR, rows, REFERENCE, WEIGHTS), rel=1e-9)
    rng = np.random.default_rng(0)
    random = [judged_erf(PRIOR, rng.choice(80, 8, replace=False), REFERENCE, WEIGHTS) for _ in range(400)]
    assert erf < min(random)


@pytest.mark.parametrize("minimizer", EVERY)
def test_history_never_rises_and_ends_at_the_best(minimizer):
    search = begun(minimizer, max_iteration=200)
    while search.why_done is None:
        search.advance()
    # exchange has come to its end before
    assert search.iteration == 200 if minimizer != "exchange" else search.iteration <= 200
    history = np.concatenate(finish(search).history)
    assert len(history) == search.iteration
    assert (np.diff(history) <= 0).all()
    assert history[-1] == search.erf == pytest.approx(search.best()[0], rel=1e-12)


@pytest.mark.parametrize("minimizer", EVERY)
def test_threads_and_crews_change_nothing(minimizer):
    alone = searched(minimizer)
    same(alone, searched(minimizer, threads=2))
    for size in (2, 3, 11):
        same(alone, searched(minimizer, team=Divided(size)))


@pytest.mark.parametrize("minimizer", EVERY)
def test_seeds_and_islands_matter(minimizer):
    indices = {tuple(searched(minimizer, seed=seed, max_iteration=5).best()[1]) for seed in range(4)}
    assert len(indices) > 1


@pytest.mark.parametrize("minimizer", EVERY)
def test_a_restart_ends_like_the_uninterrupted_search(minimizer):
    """After every epoch and every sweep of the final descent."""
    length = {"genetic": 1150, "exchange": 450, "cma": 110}.get(minimizer, 60)
    whole, first, sweeps = (
        searched(minimizer, max_iteration=length),
        begun(minimizer, max_iteration=length),
        0,
    )
    while not first.done:
        first.advance()
        sweeps += "descent_index" in first.state()
        # neither every epoch of a long search, nor only its first ones
        if first.epoch % 7 > 1 and not sweeps:
            continue
        # what a file would hold
        state = {name: np.array(value) for name, value in first.state().items()}
        second = begun(minimizer, team=Divided(3), max_iteration=length)
        second.restore(state, np.concatenate(first.history))
        assert second.iteration == first.iteration
        same(whole, finish(second))
    assert sweeps > 1 or minimizer not in ("tempering", "portfolio")


@pytest.mark.parametrize("minimizer", EVERY)
@pytest.mark.parametrize(("pool", "n_select"), [(80, 79), (80, 2), (9, 8), (4, 3)])
def test_extreme_sizes(minimizer, pool, n_select):
    """One replica left out: fewer outsiders than a mutant may want. Two: the fewest with a spread."""
    prior = made_up_prior(n_rep=pool, n_flavour=1, n_x=5)
    reference, problem = made_up_problem(prior, ("mean", "stdev", "kolmogorov_smirnov"))
    weights = made_up_weights(problem, reference, n_select)
    search = IslandSearch(
        settings(minimizer, n_select=n_select, max_iteration=30), problem, weights, SerialTeam()
    )
    start = min(island.best for island in search.islands.values())
    erf, rows = finish(search).best()
    assert len(set(rows.tolist())) == n_select
    assert 0 <= rows.min() <= rows.max() < pool
    assert erf <= start * (1 + 1e-12)
    assert erf == pytest.approx(judged_erf(prior, rows, reference, weights), rel=1e-4)


def test_cma_restarts_when_it_has_converged_and_remembers_the_best():
    search = begun("cma", max_iteration=3000, islands=1)
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
    """On a ring of all islands, in the epochs in which subsets travel."""
    search = begun(max_iteration=10**6, islands=4)
    for _ in range(EPOCHS_BETWEEN_MIGRATIONS - 1):
        search.advance()
    assert len({island.erf for island in search.islands.values()}) == 4, "none has travelled yet"
    reports = {number: island.report(True) for number, island in search.islands.items()}
    best = min(reports, key=lambda number: reports[number].erf)
    receiver = search.islands[(best + 1) % 4]
    receiver.confer(search.epoch, {n: island.report(False) for n, island in search.islands.items()})
    assert receiver.erf == reports[receiver.number].erf, "without subsets nothing happens"
    receiver.confer(search.epoch, reports)
    assert receiver.erf == pytest.approx(reports[best].erf, rel=1e-12)
    assert np.array_equal(receiver.index, reports[best].index)


def test_a_portfolio_is_in_one_order_whatever_the_runcard_says():
    given = dict(reversed(MIXED.items()))
    kinds = [kind.kind for kind in kinds_of(search_settings("portfolio", 8, 10, 0, portfolio=given))]
    assert kinds == ["tempering"] * 3 + ["exchange"] + ["genetic"] * 2 + ["cma"]
    default = search_settings("portfolio", 8, 10, 0, portfolio=Portfolio().islands)
    assert default.islands == sum(Portfolio().islands.values())
    none = search_settings("portfolio", 8, 10, 0, portfolio={"tempering": 0, "genetic": 2})
    assert [kind.kind for kind in kinds_of(none)] == ["genetic"] * 2


def test_islands_of_a_portfolio_are_those_of_their_kind():
    """Alone or beside others, a descent and a strategy, which take nothing from others, do the same."""
    mixed = begun("portfolio", portfolio={"cma": 2}, max_iteration=40)
    alone = begun("cma", islands=2, max_iteration=40)
    while mixed.why_done is None:
        mixed.advance()
    finish(alone)
    for number in (0, 1):
        assert np.array_equal(mixed.islands[number].index, alone.islands[number].index)


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


def test_decoding_keys():
    assert decode(np.array([0.1, 3.0, -1.0, 2.0, 2.0]), 2).tolist() == [1, 3]


@pytest.mark.parametrize("minimizer", EVERY)
def test_useful_members_are_those_of_all_islands(minimizer):
    wanted = settings(minimizer)
    kinds = kinds_of(wanted)
    assert len(kinds) == wanted.islands
    assert useful_members(wanted, 80) == sum(kind.most_useful_crew(80) for kind in kinds)
    assert useful_members(wanted, 80) >= wanted.islands
    assert all(kind.default_islands >= 1 for kind in kinds)
