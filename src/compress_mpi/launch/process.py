"""The built-in backend: a process of its own on the driver's machine, which outlives the driver."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from compress_mpi.errors import LaunchError
from compress_mpi.launch.backend import AttemptState
from compress_mpi.launch.environment import scrubbed

__all__ = ["ProcessBackend", "in_batch_job", "is_running"]

_BATCH_JOB = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "COBALT_JOBID", "FLUX_JOB_ID")
_RANK = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "MPI_LOCALRANKID")

# The shell ends at once, and the script in its background belongs to nobody: no zombie stays with the driver, and
# nothing changes for the script when the driver ends. Both are a process group of their own, apart from MPI's.
_START = 'bash "$0" </dev/null >>"${0%/*}/stage.log" 2>&1 & echo $!'


class ProcessBackend:
    """Runs scripts as processes; ``native_id`` is ``PID`` of the script's shell.

    Parameters
    ----------
    script : Path
        Of the attempt that is looked at. Its path, unique to it, stands in the command line of its
        shell: a process that has got the same number later is not taken for it.
    """

    def __init__(self, script: Path) -> None:
        self._script = script

    def submit(self, script: Path) -> str:
        """Start a script in a session and process group of its own."""
        with _cores_of_job():
            try:
                shell = subprocess.run(
                    ["bash", "-c", _START, str(script)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    env=scrubbed(os.environ),
                    start_new_session=True,
                    text=True,
                    check=True,
                )
            except (OSError, subprocess.CalledProcessError) as error:
                raise LaunchError(f"{script}: cannot be started: {error}") from error
        return shell.stdout.strip()

    def state(self, native_id: str) -> AttemptState:
        """Running or gone."""
        return AttemptState.RUNNING if is_running(int(native_id), self._script) else AttemptState.GONE

    def cancel(self, native_id: str) -> None:
        """SIGTERM to all processes of the attempt."""
        self.signal(native_id, signal.SIGTERM)

    def checkpoint(self, native_id: str) -> bool:
        """In a batch job: SIGUSR1, as the scheduler would kill the attempt with the job."""
        if not in_batch_job():
            return False
        with contextlib.suppress(ProcessLookupError):
            if is_running(int(native_id), self._script):
                os.kill(int(native_id), signal.SIGUSR1)
        return True

    def was_cancelled(self, native_id: str) -> bool:
        """Nobody keeps book of signals."""
        return False

    def reason(self, native_id: str) -> str:
        """Nobody knows more than the log."""
        return ""

    def signal(self, native_id: str, number: signal.Signals) -> None:
        """Send a signal to the process group of an attempt, if it still runs."""
        pid = int(native_id)
        with contextlib.suppress(ProcessLookupError):
            if is_running(pid, self._script):
                os.killpg(os.getpgid(pid), number)


def is_running(pid: int, script: Path) -> bool:
    """Whether a process of this machine runs a script; neither a zombie nor a later owner of the number."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(script) in words


def in_batch_job() -> bool:
    """Whether a scheduler runs this process, and will end all it has started with it."""
    return any(name in os.environ for name in _BATCH_JOB)


@contextlib.contextmanager
def _cores_of_job() -> Iterator[None]:
    """All cores of the job for what starts in this block: a launcher may have bound this rank to one."""
    if not any(name in os.environ for name in _RANK):
        yield
        return
    mine = os.sched_getaffinity(0)
    try:
        # launchers bind their ranks, not themselves
        os.sched_setaffinity(0, mine | os.sched_getaffinity(os.getppid()))
        yield
    finally:
        os.sched_setaffinity(0, mine)
