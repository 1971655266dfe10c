"""``inspect`` on a terminal: tables, colours and a sparkline."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from compress_mpi.types import FloatArray
from compress_mpi.workflows.phases import polish_lines
from compress_mpi.workflows.words import end_text, optimum_text, parent_line, scale_text

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["sparkline", "terminal_page"]

_BLOCKS = "▁▂▃▄▅▆▇█"
_NARROWEST = 60


def sparkline(values: FloatArray, width: int = 40) -> str:
    """A curve in one line of text, both axes logarithmic.

    Parameters
    ----------
    values : float64 (n,)
        Positive; the first one stands at 1.
    width : int
        Characters at most.

    Returns
    -------
    str
        Highest block for the largest value, lowest for the smallest; empty without values.
    """
    if not len(values):
        return ""
    places = np.unique(np.round(np.geomspace(1, len(values), width)).astype(np.int64) - 1)
    level = np.log(np.maximum(values[places], np.finfo(float).tiny))
    span = float(np.ptp(level))
    steps = np.round((level - level.min()) / span * (len(_BLOCKS) - 1)) if span else np.zeros(len(level))
    return "".join(_BLOCKS[int(step)] for step in steps)


def terminal_page(file: Path, facts: dict[str, Any], history: FloatArray, width: int | None = None) -> str:
    """The page as text with escape sequences for colours.

    Parameters
    ----------
    file : Path
    facts : dict
        As ``inspect.summary`` gives them, with ``worst`` or without.
    history : float64 (iteration,)
        Total ERF.
    width : int or None
        Columns; None takes those of the terminal.
    """
    from rich.console import Console
    from rich.markup import escape

    buffer = io.StringIO()
    columns = max(width or shutil.get_terminal_size().columns, _NARROWEST)
    console = Console(file=buffer, force_terminal=True, width=columns, highlight=False)
    colour = "green" if facts["status"] == "complete" else "yellow"
    console.print(f"[bold]{escape(str(file))}[/]  {facts['task']}, [{colour}]{facts['status']}[/]")
    console.print(_overview(facts, history, columns))
    if facts.get("phases"):
        console.print(_phases(facts["phases"]))
    console.print(_estimators(facts))
    if facts.get("worst"):
        console.print(_worst(facts["worst"]))
    console.print(_launches(facts["launches"]))
    console.print(_provenance(facts))
    index = " ".join(map(str, facts["selection"]["index"]))
    console.print(f"[dim]index[/]  {index}")
    return buffer.getvalue().rstrip("\n")


def _grid(rows: dict[str, str]) -> Table:
    from rich.table import Table

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in rows.items():
        grid.add_row(name, text)
    return grid


def _overview(facts: dict[str, Any], history: FloatArray, columns: int) -> Table:
    from rich.markup import escape

    prior, search, selection = facts["prior"], facts["search"], facts["selection"]
    random = selection["random"]
    gain = random["median"] / selection["erf"] if selection["erf"] else float("inf")
    rows = {
        "prior": f"[bold]{escape(prior['name'])}[/], {prior['members']} replicas, q0 = {scale_text(prior['q0'])}, "
        f"{len(prior['flavours'])} flavours, {prior['x'][2]} nodes x = {prior['x'][0]:.3g} ... {prior['x'][1]:.3g}",
        "search": f"{search['minimizer']}, seed {search['seed']}, definition {search['definition']}, iteration "
        f"{search['iteration']}, {search['seconds']:.1f} s\nbudget {search['budget']}; {end_text(search)}",
        "selection": f"[bold]{selection['n_rep']}[/] replicas, ERF [bold cyan]{selection['erf']:.6g}[/], "
        f"{gain:.1f} times below the median random subset ({random['median']:.3g})\n"
        f"{optimum_text(search['local_optimum'])}",
    }
    more = facts.get("enhanced")
    if more:
        rows["prior"] += f"\nselected from [bold]{escape(more['name'])}[/], {more['members']} replicas"
    if prior.get("parents"):
        rows["prior"] += "".join(f"\n{escape(parent_line(parent))}" for parent in prior["parents"])
    if len(history):
        line = sparkline(history, max(columns - 40, 20))
        rows["convergence"] = f"{history[0]:.3g} [cyan]{line}[/] {history[-1]:.4g}"
    if facts.get("polish"):
        rows["polish"] = escape("\n".join(polish_lines(facts["polish"])))
    return _grid(rows)


def _table(title: str, *columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(
        title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", no_wrap=number == 0)
    return table


def _phases(phases: list[dict[str, Any]]) -> Table:
    table = _table("", "phase", "ERF", "evaluations", "time", "end")
    for one in phases:
        name = f"[bold cyan]{one['name']}[/]" if one["best"] else one["name"]
        end = one["ended_by"] if one["status"] == "complete" else f"running, iteration {one['iteration']}"
        table.add_row(
            name,
            "" if one["erf"] is None else f"{one['erf']:.6g}",
            str(one["evaluations"] or 0),
            f"{one['seconds']:.1f} s",
            f"{end}, local optimum" if one["local_optimum"] else str(end),
        )
    return table


def _estimators(facts: dict[str, Any]) -> Table:
    table = _table("", "estimator", "ERF", "random", "68 %", "normalisation", "+-")
    for name, one in facts["estimators"].items():
        random = one["random"]
        # worse than most random subsets is worth a look
        colour = "green" if one["erf"] < random["low"] else "yellow" if one["erf"] < random["high"] else "red"
        table.add_row(
            name,
            f"[{colour}]{one['erf']:.4g}[/]",
            f"{random['median']:.3g}",
            f"{random['low']:.2g} to {random['high']:.2g}",
            f"{one['normalisation']:.5g}",
            f"{100 * one['uncertainty']:.1f} %",
        )
    return table


def _worst(worst: dict[str, list[dict[str, Any]]]) -> Table:
    table = _table("worst points", "estimator", "share", "flavour", "x", "region", "prior", "selection")
    for name, points in worst.items():
        for number, point in enumerate(points):
            table.add_row(
                name if number == 0 else "",
                f"{100 * point['share']:.1f} %",
                str(point["flavour"]),
                f"{point['x']:.4g}",
                "" if point["region"] is None else str(point["region"] + 1),
                f"{point['prior']:.4g}",
                f"{point['subset']:.4g}",
            )
    return table


def _launches(launches: list[dict[str, Any]]) -> Table:
    from rich.markup import escape

    table = _table("", "launch", "host", "ranks", "nodes", "threads", "from", "end")
    for row in launches:
        keys = ("started", "host", "ranks", "nodes", "threads", "first_iteration", "end")
        # to the second is enough on a screen
        table.add_row(*(escape(str(row[key])[:19]) for key in keys))
    return table


def _provenance(facts: dict[str, Any]) -> Table:
    from rich.markup import escape

    prior = facts["prior"]
    rows = {
        "created": f"{facts['created']}, updated {facts['updated']}, layout {facts['schema_version']}",
        "prior": f"sha256 {prior['sha256'][:16]}..., {prior['constant_points']} constant points and "
        f"{prior['dropped_correlation_points']} dependent correlation points left out",
        "versions": escape(", ".join(f"{name} {number}" for name, number in facts["versions"].items())),
    }
    if facts["launches"]:
        rows["MPI"] = escape(str(facts["launches"][-1]["mpi"]).splitlines()[0])
    if facts.get("auto"):
        rows["auto"] = escape(f"the smallest size that meets the {facts['auto']['target']}")
    if facts["compressed_set"]:
        rows["set"] = escape(str(facts["compressed_set"]))
    return _grid(rows)
