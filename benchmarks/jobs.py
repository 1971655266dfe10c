"""Starts real jobs: the command line, or a program of this folder, under mpirun."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["COMMAND", "JobError", "finish", "start"]

COMMAND = (sys.executable, "-m", "compress_mpi")

# A launcher that is told to end takes its ranks along; one that is killed may not.
_GRACE = 15.0


class JobError(RuntimeError):
    """A job that did not end as it should."""


def _mpirun() -> str:
    beside = Path(sys.executable).parent / "mpirun"
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if found is None:
        raise JobError("mpirun: not beside this Python and not on PATH; pip install 'compress-mpi[mpi]'")
    return found


def start(
    ranks: int, words: Sequence[object], folder: Path, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start ``mpirun -n RANKS WORDS...`` in ``folder``.

    Parameters
    ----------
    env : mapping, optional
        Added to this process's environment.

    Raises
    ------
    JobError
        If there is no mpirun.
    """
    # this process limits itself to one thread; a job decides for itself
    own = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    return subprocess.Popen(
        [_mpirun(), "-n", str(ranks), *map(str, words)],
        cwd=folder,
        env={**own, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(job: subprocess.Popen[str], timeout: float = 600.0, codes: Sequence[int] = (0,)) -> str:
    """Wait for the end of a job, which has to end with one of some exit codes.

    Returns
    -------
    str
        What it printed.

    Raises
    ------
    JobError
        If it fails, or takes longer than ``timeout`` seconds; it has been ended then.
    """
    try:
        out, err = job.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as late:
        job.terminate()
        try:
            _, err = job.communicate(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            job.kill()
            _, err = job.communicate()
        raise JobError(f"{' '.join(job.args)}: no end after {timeout:g} s; it said: {err.strip()}") from late  # type: ignore[arg-type]
    if job.returncode not in codes:
        raise JobError(f"{' '.join(job.args)}: exit code {job.returncode}; it said: {err.strip()}")  # type: ignore[arg-type]
    return out
