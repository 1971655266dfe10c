"""The sections of a report about the phases of a compression and about its polish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compress_mpi.io.report.figures_phases import PhaseCurve, draw_erf_of_phases, draw_phase_curves
from compress_mpi.io.report.figures_polish import draw_held_out, draw_way
from compress_mpi.io.report.figures_search import draw_erf_per_estimator
from compress_mpi.io.report.page import Group, Plot, Table
from compress_mpi.methods.comparison.envelope import leaving
from compress_mpi.methods.enhancement.linear import combine
from compress_mpi.methods.selection.error_function import distances
from compress_mpi.types import FloatArray
from compress_mpi.workflows.report_comparison import Comparison
from compress_mpi.workflows.report_facts import Result
from compress_mpi.workflows.report_plots import Plotter
from compress_mpi.workflows.report_sets import SubsetSample

__all__ = ["phase_group", "polish_group"]

_LEAVING = {
    "outside_share": "values outside the envelope of the prior",
    "outside_depth": "farthest outside [std. dev.]",
    "negative_share": "negative values where the prior rarely is",
    "negative_depth": "deepest of them [std. dev.]",
}


def phase_group(result: Result, plot: Plotter) -> list[Group]:
    """How the phases converged and what each arrived at; empty where the run was one search."""
    phases = [one for one in result.facts["phases"] if one["iteration"] and one["erf"] is not None]
    if not phases:
        return []
    total = result.judged()["total"]
    erfs = {one["name"]: one["erf"] for one in phases}
    best = next((one["name"] for one in phases if one["best"]), phases[-1]["name"])
    listed = ", ".join(f"{name} {erf:.4g}" for name, erf in erfs.items())
    curves = plot(
        "phases",
        draw_phase_curves([_curve(result, one) for one in phases], total),
        "Lowest total ERF of each phase against the evaluations of the error function in it, which are counted from "
        "the beginning of the phase, evenly over its iterations. Prior: replicas of the prior alone; direct: the "
        "enhanced set, from random subsets; adiabatic: the enhanced set, from the best of the prior. The grey band "
        "is the central 68 % of random subsets of the prior.",
        f"Convergence of the phases; they end at total ERFs of {listed}; random subsets have a median of "
        f"{total.random['rmd']:.3g}.",
    )
    return [Group("Phases", [curves, _side_by_side(result, erfs, plot)], f"The answer is that of '{best}'.")]


def _curve(result: Result, phase: dict[str, Any]) -> PhaseCurve:
    erf = np.asarray(result.tree.datasets[f"/phases/{phase['name']}/history/erf"], np.float64)
    evaluations = phase["evaluations"] or len(erf)
    return PhaseCurve(phase["name"], evaluations * np.arange(1, len(erf) + 1) / len(erf), erf)


def _side_by_side(result: Result, erfs: dict[str, float], plot: Plotter) -> Plot:
    total, polish = result.judged()["total"], result.facts["polish"]
    shown = dict(erfs)
    if polish is not None and polish["erf"] is not None:
        shown["polished"] = polish["erf"]
    listed = ", ".join(f"{name} {erf:.4g}" for name, erf in shown.items())
    lowest = min(shown.values())
    ratio = (
        f" The lowest is {lowest / erfs['prior']:.2f} of that of the prior alone."
        if erfs.get("prior")
        else ""
    )
    return plot(
        "erf_of_phases",
        draw_erf_of_phases(shown, total),
        f"Total ERF of every phase{' and of the polished set' if 'polished' in shown else ''}, with median and "
        f"central 68 % of random subsets of the prior.{ratio}",
        f"Total ERF side by side: {listed}; random subsets have a median of {total.random['rmd']:.3g}.",
    )


def polish_group(
    result: Result, found: Comparison | None, parents: SubsetSample | None, plot: Plotter
) -> list[Group]:
    """What a polish did; empty where there was none.

    Parameters
    ----------
    result : Result
    found : Comparison or None
        None where the sets cannot be read: what needs them is then left out.
    parents : SubsetSample or None
        The replicas that were polished.
    plot : Plotter
    """
    polish = result.facts["polish"]
    if polish is None:
        return []
    refused = [text for text in polish["refused"] if text]
    told = (
        f" {len(refused)} of {len(polish['refused'])} minimisations were refused: {refused[0]}."
        if refused
        else ""
    )
    if polish["set"] is None:
        return [Group("Polish", [], f"No minimisation could be taken; the selection stays as it is.{told}")]
    plots, tables = [], []
    if found is not None and parents is not None:
        plots.append(_distances(result, found, parents, plot))
        tables.append(_leaving_table(result, found, parents))
    plots += [_way(result, plot), _held_out(result, plot)]
    back = polish["went_back"]
    went = (
        f" {back} of them went back part of the way, because they would have left their limits."
        if back
        else ""
    )
    text = (
        f"{polish['set']}: {len(result.tree.datasets['/polish/parents'])} replicas, total ERF {polish['erf']:.4g}, "
        f"{polish['ratio']:.2f} of the {polish['start_erf']:.4g} of the replicas it began with, each moved by at most "
        f"{polish['settings']['radius']:g} standard deviations along any component.{went}{told} "
        "The pure selection stays the answer."
    )
    return [Group("Polish", plots, text, tables)]


def _polished_values(result: Result, found: Comparison) -> FloatArray:
    first = result.facts["prior"]["first_member"]
    weights = np.asarray(result.tree.datasets["/polish/weights"])
    return combine(weights, np.ascontiguousarray(found.sample.values[1 - first :]))


def _distances(result: Result, found: Comparison, parents: SubsetSample, plot: Plotter) -> Plot:
    judged = result.judged()
    names = list(found.reference.names)
    norm = {name: one["normalisation"] for name, one in result.facts["estimators"].items()}
    before, after = (
        {
            name: float(value) / norm[name]
            for name, value in zip(names, distances(v, found.reference), strict=True)
        }
        for v in (parents.values, _polished_values(result, found))
    )
    for erfs in (before, after):
        erfs["total"] = float(np.mean([erfs[name] for name in names]))
    result.facts["polish"]["estimators"] = {
        n: {"before": before[n], "after": after[n]} for n in [*names, "total"]
    }
    shown = {name: type(one)(before[name], one.random) for name, one in judged.items()}
    listed = "; ".join(f"{name} {before[name]:.3g} to {after[name]:.3g}" for name in shown)
    n_rep = result.facts["selection"]["n_rep"]
    return plot(
        "polish_estimators",
        draw_erf_per_estimator(shown, f"selected ({n_rep})", after),
        "ERF of every estimator, divided by the normalisation, before and after the polish, with median, mean (×) "
        "and 50, 68 and 90 % bands of random subsets. A single estimator may get worse where the total gets better.",
        f"ERF by estimator before and after the polish: {listed}.",
    )


def _leaving_table(result: Result, found: Comparison, parents: SubsetSample) -> Table:
    first = result.facts["prior"]["first_member"]
    prior = found.sample.values[1 - first :]
    sets = {"selected": parents.values, "polished": _polished_values(result, found)}
    facts = {name: leaving(values, prior).as_dict() for name, values in sets.items()}
    result.facts["polish"]["leaving"] = facts
    rows = [
        [text, *(_percent_or_number(key, facts[name][key]) for name in facts), ""]
        for key, text in _LEAVING.items()
    ]
    return Table(
        ["envelope and positivity", *facts, ""],
        rows,
        "At the points of the comparison. Rarely negative: in less than 10 % of the replicas of the prior.",
    )


def _percent_or_number(key: str, value: float) -> str:
    return f"{100 * value:.2g} %" if key.endswith("share") else f"{value:.2g}"


def _way(result: Result, plot: Plotter) -> Plot:
    polish, data = result.facts["polish"], result.tree.datasets
    curve, moved = np.asarray(data["/polish/curve"]), np.asarray(data["/polish/displacement"])
    figure = draw_way(curve, moved, polish["settings"]["radius"], polish["erf"])
    return plot(
        "polish_way",
        figure,
        "Left: total ERF along the best minimisation, before replicas went back to their limits. Right: displacement "
        f"of the replicas along the {moved.shape[1]} principal components; the axis ends at the radius.",
        f"Total ERF falls from {curve[0]:.4g} to {curve[-1]:.4g} in {len(curve) - 1} steps; the root mean square "
        f"displacement along a component is {np.sqrt(np.mean(moved**2)):.3g} standard deviations.",
    )


def _held_out(result: Result, plot: Plotter) -> Plot:
    held = result.facts["polish"]["held_out"]
    before, after = held["selected"], held["polished"]
    scales = _listed(held["scales"])
    listed = "; ".join(f"{name} {value:.3g} to {after[name]:.3g}" for name, value in before.items())
    return plot(
        "polish_held_out",
        draw_held_out(before, after),
        f"Where nothing was fitted: at Q = {scales} GeV, between the nodes, in all flavours of the set. Root mean "
        "squares over points: shift of the mean and of the quantiles in standard deviations of the prior, relative "
        "difference of the standard deviation and of that of products of two values, difference of correlations.",
        f"Distances before and after the polish where nothing was fitted: {listed}.",
    )


def _listed(scales: Sequence[float]) -> str:
    return ", ".join(f"{q:g}" for q in scales)
