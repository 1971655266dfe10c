"""Sizes of compressed event tables: ours, the published codec's and those of general compressors, at equal mean error.

Everything is counted that decoding needs: of ours the whole file, of the others what they write. Only of the
published codec the payload alone is counted, as it was published, without its model of several hundred kB.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from case import Scale
from compress_mpi.io.container import Container, open_container
from compress_mpi.io.demo_events import demo_jets
from compress_mpi.types import FloatArray
from events_latent import Figures
from events_peers import indices, missing_peers, planes, squeezers, sz3_best
from events_published import published
from jobs import COMMAND, JobError
from measures import Outcome

__all__ = ["COLUMNS", "EventsTable", "bounded", "measure", "tables"]

COLUMNS = ("pt", "eta", "phi", "m")
BITS = (13, 20)
"""N of the published codec."""

FORMS = {
    "default": (),
    "rows alone": ("--set", "context=none"),
    "with the previous row": ("--set", "context=previous"),
    "unordered": ("--unordered",),
}
"""Options of ours."""

_REAL = "cms2010b_ak5pf_jets"
_SEED = 6
_TIMEOUT = 1800.0


@dataclass(frozen=True)
class EventsTable:
    """A table: pt, eta, phi, m, float32 (n, 4)."""

    name: str
    rows: NDArray[np.float32]

    @property
    def label(self) -> str:
        """Short name."""
        return self.name.removeprefix("cms2010b_").removesuffix("_jets")


@dataclass(frozen=True)
class _Limit:
    """A ratio that was promised, and what it is."""

    what: str
    found: float
    least: float


def tables(scale: Scale) -> list[EventsTable]:
    """Tables of the folder COMPRESS_MPI_EVENTS, and one that is made up."""
    folder = os.environ.get("COMPRESS_MPI_EVENTS")
    paths = sorted(Path(folder).glob("*.npy")) if folder else []
    found = [EventsTable(path.stem, np.load(path)[: scale.event_rows]) for path in paths]
    made_up = demo_jets(min(scale.table_rows, scale.event_rows), np.random.default_rng(_SEED))
    return [*found, EventsTable("generator", made_up.astype(np.float32))]


def measure(scale: Scale) -> Outcome:
    """All tables at both operating points.

    Raises
    ------
    JobError
        If the program fails.
    """
    outcome = Outcome(
        "event tables at the published codec's mean error of each column, everything counted",
        {"columns": len(COLUMNS), "epochs of the published flow": scale.flow_epochs},
    )
    missing = missing_peers()
    outcome.notes += [f"{name} is not installed: left out" for name in missing]
    limits: list[_Limit] = []
    for table in tables(scale):
        outcome.settings[f"rows of {table.label}"] = len(table.rows)
        _lossless(table, outcome)
        codec = published(table.rows, scale.flow_epochs, BITS)
        outcome.settings[f"seeds tried for {table.label}"] = codec.seeds
        if not codec.tame:
            outcome.notes.append(
                f"{table.label}: single events make up the mean error of the published codec"
            )
        for bits in BITS:
            limits += _at(table, bits, codec.figures(bits), scale, outcome, "pysz" not in missing)
    outcome.notes += [
        f"MISSED: {limit.what} is {limit.found:.3f}, promised {limit.least:g}"
        for limit in limits
        if limit.found < limit.least
    ]
    held = sum(limit.found >= limit.least for limit in limits)
    outcome.notes.append(f"{held} of {len(limits)} promised ratios are reached")
    return outcome


def _lossless(table: EventsTable, outcome: Outcome) -> None:
    data = planes(table.rows)
    for name, size in squeezers().items():
        outcome.add(
            f"{table.label}, lossless: byte planes, {name}", "bits", [8 * size(data) / table.rows.size]
        )


def _at(
    table: EventsTable,
    bits: int,
    figures: tuple[Figures, Figures],
    scale: Scale,
    outcome: Outcome,
    peers: bool,
) -> list[_Limit]:
    """One table at one operating point."""
    at = f"{table.label}, N = {bits}"
    theirs, repaired = figures
    targets = np.array(theirs.mean_abs_columns)
    found = {"published, NPZ": theirs.bits_per_value, "published, repaired": repaired.bits_per_value}
    with tempfile.TemporaryDirectory() as folder:
        for form, options in FORMS.items():
            container = bounded(table.rows, targets, Path(folder), options, scale.coder_model)
            found[f"bounded, {form}"] = 8 * container.size / table.rows.size
    steps = np.array([column["step"] for column in container.header["plan"]["columns"]], dtype=np.float64)
    mean = _means(container)
    if peers:
        best = sz3_best(table.rows, steps)
        found["SZ3, best"] = 8 * best.size / table.rows.size
        outcome.add(f"{at}: mean error of SZ3 / bounded, largest", "x", [float((best.mean / mean).max())])
        outcome.settings[f"SZ3 of {at}"] = best.how
    data = planes(indices(table.rows, steps))
    for name, size in squeezers().items():
        found[f"grid indices, {name}"] = 8 * size(data) / table.rows.size
    for name, value in found.items():
        outcome.add(f"{at}: {name}", "bits", [value])
    outcome.add(f"{at}: mean error of the published codec", "1", [theirs.mean_abs])
    outcome.add(f"{at}: Eq. 7 of the published codec", "1", [theirs.eq7_pooled])
    outcome.add(f"{at}: R(npz) of the published codec", "1", [theirs.ratio_npz])
    outcome.add(f"{at}: mean error of bounded / published, largest", "x", [float((mean / targets).max())])
    limits = _limits(table, bits, at, found)
    for limit in limits:
        outcome.add(limit.what, "x", [limit.found])
    return limits


def _means(container: Container) -> FloatArray:
    errors = container.header["error"]
    return np.array([errors[name][2] for name in COLUMNS], dtype=np.float64)


def _limits(table: EventsTable, bits: int, at: str, found: dict[str, float]) -> list[_Limit]:
    """Ratios of sizes, each with what was promised of it."""
    real, ours = table.name == _REAL, found["bounded, default"]
    limits = [
        _Limit(f"{at}: published / repaired", found["published, NPZ"] / found["published, repaired"], 1.4)
    ]
    if bits == BITS[0]:
        least = 1.95 if real else 1.65
        limits.append(_Limit(f"{at}: published / bounded", found["published, NPZ"] / ours, least))
    if "SZ3, best" not in found:
        return limits
    least = 1.0 if bits == BITS[0] else 1 / 0.75
    limits.append(_Limit(f"{at}: SZ3 / bounded", found["SZ3, best"] / ours, least))
    if real and bits == BITS[0]:
        context = found["bounded, with the previous row"]
        limits.append(
            _Limit(f"{at}: SZ3 / bounded with the previous row", found["SZ3, best"] / context, 1 / 0.92)
        )
    return limits


def bounded(
    rows: NDArray[np.float32], targets: FloatArray, folder: Path, options: Sequence[str], model: str
) -> Container:
    """The file that the command line makes of a table at mean errors (columns,).

    Raises
    ------
    JobError
        If it fails.
    """
    source, output = folder / "table.npy", folder / "table.h5"
    np.save(source, rows)
    words = ["events", "compress", source, "--output", output, "--columns", ",".join(COLUMNS), "--quiet"]
    for name, target in zip(COLUMNS, targets.tolist(), strict=True):
        words += ["--bound", f"{name}=mean {target!r}"]
    words += ["--model", model, "--restart", *options]
    done = subprocess.run(
        [*COMMAND, *map(str, words)], capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
    if done.returncode:
        raise JobError(f"compress-mpi {' '.join(map(str, words))}: {done.stderr.strip()}")
    return open_container(output)
