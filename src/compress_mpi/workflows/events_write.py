"""Blocks of a table, encoded by all ranks, into one container in their order."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi import __version__
from compress_mpi.io.container import ContainerWriter, open_container
from compress_mpi.methods.events.metrics import Errors, ErrorSums
from compress_mpi.types import IntArray
from compress_mpi.workflows.events_blocks import Blocks, waves
from compress_mpi.workflows.events_coder import Coder, Measured, measured
from compress_mpi.workflows.events_job import EventsJob, tell

__all__ = ["digest_of", "write_compressed"]

_DIGITS = 6


def write_compressed(job: EventsJob, blocks: Blocks, coder: Coder, team: Any) -> None:
    """Encode a table and write the container; collective. The same bytes at any number of ranks.

    Raises
    ------
    OutputError
        If the file cannot be written. An old file is then as it was.
    """
    writer: list[ContainerWriter] = []
    sums: list[ErrorSums] = []
    apart = np.zeros(len(blocks.columns), dtype=np.int64)
    with contextlib.ExitStack() as stack:
        # only the first rank has a file; it cannot be sent to the others
        team.on_root(lambda: writer.append(stack.enter_context(ContainerWriter(job.output))))
        for wave in waves(blocks.numbers, team.size):
            found = team.map(lambda number: measured(coder.encode(blocks.read(number))), wave)
            team.on_root(lambda found=found: _append(writer[0], found))
            sums += [functools.reduce(ErrorSums.merge, [*sums, *(one.errors for one in found)])]
            del sums[:-1]
            apart += sum(one.apart for one in found)
            _progress(job, wave, blocks, team)
        errors = sums[0].errors()
        team.on_root(lambda: _finish(job, blocks, coder, writer[0], errors, apart))


def digest_of(tables: bytes, model: bytes) -> str:
    """SHA-256 of tables and model, by which a file that shares them knows them."""
    return hashlib.sha256(len(tables).to_bytes(8, "little") + tables + model).hexdigest()


def _append(writer: ContainerWriter, found: Sequence[Measured]) -> None:
    for one in found:
        writer.add(one.rows, one.data)


def _progress(job: EventsJob, wave: Sequence[int], blocks: Blocks, team: Any) -> None:
    done, total = wave[-1] + 1, len(blocks.numbers)
    if not job.quiet and team.rank == 0 and done < total:
        tell(f"block {done} of {total}")


def _finish(
    job: EventsJob, blocks: Blocks, coder: Coder, writer: ContainerWriter, errors: Errors, apart: IntArray
) -> None:
    names = [column.name for column in blocks.columns]
    header: dict[str, Any] = {
        "program": __version__,
        "rows": blocks.rows,
        "columns": [[column.name, column.dtype.name] for column in blocks.columns],
        "plan": coder.facts,
        "error": {name: _error(coder, errors, apart, name, place) for place, name in enumerate(names)},
        "source": {"name": _source_name(job), "sha256": job.fingerprint},
        "settings": job.settings,
    }
    if coder.unordered:
        header["unordered"] = True
    if coder.training is not None:
        header["training"] = coder.training
    tables, model = b"", b""
    if job.shared is not None:
        shared = open_container(job.shared, whole=False)
        header["shared"] = {"name": job.shared.name, "sha256": digest_of(shared.tables, shared.model)}
    else:
        tables, model = coder.tables, coder.model
    writer.finish(job.config.codec, header, tables, model)
    # what is on the disk now is what will be read
    open_container(job.output)


def _error(coder: Coder, errors: Errors, apart: IntArray, name: str, place: int) -> list[float | int | None]:
    found = (errors.largest[place], errors.mean_abs[place], errors.rms[place])
    return [coder.allowed[name], *(_short(value) for value in found), int(apart[place])]


def _short(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None


def _source_name(job: EventsJob) -> str:
    first = Path(job.config.input[0]).name
    more = len(job.config.input) - 1
    return f"{first} and {more} more" if more else first
