"""Steepest descent: it ends where no single swap helps, and says so only there."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from compress_mpi.methods.selection import exchange
from compress_mpi.methods.selection.exchange import Descent
from compress_mpi.methods.selection.search import IslandSearch
from compress_mpi.parallel.serial import SerialTeam
from selection_tools import (
    Divided,
    finish,
    judged_erf,
    made_up_prior,
    made_up_problem,
    made_up_weights,
    settings,
)

PRIOR = made_up_prior(n_rep=40)
REFERENCE, PROBLEM = made_up_problem(PRIOR)
WEIGHTS = made_up_weights(PROBLEM, REFERENCE, 6)


def neighbours(index):
    outside = np.setdiff1d(np.arange(len(PRIOR)), index)
    for slot, other in itertools.product(range(len(index)), outside):
        subset = np.array(index)
        subset[slot] = other
        yield np.sort(subset)


def judged(subset):
    return judged_erf(PRIOR, subset, REFERENCE, WEIGHTS)


def descended(descent, chunks=10**9, crew=None):
    """Sweep by sweep; the subsets that were met."""
    met = [descent.index]
    while not descent.certified:
        descent.advance(chunks, crew or SerialTeam())
        if not np.array_equal(met[-1], descent.index):
            met.append(descent.index)
    return met


@given(st.permutations(range(len(PRIOR))), st.sampled_from([17, 1000]))
@effort(max_examples=6)
def test_every_sweep_finds_the_best_swap_and_the_end_has_no_better_neighbour(order, chunk):
    """Against the reference, over all single swaps; the best of other chunks may come on top."""
    met = descended(Descent(PROBLEM, WEIGHTS, np.array(order[:6]), chunk))
    assert len(met) > 2
    for before, after in itertools.pairwise(met):
        steepest = min(map(judged, neighbours(before)))
        assert judged(after) <= steepest * (1 + 1e-10) < judged(before)
        if chunk == 1000:
            assert judged(after) == pytest.approx(steepest, rel=1e-10), "one chunk, one swap"
    assert min(map(judged, neighbours(met[-1]))) > judged(met[-1])


@given(
    st.permutations(range(len(PRIOR))),
    st.integers(1, 300),
    st.integers(1, 5),
    st.integers(2, 9),
    st.integers(0, 4),
)
@effort(max_examples=40)
def test_neither_crews_nor_pieces_nor_restarts_change_the_way_down(order, chunk, pieces, size, stop):
    whole = Descent(PROBLEM, WEIGHTS, np.array(order[:6]), chunk)
    met = descended(whole)
    descent = Descent(PROBLEM, WEIGHTS, np.array(order[:6]), chunk)
    for _ in range(stop):
        if not descent.certified:
            descent.advance(pieces, Divided(size))
    later = Descent(PROBLEM, WEIGHTS, descent.index, chunk)
    later.restore(descent.state())
    again = descended(later, pieces, Divided(size))
    assert np.array_equal(again[-1], met[-1])
    assert [tuple(subset) for subset in again] == [tuple(subset) for subset in met][-len(again) :]
    assert later.erf == whole.erf


def test_of_equally_good_swaps_the_first_is_taken():
    """Two replicas are the same: whoever scores the second one has found nothing better."""
    prior = PRIOR.copy()
    prior[30] = prior[20]
    _, problem = made_up_problem(prior)
    met = {
        size: [tuple(s) for s in descended(Descent(problem, WEIGHTS, np.arange(6), 9), crew=Divided(size))]
        for size in (1, 2, 5, 40)
    }
    assert len(set(map(tuple, met.values()))) == 1
    assert len(met[1]) > 2


@pytest.mark.parametrize("minimizer", ["exchange", "tempering", "portfolio", "genetic"])
def test_an_end_is_certified_only_where_all_swaps_were_tried(minimizer):
    search = IslandSearch(settings(minimizer, n_select=6, max_iteration=30), PROBLEM, WEIGHTS, SerialTeam())
    assert not search.certified
    while search.why_done is None:
        assert not search.certified
        search.advance()
    assert search.certified is (minimizer == "exchange"), "a descent of its own has come to its end"
    erf, rows = finish(search).best()
    assert search.certified is (minimizer != "genetic")
    if search.certified:
        assert erf == pytest.approx(judged(rows), rel=1e-10)
        assert min(map(judged, neighbours(rows))) > judged(rows)


def test_a_descent_that_is_cut_off_is_not_certified(monkeypatch):
    monkeypatch.setattr(exchange, "SWAPS", 50)
    search = IslandSearch(
        settings("exchange", n_select=6, max_iteration=1, islands=1), PROBLEM, WEIGHTS, SerialTeam()
    )
    finish(search)
    assert search.why_done == "budget"
    assert not search.certified
    assert search.evaluations == 50


def test_every_single_swap_is_counted():
    search = IslandSearch(
        settings("exchange", n_select=6, max_iteration=10**4, islands=2), PROBLEM, WEIGHTS, SerialTeam()
    )
    finish(search)
    assert search.why_done == "converged"
    sweeps = 0
    for number in (0, 1):
        start = IslandSearch(search.settings, PROBLEM, WEIGHTS, SerialTeam()).islands[number].index
        sweeps += len(descended(Descent(PROBLEM, WEIGHTS, start)))
    assert search.evaluations == sweeps * 6 * 34
