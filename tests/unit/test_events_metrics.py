"""Errors of decoded events, normality of latents, compression ratios."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import normaltest

from compress_mpi.methods.events.metrics import ErrorSums
from compress_mpi.methods.events.normality import normality
from compress_mpi.methods.events.ratios import InputSizes, input_sizes, npz_bytes, ratios, text_bytes


def pair(n=1000, seed=0):
    rng = np.random.default_rng(seed)
    original = rng.normal(size=(n, 3)) * [1.0, 20.0, 0.1] + [0.0, 100.0, 0.0]
    return original, original + 1e-3 * rng.normal(size=(n, 3))


def test_figures_follow_their_definitions():
    original, decoded = pair()
    found = ErrorSums.of(original, decoded).errors()
    d = decoded - original
    for name, expected in {
        "residual": d.mean(axis=0),
        "mean_abs": np.abs(d).mean(axis=0),
        "rms": np.sqrt((d**2).mean(axis=0)),
        "largest": np.abs(d).max(axis=0),
        "response": (d / original).mean(axis=0),
        "std": original.std(axis=0),
        "eq7_pooled": np.sqrt((d**2).mean(axis=0)).mean() / original.std(),
        "eq7": (np.sqrt((d**2).mean(axis=0)) / original.std(axis=0)).mean(),
        "overall_residual": d.mean(),
        "overall_mean_abs": np.abs(d).mean(),
        "overall_rms": np.sqrt((d**2).mean()),
        "overall_largest": np.abs(d).max(),
        "overall_response": (d / original).mean(),
    }.items():
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-10, err_msg=name)
    assert found.rows == 1000


def test_merged_blocks_are_the_whole():
    original, decoded = pair()
    original[17, 1] = np.nan
    cuts = [0, 1, 1, 300, 999, 1000]
    blocks = [ErrorSums.of(original[a:b], decoded[a:b]) for a, b in pairwise(cuts)]
    whole, merged = ErrorSums.of(original, decoded), blocks[0]
    for block in blocks[1:]:
        merged = merged.merge(block)
    for name, value in vars(whole.errors()).items():
        np.testing.assert_allclose(getattr(merged.errors(), name), value, rtol=1e-11, err_msg=name)


def test_response_that_is_not_finite_counts_as_zero_and_as_a_share():
    original = np.array([[0.0], [0.0], [2.0], [np.nan]])
    decoded = np.array([[1.0], [0.0], [3.0], [np.nan]])
    found = ErrorSums.of(original, decoded).errors()
    assert found.response[0] == pytest.approx(0.5 / 4)
    assert found.not_finite_response[0] == 75.0


def test_what_is_not_finite_is_exact_or_lost():
    original = np.array([[np.nan, np.inf, -np.inf, 1.0, np.inf]]).T
    decoded = np.array([[np.nan, np.inf, np.inf, np.nan, 5.0]]).T
    found = ErrorSums.of(original, decoded).errors()
    assert found.not_finite[0] == 4
    assert found.lost[0] == 3
    assert np.isnan(found.mean_abs[0])
    assert found.largest[0] == 0.0


@pytest.mark.parametrize("scale", [1e300, 1e-300, 5e-324])
def test_no_scale_is_out_of_range(scale):
    original = np.array([[1.0], [2.0], [4.0], [9.0]]) * scale
    decoded = original + np.array([[1.0], [-1.0], [1.0], [1.0]]) * scale
    found = ErrorSums.of(original[:2], decoded[:2]).merge(ErrorSums.of(original[2:], decoded[2:])).errors()
    assert found.rms[0] == pytest.approx(scale)
    assert found.overall_rms == pytest.approx(scale)
    if scale > 1e-323:
        assert found.eq7 == pytest.approx(1 / np.std([1, 2, 4, 9]))
        assert found.eq7_pooled == pytest.approx(found.eq7)


def test_a_constant_column_has_no_relative_error_unless_it_moves():
    original = np.ones((5, 2))
    decoded = original.copy()
    assert ErrorSums.of(original, decoded).errors().eq7 == 0.0
    decoded[0, 1] = 2.0
    assert np.isinf(ErrorSums.of(original, decoded).errors().relative[1])


def test_no_rows_and_unequal_shapes():
    found = ErrorSums.of(np.zeros((0, 2)), np.zeros((0, 2))).errors()
    assert np.isnan(found.mean_abs).all()
    assert np.isnan(found.overall_mean_abs)
    with pytest.raises(ValueError, match=r"one shape \(n, c\), got \(2, 2\) and \(2, 3\)"):
        ErrorSums.of(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="cannot merge 2 columns with 3"):
        ErrorSums.of(np.zeros((2, 2)), np.zeros((2, 2))).merge(
            ErrorSums.of(np.zeros((2, 3)), np.zeros((2, 3)))
        )


def test_normality_is_that_of_scipy():
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=2000), rng.uniform(size=2000), np.full(2000, 0.1)])
    found = normality(rows)
    expected = normaltest(rows[:, :2])
    np.testing.assert_allclose(found.statistic[:2], expected.statistic)
    assert found.p_value[0] > 0.01 > found.p_value[1]
    assert np.isnan(found.p_value[2])
    assert np.isnan(normality(rows[:19]).statistic).all()
    spoilt = np.vstack([rows, np.full((1, 3), np.nan)])
    np.testing.assert_array_equal(normality(spoilt).statistic, found.statistic)


def test_sizes_are_those_of_files(tmp_path):
    rows = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
    np.savez_compressed(tmp_path / "rows.npz", data=rows)
    assert npz_bytes({"data": rows}) == (tmp_path / "rows.npz").stat().st_size
    lines = "".join(" ".join(str(v) for v in row) + "\n" for row in rows)
    assert text_bytes(rows) == len(lines)
    np.testing.assert_array_equal(np.loadtxt(io.StringIO(lines), dtype=np.float32), rows)
    sizes = input_sizes(rows)
    assert (sizes.values, sizes.raw) == (800, 3200)
    assert sizes + InputSizes() == sizes
    with pytest.raises(ValueError, match="found Python objects"):
        npz_bytes({"a": np.array([None])})


def test_ratios_without_and_with_the_rest():
    found = ratios(InputSizes(100, 400, 300, 900), payload=100, rest=100, text_payload=300)
    assert (found.raw, found.npz, found.text) == (4.0, 3.0, 3.0)
    assert (found.raw_all, found.npz_all, found.text_all) == (2.0, 1.5, 2.25)
    assert (found.bits, found.bits_all) == (8.0, 16.0)
    with pytest.raises(ValueError, match="found 0 bytes"):
        ratios(InputSizes(), 0, 0)
