"""What the launcher told this process, read from the environment before MPI starts.

Imports nothing heavy: :func:`prepare_environment` has to run before numpy,
numba and mpi4py are loaded, because they read these variables only once.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import hashlib
import os
import re
from pathlib import Path

from compress_mpi.errors import LaunchError

__all__ = [
    "affinity",
    "check_launch",
    "cores_available",
    "cores_of_node",
    "is_first_process",
    "keep_compiled_code_apart",
    "launched_ranks",
    "prepare_environment",
    "ranks_on_node",
]

# SLURM_NTASKS is left out on purpose: inside a batch script it counts the tasks
# of the whole allocation, also for a plain single process.
_LAUNCHERS = (
    ("PMI_SIZE", "PMI_RANK"),
    ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
    ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
)

# The most precise first; the last ones are upper bounds. Slurm writes "16(x2),8".
_RANKS_ON_NODE = (
    "MPI_LOCALNRANKS",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MV2_COMM_WORLD_LOCAL_SIZE",
    "PMI_LOCAL_SIZE",
    "SLURM_STEP_TASKS_PER_NODE",
    "SLURM_NTASKS_PER_NODE",
    "PMI_SIZE",
)

# BLAS only ever sees tiny matrices here; the kernels bring their own threads.
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")

# Waiting ranks give their core away. Costs latency, hence only when oversubscribed.
_YIELD = {
    "MPIR_CVAR_ENABLE_HEAVY_YIELD": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMPI_MCA_threads_pthreads_yield_strategy": "nanosleep",
    "OMPI_MCA_threads_pthreads_nanosleep_time": "100000",
}


def prepare_environment(threads: int | None = None) -> None:
    """Set thread counts, MPI waiting behaviour (the user's own settings win) and how often to look for garbage.

    Parameters
    ----------
    threads : int, optional
        Threads per rank for the numba kernels; by default this rank's share of
        the cores.
    """
    ranks, cores = ranks_on_node(), cores_of_node()
    keep_compiled_code_apart()
    _spare_the_collector()
    for name in _ONE_THREAD:
        os.environ.setdefault(name, "1")
    os.environ.setdefault("NUMBA_NUM_THREADS", str(max(1, threads or cores // ranks)))
    # Only shared-memory windows are used; this component complains where its fabric is absent.
    os.environ.setdefault("OMPI_MCA_osc", "^ucx")
    if ranks > cores:
        for name, value in _YIELD.items():
            os.environ.setdefault(name, value)


def keep_compiled_code_apart() -> None:
    """Give each state of the kernels' source a cache of its own.

    numba looks at the file of a function, not at those of the functions it calls:
    after a change in one file of the kernels, callers in another would go on with
    the old machine code.
    """
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    digest = hashlib.sha256()
    for path in sorted((Path(__file__).parents[1] / "methods").rglob("*.py")):
        digest.update(path.read_bytes())
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    folder = home / "compress-mpi" / f"numba-{digest.hexdigest()[:16]}"
    # where there is no place, numba finds one itself
    with contextlib.suppress(OSError, RuntimeError):
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["NUMBA_CACHE_DIR"] = str(folder)


def _spare_the_collector() -> None:
    """Look for garbage rarely, and not at the end.

    Modules are a million objects that stay. To go through them every 700 new ones is a tenth of a start, and to
    look at them all once more before the process ends takes a third as long as the start.
    """
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)


def launched_ranks() -> int:
    """Processes that the launcher says it started; 1 without a launcher."""
    return _launch()[0]


def is_first_process() -> bool:
    """True for the one process, by the launcher's count, that speaks for all."""
    return _launch()[1] == 0


def check_launch(size: int) -> None:
    """Refuse ``n`` silent one-rank jobs, the mark of a foreign launcher.

    Parameters
    ----------
    size : int
        Size of the communicator that MPI gave.

    Raises
    ------
    LaunchError
        If the launcher started more processes than MPI connects.
    """
    launched = launched_ranks()
    if launched > size:
        raise LaunchError(
            f"launcher: {launched} processes were started, but the MPI library connects only {size}: "
            "mpirun (or srun) and the MPI library that mpi4py loads are not of the same MPI. "
            "Start the job with the mpirun of the environment that holds this program, or with "
            "srun and the --mpi option of that MPI; `compress-mpi doctor` shows which library is loaded"
        )


def cores_available() -> int:
    """Cores that this process may run on."""
    return len(affinity())


def ranks_on_node() -> int:
    """Processes of this job on this node as the launcher says; 1 if it says nothing."""
    for name in _RANKS_ON_NODE:
        counts = [int(count) for count in re.findall(r"(?<![x\d])\d+", os.environ.get(name, ""))]
        if counts:
            return max(1, *counts)
    return 1


def cores_of_node() -> int:
    """Cores of this node that the job may use.

    A launcher may bind each rank to cores of its own; the launcher's own
    process still sees them all. Slurm's daemon sees the whole machine, so
    the size of the allocation limits the count there.
    """
    cores = affinity()
    if launched_ranks() > 1:
        cores = cores | affinity(os.getppid())
    allocated = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return min(len(cores), int(allocated)) if allocated.isdigit() and int(allocated) else len(cores)


def affinity(pid: int = 0) -> set[int]:
    """Numbers of the cores that process ``pid`` (0: this one) may run on; empty if not known."""
    try:
        return os.sched_getaffinity(pid)
    except (AttributeError, OSError):  # not Linux, or a launcher we may not look at
        return set(range(os.cpu_count() or 1)) if pid == 0 else set()


def _launch() -> tuple[int, int]:
    """Size and rank by the launcher that claims the most processes."""
    claims = [(_number(size, 1), _number(rank, 0)) for size, rank in _LAUNCHERS]
    return max(claims, key=lambda claim: claim[0])


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, "")
    return int(text) if text.isdigit() else default
