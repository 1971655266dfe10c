"""What a polish may end with: replicas beyond their limits go back, sets that are too negative are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compress_mpi.methods.polish.acceptance import bring_back, refusal, violations
from compress_mpi.methods.polish.limits import worst_excess
from compress_mpi.methods.polish.polish import Candidate, choose, polish
from compress_mpi.methods.polish.settings import PolishSettings
from compress_mpi.methods.selection.error_function import distances, error_function
from compress_mpi.parallel.serial import SerialTeam
from polish_tools import polish_case

QUICK = PolishSettings(steps=60)


@pytest.fixture(scope="module")
def case():
    return polish_case()


def test_replicas_beyond_their_limits_go_back_and_no_others(case):
    objective = case.objective()
    displacement = np.zeros((8, len(case.directions)))
    displacement[2, 0], displacement[5, 0] = 20.0, 1e-6
    excess = worst_excess(objective.values(displacement), objective.limits)
    assert excess[2] > 0.0
    allowed = PolishSettings(tolerance=0.6 * excess[2], more_negative=1.0)
    found, kept = bring_back(objective, displacement, allowed)
    assert kept.tolist() == [1, 1, 0.5, 1, 1, 1, 1, 1]
    np.testing.assert_array_equal(found, kept[:, None] * displacement)
    _, kept = bring_back(objective, displacement, PolishSettings(tolerance=0.0, halvings=0))
    assert kept[2] == 0.0


def test_the_start_is_within_its_limits(case):
    objective = case.objective()
    assert not worst_excess(objective.start, objective.limits).any()
    assert refusal(objective.start, objective, QUICK) is None


def test_a_set_that_becomes_negative_is_refused(case):
    objective = case.objective()
    negative = objective.start.copy()
    guarded = np.isfinite(case.target.zero)
    negative[:, guarded] = case.target.zero[guarded] - 0.1
    words = refusal(negative, objective, QUICK)
    assert words is not None
    assert "100.00%" in words
    assert violations(negative, case.target).negative_depth == pytest.approx(0.1)
    negative[0, 0] = np.nan
    assert refusal(negative, objective, QUICK) == "a value is not finite"


def test_a_set_that_becomes_negative_goes_back_as_a_whole(case):
    objective, rng = case.objective(), np.random.default_rng(5)
    displacement = rng.normal(size=(8, len(case.directions)))
    patient = PolishSettings(tolerance=np.inf, halvings=12, more_negative=0.0)
    assert refusal(objective.values(displacement), objective, patient) is not None
    found, kept = bring_back(objective, displacement, patient)
    assert len(set(kept)) == 1
    assert 0.0 < kept[0] < 1.0
    assert refusal(objective.values(found), objective, patient) is None
    assert refusal(objective.values(2.0 * found), objective, patient) is not None


def test_the_best_is_judged_by_the_reference(case):
    candidate = case.candidate(QUICK)
    polished = case.start + np.tensordot(candidate.displacement, case.directions, axes=1)
    assert candidate.erf == pytest.approx(
        error_function(polished, case.reference, case.normalisation), rel=1e-12
    )
    assert candidate.distances == pytest.approx(distances(polished, case.reference), rel=1e-12)
    assert candidate.start_erf == error_function(case.start, case.reference, case.normalisation)
    assert candidate.erf < 0.8 * candidate.start_erf
    assert len(candidate.curve) == 61


def test_going_back_changes_what_is_judged(case):
    strict = case.candidate(replace(QUICK, radius=3.0, limit_weight=0.0, tolerance=1e-3))
    assert (strict.kept < 1).any()
    polished = case.start + np.tensordot(strict.displacement, case.directions, axes=1)
    judged = error_function(polished, case.reference, case.normalisation)
    assert strict.erf == pytest.approx(judged, rel=1e-12)
    assert strict.erf > strict.curve.min()
    objective = case.objective()
    assert worst_excess(case.target.standardise(polished), objective.limits).max() <= 1e-3 + 1e-12


def test_candidates_take_turns_at_the_starts_and_differ(case):
    starts = [case.start, case.prior[8:16]]
    settings = replace(QUICK, candidates=4, steps=20)
    parts = (case.directions, case.target, case.reference, case.normalisation)
    polished = polish(starts, *parts, settings, 7, SerialTeam())
    assert len(set(polished.erfs)) == 4
    assert polished.best is not None
    assert polished.best.erf == polished.erfs.min()
    assert polished.best.start == polished.best.number % 2
    # the first of each start sets out from the parents
    first = case.candidate(settings)
    assert first.erf == polished.erfs[0]
    assert first.curve[0] == pytest.approx(first.start_erf, rel=1e-9)


def test_lowest_that_is_not_refused(case):
    some = case.candidate(replace(QUICK, steps=1))
    table: list[Candidate] = [
        replace(some, number=0, erf=0.3),
        replace(some, number=1, erf=0.1, refused="for a reason"),
        replace(some, number=2, erf=0.2),
        replace(some, number=3, erf=0.2),
    ]
    chosen = choose(table)
    assert chosen.best is table[2]
    assert chosen.refused == (None, "for a reason", None, None)
    assert choose(table[1:2]).best is None


@pytest.mark.parametrize(
    "wrong", [{"radius": -1.0}, {"radius": float("nan")}, {"steps": 0}, {"candidates": 0}]
)
def test_settings_without_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PolishSettings(**wrong)
