"""The training loop: what it keeps, when it ends, and that a stop anywhere changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from compress_mpi.models.training import Hooks, TrainingFailed, prefixed, stripped, train


class Walker:
    """Its loss falls until the epoch ``turn``, then rises; every epoch depends on the last and on chance."""

    def __init__(self, turn: int = 6) -> None:
        self.place, self.count, self.turn = np.zeros(3), 0, turn

    def epoch(self, rng):
        self.count += 1
        self.place = 0.9 * self.place + rng.standard_normal(3)
        return {"train": float(self.place.sum()), "held": float(abs(self.count - self.turn))}

    def weights(self):
        return {"place": self.place.copy()}

    def state(self):
        return {"place": self.place.copy(), "count": np.array(self.count)}

    def load(self, state):
        self.place, self.count = np.array(state["place"]), int(state["count"])


def rng_of(epoch):
    return np.random.default_rng([7, epoch])


def test_the_best_weights_are_kept_and_patience_ends_it():
    places = []
    learner = Walker(turn=6)
    hooks = Hooks(report=lambda done, total, losses: places.append(learner.place.copy()))
    training = train(learner, 50, rng_of, watch="held", patience=3, hooks=hooks)
    assert training.finished
    assert training.best_epoch == 6
    assert len(training.losses["held"]) == 9
    np.testing.assert_array_equal(training.weights["place"], places[5])


def test_without_a_watched_loss_the_last_weights_are_kept():
    learner = Walker()
    training = train(learner, 8, rng_of)
    assert training.best_epoch == 8
    np.testing.assert_array_equal(training.weights["place"], learner.place)


@pytest.mark.parametrize("stop", range(9))
def test_a_stop_after_any_epoch_changes_no_bit(stop):
    whole = train(Walker(), 50, rng_of, watch="held", patience=3)
    done = []
    hooks = Hooks(report=lambda *told: done.append(told), should_stop=lambda: len(done) >= stop)
    first = train(Walker(), 50, rng_of, watch="held", patience=3, hooks=hooks)
    assert not first.finished
    assert len(done) == stop
    second = train(Walker(), 50, rng_of, watch="held", patience=3, snapshot=first.snapshot)
    for name, losses in whole.losses.items():
        np.testing.assert_array_equal(second.losses[name], losses)
    np.testing.assert_array_equal(second.weights["place"], whole.weights["place"])
    assert (second.finished, second.best_epoch) == (True, whole.best_epoch)


def test_a_snapshot_between_epochs_is_as_good():
    taken = []
    hooks = Hooks(save=lambda snapshot: taken.append(snapshot()))
    whole = train(Walker(), 5, rng_of, hooks=hooks)
    again = train(Walker(), 5, rng_of, snapshot=taken[2])
    np.testing.assert_array_equal(again.weights["place"], whole.weights["place"])
    np.testing.assert_array_equal(again.losses["train"], whole.losses["train"])


def test_a_loss_that_is_not_finite_ends_it():
    class Diverging(Walker):
        def epoch(self, rng):
            return {"train": float("nan") if super().epoch(rng) and self.count == 3 else 1.0}

    with pytest.raises(TrainingFailed, match=r"epoch 3: the loss 'train' is nan.*learning rate"):
        train(Diverging(), 5, rng_of)


def test_prefixes_come_off_again():
    arrays = {"a": np.ones(2), "b/c": np.zeros(1)}
    assert stripped("x", {**prefixed("x", arrays), **prefixed("xx", arrays)}).keys() == arrays.keys()
