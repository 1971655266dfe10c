"""``job``: a batch script for a runcard, with what it will need."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from compress_mpi.errors import RuncardError
from compress_mpi.io import values
from compress_mpi.workflows.check import DryRun, dry_run
from compress_mpi.workflows.plan import (
    Cost,
    estimate,
    idle_ranks,
    launch_seconds,
    reading_seconds,
    shares_of,
)
from compress_mpi.workflows.several import described
from compress_mpi.workflows.words import budget_text, human_bytes, human_seconds

__all__ = ["JobRequest", "job_script"]

_NAME = re.compile(r"[A-Za-z0-9_.,:@+=-]+")
_LEAD = 120
_SPARE = 1.2


@dataclass(frozen=True)
class JobRequest:
    """What a person asks of a scheduler.

    Attributes
    ----------
    nodes, ranks_per_node : int
    time : str
        Wall time, such as ``02:00:00``.
    scheduler : {"slurm", "pbs"}
    launcher : {"mpirun", "srun"}
    mpi : str
        Kind of process management of ``srun``, such as pmi2 or pmix.
    partition, account, name : str or None
    """

    nodes: int
    ranks_per_node: int
    time: str
    scheduler: str = "slurm"
    launcher: str = "mpirun"
    mpi: str = "pmi2"
    partition: str | None = None
    account: str | None = None
    name: str | None = None

    @property
    def ranks(self) -> int:
        """Of the whole job."""
        return self.nodes * self.ranks_per_node

    @property
    def seconds(self) -> int:
        """Wall time."""
        try:
            return int(values.seconds(int(self.time) if self.time.isdecimal() else self.time))
        except ValueError as error:
            raise RuncardError(f"--time: {error}") from error

    @property
    def lead(self) -> int:
        """Seconds before the end at which the run is told to stop."""
        return max(1, min(_LEAD, self.seconds // 4))


def job_script(
    runcard: Path,
    request: JobRequest,
    overrides: Sequence[str] = (),
    folders: Sequence[Path] = (),
    backend: str | None = None,
) -> tuple[str, tuple[str, ...]]:
    """A script that stops in time with a checkpoint and puts itself back into the queue.

    Parameters
    ----------
    runcard : Path
    request : JobRequest
    overrides, folders, backend
        As for a run; they end up in its command line.

    Returns
    -------
    str
        The script; memory and time are in its comments, from a measurement on this machine.
    tuple of str
        Warnings of the runcard.

    Raises
    ------
    CompressError
        As the run would, and for a request that makes no sense.
    """
    _check(request)
    run = dry_run(runcard, overrides, folders, backend)
    cost = estimate(run.source.config, run.plan, run.more)
    name = request.name or f"compress-{run.plan.pdfset.name}"
    command = _command(runcard, overrides, folders, backend)
    comments = [f"# {line}" for line in _comments(run, cost, request)]
    write = _slurm if request.scheduler == "slurm" else _pbs
    text = "\n".join(write(name, request, command, comments, _memory(cost, request)))
    return text, run.warnings


def _check(request: JobRequest) -> None:
    if request.seconds < 60:
        raise RuncardError(f"--time: expected a minute or more, got {request.time}")
    if request.scheduler == "pbs" and request.launcher == "srun":
        raise RuncardError("--launcher: srun belongs to Slurm; with --scheduler pbs use mpirun")
    for option in ("partition", "account", "name", "mpi"):
        value = getattr(request, option)
        if value is not None and not _NAME.fullmatch(value):
            raise RuncardError(
                f"--{option}: expected letters, digits and any of _.,:@+=-, got {values.show(value)}"
            )


def _command(
    runcard: Path, overrides: Sequence[str], folders: Sequence[Path], backend: str | None
) -> list[str]:
    words = ["compress-mpi", str(runcard)]
    for override in overrides:
        words += ["--set", override]
    for folder in folders:
        words += ["--pdf-path", str(folder)]
    return words + (["--backend", backend] if backend else [])


def _memory(cost: Cost, request: JobRequest) -> int:
    """Bytes per node to ask for, with some to spare."""
    return int(_SPARE * (cost.node_bytes + request.ranks_per_node * cost.rank_bytes(request.ranks)))


def _comments(run: DryRun, cost: Cost, request: JobRequest) -> list[str]:
    prior, ranks = run.plan.pdfset.name, request.ranks
    sizes = ", ".join(str(size.n_rep) for size in cost.sizes)
    reading = reading_seconds(cost, request.ranks_per_node)
    needed = reading + launch_seconds(cost, ranks)
    if run.source.config.task == "enhance":
        return [f"{prior}, {cost.members} replicas", *_enhancement(run, cost), _memory_line(cost, request)]
    lines = [
        f"{prior}, {cost.members} replicas, to {sizes}: {cost.islands} islands on {ranks} ranks",
        f"search: {run.source.config.minimizer}, budget {budget_text(run.source.effective['minimization'])}",
        _memory_line(cost, request),
        f"time: {'at most ' if ranks > cost.islands else ''}about {human_seconds(needed)} with cores like those "
        "of the machine that wrote this",
    ]
    lines += _enhancement(run, cost)
    shares = [one for one in shares_of(cost, ranks) if one.sizes]
    if len(shares) > 1:
        names = [size.n_rep for size in cost.sizes]
        lines.append("sizes: " + "; ".join(described(one, names) for one in shares))
    if isinstance(run.source.config.compressed, str):
        lines.append("      for the first round of compressed: auto; a few more follow")
    usable = request.seconds - request.lead
    if needed > usable:
        lines.append(f"      that is a chain of about {-(-int(needed) // usable)} jobs of {request.time}")
    idle = idle_ranks(cost, ranks)
    if idle:
        lines.append(
            f"warning: {idle} of {ranks} ranks would sit idle; ask for {ranks - idle} or raise islands"
        )
    return lines


def _memory_line(cost: Cost, request: JobRequest) -> str:
    return (
        f"memory per node: {human_bytes(cost.node_bytes)} shared, {request.ranks_per_node} x "
        f"{human_bytes(cost.rank_bytes(request.ranks))}; asked for: {_SPARE:g} times that"
    )


def _enhancement(run: DryRun, cost: Cost) -> list[str]:
    """What the job does beside its search, and what else will be submitted."""
    more, config = run.more, run.source.config
    lines = []
    if more is not None and cost.enhanced is not None and more.existing is None:
        lines.append(
            f"enhanced set: {more.name} by {more.kind}, {cost.enhanced.files} files and {cost.enhanced.links} links, "
            f"{human_bytes(cost.enhanced.disk_bytes)}; time to make it is not counted"
        )
    if more is not None and more.trained:
        where = config.launch.where
        text = "here, on rank 0" if where in ("local", "process") else f"in another job, by {where}"
        lines.append(f"training: {text}; the other ranks wait")
    if config.polish.radius is not None:
        lines.append("polish: its time is not counted")
    return lines


def _clock(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    text = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    return f"{days}-{text}" if days else text


def _slurm(name: str, request: JobRequest, command: list[str], comments: list[str], memory: int) -> list[str]:
    options = [
        f"--job-name={name}",
        f"--nodes={request.nodes}",
        f"--ntasks-per-node={request.ranks_per_node}",
        "--cpus-per-task=1",
        f"--mem={-(-memory // 2**20)}M",
        f"--time={_clock(request.seconds)}",
        *([f"--partition={request.partition}"] if request.partition else []),
        *([f"--account={request.account}"] if request.account else []),
        f"--signal=B:USR1@{request.lead}",
        "--requeue",
        "--open-mode=append",
        "--output=%x-%j.log",
    ]
    start = (
        f"srun --mpi={request.mpi} --kill-on-bad-exit=1"
        if request.launcher == "srun"
        else f"mpirun -n {request.ranks}"
    )
    return [
        "#!/bin/bash",
        *comments,
        *(f"#SBATCH {option}" for option in options),
        "",
        "# Load what the site needs here, such as: module load mpi; . ~/compress/bin/activate",
        "",
        "child=",
        """trap '[ -z "$child" ] || kill -USR1 "$child"' USR1""",
        "",
        f"{start} {shlex.join(command)} &",
        "child=$!",
        'wait "$child"; code=$?',
        "# the trap ends a wait early",
        'while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done',
        "",
        "# 85: stopped with a good checkpoint",
        'if [ "$code" -eq 85 ]; then',
        '    scontrol requeue "$SLURM_JOB_ID"',
        "    exit 0",
        "fi",
        'exit "$code"',
    ]


def _pbs(name: str, request: JobRequest, command: list[str], comments: list[str], memory: int) -> list[str]:
    per_node = request.ranks_per_node
    hours, rest = divmod(request.seconds, 3600)
    options = [
        f"-N {name[:15]}",
        f"-l select={request.nodes}:ncpus={per_node}:mpiprocs={per_node}:mem={-(-memory // 2**20)}mb",
        f"-l walltime={hours:02d}:{rest // 60:02d}:{rest % 60:02d}",
        *([f"-q {request.partition}"] if request.partition else []),
        *([f"-A {request.account}"] if request.account else []),
        "-j oe",
    ]
    # PBS has no signal ahead of the end that every site allows; the run watches the clock itself
    limited = [*command, "--set", f"time_limit={request.seconds - request.lead}"]
    return [
        "#!/bin/bash",
        *comments,
        f"# Save this as {name}.pbs in the folder of the run; it submits itself again under that name.",
        *(f"#PBS {option}" for option in options),
        "",
        "# Load what the site needs here, such as: module load mpi; . ~/compress/bin/activate",
        "",
        'cd "$PBS_O_WORKDIR" || exit 1',
        f"mpirun -n {request.ranks} {shlex.join(limited)}",
        "code=$?",
        "",
        "# 85: stopped with a good checkpoint",
        f'[ "$code" -eq 85 ] && exec qsub {shlex.quote(name + ".pbs")}',
        'exit "$code"',
    ]
