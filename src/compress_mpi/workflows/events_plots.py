"""The figures of a report on events, each with a caption and a description."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.io.report.axes import even_chunks, human_bytes
from compress_mpi.io.report.events_types import ColumnFacts, EventsReport
from compress_mpi.io.report.figures_events import ACROSS, ColumnPanel, ErrorPanel, draw_columns, draw_errors
from compress_mpi.io.report.figures_events_sizes import draw_bytes
from compress_mpi.io.report.page import Group, Plot
from compress_mpi.types import FloatArray
from compress_mpi.workflows.events_panels import Both, chosen, left_out, listed, pair_plots
from compress_mpi.workflows.events_plots_model import curve_group, latent_group, sample_group, training_group
from compress_mpi.workflows.report_plots import Plotter

__all__ = ["event_groups", "residual_of"]


def event_groups(report: EventsReport, plot: Plotter) -> list[Group]:
    """All figures that a report has the arrays for.

    Parameters
    ----------
    report : EventsReport
    plot : Plotter

    Returns
    -------
    list of Group
        None of them empty.
    """
    makers = (_size_group, _table_groups, latent_group, training_group, curve_group, sample_group)
    groups = [group for make in makers for group in make(report, plot)]
    return [group for group in groups if group.plots or group.tables]


def _size_group(report: EventsReport, plot: Plotter) -> list[Group]:
    sizes = report.sizes
    if sizes is None or not sizes.total:
        return []
    caption = "Bytes of the compressed file by part; the whole of it beside the same rows in other formats."
    alt = "; ".join(f"{name} {human_bytes(size)}" for name, size in sizes.parts.items())
    return [Group("Where the bytes are", [plot("bytes", draw_bytes(sizes), caption, f"Bytes: {alt}.")])]


def _table_groups(report: EventsReport, plot: Plotter) -> list[Group]:
    if report.decoded is None:
        return []
    names = chosen(list(report.decoded), {c.name: c.relative_error or 0.0 for c in report.columns})
    text = left_out(len(names), len(report.decoded), "the largest relative errors")
    if report.original is None:
        return [Group("Distributions", _alone(names, report.decoded, plot), text)]
    facts = {column.name: column for column in report.columns}
    both = report.original, report.decoded
    return [
        Group("Distributions", _distributions(names, both, plot), text),
        Group("Differences and responses", _errors(names, both, facts, plot), text),
        Group("Pairs of columns", pair_plots(names, both, plot, "pairs", ("original", "decoded"))),
    ]


def _alone(names: Sequence[str], decoded: Mapping[str, NDArray[Any]], plot: Plotter) -> list[Plot]:
    nothing = np.zeros(0)
    return [
        plot(
            f"distributions_{number}",
            draw_columns([ColumnPanel(n, decoded[n], nothing) for n in some], ("decoded",)),
            f"Distributions of {listed(some)} as decoded. Values outside the range are in the outermost bins.",
            f"Histograms of the decoded columns {listed(some)}.",
        )
        for number, some in enumerate(even_chunks(names, ACROSS), 1)
    ]


def _distributions(names: Sequence[str], both: Both, plot: Plotter) -> list[Plot]:
    return [
        plot(
            f"distributions_{number}",
            draw_columns([ColumnPanel(n, both[0][n], both[1][n]) for n in some], ("original", "decoded")),
            f"Distributions of {listed(some)} before and after, and the ratio decoded / original per bin, beside "
            "the statistical error of the bin. Values outside the range are in the outermost bins.",
            f"Histograms of original and decoded columns {listed(some)} with their ratio.",
        )
        for number, some in enumerate(even_chunks(names, ACROSS), 1)
    ]


def residual_of(original: NDArray[Any], decoded: NDArray[Any]) -> FloatArray:
    """Decoded minus original; NaN where the original is NaN or infinite, which is no matter of precision.

    Exact for integers of 64 bits up to the rounding of the result.

    Parameters
    ----------
    original, decoded : arrays (row,)
        Of one dtype.

    Returns
    -------
    float64 (row,)
    """
    if original.dtype.kind in "iub":
        # unsigned differences wrap around to the right number
        large, small = (np.asarray(f(original, decoded)).astype(np.uint64) for f in (np.maximum, np.minimum))
        return np.where(decoded >= original, 1.0, -1.0) * (large - small).astype(np.float64)
    exact, found = (np.asarray(values, dtype=np.float64) for values in (original, decoded))
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where(np.isfinite(exact), found - exact, np.nan)


def _errors(names: Sequence[str], both: Both, facts: Mapping[str, ColumnFacts], plot: Plotter) -> list[Plot]:
    return [
        plot(
            f"errors_{number}",
            draw_errors([_error_panel(n, both[0][n], both[1][n], facts.get(n)) for n in some]),
            f"Residuals (decoded − original) of {listed(some)}, and responses (residual / original) below, with "
            "the share of rows that have none because a value is NaN, infinite or zero. Broken lines: the guaranteed "
            "bound. Values outside the range are in the outermost bins.",
            f"Histograms of residual and response. {_found(some, facts)}",
        )
        for number, some in enumerate(even_chunks(names, ACROSS), 1)
    ]


def _error_panel(
    name: str, original: NDArray[Any], decoded: NDArray[Any], facts: ColumnFacts | None
) -> ErrorPanel:
    residual = residual_of(original, decoded)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        response = residual / np.asarray(original, dtype=np.float64)
    return ErrorPanel(name, residual, response, None if facts is None else facts.bound)


def _found(names: Sequence[str], facts: Mapping[str, ColumnFacts]) -> str:
    known = [facts[name] for name in names if name in facts]
    return "; ".join(f"{c.name}: at most {c.max_error:.3g}" for c in known if c.max_error is not None)
