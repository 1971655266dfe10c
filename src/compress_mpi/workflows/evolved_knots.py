"""All replicas of a prior, evolved anew from one scale to its own knots.

Evolution is linear: a new replica that is a weighted sum of these rows is what the same sum
of the replicas at that scale evolves to, so that one evolution of the prior serves every
enhancement of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.io.backends import read_members
from compress_mpi.io.knots import KnotLayout, at_knot, knot_layout, read_knots
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.methods.evolution.apply import EXPORT_PIDS, ROWS
from compress_mpi.methods.evolution.cards import DEFAULT_SOLVER, Solver
from compress_mpi.methods.evolution.placement import Evolver
from compress_mpi.methods.evolution.shift import Shift, is_noticeable, shifts
from compress_mpi.parallel.shared import SharedArray
from compress_mpi.types import FloatArray
from compress_mpi.workflows.evolve_prior import COMPARED, evolution_of, reference_scale, shift_lines

__all__ = ["EvolvedKnots", "evolved_knots"]


@dataclass(frozen=True, eq=False)
class EvolvedKnots:
    """The prior, evolved.

    Attributes
    ----------
    shared : SharedArray
        float64 (R, P): replicas 1 to R on ``knot_layout(pdfset)``; one copy per node. The caller frees it.
    shifts : list of Shift
        How far the mean of the first hundred is from that of the prior's own grids.
    lines : list of str
        The same in words.
    noticeable : bool
        Whether that has to be a warning.
    warnings : tuple of str
        What was found damaged in the cache.
    """

    shared: SharedArray
    shifts: list[Shift]
    lines: list[str]
    noticeable: bool
    warnings: tuple[str, ...]


def evolved_knots(
    pdfset: PDFSet,
    q0: float,
    team: Any,
    cache: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda text: None,
    backend: str = "auto",
    solver: Solver = DEFAULT_SOLVER,
) -> EvolvedKnots | None:
    """Read all replicas at ``q0``, evolve them to the knots of their own files, and compare; collective.

    Parameters
    ----------
    pdfset : PDFSet
    q0 : float
        GeV, inside the grids of the set.
    team : MPITeam or SerialTeam
    cache : Path, optional
        Folder of operators; by default the user's.
    stop, say : callable
        As in `find_evolver`.
    backend : str
    solver : Solver

    Returns
    -------
    EvolvedKnots or None
        None if it was stopped; finished parts of the operators are kept.

    Raises
    ------
    LaunchError, PDFSetError, OutputError
        On all ranks.
    """
    layout = team.on_root(lambda: knot_layout(pdfset))
    nodes = np.unique(np.concatenate([np.array(x) for x in layout.x]))
    evolution = evolution_of(pdfset, q0, nodes, team, cache, stop, say, solver)
    if evolution is None:
        return None
    evolver = evolution.evolver.from_nodes()
    shared: SharedArray = team.shared((pdfset.n_rep, layout.size))
    shared.fill(lambda rows: _fill(shared.array, rows, pdfset, evolver, q0, backend))
    evolution.free()
    found = team.on_root(lambda: _shifts(pdfset, layout, shared.array))
    lines = shift_lines(pdfset.name, min(COMPARED, pdfset.n_rep), found)
    return EvolvedKnots(shared, found, lines, is_noticeable(found), evolution.warnings)


def _fill(array: FloatArray, rows: range, pdfset: PDFSet, evolver: Evolver, q0: float, backend: str) -> None:
    # blocks are those of the set, not of the rank: the same bits on any number of ranks
    for first in range(rows.start - rows.start % ROWS, rows.stop, ROWS):
        block = range(first, min(first + ROWS, pdfset.n_rep))
        members = [row + 1 for row in block]
        evolved = evolver.rows(read_members(pdfset, members, EXPORT_PIDS, evolver.nodes, q0, backend))
        mine = range(max(block.start, rows.start), min(block.stop, rows.stop))
        array[mine.start : mine.stop] = evolved[mine.start - first : mine.stop - first]


def _shifts(pdfset: PDFSet, layout: KnotLayout, evolved: FloatArray) -> list[Shift]:
    count = min(COMPARED, pdfset.n_rep)
    original = np.empty((count, layout.size))
    read_knots(pdfset, range(1, count + 1), layout, original)
    q, _, one = at_knot(layout, original, reference_scale(layout))
    two = at_knot(layout, evolved[:count], reference_scale(layout))[2]
    return shifts(layout.flavours, q, one, two)
