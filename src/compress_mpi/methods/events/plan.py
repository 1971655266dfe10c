"""How a table is coded: columns, grids, tables, networks; what a container stores of it."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from compress_mpi.methods.events.grid import Grid
from compress_mpi.methods.events.program import ColumnCode, Program, compile_program, input_sources
from compress_mpi.methods.events.smallints import Reader, Writer
from compress_mpi.methods.events.tables import read_table, write_table
from compress_mpi.methods.events.tinyflow import read_net, write_net

__all__ = ["ColumnPlan", "Plan"]


@dataclass(frozen=True)
class ColumnPlan:
    """One column.

    Attributes
    ----------
    name : str
    grid : Grid
    code : ColumnCode or None
        None: the bytes of the column are packed as they are, see :mod:`.lossless`.
    """

    name: str
    grid: Grid
    code: ColumnCode | None

    @property
    def model(self) -> str:
        """One word for how it is coded."""
        if self.code is None:
            return "bytes"
        if self.code.gap:
            return "sorted"
        if self.code.net is not None:
            return "tiny"
        return "marginal" if self.code.table.level else "none"


@dataclass(frozen=True)
class Plan:
    """How the blocks of a table are coded.

    Attributes
    ----------
    columns : tuple of ColumnPlan
    context : bool
        Whether a row is coded with a look at the row before.
    """

    columns: tuple[ColumnPlan, ...]
    context: bool

    @property
    def indexed(self) -> tuple[ColumnPlan, ...]:
        """Columns that are coded as indices."""
        return tuple(column for column in self.columns if column.code is not None)

    @property
    def unordered(self) -> bool:
        """Whether rows come back in another order."""
        return any(column.code.gap for column in self.columns if column.code is not None)

    @functools.cached_property
    def program(self) -> Program:
        """The flat form of the indexed columns; there has to be one."""
        return compile_program(self._codes, self.context)

    @property
    def _codes(self) -> list[ColumnCode]:
        return [column.code for column in self.columns if column.code is not None]

    def tables_bytes(self) -> bytes:
        """The tables of all indexed columns."""
        writer = Writer()
        for code in self._codes:
            write_table(writer, code.table)
        return writer.finish()

    def model_bytes(self) -> bytes:
        """The networks; nothing where there is none."""
        codes = self._codes
        if all(code.net is None for code in codes):
            return b""
        writer = Writer()
        for code in codes:
            writer.bits(int(code.net is not None), 1)
            if code.net is not None:
                write_net(writer, code.net)
        return writer.finish()

    def facts(self) -> dict[str, Any]:
        """What is neither table nor network, as plain numbers and words."""
        return {
            "context": self.context,
            "columns": [
                {"name": column.name, **column.grid.facts(), "model": column.model} for column in self.columns
            ],
        }

    @staticmethod
    def restore(facts: Mapping[str, Any], tables: bytes, model: bytes) -> Plan:
        """A plan from what was stored of it.

        Raises
        ------
        ValueError
            If the facts are incomplete or no plan.
        """
        try:
            context, entries = bool(facts["context"]), facts["columns"]
            described = [(entry["name"], Grid.from_facts(entry), entry["model"]) for entry in entries]
        except (KeyError, TypeError) as error:
            raise ValueError(f"stored plan: {error} is missing or of another type") from error
        tables_of, nets_of = Reader(tables), Reader(model)
        number = sum(kind != "bytes" for _, _, kind in described)
        columns, place = [], 0
        for name, grid, kind in described:
            code = None
            if kind != "bytes":
                table = read_table(tables_of)
                # no network at all is stored as nothing
                has_net = bool(model) and bool(nets_of.bits(1))
                net = read_net(nets_of, len(input_sources(place, number, context))) if has_net else None
                code = ColumnCode(table, net, kind == "sorted")
                place += 1
            columns.append(ColumnPlan(name, grid, code))
        return Plan(tuple(columns), context)
