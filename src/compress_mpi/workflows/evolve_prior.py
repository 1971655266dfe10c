"""What the prior says about an evolution: its theory, its knots, and how far re-evolution moves it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError
from compress_mpi.io.backends import read_members
from compress_mpi.io.infofile import parse_info, read_info_text
from compress_mpi.io.knots import KnotLayout, at_knot, knot_layout, read_knots
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.methods.evolution.apply import EXPORT_PIDS
from compress_mpi.methods.evolution.cards import DEFAULT_SOLVER, Cards, Solver, eko_cards
from compress_mpi.methods.evolution.library import eko_module
from compress_mpi.methods.evolution.placement import Evolver, Knots
from compress_mpi.methods.evolution.shift import Shift, is_noticeable, shifts
from compress_mpi.methods.evolution.theory import Theory, active_flavours, theory_of
from compress_mpi.types import FloatArray
from compress_mpi.workflows.combine import find_set
from compress_mpi.workflows.operator_cache import default_cache
from compress_mpi.workflows.operators import Evolution, EvolutionPlan, find_evolver, plan_evolution

__all__ = [
    "Source",
    "coupling_warning",
    "evolution_of",
    "find_source",
    "prior_shift",
    "reference_scale",
    "shift_lines",
    "theory_in",
]

COMPARED = 100
"""Replicas of the prior that are re-evolved to be compared with its grids; fewer where it has fewer."""

_REFERENCE_Q = 10.0
_BLOCK = 10
_COUPLING_PERCENT = 0.5
_NAMES = {21: "g", 1: "d", 2: "u", 3: "s", 4: "c", 5: "b", 6: "t", 22: "photon"}


@dataclass(frozen=True)
class Source:
    """Where theory and knots come from.

    Attributes
    ----------
    path : Path
        The ``.info`` file.
    text : str
        Its content.
    info : dict
    pdfset : PDFSet or None
        None where there is an ``.info`` file only, and hence no knots and nothing to compare with.
    """

    path: Path
    text: str
    info: dict[str, Any]
    pdfset: PDFSet | None


def find_source(name: str, folders: Sequence[Path]) -> Source:
    """The set of that name, or an ``.info`` file alone.

    Raises
    ------
    PDFSetError
        If there is no such set or file.
    """
    path = Path(name).expanduser()
    if path.suffix == ".info" and path.is_file():
        text = read_info_text(path)
        return Source(path, text, parse_info(text), None)
    pdfset = find_set(name, folders)
    return Source(pdfset.info_path, read_info_text(pdfset.info_path), pdfset.info, pdfset)


def theory_in(path: Path, info: Mapping[str, Any]) -> Theory:
    """`theory_of` with the file named in its error.

    Raises
    ------
    PDFSetError
    """
    try:
        return theory_of(info)
    except ValueError as error:
        raise PDFSetError(f"{path}: {error}") from error


def evolution_of(
    pdfset: PDFSet,
    q0: float,
    source: FloatArray,
    team: Any,
    cache: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda text: None,
    solver: Solver = DEFAULT_SOLVER,
) -> Evolution | None:
    """What takes densities at one scale to the knots of a set's own members; collective.

    Rows of its evolver belong to ``knot_layout(pdfset)``, so that new members have the knots of the old.

    Parameters
    ----------
    pdfset : PDFSet
        Gives theory and knots.
    q0 : float
        GeV.
    source : float64 (nx,)
        Nodes of the densities: from the lowest x knot of the set, or below, to 1.
    team : MPITeam or SerialTeam
    cache : Path, optional
        Folder of operators; by default the user's.
    stop, say : callable
        As in `find_evolver`.
    solver : Solver

    Returns
    -------
    Evolution or None
        None if it was stopped; its finished parts are kept.

    Raises
    ------
    LaunchError, PDFSetError, OutputError
        On all ranks.
    """
    plan = team.on_root(lambda: _plan_of(pdfset, q0, source, solver))
    folder = team.on_root(lambda: cache or default_cache())
    return find_evolver(plan, folder, team, stop, say)


def _plan_of(pdfset: PDFSet, q0: float, source: FloatArray, solver: Solver) -> EvolutionPlan:
    layout = knot_layout(pdfset)
    theory = theory_in(pdfset.info_path, pdfset.info)
    try:
        return plan_evolution(theory, q0, source, Knots(layout.x, layout.q, layout.pids), solver)
    except ValueError as error:
        raise PDFSetError(f"{pdfset.path}: {error}") from error


def coupling_warning(info: Mapping[str, Any], theory: Theory, cards: Cards) -> str | None:
    """What has to be said where alpha_s as evolved with is not that of the set's table; None if nothing."""
    scales, values = info.get("AlphaS_Qs"), info.get("AlphaS_Vals")
    if not (isinstance(scales, list) and isinstance(values, list)):
        return None
    pairs = [(q, v) for q, v in zip(scales, values, strict=False) if isinstance(q, float | int) and v]
    coupling = eko_module("eko.runner.commons").couplings(*eko_cards(cards))
    found = [4 * np.pi * coupling.a_s(q * q, nf_to=active_flavours(theory, q)) for q, _ in pairs]
    off = [100 * abs(a / v - 1) for a, (_, v) in zip(found, pairs, strict=True)]
    if not off or max(off) < _COUPLING_PERCENT:
        return None
    worst = int(np.argmax(off))
    return (
        f"alpha_s of the evolution differs from AlphaS_Vals by up to {off[worst]:.2g} % "
        f"(at Q = {pairs[worst][0]:g} GeV)"
    )


