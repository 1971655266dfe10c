"""The group ``events``: tables of events into compressed files and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from compress_mpi import cli_options as options
from compress_mpi.cli_options import CONTEXT, FILE
from compress_mpi.errors import RuncardError

__all__ = ["events"]


@click.group(context_settings=CONTEXT, no_args_is_help=True)
def events() -> None:
    """Compress tables of events (jets, four-vectors) within a stated error.

    \b
    Example:
      compress-mpi events compress jets.parquet --bound 0.02
      compress-mpi events decompress jets.events.h5 -o jets.npy
    """


@events.command(context_settings=CONTEXT)
@click.argument("files", nargs=-1, required=True, type=FILE, metavar="FILE...")
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    help="Compressed file (.h5) or its folder; default: FILE.events.h5, here.",
)
@click.option(
    "--bound",
    "bounds",
    multiple=True,
    metavar="[COLUMN=]BOUND",
    help="0.02, 'range 1e-4', 'relative 1e-3', 'mean 0.01', 'rms 0.01', 'published 1e-3' or lossless; may be repeated.",
)
@click.option("--columns", metavar="A,B,...", help="Columns to take, in this order.")
@click.option("--inside", metavar="NAME", help="Array, dataset, group or tree of the file.")
@click.option("--codec", metavar="NAME", help="bounded (default) or latent.")
@click.option(
    "--model", metavar="NAME|FILE", help="auto, none, marginal, tiny, or a compressed table to share with."
)
@click.option("--unordered", is_flag=True, default=None, help="Rows may come back in another order.")
@click.option("--bits", type=int, metavar="N", help="latent: N of the quantiser.")
@click.option("--block", type=int, metavar="ROWS", help="Rows that are coded together.")
@click.option("--seed", type=int)
@options.set_option
@click.option("--restart", is_flag=True, help="Replace a file of other settings or another input.")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def compress(
    ctx: click.Context,
    files: Sequence[Path],
    bounds: Sequence[str],
    columns: str | None,
    overrides: Sequence[str],
    restart: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Compress a table: CSV, text, NPY, NPZ, HDF5, Parquet or ROOT.

    What a runcard with task: events does, without a runcard; --set reaches its other
    keys. Several files of equal columns are one table.

    \b
    Example:
      compress-mpi events compress jets.npy --columns pt,eta,phi,m --bound 1e-3 --bound pt=0.02
      mpirun -n 4 compress-mpi events compress jets.parquet --bound 'relative 1e-3' --bound run=lossless
    """
    content = {key: value for key, value in settings.items() if value is not None}
    content |= {"task": "events", "input": [str(file) for file in files]}
    if columns is not None:
        content["columns"] = columns.split(",")
    if bounds:
        content["bound"] = _bounds(bounds)
    ctx.obj["job"] = (
        "events",
        {"content": content, "overrides": overrides, "restart": restart, "quiet": quiet},
    )


@events.command(context_settings=CONTEXT)
@click.argument("file", type=FILE)
@click.option("-o", "--output", required=True, type=FILE, help="Table to write; its suffix tells the format.")
@click.option("--inside", metavar="NAME", help="Array, group or tree of the output.")
@click.option(
    "--model", type=FILE, help="File whose model FILE shares; default: the one it names, beside it."
)
@click.pass_context
def decompress(ctx: click.Context, **request: Any) -> None:
    """Write the table that a compressed file holds.

    Needs neither the original nor a GPU. Under mpirun all ranks decode.

    \b
    Example:
      compress-mpi events decompress jets.events.h5 -o jets.npy
      mpirun -n 4 compress-mpi events decompress jets.events.h5 -o jets.parquet
    """
    ctx.obj["job"] = ("events decompress", request)


@events.command(context_settings=CONTEXT)
@click.argument("file", type=FILE)
@click.option("-n", "--number", type=click.IntRange(min=1), required=True, help="Events to draw.")
@click.option("-o", "--output", required=True, type=FILE, help="Table to write; its suffix tells the format.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--inside", metavar="NAME", help="Array, group or tree of the output.")
@click.option(
    "--model", type=FILE, help="File whose model FILE shares; default: the one it names, beside it."
)
def sample(file: Path, number: int, output: Path, seed: int, inside: str | None, model: Path | None) -> None:
    """Draw new events from the model of a compressed file.

    \b
    Example:
      compress-mpi events sample jets.events.h5 -n 10000 --seed 1 -o new.npy
    """
    from compress_mpi.workflows.events_decode import sample as draw

    click.echo(draw(file, number, seed, output, inside, model))


@events.command(context_settings=CONTEXT)
@click.argument("file", type=FILE)
@click.option(
    "--original", multiple=True, type=FILE, metavar="TABLE", help="To compare with; may be repeated."
)
@click.option("--inside", metavar="NAME", help="Array, dataset, group or tree of the original.")
@click.option(
    "-n",
    "--sample",
    "number",
    type=click.IntRange(min=0),
    default=10_000,
    show_default=True,
    help="New events to compare.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the new events.")
@click.option(
    "--model", type=FILE, help="File whose model FILE shares; default: the one it names, beside it."
)
@click.option("-o", "--output", "folder", type=FILE, metavar="DIR", help="Default: FILE_report beside FILE.")
def report(
    file: Path,
    original: Sequence[Path],
    inside: str | None,
    number: int,
    seed: int,
    model: Path | None,
    folder: Path | None,
) -> None:
    """Write a page of figures and numbers about a compressed file.

    Errors, ratios and responses need the table it was made from.

    \b
    Example:
      compress-mpi events report jets.events.h5 --original jets.npy
    """
    from compress_mpi.workflows.events_page import ReportRequest, write_report

    click.echo(
        write_report(ReportRequest(file, tuple(map(str, original)), inside, number, seed, model, folder))
    )


@events.command(context_settings=CONTEXT)
@click.argument("file", type=FILE)
@options.as_json
def info(file: Path, as_json: bool) -> None:
    """Show what a compressed file holds, after a look at every bit of it.

    \b
    Example:
      compress-mpi events info jets.events.h5
    """
    from compress_mpi.workflows.events_info import info as show

    click.echo(show(file, as_json))


def _bounds(texts: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, bound = text.rpartition("=")
        name = name if equals else "default"
        if name in found:
            raise RuncardError(f"--bound: {name}: given twice; keep one")
        found[name] = _bound(bound.split(), text)
    return found


def _bound(words: Sequence[str], text: str) -> Any:
    """As a runcard has it; what is wrong with it is said where runcards are checked."""
    if words == ["lossless"]:
        return "lossless"
    if not 1 <= len(words) <= 2:
        raise RuncardError(
            f"--bound: expected [COLUMN=]NUMBER, [COLUMN=]'KIND NUMBER' or lossless, got '{text}'"
        )
    try:
        number = float(words[-1])
    except ValueError as error:
        raise RuncardError(f"--bound: {text}: expected a number, got '{words[-1]}'") from error
    return {words[0]: number} if len(words) == 2 else number
