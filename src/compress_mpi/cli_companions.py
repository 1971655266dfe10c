"""Commands beside the run: check, job, diff, erf, validate, compare. All serial, none starts MPI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

__all__ = ["COMMANDS"]

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
_PATH = click.Path(path_type=Path)

_set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the runcard; may be repeated.",
)
_pdf_path = click.option(
    "--pdf-path",
    "folders",
    multiple=True,
    type=_PATH,
    metavar="DIR",
    help="Look for LHAPDF sets here first; may be repeated.",
)
_backend = click.option(
    "--backend", type=click.Choice(["auto", "lhapdf", "neopdf"]), help="Library that reads LHAPDF sets."
)
_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable.")


@click.command(context_settings=_CONTEXT)
@click.argument("runcard", type=_PATH)
@_set_option
@_pdf_path
@_backend
@_json
def check(
    runcard: Path,
    overrides: Sequence[str],
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
    from compress_mpi.workflows.check import check_runcard

    click.echo(check_runcard(runcard, overrides, folders, backend, as_json))


@click.command(context_settings=_CONTEXT)
@click.argument("first", type=_PATH, metavar="A.h5")
@click.argument("second", type=_PATH, metavar="B.h5")
@_json
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


COMMANDS: tuple[Any, ...] = (check, diff)
