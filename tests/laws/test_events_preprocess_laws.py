"""Laws of the preprocessing and of the latent codec, whatever a table holds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from compress_mpi.methods.events.latent import LatentCodec, NoFlow, latents_of
from compress_mpi.methods.events.latent_quantiser import FORMS, Quantiser
from compress_mpi.methods.events.preprocess import Preprocessing, PreprocessSettings

some = settings(max_examples=40)
shapes = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)
moderate = st.floats(-1e6, 1e6, width=32)
anything = st.floats(width=64)
tables = arrays(np.float64, shapes, elements=moderate)
wild = arrays(np.float64, shapes, elements=anything)


def everywhere(rows, **options):
    """Logarithm on even columns, quantiles on all but the first."""
    c = rows.shape[1]
    return PreprocessSettings(tuple(range(0, c, 2)), tuple(range(1, c)), **options)


@some
@given(tables, st.floats(-1e6, 1e6))
def test_every_value_comes_back_to_rounding(rows, elsewhere):
    fitted = Preprocessing.fit(rows, everywhere(rows))
    for met in (rows, np.full_like(rows, elsewhere)):
        back = fitted.inverse(fitted.forward(met))
        scale = np.abs(met).max(axis=0) + np.abs(rows).max(axis=0) + 10.0
        # a wide gap between two knots of neighbouring scores costs its ratio to them
        assert (np.abs(back - met) <= 1e-9 * scale).all()


@some
@given(tables, st.sampled_from([True, False]))
def test_order_is_kept(rows, published):
    fitted = Preprocessing.fit(rows, everywhere(rows, published=published))
    found = fitted.forward(np.sort(rows, axis=0))
    assert (np.diff(found, axis=0) >= -1e-9).all()


@some
@given(wild)
def test_marked_is_exactly_what_has_no_finite_image(rows):
    fitted = Preprocessing.fit(rows, everywhere(rows))
    found = fitted.forward(rows)
    assert not np.isinf(found).any()
    assert np.isnan(found[~np.isfinite(rows)]).all()


@some
@given(wild)
def test_storing_changes_no_bit(rows):
    fitted = Preprocessing.fit(rows, everywhere(rows))
    again = Preprocessing.from_arrays(fitted.to_arrays())
    np.testing.assert_array_equal(again.forward(rows), fitted.forward(rows))


@some
@given(wild, st.integers(1, 31), st.sampled_from(FORMS))
def test_a_block_keeps_what_the_flow_cannot_carry(rows, bits, form):
    fitted = Preprocessing.fit(rows, everywhere(rows))
    latent, apart = latents_of(rows, fitted, NoFlow())
    codec = LatentCodec.fit(rows, fitted, Quantiser.fit(latent, bits, form), NoFlow())
    back = codec.decode(codec.encode(rows, NoFlow()), NoFlow())
    np.testing.assert_array_equal(back[apart], rows[apart])
    assert np.isfinite(back[np.isfinite(rows)]).all()


@some
@given(arrays(np.float64, shapes, elements=st.floats(-5, 5)), st.integers(1, 20))
def test_rounding_is_to_within_half_a_step(latent, bits):
    q = Quantiser.fit(latent, bits, "even")
    assert (np.abs(q.latent(q.integers(latent)) - latent) <= q.step * (0.5 + 1e-9)).all()
