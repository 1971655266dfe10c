"""The reference pages that are made from the program's own tables, so that they cannot lag behind it.

Before a build, ``docs/generated/`` gets one file per table; the pages of the manual include them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from compress_mpi.cli import cli
from compress_mpi.errors import EXIT_CODES
from compress_mpi.io import schema_enhanced, schema_events
from compress_mpi.io.runcard import describe
from compress_mpi.io.runcard_events import describe_events
from compress_mpi.io.runcard_keys import ALIASES, GAN_KEYS
from compress_mpi.io.runcard_reading import KeyRow
from compress_mpi.io.schema import ATTRIBUTES, DATASETS, Attribute, Dataset
from compress_mpi.types import ESTIMATOR_LISTS

__all__ = ["TABLES", "setup", "write_tables"]

_HELP_WIDTH = 88


def runcard_keys() -> str:
    """One entry per key of a runcard: type, default, meaning."""
    return _keys(describe())


def events_keys() -> str:
    """One entry per key of an events runcard: type, default, meaning."""
    return _keys(describe_events())


def _keys(rows: Sequence[KeyRow]) -> str:
    return "\n".join(
        line
        for row in rows
        for line in (
            f"``{row.key}``",
            f"    {row.doc}",
            "",
            f"    *Expects* {row.type}. {_default(row.default)}",
            "",
        )
    )


def runcard_aliases() -> str:
    """Spellings that mean the same key, and those that are read but have no effect."""
    rows = [(f"``{alias}``", f"``{key}``") for alias, key in ALIASES.items()]
    ignored = ", ".join(f"``{key}``" for key in GAN_KEYS)
    return _table(("At the top level", "means"), rows, "30 70") + (
        f"\nRead and without effect, as networks are described in a runcard of ganpdfs: {ignored}.\n"
    )


def estimators() -> str:
    """Which estimator belongs in which list."""
    rows = [(f"``{key}``", ", ".join(f"``{n}``" for n in names)) for key, names in ESTIMATOR_LISTS.items()]
    return _table(("List", "Estimators"), rows, "30 70")


def datasets() -> str:
    """Datasets of a result file."""
    return _datasets(DATASETS)


def enhanced_datasets() -> str:
    """Datasets of the sidecar of an enhanced set."""
    return _datasets(schema_enhanced.DATASETS)


def _datasets(declared: Sequence[Dataset]) -> str:
    rows = [
        (
            f"``{d.path}``",
            d.dtype,
            _shape(d.dims, d.or_scalar),
            d.units or "text",
            _doc(d.description, d.required),
        )
        for d in declared
    ]
    return _table(("Dataset", "Type", "Axes", "Units", "Meaning"), rows, "32 9 14 7 38")


def events_datasets() -> str:
    """Datasets of a compressed table."""
    return _datasets(schema_events.DATASETS)


def events_attributes() -> str:
    """Attributes of a compressed table."""
    return _attributes(schema_events.ATTRIBUTES)


def events_parts() -> str:
    """Parts of the one dataset of a compressed table."""
    parts = (schema_events.BLOCKS, *schema_events.PARTS)
    return _table(("Part", "Content"), [(f"``{p.name}``", p.description) for p in parts], "20 80")


def events_header() -> str:
    """Keys of the header of a compressed table."""
    rows = [(f"``{k.name}``", k.type.__name__, _doc(k.description, k.required)) for k in schema_events.HEADER]
    return _table(("Key", "Type", "Meaning"), rows, "20 10 70")


def attributes() -> str:
    """Attributes of a result file."""
    return _attributes(ATTRIBUTES)


def enhanced_attributes() -> str:
    """Attributes of the sidecar of an enhanced set."""
    return _attributes(schema_enhanced.ATTRIBUTES)


def _attributes(declared: Sequence[Attribute]) -> str:
    rows = [(f"``{a.path}``", f"``{a.name}``", a.dtype, _doc(a.description, a.required)) for a in declared]
    return _table(("Of", "Attribute", "Type", "Meaning"), rows, "25 22 9 44")


def exit_codes() -> str:
    """Exit codes."""
    return _table(("Code", "Meaning"), [(str(c), meaning) for c, meaning in EXIT_CODES.items()], "10 90")


def commands() -> str:
    """The help text of the program and of each of its commands."""
    return "\n".join(_section(name, text) for name, text in _helps())


TABLES: dict[str, Callable[[], str]] = {
    "runcard_keys": runcard_keys,
    "runcard_aliases": runcard_aliases,
    "estimators": estimators,
    "datasets": datasets,
    "attributes": attributes,
    "enhanced_datasets": enhanced_datasets,
    "enhanced_attributes": enhanced_attributes,
    "events_keys": events_keys,
    "events_datasets": events_datasets,
    "events_attributes": events_attributes,
    "events_parts": events_parts,
    "events_header": events_header,
    "exit_codes": exit_codes,
    "commands": commands,
}


def write_tables(folder: Path) -> None:
    """Write every table to ``folder/<name>.rst``, leaving files alone whose content is the same."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in TABLES.items():
        path, text = folder / f"{name}.rst", make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.connect("builder-inited", lambda app: write_tables(Path(app.srcdir) / "generated"))
    # A page that includes a table has to follow it when only the program has changed.
    app.connect("env-get-outdated", _including_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _including_pages(app: Any, env: Any, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    pages = sorted(env.found_docs - added - changed - removed)
    return [page for page in pages if "include:: generated/" in Path(env.doc2path(page)).read_text("utf-8")]


def _default(default: str) -> str:
    return {"required": "**Required.**", "null": "*Default* nothing."}.get(
        default, f"*Default* ``{default}``."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], widths: str) -> str:
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in (head, *rows):
        lines += [f"   {'* ' if i == 0 else '  '}- {cell}" for i, cell in enumerate(row)]
    return "\n".join([*lines, ""])


def _shape(dims: tuple[str, ...] | None, or_scalar: bool = False) -> str:
    if dims is None:
        return "any"
    shape = f"``({', '.join(dims)})``" if dims else "scalar"
    return f"scalar or {shape}" if or_scalar else shape


def _doc(description: str, required: bool) -> str:
    return description if required else f"{description} *(optional)*"


def _helps() -> Iterator[tuple[str, str]]:
    yield "compress-mpi", cli.get_help(_context(cli, "compress-mpi"))
    yield from _helps_in(cli, _context(cli, "compress-mpi"), "compress-mpi")


def _helps_in(group: click.Group, context: click.Context, title: str) -> Iterator[tuple[str, str]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        inner = _context(command, name, context)
        yield f"{title} {name}", command.get_help(inner)
        if isinstance(command, click.Group):
            yield from _helps_in(command, inner, f"{title} {name}")


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    settings = {**command.context_settings, "terminal_width": _HELP_WIDTH}
    return click.Context(command, parent=parent, info_name=name, **settings)


def _section(title: str, text: str) -> str:
    body = "\n".join(f"   {line}".rstrip() for line in text.splitlines())
    return f"{title}\n{'-' * len(title)}\n\n.. code-block:: text\n\n{body}\n"
