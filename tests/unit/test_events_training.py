"""Training of the tiny flow: its gradient, its course, and going on where it was stopped."""

import numpy as np
import pytest

from compress_mpi.methods.events.basis import interval_weights
from compress_mpi.methods.events.tinyflow import Shape
from compress_mpi.methods.events.training import Course, TinyFlowLearner
from compress_mpi.models.training import train

ROWS = 200


def learner(relative=True, epochs=6, rows=ROWS):
    """Slots that follow the one feature, or the slot of the row before."""
    rng = np.random.default_rng(3)
    shape = Shape(1, 3, 8, relative)
    low = rng.integers(0, 255, ROWS)
    reference = (low - rng.integers(0, 4, ROWS)) % 256
    features = np.stack([low / 128 - 1, rng.normal(size=ROWS), rng.normal(size=ROWS)], axis=1)
    interval = interval_weights(shape, low, low + 1, reference)
    course = Course(epochs, 64, 0.02)
    return TinyFlowLearner(
        shape, features.astype(np.float32), interval, rows, course, np.random.default_rng(1)
    ), (
        features,
        interval,
    )


def rng_of(epoch):
    return np.random.default_rng(epoch)


@pytest.mark.parametrize("relative", [False, True])
def test_the_gradient_is_that_of_the_loss(relative):
    one, (features, interval) = learner(relative)
    weights = [weight.astype(np.float64) for weight in one.weights().values()]
    gradient = one.loss(features, interval, weights)[1]
    step = 1e-6
    for number, weight in enumerate(weights):
        for place in range(0, weight.size, max(1, weight.size // 5)):
            changed = []
            for sign in (1, -1):
                moved = [part.copy() for part in weights]
                moved[number].flat[place] += sign * step
                changed.append(one.loss(features, interval, moved)[0])
            slope = (changed[0] - changed[1]) / (2 * step)
            assert gradient[number].flat[place] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_training_finds_what_there_is_to_find():
    flat = train(learner(False, 60, 10**5)[0], 60, rng_of).losses["bits"]
    near = train(learner(True, 60, 10**5)[0], 60, rng_of).losses["bits"]
    # of 8 bits: the feature tells some, and the row before all but two
    assert flat[0] > 7.5
    assert flat[-1] < flat[0] - 0.8
    assert near[-1] < 2.5


def test_weights_that_are_not_worth_their_bits_vanish():
    dear, cheap = (learner(rows=rows)[0] for rows in (20, 10**6))
    for one in (dear, cheap):
        train(one, 60, rng_of)
    assert np.count_nonzero(dear.net().numbers) < 0.6 * np.count_nonzero(cheap.net().numbers)


def test_a_stopped_training_ends_with_the_same_bits():
    whole = train(learner()[0], 6, rng_of)
    part = train(learner()[0], 2, rng_of)
    on = train(learner()[0], 6, rng_of, snapshot=part.snapshot)
    assert all(np.array_equal(whole.weights[name], on.weights[name]) for name in whole.weights)
    assert np.array_equal(whole.losses["bits"], on.losses["bits"])


def test_numbers_of_the_network_fit_a_byte():
    one = learner()[0]
    one.load({**one.state(), "weights/0": np.full((3, 3), 1e9)})
    assert np.abs(one.net().numbers).max() == 127
