"""The environment of a stage: that of the driver, without what ties the driver to its own launch.

A stage that inherits the launcher's variables of an MPI rank takes itself for a
further rank of that job: it aborts, or hangs the job, as soon as it touches MPI.
Left-overs of a batch job bind a new one to the old one's cores, tasks and names.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

__all__ = ["scrubbed", "scrubbed_environment"]

_LAUNCHERS = (
    *("PMI_", "PMI2_", "PMIX_", "PRTE_", "OMPI_", "OPAL_", "ORTE_"),
    *("HYDRA_", "HYDI_", "HYD_", "MPIEXEC_", "MPIR_", "MPICH_", "MPI_LOCAL", "MV2_", "MVAPICH_"),
    *("I_MPI_HYDRA", "I_MPI_PMI", "I_MPI_PERHOST", "PALS_", "ALPS_", "GMPI_", "KVS_"),
)
_SCHEDULERS = (
    *("SLURM_", "SLURMD_", "SBATCH_", "SRUN_", "SALLOC_", "PBS_", "LSB_", "LSF_", "LS_JOB", "COBALT_"),
    *("FLUX_JOB_", "FLUX_TASK_", "FLUX_KVS_", "FLUX_PMI_"),
)
# How to find the scheduler and what lets root use MPI: of the site, not of the job.
_KEPT = frozenset(
    {
        *("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT"),
        *("PBS_CONF_FILE", "PBS_EXEC", "PBS_HOME", "PBS_SERVER", "PBS_DEFAULT"),
        *("LSF_BINDIR", "LSF_SERVERDIR", "LSF_LIBDIR", "LSF_ENVDIR", "LSF_TOP", "LSF_VERSION"),
        *("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"),
        *("PRTE_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM"),
    }
)
# A rank's share of the cores is not the stage's.
_THREADS = frozenset(
    {
        *("OMP_NUM_THREADS", "OMP_PLACES", "OMP_PROC_BIND", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
        *("NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"),
    }
)
_DEVICES = frozenset(
    {
        *("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"),
        "GPU_DEVICE_ORDINAL",
    }
)


def scrubbed(environment: Mapping[str, str], elsewhere: bool = False) -> dict[str, str]:
    """An environment in which a stage may start, and may start MPI itself.

    Parameters
    ----------
    environment : mapping
        Of the driver.
    elsewhere : bool
        The stage gets a job of its own: which GPUs the driver sees means nothing there.

    Returns
    -------
    dict
        Everything but the variables of MPI launchers, batch jobs and thread counts. How to reach
        the scheduler (``SLURM_CONF`` and relatives) and Open MPI's permits for root stay.
    """
    dropped = _THREADS | _DEVICES if elsewhere else _THREADS
    tied = _LAUNCHERS + _SCHEDULERS
    return {
        name: value
        for name, value in environment.items()
        if name in _KEPT or not (name.startswith(tied) or name in dropped)
    }


@contextlib.contextmanager
def scrubbed_environment() -> Iterator[None]:
    """This process's own environment scrubbed for a job elsewhere, for as long as the block takes.

    For submit commands that take no environment but that of their caller.
    """
    before = dict(os.environ)
    kept = scrubbed(before, elsewhere=True)
    try:
        for name in before.keys() - kept.keys():
            del os.environ[name]
        yield
    finally:
        os.environ.update(before)
