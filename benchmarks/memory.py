"""The prior exists once per node, however many ranks there are: seen in the memory of every rank."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from case import Scale
from jobs import finish, start
from measures import Outcome

__all__ = ["measure", "summarise"]

ABOUT = "memory of the ranks of one node that load a prior together"
_PROGRAM = Path(__file__).with_name("memory_rank.py")
_MIB = 2.0**20


def measure(
    scale: Scale,
    pdf: str = "demo",
    folders: Sequence[Path] = (),
    lowest: float = 1.1e-5,
    highest: float = 0.9,
) -> Outcome:
    """One job whose ranks load a fine grid.

    Parameters
    ----------
    scale : Scale
        ``memory_ranks`` ranks and ``memory_nodes`` x nodes.
    lowest, highest : float
        First and last x node, inside the range of the set.

    Raises
    ------
    JobError
        If the job fails, for instance where /proc has no smaps_rollup (Linux has it).
    """
    request = {
        "pdf": pdf,
        "folders": [str(folder.resolve()) for folder in folders],
        "nodes": scale.memory_nodes,
        "lowest": lowest,
        "highest": highest,
    }
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as folder:
        words = [sys.executable, _PROGRAM, json.dumps(request)]
        job = start(scale.memory_ranks, words, Path(folder))
        found = json.loads(finish(job))
    return summarise(found, pdf)


def summarise(found: dict[str, Any], pdf: str) -> Outcome:
    """From what the ranks said to measurements; one value per rank, or one for all."""
    grid, ranks = found["grid"], found["ranks"]
    settings = {"set": pdf, "ranks": len(ranks), "grid": " x ".join(map(str, found["shape"]))}
    outcome = Outcome(
        ABOUT,
        settings,
        notes=[
            "PSS, the proportional set size, counts a page that n processes share as 1/n in each; resident"
            " memory counts it in full, and includes what reading needs for a moment",
            "before: with the same set on the small published grid, so that the libraries are loaded already",
        ],
    )
    outcome.add("grid", "MiB", [grid / _MIB])
    outcome.add("PSS per rank, nothing read yet", "MiB", _each(ranks, "connected", "pss"))
    outcome.add("PSS per rank before", "MiB", _each(ranks, "reader", "pss"))
    outcome.add("PSS per rank with the grid", "MiB", _each(ranks, "loaded", "pss"))
    outcome.add("private memory per rank with the grid", "MiB", _each(ranks, "loaded", "private"))
    outcome.add("most resident memory per rank", "MiB", [rank["peak"] / _MIB for rank in ranks])
    outcome.add("sum of PSS increases / grid", "x", [_increase(ranks, "pss") / grid])
    outcome.add("sum of private increases / grid", "x", [_increase(ranks, "private") / grid])
    for number, rank in enumerate(ranks):
        before, after = (rank[when]["pss"] / _MIB for when in ("reader", "loaded"))
        peak = rank["peak"] / _MIB
        outcome.notes.append(
            f"rank {number}: PSS {before:.1f} -> {after:.1f} MiB, resident at most {peak:.1f}"
        )
    return outcome


def _each(ranks: list[dict[str, Any]], when: str, kind: str) -> list[float]:
    return [rank[when][kind] / _MIB for rank in ranks]


def _increase(ranks: list[dict[str, Any]], kind: str) -> float:
    return float(sum(rank["loaded"][kind] - rank["reader"][kind] for rank in ranks))
