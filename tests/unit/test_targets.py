"""Which sizes ``compressed: auto`` tries, and what meeting a target means: pure functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress_mpi.errors import RuncardError
from compress_mpi.io.settings import Auto
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.workflows.auto import verdict_line
from compress_mpi.workflows.targets import (
    AT_ONCE,
    Target,
    Verdict,
    closest,
    next_sizes,
    smallest_passing,
    surprises,
    target_of,
)
from selection_tools import PUBLISHED, made_up_prior, made_up_problem


def play(target: Target, passes) -> tuple[dict[int, bool], int]:
    verdicts: dict[int, bool] = {}
    rounds = 0
    while sizes := next_sizes(target, verdicts):
        assert not set(sizes) & set(verdicts), "no size is tried twice"
        assert len(sizes) <= AT_ONCE
        verdicts |= {size: passes(size) for size in sizes}
        rounds += 1
    return verdicts, rounds


@given(st.integers(2, 50), st.integers(0, 3000), st.integers(0, 4000))
def test_the_smallest_is_found_wherever_it_is(smallest, width, threshold):
    target = Target(None, 5, None, smallest, smallest + width)
    verdicts, rounds = play(target, lambda size: size >= threshold)
    answer = smallest_passing(verdicts)
    if threshold > target.largest:
        assert answer is None
        assert max(verdicts) == target.largest
    else:
        assert answer == max(smallest, threshold)
        assert answer == smallest or verdicts[answer - 1] is False
        assert not surprises(verdicts)
    assert rounds <= 3 + 5
    assert all(smallest <= size <= target.largest for size in verdicts)


@given(st.integers(2, 20), st.integers(0, 300), st.randoms(use_true_random=False))
def test_also_without_monotony_the_search_ends_at_a_passing_size_after_a_failing_one(smallest, width, chance):
    target = Target(None, 5, None, smallest, smallest + width)
    verdicts, _ = play(target, lambda size: chance.random() < 0.4)
    answer = smallest_passing(verdicts)
    if answer is not None and answer > smallest:
        assert verdicts[answer - 1] is False
    assert all(size > (answer or 0) and not verdicts[size] for size in surprises(verdicts))


def test_sizes_under_a_factor_leave_room_for_the_random_subsets():
    target = target_of(Auto(), 1000)
    assert (target.factor, target.smallest, target.largest) == (10, 10, 99)
    for factor in (1.5, 2.5, 3.0, 7.3, 99.0):
        largest = target_of(Auto(factor=factor, smallest=2), 1000).largest
        assert round(factor * largest) < 1000 <= round(factor * (largest + 1))
    assert target_of(Auto(factor=2, largest=80), 1000).largest == 80
    assert target_of(Auto(random_size=500), 1000).largest == 999
    assert target_of(Auto(tolerance={"mean": 1.0}), 1000).largest == 999


@pytest.mark.parametrize(
    ("auto", "members", "words"),
    [
        (Auto(), 90, ["auto.smallest", "at most 8", "got 10", "10 N"]),
        (Auto(random_size=90), 90, ["auto.random_size", "90", "less than"]),
        (Auto(tolerance={"mean": 1.0}, smallest=50), 50, ["auto.smallest", "at most 49"]),
    ],
)
def test_targets_that_no_size_can_have_are_refused(auto, members, words):
    with pytest.raises(RuncardError) as refusal:
        target_of(auto, members)
    assert all(word in str(refusal.value) for word in words), refusal.value


def test_limits_are_medians_of_the_random_subsets_of_a_run_of_that_size():
    reference, problem = made_up_problem(made_up_prior())
    names = reference.names

    def limits(target, n_rep):
        return target.limits(n_rep, names, problem, 40, 3, SerialTeam())

    by_factor, by_size = Target(3.0, None, None, 4, 9), Target(None, 18, None, 4, 9)
    assert limits(by_factor, 6) == limits(by_size, 4) == limits(by_size, 9)
    assert all(limits(by_factor, 9)[name] < limits(by_factor, 4)[name] for name in PUBLISHED)
    given_limits = {name: 0.5 for name in PUBLISHED}
    assert limits(Target(None, None, given_limits, 4, 9), 6) == given_limits


def test_a_verdict_names_its_worst_estimator():
    fails = Verdict(20, {"mean": 1.0, "stdev": 3.0}, {"mean": 2.0, "stdev": 2.0})
    meets = Verdict(30, {"mean": 2.0, "stdev": 0.0}, {"mean": 2.0, "stdev": 0.0})
    assert (fails.passes, fails.worst) == (False, ("stdev", 1.5))
    assert (meets.passes, meets.worst) == (True, ("mean", 1.0))
    worse = Verdict(40, {"mean": 9.0, "stdev": 1.0}, {"mean": 2.0, "stdev": 2.0})
    assert closest({20: fails, 40: worse}) is fails
    assert np.isinf(Verdict(5, {"mean": 1.0}, {"mean": 0.0}).worst[1])


def test_an_answer_that_is_the_first_size_does_not_claim_more():
    target = Target(None, 50, None, 4, 9)
    assert "3 fails" not in verdict_line(target, 4)
    assert "smaller sizes were not to be tried" in verdict_line(target, 4)
    assert "5 fails" in verdict_line(target, 6)
