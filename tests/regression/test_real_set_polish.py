"""Polish of a selection from JAM21PDF_proton_nlo: the error function, and everything it was not shown."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.io.settings import PUBLISHED_ESTIMATORS, CompressConfig
from compress_mpi.methods.enhancement.basis import basis_of
from compress_mpi.methods.enhancement.linear import combine
from compress_mpi.methods.polish.acceptance import violations
from compress_mpi.methods.polish.held_out import held_out
from compress_mpi.methods.polish.polish import polish
from compress_mpi.methods.polish.settings import PolishSettings
from compress_mpi.methods.polish.target import build_target
from compress_mpi.methods.selection.normalisation import normalisation, random_distances
from compress_mpi.methods.selection.search import IslandSearch, search_settings
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.workflows.prior import load_prior, plan_prior
from selection_tools import columns, finish, made_up_problem

NAME = "JAM21PDF_proton_nlo"
SETS = next(
    (Path(d) for d in os.environ.get("LHAPDF_DATA_PATH", "").split(":") if d and (Path(d) / NAME).is_dir()),
    None,
)
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.skipif(SETS is None, reason=f"LHAPDF_DATA_PATH names no folder that holds {NAME}"),
]
N_SELECT = 50


def values_of(nf: int, **changes):
    config = CompressConfig(pdf=NAME, compressed=(N_SELECT,), nf=nf, **changes)
    prior = load_prior(plan_prior(config, [SETS], "auto"), SerialTeam())
    return prior.values, prior.plan.nodes


def selected(prior, team):
    """A subset of a shorter search than usual, with reference and normalisation."""
    reference, problem = made_up_problem(prior, PUBLISHED_ESTIMATORS.names)
    random = random_distances(problem, N_SELECT, 400, 1, team)[:, columns(reference)]
    norm = normalisation(random, reference.names)
    weights = np.zeros(8)
    weights[columns(reference)] = 1.0 / (len(norm) * norm)
    search = IslandSearch(
        search_settings("tempering", N_SELECT, 1500, 1, 4, descent=False), problem, weights, team
    )
    return finish(search).best()[1], reference, norm


def test_polish_lowers_the_error_function_and_improves_what_it_was_not_shown():
    team = SerialTeam()
    prior, _ = values_of(3)
    rows, reference, norm = selected(prior, team)
    basis = basis_of(prior)
    target = build_target(prior, reference, norm, N_SELECT, 1, team)
    directions = combine(basis.weights, prior)
    found = polish(
        [prior[rows]], directions, target, reference, norm, PolishSettings(candidates=1), 1, team
    ).best
    assert found is not None
    assert found.erf <= 0.60 * found.start_erf

    # another scale, nodes between those of the fit, two more flavours on each side
    other, _ = values_of(5, q0=10.0, xgrid=(2e-5, 3e-4, 4e-3, 0.03, 0.09, 0.14, 0.22, 0.31, 0.42, 0.55, 0.7))
    parents = np.eye(len(prior))[rows]
    polished = combine(parents + found.displacement @ basis.weights, other)
    before, after = held_out(other[rows], other), held_out(polished, other)
    for name, worst in {
        "mean": 0.8,
        "stdev": 0.9,
        "correlation": 0.8,
        "products": 1.0,
        "quantiles": 1.0,
    }.items():
        assert after.as_dict()[name] < worst * before.as_dict()[name], name

    fitted = target.standardise(combine(parents + found.displacement @ basis.weights, prior))
    assert violations(fitted, target).outside_depth <= 0.25
    negative = (combine(parents + found.displacement @ basis.weights, prior)[:, 0] < 0).mean()
    assert negative <= 0.016  # of antistrange; a polish without a hinge has twice that
