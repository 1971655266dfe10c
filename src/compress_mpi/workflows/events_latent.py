"""The latent codec on a whole table: the flow trained by all ranks, then quantiser and frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress_mpi.errors import RuncardError, StoreError, TableError
from compress_mpi.io.container import Container, open_container
from compress_mpi.io.settings_events import EventsConfig
from compress_mpi.io.tables import Rows, TableColumn, open_tables
from compress_mpi.methods.events.latent_table import LatentTable, fit_codec
from compress_mpi.methods.events.preprocess import Preprocessing, PreprocessSettings
from compress_mpi.methods.events.trained_flow import (
    FlowSpec,
    Schedule,
    TrainedFlow,
    flow_of,
    in_few_digits,
    missing_libraries,
)
from compress_mpi.types import FloatArray
from compress_mpi.workflows.events_blocks import Blocks, matrix_of
from compress_mpi.workflows.events_coder import Block
from compress_mpi.workflows.events_job import EventsJob
from compress_mpi.workflows.events_scan import in_sizes_of, scan_on_all
from compress_mpi.workflows.events_training import Trained, train_on_all

__all__ = ["LatentCoder", "check_latent", "fit_latent", "flow_columns", "split_rows"]

_SPLIT = 1 << 30  # what the random numbers of the split are for
_KNOTS_PUBLISHED = 10_000
_KNOTS = 500
"""Of the quantile maps of the repaired form: more take more bytes than they spare."""


@dataclass(frozen=True)
class LatentCoder:
    """A fitted latent codec, as a coder of blocks."""

    table: LatentTable
    training: dict[str, Any] | None = field(default=None)
    unordered = False

    @property
    def facts(self) -> dict[str, Any]:
        """What the header says."""
        return self.table.facts()

    @property
    def tables(self) -> bytes:
        """Tables of the container."""
        return self.table.tables_bytes()

    @property
    def model(self) -> bytes:
        """Flow of the container."""
        return self.table.model_bytes()

    @property
    def allowed(self) -> dict[str, float | int | None]:
        """No bound, but for columns that come back exactly."""
        return {name: None if name in self.table.through else 0 for name in self.table.dtypes}

    def encode(self, rows: Rows) -> Block:
        """One block."""
        data = self.table.encode(rows)
        decoded = self.table.decode(data, len(next(iter(rows.values()))))
        return Block(data, rows, decoded, {})


def flow_columns(config: EventsConfig, columns: Sequence[TableColumn]) -> tuple[str, ...]:
    """Columns that go through the flow: the floating ones, but for those that are to be lossless."""
    lossless = {name for name, bound in config.bound.items() if bound.kind == "lossless"}
    return tuple(c.name for c in columns if c.dtype.kind == "f" and c.name not in lossless)


def check_latent(config: EventsConfig, columns: Sequence[TableColumn]) -> None:
    """Refuse what cannot be done with the columns of a table.

    Raises
    ------
    RuncardError
        If a named column is not there, none is left for the flow, or a library is missing.
    """
    through, names = flow_columns(config, columns), [column.name for column in columns]
    for key in ("logarithm", "quantile"):
        wanted = getattr(config.preprocess, key)
        unknown = [] if wanted == "auto" else [name for name in wanted if name not in through]
        if unknown:
            raise RuncardError(
                f"preprocess.{key}: no column {', '.join(unknown)} among those of the flow: {', '.join(through)}"
            )
    for name, bound in config.bound.items():
        if name != "default" and name not in names:
            raise RuncardError(f"bound: no column {name}; the table has {', '.join(names)}")
        if name != "default" and bound.kind != "lossless":
            raise RuncardError(
                f"bound: {name}: the codec latent has no bounds but lossless; use codec: bounded, or leave it out"
            )
    if not through:
        raise RuncardError("codec: latent needs a floating column; all are integers or lossless")
    missing = missing_libraries(config.flow.family == "nsf")
    if missing:
        raise RuncardError(
            f"codec: latent needs {' and '.join(missing)}, not installed here; pip install 'compress-mpi[ml]', or use"
            " codec: bounded"
        )
    settings_of_flow(config, len(through))


def settings_of_flow(config: EventsConfig, features: int) -> tuple[FlowSpec, Schedule]:
    """Flow and schedule that a runcard asks for.

    Raises
    ------
    RuncardError
        If they make no sense together.
    """
    flow, training = config.flow, config.training
    changes = {
        name: getattr(flow, name) for name in ("family", "transforms", "hidden", "blocks", "bins", "dtype")
    }
    course = {name: getattr(training, name) for name in ("epochs", "batch", "rate", "plateau", "shards")}
    try:
        return flow_of(flow.preset, features, changes, {**course, "stop": training.patience})
    except ValueError as error:
        raise RuncardError(f"flow: {error}") from error


def fit_latent(
    job: EventsJob, blocks: Blocks, team: Any, signals: Any, deadline: float
) -> LatentCoder | None:
    """Train the flow and fit quantiser and frequencies; collective.

    Returns
    -------
    LatentCoder or None
        None where the training was told to stop; its checkpoint is written then.

    Raises
    ------
    RuncardError, StoreError, TableError
    """
    config = job.config
    if job.shared is not None:
        path = job.shared
        return team.together(lambda: _shared(blocks, open_container(path, team.rank == 0)))
    through = flow_columns(config, blocks.columns)
    learn, judge = split_rows(config, blocks, through, team)
    preprocessing = team.on_root(lambda: _fit_preprocessing(config, learn, through))
    seen = [_usable(preprocessing, rows, name) for rows, name in ((learn, "training"), (judge, "validation"))]
    trained = _trained(job, seen[0], seen[1], team, signals, deadline)
    if trained is None:
        return None
    flow, training = trained
    codec = team.on_root(lambda: _fit_codec(config, learn, preprocessing, flow))
    dtypes = {column.name: column.dtype.name for column in blocks.columns}
    return LatentCoder(LatentTable(codec, flow, dtypes, through), training.facts)


def _trained(
    job: EventsJob, learn: FloatArray, judge: FloatArray, team: Any, signals: Any, deadline: float
) -> tuple[TrainedFlow, Trained] | None:
    """The flow that codes, after a scan where one is asked for; None where it was told to stop."""
    config = job.config
    spec, schedule = settings_of_flow(config, learn.shape[1])
    if config.scan.wanted:
        curves = scan_on_all(job, learn, judge, spec, team, signals, deadline)
        if curves is None:
            return None
        if config.scan.pick:
            spec = in_sizes_of(curves, spec, config.flow)
    training = train_on_all(job, learn, judge, spec, schedule, team, signals, deadline)
    if training is None:
        return None
    flow = TrainedFlow(spec, training.weights)
    if config.form == "repaired":
        # before anything is fitted to the flow: encoder and decoder have the same one
        flow = team.on_root(lambda: in_few_digits(flow, learn))
    return flow, training


def split_rows(
    config: EventsConfig, blocks: Blocks, through: Sequence[str], team: Any
) -> tuple[FloatArray, FloatArray]:
    """Rows to learn from and rows to judge by, float64 (n, columns); collective."""
    every = -(-blocks.rows // config.training.rows)

    def some(number: int) -> FloatArray:
        first = -blocks.span(number)[0] % every
        return matrix_of(blocks.read(number), through)[first::every]

    rows = np.concatenate(team.map(some, blocks.numbers))
    if isinstance(config.training.validation, str):
        return rows, team.together(lambda: _validation_file(config, through))
    order = np.random.default_rng([config.seed, _SPLIT]).permutation(len(rows))
    held_out = max(1, round(config.training.validation * len(rows)))
    if held_out >= len(rows):
        raise TableError(
            f"{blocks.table.path}: {len(rows)} rows are too few to train on; the codec bounded needs 1"
        )
    return rows[np.sort(order[held_out:])], rows[np.sort(order[:held_out])]


def _validation_file(config: EventsConfig, through: Sequence[str]) -> FloatArray:
    with open_tables(str(config.training.validation), list(through)) as table:
        return matrix_of(table.read(0, table.rows), through)


def _fit_preprocessing(config: EventsConfig, rows: FloatArray, through: Sequence[str]) -> Preprocessing:
    negative = [bool((column[np.isfinite(column)] < 0).any()) for column in rows.T]
    auto = {
        "logarithm": [name for name, below in zip(through, negative, strict=True) if not below],
        "quantile": [name for name, below in zip(through, negative, strict=True) if below],
    }

    def numbers(key: str) -> tuple[int, ...]:
        wanted = getattr(config.preprocess, key)
        return tuple(list(through).index(name) for name in (auto[key] if wanted == "auto" else wanted))

    published = config.form == "published"
    knots = config.preprocess.knots or (_KNOTS_PUBLISHED if published else _KNOTS)
    settings = PreprocessSettings(numbers("logarithm"), numbers("quantile"), knots, published)
    return Preprocessing.fit(rows, settings)


def _usable(preprocessing: Preprocessing, rows: FloatArray, name: str) -> FloatArray:
    """Rows as the flow sees them, without those that have a NaN."""
    seen = preprocessing.forward(rows)
    good = np.isfinite(seen).all(axis=1)
    if not good.any():
        raise TableError(f"none of the {len(rows)} {name} rows is finite in all columns of the flow")
    return seen[good]


def _fit_codec(
    config: EventsConfig, rows: FloatArray, preprocessing: Preprocessing, flow: TrainedFlow
) -> Any:
    try:
        return fit_codec(rows, preprocessing, flow, config.bits[0], config.form)
    except ValueError as error:
        raise RuncardError(f"bits: {config.bits[0]}: {error}") from error


def _shared(blocks: Blocks, shared: Container) -> LatentCoder:
    if shared.codec != "latent" or "shared" in shared.header:
        raise StoreError(
            f"{shared.path}: codec {shared.codec}; expected a table of the codec latent with its own flow"
        )
    if [(c.name, c.dtype.name) for c in blocks.columns] != shared.columns:
        raise TableError(f"{blocks.table.path}: columns differ from those of {shared.path}")
    return LatentCoder(LatentTable.restore(shared.header["plan"], shared.tables, shared.model))
