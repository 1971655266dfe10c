"""A prior ten times the usual size through the real command line: memory of all ranks together, and the rate."""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from case import Scale
from compress_mpi.errors import EXIT_REQUEUE
from compress_mpi.io.demo import write_demo_set
from compress_mpi.methods.selection.tempering import PROPOSALS, TemperingIsland
from jobs import COMMAND, JobError, finish, start
from measures import Outcome

__all__ = ["descendants", "measure", "proportional_set_size"]

ABOUT = "a large prior of the demo generator under mpirun"
_GIB, _POLL, _TIMEOUT = 2.0**30, 0.5, 1800.0
_NAME, _TRIALS = "large", 100


def descendants(pid: int) -> list[int]:
    """Processes below ``pid``, which is an mpirun, in any order."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found = [pid]
    for parent in found:  # grows while it is walked
        found.extend(parents.get(parent, []))
    return found[1:]


def proportional_set_size(pids: list[int]) -> int:
    """Bytes of some processes together; what they share counts once."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:  # ended meanwhile
            continue
        found = re.search(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total


def measure(scale: Scale, folder: Path | None = None) -> Outcome:
    """One job, stopped after a while; its memory is looked at all the time, also while it reads.

    Parameters
    ----------
    scale : Scale
    folder : Path, optional
        Where the set is already; it is made otherwise.

    Raises
    ------
    JobError
        If the job ends in another way than by its time limit or at its end, or has not come to the search.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        raise JobError("/proc/self/smaps_rollup: not there; the proportional set size is a thing of Linux")
    with tempfile.TemporaryDirectory(prefix="bench-large-") as name:
        if folder is None:
            folder = Path(name)
            write_demo_set(folder, scale.large_replicas, _NAME)
        return _measure(scale, folder.resolve(), Path(name))


def _measure(scale: Scale, sets: Path, folder: Path) -> Outcome:
    card = {
        "pdf": _NAME,
        "compressed": scale.large_select,
        "minimizer": "tempering",
        "max_iteration": 10**6,
        "trials": _TRIALS,
        "time_limit": scale.large_seconds,
        "output": "result.h5",
    }
    (folder / "runcard.yml").write_text(json.dumps(card))
    words = [*COMMAND, "runcard.yml", "--quiet", "--threads", 1, "--pdf-path", sets]
    began = time.perf_counter()
    job, most, ready = start(scale.large_ranks, words, folder), 0, 0.0
    while job.poll() is None and time.perf_counter() - began < _TIMEOUT:
        most = max(most, proportional_set_size(descendants(job.pid)))
        if not ready and (folder / "result.h5").exists():
            ready = time.perf_counter() - began
        time.sleep(_POLL)
    finish(job, _TIMEOUT, (0, EXIT_REQUEUE))
    seconds, erf = _history(folder / "result.h5")
    rate = TemperingIsland.default_islands * PROPOSALS * len(seconds) / float(seconds[-1])
    settings = {"replicas": scale.large_replicas, "N": scale.large_select, "ranks": scale.large_ranks}
    outcome = Outcome(ABOUT, settings, notes=["memory: proportional set size of all processes together"])
    outcome.add("most memory of all ranks", "GiB", [most / _GIB])
    outcome.add("start to first iteration", "s", [ready])
    outcome.add("evaluations, all ranks", "1/s", [rate])
    outcome.add("ERF when it was stopped", "1", [float(erf[-1])])
    return outcome


def _history(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if not path.exists():
        raise JobError(f"{path.name}: the job was stopped before its search; give it more time")
    with h5py.File(path) as file:
        seconds, erf = np.asarray(file["/history/seconds"]), np.asarray(file["/history/erf"])
    if not len(seconds):
        raise JobError(f"{path.name}: no iteration in the history; give the job more time")
    return seconds, erf
