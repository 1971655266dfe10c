"""What will be evolved, with which theory, to which knots: decided before the work starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress_mpi.errors import PDFSetError
from compress_mpi.io.exportfolder import find_exportgrids, read_alike
from compress_mpi.io.exportgrid import ExportGrid
from compress_mpi.io.infofile import read_info
from compress_mpi.io.knots import KnotLayout, knot_layout
from compress_mpi.io.setfolder import MARK
from compress_mpi.methods.evolution.apply import EXPORT_PIDS
from compress_mpi.methods.evolution.cards import Solver
from compress_mpi.methods.evolution.placement import MOST_NODES, Knots, standard_scales
from compress_mpi.methods.evolution.theory import Theory, active_flavours, assumptions
from compress_mpi.types import FloatArray
from compress_mpi.workflows.evolve_prior import Source, coupling_warning, find_source, theory_in
from compress_mpi.workflows.operators import EvolutionPlan, plan_evolution

__all__ = ["EvolveOptions", "Job", "prepare"]

_STANDARD_Q_MAX = 1e5
_HEAVY = ((4, "charm"), (5, "bottom"), (6, "top"))


@dataclass(frozen=True)
class EvolveOptions:
    """What the command line says.

    Attributes
    ----------
    folder : Path
        Holds ``nnfit/replica_<i>/*.exportgrid``; its name is that of the set to be.
    pdf : str or None
        Prior that gives theory and knots, or an ``.info`` file; by default that of the folder's name.
    q0 : float or None
        Scale of the grids in GeV, where their ``q20`` is in doubt.
    cache : Path or None
    folders : sequence of Path
        Where to look for sets first.
    backend : str or None
    iterations, degree : int
        See `Solver`.
    nodes : int
        Most x nodes of the operators.
    quiet : bool
    """

    folder: Path
    pdf: str | None = None
    q0: float | None = None
    cache: Path | None = None
    folders: Sequence[Path] = ()
    backend: str | None = None
    iterations: int = Solver.iterations
    degree: int = Solver.degree
    nodes: int = MOST_NODES
    quiet: bool = False


@dataclass(frozen=True, eq=False)
class Job:
    """Everything decided before the work starts.

    Attributes
    ----------
    name : str
        Of the set to be.
    nnfit : Path
    grids : dict of int to Path
        Export grids by replica number.
    first : ExportGrid
        Of replica 1; all others are at its scale and on its nodes.
    source : Source
    theory : Theory
    layout : KnotLayout
        Of the members to be.
    plan : EvolutionPlan
    stated : list of str
        What was taken for granted.
    warnings : list of str
    mark : str or None
        What made the folder, where that was this program.
    """

    name: str
    nnfit: Path
    grids: dict[int, Path]
    first: ExportGrid
    source: Source
    theory: Theory
    layout: KnotLayout
    plan: EvolutionPlan
    stated: list[str]
    warnings: list[str]
    mark: str | None


def prepare(options: EvolveOptions) -> Job:
    """Read one grid and the prior, and decide everything; serial.

    Parameters
    ----------
    options : EvolveOptions

    Raises
    ------
    PDFSetError
        If the folder, the prior or the scale will not do.
    """
    folder = Path(options.folder).expanduser().absolute()
    grids = find_exportgrids(folder)
    first = read_alike([grids[1]], options.q0)[0]
    source = find_source(options.pdf or _prior_name(folder), options.folders)
    theory = theory_in(source.path, source.info)
    q0 = float(f"{np.sqrt(first.q20):.12g}")  # 1.65 again, whatever the root of its square rounds to
    layout, stated = _layout(source, theory, q0, first.x)
    knots = Knots(layout.x, layout.q, layout.pids)
    solver = Solver(options.iterations, options.degree)
    try:
        plan = plan_evolution(theory, q0, _with_one(first.x), knots, solver, options.nodes)
    except ValueError as error:
        raise PDFSetError(f"{grids[1]}: {error}") from error
    warnings = [text for text in (first.warning, coupling_warning(source.info, theory, plan.cards)) if text]
    warnings += _start_warnings(theory, q0, first, layout)
    stated = [*assumptions(source.info, theory), *stated]
    mark = _mark(folder)
    return Job(
        folder.name, folder / "nnfit", grids, first, source, theory, layout, plan, stated, warnings, mark
    )


def _mark(folder: Path) -> str | None:
    """Who made a run folder: from its ``.info`` file, or from what an interrupted evolution left."""
    info = folder / "nnfit" / f"{folder.name}.info"
    if info.is_file():
        known = read_info(info).get(MARK)
        return None if known is None else str(known).partition("; evolved")[0]
    return "enhanced set" if (folder / f"{folder.name}.h5").is_file() else None


def _prior_name(folder: Path) -> str:
    if not folder.name.endswith("_enhanced"):
        raise PDFSetError(
            f"{folder}: its name does not end in '_enhanced', so that the prior is not known; give it with --pdf"
        )
    return folder.name.removesuffix("_enhanced")


def _with_one(x: FloatArray) -> FloatArray:
    """Nodes up to x = 1, where parton densities vanish."""
    return x if x[-1] == 1.0 else np.append(x, 1.0)


def _layout(source: Source, theory: Theory, q0: float, x: FloatArray) -> tuple[KnotLayout, list[str]]:
    """Knots of the members to be: the prior's own, as far as the export grids reach."""
    if source.pdfset is None:
        q = standard_scales(theory, q0, float(source.info.get("QMax", _STANDARD_Q_MAX)))
        nodes = tuple(_with_one(x).tolist())
        return KnotLayout((nodes,) * len(q), q, EXPORT_PIDS, source.path), [
            f"no set to take knots from: {sum(map(len, q))} Q knots from q0 up, x nodes of the export grids"
        ]
    layout = knot_layout(source.pdfset)
    if all(knots[0] >= x[0] for knots in layout.x):
        return layout, []
    low = float(x[0])
    cut = tuple((low, *(node for node in knots if node > low)) for knots in layout.x)
    return KnotLayout(cut, layout.q, layout.pids, layout.path), [
        f"members begin at x = {low:g}, the first node of the export grids"
    ]


def _start_warnings(theory: Theory, q0: float, first: ExportGrid, layout: KnotLayout) -> list[str]:
    """What is odd about the flavours at the start.

    Raises
    ------
    PDFSetError
        If a quark that is active there is nowhere to be found.
    """
    nf = active_flavours(theory, q0)
    size = {pid: float(np.abs(first.values[EXPORT_PIDS.index(pid)]).max()) for pid, _ in _HEAVY}
    top = max(size.values()) if any(size.values()) else 0.0
    found = []
    for pid, name in _HEAVY:
        threshold = theory.thresholds[pid - 4]
        if pid <= nf and size[pid] == 0 and q0 > 1.01 * threshold:
            raise PDFSetError(
                f"replica {first.replica}: q0 = {q0:g} GeV is above the {name} threshold ({threshold:g} GeV), "
                f"but the grids hold no {name}; give the scale they are really at with --q0, or another --pdf"
            )
        if pid > nf and size[pid] > 1e-6 * max(top, 1.0):
            found.append(
                f"{name} is not zero at q0 = {q0:g} GeV, below its threshold ({threshold:g} GeV): it is taken "
                "for intrinsic, and does not evolve before the threshold"
            )
    lowest = layout.q[0][0]
    if lowest < q0 * (1 - 1e-5):
        found.append(f"Q knots from {lowest:g} GeV lie below q0 = {q0:g} GeV: those are evolved backwards")
    return found
