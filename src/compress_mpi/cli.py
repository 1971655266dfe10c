"""The command line.

``compress-mpi RUNCARD`` runs a runcard, under ``mpirun`` or alone. The other
commands are small, serial, and never start MPI, except ``doctor``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from compress_mpi import __version__
from compress_mpi import cli_options as shared
from compress_mpi.cli_companions import COMMANDS
from compress_mpi.cli_events import events
from compress_mpi.cli_evolution import evolve
from compress_mpi.cli_options import CONTEXT, FILE
from compress_mpi.errors import EXIT_CODES, CompressError, RuncardError
from compress_mpi.parallel.launcher import is_first_process, prepare_environment

__all__ = ["cli", "main"]

_EPILOG = "Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + "."


class _RuncardFirst(click.Group):
    """A group whose default command is ``run``: a first word that is no command is a runcard."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {"-h", "--help", "--version"}
        if args and args[0] not in self.commands and args[0] not in own:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_RuncardFirst, context_settings=CONTEXT, epilog=_EPILOG, no_args_is_help=True)
@click.version_option(__version__, prog_name="compress-mpi")
def cli() -> None:
    """Select the Monte Carlo replicas that best reproduce a large LHAPDF set.

    \b
    compress-mpi runcard.yml                  one process, all its cores
    mpirun -n 128 compress-mpi runcard.yml    the same answer, sooner
    """


@cli.command(context_settings=CONTEXT, epilog=_EPILOG)
@click.argument("runcard", type=FILE)
@shared.set_option
@click.option("--restart", is_flag=True, help="Start over although there is a result or a checkpoint.")
@click.option(
    "--threads", "-t", type=click.IntRange(min=1), help="Threads per rank; default: the cores there are."
)
@shared.backend
@shared.pdf_path
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def run(ctx: click.Context, **options: Any) -> None:
    """Run a runcard; 'run' itself may be left out.

    An unfinished result of the same runcard is continued, also on another number
    of ranks.

    \b
    Example:
      mpirun -n 4 compress-mpi runcard.yml --set compressed=100 --set seed=7
    """
    ctx.obj["job"] = ("run", options)


@cli.command(context_settings=CONTEXT, epilog=_EPILOG)
@click.argument("runcard", type=FILE)
@shared.set_option
@shared.backend
@shared.pdf_path
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def enhance(ctx: click.Context, overrides: Sequence[str], **options: Any) -> None:
    """Make the enhanced set of a runcard and nothing else, such as on a GPU node.

    A later run of the same runcard finds it and goes on from there.

    \b
    Example:
      compress-mpi enhance runcard.yml --set generator=flow
    """
    ctx.obj["job"] = ("run", {"overrides": (*overrides, "task=enhance"), **options})


@cli.command(context_settings=CONTEXT)
@shared.pdf_path
@click.pass_context
def doctor(ctx: click.Context, folders: Sequence[Path]) -> None:
    """Show what MPI, ranks, threads, HDF5, LHAPDF and paths this program sees.

    \b
    Example:
      mpirun -n 4 compress-mpi doctor
    """
    ctx.obj["job"] = ("doctor", {"folders": folders})


@cli.command("get-grid", context_settings=CONTEXT)
@click.option(
    "-i",
    "--input",
    "file",
    required=True,
    type=FILE,
    help="A result (.h5) or a compress_*_output.dat.",
)
@click.option(
    "-o",
    "--output",
    "folder",
    default=Path(),
    type=FILE,
    metavar="DIR",
    help="Folder for the sets; default: here.",
)
@shared.pdf_path
def get_grid(file: Path, folder: Path, folders: Sequence[Path]) -> None:
    """Write the compressed LHAPDF set of a result, and its polished set if it has one.

    A result of an enhanced prior needs the enhanced set, which is looked for in the folder lhapdf beside it.

    \b
    Example:
      compress-mpi get-grid -i NNPDF40/compress_NNPDF40_100_output.dat
    """
    from compress_mpi.workflows.get_grid import write_grid_of

    click.echo("\n".join(map(str, write_grid_of(file, folder, folders))))


@cli.command(context_settings=CONTEXT)
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option(
    "-o",
    "--output",
    "folder",
    type=FILE,
    metavar="DIR",
    help="Default: FILE_report beside FILE, report inside a folder.",
)
@shared.pdf_path
def report(files: Sequence[Path], folder: Path | None, folders: Sequence[Path]) -> None:
    """Write a page of plots and tables about one or several results, or all results of a folder.

    \b
    Example:
      compress-mpi report compress_demo_50.h5
      compress-mpi report compress_demo_20.h5 compress_demo_50.h5 -o sizes
      compress-mpi report FOLDER
    """
    from compress_mpi.workflows.report import write_report

    click.echo(write_report(files, folder, folders))


