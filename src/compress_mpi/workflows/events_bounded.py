"""The bounded codec on a whole table: from bounds to grids, tables and networks, over all ranks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress_mpi.errors import RuncardError, StoreError, TableError
from compress_mpi.io.container import Container
from compress_mpi.io.settings_events import EventsConfig
from compress_mpi.io.tables import Rows, TableColumn
from compress_mpi.methods.events.bounded import encode_block
from compress_mpi.methods.events.bounds import Bound, resolve
from compress_mpi.methods.events.fitting import FitSettings, extent_of, fit, sample_runs
from compress_mpi.methods.events.grid import Grid, index_of
from compress_mpi.methods.events.plan import Plan
from compress_mpi.methods.events.statistics import ColumnStatistics
from compress_mpi.methods.events.targets import ResidualSums, residual_sums
from compress_mpi.workflows.events_blocks import Blocks
from compress_mpi.workflows.events_coder import Block

__all__ = ["BoundedCoder", "bounds_of", "fit_bounded", "shared_coder"]

_SHOWN = 12


@dataclass(frozen=True)
class BoundedCoder:
    """A fitted plan, as a coder of blocks."""

    plan: Plan

    @property
    def facts(self) -> dict[str, Any]:
        """What the header says."""
        return self.plan.facts()

    @property
    def tables(self) -> bytes:
        """Tables of the container."""
        return self.plan.tables_bytes()

    @property
    def model(self) -> bytes:
        """Network of the container."""
        return self.plan.model_bytes()

    @property
    def training(self) -> dict[str, Any] | None:
        """Nothing to tell: its networks are parts of the tables."""
        return None

    @property
    def unordered(self) -> bool:
        """Whether rows come back in another order."""
        return self.plan.unordered

    @property
    def allowed(self) -> dict[str, float | int | None]:
        """Greatest error by column."""
        return {column.name: column.grid.bound for column in self.plan.columns}

    def encode(self, rows: Rows) -> Block:
        """One block, decoded again to see that it can be."""
        found = encode_block(self.plan, rows)
        return Block(found.data, found.original, found.decoded, found.apart)


def bounds_of(config: EventsConfig, columns: tuple[TableColumn, ...]) -> dict[str, Bound]:
    """What is asked of each column.

    Raises
    ------
    RuncardError
        If a column is named that is not there, or one is left without a bound.
    """
    given, names = config.bound, [column.name for column in columns]
    unknown = [name for name in given if name not in (*names, "default")]
    if unknown:
        raise RuncardError(f"bound: no column {', '.join(unknown)}; the table has {', '.join(names)}")
    found = {}
    for column in columns:
        setting = given.get(column.name)
        if setting is None and column.dtype.kind in "biu":
            # numbers of events and flags are of no use when they are nearly right
            found[column.name] = Bound("lossless")
            continue
        setting = setting or given.get("default")
        if setting is None:
            raise RuncardError(f"bound: nothing for column {column.name}; name it, or give a 'default'")
        found[column.name] = Bound(setting.kind, setting.value)
    return found


def fit_bounded(config: EventsConfig, blocks: Blocks, team: Any) -> BoundedCoder:
    """Choose grids, tables and networks for a table; collective.

    Raises
    ------
    RuncardError
        If a bound makes no sense for the table.
    """
    bounds = bounds_of(config, blocks.columns)
    statistics = _statistics(blocks, team)
    grids = _grids(bounds, statistics, blocks, team)
    extent = {name: _extent(name, grids[name], s, blocks, team) for name, s in statistics.items()}
    runs = sample_runs(blocks.rows)
    sample = team.together(lambda: blocks.read_runs(runs))
    starts = np.zeros(sum(stop - start for start, stop in runs), dtype=np.bool_)
    starts[np.cumsum([0, *(stop - start for start, stop in runs[:-1])])] = True
    settings = FitSettings(config.model, config.context, config.unordered, config.seed)
    return BoundedCoder(fit(sample, starts, grids, extent, blocks.rows, settings, team.map))


def shared_coder(config: EventsConfig, blocks: Blocks, shared: Container) -> BoundedCoder:
    """The plan of another compressed table, for this one.

    Raises
    ------
    RuncardError
        If the runcard asks for bounds of its own.
    StoreError
        If the other table has another codec, or no tables itself.
    TableError
        If its columns differ.
    """
    if config.bound != EventsConfig.model_fields["bound"].default:
        raise RuncardError(f"bound: the bounds are those of model: {config.model}; leave 'bound' out")
    if shared.codec != "bounded" or "shared" in shared.header:
        what = f"codec {shared.codec}" if shared.codec != "bounded" else "a model that is shared itself"
        raise StoreError(f"{shared.path}: {what}; expected a table of the codec bounded with its own model")
    mine = [(column.name, column.dtype.name) for column in blocks.columns]
    if mine != shared.columns:
        raise TableError(
            f"{blocks.table.path}: columns {_listed(mine)}, but the model of {shared.path} is for"
            f" {_listed(shared.columns)}"
        )
    return BoundedCoder(Plan.restore(shared.header["plan"], shared.tables, shared.model))


def _listed(columns: list[tuple[str, str]]) -> str:
    shown = ", ".join(f"{name} ({dtype})" for name, dtype in columns[:_SHOWN])
    return f"{shown} and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else shown


def _statistics(blocks: Blocks, team: Any) -> dict[str, ColumnStatistics]:
    """Of every column, merged in block order; collective."""

    def of_block(number: int) -> dict[str, ColumnStatistics]:
        return {name: ColumnStatistics.of(values) for name, values in blocks.read(number).items()}

    parts = team.map(of_block, blocks.numbers)
    return {
        c.name: functools.reduce(ColumnStatistics.merge, [p[c.name] for p in parts]) for c in blocks.columns
    }


def _grids(
    bounds: Mapping[str, Bound], statistics: Mapping[str, ColumnStatistics], blocks: Blocks, team: Any
) -> dict[str, Grid]:
    return {
        column.name: resolve(
            bounds[column.name],
            statistics[column.name],
            column.dtype.name,
            _measure(column.name, blocks, team) if bounds[column.name].aimed else None,
        )
        for column in blocks.columns
    }


def _extent(
    name: str, grid: Grid, statistics: ColumnStatistics, blocks: Blocks, team: Any
) -> tuple[int, int]:
    """Smallest and largest index of a column; collective."""
    if statistics.minimum is None or statistics.maximum is None:
        return extent_of(grid, None, None)
    ends = np.array([statistics.minimum, statistics.maximum], dtype=grid.dtype)
    if not index_of(ends, grid)[1].any():
        return extent_of(grid, statistics.minimum, statistics.maximum)
    # an outlier that no index reaches must not hide all the others
    found = team.map(lambda number: _index_range(blocks.read(number)[name], grid), blocks.numbers)
    lows, highs = zip(*([one for one in found if one is not None] or [(0, 0)]), strict=True)
    return min(lows), max(highs)


def _index_range(values: Any, grid: Grid) -> tuple[int, int] | None:
    index, apart = index_of(values, grid)
    kept = index[~apart]
    return (int(kept.min()), int(kept.max())) if len(kept) else None


def _measure(name: str, blocks: Blocks, team: Any) -> Callable[[Grid], ResidualSums]:
    """Errors of a whole column on a grid; collective."""

    def measure(grid: Grid) -> ResidualSums:
        parts = team.map(lambda number: residual_sums(blocks.read(number)[name], grid), blocks.numbers)
        return functools.reduce(ResidualSums.merge, parts)

    return measure
