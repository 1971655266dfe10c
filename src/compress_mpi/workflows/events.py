"""The events task: a table of events into a compressed file, from which it comes back within its bounds.

Read from top to bottom, this is what happens between a runcard and its file.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from compress_mpi.errors import EXIT_REQUEUE
from compress_mpi.io.container import open_container
from compress_mpi.parallel.signals import StopSignals
from compress_mpi.parallel.threads import threads_per_rank
from compress_mpi.workflows.events_blocks import Blocks, open_input
from compress_mpi.workflows.events_bounded import fit_bounded, shared_coder
from compress_mpi.workflows.events_coder import Coder
from compress_mpi.workflows.events_info import summary_lines
from compress_mpi.workflows.events_job import EventsJob, EventsRequest, forget_trials, prepare, tell
from compress_mpi.workflows.events_write import write_compressed

__all__ = ["EventsRequest", "run"]


def run(request: EventsRequest, team: Any, signals: StopSignals) -> int:
    """Compress a table; collective.

    Parameters
    ----------
    request : EventsRequest
    team : MPITeam or SerialTeam
        Of the whole job.
    signals : StopSignals

    Returns
    -------
    int
        Exit code: 0, or 85 where a training was told to stop.

    Raises
    ------
    CompressError
        On all ranks, for anything that is refused or fails.
    """
    began = time.monotonic()
    job = team.on_root(lambda: prepare(request))
    threads_per_rank(team, request.threads)
    if not job.finished:
        blocks = team.together(lambda: Blocks(open_input(job.config), job.config.block, job.config.rows))
        limit = job.config.time_limit
        deadline = began + limit if limit is not None else np.inf
        coder = _coder(job, blocks, team, signals, deadline)
        if coder is None:
            return EXIT_REQUEUE
        write_compressed(job, blocks, coder, team)
        blocks.table.close()
    team.on_root(lambda: _conclude(job))
    return 0


def _coder(job: EventsJob, blocks: Blocks, team: Any, signals: StopSignals, deadline: float) -> Coder | None:
    """The codec of the runcard, fitted to the table; None where its training was told to stop."""
    if job.config.codec == "latent":
        # torch is imported where there is something to train
        from compress_mpi.workflows.events_latent import fit_latent

        return fit_latent(job, blocks, team, signals, deadline)
    if job.shared is not None:
        path = job.shared
        return team.together(lambda: shared_coder(job.config, blocks, open_container(path, team.rank == 0)))
    return fit_bounded(job.config, blocks, team)


def _conclude(job: EventsJob) -> None:
    if job.checkpoint.exists():
        job.checkpoint.unlink()
    forget_trials(job)
    container = open_container(job.output, whole=False)
    if job.finished and not job.quiet:
        tell(f"{job.output} is there already, from the same input and settings; --restart writes it anew")
    print("\n".join(summary_lines(container)))
    if job.config.report:
        # drawing needs libraries that compressing does not
        from compress_mpi.workflows.events_page import ReportRequest, write_report

        config = job.config
        request = ReportRequest(
            job.output,
            sample=config.sample,
            seed=config.seed,
            model=job.shared,
            config=config,
            runcard=job.source.text,
        )
        print(write_report(request))
