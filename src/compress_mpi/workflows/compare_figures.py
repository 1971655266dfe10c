"""The figures of ``compare``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress_mpi.io.atomic import atomic_write
from compress_mpi.io.report.figures_compare import (
    FrechetColumn,
    draw_correlation_curves,
    draw_frechet_of_sets,
)
from compress_mpi.io.report.figures_sets import DistributionPanel, draw_distributions
from compress_mpi.io.report.figures_summary import draw_correlations
from compress_mpi.io.report.style import save_figure
from compress_mpi.methods.comparison.correlations import compare_correlations
from compress_mpi.methods.selection.estimators import correlation_matrix
from compress_mpi.types import FloatArray
from compress_mpi.workflows.compare import Sets, compare_sets

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_comparison"]

_PANELS = 6
_NUMBERS = "comparison.json"


def write_comparison(sets: Sets, folder: Path) -> tuple[list[Path], dict[str, Any]]:
    """Draw all figures as PNG and PDF, and write the numbers beside them.

    Parameters
    ----------
    sets : Sets
    folder : Path
        Made if it is missing.

    Returns
    -------
    list of Path
        The PNG files and ``comparison.json``.
    dict
        The numbers, see ``compare_sets``.

    Raises
    ------
    OutputError
        If something cannot be written.
    """
    facts = compare_sets(sets)
    figures = {**_distributions(sets, facts), **_correlations(sets), "frechet": _frechet_figure(sets, facts)}
    for name, figure in figures.items():
        save_figure(figure, folder, name)
    atomic_write(folder / _NUMBERS, json.dumps(facts, indent=2) + "\n")
    return [*(folder / f"{name}.png" for name in figures), folder / _NUMBERS], facts


def _chunks(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[i : i + _PANELS] for i in range(0, len(items), _PANELS)]


def _distributions(sets: Sets, facts: dict[str, Any]) -> dict[str, Figure]:
    figures = {}
    notes = {(tuple(row["flavours"]), row["x"]): row["distance"] for row in facts["ks"]}
    for column in sets.columns:
        x = float(sets.pair.plan.xgrid[column])
        for number, groups in enumerate(_chunks(sets.groups), start=1):
            panels = [
                DistributionPanel(
                    f"$x\\,({sets.label(group)})$",
                    [values[:, group[0], column] for values in sets.values.values()],
                    "$D$ = " + ", ".join(f"{d:.3f}" for d in notes[tuple(sets.pids(group)), x].values()),
                )
                for group in groups
            ]
            heading = f"$x = {x:.3g}$,  $Q = {sets.pair.plan.scales[0]:g}$ GeV"
            figures[f"distributions_x{x:.2g}_{number}"] = draw_distributions(
                panels, list(sets.values), heading
            )
    return figures


def _correlations(sets: Sets) -> dict[str, Figure]:
    figures = {}
    prior, *others = sets.values.items()
    points = sets.reference.points
    pids = [sets.pair.plan.column(f)[1] for f in points[:, 0].tolist()]
    for name, values in others if len(points) else ():
        found = compare_correlations(prior[1], values, points)
        word = name.split()[0]
        figures[f"correlation_matrix_{word}"] = draw_correlations(
            {prior[0]: found.first, name: found.second}, (f"{word} − prior", found.difference), pids
        )
    pairs = list(combinations(sets.groups, 2))
    for number, some in enumerate(_chunks(pairs), start=1):
        curves = {
            f"{sets.label(a)}\\ -\\ {sets.label(b)}": [
                _correlation_along_x(values[:, a[0]], values[:, b[0]]) for values in sets.values.values()
            ]
            for a, b in some
        }
        figures[f"correlations_{number}"] = draw_correlation_curves(
            sets.pair.plan.xgrid, curves, list(sets.values)
        )
    return figures


def _correlation_along_x(first: FloatArray, second: FloatArray) -> FloatArray:
    """Correlation of two flavours at the same x, float64 ``(x,)``; 0 where one is constant."""
    columns = zip(first.T, second.T, strict=True)
    return np.array([correlation_matrix(np.stack([a, b], axis=1))[0, 1] for a, b in columns])


def _frechet_figure(sets: Sets, facts: dict[str, Any]) -> Figure:
    columns = [
        FrechetColumn(sets.label(group), list(row["distance"].values()), row["random"])
        for group, row in zip(sets.groups, facts["frechet"], strict=True)
    ]
    return draw_frechet_of_sets(columns, list(sets.values)[1:])
