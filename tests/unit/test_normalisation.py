import numpy as np
import pytest

from compress_mpi.errors import CompressError
from compress_mpi.methods.selection import normalisation as nm
from compress_mpi.parallel.serial import SerialTeam
from selection_tools import columns, made_up_prior, made_up_problem


class InThree(SerialTeam):
    """Works like three members, one after the other."""

    def map_rows(self, function, n_tasks, width):
        parts = np.array_split(np.arange(n_tasks), 3)
        return np.concatenate([function(part.tolist()) for part in parts])


def test_interval_positions_are_those_of_both_codes():
    for trials in (20, 100, 1000, 1234):
        low, high = nm.central_interval(trials, 0.68)
        assert high == trials - int(trials * (1 - 0.68) / 2) - 1
        assert low == trials - 1 - high


def test_normalisation_is_the_upper_edge():
    random = np.arange(1000.0)[::-1, None] + 1
    assert nm.normalisation(random, ["mean"]) == pytest.approx([1000 - int(1000 * (1 - 0.68) / 2)])


def test_an_estimator_without_distance_is_refused():
    with pytest.raises(CompressError, match=r"'stdev'.*cannot be normalised"):
        nm.normalisation(np.stack([np.ones(50), np.zeros(50)], axis=1), ["mean", "stdev"])


def test_trials_do_not_depend_on_who_computes_them():
    _, problem = made_up_problem(made_up_prior())
    alone = nm.random_distances(problem, 9, 40, 5, SerialTeam())
    assert np.array_equal(alone, nm.random_distances(problem, 9, 40, 5, InThree()))
    assert not np.array_equal(alone, nm.random_distances(problem, 9, 40, 6, SerialTeam()))


def test_bootstrap_spread_of_a_known_distribution():
    """The 84 % quantile of n exponential numbers has a spread of sqrt(p (1 - p) / n) / density."""
    random = np.random.default_rng(0).exponential(size=(4000, 1))
    p = 0.84
    expected = np.sqrt(p * (1 - p) / 4000) / (1 - p)
    assert nm.bootstrap_spread(random, 0, 10)[0] == pytest.approx(expected, rel=0.3)


def test_distances_of_estimators_that_were_not_asked_for_are_zero():
    reference, problem = made_up_problem(made_up_prior(), ("mean", "correlation"))
    found = nm.random_distances(problem, 9, 20, 0, SerialTeam())
    others = np.delete(found, columns(reference), axis=1)
    assert (others == 0).all()
    assert (found[:, columns(reference)] > 0).all()
