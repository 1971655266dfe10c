"""The figures of a report, each with a caption and a description."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compress_mpi.io.report.figures_search import (
    Judged,
    draw_convergence,
    draw_erf_by_size,
    draw_erf_per_estimator,
)
from compress_mpi.io.report.figures_sets import (
    BandPanel,
    DistributionPanel,
    draw_bands,
    draw_distributions,
    draw_luminosities,
)
from compress_mpi.io.report.figures_summary import draw_correlations, draw_frechet
from compress_mpi.io.report.page import Group, Plot
from compress_mpi.io.report.style import flavour_label, flavour_text, save_figure
from compress_mpi.workflows.report_comparison import Comparison, Distribution, FlavourBands
from compress_mpi.workflows.report_facts import Result
from compress_mpi.workflows.report_sets import SQRT_S
from compress_mpi.workflows.words import scale_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Plotter", "overview_groups", "search_group", "set_groups"]

_PANELS = 3


class Plotter:
    """Saves figures in one folder under one prefix.

    Parameters
    ----------
    folder : Path
    prefix : str
        Begins the names of all files.
    """

    def __init__(self, folder: Path, prefix: str) -> None:
        self.folder, self.prefix = folder, prefix

    def __call__(self, name: str, figure: Figure, caption: str, alt: str) -> Plot:
        """Save a figure as PNG and PDF, for a page."""
        stem = self.prefix + name
        return Plot(stem, caption, alt, save_figure(figure, self.folder, stem))


def overview_groups(results: Sequence[Result], plot: Plotter) -> list[Group]:
    """Distances against size; empty for a single result."""
    if len(results) < 2:
        return []
    kinds = _by_kind(results)
    main = next(iter(kinds))
    by_size: dict[str, dict[int, Judged]] = {}
    for result in kinds[main]:
        for name, judged in result.judged(normalised=False).items():
            by_size.setdefault(name, {})[result.facts["selection"]["n_rep"]] = judged
    by_size = {"total": by_size.pop("total"), **by_size}
    others = {kind: _distances(some) for kind, some in kinds.items() if kind != main} | _polished(results)
    values = "; ".join(
        f"N = {result.facts['selection']['n_rep']}{'' if kind == main else f', {kind}'}: total ERF "
        f"{result.facts['selection']['erf']:.4g}"
        for kind, some in kinds.items()
        for result in some
    )
    caption = (
        "Distance between selection and prior against the number of replicas, with the median and the 50, 68 and "
        "90 % bands of random subsets. Estimators are not normalised here, since the normalisation depends on N; "
        "the total ERF is."
    )
    text = ""
    if sum(len({r.facts["selection"]["n_rep"] for r in some}) for some in kinds.values()) < len(results):
        text = "Several files have the same size; the plot shows the last one of each size."
    drawn = draw_erf_by_size(by_size, main, others)
    figure = plot("erf_by_size", drawn, caption, f"Distances by size. {values}.")
    return [Group("Distance against size", [figure], text)]


def _by_kind(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Results by the set that they select from, those of a prior first."""
    kinds: dict[str, list[Result]] = {}
    for result in sorted(results, key=lambda one: one.facts["enhanced"] is not None):
        kind = "compressed" if result.facts["enhanced"] is None else "from the enhanced set"
        kinds.setdefault(kind, []).append(result)
    return kinds


