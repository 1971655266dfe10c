"""A flow's weights in few bytes: the same flow comes back, and the file is a fraction of the published one."""

from __future__ import annotations

import numpy as np
import pytest

from compress_mpi.io.demo_events import demo_jets
from compress_mpi.methods.events.flow_weights import pack_weights, round_weights, unpack_weights
from compress_mpi.methods.events.latent_table import LatentTable, fit_codec
from compress_mpi.methods.events.packing import pack_arrays
from compress_mpi.methods.events.preprocess import Preprocessing, PreprocessSettings
from compress_mpi.methods.events.trained_flow import (
    FlowSpec,
    Schedule,
    TrainedFlow,
    in_few_digits,
    train_flow,
)
from compress_mpi.models.made import Layout

torch = pytest.importorskip("torch")
NAMES = ("pt", "eta", "phi", "m")
SPEC = FlowSpec("maf", 4, 2, 32)


def random_weights(spec, seed=0):
    from compress_mpi.models.arrays import module_arrays
    from compress_mpi.models.flows import build_flow
    from compress_mpi.models.training import prefixed

    return prefixed("flow", module_arrays(build_flow(spec, np.random.default_rng(seed))))


@pytest.fixture(scope="module")
def case():
    rows = demo_jets(3000, np.random.default_rng(0)).astype(np.float64)
    preprocessing = Preprocessing.fit(rows, PreprocessSettings((0, 3), (1, 2), 200))
    seen = preprocessing.forward(rows)
    training = train_flow(seen[:2500], seen[2500:], SPEC, Schedule(1e-2, 500, 3), 0, device="cpu")
    return rows, preprocessing, seen, TrainedFlow(SPEC, training.weights)


@pytest.mark.parametrize("family", ["maf", "nsf"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounded_weights_come_back_bit_by_bit(family, dtype):
    if family == "nsf":
        pytest.importorskip("zuko")
    spec = FlowSpec(family, 3, 2, 8, dtype=dtype)
    for digits in (2, 7, 19):
        rounded = round_weights(random_weights(spec), spec, digits)
        again = unpack_weights(pack_weights(rounded, spec, digits), spec, digits)
        assert set(again) == set(rounded)
        for name, array in rounded.items():
            assert again[name].dtype == array.dtype
            np.testing.assert_array_equal(again[name], array)


@pytest.mark.parametrize("family", ["maf", "nsf"])
def test_masked_weights_take_no_room_and_change_nothing(family):
    if family == "nsf":
        pytest.importorskip("zuko")
    spec = FlowSpec(family, 4, 2, 64)
    weights = random_weights(spec)
    # fine enough for the weights that count to stay what they are, within 2^-20
    rounded = round_weights(weights, spec, 19)
    rows = np.random.default_rng(1).normal(size=(20, 4))
    before, after = (TrainedFlow(spec, w).to_latent(rows) for w in (weights, rounded))
    np.testing.assert_allclose(after, before, atol=1e-4)
    if family == "maf":
        kept = Layout(4, 2, 64, 2).mask(weights["flow/orders"]).astype(bool)
        assert kept.sum() < 0.7 * kept.size
        poisoned = np.where(kept, weights["flow/weights"], np.float32(1e30))
        again = round_weights({**weights, "flow/weights": poisoned}, spec, 19)
        np.testing.assert_array_equal(again["flow/weights"], rounded["flow/weights"])
        assert not again["flow/weights"][~kept].any()


def test_the_fewest_digits_keep_the_density(case):
    _, _, seen, flow = case
    found = in_few_digits(flow, seen)
    assert found.digits is not None
    assert found.log_density(seen).mean() > flow.log_density(seen).mean() - 0.01
    coarser = round_weights(flow.weights, SPEC, found.digits - 1)
    assert TrainedFlow(SPEC, coarser).log_density(seen).mean() < flow.log_density(seen).mean() - 0.01
    assert len(found.to_bytes()) < len(pack_arrays(flow.weights)) / 4


def test_weights_that_no_grid_holds_stay_as_they_are():
    spec = FlowSpec("maf", 2, 1, 4)
    weights = random_weights(spec)
    weights["flow/weights"][-1] = 1e30  # a bias: not masked
    flow = TrainedFlow(spec, weights)
    assert round_weights(weights, spec, 2) is None
    assert in_few_digits(flow, np.zeros((3, 2))) is flow


def test_repaired_file_is_a_fraction_of_the_published_one_at_no_more_error(case):
    """Everything counted: payload, tables and network."""
    rows, _, _, flow = case
    size, error = {}, {}
    for form, knots in (("published", 10_000), ("repaired", 500)):
        preprocessing = Preprocessing.fit(
            rows, PreprocessSettings((0, 3), (1, 2), knots, form == "published")
        )
        used = flow if form == "published" else in_few_digits(flow, preprocessing.forward(rows))
        codec = fit_codec(rows, preprocessing, used, 13, form)
        table = LatentTable(codec, used, dict.fromkeys(NAMES, "float64"), NAMES)
        data = table.encode(dict(zip(NAMES, rows.T, strict=True)))
        again = LatentTable.restore(table.facts(), table.tables_bytes(), table.model_bytes())
        back = again.decode(data, len(rows))
        error[form] = np.array([np.abs(back[name] - rows[:, j]).mean() for j, name in enumerate(NAMES)])
        size[form] = len(data) + len(table.tables_bytes()) + len(table.model_bytes())
    assert (error["repaired"] <= error["published"]).all()
    assert size["published"] > 1.4 * size["repaired"]


def test_knots_of_few_bits_stay_apart():
    """A narrow core beside an outlier needs all digits; an even spread does with two bytes."""
    core = np.append(1.0 + 1e-9 * np.arange(1000), 1e6)
    even = np.linspace(-3.0, 3.0, 1001)
    for values, most in ((core, 53), (even, 16)):
        knots = Preprocessing.fit(values[:, None], PreprocessSettings((), (0,), 100)).maps[0].knots
        assert len(knots) == 100
        assert (np.diff(knots) > 0).all()
        inner = np.frexp(knots[1:-1])[0] * 2.0**most
        assert (inner == np.rint(inner)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"digits": 99}, "digits: expected 2 to 19, found 99"),
        ({"hidden": 16}, "weights: expected .* numbers, found shape"),
        ({"transforms": 3}, "has no orders of 3 layers beside it"),
        ({"depth": 1}, "depth"),
    ],
)
def test_weights_of_another_flow_are_refused(case, change, message):
    _, _, seen, flow = case
    few = in_few_digits(flow, seen[:200])
    with pytest.raises(ValueError, match=message):
        TrainedFlow.restore({**few.facts(), **change}, few.to_bytes())
