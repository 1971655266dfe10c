"""The page about a compressed table of events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from compress_mpi.io.report.events_types import EventsReport, SampleSet, Sizes
from compress_mpi.io.report.page import Group, render_template

__all__ = ["events_facts", "events_page"]


def events_page(report: EventsReport, groups: Sequence[Group], generator: Mapping[str, str]) -> str:
    """The page as text.

    Parameters
    ----------
    report : EventsReport
        Its numbers are on the page and, as JSON, in the element ``report-data``.
    groups : sequence of Group
        Figures of its arrays.
    generator : mapping
        Program, version and time of writing.

    Returns
    -------
    str
        HTML that fetches nothing.
    """
    facts = events_facts(report)
    return render_template(
        "events.html.j2",
        [facts],
        generator=generator,
        title=f"{report.file}: {report.rows:,} rows, compressed",
        facts=facts,
        groups=groups,
        notes=report.notes,
        runcard=report.runcard,
    )


def events_facts(report: EventsReport) -> dict[str, Any]:
    """All numbers of a report but the arrays, JSON-able.

    Parameters
    ----------
    report : EventsReport

    Returns
    -------
    dict
        ``file``, ``task``, ``codec``, ``rows``, ``columns``, ``bounds``, ``sizes``, ``overall``, ``samples``,
        ``origin``, ``runcard`` and ``missing``; None for parts that are not known.
    """
    return {
        "file": report.file,
        "task": "events",
        "codec": report.codec,
        "rows": report.rows,
        "columns": [{**asdict(column), "kept": column.kept} for column in report.columns],
        "bounds": _bounds(report),
        "sizes": None if report.sizes is None else _sizes(report, report.sizes),
        "overall": dict(report.overall),
        "samples": None if report.samples is None else _samples(report.samples),
        "origin": dict(report.origin),
        "runcard": report.runcard,
        "missing": list(report.notes),
    }


def _bounds(report: EventsReport) -> dict[str, Any] | None:
    known = [column for column in report.columns if column.kept is not None]
    if not known:
        return None
    broken = [column.name for column in known if not column.kept]
    return {"known": len(known), "kept": len(known) - len(broken), "broken": broken}


def _sizes(report: EventsReport, sizes: Sizes) -> dict[str, Any]:
    values = report.rows * len(report.columns)
    has_model = "model" in sizes.parts
    return {
        "parts": dict(sizes.parts),
        "total": sizes.total,
        "bits_per_value": 8 * sizes.total / values if values else None,
        "ratios": [
            {
                "reference": name,
                "bytes": size,
                "ratio": sizes.ratio(name),
                "without_model": sizes.ratio(name, model=False) if has_model else None,
            }
            for name, size in sizes.references.items()
        ],
    }


def _samples(samples: SampleSet) -> dict[str, Any]:
    return {
        "seed": samples.seed,
        "auc": None if samples.auc is None else dict(zip(("value", "error"), samples.auc, strict=True)),
        "correlation": None
        if samples.correlation is None
        else dict(zip(("largest", "rms"), samples.correlation, strict=True)),
        "ks": {
            name: dict(zip(("distance", "p_value"), one, strict=True)) for name, one in samples.ks.items()
        },
    }
