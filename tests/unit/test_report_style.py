"""Names, axes, limits and files of figures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress_mpi.errors import OutputError
from compress_mpi.io.pycompressor import random_bands
from compress_mpi.io.report import style
from compress_mpi.io.report.figures_search import (
    Judged,
    draw_convergence,
    draw_erf_by_size,
    draw_erf_per_estimator,
)
from compress_mpi.io.report.figures_sets import BandPanel, draw_bands
from compress_mpi.io.report.figures_summary import draw_correlations, draw_frechet
from compress_mpi.methods.comparison.bands import bands, relative_to

X = np.concatenate([np.geomspace(1e-5, 0.08, 10), np.linspace(0.1, 0.9, 10)])


def judged(value: float = 0.1, scale: float = 1.0) -> Judged:
    trials = scale * np.random.default_rng(0).gamma(2.0, size=200)
    return Judged(value, random_bands(trials))


@pytest.mark.parametrize(
    ("pid", "label", "text"),
    [(21, "g", "g"), (0, "g", "g"), (2, "u", "u"), (-1, r"\bar{d}", "dbar"), (-5, r"\bar{b}", "bbar")],
)
def test_flavours_have_names(pid: int, label: str, text: str) -> None:
    assert style.flavour_label(pid) == label
    assert style.flavour_text(pid) == text


def test_an_unknown_flavour_has_its_number() -> None:
    assert "17" in style.flavour_label(17)
    assert style.flavour_text(17) == "17"


@given(st.floats(1e-9, 1.0))
def test_the_x_axis_can_be_read_back(x: float) -> None:
    assert float(style._backward(style._forward(np.array(x)))) == pytest.approx(x, rel=1e-9)


def test_the_x_axis_is_smooth_and_increases() -> None:
    x = np.linspace(0.05, 0.15, 2001)
    slope = np.diff(style._forward(x)) / np.diff(x)
    assert np.all(slope > 0)
    assert np.abs(np.diff(slope)).max() < 0.02
    decade = style._forward(np.array([1e-4, 1e-3, 1e-2]))
    assert np.ptp(np.diff(decade)) < 1e-12


def test_limits_ignore_what_is_not_finite() -> None:
    low, high = style.robust_limits([np.array([1.0, np.nan]), np.array([np.inf, 3.0])])
    assert low < 1.0 < 3.0 < high < 4.0
    assert style.robust_limits([np.array([np.nan])]) == (0.0, 1.0)
    low, high = style.robust_limits([np.zeros(3)])
    assert low < 0 < high


def texts(figure: object) -> list[str]:
    from matplotlib.text import Text

    return [t.get_text() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]  # type: ignore[attr-defined]


def sizes(figure: object) -> list[float]:
    from matplotlib.text import Text

    return [t.get_fontsize() for t in figure.findobj(Text) if t.get_visible() and t.get_text()]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def panel() -> BandPanel:
    prior = np.random.default_rng(1).normal(1, 0.1, size=(30, len(X)))
    two = bands(prior), bands(prior[:10])
    return BandPanel(r"$\bar{u}$", two, [relative_to(b, two[0].mean) for b in two])


def test_a_band_figure_names_its_axes_and_is_readable(panel: BandPanel) -> None:
    figure = draw_bands(X, [panel] * 3, ["prior (30)", "compressed (10)"], 1.65)
    said = " ".join(texts(figure))
    assert all(word in said for word in ("GeV", "ratio to prior", "$x$", r"$\bar{u}$", "compressed (10)"))
    assert figure.get_figwidth() == pytest.approx(style.SLIDE_WIDTH)
    assert min(sizes(figure)) >= 12


def test_a_band_outside_the_figure_is_noticed(panel: BandPanel) -> None:
    figure = draw_bands(X, [panel], ["prior", "compressed"], 1.65)
    upper, lower = figure.axes[:2]
    low, high = upper.get_ylim()
    assert low < min(b.low.min() for b in panel.absolute)
    assert high > max(b.high.max() for b in panel.absolute)
    low, high = lower.get_ylim()
    assert low < 1 < high


def test_names_are_written_once_per_estimator() -> None:
    figure = draw_erf_per_estimator({"stdev": judged(), "total": judged(0.2)}, "compressed (5)")
    said = texts(figure)
    assert "standard deviation" in said
    assert "total" in said
    assert min(sizes(figure)) >= 12


def test_a_distance_of_zero_can_be_drawn() -> None:
    trials = np.zeros(100)
    trials[80:] = 1.0
    zero = Judged(0.0, random_bands(trials))
    for figure in (
        draw_erf_per_estimator({"correlation": zero, "total": judged()}, "compressed"),
        draw_frechet({"g": zero, "u": judged()}, "compressed"),
        draw_erf_by_size({"mean": {10: zero, 20: judged()}}),
    ):
        low, high = figure.axes[0].get_xlim()
        assert high / max(low, 1e-9) < 1e12
        figure.canvas.draw()


def test_convergence_without_times_has_one_panel() -> None:
    iteration, erf = np.arange(1.0, 30), np.geomspace(1, 0.1, 29)
    assert len(draw_convergence(iteration, erf, np.zeros(29), judged()).axes) == 1
    timed = draw_convergence(iteration, erf, np.linspace(0.1, 3, 29), judged())
    assert [axes.get_xlabel() for axes in timed.axes] == ["iteration", "search time [s]"]
    assert "0.1" in texts(timed)


def test_the_first_iteration_alone_can_be_drawn() -> None:
    draw_convergence(np.ones(1), np.ones(1), np.ones(1), judged()).canvas.draw()


def test_sizes_are_on_the_axis_of_every_estimator() -> None:
    results = {name: {20: judged(), 100: judged(0.01)} for name in ("total", "mean", "stdev")}
    figure = draw_erf_by_size(results)
    assert [axes.get_title() for axes in figure.axes] == ["total ERF", "mean", "standard deviation"]
    for axes in figure.axes:
        assert axes.get_yscale() == "log"
        assert [tick for tick in axes.get_xticks()] == [20, 100]


def test_the_difference_of_correlations_has_its_own_scale() -> None:
    matrix = np.eye(4)
    figure = draw_correlations({"a": matrix, "b": matrix}, ("b - a", 0.2 * matrix), [21, 21, -2, -2])
    limits = [axes.images[0].get_clim() for axes in figure.axes[:3]]
    assert limits == [(-1, 1), (-1, 1), (-0.2, 0.2)]
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["$g$", r"$\bar{u}$"]


def test_files_are_slides_and_always_the_same(tmp_path: Path) -> None:
    import matplotlib.image

    def save(folder: Path) -> bytes:
        figure = draw_frechet({"g": judged(), "u": judged(0.3)}, "compressed")
        return style.save_figure(figure, folder, "frechet")

    png = save(tmp_path / "one")
    assert (tmp_path / "one" / "frechet.png").read_bytes() == png == save(tmp_path / "two")
    pdfs = [(tmp_path / f / "frechet.pdf").read_bytes() for f in ("one", "two")]
    assert pdfs[0] == pdfs[1]
    assert pdfs[0].startswith(b"%PDF")
    picture = matplotlib.image.imread(io.BytesIO(png))
    assert picture.shape[1] == round(style.SLIDE_WIDTH * style.DPI)
    assert len(np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)) > 20


def test_the_users_own_style_does_not_leak_in() -> None:
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 4, "axes.labelsize": 4}):
        figure = draw_frechet({"g": judged()}, "compressed")
        assert mpl.rcParams["font.size"] == 4
    assert min(sizes(figure)) >= 12


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file.*plots.*choose another folder"):
        style.save_figure(style.new_figure(2, 2), tmp_path / "file" / "plots", "x")
