"""The directive ``benchmark``: tables of the performance page from ``docs/benchmarks.json``.

``.. benchmark:: kernel`` makes the table of one benchmark, ``.. benchmark:: machine`` says where and when.
The file is the output of ``make bench``; copying a newer one over it renews the page. The option ``file`` names
another one. ``.. benchmark-matrix:: events`` puts measures named ``COLUMN, PLACE: ROW`` side by side, those of one
``place`` and ``unit``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives
from docutils.statemachine import StringList

__all__ = ["Benchmark", "Matrix", "machine", "matrix", "setup", "table"]

_FILE = "benchmarks.json"
_UNITS = {"1": "", "x": ""}


def number(value: float) -> str:
    """Three digits, and more only where they stand before the point."""
    if value == 0.0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 6)}f}".replace(",", " ")


def table(report: dict[str, Any], name: str) -> list[str]:
    """Lines of a list table with median, and lowest to highest where there are several repetitions.

    Raises
    ------
    KeyError
        If the file has no such benchmark.
    """
    found = report["benchmarks"][name]
    settings = ", ".join(f"{key} {value}" for key, value in found["settings"].items() if "load" not in key)
    lines = [f".. list-table:: {_plain(found['about'])}; {_plain(settings)}", "   :header-rows: 1"]
    lines += ["   :widths: 58 14 28", "", "   * -", "     - Median", "     - Lowest to highest"]
    for measure, summary in found["measures"].items():
        several = len(summary["values"]) > 1
        span = f"{number(summary['lowest'])} to {number(summary['highest'])}" if several else ""
        unit = _UNITS.get(summary["unit"], f", {summary['unit']}")
        value = number(summary["median"])
        strong = f"**{value}**" if summary["unit"] == "x" else value
        lines += [f"   * - {_plain(measure)}{unit}", f"     - {strong}", f"     - {span}".rstrip()]
    return [*lines, "", *(f"* {_plain(note)}" for note in found["notes"]), ""]


def matrix(report: dict[str, Any], name: str, place: str, unit: str) -> list[str]:
    """Lines of a list table: one column for each table, one row for each thing that was measured of it.

    Raises
    ------
    KeyError
        If the file has no such benchmark, or nothing of the place and unit.
    """
    cells: dict[str, dict[str, str]] = {}
    heads: list[str] = []
    for measure, summary in report["benchmarks"][name]["measures"].items():
        where, _, row = measure.partition(": ")
        head, _, at = where.partition(", ")
        if at == place and summary["unit"] == unit and row:
            heads += [head] if head not in heads else []
            cells.setdefault(row, {})[head] = number(summary["median"])
    if not cells:
        raise KeyError(f"{name}: nothing of {place} in {unit}")
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * -",
        *(f"     - {_plain(head)}" for head in heads),
    ]
    for row, values in cells.items():
        lines += [f"   * - {_plain(row)}", *(f"     - {values.get(head, '')}".rstrip() for head in heads)]
    return [*lines, ""]


def machine(report: dict[str, Any]) -> list[str]:
    """One paragraph: date, processor, commit, versions and set."""
    machine, commit, versions = report["machine"], report["commit"], report["versions"]
    changed = " with changes" if commit["changed"] else ""
    load = machine["load_average_at_start"][0]
    libraries = ", ".join(
        f"{name} {versions[name]}" for name in ("python", "numba", "numpy") if name in versions
    )
    return [
        f"Measured on {report['began'][:10]} with {machine['cpu']}, {machine['cores_available']} of "
        f"{machine['cores']} cores, load average {load:g} at the start, commit ``{commit['hash'][:10]}``{changed}, "
        f"{libraries}; set ``{report['set']['name']}``.",
        "",
    ]


def _plain(text: str) -> str:
    return text.replace("*", r"\*").replace("`", r"\`").replace("|", r"\|")


class Benchmark(Directive):
    """``.. benchmark:: NAME``."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"file": directives.unchanged_required}

    def run(self) -> Sequence[nodes.Node]:
        """Parse the lines in place."""
        environment = self.state.document.settings.env
        file = self.options.get("file", _FILE)
        path = Path(environment.srcdir, file)
        environment.note_dependency(str(path))
        report, name = json.loads(path.read_text("utf-8")), self.arguments[0]
        if name != "machine" and name not in report["benchmarks"]:
            raise self.error(f"{file}: no benchmark {name!r}; run all of them with `make bench`")
        holder = nodes.Element()
        self.state.nested_parse(
            StringList(self.lines(report, name), source=str(path)), self.content_offset, holder
        )
        return holder.children

    def lines(self, report: dict[str, Any], name: str) -> list[str]:
        """What stands in place of the directive."""
        return machine(report) if name == "machine" else table(report, name)


class Matrix(Benchmark):
    """``.. benchmark-matrix:: NAME``."""

    option_spec: ClassVar[dict[str, Any]] = {
        **Benchmark.option_spec,
        "place": directives.unchanged_required,
        "unit": directives.unchanged,
    }

    def lines(self, report: dict[str, Any], name: str) -> list[str]:
        """What stands in place of the directive."""
        try:
            return matrix(report, name, self.options["place"], self.options.get("unit", "x"))
        except KeyError as error:
            raise self.error(str(error)) from error


def setup(app: Any) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("benchmark", Benchmark)
    app.add_directive("benchmark-matrix", Matrix)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
