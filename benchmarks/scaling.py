"""What ranks tell each other, and the efficiency that follows: a model, with what it needs measured here.

:func:`epoch`, :func:`sweep` and :func:`checkpoint` list the collectives of the search with their bytes;
``tests/mpi/test_messages.py`` counts those of real jobs and holds them to it. :func:`epoch_seconds` turns them into
time with the costs of the usual algorithms (:cite:`Thakur:2005`): a collective takes the logarithm of P in rounds.
"""

from __future__ import annotations

import math
import pickle
import time
from typing import NamedTuple

import numpy as np

from case import Case, Scale
from compress_mpi.methods.selection.exchange import SWAPS
from compress_mpi.methods.selection.island import EPOCHS_BETWEEN_MIGRATIONS, Report
from compress_mpi.methods.selection.search import IslandSearch, search_settings
from compress_mpi.methods.selection.tempering import PROPOSALS
from compress_mpi.parallel.serial import SerialTeam
from measures import Outcome

__all__ = [
    "NETWORKS",
    "Compute",
    "Message",
    "Network",
    "checkpoint",
    "efficiency",
    "epoch",
    "epoch_seconds",
    "measure",
    "message_seconds",
    "sweep",
]

ABOUT = "compute time per epoch and island, messages, and the efficiency that is predicted with an island per rank"

REPORT, ENVELOPE = 200, 64
"""Bytes of an island's report, at most, and of what is around the reports of one rank."""

SUBSET = 200
"""Bytes that come with a subset of N numbers of 8 bytes, at most."""

STATE = 600
"""Bytes of an island's state without its two subsets, at most."""

RANKS = (128, 1024)
_ATTEMPTS = 7


class Message(NamedTuple):
    """One collective, as every rank sees it.

    Attributes
    ----------
    call : str
        As MPI calls it, in small letters.
    given, got : int
        Bytes of this rank, and of the answer, at most.
    """

    call: str
    given: int
    got: int


class Network(NamedTuple):
    """Seconds of one round, and bytes per second."""

    latency: float
    bandwidth: float


NETWORKS = {"cluster": Network(2e-6, 10e9), "ten times slower": Network(20e-6, 1e9)}


class Compute(NamedTuple):
    """Measured on one core for one size.

    Attributes
    ----------
    mean, slowest : float
        Seconds of an epoch, over islands.
    report : float
        Seconds to take in the report of one island.
    call : float
        Seconds of a collective besides the network: Python and mpi4py, once per epoch and collective.
    iterations : int
        Of an epoch.
    """

    mean: float
    slowest: float
    report: float
    call: float
    iterations: int


def _gathered(own: int, everybody: int, ranks: int) -> list[Message]:
    return [Message("allgather", 8, 8 * ranks), Message("allgatherv", own, everybody)]


def _reports(n_select: int, islands: int, own: int, ranks: int, subset: bool) -> list[Message]:
    each = REPORT + (8 * n_select + SUBSET if subset else 0)
    return _gathered(ENVELOPE + own * each, ENVELOPE * ranks + islands * each, ranks)


def epoch(
    n_select: int, islands: int, own: int, ranks: int, iterations: int, migration: bool, timed: bool = False
) -> list[Message]:
    """Collectives of one epoch: lowest ERF of every iteration, reports, and whether to go on.

    Parameters
    ----------
    n_select : int
        Size N of the subset.
    islands, own : int
        All, and those of this rank: of several ranks on one island, the first speaks for it.
    ranks, iterations : int
    migration : bool
        Subsets travel, in every fifth epoch.
    timed : bool
        The budget is a time: the first rank says how much of it is spent.
    """
    lowest = Message("allreduce", 8 * iterations, 8 * iterations)
    reports = _reports(n_select, islands, own, ranks, migration)
    clock = _said(32) if timed else []
    return [lowest, *reports, *clock, Message("allreduce", 8, 8)]


def sweep(n_select: int, islands: int, own: int, ranks: int, neighbours: int, first: bool) -> list[Message]:
    """Collectives of one sweep of the final descent: the best swap of every chunk, and whether to go on.

    Parameters
    ----------
    n_select, islands, own, ranks : int
        As for :func:`epoch`.
    neighbours : int
        Single swaps of the subset, N (R - N), which are cut into chunks.
    first : bool
        Before the first sweep all learn the best subset.
    """
    chunks = math.ceil(neighbours / SWAPS)
    found = Message("allgatherv", 8 * (2 * math.ceil(chunks / ranks) + 1), 8 * (2 * chunks + ranks))
    start = _best(n_select, islands, own, ranks) if first else []
    return [*start, found, Message("allreduce", 8, 8)]


def checkpoint(n_select: int, islands: int, own: int, ranks: int, descends: bool = False) -> list[Message]:
    """Collectives of a checkpoint: states, the best subset, and that it has been written.

    In the final descent (``descends``) everybody knows the best subset.
    """
    each = STATE + 16 * n_select
    return [
        *_gathered(ENVELOPE + own * each, ENVELOPE * ranks + islands * each, ranks),
        *([] if descends else _best(n_select, islands, own, ranks)),
        *_said(16),
    ]


def _best(n_select: int, islands: int, own: int, ranks: int) -> list[Message]:
    each = SUBSET + 8 * n_select
    return _gathered(ENVELOPE + own * each, ENVELOPE * ranks + islands * each, ranks)


def _said(size: int) -> list[Message]:
    """What the first rank says to all."""
    return [Message("bcast", 8, 8), Message("bcast", size, size)]


def message_seconds(message: Message, ranks: int, network: Network) -> float:
    """Time of one collective on the network."""
    rounds = math.ceil(math.log2(ranks)) if ranks > 1 else 0
    moved = message.got if message.call.startswith("allgather") else rounds * message.got
    return rounds * network.latency + (moved / network.bandwidth if ranks > 1 else 0.0)


