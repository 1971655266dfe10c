"""Fitting the bounded codec: which tables and networks code a table in fewest bytes, their own included."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.enhancement.linear import one_thread
from compress_mpi.methods.events.basis import interval_weights
from compress_mpi.methods.events.bounded import Rows
from compress_mpi.methods.events.coder import coded_bits
from compress_mpi.methods.events.grid import Grid, index_of
from compress_mpi.methods.events.lossless import pack_column
from compress_mpi.methods.events.plan import ColumnPlan, Plan
from compress_mpi.methods.events.program import ColumnCode, compile_program, input_sources
from compress_mpi.methods.events.smallints import Writer
from compress_mpi.methods.events.tables import LEVELS, SLOTS, Table, choose_table, table_bits
from compress_mpi.methods.events.tinyflow import FEATURES, UNITS, WAVES, Net, Shape, write_net
from compress_mpi.methods.events.training import Course, TinyFlowLearner
from compress_mpi.models.training import train
from compress_mpi.types import FloatArray

__all__ = ["FitSettings", "extent_of", "fit", "sample_runs"]

MODELS = ("auto", "none", "marginal", "tiny")
CONTEXTS = ("auto", "previous", "none")

Map = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]

_SAMPLE = 65536
_RUN = 1024
_FARTHEST, _WIDEST = 1 << 62, 1 << 60
_APART_BITS = 100
_RARE, _FEW = 5e-4, 2
_STEPS, _BATCH, _RATE = 2000, 1024, 1e-2
_MOST_EPOCHS = 200
_HIDDEN = 8
_MANY_ROWS = 50000
_MOST_COLUMNS = 64
_COARSE = 16
_CONTEXT_BITS = 4000.0
_SIGNIFICANT = 4.0


@dataclass(frozen=True)
class FitSettings:
    """What the user decides.

    Attributes
    ----------
    model : {"auto", "none", "marginal", "tiny"}
        The largest kind of model to try; ``auto`` is ``tiny``, up to 64 columns.
    context : {"auto", "previous", "none"}
        Whether rows are coded with a look at the previous one; ``auto``: if the sample shows that it tells
        more than it costs.
    unordered : bool
        Rows may come back in another order.
    seed : int
    """

    model: str = "auto"
    context: str = "auto"
    unordered: bool = False
    seed: int = 0


def sample_runs(rows: int) -> list[tuple[int, int]]:
    """Runs of rows, (start, stop), to fit on: all of them, or evenly spread ones."""
    if rows <= _SAMPLE:
        return [(0, rows)]
    runs = _SAMPLE // _RUN
    starts = [number * (rows - _RUN) // (runs - 1) for number in range(runs)]
    return [(start, start + _RUN) for start in starts]


def extent_of(grid: Grid, minimum: float | int | None, maximum: float | int | None) -> tuple[int, int]:
    """Smallest and largest index of a column, from its smallest and largest finite value."""
    if minimum is None or maximum is None:
        return 0, 0
    index, apart = index_of(np.array([minimum, maximum], dtype=grid.dtype), grid)
    return (0, 0) if apart.any() else (int(index[0]), int(index[1]))


def fit(
    sample: Rows,
    starts: NDArray[np.bool_],
    grids: Mapping[str, Grid],
    extent: Mapping[str, tuple[int, int]],
    rows: int,
    settings: FitSettings,
    team_map: Map,
) -> Plan:
    """Choose tables and networks.

    Collective where ``team_map`` is.

    Parameters
    ----------
    sample : dict of arrays (n,)
        Rows of `sample_runs`, one run after the other.
    starts : bool (n,)
        First rows of the runs.
    grids : dict of Grid
        By column.
    extent : dict of (int, int)
        `extent_of` the whole table.
    rows : int
        Of the whole table.
    settings : FitSettings
    team_map : callable
        ``team_map(function, tasks)``: results in task order.
    """
    names, levels = list(sample), (0,) if settings.model == "none" else LEVELS
    tables = team_map(lambda name: _table(sample[name], grids[name], extent[name], rows, levels), names)
    codes = {name: ColumnCode(table) for name, table in zip(names, tables, strict=True) if table is not None}
    if not codes:
        return Plan(tuple(ColumnPlan(name, grids[name], None) for name in names), False)
    indices = _clean_indices(sample, grids, codes)
    job = _Job(indices, starts, list(codes.values()), rows, settings.seed)
    context = False
    if settings.model == "tiny" or (settings.model == "auto" and len(codes) <= _MOST_COLUMNS):
        context = _wants_context(job, settings)
        codes = dict(zip(codes, _with_networks(job, context, team_map), strict=True))
    if settings.unordered:
        name = list(codes)[_most_distinct(indices)]
        codes[name] = ColumnCode(codes[name].table, gap=True)
    return Plan(tuple(ColumnPlan(name, grids[name], codes.get(name)) for name in names), context)


def _table(
    sample: NDArray[Any], grid: Grid, extent: tuple[int, int], rows: int, levels: Sequence[int]
) -> Table | None:
    """The best table of a column; None where packing its bytes is better."""
    low, high = extent
    # indices of unsigned numbers of 64 bits go around
    if not (-_FARTHEST <= low <= high < _FARTHEST and high - low < _WIDEST):
        return None
    index, apart = index_of(sample, grid)
    scale = rows / max(index.size, 1)

    def fitted(ends: tuple[int, int]) -> tuple[float, Table]:
        outside = apart | (index < ends[0]) | (index > ends[1])
        table = choose_table(index[~outside], *ends, rows, levels)
        # what stands for the values kept apart is coded too
        seen = np.where(outside, table.usual, index)
        if outside.any():
            table = choose_table(seen, *ends, rows, levels)
        return scale * (table_bits(table, seen) + _APART_BITS * outside.sum()), table

    kept = index[~(apart | (index < low) | (index > high))]
    ranges = {extent, _inner(kept)} if kept.size > 3 * _FEW else {extent}
    bits, table = min((fitted(ends) for ends in sorted(ranges)), key=lambda one: one[0])
    return None if grid.lossless and 8 * scale * len(pack_column(sample)) < bits else table


def _inner(indices: NDArray[np.int64]) -> tuple[int, int]:
    """The range without those that are far out: a few of them would make the last interval wide."""
    ordered = np.sort(indices)
    few = max(_FEW, math.ceil(_RARE * ordered.size))
    low, high = int(ordered[few]), int(ordered[-1 - few])
    room = high - low + 1
    near = ordered[(ordered >= low - room) & (ordered <= high + room)]
    return int(near[0]), int(near[-1])


def _clean_indices(
    sample: Rows, grids: Mapping[str, Grid], codes: Mapping[str, ColumnCode]
) -> NDArray[np.int64]:
    """Indices of the sample as the encoder will see them, int64 (n, columns)."""
    columns = []
    for name, code in codes.items():
        index, apart = index_of(sample[name], grids[name])
        apart |= (index < code.table.edges[0]) | (index >= code.table.edges[-1])
        columns.append(np.where(apart, code.table.usual, index))
    return np.stack(columns, axis=1)


def _most_distinct(indices: NDArray[np.int64]) -> int:
    """The column to sort by: ties would be sorted in vain."""
    return int(np.argmax([np.unique(column).size for column in indices.T]))


@dataclass
class _Job:
    """A sample as networks see it.

    Attributes
    ----------
    indices : int64 (n, columns)
    starts : bool (n,)
    codes : list of ColumnCode
        Tables only.
    rows : int
        Of the whole table.
    seed : int
    """

    indices: NDArray[np.int64]
    starts: NDArray[np.bool_]
    codes: list[ColumnCode]
    rows: int
    seed: int

    def __post_init__(self) -> None:
        tables = [code.table for code in self.codes]
        places = [table.interval_of(column) for table, column in zip(tables, self.indices.T, strict=True)]
        self.low = np.stack([table.slots[at] for table, at in zip(tables, places, strict=True)], axis=1)
        self.high = np.stack([table.slots[at + 1] for table, at in zip(tables, places, strict=True)], axis=1)
        here = (self.low + self.high) >> 1
        before = np.concatenate([np.full((1, here.shape[1]), -1), here[:-1]])
        before[self.starts] = -1
        self.slots = np.concatenate([here, before], axis=1)
        """Slot of each column in the row and in the row before, -1 where there is none."""

    @property
    def columns(self) -> int:
        return len(self.codes)

    def bits(self, codes: Sequence[ColumnCode], context: bool) -> FloatArray:
        """Bits of each column of the whole table, judged by the sample."""
        program = compile_program(codes, context)
        return coded_bits(program, self.indices, self.starts) * (self.rows / len(self.indices))


def _wants_context(job: _Job, settings: FitSettings) -> bool:
    if settings.unordered or settings.context == "none":
        return False
    return settings.context == "previous" or _context_bits(job) > _CONTEXT_BITS


def _context_bits(job: _Job) -> float:
    """Bits of the whole table that the previous row tells at least, by coarse histograms of pairs."""
    known = job.slots[:, job.columns] >= 0
    number = int(known.sum())
    if number == 0:
        return 0.0
    here, before = (
        job.slots[known][:, part] * _COARSE // SLOTS
        for part in (slice(0, job.columns), slice(job.columns, None))
    )
    # of each column the one that tells most, less what chance would tell (Miller, 1955)
    chance = (_COARSE - 1) ** 2 / (2 * math.log(2))
    told = [max(number * _shared_bits(target, source) - chance for source in before.T) for target in here.T]
    return sum(bits for bits in told if bits > _SIGNIFICANT * math.sqrt(chance)) * job.rows / number


def _shared_bits(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Mutual information of two columns, in bits a row."""
    joint = np.bincount(first * _COARSE + second, minlength=_COARSE**2).reshape(_COARSE, _COARSE)
    shares = joint / joint.sum()
    product = shares.sum(axis=1)[:, None] * shares.sum(axis=0)
    there = shares > 0
    return float((shares[there] * np.log2(shares[there] / product[there])).sum())


