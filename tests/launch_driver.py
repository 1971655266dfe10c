"""A driver of the tiny stage: ``launch_driver.py FOLDER [WHERE [PARTITION]]``; stops as a run of compress-mpi does.

Under mpirun rank 0 drives and the others wait. Ends with 0, with 85 when asked to stop, and with 6 on a failure.
"""

from __future__ import annotations

import sys
from pathlib import Path

from compress_mpi.parallel.launcher import prepare_environment

prepare_environment()

from compress_mpi.launch.runner import run  # noqa: E402
from compress_mpi.launch.settings import LaunchSettings  # noqa: E402
from compress_mpi.parallel.abort import run_guarded  # noqa: E402
from compress_mpi.parallel.signals import StopSignals  # noqa: E402
from compress_mpi.parallel.team import world_team  # noqa: E402
from launch_tools import stage_command  # noqa: E402


def main() -> int:
    folder, where, *partition = sys.argv[1], *(sys.argv[2:] or ["process"])
    settings = LaunchSettings(
        where=where,
        gpus=1 if where != "process" else 0,
        partition=partition[0] if partition else None,
        time_s=60,
        poll_s=1,
        grace_s=3,
    )
    team = world_team()
    with StopSignals() as stop:
        done = team.on_root(
            lambda: run(
                settings,
                Path(folder),
                stage_command(Path(folder)),
                lambda: stop.received,
                lambda progress: print(progress.done, progress.text, flush=True),
            )
        )
    if team.rank == 0:
        print("stopped" if done is None else done.message, flush=True)
    return 85 if done is None else 0


if __name__ == "__main__":
    sys.exit(run_guarded(main))