def epoch_seconds(compute: Compute, n_select: int, ranks: int, network: Network) -> float:
    """Time of an epoch with an island per rank, subsets shared out over the epochs between which they travel."""
    told = 0.0
    for migration, share in ((True, 1.0), (False, EPOCHS_BETWEEN_MIGRATIONS - 1.0)):
        messages = epoch(n_select, ranks, 1, ranks, compute.iterations, migration)
        spent = sum(message_seconds(message, ranks, network) + compute.call for message in messages)
        told += share * spent / EPOCHS_BETWEEN_MIGRATIONS
    return compute.slowest + ranks * compute.report + told


def efficiency(compute: Compute, n_select: int, ranks: int, network: Network) -> float:
    """Evaluations per second and rank, in units of those of one rank that waits for nobody."""
    return compute.mean / epoch_seconds(compute, n_select, ranks, network)


def measure(case: Case, scale: Scale) -> Outcome:
    """Time per epoch of every island, and of reports; then what the model makes of it."""
    outcome = Outcome(
        ABOUT,
        {"set": case.name, "N": list(scale.sizes), "iterations of the budget": scale.chain_iterations},
        notes=[
            f"{name}: {network.latency * 1e6:g} us for a round, {network.bandwidth / 1e9:g} GB/s"
            for name, network in NETWORKS.items()
        ],
    )
    for n_select in scale.sizes:
        compute = measure_compute(case, scale, n_select)
        prefix, evaluations = f"N={n_select}", PROPOSALS * compute.iterations
        outcome.add(f"{prefix} evaluations of an island per epoch", "1", [evaluations])
        outcome.add(f"{prefix} time of an evaluation", "us", [1e6 * compute.mean / evaluations])
        outcome.add(f"{prefix} time of an epoch", "ms", [1e3 * compute.mean])
        outcome.add(f"{prefix} slowest island / mean", "x", [compute.slowest / compute.mean])
        outcome.add(f"{prefix} time to take in a report", "us", [1e6 * compute.report])
        for ranks in RANKS:
            _predict(outcome, compute, n_select, ranks)
    return outcome


def _predict(outcome: Outcome, compute: Compute, n_select: int, ranks: int) -> None:
    prefix = f"N={n_select} {ranks} ranks"
    messages = epoch(n_select, ranks, 1, ranks, compute.iterations, False)
    outcome.add(f"{prefix}: received per rank and epoch", "kB", [sum(m.got for m in messages) / 1e3])
    for name, network in NETWORKS.items():
        seconds = epoch_seconds(compute, n_select, ranks, network)
        outcome.add(f"{prefix}, {name}: collectives per second", "1/s", [len(messages) / seconds])
        predicted = efficiency(compute, n_select, ranks, network)
        outcome.add(f"{prefix}, {name}: efficiency", "1", [predicted])


def measure_compute(case: Case, scale: Scale, n_select: int) -> Compute:
    """Run the default minimiser and time its islands one by one, and a rank that hears from very many."""
    norm = case.normalisation(n_select, scale.trials)
    settings = search_settings("tempering", n_select, scale.chain_iterations, 1)
    search = IslandSearch(settings, case.problem, case.weights(norm), SerialTeam(1))
    times = []
    while search.why_done is None:
        times.append(_advance(search))
    epochs = np.array(times[1:])
    call = _call_seconds()
    iterations = min(search._epoch_length, settings.max_iteration)
    return Compute(
        float(epochs.mean()),
        float(epochs.max(axis=1).mean()),
        _report_seconds(search, scale.islands),
        call,
        iterations,
    )


def _advance(search: IslandSearch) -> list[float]:
    """One epoch; seconds of each of its islands."""
    seconds = []
    own = dict(search.islands)
    for number, island in own.items():
        search.islands[number] = _Timed(island, seconds)  # type: ignore[assignment]
    search.advance()
    search.islands.update(own)
    return seconds


class _Timed:
    """An island whose epochs are timed."""

    def __init__(self, island: object, seconds: list[float]) -> None:
        self._island, self._seconds = island, seconds

    def __getattr__(self, name: str) -> object:
        return getattr(self._island, name)

    def advance(self, *arguments: object) -> object:
        began = time.process_time()
        answer = self._island.advance(*arguments)  # type: ignore[attr-defined]
        self._seconds.append(time.process_time() - began)
        return answer


def _report_seconds(search: IslandSearch, islands: int) -> float:
    """Least time per island, of some attempts, to unpack, sort, add up and judge the reports of many."""
    packed = [
        pickle.dumps({n: Report("tempering", 0.1 + 1e-6 * n, 0.1, 3000, (float(n), 0.25))}, -1)
        for n in range(islands)
    ]
    return min(_take_in(search, packed) for _ in range(_ATTEMPTS)) / islands


def _take_in(search: IslandSearch, packed: list[bytes]) -> float:
    """What ``Team.exchange`` and the search do with the reports; seconds."""
    island, began = search.islands[0], time.process_time()
    union: dict[int, Report] = {}
    for theirs in reversed(packed):
        union.update(pickle.loads(theirs))
    reports = dict(sorted(union.items()))
    sum(report.evaluations for report in reports.values())
    all(report.finished for report in reports.values())
    island.confer(search.epoch + 1, reports)
    return time.process_time() - began


def _call_seconds(count: int = 2000) -> float:
    """Time of a collective of this process with itself."""
    from mpi4py import MPI

    values, answer = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    began = time.process_time()
    for _ in range(count):
        MPI.COMM_SELF.Allreduce(values, answer, op=MPI.MIN)
    return (time.process_time() - began) / count
