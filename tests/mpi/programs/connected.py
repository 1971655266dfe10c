"""Says how many ranks MPI connects."""

from __future__ import annotations

import sys

from compress_mpi.parallel.launcher import prepare_environment

prepare_environment()

from compress_mpi.parallel.abort import run_guarded  # noqa: E402
from compress_mpi.parallel.team import world_team  # noqa: E402


def main():
    team = world_team()
    print(type(team).__name__, team.rank, team.size)
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(main))
