"""Threads inside one rank."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from compress_mpi.parallel.outcome import Attempt

__all__ = ["run_tasks", "threads_per_rank"]

T = TypeVar("T")


class _HasCores(Protocol):
    cores_share: int


def threads_per_rank(team: _HasCores, requested: int | None = None) -> int:
    """Threads that this rank should use, and numba told so if it is loaded.

    Parameters
    ----------
    team : MPITeam or SerialTeam
        Knows this rank's share of the node's cores.
    requested : int, optional
        What the user asked for; by default the share.

    Returns
    -------
    int
        At least 1. numba itself gets no more than ``NUMBA_NUM_THREADS``.
    """
    threads = max(1, requested or team.cores_share)
    numba = sys.modules.get("numba")
    if numba is not None:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    return threads


def run_tasks(
    function: Callable[[T], Any], tasks: Sequence[T], threads: int = 1
) -> tuple[list[Any], int, Exception | None]:
    """Run tasks in order until one fails.

    Parameters
    ----------
    function : callable
        Called once per task; must be safe in threads if ``threads`` > 1.
    tasks : sequence
    threads : int
        Run that many at a time.

    Returns
    -------
    results : list
        In task order; those before the first failing task.
    position : int
        Of the first failing task in ``tasks``; ``len(tasks)`` if all went well.
    error : Exception or None
    """
    results: list[Any] = []
    if threads <= 1 or len(tasks) <= 1:
        with Attempt() as attempt:
            for task in tasks:
                results.append(function(task))
        return results, len(results), attempt.error
    with ThreadPoolExecutor(max_workers=threads) as pool:
        futures = [pool.submit(function, task) for task in tasks]
        with Attempt() as attempt:
            for future in futures:
                results.append(future.result())
        pool.shutdown(cancel_futures=True)
    return results, len(results), attempt.error