@cli.command("demo-set", context_settings=CONTEXT)
@click.argument("folder", type=FILE, metavar="DIR")
@click.option("--replicas", type=click.IntRange(min=2), help="Of a Monte Carlo set; default: 1000.")
@click.option("--name", default="demo", show_default=True, help="Name of the set.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the replicas; default: that of the demo prior.")
@click.option(
    "--kind",
    type=click.Choice(["replicas", "hessian", "symmhessian"]),
    default="replicas",
    show_default=True,
    help="Monte Carlo, or eigenvectors with two members each, or with one.",
)
@click.option(
    "--level",
    type=click.IntRange(min=1, max=99),
    metavar="PERCENT",
    help="Confidence level of a Hessian set; default: 68.",
)
@click.option(
    "--grid",
    type=click.Choice(["full", "coarse"]),
    default="full",
    show_default=True,
    help="Knots; coarse has fewer, a smaller range and other quark masses.",
)
def demo_set(
    folder: Path, replicas: int | None, name: str, seed: int | None, kind: str, level: int | None, grid: str
) -> None:
    """Write the built-in demo prior, a made-up LHAPDF set, or another set like it.

    \b
    Example:
      compress-mpi demo-set ./sets
      compress-mpi demo-set ./sets --name other --kind hessian --level 90 --grid coarse
    """
    from compress_mpi.io.demo import DEMO_REPLICAS, DEMO_SEED, DemoKind, write_demo_set

    is_hessian = kind != "replicas"
    useless = [
        option
        for option, given in (
            ("--replicas", is_hessian and replicas is not None),
            ("--seed", is_hessian and seed is not None),
            ("--level", not is_hessian and level is not None),
        )
        if given
    ]
    if useless:
        raise click.UsageError(f"{useless[0]} has no meaning for --kind {kind}; leave it out")
    sort = DemoKind(kind, 68 if level is None else level, grid)
    number = DEMO_REPLICAS if replicas is None else replicas
    click.echo(write_demo_set(folder, number, name, DEMO_SEED if seed is None else seed, sort))


cli.add_command(evolve)
cli.add_command(events)
for _command in COMMANDS:
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the ``compress-mpi`` program; does not return."""
    from compress_mpi.parallel.abort import run_guarded

    arguments = list(sys.argv[1:] if arguments is None else arguments)
    # kernels are compiled for this many threads at most, so it has to be known before numba is imported
    prepare_environment(_threads(arguments))
    sys.exit(run_guarded(lambda: _main(arguments)))


def _threads(arguments: Sequence[str]) -> int | None:
    for position, word in enumerate(arguments):
        name, _, value = word.partition("=")
        if name in ("--threads", "-t"):
            value = value or (arguments[position + 1] if position + 1 < len(arguments) else "")
            return int(value) if value.isdigit() and int(value) > 0 else None
    return None


def _main(arguments: Sequence[str]) -> int:
    jobs: dict[str, Any] = {}
    if not is_first_process():
        # started n times by a launcher: one of them speaks
        sys.stdout, silenced = open(os.devnull, "w"), sys.stdout  # noqa: SIM115
    try:
        cli.main(list(arguments), standalone_mode=False, obj=jobs)
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        return _usage(error)
    except CompressError as error:
        return _refused(error)
    finally:
        if not is_first_process():
            sys.stdout.close()
            sys.stdout = silenced
    return _launch(*jobs["job"]) if "job" in jobs else 0


def _usage(error: click.ClickException) -> int:
    if is_first_process():
        context = getattr(error, "ctx", None)
        hint = f" (see '{context.command_path} --help')" if context is not None else ""
        print(f"compress-mpi: error: {error.format_message()}{hint}", file=sys.stderr)
    return RuncardError.exit_code


def _refused(error: CompressError) -> int:
    """Errors of the serial commands, which every process meets alike."""
    if is_first_process():
        print(f"compress-mpi: error: {error}", file=sys.stderr)
    return error.exit_code


def _launch(command: str, options: dict[str, Any]) -> int:
    from compress_mpi.parallel.signals import StopSignals
    from compress_mpi.parallel.team import world_team

    # a request to stop may come while MPI is still starting
    with StopSignals() as signals:
        team = world_team()
        if command == "doctor":
            from compress_mpi.workflows.doctor import examine

            return examine(team, options["folders"])
        if command == "evolve":
            from compress_mpi.workflows.evolve import EvolveOptions
            from compress_mpi.workflows.evolve import run as run_evolve

            return run_evolve(EvolveOptions(**options), team, signals)
        if command == "events decompress":
            from compress_mpi.workflows.events_decode import DecompressRequest, decompress

            return decompress(DecompressRequest(**options), team)
        if command == "events" or team.on_root(lambda: _is_events(options)):
            return _run_events(options, team, signals)
        from compress_mpi.workflows.compress import Options
        from compress_mpi.workflows.compress import run as run_compress

        return run_compress(Options(**options), team, signals)


def _is_events(options: dict[str, Any]) -> bool:
    from compress_mpi.io.runcard import task_of

    if task_of(options["runcard"], options["overrides"]) != "events":
        return False
    if options["backend"] or options["folders"]:
        given = "--backend" if options["backend"] else "--pdf-path"
        raise RuncardError(f"{given}: has no meaning for task: events; leave it out")
    return True


def _run_events(options: dict[str, Any], team: Any, signals: Any) -> int:
    from compress_mpi.workflows.events import EventsRequest
    from compress_mpi.workflows.events import run as run_events

    request = {key: value for key, value in options.items() if key not in ("backend", "folders")}
    return run_events(EventsRequest(**request), team, signals)
