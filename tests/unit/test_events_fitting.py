"""The bounded codec as a whole: what is chosen, what it costs, and that every bound is kept."""

import itertools
import math

import numpy as np
import pytest

from compress_mpi.methods.events.bounded import decode_block, encode_block, sample_events
from compress_mpi.methods.events.fitting import FitSettings, extent_of, fit, sample_runs
from compress_mpi.methods.events.grid import Grid, value_of
from compress_mpi.methods.events.plan import Plan

ROWS = 3000


def in_turn(function, tasks):
    return [function(task) for task in tasks]


def backwards(function, tasks):
    return [function(task) for task in tasks[::-1]][::-1]


def fitted(rows, grids, team_map=in_turn, **settings):
    number = len(next(iter(rows.values())))
    extent = {}
    for name, values in rows.items():
        finite = values[np.isfinite(values)]
        ends = (finite.min().item(), finite.max().item()) if finite.size else (None, None)
        extent[name] = extent_of(grids[name], *ends)
    return fit(rows, np.arange(number) == 0, grids, extent, number, FitSettings(**settings), team_map)


def size(plan, rows):
    return len(plan.tables_bytes()) + len(plan.model_bytes()) + len(encode_block(plan, rows).data)


def absolute(bound):
    return Grid("absolute", 2 * bound, "float32", bound)


