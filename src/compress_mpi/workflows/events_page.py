"""``events report``: from a compressed table, and the original where it is at hand, to a page."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import TableError
from compress_mpi.io.report.events_types import EventsReport, SampleSet, Sizes, TrainingCurve
from compress_mpi.io.runcard_events import complete_events
from compress_mpi.io.settings_events import EventsConfig
from compress_mpi.io.tables import EventTable, Rows
from compress_mpi.methods.events.latent_table import LatentTable
from compress_mpi.methods.events.twosample import compare_samples
from compress_mpi.workflows.events_blocks import open_input
from compress_mpi.workflows.events_compare import Compared, compare
from compress_mpi.workflows.events_decode import Decoder, drawn, open_decoder
from compress_mpi.workflows.events_info import raw_bytes, sizes_of
from compress_mpi.workflows.events_page_latent import bits_scan, latents
from compress_mpi.workflows.events_report import write_events_page
from compress_mpi.workflows.events_scan import read_scan
from compress_mpi.workflows.events_training import losses_file

__all__ = ["ReportRequest", "write_report"]


@dataclass(frozen=True)
class ReportRequest:
    """What ``events report`` is asked.

    Attributes
    ----------
    file : Path
    original : tuple of str
        Table that it was made from, to compare with; none for what the file alone tells.
    inside : str or None
        Array, dataset, group or tree of the original.
    sample, seed : int
        New events, and their random seed.
    model : Path or None
        File whose model is shared.
    folder : Path or None
        None takes ``<file>_report`` beside the file.
    config : EventsConfig or None
        Settings of the run that has just written the file: they say how the original is read.
    runcard : str
        As it was written.
    """

    file: Path
    original: tuple[str, ...] = ()
    inside: str | None = None
    sample: int = 10_000
    seed: int = 0
    model: Path | None = None
    folder: Path | None = None
    config: EventsConfig | None = None
    runcard: str = ""


def write_report(request: ReportRequest) -> Path:
    """Write the page and its figures; the page.

    Raises
    ------
    StoreError
        If the file is damaged, or its model is missing.
    TableError
        If the original is missing or another table.
    OutputError
        If something cannot be written.
    """
    decoder = open_decoder(request.file, request.model)
    with _original(request, decoder) as table:
        compared = compare(decoder, table)
    folder = request.folder or request.file.with_name(f"{request.file.stem}_report")
    return write_events_page(_report(request, decoder, compared), folder)


class _Nothing:
    """In place of an original that was not given."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *error: object) -> None:
        return None


def _original(request: ReportRequest, decoder: Decoder) -> EventTable | _Nothing:
    container = decoder.container
    if request.config is not None:
        return open_input(request.config)
    if not request.original:
        return _Nothing()
    columns = [name for name, _ in container.columns]
    content: dict[str, Any] = {"input": list(request.original), "inside": request.inside, "columns": columns}
    if request.original[0].endswith((".csv", ".txt", ".dat")):
        content["dtype"] = dict(container.columns)
    table = open_input(complete_events(content, where="--original"))
    found = [(column.name, column.dtype.name) for column in table.columns]
    if found != container.columns or table.rows < container.rows:
        table.close()
        raise TableError(
            f"{table.path}: {table.rows} rows of {found}, but {container.path} was made from {container.rows} rows of"
            f" {container.columns}"
        )
    return table


def _report(request: ReportRequest, decoder: Decoder, compared: Compared) -> EventsReport:
    container, notes = decoder.container, []
    references = {"raw": raw_bytes(container)}
    if compared.sizes is not None:
        references |= {"npz": compared.sizes.npz, "text": compared.sizes.text}
    if compared.original is None:
        notes.append("The original table was not given: errors are those found when the file was written.")
    reference = compared.original or compared.decoded
    through_flow = isinstance(decoder.codec, LatentTable)
    return EventsReport(
        file=container.path.name,
        codec=container.codec,
        rows=container.rows,
        columns=compared.columns,
        sizes=Sizes(sizes_of(container), references),
        original=compared.original,
        decoded=compared.decoded,
        overall=compared.overall,
        latents=latents(decoder.codec, reference) if isinstance(decoder.codec, LatentTable) else None,
        training=_training(request.file) if through_flow else None,
        scan=read_scan(request.file) if through_flow else (),
        bits=_bits(decoder, compared, notes),
        samples=_samples(request, decoder, reference),
        origin=_origin(decoder),
        runcard=request.runcard,
        notes=notes,
    )


def _bits(decoder: Decoder, compared: Compared, notes: list[str]) -> Any:
    asked: Sequence[int] = decoder.container.header["settings"].get("bits", [])
    if not isinstance(decoder.codec, LatentTable) or len(asked) < 2:
        return None
    if compared.original is None:
        notes.append("The scan over N needs the original table.")
        return None
    form = decoder.container.header["settings"].get("form", "repaired")
    return bits_scan(decoder.codec, compared.original, asked, form)


def _samples(request: ReportRequest, decoder: Decoder, data: Mapping[str, Any]) -> SampleSet | None:
    if not request.sample:
        return None
    portions = list(drawn(decoder, request.sample, request.seed))
    samples: Rows = {name: np.concatenate([p[name] for p in portions]) for name in portions[0]}
    if not samples:
        return None
    kept = {name: data[name] for name in samples}
    found = compare_samples(kept, samples, np.random.default_rng([request.seed, len(data)]))
    return SampleSet(
        kept,
        samples,
        {name: (one.distance, one.p_value) for name, one in found.ks.items()},
        None if found.auc is None else (found.auc.value, found.auc.error),
        (found.correlation.largest, found.correlation.rms),
        request.seed,
    )


def _training(file: Path) -> TrainingCurve | None:
    path = losses_file(file)
    if not path.exists():
        return None
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(stream)]
    except (OSError, ValueError, TypeError) as error:
        raise TableError(f"{path}: no table of losses: {error}; remove it, or write it again") from error
    if not rows:
        return None
    curves = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    losses = {name: values for name, values in curves.items() if name not in ("epoch", "rate")}
    watched = losses.get("validation")
    best = None if watched is None else int(np.argmin(watched)) + 1
    return TrainingCurve(losses, curves.get("rate"), best)


def _origin(decoder: Decoder) -> dict[str, str]:
    header = decoder.container.header
    found = {
        "input": f"{header['source']['name']} (sha256 {header['source']['sha256'][:16]}…)",
        "written by": f"compress-mpi {header['program']}",
        "settings": ", ".join(f"{key}: {value}" for key, value in header["settings"].items())
        or "the defaults",
    }
    if "shared" in header:
        found["model"] = f"in {header['shared']['name']}, not counted"
    if "training" in header:
        found["training"] = ", ".join(f"{key} {value}" for key, value in header["training"].items())
    return found
