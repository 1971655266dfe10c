"""The published preprocessing: as scikit-learn does it, stored, and fit for what tables hold."""

from __future__ import annotations

import numpy as np
import pytest

from compress_mpi.methods.events.preprocess import (
    Preprocessing,
    PreprocessSettings,
    inverse_logarithm,
    logarithm,
)
from compress_mpi.methods.events.quantile import QuantileMap

PUBLISHED = PreprocessSettings((0, 3), (1, 2), published=True)
EXACT = PreprocessSettings((0, 3), (1, 2))


def jets(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    pt = 3.0 * rng.uniform(size=n) ** -0.6
    eta, phi = np.round(rng.normal(size=n), 2), rng.uniform(-np.pi, np.pi, n)
    return np.column_stack([pt, eta, phi, 0.2 * pt * rng.lognormal(0, 0.3, n)])


def test_published_form_is_that_of_scikit_learn():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    train, test = jets(), jets(seed=1)
    fitted = Preprocessing.fit(train, PUBLISHED)

    def logged(rows):
        rows = rows.copy()
        rows[:, [0, 3]] = np.log(10 + rows[:, [0, 3]])
        return rows

    scaler = preprocessing.StandardScaler().fit(logged(train))
    angles = preprocessing.QuantileTransformer(
        n_quantiles=3000, subsample=None, output_distribution="normal"
    ).fit(scaler.transform(logged(train))[:, 1:3])
    # ties (eta is rounded), both ends and values beyond them
    expected = scaler.transform(logged(test))
    expected[:, 1:3] = angles.transform(expected[:, 1:3])
    found = fitted.forward(test)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.abs(found[:, 1:3]).max() == pytest.approx(5.1993, abs=1e-4)
    back = expected.copy()
    back[:, 1:3] = angles.inverse_transform(back[:, 1:3])
    back = scaler.inverse_transform(back)
    back[:, [0, 3]] = np.exp(back[:, [0, 3]]) - 10
    np.testing.assert_allclose(fitted.inverse(found), back, rtol=1e-9, atol=1e-9)


def test_published_form_clips_and_ours_does_not():
    rows = jets()
    outside = rows[:1] + np.array([[0.0, 50.0, -50.0, 0.0]])
    clipped = Preprocessing.fit(rows, PUBLISHED)
    assert clipped.inverse(clipped.forward(outside))[0, 1] == pytest.approx(rows[:, 1].max())
    ours = Preprocessing.fit(rows, EXACT)
    np.testing.assert_allclose(ours.inverse(ours.forward(outside)), outside, rtol=1e-12)


def test_scores_are_normal_and_columns_standard():
    found = Preprocessing.fit(jets(), EXACT).forward(jets())
    assert np.abs(found.mean(axis=0)).max() < 0.02
    assert np.abs(found.std(axis=0) - 1).max() < 0.03
    assert np.abs(found[:, 2]).max() < 4.0


def test_logarithm_goes_on_smoothly_where_the_published_one_ends():
    x = np.linspace(-9, 500, 101)
    np.testing.assert_allclose(logarithm(x), np.log(10 + x), rtol=1e-14)
    np.testing.assert_array_equal(logarithm(-18.0 - x), -logarithm(x))
    slopes = np.diff(logarithm(np.array([-9.001, -9.0, -8.999]))) / 0.001
    assert slopes == pytest.approx([1.0, 1.0], abs=1e-3)
    wide = np.array([-1e308, -1e10, -10.0, -9.5, 0.0, 1e308])
    np.testing.assert_allclose(inverse_logarithm(logarithm(wide)), wide, rtol=1e-12, atol=1e-14)


def test_elements_that_are_not_finite_are_marked_and_do_not_count():
    rows = jets()
    plain = Preprocessing.fit(rows, EXACT)
    spoilt = np.vstack([rows, [[np.nan, np.inf, -np.inf, np.nan]]])
    again = Preprocessing.fit(spoilt, EXACT)
    np.testing.assert_array_equal(again.forward(rows), plain.forward(rows))
    assert np.isnan(plain.forward(spoilt)[-1]).all()
    assert np.isnan(Preprocessing.fit(rows, PUBLISHED).forward(spoilt)[-1]).all()


def test_a_column_of_nothing_but_nan_and_a_constant_one():
    rows = np.column_stack([np.full(5, np.nan), np.full(5, 0.1), np.arange(5.0)])
    for settings in (PreprocessSettings((), (0, 1, 2)), PreprocessSettings((0, 1), ())):
        fitted = Preprocessing.fit(rows, settings)
        found = fitted.forward(rows)
        np.testing.assert_array_equal(found[:, 1], 0.0)
        np.testing.assert_allclose(fitted.inverse(found), rows, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("settings", [EXACT, PUBLISHED])
def test_stored_and_restored(settings):
    fitted = Preprocessing.fit(jets(500), settings)
    arrays = fitted.to_arrays()
    assert all(array.dtype.kind in "fib" for array in arrays.values())
    again = Preprocessing.from_arrays(arrays)
    rows = jets(50, seed=2)
    np.testing.assert_array_equal(again.forward(rows), fitted.forward(rows))
    np.testing.assert_array_equal(again.inverse(rows), fitted.inverse(rows))


def test_single_row_and_thousands_of_columns():
    one = Preprocessing.fit(np.array([[5.0, 1.0, 2.0, 3.0]]), EXACT)
    far = np.array([[7.0, -3.0, 2.5, 0.0]])
    np.testing.assert_allclose(one.inverse(one.forward(far)), far, rtol=1e-13, atol=1e-13)
    wide = np.random.default_rng(0).normal(size=(20, 3000))
    fitted = Preprocessing.fit(wide, PreprocessSettings(tuple(range(1000)), tuple(range(500, 3000))))
    np.testing.assert_allclose(fitted.inverse(fitted.forward(wide)), wide, atol=1e-12)


def test_knots_are_few_where_values_are():
    m = QuantileMap.fit(np.repeat([1.0, 2.0, 5.0], 100), 50, published=False)
    np.testing.assert_array_equal(m.knots, [1.0, 2.0, 5.0])
    assert m.scores[1] == 0.0
    assert m.scores[0] == -m.scores[2]
    assert len(QuantileMap.fit(np.arange(1e5), 10_000, published=False).knots) == 10_000


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (np.zeros((0, 4)), EXACT, "one row and column at least"),
        (np.zeros(4), EXACT, "one row and column at least"),
        (np.zeros((4, 3)), EXACT, "no column 3; expected 0 to 2"),
        (np.zeros((4, 4)), PreprocessSettings((), (-1,)), "quantile: there is no column -1"),
    ],
)
def test_what_cannot_be_fitted_is_refused(rows, settings, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing.fit(rows, settings)


def test_other_refusals():
    with pytest.raises(ValueError, match="knots: expected 2 or more, got 1"):
        PreprocessSettings(knots=1)
    fitted = Preprocessing.fit(jets(100), EXACT)
    with pytest.raises(ValueError, match="fitted on 4 columns"):
        fitted.forward(np.zeros((2, 3)))
    arrays = fitted.to_arrays()
    with pytest.raises(ValueError, match="do not fit each other"):
        Preprocessing.from_arrays({**arrays, "knots": arrays["knots"][1:]})
    del arrays["scale"]
    with pytest.raises(ValueError, match="'scale' is missing"):
        Preprocessing.from_arrays(arrays)
