"""Starts real MPI jobs for tests, and leaves no process behind."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["descendants", "find_mpirun", "kill_a_rank", "kill_job", "mpirun", "processes", "start_mpirun"]


def find_mpirun() -> str:
    """The mpirun beside this Python, else the first on the path.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    beside = Path(sys.executable).parent / "mpirun"
    found = str(beside) if beside.exists() else shutil.which("mpirun")
    if found is None:
        raise FileNotFoundError("mpirun: not beside this Python and not on PATH; pip install mpich")
    return found


def start_mpirun(
    n: int, argv: Sequence[str], *, cwd: str | os.PathLike[str], env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start ``mpirun -n N ARGV...`` in a session of its own, with text pipes.

    Parameters
    ----------
    n : int
        Ranks.
    argv : sequence of str
        Program and arguments.
    cwd : path
    env : mapping, optional
        Added to this process's environment.
    """
    return subprocess.Popen(
        [find_mpirun(), "-n", str(n), *map(str, argv)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill_job(process: subprocess.Popen[str]) -> None:
    """Kill mpirun and all it started; nothing happens if they have ended."""
    if process.poll() is not None:
        return
    # Launchers put their daemons and ranks into sessions of their own: go by descent. Stopped
    # processes start no others, so the family is complete once it stops growing.
    family: list[int] = []
    while (found := [process.pid, *descendants(process.pid)]) != family:
        family = found
        _signal_all(family, signal.SIGSTOP)
    _signal_all(family, signal.SIGKILL)


def _signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def descendants(pid: int) -> list[int]:
    """Numbers of all processes below ``pid``, such as the ranks of an mpirun."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            fields = stat.read_text().rpartition(")")[2].split()
            parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for parent in found:  # grows while it is walked
        found.extend(parents.get(parent, []))
    return found[1:]


def kill_a_rank(process: subprocess.Popen[str], program: str, moment: random.Random) -> str:
    """Kill -9 one of the ranks that run a program, whichever ``moment`` says; what the job had said until it ended."""
    family = [pid for pid in descendants(process.pid) if program in Path(f"/proc/{pid}/cmdline").read_text()]
    ranks = [pid for pid in family if not set(descendants(pid)) & set(family)]
    for pid in moment.sample(ranks, min(1, len(ranks))):
        os.kill(pid, signal.SIGKILL)
    said, _ = process.communicate(timeout=30)
    kill_job(process)
    assert process.returncode != 0
    return said


def processes(*words: object) -> list[int]:
    """Numbers of the processes whose command line has these words one after the other, lowest first."""
    wanted = b"\0" + b"\0".join(os.fsencode(str(word)) for word in words) + b"\0"
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if wanted in b"\0" + path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # ended meanwhile
            continue
    return sorted(found)


def mpirun(
    n: int,
    argv: Sequence[str],
    *,
    cwd: str | os.PathLike[str],
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run ``mpirun -n N ARGV...`` to its end.

    Returns
    -------
    subprocess.CompletedProcess
        With text ``stdout`` and ``stderr``.

    Raises
    ------
    subprocess.TimeoutExpired
        After ``timeout`` seconds; all processes have been killed then.
    """
    process = start_mpirun(n, argv, cwd=cwd, env=env)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired as late:
        kill_job(process)
        late.stdout, late.stderr = process.communicate(timeout=10)
        raise
    finally:
        kill_job(process)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)
