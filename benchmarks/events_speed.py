"""Speed of the bounded codec on one core, beside SZ3 and zstd in the same run; and what a second rank gains."""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from case import Scale
from compress_mpi.io.container import Container
from compress_mpi.methods.events.bounded import decode_block, encode_block
from compress_mpi.methods.events.plan import Plan
from compress_mpi.types import FloatArray
from events import COLUMNS, EventsTable, bounded, tables
from events_peers import SZ3, missing_peers, planes
from jobs import COMMAND, finish, start
from measures import Outcome, ratios

__all__ = ["measure"]

_BLOCK = 32768
_TARGET = 3e-4
"""Mean error over standard deviation: about where the published codec is with N = 13."""
_FAST = 3
_RANKS = {1: "1 rank", 2: "2 ranks"}

Pair = tuple[Callable[[], Any], Callable[[Any], Any]]
"""Encode, and decode what it gave."""


def measure(scale: Scale) -> Outcome:
    """Encoding and decoding of the largest table.

    Raises
    ------
    JobError
        If the program fails.
    """
    table = max(tables(scale), key=lambda one: len(one.rows))
    outcome = Outcome(
        "encoding and decoding on one core, by processor time, training apart",
        {"table": table.label, "rows": len(table.rows), "block": _BLOCK},
        notes=[f"{name} is not installed: left out" for name in missing_peers()],
    )
    targets = _TARGET * table.rows.std(axis=0, dtype=np.float64)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contenders: dict[str, Pair] = {}
        for form, options in (("tiny flow", ["--set", "context=none"]), ("unordered", ["--unordered"])):
            container = bounded(table.rows, targets, folder, options, scale.coder_model)
            contenders[f"bounded, {form}"] = _ours(table, container)
        steps = np.array([column["step"] for column in container.header["plan"]["columns"]], dtype=np.float64)
        contenders |= _peers(table, steps)
        _speeds(contenders, table.rows.nbytes / 1e6, scale.repeats, outcome)
        _ranks(table, targets, scale, folder, outcome)
    return outcome


def _ours(table: EventsTable, container: Container) -> Pair:
    """Blocks as the program codes them; encoding decodes again to compare."""
    plan = Plan.restore(container.header["plan"], container.tables, container.model)
    columns = {name: np.ascontiguousarray(table.rows[:, place]) for place, name in enumerate(COLUMNS)}
    blocks = [
        {name: values[start : start + _BLOCK] for name, values in columns.items()}
        for start in range(0, len(table.rows), _BLOCK)
    ]

    def decode(coded: list[bytes]) -> None:
        for data, block in zip(coded, blocks, strict=True):
            decode_block(plan, data, len(block[COLUMNS[0]]))

    return lambda: [encode_block(plan, block).data for block in blocks], decode


def _peers(table: EventsTable, steps: FloatArray) -> dict[str, Pair]:
    found: dict[str, Pair] = {}
    columns = [np.ascontiguousarray(column) for column in table.rows.T]
    if importlib.util.find_spec("pysz") is not None:
        found |= {f"SZ3, {name}": _sz3(name, columns, steps) for name in ("INTERP_LORENZO", "LORENZO_REG")}
    if importlib.util.find_spec("pyarrow") is not None:
        import pyarrow

        for level in (_FAST, 19):
            codec = pyarrow.Codec("zstd", compression_level=level)
            found[f"zstd -{level}, lossless byte planes"] = _zstd(codec, table.rows)
    return found


def _sz3(name: str, columns: list[NDArray[np.float32]], steps: FloatArray) -> Pair:
    coders = [SZ3(name, step / 2) for step in steps.tolist()]

    def decode(coded: list[NDArray[np.uint8]]) -> None:
        for data, column in zip(coded, columns, strict=True):
            SZ3.decompress(data, column)

    return lambda: [coder.compress(c) for coder, c in zip(coders, columns, strict=True)], decode


def _zstd(codec: Any, rows: NDArray[np.float32]) -> Pair:
    size = rows.nbytes
    return lambda: codec.compress(planes(rows), asbytes=True), lambda data: codec.decompress(data, size)


def _speeds(contenders: dict[str, Pair], megabytes: float, repeats: int, outcome: Outcome) -> None:
    """Contenders in turn, after a turn that is not counted; megabytes of float32 a second."""
    speeds: dict[str, list[float]] = {}
    for repeat in range(repeats + 1):
        for name, (encode, decode) in contenders.items():
            began = time.process_time()
            coded = encode()
            between = time.process_time()
            decode(coded)
            ended = time.process_time()
            if repeat:
                for what, took in (("encode", between - began), ("decode", ended - between)):
                    speeds.setdefault(f"{name}: {what}", []).append(megabytes / max(took, 1e-9))
    for name, values in speeds.items():
        outcome.add(name, "MB/s", values)


def _ranks(table: EventsTable, targets: FloatArray, scale: Scale, folder: Path, outcome: Outcome) -> None:
    """The whole command on copies of the table, with a model that is there, by one and by two ranks."""
    copies = max(1, scale.speed_rows // len(table.rows))
    bounded(table.rows, targets, folder, ["--set", "context=none"], scale.coder_model)
    (folder / "table.h5").rename(folder / "model.h5")
    np.save(folder / "many.npy", np.tile(table.rows, (copies, 1)))
    np.save(folder / "few.npy", table.rows[:_BLOCK])
    found: dict[str, list[float]] = {}
    for _ in range(scale.repeats):
        for ranks, name in _RANKS.items():
            took = {source: _wall(ranks, source, folder) for source in ("few", "many")}
            found.setdefault(f"{name}: start and one block", []).append(took["few"])
            found.setdefault(f"{name}: whole command", []).append(took["many"])
            # a start that happens to be slow must not make the rest negative
            found.setdefault(f"{name}: other blocks", []).append(max(took["many"] - took["few"], 1e-3))
    outcome.settings["rows for ranks"] = copies * len(table.rows)
    for name, values in found.items():
        outcome.add(name, "s", values)
    for what in ("whole command", "other blocks"):
        gains = ratios(found[f"1 rank: {what}"], found[f"2 ranks: {what}"])
        outcome.add(f"{what}: 1 rank / 2 ranks", "x", gains)


def _wall(ranks: int, source: str, folder: Path) -> float:
    words = ["events", "compress", f"{source}.npy", "--output", "coded.h5", "--columns", ",".join(COLUMNS)]
    words += ["--model", "model.h5", "--quiet", "--restart"]
    began = time.perf_counter()
    finish(start(ranks, [*COMMAND, *words], folder))
    return time.perf_counter() - began