def _distances(results: Sequence[Result]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for result in results:
        for name, judged in result.judged(normalised=False).items():
            found.setdefault(name, {})[result.facts["selection"]["n_rep"]] = judged.value
    return found


def _polished(results: Sequence[Result]) -> dict[str, dict[str, dict[int, float]]]:
    """Total ERFs of polished sets; of each size the lowest."""
    erfs: dict[int, float] = {}
    for result in results:
        polish, n_rep = result.facts["polish"], result.facts["selection"]["n_rep"]
        if polish is not None and polish["erf"] is not None:
            erfs[n_rep] = min(erfs.get(n_rep, np.inf), polish["erf"])
    return {"polished": {"total": erfs}} if erfs else {}


def _names(result: Result) -> tuple[str, str]:
    """Legends of prior and selection."""
    n_rep, members = result.facts["selection"]["n_rep"], result.facts["prior"]["members"]
    return f"prior ({members})", f"compressed ({n_rep})"


def search_group(result: Result, plot: Plotter) -> Group:
    """How the search went and where it ended; needs no set."""
    plots = []
    iteration, erf, seconds = result.history
    normalised = result.judged()
    total = normalised["total"]
    # the history of phases is shown phase by phase
    if len(iteration) and not result.facts["phases"]:
        plots.append(
            plot(
                "convergence",
                draw_convergence(iteration, erf, seconds, total),
                "Lowest total ERF among all islands after each iteration. The grey band is the central 68 % of random "
                "subsets of the same size.",
                f"Total ERF falls from {erf[0]:.4g} to {erf[-1]:.4g} in {len(erf)} iterations and {seconds[-1]:.3g} "
                f"seconds; random subsets have a median of {total.random['rmd']:.3g}.",
            )
        )
    listed = "; ".join(f"{name} {one.value:.3g}" for name, one in normalised.items())
    plots.append(
        plot(
            "erf_estimators",
            draw_erf_per_estimator(normalised, _names(result)[1]),
            "ERF of every estimator, divided by the normalisation, with median, mean (×) and 50, 68 and 90 % bands of "
            "random subsets. The dotted line is the normalisation itself.",
            f"ERF of the selection by estimator: {listed}. Random subsets are near one.",
        )
    )
    return Group("Search", plots)


def set_groups(result: Result, found: Comparison, plot: Plotter) -> list[Group]:
    """Prior and selection side by side."""
    makers: list[Callable[[Result, Comparison, Plotter], list[Group]]] = [
        _band_groups,
        _correlation_group,
        _distribution_group,
        _frechet_group,
        _luminosity_group,
    ]
    return [group for make in makers for group in make(result, found, plot)]


def _pid_label(pids: Sequence[int]) -> str:
    return " = ".join(flavour_label(pid) for pid in pids)


def _pid_text(pids: Sequence[int]) -> str:
    return " = ".join(flavour_text(pid) for pid in pids)


def _band_groups(result: Result, found: Comparison, plot: Plotter) -> list[Group]:
    groups = []
    for k, (q, flavours) in enumerate(found.bands.items()):
        where = ("high" if q not in found.sample.scales else f"q0_s{k + 1}") if k else "q0"
        plots = [
            _band_plot(result, found, plot, q, where, number, some)
            for number, some in enumerate(_chunks(flavours), 1)
        ]
        absent = found.vanishing[q]
        text = (
            f"Zero in every replica at this scale: {', '.join(map(flavour_text, absent))}." if absent else ""
        )
        groups.append(Group(f"Parton densities at Q = {q:g} GeV", plots, text))
    return groups


def _chunks(flavours: Sequence[FlavourBands]) -> list[Sequence[FlavourBands]]:
    """As few figures as possible, with as many panels in one as in another."""
    count = -(-len(flavours) // _PANELS)
    edges = [round(k * len(flavours) / count) for k in range(count + 1)] if count else [0]
    return [flavours[a:b] for a, b in pairwise(edges)]


def _band_plot(
    result: Result,
    found: Comparison,
    plot: Plotter,
    q: float,
    where: str,
    number: int,
    flavours: Sequence[FlavourBands],
) -> Plot:
    panels = [BandPanel(f"${_pid_label(f.pids)}$", f.absolute, f.ratio) for f in flavours]
    named = ", ".join(_pid_text(f.pids) for f in flavours)
    rows = {tuple(row["flavours"]): row for row in found.facts["bands"] if row["q"] == q}
    shifts = "; ".join(
        f"{_pid_text(f.pids)}: mean within {rows[f.pids]['largest_shift']:.2g} standard deviations of the prior"
        for f in flavours
    )
    return plot(
        f"bands_{where}_{number}",
        draw_bands(found.sample.x, panels, _names(result), q),
        f"{named}: mean with central 68 % interval (bands) and standard deviation (broken lines) of prior and "
        "compressed set; below, the same divided by the mean of the prior.",
        f"x f(x, Q) at Q = {q:g} GeV against x, prior and compressed. {shifts}.",
    )


def _correlation_group(result: Result, found: Comparison, plot: Plotter) -> list[Group]:
    points = found.reference.points
    if not len(points):
        return []
    pids = [int(found.sample.column(f)["flavour"]) for f in points[:, 0].tolist()]
    prior, compressed = _names(result)
    matrices = found.correlations
    figure = draw_correlations(
        {prior: matrices.first, compressed: matrices.second},
        ("compressed − prior", matrices.difference),
        pids,
    )
    nodes = ", ".join(f"{x:.2g}" for x in dict.fromkeys(found.sample.x[points[:, 1]]))
    numbers = (
        f"the largest difference is {matrices.largest:.2g}, the root of the mean square {matrices.rms:.2g}"
    )
    caption = (
        f"Correlations between flavours at Q = {scale_text(found.sample.scales)}, each at x = {nodes} in this order; "
        f"{numbers}."
    )
    alt = f"Correlation matrices of prior and compressed set over {len(points)} points; {numbers}."
    return [Group("Correlations", [plot("correlations", figure, caption, alt)])]


def _distribution_group(result: Result, found: Comparison, plot: Plotter) -> list[Group]:
    plots = []
    for number, x in enumerate(sorted({d.x for d in found.distributions}), 1):
        here = [d for d in found.distributions if d.x == x]
        panels = [_distribution_panel(d) for d in here]
        heading = f"$x = {x:.3g}$,  $Q = {found.sample.q0:g}$ GeV"
        alt = "; ".join(f"{_pid_text(d.pids)} D = {d.ks.value:.2g}" for d in here)
        plots.append(
            plot(
                f"distributions_{number}",
                draw_distributions(panels, _names(result), heading),
                f"Values of the replicas at x = {x:.3g}; replicas outside the range are in the outermost bins. "
                "D is the Kolmogorov-Smirnov distance between prior and compressed set, beside the median of random "
                "subsets of the same size.",
                f"Histograms at x = {x:.3g}. Kolmogorov-Smirnov distances: {alt}.",
            )
        )
    return [Group("Distributions", plots)] if plots else []


def _distribution_panel(one: Distribution) -> DistributionPanel:
    note = f"$D$ = {one.ks.value:.3f}  (random: {one.ks.random['rmd']:.3f})"
    return DistributionPanel(f"${_x_label(one.pids)}$", (one.prior, one.compressed), note)


def _x_label(pids: Sequence[int]) -> str:
    return " = ".join(rf"x\,{flavour_label(pid)}" for pid in pids)


def _frechet_group(result: Result, found: Comparison, plot: Plotter) -> list[Group]:
    judged = {_pid_label(pids): one for pids, one in found.frechet.items()}
    if not judged:
        return []
    alt = "; ".join(
        f"{_pid_text(pids)} {one.value:.2g} (random {one.random['rmd']:.2g})"
        for pids, one in found.frechet.items()
    )
    caption = (
        "Squared Fréchet distance between prior and compressed set, per flavour over all x nodes at "
        f"Q = {found.sample.q0:g} GeV, with median and bands of random subsets of the same size."
    )
    figure = draw_frechet(judged, _names(result)[1])
    return [
        Group("Fréchet distance", [plot("frechet", figure, caption, f"Squared Fréchet distances: {alt}.")])
    ]


def _luminosity_group(result: Result, found: Comparison, plot: Plotter) -> list[Group]:
    if not found.luminosity:
        return []
    shift = max(float(np.nanmax(np.abs(both[1].mean - 1))) for both in found.luminosity.values())
    figure = draw_luminosities(found.mass, found.luminosity, _names(result), SQRT_S)
    caption = (
        "Parton luminosities at the scale of the invariant mass, divided by the mean of the prior: mean with central "
        "68 % interval (bands) and standard deviation (broken lines). q stands for all quarks and antiquarks."
    )
    alt = (
        f"Ratios of the luminosities gg, gq, q qbar and qq to the prior from {found.mass[0]:.3g} to "
        f"{found.mass[-1]:.3g} GeV; the mean of the compressed set stays within {100 * shift:.2g} % of the prior."
    )
    return [Group("Parton luminosities", [plot("luminosities", figure, caption, alt)])]
