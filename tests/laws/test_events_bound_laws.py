"""The stated error of a column holds for every value, whatever the values are."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from compress_mpi.methods.events.apart import pack, unpack
from compress_mpi.methods.events.bounds import Bound, resolve
from compress_mpi.methods.events.grid import DTYPES, Grid, index_of, value_of
from compress_mpi.methods.events.grid_float import FLOATS, within
from compress_mpi.methods.events.grid_integer import INTEGERS, integer_limits
from compress_mpi.methods.events.lossless import pack_column, unpack_column
from compress_mpi.methods.events.statistics import ColumnStatistics
from compress_mpi.methods.events.targets import residual_sums

some = settings(max_examples=40)


def from_bits(bits: list[int], dtype: str) -> np.ndarray:
    """Any bits at all: every exponent alike, NaN with payloads, infinities, denormal numbers."""
    if dtype == "bool":
        return np.array(bits, dtype=np.uint64).astype(np.uint8) > 127
    width = np.dtype(dtype).itemsize
    return (np.array(bits, dtype=np.uint64) >> np.uint64(64 - 8 * width)).astype(f"u{width}").view(dtype)


@st.composite
def columns(draw, dtypes=DTYPES):
    """A column of one scale with outliers, specials, constants, zeros and noise of bits."""
    dtype = draw(st.sampled_from(dtypes))
    wild = from_bits(draw(st.lists(st.integers(0, 2**64 - 1), max_size=12)), dtype)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(0, 40))
    if dtype in FLOATS:
        reach = {"float16": 4, "float32": 37, "float64": 300}[dtype]
        scale = 10.0 ** draw(st.integers(-reach, reach))
        with np.errstate(over="ignore"):
            tame = (rng.normal(draw(st.sampled_from([0.0, 50.0])), 1.0, n) * scale).astype(dtype)
        info = np.finfo(dtype)
        ends = [0.0, -0.0, info.max, -info.max, info.tiny, info.smallest_subnormal, np.inf, -np.inf, np.nan]
    else:
        low, high = integer_limits(dtype)
        width = draw(st.integers(0, 63))
        tame = rng.integers(max(low, -(2**width)), min(high, 2**width), n, dtype=dtype, endpoint=True)
        ends = [low, high, 0, 1]
    special = np.array(draw(st.lists(st.sampled_from(ends), max_size=4)), dtype=dtype)
    return rng.permutation(np.concatenate([wild, tame, special, tame[:1].repeat(draw(st.integers(0, 5)))]))


bounds = st.floats(0, allow_infinity=False) | st.integers(-330, 300).map(lambda e: float(f"3e{e}"))


def coded(x: np.ndarray, kind: str, value: float) -> tuple[Grid, np.ndarray, np.ndarray]:
    """The grid, the decoded column (values apart put back) and what was apart."""
    grid = resolve(
        Bound(kind, value), ColumnStatistics.of(x), x.dtype.name, lambda one: residual_sums(x, one)
    )
    index, apart = index_of(x, grid)
    assert not index[apart].any()
    found = value_of(index, grid)
    assert found.dtype == x.dtype
    places, kept = unpack(pack(np.flatnonzero(apart), x[apart]), x.dtype.name)
    found[places] = kept
    assert found[apart].tobytes() == x[apart].tobytes()
    return grid, found, apart


def exact(value: np.generic) -> Fraction:
    return Fraction(int(value)) if value.dtype.kind in "bui" else Fraction(float(value))


def errors(x: np.ndarray, found: np.ndarray) -> list[tuple[Fraction, Fraction]]:
    """Size of the error and of the value, of all that are finite."""
    finite = np.isfinite(x)
    assert found[~finite].tobytes() == x[~finite].tobytes()
    assert np.isfinite(found[finite]).all()
    pairs = zip(x[finite], found[finite], strict=True)
    return [(abs(exact(a) - exact(b)), abs(exact(a))) for a, b in pairs]


@some
@given(columns(), bounds)
def test_no_absolute_error_beyond_the_bound(x, bound):
    grid, found, _ = coded(x, "absolute", bound)
    assert grid.bound <= bound
    assert all(error <= Fraction(grid.bound) for error, _ in errors(x, found))


@some
@given(columns(), st.floats(0, 0.999))
@example(np.array([1.0, np.nextafter(2.0, 1.0), 2.0, np.finfo("f8").max]), 0.999)
@example(np.array([1.0, np.nextafter(2.0, 1.0), 2.0, np.finfo("f8").tiny]), 1.2e-16)
def test_no_relative_error_beyond_the_bound(x, bound):
    grid, found, apart = coded(x, "relative", bound)
    assert all(error <= Fraction(bound) * size for error, size in errors(x, found))
    if grid.kind == "relative":
        normal = np.isfinite(x) & ((np.abs(x) >= np.finfo(x.dtype).tiny) | (x == 0))
        assert np.array_equal(apart, ~normal)


@some
@given(columns(), st.floats(0, 2.0))
def test_no_error_beyond_a_share_of_the_range(x, share):
    _, found, _ = coded(x, "range", share)
    finite = [exact(value) for value in x[np.isfinite(x)]]
    width = max(finite, default=0) - min(finite, default=0)
    assert all(error <= Fraction(share) * width for error, _ in errors(x, found))


@some
@given(columns(), st.sampled_from(["mean", "rms", "published"]), st.integers(-300, 300))
def test_no_mean_error_beyond_what_was_asked_for(x, kind, exponent):
    target = 10.0**exponent
    grid, found, _ = coded(x, kind, target)
    sizes = [error for error, _ in errors(x, found)]
    assert all(error <= Fraction(grid.bound) for error in sizes)
    number = max(len(sizes), 1)
    slack = 1 + Fraction(1, 10**9)
    if kind == "mean":
        assert sum(sizes) / number <= Fraction(target) * slack
    elif kind == "rms":
        assert sum(error**2 for error in sizes) / number <= (Fraction(target) * slack) ** 2


@some
@given(columns())
def test_lossless_is_the_same_bits(x):
    grid, found, apart = coded(x, "lossless", 0.0)
    assert grid.lossless
    assert found.tobytes() == x.tobytes()
    assert np.array_equal(apart, np.isnan(x))
    assert unpack_column(pack_column(x), x.dtype.name, len(x)).tobytes() == x.tobytes()


@some
@given(columns(FLOATS), bounds)
def test_only_what_must_be_is_apart(x, bound):
    """Of a fine type almost nothing is; zero never is, and stays zero."""
    grid, found, apart = coded(x, "absolute", bound)
    zero = x == 0
    assert not apart[zero].any()
    assert not found[zero].any()
    if grid.kind == "absolute":
        for value, is_apart in zip(x[np.isfinite(x)], apart[np.isfinite(x)], strict=True):
            near = Fraction(float(value)) / Fraction(grid.step)
            if is_apart and abs(near) < 2**51:
                index = np.array([round(near)])
                assert not within(value[None], value_of(index, grid), grid.bound).any()


@some
@given(
    columns(tuple(name for name in DTYPES if name != "uint64")),
    st.sampled_from(["absolute", "relative"]),
    st.floats(0, 0.5),
)
def test_indices_rise_with_the_values(x, kind, bound):
    x = np.sort(x)
    x[x == 0] = 0  # of -0.0 and 0.0 neither comes first
    grid = resolve(Bound(kind, bound), ColumnStatistics.of(x), x.dtype.name)
    index, apart = index_of(x, grid)
    assert (np.diff(index[~apart].astype(object)) >= 0).all()


@some
@given(st.sampled_from(DTYPES), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20), bounds)
def test_every_index_has_a_value(dtype, index, bound):
    """A damaged file may hold any; none may fail, warn or read beyond a table."""
    index = np.array(index, dtype=np.int64)
    for kind, value in (("absolute", bound), ("relative", min(bound, 0.9)), ("lossless", 0.0)):
        assume(bound < 2**62)
        grid = resolve(Bound(kind, value), ColumnStatistics.of(np.zeros(0, dtype=dtype)), dtype)
        assert value_of(index, grid).dtype.name == dtype


@some
@given(columns(), bounds)
def test_what_was_decoded_is_coded_as_itself(x, bound):
    grid, found, apart = coded(x, "absolute", bound)
    again, _ = index_of(found[~apart], grid)
    assert np.array_equal(value_of(again, grid), found[~apart], equal_nan=found.dtype.kind == "f")


@some
@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(1e-300, 1e300), st.integers(-2, 2))
def test_the_edge_of_a_bound_is_exact(x, bound, ulps):
    with np.errstate(over="ignore"):
        value = np.float64(x) - bound
        for _ in range(abs(ulps)):
            value = np.nextafter(value, np.inf * ulps)
    assume(np.isfinite(value))
    kept = within(np.array([x]), np.array([value]), bound)[0]
    assert kept == (abs(Fraction(x) - Fraction(float(value))) <= Fraction(bound))


@pytest.mark.parametrize(("kind", "value"), [("absolute", 1e-3), ("relative", 1e-3), ("mean", 1e-3)])
def test_two_million_values(kind, value):
    """Between 2^-12 and 2^12 a difference of two float32 is exact in float64."""
    rng = np.random.default_rng(11)
    x = np.exp(rng.normal(1.0, 1.2, 2_000_000)).astype(np.float32).clip(2.0**-12, 2.0**12)
    x[rng.integers(0, len(x), 1000)] *= -1
    x[::100_000] = [np.nan, np.inf] * 10
    grid, found, apart = coded(x, kind, value)
    finite = np.isfinite(x)
    assert found[~finite].tobytes() == x[~finite].tobytes()
    wide = x[finite].astype(np.float64)
    error = np.abs(found[finite].astype(np.float64) - wide)
    # the relative bound is 1e-3, which times a float32 is not exact: the margin is far below one cell
    allowed = grid.bound * np.abs(wide) * (1 + 1e-15) if kind == "relative" else grid.bound
    assert (error <= allowed).all()
    assert apart[finite].sum() <= 50
    if kind == "mean":
        assert 0.98e-3 <= error.mean() <= 1e-3


def test_all_types_are_covered():
    assert set(INTEGERS) | set(FLOATS) == set(DTYPES)
