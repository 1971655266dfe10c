"""The codec through the latent space: published and repaired."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import erf, erfinv

from compress_mpi.methods.events.latent import LatentCodec, NoFlow, latents_of
from compress_mpi.methods.events.latent_quantiser import Quantiser
from compress_mpi.methods.events.latent_steps import mean_errors, steps_at
from compress_mpi.methods.events.latent_symbols import (
    SymbolTable,
    decode_symbols,
    encode_symbols,
    pack_bits,
    unpack_bits,
)
from compress_mpi.methods.events.preprocess import Preprocessing, PreprocessSettings
from compress_mpi.methods.events.ratios import npz_bytes

SETTINGS = PreprocessSettings((0, 3), (1, 2), published=True)


class Mixing:
    """A flow that is one triangular matrix: the exact one where columns are jointly normal."""

    def __init__(self, c=4):
        self.matrix = np.eye(c) + 0.4 * np.tril(np.ones((c, c)), -1)

    def to_latent(self, rows):
        return rows @ np.linalg.inv(self.matrix).T

    def from_latent(self, latent):
        return latent @ self.matrix.T


class Failing(NoFlow):
    """Gives no finite latent for a row whose first column is above 2."""

    def to_latent(self, rows):
        found = rows.copy()
        found[rows[:, 0] > 2] = np.nan
        return found


def jets(n=20_000, seed=0):
    rng = np.random.default_rng(seed)
    pt = 3.0 * rng.uniform(size=n) ** -0.6
    angles = rng.uniform(-np.pi, np.pi, (n, 2))
    return np.column_stack([pt, angles, 0.2 * pt * rng.lognormal(0, 0.3, n)]).astype(np.float32).astype(float)


@pytest.fixture(scope="module")
def case():
    rows = jets()
    prep = Preprocessing.fit(rows, SETTINGS)
    return rows, prep, latents_of(rows, prep, Mixing())[0]


def coded(rows, prep, quantiser, flow):
    codec = LatentCodec.fit(rows, prep, quantiser, flow)
    data = codec.encode(rows, flow)
    return codec.decode(data, flow), data


def test_published_integers_follow_the_definition(case):
    _, _, latent = case
    q = Quantiser.fit(latent, 13, "published")
    scale = np.abs(latent).max(axis=0)
    u = erf(3 * latent / scale)
    expected = np.trunc(u * 2**13).astype(np.int64)
    np.testing.assert_array_equal(q.integers(latent), expected)
    np.testing.assert_allclose(q.latent(expected), erfinv(expected / 2**13) * scale / 3, rtol=1e-14)
    # towards zero: the bin of zero is twice as wide
    zero, one = (np.mean(expected == k) for k in (0, 1))
    assert 1.3 < zero / one < 3.0


@pytest.mark.parametrize(("bits", "least"), [(13, 1.5), (20, 1.4)])
def test_repaired_form_is_smaller_at_equal_error(case, bits, least):
    rows, prep, latent = case
    published = Quantiser.fit(latent, bits, "published")
    target = mean_errors(rows, prep, published, Mixing())
    repaired = steps_at(target, rows, prep, Quantiser.fit(latent, bits, "even"), Mixing())
    back, data = coded(rows, prep, repaired, Mixing())
    found = np.abs(back - rows)
    assert (found.mean(axis=0) <= target).all()
    assert npz_bytes({"data": published.integers(latent)}) > least * len(data)
    # equal steps in probability are wide in the tails
    worst = np.abs(coded(rows, prep, published, Mixing())[0] - rows).max(axis=0)
    assert (found.max(axis=0) < worst).all()


def test_rounding_alone_halves_the_error(case):
    rows, prep, latent = case
    cut, rounded = (
        mean_errors(rows, prep, Quantiser.fit(latent, 13, form), Mixing()) for form in ("published", "erf")
    )
    assert (rounded < 0.7 * cut).all()


def test_erf_form_meets_a_target_too(case):
    rows, prep, latent = case
    target = mean_errors(rows, prep, Quantiser.fit(latent, 10, "published"), Mixing())
    found = steps_at(target, rows, prep, Quantiser.fit(latent, 10, "erf"), Mixing())
    assert (mean_errors(rows, prep, found, Mixing()) <= target).all()
    assert (found.step > 1.2 * 2.0**-10).all()


def test_each_column_uses_its_own_target(case):
    rows, prep, latent = case
    start = Quantiser.fit(latent, 10, "even")
    errors = mean_errors(rows, prep, start, NoFlow())
    target = errors * [0.1, 1.0, 3.0, np.nan]
    found = mean_errors(rows, prep, steps_at(target, rows, prep, start, NoFlow()), NoFlow())
    assert (found[:3] <= target[:3]).all()
    assert (found[:3] > 0.8 * target[:3]).all()


def test_many_columns_share_a_step():
    rows = np.random.default_rng(0).normal(size=(500, 40))
    prep = Preprocessing.fit(rows, PreprocessSettings())
    start = Quantiser.fit(prep.forward(rows), 8, "even")
    found = steps_at(np.full(40, 0.01), rows, prep, start, NoFlow())
    assert mean_errors(rows, prep, found, NoFlow()).max() == pytest.approx(0.01, rel=0.05)
    back, _ = coded(rows, prep, found, NoFlow())
    assert 0 < np.abs(back - rows).mean() < 0.01


def test_a_test_block_uses_the_scale_of_the_training_rows(case):
    """The published program decodes with the scale of another chunk, at 100 to 500 times the error."""
    rows, prep, latent = case
    codec = LatentCodec.fit(rows, prep, Quantiser.fit(latent, 13, "erf"), Mixing())
    test = jets(2000, seed=1)
    errors = [np.abs(codec.decode(codec.encode(b, Mixing()), Mixing()) - b).mean() for b in (test, rows)]
    assert errors[0] < 2 * errors[1]


@pytest.mark.parametrize("form", ["published", "erf", "even"])
def test_nothing_is_lost(case, form):
    rows, prep, latent = case
    codec = LatentCodec.fit(rows, prep, Quantiser.fit(latent, 13, form), NoFlow())
    block = rows[:100].copy()
    block[3] = [np.nan, np.inf, -np.inf, -np.nan]
    block[5, 1] = np.nan
    block[7, 0] = 1e300
    block[9] = [-1e9, 0.0, 0.0, 1e9]
    back = codec.decode(codec.encode(block, NoFlow()), NoFlow())
    apart = ~np.isfinite(block)
    np.testing.assert_array_equal(back[apart], block[apart])
    np.testing.assert_array_equal(np.signbit(back[3]), np.signbit(block[3]))
    # out of reach of the symbol table, hence as it is; neighbours of a NaN are coded
    np.testing.assert_array_equal(back[[7, 9]], block[[7, 9]])
    assert 0 < np.abs(back[5, 0] - block[5, 0]) < 0.1


def test_rows_that_the_flow_fails_on_are_kept(case):
    rows, prep, latent = case
    block = rows[:500]
    failed = prep.forward(block)[:, 0] > 2
    assert failed.any()
    back, _ = coded(block, prep, Quantiser.fit(latent, 8, "even"), Failing())
    np.testing.assert_array_equal(back[failed], block[failed])
    assert not (back[~failed] == block[~failed]).all(axis=1).any()


def test_stored_and_restored(case):
    rows, prep, latent = case
    codec = LatentCodec.fit(rows, prep, Quantiser.fit(latent, 13, "even"), NoFlow())
    data = codec.encode(rows[:1000], NoFlow())
    again = LatentCodec.from_arrays(codec.to_arrays())
    assert again.encode(rows[:1000], NoFlow()) == data
    np.testing.assert_array_equal(again.decode(data, NoFlow()), codec.decode(data, NoFlow()))
    arrays = codec.to_arrays()
    with pytest.raises(ValueError, match="unknown form 7"):
        LatentCodec.from_arrays({**arrays, "quantiser/form": np.array(7)})
    with pytest.raises(ValueError, match="'step' is missing"):
        LatentCodec.from_arrays({k: a for k, a in arrays.items() if k != "quantiser/step"})


@pytest.mark.parametrize("n", [0, 1, 2])
def test_short_blocks(case, n):
    rows, prep, latent = case
    codec = LatentCodec.fit(rows, prep, Quantiser.fit(latent, 16, "even"), Mixing())
    back = codec.decode(codec.encode(rows[:n], Mixing()), Mixing())
    assert back.shape == (n, 4)
    np.testing.assert_allclose(back, rows[:n], rtol=0.02, atol=0.02)


@pytest.mark.parametrize("bits", [1, 3, 31])
def test_few_and_many_bits(case, bits):
    rows, prep, latent = case
    back, data = coded(rows[:2000], prep, Quantiser.fit(latent, bits, "even"), NoFlow())
    bound = 12.0 * 2.0**-bits
    moved = np.abs(prep.forward(back) - prep.forward(rows[:2000]))[:, [0, 3]]
    assert moved.max() < bound
    assert 8 * len(data) / back.size < bits + 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d[:5], "expected 12 bytes or more, found 5"),
        (lambda d: d[:-1], "bytes, found"),
        (lambda d: d + b"x", "bytes, found"),
        (lambda d: b"\xff\xff" + d[2:], "column 0|packed bits|bytes of integers"),
        (lambda d: d[:12] + b"\x09" + d[13:], "unknown coding 9 of the symbols of column 0"),
    ],
)
def test_damaged_blocks_are_refused(case, damage, message):
    rows, prep, latent = case
    codec = LatentCodec.fit(rows, prep, Quantiser.fit(latent, 13, "even"), NoFlow())
    block = rows[:50].copy()
    block[0, 0] = np.nan
    with pytest.raises(ValueError, match=message):
        codec.decode(damage(codec.encode(block, NoFlow())), NoFlow())


def test_bad_settings_are_refused(case):
    rows, prep, latent = case
    with pytest.raises(ValueError, match="bits: expected 1 to 31, got 32"):
        Quantiser.fit(latent, 32)
    with pytest.raises(ValueError, match="expected one of published, erf, even, got 'round'"):
        Quantiser.fit(latent, 13, "round")
    with pytest.raises(ValueError, match="no step meets the target"):
        steps_at(np.full(4, 1e-30), rows[:200], prep, Quantiser.fit(latent, 13, "even"), NoFlow())

    class Nowhere(NoFlow):
        def to_latent(self, rows):
            return np.full_like(rows, np.nan)

    with pytest.raises(ValueError, match="no finite latent for any training row"):
        LatentCodec.fit(rows[:10], prep, Quantiser.fit(latent, 13), Nowhere())


def test_one_outlier_makes_no_long_table():
    integers = np.append(np.arange(-1000, 1000), 10**12)[:, None]
    table = SymbolTable.fit(integers, np.array([16]))
    assert table.counts.shape[1] <= 4096
    np.testing.assert_array_equal(table.fits(integers)[:, 0], np.arange(2001) < 2000)


def test_symbols_cost_what_their_frequencies_say():
    p = np.array([0.001, 0.009, 0.09, 0.4, 0.5])
    symbols = np.random.default_rng(0).choice(5, 20_000, p=p)
    ends = np.cumsum(np.bincount(symbols) + 1)
    data = encode_symbols(symbols, ends)
    np.testing.assert_array_equal(decode_symbols(data, len(symbols), ends), symbols)
    entropy = -np.log2(np.bincount(symbols)[symbols] / len(symbols)).sum() / 8
    assert entropy < len(data) < 1.001 * entropy + 8


@pytest.mark.parametrize("width", [0, 1, 7, 33, 63])
def test_bits_packed_and_unpacked(width):
    values = np.random.default_rng(width).integers(0, 2**width, 37, dtype=np.uint64)
    data = pack_bits(values, width)
    assert len(data) == (37 * width + 7) // 8
    np.testing.assert_array_equal(unpack_bits(data, 37, width), values)
