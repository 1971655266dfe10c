"""Grids of columns, what they are chosen from, and the steps found by trial."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from compress_mpi.methods.events.bounds import Bound, resolve
from compress_mpi.methods.events.grid import Grid, index_of, value_of
from compress_mpi.methods.events.grid_float import within
from compress_mpi.methods.events.grid_relative import cells
from compress_mpi.methods.events.statistics import ColumnStatistics
from compress_mpi.methods.events.targets import NEAR, aimed_grid, find_step, residual_sums


def pt(n: int = 4000, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(5).lognormal(3.0, 1.0, n).astype(dtype)


def grid_for(x: np.ndarray, kind: str, value: float = 0.0) -> Grid:
    return resolve(Bound(kind, value), ColumnStatistics.of(x), x.dtype.name, lambda g: residual_sums(x, g))


def test_absolute_by_hand():
    grid = Grid("absolute", 0.5, "float64", 0.25)
    index, apart = index_of(np.array([0.0, 0.2, 0.26, -1.1, np.nan, -np.inf, 1e300]), grid)
    assert index.tolist() == [0, 0, 1, -2, 0, 0, 0]
    assert apart.tolist() == [False] * 4 + [True] * 3
    assert value_of(np.array([-3, 0, 7]), grid).tolist() == [-1.5, 0.0, 3.5]


def test_integers_by_hand():
    grid = Grid("integer", 5, "int8", 2)
    x = np.arange(-128, 128, dtype=np.int8)
    index, apart = index_of(x, grid)
    assert not apart.any()
    values = value_of(index, grid).astype(int)
    assert np.abs(values - x).max() == 2
    assert values[128] == 0
    # the ends of the range are nearer than a multiple beyond them
    assert values[0] == -128
    assert values[-1] == 125


def test_the_ends_of_the_widest_integers():
    for dtype in ("int64", "uint64"):
        info = np.iinfo(dtype)
        x = np.array([info.min, info.min + 1, 0, info.max - 1, info.max], dtype=dtype)
        for half in (0, 1, 1000, 2**62 - 1):
            grid = Grid("integer", 2 * half + 1, dtype, half)
            values = value_of(index_of(x, grid)[0], grid)
            assert all(abs(int(v) - int(a)) <= half for v, a in zip(values, x, strict=True))


def test_flags():
    x = np.array([True, False, True])
    grid = grid_for(x, "absolute", 0.3)
    assert grid.lossless
    index, apart = index_of(x, grid)
    assert index.tolist() == [1, 0, 1]
    assert not apart.any()
    assert value_of(index, grid).tolist() == x.tolist()


@pytest.mark.parametrize("order", ["<", ">"])
def test_byte_order_and_strides_do_not_matter(order):
    x = pt().astype(f"{order}f4")
    for kind, value in (("absolute", 0.01), ("relative", 0.01), ("lossless", 0.0)):
        grid = grid_for(pt(), kind, value)
        assert np.array_equal(index_of(x[::3], grid)[0], index_of(pt()[::3].copy(), grid)[0])


def test_the_bound_is_decided_by_the_exact_difference():
    bound = 0.1
    x, value = np.array([1.0, 1.0]), np.array([0.9, 1.1])
    exact = [abs(Fraction(a) - Fraction(b)) <= Fraction(bound) for a, b in zip(x, value, strict=True)]
    assert within(x, value, bound).tolist() == exact
    # rounded, 1e16 - 1e-3 is 1e16
    far = np.array([1e16]), np.array([-1e-3])
    assert not within(*far, 1e16)[0]
    assert within(far[0], -far[1], 1e16)[0]


def test_a_step_that_rounding_does_not_break():
    x = pt(20000)
    bound = 2e-5
    plain = Grid("absolute", 2 * bound, "float32", bound)
    best = grid_for(x, "absolute", bound)
    assert best.bound == bound
    broken, kept = index_of(x, plain)[1].sum(), index_of(x, best)[1].sum()
    assert broken > 50
    assert kept < broken / 5
    assert 0.95 < best.step / plain.step < 1.0


def test_where_the_type_is_as_coarse_as_the_bound_an_error_is_a_multiple_of_its_spacing():
    # neighbours are 1 apart, so with a bound of 1.4 a step of 3 does, and 2.8 would not
    x = np.arange(2**23, 2**23 + 999).astype(np.float32)
    grid = grid_for(x, "absolute", 1.4)
    assert grid.step == 3.0
    index, apart = index_of(x, grid)
    assert not apart.any()
    assert np.abs(value_of(index, grid) - x).max() == 1.0


def test_bits_where_the_bound_is_finer_than_the_values():
    assert grid_for(pt(), "absolute", 1e-12).kind == "ulps"
    assert grid_for(pt(dtype="float64"), "absolute", 1e-3).kind == "absolute"


def test_a_range_is_that_of_the_finite_values():
    x = np.array([1.0, 3.0, np.inf, np.nan])
    assert grid_for(x, "range", 0.01).bound == pytest.approx(0.02)
    assert Fraction(grid_for(x, "range", 0.01).bound) <= Fraction(0.01) * 2
    assert grid_for(np.full(5, 7.25), "range", 0.1).lossless
    assert grid_for(np.array([-(2**62), 2**62]), "range", 2.0**-60).bound == 8
    wide = np.array([-1.7e308, 1.7e308])
    assert grid_for(wide, "range", 0.75).bound > 1.7e308


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("bound", [0.5, 0.1, 3e-3, 1e-5])
def test_relative_cells_are_hardly_more_than_needed(dtype, bound):
    if bound < np.finfo(dtype).eps / 2:
        assert grid_for(pt(dtype=dtype), "relative", bound).lossless
        return
    number = cells(dtype, bound).number
    # a cell of v reaches from v / (1 + r) to v / (1 - r)
    least = np.log(2) / np.log((1 + bound) / (1 - bound))
    assert least <= number or number >= 2 ** np.finfo(dtype).nmant
    if bound > 8 * np.finfo(dtype).eps:
        assert number <= 1.08 * least + 1


def test_integers_with_a_relative_bound_are_exact():
    assert grid_for(np.arange(9), "relative", 0.1).lossless


@pytest.mark.parametrize("kind", ["mean", "rms", "published"])
@pytest.mark.parametrize("value", [1e-4, 0.02, 0.4])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_aimed_grids_meet_their_figure(kind, value, dtype):
    x = pt(20000, dtype)
    statistics, passes = ColumnStatistics.of(x), []

    def measure(grid):
        passes.append(residual_sums(x, grid))
        return passes[-1]

    grid = aimed_grid(kind, value, statistics, dtype, measure)
    index, apart = index_of(x, grid)
    error = np.abs(value_of(index, grid).astype(np.float64) - x)[~apart]
    figure = error.mean() if kind == "mean" else np.sqrt((error**2).mean())
    target = value * x.astype(np.float64).std() if kind == "published" else value
    assert NEAR * target <= figure <= target * (1 + 1e-9)
    assert error.max() <= grid.bound
    assert grid.bound == pytest.approx(grid.step / 2, rel=0.2)
    assert not apart.any()
    assert len(passes) <= 6


def test_an_aim_beyond_the_data_makes_all_zero():
    x = pt()
    grid = grid_for(x, "mean", 1e6)
    index, apart = index_of(x, grid)
    assert not index.any()
    assert not apart.any()


def test_aims_that_only_lossless_meets():
    assert grid_for(np.full(9, 3.5), "published", 0.1).lossless
    assert grid_for(np.zeros(9), "mean", 0.1).lossless
    assert grid_for(np.full(9, np.nan), "rms", 0.1).lossless
    assert grid_for(np.zeros(0), "rms", 0.1).lossless


def test_aims_of_integers():
    x = np.random.default_rng(2).integers(-(10**6), 10**6, 5000)
    grid = grid_for(x, "mean", 100.0)
    sums = residual_sums(x, grid)
    wider = Grid("integer", grid.step + 40, "int64", grid.step // 2 + 20)
    assert 90 < sums.mean <= 100 < residual_sums(x, wider).mean
    flags = x > 0
    assert grid_for(flags, "mean", 0.01).lossless


def test_find_step_of_a_figure_that_jumps():
    step = find_step(lambda s: 0.0 if s < 0.37 else 5.0, 1.0, 4.0, 100.0)
    assert 0.369 < step < 0.37
    assert find_step(lambda s: 1.0, 0.5, 1.0, 10.0) is None
    assert find_step(lambda s: (s - 1) / 2, 10.2, 41.0, 1e6, whole=True) == 21.0


def test_residuals_of_wide_integers_do_not_wrap():
    x = np.array([-(2**63), 2**63 - 1])
    grid = Grid("integer", 2**63 - 1, "int64", 2**62 - 1)
    sums = residual_sums(x, grid)
    # -2^63 is one below a multiple, 2^63 - 1 is one itself
    assert sums.mean == 0.5
    assert sums.count == 2


def test_statistics_merge_and_come_back():
    x = np.concatenate([pt(999), [np.nan, np.inf, 0.0, -1e-40]]).astype(np.float32)
    whole = ColumnStatistics.of(x)
    parts = [ColumnStatistics.of(part) for part in (x[:300], x[300:300], x[300:])]
    merged = parts[0].merge(parts[1]).merge(parts[2])
    assert (merged.count, merged.finite) == (whole.count, whole.finite) == (1003, 1001)
    assert (merged.minimum, merged.maximum) == (whole.minimum, whole.maximum)
    assert np.array_equal(merged.exponents, whole.exponents)
    good = x[np.isfinite(x)].astype(np.float64)
    assert merged.mean == pytest.approx(good.mean(), rel=1e-12)
    assert merged.std == pytest.approx(good.std(), rel=1e-12)
    again = ColumnStatistics.from_plain(json.loads(json.dumps(merged.plain())))
    assert again.plain() == merged.plain()
    assert np.array_equal(again.exponents, merged.exponents)
    with pytest.raises(ValueError, match="'mean' is missing"):
        ColumnStatistics.from_plain({"count": 1, "finite": 1, "minimum": 0, "maximum": 0})


def test_statistics_of_nothing():
    for x in (np.zeros(0), np.zeros(0, dtype=np.int32), np.array([np.nan])):
        found = ColumnStatistics.of(x)
        assert (found.finite, found.minimum, found.maximum) == (0, None, None)
        assert (found.mean, found.std, found.largest) == (0.0, 0.0, 0.0)


def test_statistics_of_the_largest_numbers():
    most = np.finfo(np.float64).max
    found = ColumnStatistics.of(np.full(3, most))
    for merged in (found, found.merge(ColumnStatistics.of(np.full(4, most)))):
        assert merged.mean == merged.largest == most
        assert merged.std < 1e-9 * most
    far = ColumnStatistics.of(np.array([-most, -most, -most, most]) * 0.5)
    assert far.mean == pytest.approx(-0.25 * most)
    assert far.std == pytest.approx(most * (np.sqrt(3) / 4))


def test_statistics_of_wide_integers_are_exact():
    found = ColumnStatistics.of(np.array([-(2**63), 2**63 - 1]))
    assert (found.minimum, found.maximum) == (-(2**63), 2**63 - 1)


def test_grids_come_back():
    x = pt()
    for kind, value in (("absolute", 0.1), ("relative", 1e-3), ("lossless", 0.0), ("mean", 0.3)):
        grid = grid_for(x, kind, value)
        assert Grid.from_facts(json.loads(json.dumps(grid.facts()))) == grid


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"step": 1.0}, "'kind' is missing"),
        (
            {"kind": "ulps", "step": 1, "dtype": "int8", "bound": 0},
            "no kind 'ulps' for columns of type 'int8'",
        ),
        ({"kind": "log", "step": 1, "dtype": "float32", "bound": 0}, "no kind 'log'"),
        ({"kind": "absolute", "step": -1.0, "dtype": "float32", "bound": 1.0}, "step -1.0"),
        ({"kind": "absolute", "step": float("nan"), "dtype": "float32", "bound": 1.0}, "step nan"),
        ({"kind": "relative", "step": 1.5, "dtype": "float32", "bound": 1.5}, "step 1.5"),
        ({"kind": "integer", "step": 4, "dtype": "int8", "bound": 2}, "step 4"),
        ({"kind": "integer", "step": 1.0, "dtype": "int8", "bound": 0}, "step 1.0"),
        ({"kind": "ulps", "step": 3, "dtype": "float32", "bound": 1}, "step 3"),
    ],
)
def test_facts_that_are_no_grid(facts, message):
    with pytest.raises(ValueError, match=message):
        Grid.from_facts(facts)


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("exact", 0.1, "expected one of absolute, .* got 'exact'"),
        ("absolute", -0.1, "expected a number from 0, got -0.1"),
        ("mean", float("nan"), "expected a number from 0, got nan"),
        ("relative", 1.0, "expected less than 1"),
    ],
)
def test_bounds_that_make_no_sense(kind, value, message):
    with pytest.raises(ValueError, match=message):
        Bound(kind, value)


def test_what_cannot_be_resolved():
    statistics = ColumnStatistics.of(pt())
    with pytest.raises(ValueError, match="type 'complex64': expected one of bool"):
        resolve(Bound("absolute", 1.0), statistics, "complex64")
    with pytest.raises(ValueError, match="found by trial; pass 'measure'"):
        resolve(Bound("mean", 1.0), statistics, "float32")
    with pytest.raises(ValueError, match=r"grid of 'float32'.*'float64'"):
        index_of(pt(dtype="float64"), grid_for(pt(), "absolute", 0.1))
