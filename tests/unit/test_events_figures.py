"""Figures of event tables: bins for any column, what is drawn, and that it can be read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compress_mpi.io.report import figures_events
from compress_mpi.io.report.axes import column_text, even_chunks, number_axis
from compress_mpi.io.report.events_types import BitsScan, Latents, RateCurve, ScanCurve, Sizes, TrainingCurve
from compress_mpi.io.report.figures_events import ColumnPanel, ErrorPanel, draw_columns, draw_errors
from compress_mpi.io.report.figures_events_latent import draw_latents, draw_uniforms
from compress_mpi.io.report.figures_events_pairs import draw_pairs
from compress_mpi.io.report.figures_events_sizes import draw_bits_scan, draw_bytes, draw_rates
from compress_mpi.io.report.figures_events_training import draw_scan_curves, draw_training
from compress_mpi.io.report.histograms import choose_bins, fractions
from compress_mpi.io.report.style import SLIDE_WIDTH, new_figure, styled

N = 600
LABELS = ("original", "decoded")


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


ODD = {
    "a very long name of a column with $dollars$\nand lines": np.exp(3 * rng().normal(size=N)),
    "n_jets": rng().poisson(3, N).astype(np.int8),
    "event": 283642800 + 7 * rng().integers(0, 90, N),
    "constant": np.full(N, 3.5, np.float32),
    "outlier": np.r_[rng().normal(size=N - 1), 1e9],
    "nan": np.full(N, np.nan),
    "flag": rng().random(N) < 0.2,
    "tiny": rng().normal(size=N) * 1e-25,
    "huge": np.r_[rng().normal(size=N - 2) * 1e307, np.inf, 1.7e308],
    "unsigned": rng().integers(0, 2**63, N, dtype=np.uint64),
    "denormal": rng().integers(0, 5, N) * 5e-324,
    "half": (100 * rng().normal(size=N)).astype(np.float16),
}


def texts(figure):
    from matplotlib.text import Text

    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text()]


def said(figure) -> str:
    return " ".join(text.get_text() for text in texts(figure))


def check(figure, *words: str) -> None:
    """It can be drawn without a warning, has large letters and says what it should."""
    figure.set_dpi(40)
    figure.canvas.draw()
    assert all(word in said(figure) for word in words)
    assert min(text.get_fontsize() for text in texts(figure)) >= 12
    assert figure.get_figwidth() <= SLIDE_WIDTH + 1e-9


@given(
    hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(allow_nan=True, allow_infinity=True)),
    st.sampled_from([np.float64, np.float32, np.float16]),
)
@settings(max_examples=50, deadline=None)
def test_bins_hold_every_finite_value_of_any_column(values: np.ndarray, dtype: type) -> None:
    with np.errstate(over="ignore"):
        column = values.astype(dtype)
    bins = choose_bins(column)
    assert np.isfinite(bins.edges).all()
    assert (np.diff(bins.edges) > 0).all()
    finite = np.isfinite(column).any()
    assert bins.empty != finite
    assert fractions(column, bins.edges).sum() == pytest.approx(1.0 if finite else 0.0)
    assert not bins.log_x or bins.edges[0] > 0


def test_bins_follow_the_kind_of_column() -> None:
    whole = choose_bins(ODD["n_jets"])
    assert set(np.diff(whole.edges)) == {1.0}
    assert whole.edges[0] == -0.5
    assert np.abs(choose_bins(ODD["outlier"]).edges).max() < 20
    wide = choose_bins(next(iter(ODD.values())))
    assert wide.log_x
    steep = choose_bins(rng().exponential(size=20000))
    assert steep.log_y
    assert not steep.log_x
    assert not choose_bins(rng().random(2000)).log_y
    low, high = choose_bins(ODD["constant"]).edges[[0, -1]]
    assert low < 3.5 < high


@pytest.mark.parametrize("names", even_chunks(list(ODD), 4), ids=str)
def test_odd_columns_can_be_read(names: list[str]) -> None:
    figure = draw_columns([ColumnPanel(n, ODD[n], ODD[n], "note") for n in names], LABELS)
    check(figure, "original", "decoded", "ratio", "note", column_text(names[-1]))


def test_a_ratio_is_that_of_the_fractions_and_has_errors_where_samples_are_independent() -> None:
    first, second = np.array([0] * 50 + [1] * 50), np.array([0] * 50 + [1] * 150)
    for independent in (False, True):
        figure = draw_columns([ColumnPanel("n", first, second)], LABELS, independent=independent)
        (points,) = figure.axes[1].containers
        np.testing.assert_allclose(points.lines[0].get_ydata(), [0.5, 1.5])
        assert bool(points.lines[2]) == independent


def test_one_table_alone_has_no_ratio() -> None:
    figure = draw_columns([ColumnPanel("x", ODD["half"], np.zeros(0))], ["decoded"])
    check(figure, "decoded")
    assert len(figure.axes) == 1
    assert "ratio" not in said(figure)


def test_errors_show_bound_and_what_is_not_finite() -> None:
    residual = rng().uniform(-0.02, 0.02, N)
    response = residual / np.r_[np.zeros(30) + np.nan, np.ones(N - 30)]
    panels = [ErrorPanel("pt", residual, response, 0.02), ErrorPanel("id", np.zeros(N), np.zeros(N), 0.0)]
    figure = draw_errors([*panels, ErrorPanel("no", np.full(N, np.nan), np.full(N, np.nan))])
    check(figure, "bound", "NaN or inf: 5 %", "NaN or inf: 100 %", "all equal to zero", "no finite value")
    lines = [line.get_xdata()[0] for line in figure.axes[0].lines]
    assert lines == [-0.02, 0.02]
    low, high = figure.axes[0].get_xlim()
    assert low < -0.02 < 0.02 < high < 0.03


def test_a_long_tail_of_errors_keeps_the_middle_visible() -> None:
    residual = rng().standard_t(1.2, 5000)
    figure = draw_errors([ErrorPanel("pt", residual, residual)])
    assert figure.axes[0].get_xlim()[1] < 0.5 * np.abs(residual).max()
    assert figure.axes[0].get_yscale() == "log"


def test_pairs_lie_below_and_above_the_diagonal_on_the_same_axes() -> None:
    first = {"x": np.zeros(10), "y": np.arange(10.0)}
    second = {"x": np.zeros(10), "y": np.full(10, 4.0)}
    figure = draw_pairs(["x", "y"], first, second, LABELS)
    check(figure, "original (below)", "decoded (above)", "x", "y")
    above, below = figure.axes[1].collections[0], figure.axes[2].collections[0]
    # original: y spread upwards over ten cells; decoded: y, now across, in a single one
    assert (below.get_array().filled(0) > 0).sum() == 10
    assert (above.get_array().filled(0) > 0).sum() == 1
    assert figure.axes[1].get_xlim() == figure.axes[3].get_xlim() == figure.axes[2].get_ylim()


def test_pairs_of_odd_columns() -> None:
    names = ["event", "constant", "nan", "huge", next(iter(ODD))]
    check(draw_pairs(names, ODD, ODD, LABELS), column_text(names[-1], 16))


def latents(columns: int) -> Latents:
    values = rng().normal(size=(N, columns))
    values[0] = np.inf
    names = [f"c{k}" for k in range(columns)]
    return Latents(names, values, [0.25] * columns, [0.0] * columns, rng().random((N, columns)))


@pytest.mark.parametrize("columns", [1, 6])
def test_latents_and_uniforms(columns: int) -> None:
    figure = draw_latents(latents(columns))
    check(figure, "$p$ = 0.25  (before: < 1e-99)", "standard normal")
    curve = figure.axes[0].lines[0]
    assert np.trapezoid(curve.get_ydata(), curve.get_xdata()) == pytest.approx(1, abs=1e-4)
    figure = draw_uniforms(latents(columns))
    check(figure, "$u$ of c0", "flat")
    assert figure.axes[0].lines[0].get_ydata()[0] == 1.0


def test_training_shows_the_rate_and_the_weights_that_were_kept() -> None:
    epochs = np.arange(60)
    losses = {"train": 1e4 * np.exp(-4.0 * epochs) + 3, "validation": 3.1 + np.exp(-epochs / 5)}
    losses["train"][30] = np.nan
    figure = draw_training(TrainingCurve(losses, 1e-3 * 0.5 ** (epochs // 20), 50))
    check(figure, "kept: epoch 50", "learning rate", "held-out rows", "epoch")
    assert figure.axes[0].get_ylim()[1] < 10, "the first epochs do not set the scale"
    check(draw_training(TrainingCurve({"train": np.array([2.0])})), "training rows")


def test_a_scan_has_a_panel_per_depth_a_colour_per_width_and_dashes_for_held_out_rows() -> None:
    curves = [
        ScanCurve(k, h, np.linspace(4, 3, 9) / k, np.linspace(4, 3.5, 9) / k)
        for k in (2, 4)
        for h in (16, 32)
    ]
    figure = draw_scan_curves(curves)
    check(figure, "$K$ = 2", "$K$ = 4", "$H$ = 16", "$H$ = 32", "held out")
    assert len(figure.axes) == 2
    lines = figure.axes[1].lines
    assert [line.get_linestyle() for line in lines] == ["-", "--"] * 2
    assert len({line.get_color() for line in lines}) == 2
    np.testing.assert_allclose(lines[2].get_ydata(), curves[3].train)
    assert (
        len(
            draw_scan_curves(
                [ScanCurve(k, h, np.ones(2), np.ones(2)) for k in range(5) for h in range(7)]
            ).axes
        )
        > 5
    )


def test_ratios_and_errors_against_the_bits() -> None:
    bits = np.arange(1, 32)
    scan = BitsScan(bits, {"npz": 30 / bits, "text": 60 / bits}, {"mean |residual|": 2.0**-bits})
    figure = draw_bits_scan(scan)
    check(figure, "npz", "text", "mean |residual|", "bits $N$")
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), 60 / bits)
    assert figure.axes[1].get_yscale() == "log"


def test_rates_are_joined_in_the_order_of_the_error() -> None:
    figure = draw_rates([RateCurve("bounded", np.array([1.0, 0.01, 0.1]), np.array([5.0, 12.0, 8.0]))], "RMS")
    check(figure, "RMS", "bounded", "bits per value")
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [12, 8, 5])


def test_bytes_are_written_behind_their_bars() -> None:
    sizes = Sizes({"payload": 900, "model": 100}, {"raw": 3000, "text": 9000})
    check(draw_bytes(sizes), "900 B  (90 %)", "100 B  (10 %)", "3 kB  ($R$ = 3)", "9 kB  ($R$ = 9)", "1 kB")
    assert sizes.ratio("raw", model=False) == pytest.approx(3000 / 900)
    check(draw_bytes(Sizes({"payload": 10})), "10 B  (100 %)")


def test_names_and_pieces() -> None:
    assert column_text("pt") == "pt"
    assert column_text(" a\n b$ ") == r"a b\$"
    assert len(column_text("x" * 100)) == 22
    assert column_text("") == "(no name)"
    assert [len(some) for some in even_chunks(range(10), 4)] == [3, 4, 3]
    assert even_chunks([], 4) == []


@pytest.mark.parametrize(
    ("low", "high", "label"),
    [
        (0.0, 5.0, "v"),
        (-2e-5, 2e-5, r"v  [$10^{-6}$]"),
        (0.0, 3e7, r"v  [$10^{6}$]"),
        (283642800.0, 283643400.0, "v − 283642800"),
        (-283643400.0, -283642800.0, "v + 283643400"),
    ],
)
def test_what_numbers_have_in_common_goes_into_the_label(low: float, high: float, label: str) -> None:
    @styled
    def draw():
        figure = new_figure(4, 3)
        axes = figure.subplots()
        axes.set_xlim(low, high)
        number_axis(axes, "x", "v")
        figure.canvas.draw()
        return figure

    axes = draw().axes[0]
    assert axes.get_xlabel() == label
    shown = [tick.get_text() for tick in axes.get_xticklabels() if tick.get_text()]
    assert len(set(shown)) == len(shown) >= 2
    assert max(len(text) for text in shown) <= 5


def test_one_panel_is_not_stretched_over_a_slide() -> None:
    widths = [figures_events.panel_width(n) for n in (1, 2, 3, 4)]
    assert widths == sorted(widths)
    assert widths[0] < 0.5 * SLIDE_WIDTH
    assert widths[-1] == SLIDE_WIDTH
