"""What an events run is asked to do, and what is refused before any work is done."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from compress_mpi.errors import OutputError, RuncardError, StoreError
from compress_mpi.io.container import Container, open_container, sweep_container
from compress_mpi.io.container_check import is_compressed_table
from compress_mpi.io.runcard_events import (
    EventsSource,
    changed_settings,
    complete_events,
    load_events_runcard,
)
from compress_mpi.io.settings_events import EventsConfig
from compress_mpi.io.tables import TableColumn, table_files
from compress_mpi.workflows.events_blocks import Blocks, open_input

__all__ = ["EventsJob", "EventsRequest", "EventsTable", "forget_trials", "planned", "prepare", "tell"]

_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True)
class EventsRequest:
    """What the command line says.

    Attributes
    ----------
    runcard : Path or None
    content : mapping
        In place of a runcard: what it would hold.
    overrides : sequence of str
        ``key=value``.
    restart : bool
        Start over although there is a result.
    quiet : bool
        No progress.
    threads : int or None
        Threads per rank; None takes the cores that are there.
    """

    runcard: Path | None = None
    content: Mapping[str, Any] | None = None
    overrides: Sequence[str] = ()
    restart: bool = False
    quiet: bool = False
    threads: int | None = None


@dataclass(frozen=True)
class EventsJob:
    """A run that nothing speaks against.

    Attributes
    ----------
    source : EventsSource
    output : Path
        The compressed file.
    fingerprint : str
        SHA-256 of the input.
    shared : Path or None
        File whose tables and model are used.
    finished : bool
        The compressed file is there already.
    quiet, restart : bool
    """

    source: EventsSource
    output: Path
    fingerprint: str
    shared: Path | None
    finished: bool
    quiet: bool
    restart: bool

    @property
    def config(self) -> EventsConfig:
        """Its settings."""
        return self.source.config

    @property
    def checkpoint(self) -> Path:
        """State of an unfinished training."""
        return self.output.with_name(f"{self.output.stem}.training.h5")

    @property
    def trials(self) -> Path:
        """Folder with the states of an unfinished scan."""
        return self.output.with_name(f"{self.output.stem}.scan")

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the bytes of the file, where it is not the default; JSON-able."""
        return changed_settings(self.config)


@dataclass(frozen=True)
class EventsTable:
    """What a run will read.

    Attributes
    ----------
    files : tuple of Path
    rows : int
    columns : tuple of TableColumn
    blocks : int
    """

    files: tuple[Path, ...]
    rows: int
    columns: tuple[TableColumn, ...]
    blocks: int


def prepare(request: EventsRequest) -> EventsJob:
    """Refuse whatever can be refused before any work is done, and make the folder; on one rank.

    Raises
    ------
    CompressError
    """
    job, _ = planned(request)
    if not job.finished:
        _require_writable(job.output)
        sweep_container(job.output)
    return job


def planned(request: EventsRequest) -> tuple[EventsJob, EventsTable]:
    """A run and the table it is for; nothing is written.

    Raises
    ------
    CompressError
        Whatever the run would refuse before its work starts.
    """
    source = _source(request)
    config = source.config
    output = _output(config)
    if output.is_dir():
        raise OutputError(f"output: {output}: is a folder; expected the name of a file")
    with open_input(config) as table:
        blocks = Blocks(table, config.block, config.rows)
        _check_columns(config, blocks)
        found = EventsTable(table.files, blocks.rows, blocks.columns, len(blocks.numbers))
        fingerprint = table.fingerprint()
    shared = Path(config.shared) if config.shared is not None else None
    if shared is not None:
        open_container(shared)
    job = EventsJob(source, output, fingerprint, shared, False, request.quiet, request.restart)
    return replace(job, finished=output.exists() and _is_finished(job)), found


def forget_trials(job: EventsJob) -> None:
    """Remove the states of a scan; whatever else is in their folder stays, and so does the folder then.

    Raises
    ------
    OutputError
        If they cannot be removed.
    """
    try:
        for path in job.trials.glob("K*-H*.h5"):
            path.unlink()
        if job.trials.is_dir() and not any(job.trials.iterdir()):
            job.trials.rmdir()
    except OSError as error:
        raise OutputError(f"{job.trials}: cannot be removed: {error.strerror or error}") from error


def tell(text: str) -> None:
    """One line of progress or warning."""
    print(f"compress-mpi: {text}", file=sys.stderr, flush=True)


def _source(request: EventsRequest) -> EventsSource:
    if request.runcard is not None:
        return load_events_runcard(request.runcard, request.overrides)
    return EventsSource(
        complete_events(request.content, request.overrides, "command line"), "", "command line"
    )


def _output(config: EventsConfig) -> Path:
    output = Path(config.output) if config.output else Path()
    if config.output and output.suffix in _SUFFIXES:
        return output
    return output / f"{config.name or _stem(config)}.events.h5"


def _stem(config: EventsConfig) -> str:
    first = "demo" if config.input == ("demo",) else table_files(list(config.input))[0].stem
    return first or "events"


def _check_columns(config: EventsConfig, blocks: Blocks) -> None:
    from compress_mpi.workflows.events_bounded import bounds_of

    if config.codec == "bounded" and config.shared is None:
        bounds_of(config, blocks.columns)
        return
    if config.codec == "latent":
        from compress_mpi.workflows.events_latent import check_latent

        check_latent(config, blocks.columns)


def _require_writable(output: Path) -> None:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        probe = output.with_name(f".{output.name}.check")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"output: {output.parent}: cannot write there: {error.strerror or error}; choose another 'output'"
        ) from error


def _is_finished(job: EventsJob) -> bool:
    """Whether the file that is there is what this run would make; refuses what must not be replaced."""
    if not is_compressed_table(job.output):
        raise StoreError(
            f"{job.output}: exists and is no compressed table; it is not replaced: move it away, or choose another"
            " 'output'"
        )
    if job.restart:
        return False
    try:
        found = open_container(job.output)
    except StoreError as error:
        raise StoreError(f"{error}; --restart writes it anew") from error
    differing = _differences(job, found)
    if differing:
        raise StoreError(
            f"{job.output}: belongs to another run: {'; '.join(differing)}; choose another 'output', or replace it"
            " with --restart"
        )
    return True


def _differences(job: EventsJob, found: Container) -> list[str]:
    before, now = found.header["settings"], job.settings
    lines = []
    if found.header["source"].get("sha256") != job.fingerprint:
        lines.append("another input")
    if found.codec != job.config.codec:
        lines.append(f"codec: {found.codec} in the file, {job.config.codec} now")
    for key in {**before, **now}:
        if before.get(key) != now.get(key):
            old, new = (side.get(key, "the default") for side in (before, now))
            lines.append(f"{key}: {old} in the file, {new} now")
    if job.shared is None and "shared" in found.header:
        raise RuncardError(f"{job.output}: its model is in another file")
    return lines
