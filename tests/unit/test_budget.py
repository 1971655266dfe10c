"""How long a search goes on: evaluations, seconds, stagnation, and what the end is called."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from compress_mpi.io.settings import CompressConfig
from compress_mpi.methods.selection.search import MINIMISERS, IslandSearch, evaluations_of
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.workflows.budget import settings_of
from compress_mpi.workflows.words import budget_text, end_text
from selection_tools import Divided, finish, made_up_prior, made_up_problem, made_up_weights, settings

PRIOR = made_up_prior(n_rep=40)
REFERENCE, PROBLEM = made_up_problem(PRIOR)
WEIGHTS = made_up_weights(PROBLEM, REFERENCE, 6)
EVERY = [*MINIMISERS, "portfolio"]


def begun(minimizer, **changes):
    return IslandSearch(settings(minimizer, n_select=6, **changes), PROBLEM, WEIGHTS, SerialTeam())


def clock():
    """A second per question."""
    ticks = itertools.count(1)
    return lambda: float(next(ticks))


@pytest.mark.parametrize("minimizer", EVERY)
@pytest.mark.parametrize("budget", [1, 15_000])
def test_evaluations_become_whole_iterations_of_all_islands(minimizer, budget):
    config = CompressConfig(
        pdf="demo", compressed=6, minimizer=minimizer, max_evaluations=budget, descent=True
    )
    wanted = settings_of(config, 6, len(PRIOR))
    one = evaluations_of(wanted, 1, len(PRIOR))
    assert evaluations_of(wanted, wanted.max_iteration, len(PRIOR)) == one * wanted.max_iteration
    assert 0 <= one * wanted.max_iteration - budget < one
    search = IslandSearch(wanted, PROBLEM, WEIGHTS, SerialTeam())
    while search.why_done is None:
        search.advance()
    if minimizer in ("exchange", "portfolio"):
        # a sweep ends where it ends, and a descent is shorter than its budget
        assert 0 < search.evaluations <= one * wanted.max_iteration
    else:
        assert search.evaluations == one * wanted.max_iteration
    own = search.evaluations
    finish(search)
    assert search.evaluations > own if minimizer in ("tempering", "portfolio") else search.evaluations == own


@pytest.mark.parametrize("minimizer", EVERY)
def test_time_ends_a_search_after_the_epoch_in_which_it_is_over(minimizer):
    search, ticks = begun(minimizer, seconds=3.5, max_iteration=1), clock()
    epochs = 0
    while search.why_done is None:
        search.advance(ticks)
        epochs += 1
        assert epochs == search.epoch
        if search.why_done is None:
            assert search.progress == epochs / 3.5
    if minimizer == "exchange":
        assert search.why_done == "converged"
        return
    assert (search.why_done, epochs) == ("budget", 4)
    before = len(search.history)
    finish(search, ticks)
    # the algorithms of the literature end where the time does
    assert (len(search.history) > before) is (minimizer in ("tempering", "portfolio"))
    assert ticks() == 5, "the descent has all the time it needs"


@pytest.mark.parametrize("minimizer", ["tempering", "genetic", "portfolio"])
def test_stagnation_ends_a_search_also_after_a_restart(minimizer):
    changes = {"stagnation": 900, "max_iteration": 10**7}
    search, states = begun(minimizer, **changes), []
    while not search.done:
        search.advance()
        if search.why_done:
            assert search.why_done == "stagnation", "what ended the islands stays what ended them"
            states.append((search.state(), np.concatenate(search.history)))
    # those of the islands, before the first sweep
    curve = states[0][1]
    last = int(np.flatnonzero(np.diff(curve, prepend=np.inf) < 0)[-1]) + 1
    assert 900 <= len(curve) - last < 900 + 1000, "looked at after an epoch"
    assert search.iteration < 10**6
    for state, history in states:
        other = IslandSearch(search.settings, PROBLEM, WEIGHTS, Divided(2))
        other.restore(state, history)
        finish(other)
        assert (other.why_done, other.iteration, other.best()[0]) == (
            "stagnation",
            search.iteration,
            search.best()[0],
        )


def test_a_descent_that_finds_something_does_not_wake_the_islands():
    """A single hot epoch leaves much to find."""
    search = begun("tempering", stagnation=1, max_iteration=10**7)
    while search.why_done is None:
        search.advance()
    epochs, found = search.epoch, search.erf
    # as if the islands had come no further than to a random subset
    for island in search.islands.values():
        island._index, island.best = np.arange(6), np.inf
    finish(search)
    assert search.epoch == epochs
    assert search.why_done == "stagnation"
    assert search.certified
    assert search.history[-1][-1] <= found


@pytest.mark.parametrize("minimizer", ["tempering", "portfolio"])
def test_without_the_descent_the_search_ends_with_its_budget(minimizer):
    search = finish(begun(minimizer, max_iteration=25, descent=False))
    assert (search.iteration, search.why_done, search.certified) == (25, "budget", False)


@pytest.mark.parametrize("minimizer", ["tempering", "portfolio"])
def test_by_default_the_descent_is_no_dearer_than_the_search_before_it(minimizer):
    """It stops before a sweep that would make it so, and says that it has not come to an end."""
    certified = []
    for length in (1, 2, 5, 10, 400):
        search = begun(minimizer, max_iteration=length, descent=None)
        while search.why_done is None:
            search.advance()
        own = search.evaluations
        finish(search)
        assert own <= search.evaluations <= 2 * own
        certified.append(search.certified)
        other = IslandSearch(search.settings, PROBLEM, WEIGHTS, Divided(2))
        other.restore(search.state(), np.concatenate(search.history))
        assert (other.done, other.certified) == (True, search.certified)
    assert certified[0] is False
    assert certified[-1] is True


def test_budgets_in_words():
    section = {"max_iteration": 15000, "max_evaluations": None, "max_seconds": None, "stagnation": None}
    assert budget_text(section) == "15000 iterations"
    assert budget_text({**section, "max_evaluations": 10**6}) == "1000000 evaluations"
    assert budget_text({**section, "max_seconds": 90.0}) == "90 s"
    assert (
        budget_text({**section, "stagnation": 7}) == "15000 iterations, or 7 iterations without a lower ERF"
    )
    assert budget_text({"max_iteration": 3}) == "3 iterations", "of a release that knew no other"
    assert end_text({"evaluations": None, "ended_by": None}) == "evaluations not noted"
    assert end_text({"evaluations": 5, "ended_by": "running"}) == "5 evaluations"
    assert end_text({"evaluations": 5, "ended_by": "budget"}) == "5 evaluations, ended by budget"
