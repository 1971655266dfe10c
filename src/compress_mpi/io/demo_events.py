"""A made-up table of jets to try the program on: the columns pt, eta, phi, m.

Numbers of jets as measured in a hadron collider: a hard part beside a power law in the transverse momentum, a plateau
in the pseudorapidity, no preferred azimuth, and a mass that follows the momentum. Nothing in it depends on what is
asked for: row n is always the same row.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from compress_mpi.io.tables.table import EventTable, Rows, TableColumn, chosen
from compress_mpi.types import FloatArray

__all__ = ["DEMO_ROWS", "DemoTable", "demo_jets"]

DEMO_ROWS = 20_000
_SEED = 20120601
_VERSION = 1  # of the numbers; raise it whenever they change
_CHUNK = 4096
_COLUMNS = tuple(TableColumn(name, np.dtype(np.float32)) for name in ("pt", "eta", "phi", "m"))

_HARD, _LOG_PT, _LOG_WIDTH = 0.134, 4.33, 0.47
_SOFT_PT, _SOFT_POWER = 3.0, 1.51  # GeV
_PLATEAU, _LARGEST_ETA = 3.2, 5.1
_MASS = (-0.0744, 0.2652, -1.554, 0.286)


class DemoTable(EventTable):
    """The made-up jets as a table.

    Parameters
    ----------
    rows : int
    columns : sequence of str, optional
        Names to pick, in the order to give them; all by default.
    """

    def __init__(self, rows: int = DEMO_ROWS, columns: tuple[str, ...] | None = None) -> None:
        self.path, self.rows = Path("demo"), rows
        self.columns, _ = chosen(self.path, [(c.name, c.dtype) for c in _COLUMNS], columns)

    def _read(self, start: int, stop: int) -> Rows:
        first, last = start // _CHUNK, -(-stop // _CHUNK)
        chunks = [
            np.zeros((0, len(_COLUMNS)), np.float32),
            *(_chunk(number) for number in range(first, last)),
        ]
        rows = np.concatenate(chunks)[start - first * _CHUNK : stop - first * _CHUNK]
        return {column.name: rows[:, place] for place, column in enumerate(_COLUMNS)}

    def fingerprint(self) -> str:
        """A digest of the generator and the number of rows."""
        return hashlib.sha256(f"demo {_VERSION} {self.rows}".encode()).hexdigest()


def demo_jets(rows: int, rng: np.random.Generator) -> FloatArray:
    """Jets, float64 (rows, 4): pt in GeV, eta, phi, m in GeV."""
    soft = _SOFT_PT * (1.0 - rng.random(rows)) ** (-1.0 / _SOFT_POWER)
    hard = np.exp(rng.normal(_LOG_PT, _LOG_WIDTH, rows))
    pt = np.where(rng.random(rows) < _HARD, hard, soft)
    tails = np.clip(_PLATEAU + rng.exponential(0.6, rows), None, _LARGEST_ETA)
    size = np.where(rng.random(rows) < 0.85, rng.uniform(0.0, _PLATEAU, rows), tails)
    eta = size * np.where(rng.random(rows) < 0.5, -1.0, 1.0)
    phi = rng.uniform(-np.pi, np.pi, rows)
    log_pt = np.log(pt)
    bend, slope, constant, width = _MASS
    log_ratio = bend * log_pt**2 + slope * log_pt + constant + width * rng.standard_normal(rows)
    return np.stack([pt, eta, phi, pt * np.exp(log_ratio)], axis=1)


def _chunk(number: int) -> np.ndarray:
    rng = np.random.default_rng(np.random.SeedSequence(_SEED, spawn_key=(number,)))
    return demo_jets(_CHUNK, rng).astype(np.float32)
