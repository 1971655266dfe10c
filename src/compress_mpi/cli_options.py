"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

__all__ = ["CONTEXT", "FILE", "as_json", "backend", "pdf_path", "set_option"]

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
FILE = click.Path(path_type=Path)

set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a key of the runcard; may be repeated.",
)
pdf_path = click.option(
    "--pdf-path",
    "folders",
    multiple=True,
    type=FILE,
    metavar="DIR",
    help="Look for LHAPDF sets here first; may be repeated.",
)
backend = click.option(
    "--backend", type=click.Choice(["auto", "lhapdf", "neopdf"]), help="Library that reads LHAPDF sets."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
