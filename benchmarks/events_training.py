"""Training of the published flow of jets: one epoch of ours against the publication's library, and against zuko."""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from case import Scale
from compress_mpi.types import FloatArray
from jobs import JobError
from measures import Outcome, ratios

__all__ = ["EVENTS", "PEERS", "jets", "measure", "preprocessed"]

EVENTS = "ak5_smooth236k.npy"
"""Jets, float32 (n, 4): transverse momentum, pseudorapidity, azimuth, mass; in the folder COMPRESS_MPI_EVENTS."""

_SEED = 6
_HELD = 100  # rows that ours is judged by after every epoch, which the others do not do


def measure(scale: Scale) -> Outcome:
    """Epochs in turn, one thread each: ours as the house loop runs it, the others by the shortest loop there is.

    Raises
    ------
    JobError
        If torch or zuko is not installed.
    """
    missing = [name for name in ("torch", "zuko") if importlib.util.find_spec(name) is None]
    if missing:
        raise JobError(f"{missing[0]}: not installed; pip install 'compress-mpi[ml]'")
    import torch

    table, name = jets(scale.table_rows)
    contenders, missing = {"ours": _ours(table)}, []
    for peer, build in PEERS.items():
        if importlib.util.find_spec(peer) is None:
            missing.append(peer)
        else:
            contenders[peer] = _loop(build(), table)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        wall, busy = _timed(contenders, scale.repeats)
    finally:
        torch.set_num_threads(threads)
    outcome = Outcome(
        "one epoch of the published model 1 (6 layers of 64 units, batch 10,000, Adam), one thread",
        {"table": name, "rows": len(table), "precision": "float32"},
        notes=[f"{peer} is not installed: left out" for peer in missing],
    )
    for contender in contenders:
        outcome.add(f"{contender}: epoch", "s", wall[contender])
        outcome.add(f"{contender}: processor time", "s", busy[contender])
    for peer in (peer for peer in PEERS if peer in contenders):
        outcome.add(f"wall time: ours / {peer}", "x", ratios(wall["ours"], wall[peer]))
        outcome.add(f"processor time: ours / {peer}", "x", ratios(busy["ours"], busy[peer]))
    return outcome


def jets(rows: int) -> tuple[FloatArray, str]:
    """First rows of the table, preprocessed, and its name; a made-up one where there is none."""
    path = Path(os.environ.get("COMPRESS_MPI_EVENTS", "")) / EVENTS
    if path.is_file():
        return preprocessed(np.load(path)[:rows].astype(np.float64)), path.stem
    rng = np.random.default_rng(_SEED)
    momentum = 3.0 * (1.0 - rng.random(rows)) ** (-1.0 / 1.51)
    mass = momentum * np.exp(-1.3 + 0.286 * rng.standard_normal(rows))
    angles = rng.uniform(-3.2, 3.2, (2, rows))
    return preprocessed(np.column_stack([momentum, *angles, mass])), "made up"


def preprocessed(table: FloatArray) -> FloatArray:
    """Logarithms of momentum and mass, every column standardised; enough to have numbers of the right size."""
    table = table.copy()
    table[:, [0, 3]] = np.log(10.0 + table[:, [0, 3]])
    rows: FloatArray = (table - table.mean(0)) / table.std(0)
    return rows


def _ours(table: FloatArray) -> Callable[[], object]:
    import torch

    from compress_mpi.models.flows import PUBLISHED, flow_learner

    learner = flow_learner(table, table[:_HELD], *PUBLISHED["model1"], _SEED, torch.device("cpu"))
    rng = np.random.default_rng(_SEED)
    return lambda: learner.epoch(rng)


def _loop(flow: Any, table: FloatArray) -> Callable[[], None]:
    import torch

    from compress_mpi.models.flows import PUBLISHED

    schedule = PUBLISHED["model1"][1]
    rows = torch.tensor(table, dtype=torch.float32)
    optimizer = torch.optim.Adam(flow.parameters(), schedule.rate)

    def epoch() -> None:
        for batch in rows[torch.randperm(len(rows))].split(schedule.batch):
            optimizer.zero_grad()
            loss = -(flow() if flow.__module__.startswith("zuko") else flow).log_prob(batch).mean()
            loss.backward()
            optimizer.step()

    return epoch


def _nflows() -> Any:
    from nflows.distributions.normal import StandardNormal
    from nflows.flows.base import Flow
    from nflows.transforms import CompositeTransform, MaskedAffineAutoregressiveTransform, RandomPermutation

    layers = []
    for _ in range(6):
        layers.append(RandomPermutation(4))
        layers.append(MaskedAffineAutoregressiveTransform(4, 64, num_blocks=2, use_residual_blocks=True))
    return Flow(CompositeTransform(layers), StandardNormal([4]))


def _zuko() -> Any:
    import zuko

    return zuko.flows.MAF(4, transforms=6, hidden_features=(64, 64, 64), residual=True, randperm=True)


PEERS: dict[str, Callable[[], Any]] = {"nflows": _nflows, "zuko": _zuko}
"""Flows of other libraries, by the name that they are imported by; nflows is what the publication used."""


def _timed(
    contenders: dict[str, Callable[[], object]], repeats: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Wall and processor times of one epoch, the contenders in turn, after one epoch that is not counted."""
    wall: dict[str, list[float]] = {name: [] for name in contenders}
    busy: dict[str, list[float]] = {name: [] for name in contenders}
    for repeat in range(repeats + 1):
        for name, epoch in contenders.items():
            began = time.perf_counter(), time.process_time()
            epoch()
            ended = time.perf_counter(), time.process_time()
            if repeat:
                wall[name].append(ended[0] - began[0])
                busy[name].append(ended[1] - began[1])
    return wall, busy
