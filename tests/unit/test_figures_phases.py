"""Figures and numbers of enhanced and polished results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text

from compress_mpi.io.pycompressor import random_bands
from compress_mpi.io.report import style
from compress_mpi.io.report.figures_phases import PhaseCurve, draw_erf_of_phases, draw_phase_curves
from compress_mpi.io.report.figures_polish import draw_held_out, draw_way
from compress_mpi.io.report.figures_quality import QualityPanel, draw_envelope, draw_quality
from compress_mpi.io.report.figures_search import Judged, draw_erf_by_size, draw_erf_per_estimator
from compress_mpi.methods.comparison.envelope import leaving, outside_map

X = np.geomspace(1e-4, 0.8, 12)
HELD = {"mean": 0.1, "stdev": 0.2, "correlation": 0.2, "quantiles": 0.3, "products": 0.0}


def judged(value: float = 0.1) -> Judged:
    return Judged(value, random_bands(np.random.default_rng(1).uniform(0.4, 1.2, 200)))


def texts(figure: object) -> list[str]:
    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]  # type: ignore[attr-defined]


def smallest(figure: object) -> float:
    found = figure.findobj(Text)  # type: ignore[attr-defined]
    return min(t.get_fontsize() for t in found if t.get_visible() and t.get_text())


def panels(n_flavour: int, measures: int = 6) -> list[QualityPanel]:
    rng = np.random.default_rng(2)
    noise = rng.uniform(0.01, 0.1, (2, 10, n_flavour))
    return [
        QualityPanel(
            f"measure {m}", rng.uniform(0.05, 0.3, n_flavour), *noise, 0.05 if not m else None, not m
        )
        for m in range(measures)
    ]


def test_phases_are_named_with_their_ends() -> None:
    n = np.arange(1.0, 40)
    curves = [PhaseCurve(name, 80 * n, k / n) for k, name in enumerate(("prior", "direct", "adiabatic"), 1)]
    figure = draw_phase_curves(curves, judged())
    said = texts(figure)
    assert {f"prior alone: {1 / 39:.4g}", f"adiabatic: {3 / 39:.4g}"} <= set(said)
    assert smallest(figure) >= 12
    low, high = figure.axes[0].get_ylim()
    assert low < 1 / 39 < judged().random["u68"] < high


def test_one_iteration_and_an_error_of_zero_can_be_drawn() -> None:
    one = np.ones(1)
    draw_phase_curves([PhaseCurve("prior", 0 * one, 0 * one)], judged()).canvas.draw()
    figure = draw_erf_of_phases({"prior": 0.0, "polished": 0.0}, judged())
    figure.canvas.draw()
    low, high = figure.axes[0].get_ylim()
    assert 0 < low < high
    assert texts(figure).count("0") == 2


def test_the_bars_say_what_each_phase_arrived_at() -> None:
    figure = draw_erf_of_phases({"prior": 0.058, "direct": 0.045, "polished": 0.027}, judged())
    assert {"0.058", "0.045", "0.027", "prior alone", "polished"} <= set(texts(figure))
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()][-1] == "polished"


@pytest.mark.parametrize("n_flavour", [1, 7, 33])
def test_quality_has_a_mark_and_two_bars_per_flavour(n_flavour: int) -> None:
    figure = draw_quality(panels(n_flavour), ["g"] * n_flavour)
    figure.canvas.draw()
    for axes in figure.axes:
        assert len(axes.patches) == 2 * n_flavour
    assert "allowed for a published set" in texts(figure)


def test_scales_are_apart_and_named_once() -> None:
    scales = ["1.65 GeV"] * 3 + ["10 GeV"] * 3
    figure = draw_quality(panels(6), ["g", "u", "d"] * 2, scales)
    assert texts(figure).count("1.65 GeV, 10 GeV") == 3
    assert smallest(figure) >= 11
    low, high = figure.axes[0].get_ylim()
    everything = np.concatenate([panels(6)[0].new, np.ravel(panels(6)[0].halves)])
    assert low < everything.min() <= everything.max() < high


def test_quality_that_is_no_number_or_zero_can_be_drawn() -> None:
    nothing, zeros = np.full(2, np.nan), np.zeros((3, 2))
    for new in (nothing, np.zeros(2)):
        for panel in (
            QualityPanel("std", new, zeros, zeros, 0.05, True),
            QualityPanel("ks", new, zeros, zeros),
        ):
            figure = draw_quality([panel], ["u", "d"])
            figure.canvas.draw()
            low, high = figure.axes[0].get_ylim()
            assert np.isfinite([low, high]).all()
            assert low < high


@pytest.mark.parametrize("share", [0.0, 0.2])
def test_the_first_flavour_of_an_envelope_is_at_the_top(share: float) -> None:
    map_ = np.full((3, len(X)), share)
    map_[1] = np.nan
    figure = draw_envelope(X, map_, map_, ["g", "u", "d"])
    figure.canvas.draw()
    for axes in figure.axes[:2]:
        low, high = axes.get_ylim()
        assert low > high


def test_polish_figures_tell_before_and_after() -> None:
    figure = draw_held_out(HELD, {name: value / 2 for name, value in HELD.items()})
    assert texts(figure).count("−50 %") == 4  # nothing to divide by where it was zero
    moved = np.array([[0.3, -0.3], [0.1, 0.0]])
    figure = draw_way(np.array([1.0, 0.5]), moved, 0.3, 0.5)
    assert "polished set: 0.5" in texts(figure)
    heights = figure.axes[1].patches[0].get_data().values
    assert heights.sum() == pytest.approx(1.0)
    named = texts(
        draw_erf_per_estimator({"mean": judged(), "total": judged()}, "selected (5)", {"mean": 0.01})
    )
    assert "polished" in named


def test_sizes_of_the_enhanced_set_may_be_others() -> None:
    by_size = {"total": {10: judged(), 20: judged()}, "mean": {10: judged(), 20: judged()}}
    others = {"from the enhanced set": {"total": {20: 0.05, 40: 0.02}}, "polished": {"total": {20: 0.01}}}
    figure = draw_erf_by_size(by_size, "compressed", others)
    assert {"from the enhanced set", "polished"} <= set(texts(figure))
    assert max(figure.axes[0].lines[-2].get_xdata()) == 40


def test_files_are_always_the_same(tmp_path: Path) -> None:
    one, two = (
        style.save_figure(draw_envelope(X, np.ones((2, 12)), np.ones((2, 12)), ["g", "u"]), tmp_path, name)
        for name in ("one", "two")
    )
    assert one == two
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()


# numbers


@given(st.integers(2, 6), st.integers(2, 12), st.integers(0, 2**32 - 1))
def test_a_subset_of_the_prior_never_leaves_it(n_point: int, n_rep: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    prior = rng.normal(size=(n_rep, 2, n_point))
    rows = rng.integers(n_rep, size=3)
    found = leaving(prior[rows], prior)
    assert found.outside_share == 0
    assert found.outside_depth == 0
    share, depth = outside_map(prior[rows], prior)
    assert not share.any()
    assert not depth.any()


def test_leaving_is_counted_in_standard_deviations() -> None:
    prior = np.array([[1.0, 5.0, -1.0], [3.0, 5.0, 1.0]])  # the second point has no spread
    subset = np.array([[4.0, 9.0, 0.5], [-1.0, 5.0, -0.5]])
    std = np.sqrt(2.0)
    found = leaving(subset, prior)
    assert found.outside_share == pytest.approx(2 / 4)
    assert found.outside_depth == pytest.approx(2 / std)
    # only the first point is rarely negative
    assert found.negative_share == pytest.approx(1 / 2)
    assert found.negative_depth == pytest.approx(1 / std)
    share, depth = outside_map(subset[:, None], prior[:, None])
    assert share[0, [0, 2]].tolist() == [1.0, 0.0]
    assert np.isnan(share[0, 1])
    assert np.isnan(depth[0, 1])
    assert depth[0, 0] == pytest.approx(2 / std)
