"""Works in small steps until a stop signal comes to any rank, then leaves with the requeue code."""

from __future__ import annotations

import sys
import time

from compress_mpi.errors import EXIT_REQUEUE
from compress_mpi.parallel.abort import run_guarded
from compress_mpi.parallel.signals import StopSignals
from compress_mpi.parallel.team import world_team


def main():
    with StopSignals() as stop:
        team = world_team()
        if team.on_root(lambda: print("ready", flush=True)) is None:
            deadline = time.monotonic() + 30
        while not team.any(stop.received is not None) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)  # the launcher passes the signal on to one rank after the other
        names = team.exchange({team.rank: stop.received})
        if team.rank == 0:
            print(list(names.values()), flush=True)
    return EXIT_REQUEUE if team.any(None not in names.values()) else 1


if __name__ == "__main__":
    sys.exit(run_guarded(main))
