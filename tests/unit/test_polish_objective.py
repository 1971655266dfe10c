"""The loss of a polish: its exact part is the error function, and its gradient is the gradient."""

from __future__ import annotations

import numpy as np
import pytest

from compress_mpi.methods.polish.correlations import correlation_terms
from compress_mpi.methods.polish.limits import limit_term, limits_of
from compress_mpi.methods.polish.marginals import marginal_distance, marginal_term, prior_quantiles
from compress_mpi.methods.polish.moments import mean_term, moment_terms, spread_term
from compress_mpi.methods.polish.regions import region_distance, soft_region_term
from compress_mpi.methods.polish.settings import PolishSettings
from compress_mpi.methods.polish.standard import standard
from compress_mpi.methods.selection.error_function import distances, error_function
from compress_mpi.types import ESTIMATORS
from polish_tools import polish_case
from selection_tools import PUBLISHED

ONLY_ERF = PolishSettings(correlation_weight=0.0, marginal_weight=0.0, limit_weight=0.0)
WIDTH = 0.1


@pytest.fixture(scope="module")
def case():
    return polish_case()


def displacement(case, size=0.1, seed=0):
    rng = np.random.default_rng(seed)
    return size * rng.normal(size=(case.target.n_select, len(case.directions)))


def slope(function, at, along, step=1e-6):
    return (function(at + step * along) - function(at - step * along)) / (2 * step)


def test_the_case_has_what_it_is_there_for(case):
    assert case.reference.constant.sum() == 1
    assert len(case.reference.dropped) >= 1
    assert np.isfinite(case.target.zero).any()
    assert (limits_of(case.objective().start, case.target).low > -np.inf).all()


@pytest.mark.parametrize("names", [ESTIMATORS, PUBLISHED, ("correlation",), ("mean", "moment6th")])
@pytest.mark.parametrize("definition", ["paper", "pycompressor"])
def test_the_exact_part_is_the_error_function(names, definition):
    case = polish_case(names, definition=definition)
    moved = displacement(case)
    polished = case.start + np.tensordot(moved, case.directions, axes=1)
    loss = case.objective(ONLY_ERF)(moved, WIDTH)
    judged = error_function(polished, case.reference, case.normalisation)
    assert loss.erf == pytest.approx(judged, rel=1e-9)
    assert loss.exact == loss.erf


def test_every_distance_is_that_of_the_reference(case):
    subset = standard(case.target.standardise(case.start))
    judged = dict(zip(case.reference.names, distances(case.start, case.reference, 1e-12), strict=True))
    orders = {"skewness": 3, "kurtosis": 4, "moment5th": 5, "moment6th": 6}
    moments, _ = moment_terms(subset, case.target, {order: 1.0 for order in orders.values()})
    found = {name: moments[order] for name, order in orders.items()}
    found["mean"] = mean_term(subset, case.target)[0]
    found["stdev"] = spread_term(subset)[0]
    found["kolmogorov_smirnov"] = region_distance(subset, case.target)
    found["correlation"] = correlation_terms(subset, case.target, 1.0, 1.0)[0]
    for name in ESTIMATORS:
        assert found[name] == pytest.approx(judged[name], rel=1e-8), name


def test_soft_edges_become_hard(case):
    subset = standard(case.target.standardise(case.start))
    hard = region_distance(subset, case.target)
    away = [abs(soft_region_term(subset, case.target, width)[0] - hard) / hard for width in (0.1, 1e-2, 1e-6)]
    assert away[2] < 1e-6 < away[1] < away[0]


@pytest.mark.parametrize("name", [*ESTIMATORS, "matrix", "marginals", "limits"])
def test_gradient_of_each_term_against_finite_differences(name):
    case = polish_case((name,) if name in ESTIMATORS else ESTIMATORS)
    extra = {"matrix": "correlation_weight", "marginals": "marginal_weight", "limits": "limit_weight"}
    weights = {key: float(term == name) for term, key in extra.items()}
    objective = case.objective(PolishSettings(**weights))
    if name not in ESTIMATORS:
        objective.target.weights.clear()
    at = displacement(case, 0.5)
    loss = objective(at, WIDTH)
    assert loss.soft > 0
    for seed in range(1, 4):
        along = displacement(case, 1.0, seed)
        expected = slope(lambda d: objective(d, WIDTH).soft, at, along)
        assert np.sum(loss.gradient * along) == pytest.approx(expected, rel=1e-5, abs=1e-9)


