"""Figures of the model behind a compressed table, each with a caption and a description."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compress_mpi.io.report.axes import even_chunks
from compress_mpi.io.report.events_types import EventsReport, Latents, SampleSet
from compress_mpi.io.report.figures_events import ACROSS, ColumnPanel, draw_columns
from compress_mpi.io.report.figures_events_latent import draw_latents, draw_uniforms
from compress_mpi.io.report.figures_events_sizes import draw_bits_scan, draw_rates
from compress_mpi.io.report.figures_events_training import draw_scan_curves, draw_training
from compress_mpi.io.report.page import Group, Table
from compress_mpi.workflows.events_panels import SHOWN, chosen, left_out, listed, pair_plots
from compress_mpi.workflows.report_plots import Plotter

__all__ = ["curve_group", "latent_group", "sample_group", "training_group"]

_LATENT_PANELS = 8


def latent_group(report: EventsReport, plot: Plotter) -> list[Group]:
    """Latents and uniforms of the flow."""
    if report.latents is None:
        return []
    plots = []
    for number, some in enumerate(_latent_chunks(report.latents), 1):
        found = "; ".join(f"{n} p = {p:.2g}" for n, p in zip(some.columns, some.p_values, strict=False))
        plots.append(
            plot(
                f"latents_{number}",
                draw_latents(some),
                "Latents of the flow beside the standard normal distribution; p is the probability of the test of "
                "normality of D’Agostino and Pearson, before: of the rows that enter the flow.",
                f"Histograms of latents. {found}",
            )
        )
        if some.uniforms is not None:
            plots.append(
                plot(
                    f"uniforms_{number}",
                    draw_uniforms(some),
                    "Where the rows fall in their conditional distributions, beside a flat distribution with its "
                    "statistical error of one standard deviation per bin.",
                    f"Histograms of the uniforms of {listed(some.columns)}.",
                )
            )
    known = len(report.latents.columns)
    text = left_out(min(SHOWN, known), known, "the lowest numbers")
    return [Group("Latents", plots, text)]


def _latent_chunks(latents: Latents) -> list[Latents]:
    chunks = even_chunks(range(min(len(latents.columns), SHOWN)), _LATENT_PANELS)
    return [
        replace(
            latents,
            columns=[latents.columns[k] for k in some],
            values=latents.values[:, some[0] : some[-1] + 1],
            p_values=latents.p_values[some[0] : some[-1] + 1],
            before=latents.before[some[0] : some[-1] + 1],
            uniforms=None if latents.uniforms is None else latents.uniforms[:, some[0] : some[-1] + 1],
        )
        for some in chunks
    ]


def training_group(report: EventsReport, plot: Plotter) -> list[Group]:
    """Losses of the training and of a scan."""
    plots = []
    curve = report.training
    if curve is not None and any(len(values) for values in curve.losses.values()):
        last = "; ".join(f"{name} {values[-1]:.4g}" for name, values in curve.losses.items() if len(values))
        plots.append(
            plot(
                "training",
                draw_training(curve),
                "Negative log-likelihood per row of training and held-out rows, and the learning rate.",
                f"Losses against the epoch; at the end: {last}.",
            )
        )
    if report.scan:
        best = min(report.scan, key=lambda one: float(np.nanmin(one.validation, initial=np.inf)))
        plots.append(
            plot(
                "scan",
                draw_scan_curves(report.scan),
                "Trials of the scan over the number of layers K and their width H; held-out rows are dashed. The best "
                f"has K = {best.transforms}, H = {best.hidden}.",
                f"Losses of {len(report.scan)} trials; the best one has K = {best.transforms}, H = {best.hidden}.",
            )
        )
    return [Group("Training", plots)]


def curve_group(report: EventsReport, plot: Plotter) -> list[Group]:
    """What an error costs."""
    plots = []
    if report.bits is not None and len(report.bits.bits):
        span = f"N = {report.bits.bits.min()} … {report.bits.bits.max()}"
        plots.append(
            plot(
                "bits",
                draw_bits_scan(report.bits),
                "Compression ratio R and error of the codec ‘latent’ against its number of bits N.",
                f"Ratios and errors for {span}.",
            )
        )
    if report.rates:
        names = listed([curve.label for curve in report.rates])
        plots.append(
            plot(
                "rates",
                draw_rates(report.rates, report.rates_error),
                f"Bits per value against {report.rates_error}, everything counted. Lower and further left is better.",
                f"Bits per value against the error of {names}.",
            )
        )
    return [Group("Size against error", plots)]


def sample_group(report: EventsReport, plot: Plotter) -> list[Group]:
    """Events drawn from the model beside data."""
    found = report.samples
    if found is None:
        return []
    names = chosen(list(found.data), {name: one[0] for name, one in found.ks.items()})
    labels = ("data", "samples")
    plots = [
        plot(
            f"samples_{number}",
            draw_columns(
                [ColumnPanel(n, found.data[n], found.samples[n], _ks_note(found, n)) for n in some],
                labels,
                independent=True,
            ),
            f"{listed(some)}: events drawn from the model beside held-out data, and the ratio samples / data. D is "
            "the distance of Kolmogorov and Smirnov, p its probability if both have one origin.",
            f"Histograms of samples and data. {'; '.join(f'{n} {_ks_note(found, n)}' for n in some)}".replace(
                "$", ""
            ),
        )
        for number, some in enumerate(even_chunks(names, ACROSS), 1)
    ]
    plots += pair_plots(names, (found.data, found.samples), plot, "samples_pairs", labels)
    tables = [_ks_table(found)] if found.ks else []
    absent = left_out(len(names), len(found.data), "the largest distances")
    return [Group("Samples against data", plots, " ".join(filter(None, [_verdict(found), absent])), tables)]


def _ks_note(found: SampleSet, name: str) -> str:
    if name not in found.ks:
        return ""
    distance, p_value = found.ks[name]
    return f"$D$ = {distance:.2g}, $p$ = {p_value:.2g}"


def _verdict(found: SampleSet) -> str:
    """How well samples and data can be told apart, in a sentence or two."""
    words = []
    if found.auc is not None:
        value, error = found.auc
        words.append(
            f"A classifier tells samples and data apart with an AUC of {value:.4f} ± {error:.4f}; 0.5 is not at all."
        )
    if found.correlation is not None:
        largest, rms = found.correlation
        words.append(f"Rank correlations differ by {largest:.2g} at most, {rms:.2g} rms.")
    return " ".join(words)


def _ks_table(found: SampleSet) -> Table:
    rows = [[name, f"{distance:.4g}", f"{p_value:.3g}"] for name, (distance, p_value) in found.ks.items()]
    return Table(["column", "D", "p"], rows, "Kolmogorov–Smirnov tests, samples against data.", words=False)
