"""Commands beside the run: check, job, diff, erf, validate, compare, postgans. All serial, none starts MPI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from compress_mpi import cli_options as options
from compress_mpi.cli_options import CONTEXT, FILE

__all__ = ["COMMANDS"]


@click.command(context_settings=CONTEXT)
@click.argument("runcard", type=FILE)
@options.set_option
@click.option("--restart", is_flag=True, help="As if the run were to start over.")
@options.pdf_path
@options.backend
@options.as_json
def check(
    runcard: Path,
    overrides: Sequence[str],
    restart: bool,
    folders: Sequence[Path],
    backend: str | None,
    as_json: bool,
) -> None:
    """Check a runcard and show what it would do, without doing it.

    Refuses what a run would refuse before its work starts, with the same exit
    code, and measures this machine for half a second. Writes nothing. The
    members of the set are read, and judged, by the run only.

    \b
    Example:
      compress-mpi check runcard.yml --set compressed=[50,100]
    """
    from compress_mpi.io.runcard import task_of

    if task_of(runcard, overrides) == "events":
        from compress_mpi.workflows.events_check import check_events

        click.echo(check_events(runcard, overrides, as_json, restart))
        return
    from compress_mpi.workflows.check import check_runcard

    text, warnings = check_runcard(runcard, overrides, folders, backend, as_json, restart)
    _warn(warnings)
    click.echo(text)


@click.command(context_settings=CONTEXT)
@click.argument("runcard", type=FILE)
@click.option("--nodes", type=click.IntRange(min=1), default=1, show_default=True)
@click.option("--ranks-per-node", type=click.IntRange(min=1), required=True)
@click.option("--time", required=True, metavar="HH:MM:SS", help="Wall time of one job.")
@click.option("--scheduler", type=click.Choice(["slurm", "pbs"]), default="slurm", show_default=True)
@click.option("--launcher", type=click.Choice(["mpirun", "srun"]), default="mpirun", show_default=True)
@click.option("--mpi", default="pmi2", show_default=True, help="For srun: pmi2 (MPICH), pmix (Open MPI).")
@click.option("--partition", help="Slurm partition, PBS queue.")
@click.option("--account")
@click.option("--name", help="Of the job; default: compress-PDF.")
@options.set_option
@options.pdf_path
@options.backend
def job(
    runcard: Path,
    overrides: Sequence[str],
    folders: Sequence[Path],
    backend: str | None,
    **request: Any,
) -> None:
    """Print a batch script for a runcard.

    It stops in time with a checkpoint and puts itself back into the queue until the
    run is complete. Memory and time are estimated by a measurement on this machine.

    \b
    Example:
      compress-mpi job runcard.yml --nodes 2 --ranks-per-node 64 --time 02:00:00 > job.slurm
    """
    from compress_mpi.workflows.job import JobRequest, job_script

    text, warnings = job_script(runcard, JobRequest(**request), overrides, folders, backend)
    _warn(warnings)
    click.echo(text)


@click.command(context_settings=CONTEXT)
@click.argument("first", type=FILE, metavar="A.h5")
@click.argument("second", type=FILE, metavar="B.h5")
@options.as_json
def diff(first: Path, second: Path, as_json: bool) -> None:
    """Show what differs between two results.

    Settings, prior, versions, launches, selections and ERFs, and whether the ERFs
    may be compared: they must not where their normalisations differ. The exit code
    is 0 whether or not something differs; scripts look at --json.

    \b
    Example:
      compress-mpi diff seed1.h5 seed2.h5
    """
    from compress_mpi.workflows.diff import diff_files

    click.echo(diff_files(first, second, as_json))


@click.command(context_settings=CONTEXT)
@click.option("--prior", "-p", metavar="SET", help="Name or folder of the prior; default: that of a result.")
@click.option(
    "--compressed",
    "-c",
    required=True,
    metavar="SET|FILE",
    help="Name or folder of a set, a result (.h5), or a compress_*_output.dat.",
)
@click.option("--polished", is_flag=True, help="The polished set of a result in place of its selection.")
@click.option("--normalised", is_flag=True, help="Divide by random subsets of the prior, of the same size.")
@click.option("--trials", type=click.IntRange(min=20), help="Number of random subsets.")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of the random subsets.")
@options.set_option
@options.pdf_path
@options.backend
@options.as_json
def erf(
    prior: str | None,
    compressed: str,
    polished: bool,
    normalised: bool,
    trials: int | None,
    seed: int | None,
    overrides: Sequence[str],
    folders: Sequence[Path],
    backend: str | None,
    as_json: bool,
) -> None:
    """Show the distance of every estimator between two sets.

    The grid is that of a runcard with default settings, or of the result; --set
    changes q0, nf, xgrid, definition or est_dic. A result with --normalised
    gives the ERF in its file again.

    \b
    Example:
      compress-mpi erf -p NNPDF40 -c NNPDF40_compressed_100 --set nf=3
      compress-mpi erf -c compress_demo_50.h5 --normalised
    """
    import json

    from compress_mpi.workflows.erf import erf_between, lines
    from compress_mpi.workflows.pair import load_pair

    extra = [f"{key}={value}" for key, value in (("trials", trials), ("seed", seed)) if value is not None]
    pair = load_pair(prior, compressed, [*overrides, *extra], folders, backend, polished)
    _warn(pair.warnings)
    facts = erf_between(pair, normalised)
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(lines(facts)))


@click.command(context_settings=CONTEXT)
@click.argument("file", type=FILE)
@click.argument("path", required=False)
@click.option("--worst", is_flag=True, help="Read the prior and name the points that weigh most.")
@options.pdf_path
@options.as_json
def inspect(file: Path, path: str | None, worst: bool, folders: Sequence[Path], as_json: bool) -> None:
    """Show what a result file holds: what ran, on what, how far, how well.

    \b
    Example:
      compress-mpi inspect compress_demo_50.h5 --worst
      compress-mpi inspect compress_demo_50.h5 /selection/index --json
    """
    from compress_mpi.workflows.inspect import inspect_file

    click.echo(inspect_file(file, path, as_json, worst, folders))


@click.command(context_settings=CONTEXT)
@click.option("--prior", "-p", metavar="SET", help="Name or folder of the prior; default: that of a result.")
@click.option(
    "--compressed",
    "-c",
    required=True,
    metavar="SET|FILE",
    help="Name or folder of a set, a result (.h5), or a compress_*_output.dat.",
)
@click.option("--enhanced", metavar="SET", help="A set compressed from an enhanced prior.")
@click.option("--polished", is_flag=True, help="Also the polished set of a result.")
@click.option("--random", is_flag=True, help="Also a random subset of the prior.")
@click.option("--flavours", metavar="LIST", help="Such as g,u,ubar or 21,2,-2; default: all.")
@click.option(
    "--output", "-o", "folder", type=FILE, default=Path("comparison"), show_default=True, metavar="DIR"
)
@options.set_option
@options.pdf_path
@options.backend
@options.as_json
def compare(folder: Path, as_json: bool, **request: Any) -> None:
    """Compare sets with their prior: distributions, correlations, Frechet distances.

    Writes figures (PNG, PDF) and comparison.json. --set changes q0, nf, xgrid,
    definition, and the seed of the random subset.

    \b
    Example:
      compress-mpi compare -c compress_demo_50.h5 --random -o comparison
      compress-mpi compare -p NNPDF40 -c NNPDF40_compressed_100 --flavours g,u,d
    """
    import json

    from compress_mpi.workflows.compare import lines, load_sets
    from compress_mpi.workflows.compare_figures import write_comparison

    sets = load_sets(**request)
    _warn(sets.warnings)
    files, facts = write_comparison(sets, folder)
    click.echo(json.dumps(facts, indent=2) if as_json else "\n".join(lines(files, facts)))


@click.command(context_settings=CONTEXT)
@click.option("--random", required=True, type=FILE, metavar="FILE", help="erf_randomized.dat")
@click.option("--reduced", required=True, type=FILE, metavar="FILE", help="erf_reduced.dat")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["pycomp", "ccomp"]),
    default="pycomp",
    show_default=True,
    help="Whose files: of pyCompressor and this program, or of the C++ code "
    "(erf_random.dat and erf_compression.dat).",
)
@click.option("--output", "-o", "folder", type=FILE, default=Path(), metavar="DIR", help="Default: here.")
def validate(random: Path, reduced: Path, kind: str, folder: Path) -> None:
    """Draw the error functions of selections against N among those of random subsets.

    Writes erf_validation.png and .pdf: for every estimator the mean, median and the
    50, 68 and 90 % bands of random subsets, and the selections.

    \b
    Example:
      compress-mpi validate --random erfs_output/erf_randomized.dat --reduced erfs_output/erf_reduced.dat
    """
    from compress_mpi.workflows.validate import validate as draw

    click.echo(draw(random, reduced, kind == "ccomp", folder))


@click.command(context_settings=CONTEXT)
@click.option("--pdf", required=True, metavar="NAME", help="Name of the prior.")
@click.option(
    "--nenhanced",
    "--nehanced",
    "total",
    type=click.IntRange(min=1),
    metavar="N",
    help="Replicas of the enhanced set, those of the prior among them; default: all there are.",
)
@click.option("--folder", type=FILE, metavar="DIR", help="Run folder; default: NAME_enhanced, here.")
@click.option(
    "--datadir",
    type=FILE,
    metavar="DIR",
    help="LHAPDF data directory; default: lhapdf beside the run folder.",
)
@options.pdf_path
def postgans(
    pdf: str, total: int | None, folder: Path | None, datadir: Path | None, folders: Sequence[Path]
) -> None:
    """Link the replicas of a run folder into an LHAPDF data directory.

    Takes NAME_enhanced/nnfit/replica_<i>/NAME_enhanced.dat, of this program or of ganpdfs
    and evolven3fit, and makes the set NAME_enhanced of links, with the average as member 0.
    It appears at once or not at all, and never replaces a set that this program did not make.

    \b
    Example:
      compress-mpi postgans --pdf NNPDF40 --nenhanced 3000
      compress-mpi postgans --pdf NNPDF40 --folder runs/NNPDF40_enhanced --datadir /opt/share/LHAPDF
    """
    from compress_mpi.workflows.postgans import postgans as link

    click.echo(link(pdf, total, folder, datadir, folders))


@click.command(context_settings=CONTEXT)
@click.argument("folder", type=FILE, metavar="FOLDER")
@click.option(
    "--checkpoint-interval",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="Between checkpoints.",
)
def stage(folder: Path, checkpoint_interval: float) -> None:
    """Do the training that a run asked for in FOLDER, or go on with it.

    A run starts this itself, here or as a job of its own. SIGTERM and SIGUSR1
    make a checkpoint and end it with exit code 85.

    \b
    Example:
      compress-mpi stage NNPDF40_enhanced.stage
    """
    from compress_mpi.parallel.signals import StopSignals
    from compress_mpi.workflows.stage import run_stage

    with StopSignals() as signals:
        code = run_stage(
            folder, lambda: signals.received is not None, checkpoint_interval=checkpoint_interval
        )
    raise SystemExit(code)


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        click.echo(f"compress-mpi: warning: {warning}", err=True)


COMMANDS: tuple[Any, ...] = (check, job, inspect, diff, erf, validate, compare, postgans, stage)
