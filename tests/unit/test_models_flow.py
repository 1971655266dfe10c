"""Laws of a normalizing flow: inverse, density, learning, state."""

from __future__ import annotations

import numpy as np
import pytest

for _needed in ("torch", "zuko"):
    pytest.importorskip(_needed, reason=f"{_needed} is not installed (pip install 'compress-mpi[ml]')")

import torch  # noqa: E402

from compress_mpi.models.arrays import module_arrays, repeatable  # noqa: E402
from compress_mpi.models.flow import FlowLearner, Shape, build, from_noise, log_density, to_noise  # noqa: E402
from compress_mpi.models.training import prefixed  # noqa: E402

SHAPES = [Shape("maf", 3, 2, (16,)), Shape("nsf", 3, 1, (16,)), Shape("maf", 1, 1, (8,))]


def trained(shape, epochs=2):
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((400, shape.features))
    if shape.features > 1:
        rows[:, 1] = 0.5 * rows[:, 1] + rows[:, 0] ** 2 - 1
    learner = FlowLearner(rows[:300], rows[300:], shape, 5e-3, 0.0, 100, rng, torch.device("cpu"))
    losses = [learner.epoch(np.random.default_rng(epoch)) for epoch in range(epochs)]
    return learner, losses


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_there_and_back(shape):
    weights = trained(shape)[0].weights()
    noise = np.random.default_rng(1).standard_normal((50, shape.features))
    np.testing.assert_allclose(to_noise(weights, shape, from_noise(weights, shape, noise)), noise, atol=1e-8)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_density_is_that_of_the_noise_times_the_jacobian(shape):
    learner, _ = trained(shape)
    rows = np.random.default_rng(2).standard_normal((6, shape.features))
    transform = learner.flow().transform
    for row, density in zip(torch.tensor(rows), log_density(learner.weights(), shape, rows), strict=True):
        jacobian = torch.autograd.functional.jacobian(transform, row)
        noise = transform(row).detach()
        normal = -0.5 * (noise**2).sum() - 0.5 * shape.features * np.log(2 * np.pi)
        assert density == pytest.approx(float(normal + torch.linalg.slogdet(jacobian)[1]), abs=1e-8)


@pytest.mark.parametrize("family", ["maf", "nsf"])
def test_it_learns_what_a_normal_distribution_misses(family):
    _, losses = trained(Shape(family, 2, 2, (32,)), 25)
    assert losses[-1]["validation"] < losses[0]["validation"] - 0.2


def test_state_goes_in_and_out():
    shape = SHAPES[0]
    whole, _ = trained(shape, 3)
    stopped, _ = trained(shape, 1)
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((400, 3))
    rows[:, 1] = 0.5 * rows[:, 1] + rows[:, 0] ** 2 - 1
    resumed = FlowLearner(
        rows[:300], rows[300:], shape, 5e-3, 0.0, 100, np.random.default_rng(9), torch.device("cpu")
    )
    resumed.load(stopped.state())
    for epoch in (1, 2):
        resumed.epoch(np.random.default_rng(epoch))
    for name, values in whole.state().items():
        np.testing.assert_array_equal(resumed.state()[name], values, err_msg=name)


def test_weights_of_another_shape_are_refused():
    with repeatable():
        weights = prefixed("flow", module_arrays(build(SHAPES[0], np.random.default_rng(0))))
    with pytest.raises(ValueError, match="does not fit"):
        from_noise(weights, Shape("maf", 3, 2, (17,)), np.zeros((1, 3)))
