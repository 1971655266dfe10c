"""Several runcards in one start of MPI, one after the other: ``several_cards.py RUNCARD...``."""

import sys
from pathlib import Path

from compress_mpi.parallel.launcher import prepare_environment

prepare_environment()

from compress_mpi.parallel.abort import run_guarded  # noqa: E402
from compress_mpi.parallel.signals import StopSignals  # noqa: E402
from compress_mpi.parallel.team import world_team  # noqa: E402
from compress_mpi.workflows.compress import Options, run  # noqa: E402


def program() -> int:
    with StopSignals() as signals:
        team = world_team()
        return max(run(Options(Path(card), quiet=True), team, signals) for card in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run_guarded(program))
