"""``check`` for an events runcard: what the run would do, without doing it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compress_mpi.errors import OutputError
from compress_mpi.io.settings_events import EventsConfig
from compress_mpi.io.values_events import text_of_bound
from compress_mpi.workflows.events_job import EventsJob, EventsRequest, EventsTable, planned

__all__ = ["check_events"]


def check_events(runcard: Path, overrides: Sequence[str], as_json: bool, restart: bool = False) -> str:
    """Text about a run, or its JSON.

    Raises
    ------
    CompressError
        Whatever the run would refuse before its work starts.
    """
    job, table = planned(EventsRequest(runcard, overrides=overrides, restart=restart))
    _require_place(job.output)
    facts = _facts(job, table)
    return json.dumps(facts, indent=2) if as_json else "\n".join(_lines(facts))


def _require_place(output: Path) -> None:
    place = next(path for path in output.absolute().parents if path.exists())
    if not place.is_dir():
        raise OutputError(f"output: {place}: is no folder; choose another 'output'")


def _facts(job: EventsJob, table: EventsTable) -> dict[str, Any]:
    columns = [
        {"name": c.name, "dtype": c.dtype.name, "bound": _bound(job.config, c.name, c.dtype.kind)}
        for c in table.columns
    ]
    return {
        "task": "events",
        "input": [str(path) for path in table.files],
        "rows": table.rows,
        "blocks": table.blocks,
        "columns": columns,
        "codec": job.config.codec,
        "settings": job.settings,
        "output": str(job.output),
        "finished": job.finished,
    }


def _bound(config: EventsConfig, name: str, kind: str) -> str:
    given = config.bound.get(name)
    if given is None and kind in "biu":
        return "lossless"
    if config.codec == "latent":
        return "lossless" if given is not None else "none"
    if config.shared is not None:
        return f"that of {config.shared}"
    return text_of_bound(given or config.bound["default"])


def _lines(facts: dict[str, Any]) -> list[str]:
    end = "is there already, from the same input and settings" if facts["finished"] else "will be written"
    return [
        f"input    {', '.join(facts['input'])}: {facts['rows']} rows, {facts['blocks']} blocks",
        *(f"column   {c['name']} ({c['dtype']}): bound {c['bound']}" for c in facts["columns"]),
        f"codec    {facts['codec']}",
        *(f"setting  {key}: {value}" for key, value in facts["settings"].items()),
        f"output   {facts['output']} {end}",
    ]
