"""Generator, critic, and the signs of the game between them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (pip install 'compress-mpi[ml]')")

from compress_mpi.models import arrays  # noqa: E402
from compress_mpi.models.gan import Game, GanLearner, generate, gradient_penalty  # noqa: E402
from compress_mpi.models.players import Critic, Generator  # noqa: E402
from compress_mpi.models.specification import (  # noqa: E402
    ACTIVATIONS,
    BIAS_INITIALIZERS,
    INITIALIZERS,
    OPTIMIZERS,
    Network,
    Optimizer,
)

SMALL = Network((12, 6))
CPU = torch.device("cpu")
REAL = np.array([2.0, 0.0, -1.0])
GAME = Game(2, 1, 16, 2, 10.0, None, 0.9)


def latent(n, rng):
    return rng.standard_normal((n, 3))


def learner(game=GAME, optimizer="SGD", rate=1e-2, networks=(SMALL, SMALL), profile=None, seed=0):
    data = np.random.default_rng(1).standard_normal((64, 3)) + REAL
    choice = Optimizer(optimizer, rate)
    return GanLearner(
        data, networks, (choice, choice), game, latent, np.random.default_rng(seed), CPU, profile
    )


def batch(shift=0.0, seed=2, n=256):
    return torch.tensor(np.random.default_rng(seed).standard_normal((n, 3)) + shift, dtype=torch.float32)


def scores(one, real, noise):
    with torch.no_grad():
        return float(one.critic(real).mean()), float(one.critic(one.generator(noise)).mean())


def test_a_step_of_the_critic_lowers_the_generated_relative_to_the_real():
    one, real, noise = learner(Game(1, 1, 16, 1, 0.0, None, 0.9)), batch(2.0), batch(seed=3)
    before = scores(one, real, noise)
    one.critic_step(real, noise, torch.rand(256, 1, generator=torch.Generator().manual_seed(0)))
    after = scores(one, real, noise)
    assert after[0] - after[1] > before[0] - before[1] + 1e-4


def test_a_step_of_the_generator_raises_the_score_of_the_generated_and_leaves_the_critic_alone():
    one, real, noise = learner(), batch(2.0), batch(seed=3)
    for _ in range(20):
        one.critic_step(real, noise, torch.full((256, 1), 0.5))
    held = {name: values.copy() for name, values in arrays.module_arrays(one.critic).items()}
    before = scores(one, real, noise)
    told = float(one.generator_step(noise))
    after = scores(one, real, noise)
    assert told == pytest.approx(-before[1], abs=1e-6)
    assert after[1] > before[1] + 1e-5
    assert after[0] == before[0]
    for name, values in arrays.module_arrays(one.critic).items():
        np.testing.assert_array_equal(values, held[name])


def test_the_game_moves_the_generated_to_the_real():
    """From 2.2 away; a generator with the sign of the published program goes the other way."""
    one = learner(Game(4, 1, 32, 4, 10.0, None, 0.5), "Adam", 3e-3)
    for epoch in range(30):
        one.epoch(np.random.default_rng([5, epoch]))
    made = generate(one.weights(), SMALL, latent(2000, np.random.default_rng(6)))
    assert np.linalg.norm(made.mean(axis=0) - REAL) < 1.2
    assert 0.5 < made.std(axis=0).mean() < 1.6


def test_penalty_of_a_linear_critic_is_known():
    slope = torch.tensor([[3.0], [0.0], [4.0]])
    value = gradient_penalty(lambda x: (x @ slope)[:, 0], batch(), batch(seed=9), torch.rand(256, 1))
    assert float(value) == pytest.approx((5.0 - 1.0) ** 2, rel=1e-6)


def test_penalty_agrees_with_finite_differences_at_the_points_between():
    with arrays.seeded(np.random.default_rng(4)):
        critic = Critic(3, Network((8,), "elu")).double()
    real, fake = batch(1.0, n=5).double(), batch(seed=8, n=5).double()
    mix = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    between, step, slopes = mix * real + (1 - mix) * fake, 1e-5, []
    with torch.no_grad():
        for k in range(3):
            move = torch.zeros(3, dtype=torch.float64)
            move[k] = step
            slopes.append((critic(between + move) - critic(between - move)) / (2 * step))
    by_hand = ((torch.stack(slopes, 1).norm(dim=1) - 1) ** 2).mean()
    assert float(gradient_penalty(critic, real, fake, mix).detach()) == pytest.approx(
        float(by_hand), rel=1e-7
    )


def test_penalty_trains_the_critic_towards_slope_one():
    one, real, noise = learner(Game(1, 1, 16, 1, 100.0, None, 0.9), "Adam", 1e-2), batch(2.0), batch(seed=3)
    mix = torch.rand(256, 1, generator=torch.Generator().manual_seed(0))
    first = float(one.critic_step(real, noise, mix)[2])
    for _ in range(100):
        last = float(one.critic_step(real, noise, mix)[2])
    assert last < 0.1 < first


def test_weights_of_the_critic_are_clipped():
    one = learner(Game(1, 1, 16, 1, 0.0, 0.01, 0.9), "Adam", 0.1)
    one.epoch(np.random.default_rng(0))
    assert max(float(p.detach().abs().max()) for p in one.critic.parameters()) <= 0.01
    assert max(float(p.detach().abs().max()) for p in one.generator.parameters()) > 0.01


@pytest.mark.parametrize("convolutional", [False, True])
def test_training_starts_from_the_latent(convolutional):
    profile = np.random.default_rng(0).standard_normal((3, 4, 9)) if convolutional else None
    one = learner(profile=profile)
    noise = batch()
    assert torch.equal(one.generator(noise), noise)
    assert one.critic(noise).shape == (256,)
    one.epoch(np.random.default_rng(0))
    assert not torch.equal(one.generator(noise), noise), "it did not learn"
    made = generate(one.weights(), SMALL, noise.double().numpy(), profile)
    assert made.shape == noise.shape
    assert made.dtype == np.float64


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_goes_in_and_out_for_every_optimizer(name):
    whole, stopped, resumed = (learner(optimizer=name, seed=seed) for seed in (0, 0, 1))
    for epoch in range(3):
        whole.epoch(np.random.default_rng(epoch))
    stopped.epoch(np.random.default_rng(0))
    resumed.load(stopped.state())
    for epoch in (1, 2):
        told = resumed.epoch(np.random.default_rng(epoch))
    assert set(told) == {"rdloss", "fdloss", "gploss", "advloss"}
    expected, found = whole.state(), resumed.state()
    assert expected.keys() == found.keys()
    for key in expected:
        np.testing.assert_array_equal(found[key], expected[key], err_msg=key)


def test_a_state_of_another_network_is_refused():
    with pytest.raises(ValueError, match=r"does not fit.*\(12, 3\).*\(7, 3\)"):
        learner(networks=(Network((7, 6)), SMALL)).load(learner().state())
    with pytest.raises(ValueError, match="only in one"):
        learner(networks=(Network((12,)), SMALL)).load(learner().state())


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("bias", BIAS_INITIALIZERS)
def test_every_activation_and_first_bias_works(activation, bias):
    network = Network((4,), activation, True, "glorot_uniform", bias)
    assert torch.isfinite(Critic(3, network)(batch())).all()


@pytest.mark.parametrize("kernel", INITIALIZERS)
def test_first_weights_are_those_asked_for(kernel):
    weight = dict(Critic(3, Network((400,), kernel_initializer=kernel)).named_parameters())["body.0.weight"]
    spread = {
        "zeros": 0.0,
        "ones": 0.0,
        "random_uniform": 0.05 / 3**0.5,
        "random_normal": 0.05,
        "glorot_uniform": (2 / 403) ** 0.5,
        "glorot_normal": (2 / 403) ** 0.5,
        "he_uniform": (2 / 3) ** 0.5,
        "he_normal": (2 / 3) ** 0.5,
    }[kernel]
    assert float(weight.detach().std()) == pytest.approx(spread, rel=0.15, abs=1e-9)


def test_without_biases_there_are_none():
    assert not [n for n, _ in Generator(3, Network((4,), bias=False)).named_parameters() if "bias" in n]


def test_the_world_is_left_as_it_was():
    torch.manual_seed(3)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with arrays.repeatable():
        learner().epoch(np.random.default_rng(0))
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_gpu_that_is_not_there_is_missed():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match=r"expected a GPU.*use 'auto' or 'cpu'"):
        arrays.pick_device("cuda")
    assert arrays.pick_device("auto") == CPU