@pytest.fixture(scope="module")
def jets():
    """Sorted in groups, as jets in an event; the second column follows from the first but for some noise."""
    rng = np.random.default_rng(5)
    pt = -np.sort(-(3 * rng.random((ROWS // 10, 10)) ** -0.7), axis=1).ravel()
    rows = {"pt": pt, "m": 0.2 * pt * np.exp(0.1 * rng.normal(size=ROWS)), "phi": rng.uniform(-3, 3, ROWS)}
    return {name: values.astype(np.float32) for name, values in rows.items()}


GRIDS = {"pt": absolute(0.02), "m": absolute(0.005), "phi": absolute(0.001)}


@pytest.fixture(scope="module")
def plans(jets):
    return {
        "none": fitted(jets, GRIDS, model="none"),
        "marginal": fitted(jets, GRIDS, model="marginal"),
        "tiny": fitted(jets, GRIDS, context="none"),
        "auto": fitted(jets, GRIDS),
        "unordered": fitted(jets, GRIDS, model="marginal", unordered=True),
    }


def test_each_model_takes_fewer_bytes_than_the_one_before(jets, plans):
    sizes = {name: size(plan, jets) for name, plan in plans.items()}
    assert sizes["none"] > 1.1 * sizes["marginal"]
    assert sizes["marginal"] > 1.05 * sizes["tiny"]
    assert sizes["tiny"] > 1.02 * sizes["auto"]
    models = {name: [column.model for column in plan.columns] for name, plan in plans.items()}
    assert models["none"] == ["none"] * 3
    assert models["auto"] == ["tiny", "tiny", "none"]
    assert (plans["tiny"].context, plans["auto"].context) == (False, True)


def test_an_order_that_need_not_be_kept_is_not_paid_for(jets, plans):
    saved = 8 * (size(plans["marginal"], jets) - size(plans["unordered"], jets))
    assert 0.93 < saved / (math.lgamma(ROWS + 1) / math.log(2)) <= 1.0


@pytest.mark.parametrize("kind", ["none", "marginal", "tiny", "auto", "unordered"])
def test_every_plan_keeps_the_bound_and_is_restored(jets, plans, kind):
    plan = plans[kind]
    encoded = encode_block(plan, jets)
    again = Plan.restore(plan.facts(), plan.tables_bytes(), plan.model_bytes())
    found = decode_block(again, encoded.data, ROWS)
    for name, grid in GRIDS.items():
        assert np.array_equal(found[name], encoded.decoded[name])
        assert np.abs(found[name].astype(float) - encoded.original[name]).max() <= grid.bound
        same_values = np.sort(encoded.original[name]), np.sort(jets[name])
        assert np.array_equal(*same_values)
    if kind == "unordered":
        assert again.unordered
    else:
        assert np.array_equal(encoded.original["pt"], jets["pt"])


def test_the_plan_does_not_depend_on_who_trains_what(jets, plans):
    again = fitted(jets, GRIDS, backwards)
    assert again.model_bytes() == plans["auto"].model_bytes()
    assert again.tables_bytes() == plans["auto"].tables_bytes()


def test_drawn_events_follow_the_table(jets, plans):
    drawn = sample_events(plans["tiny"], 4000, np.random.default_rng(1))
    assert list(drawn) == list(jets)
    for name, values in jets.items():
        wanted = np.quantile(values, [0.1, 0.5, 0.9])
        assert np.quantile(drawn[name], [0.1, 0.5, 0.9]) == pytest.approx(wanted, rel=0.2, abs=0.15)
    ranks = [np.argsort(np.argsort(drawn[name])) for name in ("pt", "m", "phi")]
    together = np.corrcoef(ranks)
    assert together[0, 1] > 0.85
    assert abs(together[0, 2]) < 0.1
    assert len(np.unique(drawn["phi"])) > 3900
    again = sample_events(plans["tiny"], 4000, np.random.default_rng(1))
    assert all(np.array_equal(drawn[name], again[name]) for name in drawn)


def test_columns_of_any_kind_come_back():
    rng = np.random.default_rng(2)
    n = 500
    odd = rng.normal(size=n).astype(np.float32)
    odd[::7], odd[::11], odd[3] = np.nan, np.inf, -1e30
    rows = {
        "event": np.arange(n, dtype=np.uint64) + 2**63,
        "random": rng.integers(0, 2**63, n, dtype=np.int64),
        "flag": rng.random(n) < 0.01,
        "charge": rng.integers(-1, 2, n).astype(np.int8),
        "odd": odd,
        "constant": np.full(n, 3.25),
        "nothing": np.full(n, np.nan),
        "exact": rng.normal(size=n).astype(np.float16),
    }
    grids = {
        name: Grid("absolute", 0.01, values.dtype.name, 0.005)
        if name in ("odd", "constant", "nothing")
        else Grid("ulps" if values.dtype.kind == "f" else "integer", 1, values.dtype.name, 0)
        for name, values in rows.items()
    }
    plan = fitted(rows, grids)
    encoded = encode_block(plan, rows)
    found = decode_block(plan, encoded.data, n)
    models = {column.name: column.model for column in plan.columns}
    assert models["event"] == models["random"] == "bytes"
    for name, values in rows.items():
        assert found[name].dtype == values.dtype
        if grids[name].lossless:
            assert found[name].tobytes() == values.tobytes(), name
    special = ~np.isfinite(odd)
    assert found["odd"][special].tobytes() == odd[special].tobytes()
    assert np.abs(found["odd"][~special].astype(float) - odd[~special]).max() <= 0.005
    assert encoded.apart["nothing"] == n
    assert found["nothing"].tobytes() == rows["nothing"].tobytes()
    assert len(encoded.data) < n * 40


@pytest.mark.parametrize("n", [1, 2])
def test_a_table_of_a_row_or_two(n):
    rows = {"x": np.arange(n, dtype=np.float32)}
    plan = fitted(rows, {"x": absolute(0.1)})
    encoded = encode_block(plan, rows)
    assert np.abs(decode_block(plan, encoded.data, n)["x"] - rows["x"]).max() <= 0.1
    assert len(encoded.data) < 16


def test_values_outside_of_the_fitted_range_are_kept_apart(jets, plans):
    far = {name: values[:50] * np.float32(1000) for name, values in jets.items()}
    encoded = encode_block(plans["auto"], far)
    assert encoded.apart["pt"] > 0
    found = decode_block(plans["auto"], encoded.data, 50)
    assert all(
        np.abs(found[name].astype(float) - far[name]).max() <= grid.bound for name, grid in GRIDS.items()
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_an_outlier_costs_no_more_than_itself(jets, sign):
    rows = {"phi": jets["phi"]}
    clean = size(fitted(rows, GRIDS, model="marginal"), rows)
    rows = {"phi": jets["phi"].copy()}
    rows["phi"][17] = sign * 1e9
    assert size(fitted(rows, GRIDS, model="marginal"), rows) < clean + 40


def test_other_columns_are_refused(jets, plans):
    with pytest.raises(ValueError, match="expected pt, m, phi, got m"):
        encode_block(plans["auto"], {"m": jets["m"]})
    with pytest.raises(ValueError, match="float64"):
        encode_block(plans["auto"], {**jets, "m": jets["m"].astype(float)})


def test_a_stored_plan_that_lacks_something_is_refused(plans):
    facts = plans["auto"].facts()
    del facts["columns"][0]["model"]
    with pytest.raises(ValueError, match="model"):
        Plan.restore(facts, b"", b"")


def test_runs_of_a_long_table_are_spread_over_it():
    assert sample_runs(1000) == [(0, 1000)]
    runs = sample_runs(10**7)
    assert runs[0][0] == 0
    assert runs[-1][1] == 10**7
    assert sum(stop - start for start, stop in runs) == 65536
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(runs))


def test_values_of_one_machine_are_those_of_every_machine(plans):
    """A stream made by hand: decoding is integer arithmetic and one product per value."""
    found = decode_block(plans["none"], bytes([5, 0, 0, *range(1, 6)]), 2)
    index = np.rint(found["pt"].astype(float) / GRIDS["pt"].step).astype(np.int64)
    assert np.array_equal(value_of(index, GRIDS["pt"]), found["pt"])
