"""Facts about a prior and a search in words, the same in every command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compress_mpi.io.report.axes import human_bytes
from compress_mpi.io.store import Tree

__all__ = [
    "beside",
    "budget_text",
    "end_of_search",
    "end_text",
    "human_bytes",
    "human_seconds",
    "optimum_text",
    "parent_line",
    "scale_text",
]


def scale_text(q0: float | Sequence[float]) -> str:
    """Such as ``1.65 GeV`` or ``1.65, 10, 100 GeV``."""
    scales = q0 if isinstance(q0, Sequence) else [q0]
    return ", ".join(f"{q:g}" for q in scales) + " GeV"


def parent_line(parent: Mapping[str, Any]) -> str:
    """One set of a combined prior, such as ``100 replicas of A (hessian, 90 % CL, seed 3)``."""
    level = parent["confidence_level"]
    at = f", {level:.4g} % CL" if level is not None else ""
    return f"{parent['replicas']} replicas of {parent['name']} ({parent['error_type']}{at}, seed {parent['seed']})"


def budget_text(minimization: Mapping[str, Any]) -> str:
    """How long a search may go on, such as ``15000 iterations`` or ``60 s, or 500 iterations without a lower ERF``.

    Parameters
    ----------
    minimization : mapping
        Section of a runcard, from a result of any release.
    """
    if minimization.get("max_seconds") is not None:
        text = f"{minimization['max_seconds']:g} s"
    elif minimization.get("max_evaluations") is not None:
        text = f"{minimization['max_evaluations']} evaluations"
    else:
        text = f"{minimization['max_iteration']} iterations"
    quiet = minimization.get("stagnation")
    return text if quiet is None else f"{text}, or {quiet} iterations without a lower ERF"


def end_of_search(tree: Tree) -> dict[str, Any]:
    """Budget, evaluations, what ended the search, and whether the end is certified; JSON-able.

    Results of earlier releases noted nothing but the budget: the others are None.
    """
    at = tree.attributes
    evaluations, ended_by = at.get(("/history", "evaluations")), at.get(("/history", "ended_by"))
    certified = at.get(("/selection", "local_optimum"))
    return {
        "budget": budget_text(json.loads(tree.datasets["/settings"])["minimization"]),
        "evaluations": None if evaluations is None else int(evaluations),
        "ended_by": None if ended_by is None else str(ended_by),
        "local_optimum": None if certified is None else bool(certified),
    }


def end_text(search: Mapping[str, Any]) -> str:
    """What a search has done and what ended it, such as ``2400000 evaluations, ended by budget``.

    Parameters
    ----------
    search : mapping
        With ``evaluations`` and ``ended_by``, None in results of a release that did not note them.
    """
    if search["evaluations"] is None:
        return "evaluations not noted"
    end = "" if search["ended_by"] == "running" else f", ended by {search['ended_by']}"
    return f"{search['evaluations']} evaluations{end}"


def optimum_text(local_optimum: bool | None) -> str:
    """Whether the selection is known to be a local optimum."""
    if local_optimum:
        return "no single swap of a replica lowers the ERF: all were tried"
    return "not certified as a local optimum"


def beside(file: Path, folders: Sequence[Path]) -> list[Path]:
    """Folders to look for the sets of a result in: those given, then where a combined prior and an enhanced set lie.

    Parameters
    ----------
    file : Path
        A result, or a ``compress_*_output.dat``, which lies one folder deeper.
    folders : sequence of Path
    """
    folder = Path(file).absolute().parent
    folder = folder.parent if file.suffix == ".dat" else folder
    return [*folders, folder, folder / "lhapdf"]


def human_seconds(seconds: float) -> str:
    """Such as ``12 s``, ``3 min`` or ``2 h 05 min``."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
