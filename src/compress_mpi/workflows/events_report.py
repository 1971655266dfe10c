"""``events report``: a compressed table as a page of numbers and pictures."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from compress_mpi import __version__
from compress_mpi.io.atomic import atomic_write
from compress_mpi.io.report.events_types import EventsReport
from compress_mpi.io.report.page_events import events_page
from compress_mpi.io.report.style import make_folder
from compress_mpi.workflows.events_plots import event_groups
from compress_mpi.workflows.report_plots import Plotter

__all__ = ["write_events_page"]


def write_events_page(report: EventsReport, folder: Path) -> Path:
    """Write ``report.html`` and the figures in ``plots/``, as PNG and PDF.

    Parameters
    ----------
    report : EventsReport
    folder : Path
        Made if it is missing.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    OutputError
        If something cannot be written.
    """
    groups = event_groups(report, Plotter(make_folder(folder / "plots"), ""))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    generator = {"program": "compress-mpi", "version": __version__, "written": now}
    page = folder / "report.html"
    atomic_write(page, events_page(report, groups, generator))
    return page