def _with_networks(job: _Job, context: bool, team_map: Map) -> list[ColumnCode]:
    """The codes, with a network wherever one saves more than it takes."""
    without = job.bits(job.codes, False)
    tasks = [(column, shape) for column in range(job.columns) for shape in _shapes(job, column, context)]
    nets = team_map(lambda task: _trained(job, task[0], task[1], context), tasks)
    best = list(job.codes)
    least = without.copy()
    for (column, _), (net, bits) in zip(tasks, nets, strict=True):
        if bits < least[column]:
            best[column], least[column] = ColumnCode(job.codes[column].table, net), bits
    return best


def _shapes(job: _Job, column: int, context: bool) -> list[Shape]:
    inputs = len(input_sources(column, job.columns, context))
    segments = 32 if job.rows > _MANY_ROWS else 16
    if not inputs or job.codes[column].table.edges.size == 2:
        return []
    flat = Shape(inputs, _HIDDEN, segments, False)
    return [flat, Shape(inputs, _HIDDEN, segments // 2, True)] if context else [flat]


def _trained(job: _Job, column: int, shape: Shape, context: bool) -> tuple[Net, float]:
    """A network, and the bits of the whole table that its column takes with it, its own included."""
    rows = len(job.indices)
    epochs = min(max(1, round(_STEPS * _BATCH / rows)), _MOST_EPOCHS)
    seeds = [job.seed, column, shape.segments, shape.relative]
    learner = TinyFlowLearner(
        shape,
        _features(job, column, context),
        interval_weights(shape, job.low[:, column], job.high[:, column], _references(job, column)),
        job.rows,
        Course(epochs, _BATCH, _RATE),
        np.random.default_rng(seeds),
    )
    with one_thread():
        train(learner, epochs, lambda epoch: np.random.default_rng([*seeds, epoch]))
    net = learner.net()
    codes = list(job.codes)
    codes[column] = ColumnCode(codes[column].table, net)
    writer = Writer()
    write_net(writer, net)
    return net, float(job.bits(codes, context)[column]) + 8 * len(writer.finish())


def _features(job: _Job, column: int, context: bool) -> NDArray[np.float32]:
    """What the network of a column looks at, as real numbers, float32 (n, features)."""
    waves = np.concatenate([WAVES, np.zeros((1, FEATURES), dtype=WAVES.dtype)])
    seen = waves[job.slots[:, input_sources(column, job.columns, context)]]
    return (seen.reshape(len(seen), -1) / (1 << UNITS.feature)).astype(np.float32)


def _references(job: _Job, column: int) -> NDArray[np.int64]:
    return np.maximum(job.slots[:, job.columns + column], 0)