def test_gradient_against_autograd(case):
    torch = pytest.importorskip("torch")
    settings, target = PolishSettings(), case.target
    at = displacement(case, 0.3)
    moved = torch.tensor(at, requires_grad=True)
    loss = torch_loss(torch, moved, case, settings)
    loss.backward()
    found = case.objective(settings)(at, WIDTH)
    assert found.soft == pytest.approx(float(loss.detach()), rel=1e-10)
    np.testing.assert_allclose(found.gradient, moved.grad.numpy(), rtol=1e-7, atol=1e-10)
    assert set(target.weights) == set(ESTIMATORS)


def torch_loss(torch, moved, case, settings):
    """The loss from its definitions, on values as they are in the files and without any shortcut."""
    t, n = case.target, case.target.n_select
    tensor = torch.tensor
    values = tensor(case.start) + torch.tensordot(moved, tensor(case.directions), dims=1)
    values = values.reshape(n, -1)[:, tensor(t.points)]
    m, s = values.mean(0), values.std(0, correction=1)
    u = (values - m) / s
    prior = {name: tensor(v.reshape(-1, *v.shape[2:])[t.points]) for name, v in case.reference.values.items()}

    def relative(f, g):
        return (((f - g)[g != 0] / g[g != 0]) ** 2).sum()

    found = {"mean": relative(m, prior["mean"]), "stdev": relative(s, prior["stdev"])}
    for name, order in (("skewness", 3), ("kurtosis", 4), ("moment5th", 5), ("moment6th", 6)):
        found[name] = relative(((values - m) ** order).mean(0) / s**order, prior[name])
    below = [torch.sigmoid(((m + e * s) - values) / (WIDTH * s)).mean(0) for e in (-2, -1, 0, 1, 2)]
    edges = torch.stack([torch.zeros_like(m), *below, torch.ones_like(m)], dim=-1)
    found["kolmogorov_smirnov"] = relative(torch.diff(edges, dim=-1), prior["kolmogorov_smirnov"])
    at = u[:, tensor(t.correlation_columns)]
    matrix = at.T @ at / (n - 1)
    found["correlation"] = (torch.trace(matrix @ tensor(case.reference.inverse)) / len(matrix) - 1) ** 2
    erf = sum(found[name] / case.normalisation[i] for i, name in enumerate(t.names)) / len(t.names)

    y = (values - tensor(t.mean)) / tensor(t.stdev)
    marginal = ((torch.sort(y, dim=0).values - tensor(t.quantiles.T)) ** 2).mean(0).sum()
    start = tensor(t.standardise(case.start))
    low = torch.minimum(torch.maximum(tensor(t.lowest), tensor(t.zero)), start)
    high = torch.maximum(tensor(t.highest), start)
    excess = (torch.relu(y - high) + torch.relu(low - y)).mean()
    return (
        erf
        + settings.correlation_weight * ((matrix - tensor(t.correlation)) ** 2).sum() / t.correlation_unit
        + settings.marginal_weight * marginal / t.marginal_unit
        + settings.limit_weight * excess
    )


def test_quantiles_are_the_nearest_values():
    rng = np.random.default_rng(3)
    y = rng.standard_t(4, size=(30, 2))
    assert prior_quantiles(y, 30) == pytest.approx(np.sort(y, axis=0).T)
    thirds = np.sort(y, axis=0).reshape(3, 10, 2).mean(axis=1).T
    assert prior_quantiles(y, 3) == pytest.approx(thirds)
    # 30 replicas on 4 intervals of 7.5: the eighth counts half in the first and half in the second
    first = (np.sort(y, axis=0)[:7].sum(axis=0) + 0.5 * np.sort(y, axis=0)[7]) / 7.5
    assert prior_quantiles(y, 4)[:, 0] == pytest.approx(first)


def test_marginals_do_not_see_the_order():
    rng = np.random.default_rng(4)
    y, quantiles = rng.normal(size=(6, 5)), np.sort(rng.normal(size=(5, 6)), axis=1)
    distance, gradient = marginal_term(y, quantiles)
    order = rng.permutation(6)
    other, turned = marginal_term(y[order], quantiles)
    assert distance == pytest.approx(other) == pytest.approx(marginal_distance(y, quantiles))
    np.testing.assert_array_equal(turned, gradient[order])


def test_inside_the_limits_there_is_no_hinge(case):
    start = case.objective().start
    excess, gradient = limit_term(start, limits_of(start, case.target))
    assert excess == 0.0
    assert not gradient.any()


def test_equal_values_stay_finite(case):
    y = np.repeat(case.objective().start[:1], 8, axis=0)
    subset = standard(y)
    assert np.isfinite(subset.u).all()
    assert np.isfinite(subset.back(np.ones_like(y))).all()
