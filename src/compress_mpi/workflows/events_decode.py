"""From a compressed table back to its events, or to new ones."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from compress_mpi.errors import OutputError, RuncardError, StoreError
from compress_mpi.io.container import Container, open_container
from compress_mpi.io.container_check import is_compressed_table
from compress_mpi.io.tables import Rows, TableColumn, write_table
from compress_mpi.io.tables.opening import table_suffix
from compress_mpi.methods.events.bounded import decode_block, sample_events
from compress_mpi.methods.events.plan import Plan
from compress_mpi.workflows.events_blocks import waves
from compress_mpi.workflows.events_write import digest_of

__all__ = ["BoundedCodec", "Decoder", "DecompressRequest", "decompress", "drawn", "open_decoder", "sample"]

_SAMPLE = 2 << 30  # what the random numbers of new events are for
_SAMPLED = 65536
"""Events that are drawn together."""
_PATIENCE = 0.2  # seconds


@dataclass(frozen=True)
class DecompressRequest:
    """What ``events decompress`` is asked.

    Attributes
    ----------
    file, output : Path
    inside : str or None
        Array, group or tree of the output.
    model : Path or None
        File that holds tables and model of one that shares them.
    """

    file: Path
    output: Path
    inside: str | None = None
    model: Path | None = None


class _Codec(Protocol):
    def decode(self, data: bytes, rows: int) -> Rows: ...

    def sample(self, number: int, rng: np.random.Generator) -> Rows: ...


@dataclass(frozen=True)
class BoundedCodec:
    """The bounded codec of a file."""

    plan: Plan

    def decode(self, data: bytes, rows: int) -> Rows:
        """One block."""
        return decode_block(self.plan, data, rows)

    def sample(self, number: int, rng: np.random.Generator) -> Rows:
        """New rows."""
        return sample_events(self.plan, number, rng)


@dataclass(frozen=True)
class Decoder:
    """A compressed table that can be read.

    Attributes
    ----------
    container : Container
    codec : object
        That decodes its blocks.
    """

    container: Container
    codec: _Codec

    @property
    def columns(self) -> list[TableColumn]:
        """Of the table."""
        return [TableColumn(name, np.dtype(dtype)) for name, dtype in self.container.columns]

    def read(self, number: int) -> Rows:
        """One block.

        Raises
        ------
        StoreError
            If it is damaged.
        """
        rows, data = self.container.block(number)
        try:
            return self.codec.decode(data, rows)
        except (ValueError, IndexError) as error:
            raise StoreError(
                f"{self.container.path}: block {number + 1} cannot be decoded: {error}; was it written by another"
                " release?"
            ) from error


def open_decoder(path: Path, model: Path | None = None, whole: bool = True) -> Decoder:
    """Open a compressed table for reading.

    Parameters
    ----------
    path : Path
    model : Path, optional
        File that holds tables and model, where the table shares them; by default the one that it names, beside it.
    whole : bool
        See :func:`compress_mpi.io.container.open_container`.

    Raises
    ------
    StoreError
        If a file is missing, damaged, or not the one that was shared.
    """
    container = open_container(path, whole)
    tables, weights = _shared(container, model, whole)
    try:
        return Decoder(container, _codec(container, tables, weights))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise StoreError(f"{path}: its codec cannot be restored: {error}") from error


def decompress(request: DecompressRequest, team: Any) -> int:
    """Write the table of a compressed file; collective: ranks decode, the first writes.

    Raises
    ------
    StoreError
        If the file is damaged.
    TableError
        If the format of the output cannot hold the table.
    OutputError
        If it cannot be written.
    """
    team.on_root(lambda: _check(request))
    decoder = team.together(lambda: open_decoder(request.file, request.model, whole=False))
    numbers = range(decoder.container.n_blocks)
    if team.size == 1:
        write_table(request.output, decoder.columns, map(decoder.read, numbers), inside=request.inside)
    else:
        sink = _Sink(request, decoder.columns)
        try:
            for wave in waves(numbers, team.size):
                found = team.map(decoder.read, wave)
                team.on_root(lambda found=found: sink.put(found))
            team.on_root(sink.finish)
        finally:
            sink.stop()
    team.on_root(lambda: print(f"{request.output}: {decoder.container.rows} rows"))
    return 0


def sample(
    path: Path, number: int, seed: int, output: Path, inside: str | None = None, model: Path | None = None
) -> str:
    """Write new events from what a compressed table knows of its columns; one line about them.

    Raises
    ------
    StoreError, TableError, OutputError
    """
    _check_output(output)
    decoder = open_decoder(path, model)
    names = [name for name in decoder.codec.sample(1, np.random.default_rng(0))]
    if not names:
        raise RuncardError(f"{path}: its columns are packed as bytes; there is no distribution to draw from")
    columns = [column for column in decoder.columns if column.name in names]
    write_table(output, columns, drawn(decoder, number, seed), inside=inside)
    left = [column.name for column in decoder.columns if column.name not in names]
    more = f"; without {', '.join(left)}, which have no distribution" if left else ""
    return f"{output}: {number} new events from {path}, seed {seed}{more}"


def drawn(decoder: Decoder, number: int, seed: int) -> Iterator[Rows]:
    """New events in portions; the same seed gives the same ones."""
    for portion, start in enumerate(range(0, number, _SAMPLED)):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_SAMPLE, portion)))
        yield decoder.codec.sample(min(_SAMPLED, number - start), rng)


def _codec(container: Container, tables: bytes, weights: bytes) -> _Codec:
    plan = container.header["plan"]
    if container.codec == "bounded":
        return BoundedCodec(Plan.restore(plan, tables, weights))
    if container.codec == "latent":
        from compress_mpi.methods.events.latent_table import LatentTable

        return LatentTable.restore(plan, tables, weights)
    raise ValueError(f"unknown codec '{container.codec}'; expected bounded or latent")


def _shared(container: Container, model: Path | None, whole: bool) -> tuple[bytes, bytes]:
    shared = container.header.get("shared")
    if shared is None:
        if model is not None:
            raise RuncardError(f"--model: {container.path} has its own tables and model; leave it out")
        return container.tables, container.model
    path = model or container.path.with_name(str(shared["name"]))
    if not path.exists():
        raise StoreError(
            f"{container.path}: its tables and model are in {shared['name']} (sha256 {shared['sha256']}), which is not"
            " beside it; give it with --model"
        )
    other = open_container(path, whole)
    found = digest_of(other.tables, other.model)
    if found != shared["sha256"]:
        raise StoreError(
            f"{path}: not the file that {container.path} was made with: sha256 of tables and model is {found},"
            f" expected {shared['sha256']}"
        )
    return other.tables, other.model


def _check(request: DecompressRequest) -> None:
    """Look at every bit of the file, once for all ranks."""
    _check_output(request.output)
    open_decoder(request.file, request.model)


def _check_output(output: Path) -> None:
    table_suffix(output)
    if output.exists() and is_compressed_table(output):
        raise OutputError(
            f"{output}: is a compressed table, which is not replaced by a plain one; choose another -o"
        )


class _Sink:
    """A table that is written by a thread of the first rank, while all ranks decode."""

    def __init__(self, request: DecompressRequest, columns: list[TableColumn]) -> None:
        self._request, self._columns = request, columns
        self._queue: queue.Queue[Rows | None] = queue.Queue(maxsize=2)
        self._pool: ThreadPoolExecutor | None = None
        self._end: Future[None] | None = None
        self._given_up = False

    def put(self, blocks: list[Rows]) -> None:
        """Pass blocks on; at the first rank only."""
        if self._end is None:
            self._pool = ThreadPoolExecutor(1)
            self._end = self._pool.submit(
                write_table, self._request.output, self._columns, self._blocks(), inside=self._request.inside
            )
        for block in blocks:
            self._pass(block)

    def finish(self) -> None:
        """Wait for the end of the writing."""
        self._pass(None)
        if self._end is not None:
            self._end.result()

    def stop(self) -> None:
        """Give up what is not finished: the old file stays."""
        if self._end is not None and not self._end.done():
            self._given_up = True
            self._pass(None)
            self._end.exception()
        if self._pool is not None:
            self._pool.shutdown()

    def _pass(self, block: Rows | None) -> None:
        while self._end is not None:
            if self._end.done() and not self._given_up:
                # it ended before the last block: with an error, which comes out here
                self._end.result()
            with contextlib.suppress(queue.Full):
                self._queue.put(block, timeout=_PATIENCE)
                return

    def _blocks(self) -> Iterator[Rows]:
        while (block := self._queue.get()) is not None:
            yield block
        if self._given_up:
            raise OutputError(f"{self._request.output}: not finished")
