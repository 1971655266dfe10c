"""The command that evolves export grids; it runs under mpirun."""

from __future__ import annotations

from typing import Any

import click

from compress_mpi import cli_options as options
from compress_mpi.cli_options import CONTEXT, FILE

__all__ = ["evolve"]


@click.command(context_settings=CONTEXT)
@click.argument("folder", type=FILE)
@click.option(
    "--pdf",
    metavar="PRIOR",
    help="Set, or .info file, that gives theory and knots; default: FOLDER's name without _enhanced.",
)
@click.option("--q0", type=click.FloatRange(min=0, min_open=True), help="Scale of the grids in GeV.")
@click.option("--cache", type=FILE, metavar="DIR", help="Folder of operators; default: the user's cache.")
@click.option(
    "--iterations",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="Steps of the solution between two scales.",
)
@click.option(
    "--degree",
    type=click.IntRange(1, 8),
    default=4,
    show_default=True,
    help="Of the interpolation between x nodes.",
)
@click.option(
    "--nodes", type=click.IntRange(min=5), default=100, show_default=True, help="Most x nodes of an operator."
)
@options.pdf_path
@options.backend
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def evolve(ctx: click.Context, **request: Any) -> None:
    """Evolve export grids to LHAPDF members, as evolven3fit does.

    FOLDER holds nnfit/replica_<i>/*.exportgrid, all at one scale and on the same x
    nodes. Operators are computed by all ranks, with eko, and kept for the next time.
    Writes nnfit/replica_<i>/<FOLDER>.dat, nnfit/<FOLDER>.info and evolution.json.

    \b
    Example:
      mpirun -n 4 compress-mpi evolve NNPDF40_enhanced --pdf NNPDF40
    """
    ctx.obj["job"] = ("evolve", request)
