"""Trained generators: what surrounds the networks, and that a seed decides every bit."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from compress_mpi.methods.enhancement.flow import FlowSettings, draw_flow, train_flow
from compress_mpi.methods.enhancement.gan import GanSettings, _latent, draw_gan, profile_of, train_gan
from compress_mpi.methods.enhancement.rematch import rematch
from compress_mpi.models.specification import Network

FLOW = FlowSettings(components=3, epochs=4, patience=4, device="cpu")
GAN = GanSettings(generator=Network((8,)), critic=Network((16, 8)), epochs=2, device="cpu")


@pytest.fixture(scope="module")
def prior():
    """Coordinates (200, 5) of heavy tails and unit covariance."""
    rng = np.random.default_rng(0)
    z = rng.standard_t(6, size=(200, 5))
    values, vectors = np.linalg.eigh(np.cov(z, rowvar=False, ddof=0))
    return (z - z.mean(axis=0)) @ (vectors / np.sqrt(values))


def moments(z):
    return z.mean(axis=0), np.cov(z, rowvar=False, ddof=0)


def test_rematch_restores_mean_and_covariance_of_what_is_usable(prior):
    rng = np.random.default_rng(1)
    sample = 0.7 * rng.standard_normal((3000, 5)) @ rng.standard_normal((5, 5)) + 1.0
    sample[:3] = np.array([[np.nan], [np.inf], [1e6]])
    moved = rematch(sample, prior)(sample)
    inside = np.isfinite(moved).all(axis=1)
    inside &= (moved**2).sum(axis=1) <= (prior**2).sum(axis=1).max()
    mean, covariance = moments(moved[inside])
    np.testing.assert_allclose(mean, 0.0, atol=2e-3)
    np.testing.assert_allclose(covariance, np.eye(5), atol=5e-3)
    assert not np.isfinite(moved[:2]).any(), "what is broken stays visible"


def test_rematch_refuses_a_generator_that_failed(prior):
    sample = np.random.default_rng(1).standard_normal((1000, 5))
    sample[:600] = np.nan
    with pytest.raises(ValueError, match="600 of 1000 generated points are not finite"):
        rematch(sample, prior)


@pytest.mark.parametrize("kind", ["normal", "student", "replicas"])
def test_every_latent_has_mean_0_and_covariance_1(prior, kind):
    settings = GanSettings(latent=kind)
    noise = _latent(settings, prior)(200_000, np.random.default_rng(2))
    mean, covariance = moments(noise)
    np.testing.assert_allclose(mean, 0.0, atol=0.02)
    np.testing.assert_allclose(covariance, np.eye(5), atol=0.05)
    kurtosis = (noise**4).mean(axis=0) - 3
    assert (kurtosis > 0.3).all() if kind == "student" else True
    assert (np.abs(kurtosis) < 0.1).all() if kind == "normal" else True


def test_the_profile_gives_a_replica_back(prior):
    values = (prior @ np.random.default_rng(3).standard_normal((5, 12))).reshape(200, 3, 4) + 7.0
    values[:, 0, 0] = 1.0
    profile = profile_of(prior, values)
    assert profile.shape == (5, 3, 4)
    assert not profile[:, 0, 0].any(), "a point where all replicas agree"
    spread = values.std(axis=0)
    again = np.tensordot(prior, profile, 1) * spread + values.mean(axis=0)
    np.testing.assert_allclose(again, values, atol=1e-9)


def test_settings_survive_json():
    import json

    settings = replace(GAN, clip=0.5)
    assert GanSettings.of(json.loads(json.dumps(asdict(settings)))) == settings


TRADES = {
    "flow": (train_flow, draw_flow, FLOW),
    "flow, maf": (train_flow, draw_flow, replace(FLOW, kind="maf", hidden=(8, 8))),
    "flow on all": (train_flow, draw_flow, replace(FLOW, components=20)),
    "gan": (train_gan, draw_gan, GAN),
    "dcnn": (train_gan, draw_gan, replace(GAN, architecture="dcnn")),
}


PROFILE = np.random.default_rng(4).standard_normal((5, 2, 8))


@pytest.fixture(scope="module", params=TRADES)
def trade(request, prior):
    """Training and drawing of one generator with everything but the seed given."""
    for needed in ("torch", "zuko"):
        pytest.importorskip(needed, reason=f"{needed} is not installed (pip install 'compress-mpi[ml]')")
    train, draw, settings = TRADES[request.param]
    return (
        lambda seed: train(prior, settings, seed, profile=PROFILE).weights,
        lambda weights, seed, n: draw(weights, prior, settings, seed, n, profile=PROFILE),
    )


@pytest.fixture(scope="module")
def weights(trade):
    return trade[0](5)


def test_a_seed_decides_every_bit_at_any_number_of_threads(trade, weights):
    import torch

    train, draw = trade
    first, before = draw(weights, 5, 300), torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(before, 2))
        again = train(5)
        second = draw(again, 5, 300)
    finally:
        torch.set_num_threads(before)
    for name, values in weights.items():
        np.testing.assert_array_equal(again[name], values, err_msg=name)
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, draw(weights, 6, 300))


def test_candidates_have_the_moments_of_the_prior_and_are_new(prior, trade, weights):
    made = trade[1](weights, 5, 4000)
    usable = made[np.isfinite(made).all(axis=1)]
    usable = usable[(usable**2).sum(axis=1) <= (prior**2).sum(axis=1).max()]
    assert len(usable) > 3600
    mean, covariance = moments(usable)
    np.testing.assert_allclose(mean, 0.0, atol=0.08)
    np.testing.assert_allclose(covariance, np.eye(5), atol=0.15)
    nearest = np.sqrt(((usable[:200, None] - prior) ** 2).sum(axis=2)).min(axis=1)
    assert np.median(nearest) > 0.1


def test_more_candidates_begin_with_the_same_ones(trade, weights):
    few, many = (trade[1](weights, 5, n) for n in (50, 80))
    np.testing.assert_allclose(many[:50], few, atol=1e-5)


def test_too_few_replicas_for_a_flow_are_refused(prior):
    pytest.importorskip("torch", reason="torch is not installed (pip install 'compress-mpi[ml]')")
    pytest.importorskip("zuko", reason="zuko is not installed (pip install 'compress-mpi[ml]')")
    with pytest.raises(ValueError, match="6 replicas are too few for a flow on 3 components; expected 7"):
        train_flow(prior[:6], FLOW, 0)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FlowSettings(kind="naf"), "kind: expected nsf or maf, got 'naf'"),
        (lambda: GanSettings(latent="uniform"), "latent: expected one of student, normal, replicas"),
        (lambda: GanSettings(architecture="cnn"), "architecture: expected one of dnn, dcnn, got 'cnn'"),
        (lambda: GanSettings(degrees=2), "degrees: expected an integer >= 3, got 2"),
    ],
)
def test_settings_that_mean_nothing_are_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_convolutions_want_functions_of_x(prior):
    pytest.importorskip("torch", reason="torch is not installed (pip install 'compress-mpi[ml]')")
    with pytest.raises(ValueError, match="dcnn needs the values of the prior as functions of x"):
        train_gan(prior, replace(GAN, architecture="dcnn"), 0)
