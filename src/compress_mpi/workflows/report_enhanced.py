"""The section of a report about an enhanced set: how good its new replicas are, from its sidecar and the prior."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError, StoreError
from compress_mpi.io.datadir import tree_of
from compress_mpi.io.enhancedfile import EnhancedRecord, read_enhanced
from compress_mpi.io.enhancedtree import EnhancedTree
from compress_mpi.io.report.figures_enhance import draw_losses
from compress_mpi.io.report.figures_quality import QualityPanel, draw_envelope, draw_quality
from compress_mpi.io.report.page import Group, Plot, Table
from compress_mpi.io.report.style import flavour_label, flavour_text
from compress_mpi.methods.comparison.envelope import outside_map
from compress_mpi.methods.enhancement.linear import combine
from compress_mpi.methods.enhancement.quality import STD_BIAS
from compress_mpi.workflows.origin import find_enhanced
from compress_mpi.workflows.report_facts import Result
from compress_mpi.workflows.report_plots import Plotter
from compress_mpi.workflows.report_sets import PriorSample

__all__ = ["EnhancedSections"]

_TITLES = {
    "std": "standard deviation, relative",
    "skewness": "skewness",
    "kurtosis": "kurtosis",
    "ks": "Kolmogorov-Smirnov",
    "correlation": "correlations, rms",
    "frechet": "Fréchet distance per node",
}


class EnhancedSections:
    """Sections about the enhanced sets of a page; each is shown once, however many results are of it.

    Parameters
    ----------
    plots : Path
        Folder of the figures.
    """

    def __init__(self, plots: Path) -> None:
        self._plots = plots
        self._shown: dict[str, str] = {}

    def group(self, result: Result, sample: PriorSample | None, folders: Sequence[Path] = ()) -> list[Group]:
        """The section of one result; empty, with a note in ``missing``, where there is no sidecar.

        Parameters
        ----------
        result : Result
            Its facts get ``enhancement``.
        sample : PriorSample or None
            None where the prior cannot be read: the map of the envelope is then left out.
        folders : sequence of Path
            Where to look for the enhanced set first.
        """
        result.facts["enhancement"] = None
        more = result.facts["enhanced"]
        if more is None:
            return []
        try:
            record = _sidecar(result, folders)
        except StoreError as error:
            result.missing.append(f"No section about the enhanced set: {error}")
            return []
        result.facts["enhancement"] = _facts(record)
        earlier = self._shown.setdefault(record.fingerprint, result.facts["file"])
        if earlier != result.facts["file"]:
            return [
                Group("Enhancement", [], f"The same enhanced set as that of {earlier}, where it is shown.")
            ]
        number = len(self._shown)
        plot = Plotter(self._plots, "" if number == 1 else f"set{number}_")
        plots = [*_quality(record, plot), *_envelope(result, record, sample, plot), *_losses(record, plot)]
        return [Group("Enhancement", plots, _text(record), _guards(record))]


def _sidecar(result: Result, folders: Sequence[Path]) -> EnhancedRecord:
    more, prior = result.facts["enhanced"], result.facts["prior"]
    tree = EnhancedTree(_tree_of(result, folders), more["name"])
    record = read_enhanced(tree.sidecar)
    first = prior["first_member"]
    if record.total != more["members"] - 1 + first or record.weights.shape[1] != prior["members"] - 1 + first:
        raise StoreError(
            f"{tree.sidecar}: of {record.total} replicas of {record.prior}, but the result selects from "
            f"{more['members']}; it belongs to another enhanced set"
        )
    return record


def _tree_of(result: Result, folders: Sequence[Path]) -> Path:
    """Folder of the tree: beside the result, or where the links of the enhanced set point to."""
    name = result.facts["enhanced"]["name"]
    here = result.path.absolute().parent / name
    if EnhancedTree(here, name).sidecar.exists():
        return here
    try:
        tree = tree_of(find_enhanced(name, result.path, folders))
    except PDFSetError:
        return here
    return here if tree is None else tree.folder


def _facts(record: EnhancedRecord) -> dict[str, Any]:
    return {
        "generator": record.generator,
        "seed": record.seed,
        "new_replicas": len(record.weights),
        "total_replicas": record.total,
        "components": record.components,
        "settings": dict(record.settings),
        "guards": dict(record.guards),
        "quality": dict(record.quality),
        "fingerprint": record.fingerprint,
    }


def _text(record: EnhancedRecord) -> str:
    rejected = record.guards.get("rejected", {})
    # foreign sidecars may count them otherwise
    counted = rejected if isinstance(rejected, dict) else {}
    why = ", ".join(f"{name} {count}" for name, count in counted.items()) or "none"
    faults = record.quality.get("faults")
    verdict = (
        "Its quality was not measured."
        if faults is None
        else "By the figures below it is fit to be published as a set."
        if not faults
        else "It serves a compression but is not fit to be published as a set: " + "; ".join(faults) + "."
    )
    return (
        f"{record.name}: {record.weights.shape[1]} replicas of {record.prior} and {len(record.weights)} new ones by "
        f"the generator '{record.generator}' (seed {record.seed}); candidates rejected: {why}. {verdict}"
    )


def _labels(record: EnhancedRecord) -> tuple[list[str], list[str]]:
    """Flavours in math text; and the scale of each in words, where there are several."""
    parts = [str(text).partition(" at ") for text in record.quality.get("flavours", [])]
    return [flavour_label(int(pid)) for pid, _, _ in parts], [scale for _, _, scale in parts if scale]


def _quality(record: EnhancedRecord, plot: Plotter) -> list[Plot]:
    arrays, measures = record.quality_arrays, record.quality.get("measures", [])
    if not {"new", "bootstrap", "halves"} <= set(arrays) or not measures:
        return []
    panels = [
        QualityPanel(
            _TITLES.get(name, name),
            np.asarray(arrays["new"])[:, m],
            np.asarray(arrays["bootstrap"])[:, :, m],
            np.asarray(arrays["halves"])[:, :, m],
            STD_BIAS if name == "std" else None,
            name == "std",
        )
        for m, name in enumerate(measures)
    ]
    worst = "; ".join(f"{panel.title} {panel.new[np.abs(panel.new).argmax()]:.3g}" for panel in panels)
    return [
        plot(
            "enhanced_quality",
            draw_quality(panels, *_labels(record)),
            "New replicas against the prior, per flavour over all nodes, and the noise of the prior: one half against "
            "the other, and bootstrap resamples against the prior (bars: lowest to highest of the repetitions). "
            "Standard deviation: median of its ratio to the prior's, minus one; skewness and kurtosis: median "
            "absolute difference; the Fréchet distance is squared and in units of the prior's variance.",
            f"Quality of {len(record.weights)} new replicas; in the worst flavour: {worst}.",
        )
    ]


def _envelope(
    result: Result, record: EnhancedRecord, sample: PriorSample | None, plot: Plotter
) -> list[Plot]:
    if sample is None:
        return []
    prior = np.ascontiguousarray(sample.values[1 - result.facts["prior"]["first_member"] :])
    share, depth = outside_map(combine(record.weights, prior), prior)
    rows = np.flatnonzero(np.isfinite(share).any(axis=1))
    labels = [_column_label(sample, int(f)) for f in rows]
    f, i = np.unravel_index(int(np.nanargmax(share)), share.shape)
    where = f"{_column_text(sample, int(f))} at x = {sample.x[i]:.3g}"
    result.facts["enhancement"]["envelope"] = {
        "mean_share": float(np.nanmean(share)),
        "largest_share": float(share[f, i]),
        "largest_depth": float(np.nanmax(depth)),
    }
    return [
        plot(
            "enhanced_envelope",
            draw_envelope(sample.x, share[rows], depth[rows], labels),
            "Where new replicas leave the envelope (minimum to maximum) of the prior: how many of them do, and how "
            f"far outside the farthest is. Most do so for {where}.",
            f"Maps over flavour and x: {100 * np.nanmean(share):.2g} % of the values of new replicas are outside the "
            f"envelope, at most {100 * share[f, i]:.2g} % at a point ({where}), and at most {np.nanmax(depth):.2g} "
            "standard deviations outside.",
        )
    ]


def _column_label(sample: PriorSample, f: int) -> str:
    column = sample.column(f)
    label = flavour_label(int(column["flavour"]))
    return label if len(sample.scales) == 1 else rf"{label}\ ({column['q']:g})"


def _column_text(sample: PriorSample, f: int) -> str:
    column = sample.column(f)
    text = flavour_text(int(column["flavour"]))
    return text if len(sample.scales) == 1 else f"{text} at {column['q']:g} GeV"


def _losses(record: EnhancedRecord, plot: Plotter) -> list[Plot]:
    losses = {name: np.ravel(values) for name, values in record.losses.items()}
    losses = {name: values for name, values in losses.items() if len(values)}
    if not losses:
        return []
    listed = ", ".join(f"{name} {values[0]:.3g} to {values[-1]:.3g}" for name, values in losses.items())
    epochs = max(len(values) for values in losses.values())
    return [
        plot(
            "enhanced_losses",
            draw_losses(losses),
            f"Losses of the training of '{record.generator}' against the epoch.",
            f"Losses over {epochs} epochs: {listed}.",
        )
    ]


def _guards(record: EnhancedRecord) -> Sequence[Table]:
    checks = [check for check in record.guards.get("checks", []) if {"name", "value", "text"} <= set(check)]
    if not checks:
        return []
    rows = [
        [check["name"], f"{check['value']:.3g}", _allowed(check.get("low"), check.get("high")), check["text"]]
        for check in checks
    ]
    caption = f"Of {record.guards['candidates']} candidates." if "candidates" in record.guards else ""
    return [Table(["guard", "found", "allowed", "what it is"], rows, caption)]


def _allowed(low: float | None, high: float | None) -> str:
    low = -np.inf if low is None else low
    high = np.inf if high is None else high
    if not np.isfinite(high):
        return f"{low:.3g} or more"
    return f"up to {high:.3g}" if low <= 0 else f"{low:.3g} to {high:.3g}"
