"""Laws of the flows over table columns: map, density, hand-written gradient, training and its restarts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

for _needed in ("torch", "zuko"):
    pytest.importorskip(_needed, reason=f"{_needed} is not installed (pip install 'compress-mpi[ml]')")

import torch  # noqa: E402

from compress_mpi.models import affine_loss, likelihood  # noqa: E402
from compress_mpi.models.affine import AffineFlow  # noqa: E402
from compress_mpi.models.arrays import module_arrays  # noqa: E402
from compress_mpi.models.flows import (  # noqa: E402
    PUBLISHED,
    FlowSpec,
    Schedule,
    build_flow,
    count_weights,
    fit_flow,
    flow_loss,
    from_latent,
    log_density,
    to_latent,
)
from compress_mpi.models.made import Layout  # noqa: E402
from compress_mpi.models.training import Hooks, TrainingFailed, prefixed  # noqa: E402
from compress_mpi.parallel.serial import SerialTeam  # noqa: E402

SPECS = [
    FlowSpec("maf", 3, 2, 16),
    FlowSpec("maf", 1, 2, 8),
    FlowSpec("maf", 7, 2, 5, blocks=1, permutation="reverse"),
    FlowSpec("nsf", 3, 2, 16, bins=4),
    FlowSpec("nsf", 1, 1, 8),
]
TINY = FlowSpec("maf", 3, 2, 8)
SCHEDULE = Schedule(5e-3, batch=1024, epochs=6, plateau=1)


def rows_of(n: int, features: int = 3, seed: int = 0):
    rows = np.random.default_rng(seed).standard_normal((n, features))
    if features > 1:
        rows[:, 1] = 0.5 * rows[:, 1] + rows[:, 0] ** 2 - 1
    return rows


def drawn(spec: FlowSpec, seed: int = 5):
    """Weights away from the identity."""
    flow = build_flow(spec, np.random.default_rng(seed))
    with torch.no_grad():
        for weights in flow.parameters():
            weights.mul_(1.5)
    return prefixed("flow", module_arrays(flow))


def fitted(spec=TINY, schedule=SCHEDULE, **options):
    rows = rows_of(2500, spec.features)
    return fit_flow(rows[:2000], rows[2000:], spec, schedule, 3, device="cpu", **options)


def same_training(one, other):
    assert one.best_epoch == other.best_epoch
    for name, losses in one.losses.items():
        np.testing.assert_array_equal(other.losses[name], losses)
    for name, array in one.snapshot.items():
        np.testing.assert_array_equal(other.snapshot[name], array, err_msg=name)


def test_the_published_models_have_the_published_numbers_of_weights():
    assert {name: count_weights(spec) for name, (spec, _) in PUBLISHED.items()} == {
        "model1": 104_880,
        "model2": 18_592,
    }


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_there_and_back(spec):
    weights, latents = drawn(spec), rows_of(40, spec.features)
    rows = from_latent(weights, spec, latents)
    np.testing.assert_allclose(to_latent(weights, spec, rows), latents, atol=1e-9)


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_density_is_that_of_the_latents_times_the_jacobian(spec):
    weights, rows = drawn(spec), rows_of(3, spec.features)
    step = 1e-6
    for row, density in zip(rows, log_density(weights, spec, rows), strict=True):
        ends = [to_latent(weights, spec, row + sign * step * np.eye(spec.features)) for sign in (1, -1)]
        jacobian = (ends[0] - ends[1]) / (2 * step)
        latent = to_latent(weights, spec, row[None])
        normal = -0.5 * (latent**2 + np.log(2 * np.pi)).sum()
        assert density == pytest.approx(normal + np.linalg.slogdet(jacobian)[1], abs=1e-5)


def test_a_latent_depends_on_its_own_column_and_on_those_before_it_only():
    spec = FlowSpec("maf", 5, 1, 16, dtype="float64")
    flow = build_flow(spec, np.random.default_rng(1))
    jacobian = torch.autograd.functional.jacobian(
        lambda row: flow(row[None])[0][0], torch.tensor(rows_of(1, 5)[0])
    )
    order = flow.orders[0].numpy()
    np.testing.assert_array_equal(jacobian.numpy() != 0, order[:, None] >= order)


def test_it_is_the_map_of_the_published_library():
    """Log-densities of nflows 0.14 with these weights: a random permutation and a masked affine layer, three times."""
    spec = FlowSpec("maf", 4, 3, 8, dtype="float64")
    weights = {
        "flow/weights": 0.5 * np.sin(1.7 * np.arange(Layout(4, 3, 8, 2).size) + 0.3),
        "flow/orders": np.array([[1, 3, 0, 2], [0, 1, 2, 3], [3, 2, 1, 0]]),
    }
    rows = 1.5 * np.cos(2.3 * np.arange(20)).reshape(5, 4)
    published = [
        -10.274924928352526,
        -11.007216578675745,
        -10.860721454983493,
        -10.689590548597808,
        -10.790792158591477,
    ]
    np.testing.assert_allclose(log_density(weights, spec, rows), published, rtol=1e-12)
    latent = [1.8523655901728968, -0.8802541825224643, -0.5830162112694641, 1.1533392859174647]
    np.testing.assert_allclose(to_latent(weights, spec, rows[:1])[0], latent, rtol=1e-12)


@given(
    layout=st.builds(Layout, st.integers(1, 6), st.integers(1, 3), st.integers(1, 9), st.integers(1, 3)),
    n=st.integers(1, 30),
    tile=st.integers(1, 30),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_the_fast_loss_is_the_readable_one(layout, n, tile, seed):
    flow = AffineFlow(layout, np.random.default_rng(seed), "random", torch.float64)
    rows = torch.tensor(rows_of(n, layout.features, seed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(affine_loss, "_TILE", tile)
        fast = affine_loss.AffineLoss(flow)(rows)
        (gradient,) = torch.autograd.grad(fast, flow.weights)
    latents, determinant = flow(rows)
    readable = (0.5 * (latents.square() + np.log(2 * np.pi)).sum(1) - determinant).mean()
    (expected,) = torch.autograd.grad(readable, flow.weights)
    torch.testing.assert_close(fast, readable, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-11)


def test_in_single_precision_too_with_large_tiles():
    rows = torch.tensor(rows_of(1500, 4))
    double, single = (
        build_flow(FlowSpec("maf", 4, 2, 32, dtype=d), np.random.default_rng(2))
        for d in ("float64", "float32")
    )
    (expected,) = torch.autograd.grad(flow_loss(double)(rows), double.parameters())
    (gradient,) = torch.autograd.grad(flow_loss(single)(rows.float()), single.parameters())
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-3, atol=2e-6)


def test_the_gradient_reaches_every_weight_that_is_kept_and_no_other():
    flow, rows = build_flow(SPECS[0], np.random.default_rng(0)), torch.tensor(rows_of(200)).float()
    reached = torch.zeros(len(flow.mask), dtype=torch.bool)
    for seed in range(12):  # a unit may be off for all rows under some weights
        with torch.no_grad():
            flow.weights.copy_(torch.tensor(flow.layout.draw(np.random.default_rng(seed))))
        (gradient,) = torch.autograd.grad(flow_loss(flow)(rows), flow.parameters())
        reached |= gradient != 0
    torch.testing.assert_close(reached, flow.mask != 0)


@pytest.mark.parametrize("spec", [TINY, FlowSpec("nsf", 3, 1, 8, bins=4)], ids=str)
def test_a_stop_after_any_epoch_changes_no_bit(spec):
    # so slow that every epoch counts as one without progress
    schedule = replace(SCHEDULE, rate=1e-6, floor=0.0, epochs=6)
    whole = fitted(spec, schedule)
    assert whole.snapshot["learner/schedule/rate"] < schedule.rate  # the schedule is part of what goes on
    for stop in (1, 4):
        done = []
        hooks = Hooks(
            report=lambda *told, done=done: done.append(told), should_stop=lambda d=done, s=stop: len(d) >= s
        )
        first = fitted(spec, schedule, hooks=hooks)
        assert not first.finished
        same_training(whole, fitted(spec, schedule, snapshot=first.snapshot))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_any_number_of_workers_gives_the_same_bits(workers):
    def combine(function, numbers):
        shares = [[(n, function(n)) for n in numbers[worker::workers]] for worker in reversed(range(workers))]
        return [
            part for _, part in sorted((pair for share in shares for pair in share), key=lambda pair: pair[0])
        ]

    schedule = replace(SCHEDULE, epochs=2)
    same_training(fitted(schedule=schedule), fitted(schedule=schedule, combine=combine))
    same_training(fitted(schedule=schedule), fitted(schedule=schedule, combine=SerialTeam().map))


def test_shards_are_cut_and_sum_to_the_gradient_of_the_batch(monkeypatch):
    asked = []

    def combine(function, numbers):
        asked.append(len(numbers))
        return [function(number) for number in numbers]

    one, several = (fitted(schedule=replace(SCHEDULE, epochs=1, shards=n), combine=combine) for n in (1, 3))
    assert asked == [1, 1, 1, 3, 3, 1]
    assert several.losses["train"] == pytest.approx(one.losses["train"], rel=1e-5)
    assert several.losses["validation"] == pytest.approx(one.losses["validation"], rel=1e-4)
    monkeypatch.setattr(likelihood, "_LEAST", 1000)
    fitted(schedule=replace(SCHEDULE, epochs=1, shards=3), combine=combine)
    assert asked[6:] == [1, 1, 1]


def test_training_stops_early_and_keeps_the_best_weights():
    rows = rows_of(60)
    schedule = Schedule(5e-2, batch=30, epochs=400, stop=8)
    spec = FlowSpec("maf", 3, 2, 32)
    training = fit_flow(rows[:30], rows[30:], spec, schedule, 1, device="cpu")
    judged = training.losses["validation"]
    assert training.finished
    assert len(judged) == training.best_epoch + 8 < 400
    assert training.best_epoch == 1 + np.argmin(judged)
    assert -log_density(training.weights, spec, rows[30:]).mean() == pytest.approx(judged.min(), abs=1e-4)


def test_the_rate_falls_when_nothing_gets_better_and_not_below_its_floor():
    flow = build_flow(TINY, np.random.default_rng(0))
    learner = likelihood.LikelihoodLearner(
        rows_of(50),
        rows_of(20),
        flow,
        lambda rows: (0.0 * flow.weights).sum() + 1.0,
        torch.optim.Adam(flow.parameters(), 1e-3),
        50,
        schedule=likelihood.plateau(2, 0.5, 3e-4),
    )
    rates = []
    for epoch in range(10):
        learner.epoch(np.random.default_rng(epoch))
        rates.append(learner.rate)
    assert rates == [1e-3] * 3 + [5e-4] * 3 + [3e-4] * 4


@pytest.mark.parametrize("spec", [TINY, FlowSpec("nsf", 3, 1, 16, bins=4)], ids=str)
def test_it_learns_what_a_normal_distribution_misses(spec):
    training = fitted(spec, replace(SCHEDULE, rate=2e-2, batch=250, epochs=8, plateau=10))
    assert training.losses["validation"][-1] < training.losses["validation"][0] - 0.1


BAD_ROWS = {
    "shape": (rows_of(20, 4), rows_of(5), r"training rows have shape \(20, 4\); expected \(rows, 3\)"),
    "one-dimensional": (rows_of(20), np.zeros(5), r"validation rows have shape \(5,\)"),
    "none": (rows_of(0), rows_of(5), "no training rows"),
    "nan": (
        np.where(np.arange(60).reshape(20, 3) == 31, np.nan, 1.0),
        rows_of(5),
        "nan in row 10, column 1, and 1",
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_rows_that_do_not_fit_are_refused(case):
    learn, judge, message = BAD_ROWS[case]
    with pytest.raises(ValueError, match=message):
        fit_flow(learn, judge, TINY, SCHEDULE, 1, device="cpu")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FlowSpec("glow", 3, 1, 8), "family: expected maf or nsf, got 'glow'"),
        (lambda: FlowSpec("maf", 3, 1, 8, dtype="float16"), "dtype: expected float32 or float64"),
        (lambda: FlowSpec("maf", 0, 1, 8), "features: expected 1 or more, got 0"),
        (lambda: Schedule(batch=0), "batch: expected 1 or more, got 0"),
        (lambda: Schedule(factor=1.0), "factor between 0 and 1"),
        (lambda: Schedule(stop=0), "stop: expected 1 or more"),
    ],
)
def test_settings_of_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_of_another_flow_are_refused():
    with pytest.raises(ValueError, match="does not fit"):
        to_latent(drawn(TINY), replace(TINY, hidden=9), rows_of(2))


def test_a_rate_far_too_high_ends_with_a_message():
    with pytest.raises(TrainingFailed, match="lower the learning rate"):
        fitted(schedule=replace(SCHEDULE, rate=1e30))
