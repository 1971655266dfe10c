"""Where a stage runs, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["PROCESS", "LaunchSettings"]

PROCESS = "process"
"""``where`` of a process of its own on the driver's machine."""

_LONGEST_NOTICE = 120.0  # seconds


@dataclass(frozen=True)
class LaunchSettings:
    """Where a stage runs, and with what.

    Attributes
    ----------
    where : str
        ``process``, or a scheduler that PSI/J knows: ``slurm``, ``pbs``, ``pbs_classic``, ``lsf``.
    gpus : int
        GPUs of the job.
    cores : int or None
        Cores of the job; None: the scheduler's default, often one.
    partition, account : str or None
        Partition or queue, and who is charged.
    time_s : float
        Wall time of one job, in seconds.
    modules : tuple of str
        Loaded before the stage starts.
    environment : mapping
        Set after the modules.
    options : mapping
        Further options of the scheduler, by their long names: ``{"qos": "short"}``.
    restarts : int
        How often a stage that stopped with a checkpoint, or was lost, is started again.
    poll_s : float
        Seconds between two questions to the scheduler.
    grace_s : float
        How long a job has to be gone, in seconds, until a done-file is no longer waited for: shared file systems show
        new files late.
    """

    where: str = PROCESS
    gpus: int = 0
    cores: int | None = None
    partition: str | None = None
    account: str | None = None
    time_s: float = 3600.0
    modules: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    restarts: int = 10
    poll_s: float = 10.0
    grace_s: float = 30.0

    @property
    def elsewhere(self) -> bool:
        """Whether the stage gets a job of a scheduler."""
        return self.where != PROCESS

    @property
    def work_s(self) -> float | None:
        """Seconds after which the stage is asked to stop with a checkpoint; None: never."""
        return self.time_s - min(_LONGEST_NOTICE, self.time_s / 4) if self.elsewhere else None
