"""Measures the processor time of ranks that wait for rank 0, and the latency of short waits."""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from compress_mpi.parallel.abort import run_guarded
from compress_mpi.parallel.team import world_team

NAP = 1.5


def cost(team, function):
    team.wait()
    before = time.process_time()
    function()
    return team.exchange({team.rank: time.process_time() - before})


def nap_then_wait(team):
    if team.rank == 0:
        time.sleep(NAP)
    team.wait()


def latency(team, function, times=50):
    team.wait()
    start = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - start) / times


def main():
    team = world_team()
    report = {
        "wait": list(cost(team, lambda: nap_then_wait(team)).values()),
        "on_root": list(cost(team, lambda: team.on_root(lambda: time.sleep(NAP))).values()),
        "on_root_latency": latency(team, lambda: team.on_root(lambda: 1)),
        "map_rows_latency": latency(
            team, lambda: team.map_rows(lambda block: np.ones((len(block), 8)), 8, 8)
        ),
        "imported": sorted({"numba", "h5py", "rich", "scipy"} & set(sys.modules)),
    }
    if team.rank == 0:
        print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(main))
