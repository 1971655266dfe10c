"""Every guard fires where it must, and only there."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from compress_mpi.methods.enhancement.choose import enhance
from compress_mpi.methods.enhancement.guards import FIGURES, REASONS, build_guard, judge, screen
from compress_mpi.methods.enhancement.kde import KDE, KDESettings
from compress_mpi.methods.enhancement.mix import Mix, MixSettings
from compress_mpi.methods.enhancement.verdict import GeneratorRefused
from compress_mpi.parallel.serial import SerialTeam
from enhancement_tools import Table, guarded, scaled, smooth_prior

PRIOR = smooth_prior()
SUMS = PRIOR.sum(axis=(1, 2))[:, None]
BASIS, GUARD = guarded(PRIOR, SUMS)
NAMES = list(FIGURES)


def reasons_of(weights, guard=GUARD):
    return [REASONS[number] for number in judge(screen(np.atleast_2d(weights), guard), guard)]


def far(component, z):
    point = np.zeros((1, BASIS.n_components))
    point[0, component] = z
    return BASIS.to_weights(point)


@pytest.mark.parametrize(
    "source",
    [
        Mix(120, MixSettings("difference"), 1),
        Mix(120, MixSettings("convex"), 1),
        Mix(120, MixSettings("both"), 1),
        KDE(BASIS, KDESettings(), 1),
        Table(scaled(BASIS, 1.0, 400)),
        Table(scaled(BASIS, 1.1, 400)),
    ],
    ids=["mix", "convex", "both", "kde", "gauss", "a little wide"],
)
def test_sound_generators_pass(source):
    found = enhance(source, GUARD, 300, SerialTeam())
    assert len(found.numbers) == 300
    assert all(check.passed for check in found.checks)
    assert set(judge(found.figures[found.numbers], GUARD)) == {0}


@pytest.mark.parametrize("n_rep", [12, 30])
def test_sound_generators_pass_with_few_replicas(n_rep):
    prior = smooth_prior(n_rep)
    basis, guard = guarded(prior)
    for source in (Mix(n_rep, MixSettings(), 1), KDE(basis, KDESettings(), 1)):
        assert len(enhance(source, guard, 60, SerialTeam()).numbers) == 60


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(bad):
    row = far(0, 0.5)[0]
    row[7] = bad
    assert reasons_of(row) == ["not finite"]
    assert reasons_of(far(0, 0.5)) == ["accepted"]
    figures = screen(row[None], GUARD)
    assert np.isnan(figures[0, 1:-1]).all(), "no figure is made of what is no number"


def test_overflow_is_not_finite():
    assert reasons_of(np.full(120, 1e308)) == ["not finite"]


def test_sum_of_weights():
    assert reasons_of(far(1, 0.4) + 1e-11 / 120) == ["accepted"]
    assert reasons_of(far(1, 0.4) + 1e-9 / 120) == ["weights do not sum to 1"]


def test_tails():
    assert reasons_of(far(0, 20.0)) == ["tails"]
    last = BASIS.n_components - 1
    assert reasons_of(far(last, GUARD.tail * 1.01)) == ["tails"], (
        "small components count as much as large ones"
    )
    many = np.full((1, BASIS.n_components), np.sqrt(GUARD.distance) * 1.01)
    assert many.max() < GUARD.tail
    assert reasons_of(BASIS.to_weights(many)) == ["tails"]


def test_envelope():
    assert reasons_of(far(0, 2.0)) == ["accepted"]
    assert reasons_of(far(0, 7.5)) == ["envelope"]
    column = NAMES.index("envelope")
    flat = PRIOR.reshape(120, -1)
    row = far(0, 4.0)
    new = row @ flat
    wanted = (np.maximum(new - flat.max(axis=0), flat.min(axis=0) - new) / flat.std(axis=0)).max()
    assert screen(row, GUARD)[0, column] == pytest.approx(wanted)


def test_positivity_is_relative_to_the_prior():
    # moved so that the lowest replica is just positive: further down is negative
    prior = PRIOR - 0.999 * PRIOR.min(axis=0)
    _, guard = guarded(prior)
    assert guard.positive.all()
    inside, outside = np.zeros(120), np.zeros(120)
    inside[4] = 1.0
    inside += 1e-3 * (np.eye(120)[5] - np.eye(120)[6])
    low = prior[:, 0, 0].argmin(), prior[:, 0, 0].argmax()
    outside[low[0]], outside[low[1]] = 1.7, -0.7
    assert reasons_of(inside, guard) == ["accepted"]
    figures = dict(zip(NAMES, screen(outside[None], guard)[0], strict=True))
    assert figures["negative_depth"] > 0.5
    assert figures["negative_share"] > 0.0
    depth = figures | {"negative_depth": guard.depth * 1.01, "envelope": 0.0, "sum_rules": 0.0, "tail": 1.0}
    depth |= {"distance": 1.0, "neighbour": 1.0, "negative_share": 0.1}
    table = np.array([list(depth.values())])
    assert REASONS[judge(table, guard)[0]] == "positivity"
    table[0, NAMES.index("negative_depth")] = guard.depth
    assert REASONS[judge(table, guard)[0]] == "accepted"
    table[0, NAMES.index("negative_share")] = 0.26
    assert REASONS[judge(table, guard)[0]] == "positivity"
    # a prior that is negative there itself asks for nothing
    _, free = guarded(PRIOR - PRIOR.mean(axis=0))
    assert not free.positive.any()
    assert screen(outside[None], free)[0, NAMES.index("negative_depth")] == 0.0


def test_sum_rules_in_the_range_of_the_prior():
    sums = np.random.default_rng(0).normal(1.0, 0.001, size=(120, 1))
    guard = build_guard(PRIOR, BASIS, sums)
    high, low = sums.argmax(), sums.argmin()
    row = np.full(120, 1 / 120)
    row[0] += 0.1
    row[1] -= 0.1
    assert reasons_of(row, guard) == ["accepted"]
    reach = (sums.max() - sums.mean() + 1.5 * sums.std()) / (sums[high, 0] - sums[low, 0])
    row = np.full(120, 1 / 120)
    row[high] += reach
    row[low] -= reach
    assert reasons_of(row, guard) == ["sum rules"]
    assert reasons_of(row) == ["accepted"], "nothing else is wrong with it"


def test_copies_and_repeats():
    one = far(0, 0.3)[0]
    assert reasons_of(np.array([one, np.eye(120)[3], one, far(0, 0.31)[0]])) == [
        "accepted",
        "a replica of the prior",
        "repeated",
        "accepted",
    ]


def refusal(weights, n=None, guard=GUARD):
    with pytest.raises(GeneratorRefused) as caught:
        enhance(Table(weights), guard, n or len(weights) - 40, SerialTeam())
    return caught.value


def test_too_many_rejections_are_refused_with_the_figure():
    weights = scaled(BASIS, 1.0, 300)
    weights[::3] = np.nan
    error = refusal(weights)
    assert error.check.name == "rejected"
    assert error.exit_code == 8
    said = str(error)
    for word in ("generator flow", "rejected is 0.33", "at most 0.269", "not finite 100", "Take generator"):
        assert word in said
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.check) == (said, error.check)


def test_memorised_replicas_are_refused():
    rng = np.random.default_rng(0)
    parents = rng.integers(120, size=300)
    near = BASIS.coordinates[parents] + 0.01 * rng.normal(size=(300, BASIS.n_components))
    assert refusal(BASIS.to_weights(near, parents)).check.name == "neighbour"


def test_a_generator_that_repeats_itself_is_refused():
    error = refusal(np.repeat(scaled(BASIS, 1.0, 20), 15, axis=0))
    assert error.check.name == "rejected"
    assert "repeated 280" in str(error)


def test_collapse_to_few_modes_is_refused():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(2, BASIS.n_components))
    centres = np.concatenate([centres, -centres])
    z = centres[rng.integers(4, size=300)] + 0.02 * rng.normal(size=(300, BASIS.n_components))
    assert refusal(BASIS.to_weights(z)).check.name == "modes"


def test_collapse_to_the_mean_is_refused():
    error = refusal(scaled(BASIS, 0.2, 300))
    assert error.check.name == "spread"
    assert error.check.value < 0.3
    assert "at least" in str(error)


def test_over_dispersion_is_refused():
    error = refusal(scaled(BASIS, 1.6, 1500), 900)
    assert error.check.name == "spread"
    assert error.check.value > 1.4
    assert "at most" in str(error)
    assert refusal(scaled(BASIS, 4.0, 300), 200).check.name == "rejected"


def test_a_shifted_mean_is_refused():
    assert refusal(scaled(BASIS, 0.8, 300, shift=0.8), 200).check.name == "shift"


def test_negative_sets_are_refused():
    # positive at every point, close to zero, so that every normal candidate is negative somewhere
    lifted = np.exp(1.5 * (PRIOR - PRIOR.mean(axis=0)) / PRIOR.std(axis=0))
    basis, guard = guarded(lifted)
    error = refusal(scaled(basis, 1.0, 600), 300, guard)
    assert error.check.name in ("negative", "rejected")
    assert "positiv" in str(error)


def test_too_few_candidates():
    error = refusal(scaled(BASIS, 1.0, 100), 101)
    assert "let the generator draw more" in str(error)
    with pytest.raises(ValueError, match="at least 2"):
        enhance(Table(scaled(BASIS, 1.0, 100)), GUARD, 1, SerialTeam())


def test_more_rounds_take_the_first_good_candidates():
    weights = scaled(BASIS, 1.0, 1200)
    weights[100:300] = np.nan
    source = Table(weights)
    found = enhance(source, GUARD, 900, SerialTeam())
    good = [n for n in range(len(found.reasons)) if found.reasons[n] == 0]
    np.testing.assert_array_equal(found.numbers, good[:900])
    assert found.rejected["not finite"] == 200
    np.testing.assert_array_equal(found.weights(range(3, 7)), weights[found.numbers[3:7]])
    np.testing.assert_array_equal(found.values(PRIOR, range(70, 200)), found.values(PRIOR)[70:200])