def prior_shift(
    pdfset: PDFSet, evolver: Evolver, layout: KnotLayout, q0: float, team: Any, backend: str = "auto"
) -> tuple[int, list[Shift]]:
    """Re-evolve replicas of the prior and compare with its grids at the knot nearest to 10 GeV; collective.

    Parameters
    ----------
    pdfset : PDFSet
        The prior; its scales are those of the evolver.
    evolver : Evolver
    layout : KnotLayout
        Of the evolver's rows; x knots that the prior has too are compared.
    q0 : float
        GeV.
    team : MPITeam or SerialTeam
    backend : str

    Returns
    -------
    int
        Number of replicas compared: the first hundred, or all.
    list of Shift
    """
    own = team.on_root(lambda: knot_layout(pdfset))
    members = range(1, min(COMPARED, pdfset.n_rep) + 1)
    parts = [members[k : k + _BLOCK] for k in range(0, len(members), _BLOCK)]
    start_from = evolver.from_nodes()

    def compare(part: range) -> tuple[float, FloatArray, FloatArray]:
        original = np.empty((len(part), own.size))
        read_knots(pdfset, part, own, original)
        start = read_members(pdfset, part, EXPORT_PIDS, evolver.nodes, q0, backend)
        q, x, one = at_knot(own, original, reference_scale(own))
        _, nodes, two = at_knot(layout, start_from.rows(start), reference_scale(own))
        _, first, second = np.intersect1d(x, nodes, return_indices=True)
        return q, one[:, :, first], two[:, :, second]

    found = team.map(compare, parts)
    original, evolved = (np.concatenate([part[k] for part in found]) for k in (1, 2))
    return len(members), shifts(own.flavours, found[0][0], original, evolved)


def reference_scale(layout: KnotLayout) -> float:
    """10 GeV, or the end of the grids that is next to it."""
    low, high = layout.q[0][0], layout.q[-1][-1]
    return min(max(_REFERENCE_Q, low), high)


def shift_lines(name: str, n_rep: int, found: Sequence[Shift]) -> list[str]:
    """The shift of every flavour as sentences, the first of which says whether it matters."""
    if not found:
        return [f"{name}: its replicas have no spread to compare re-evolved ones with"]
    verdict = "differ noticeably from" if is_noticeable(found) else "agree with"
    head = (
        f"re-evolved replicas {verdict} the grids of {name} (mean of {n_rep}, Q = {found[0].q:g} GeV, "
        "median over x; std: of the replicas)"
    )
    return [
        head,
        *(
            f"  {_name(s.pid):>6}: {s.percent:.2g} %, {s.deviations:.2g} std (largest {s.worst:.2g} std)"
            for s in found
        ),
    ]


def _name(pid: int) -> str:
    return _NAMES[pid] if pid in _NAMES else f"{_NAMES.get(-pid, -pid)}bar"
