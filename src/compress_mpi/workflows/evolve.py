"""Evolve a folder of export grids to LHAPDF members, as evolven3fit does, over all ranks."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import EXIT_REQUEUE, OutputError, PDFSetError
from compress_mpi.io.atomic import atomic_write
from compress_mpi.io.exportfolder import read_alike
from compress_mpi.io.gridfile import grid_text
from compress_mpi.io.gridtypes import GridFile
from compress_mpi.io.infofile import updated_info
from compress_mpi.io.setfolder import MARK
from compress_mpi.methods.evolution.apply import ROWS
from compress_mpi.methods.evolution.library import eko_version
from compress_mpi.methods.evolution.placement import Evolver
from compress_mpi.parallel.shared import SharedArray
from compress_mpi.types import FloatArray
from compress_mpi.workflows.evolve_plan import EvolveOptions, Job, prepare
from compress_mpi.workflows.evolve_prior import prior_shift, shift_lines
from compress_mpi.workflows.operator_cache import default_cache
from compress_mpi.workflows.operators import find_evolver

__all__ = ["EvolveOptions", "run"]

_HEADER = "PdfType: replica\nFormat: lhagrid1"
_DIGITS = 9


def run(options: EvolveOptions, team: Any, signals: Any) -> int:
    """Evolve the folder; collective.

    Parameters
    ----------
    options : EvolveOptions
    team : MPITeam or SerialTeam
    signals : StopSignals

    Returns
    -------
    int
        Exit code: 0, or 85 where it was told to stop; its operators are kept then.

    Raises
    ------
    LaunchError, PDFSetError, OutputError
        On all ranks.
    """
    team.together(eko_version)
    say = _quiet if options.quiet else _progress
    job = team.on_root(lambda: prepare(options))
    team.on_root(lambda: _warn(job.warnings))
    values = _read(job, options, team)
    cache = team.on_root(lambda: options.cache or default_cache())
    found = find_evolver(job.plan, cache, team, lambda: signals.received is not None, say)
    if found is None:
        team.on_root(lambda: _warn(["stopped; finished parts are kept: start the same command again"]))
        return EXIT_REQUEUE
    team.on_root(lambda: _warn(found.warnings))
    shift = _compare(job, found.evolver, options, team)
    _evolve(job, found.evolver, values.array, team)
    team.on_root(lambda: _finish(job, shift))
    found.free()
    values.free()
    return 0


def _compare(job: Job, evolver: Evolver, options: EvolveOptions, team: Any) -> dict[str, Any]:
    """Tell, and give, the shift of the prior's own replicas; collective."""
    pdfset = job.source.pdfset
    reason = None
    if pdfset is None:
        reason = "there is an .info file only"
    elif not pdfset.q_min <= job.plan.q0 <= pdfset.q_max:
        reason = f"q0 = {job.plan.q0:g} GeV is outside the grids of {pdfset.name}"
    if pdfset is None or reason is not None:
        text = f"re-evolution was not compared with the prior: {reason}"
        team.on_root(lambda: _warn([text]))
        return {"compared": 0, "reason": text}
    n_rep, found = prior_shift(pdfset, evolver, job.layout, job.plan.q0, team, options.backend or "auto")
    lines = shift_lines(pdfset.name, n_rep, found)
    noticeable = "noticeably" in lines[0]
    team.on_root(lambda: _warn(["\n".join(lines)]) if noticeable or not found else _say(lines, options.quiet))
    return {"compared": n_rep, "shifts": [asdict(shift) for shift in found]}


def _read(job: Job, options: EvolveOptions, team: Any) -> SharedArray:
    """All export grids, float64 ``(n, 14, nx)``, one copy per node; collective."""
    paths = [job.grids[number] for number in sorted(job.grids)]
    values: SharedArray = team.shared((len(paths), *job.first.values.shape[:1], len(job.plan.source)))

    def read(rows: range) -> None:
        for row in rows:
            (grid,) = read_alike([paths[row]], options.q0, like=job.first)
            # where the nodes end below x = 1, the plan has that one more: nothing is there
            values.array[row] = 0.0
            values.array[row, :, : grid.x.size] = grid.values

    values.fill(read)
    return values


def _evolve(job: Job, evolver: Evolver, values: FloatArray, team: Any) -> None:
    """Evolve and write all replicas, in blocks of fixed size; collective."""
    info = job.nnfit / f"{job.name}.info"
    # without it nobody takes a folder that is half old and half new for a set
    team.on_root(lambda: _remove(info))
    numbers = sorted(job.grids)
    parts = [range(k, min(k + ROWS, len(numbers))) for k in range(0, len(numbers), ROWS)]

    def write(part: range) -> None:
        for k, row in zip(part, evolver.rows(values[part.start : part.stop]), strict=True):
            source = job.grids[numbers[k]]
            if not np.isfinite(row).all():
                raise PDFSetError(f"{source}: cannot be evolved, values become NaN or infinite")
            text = grid_text(GridFile(_HEADER, job.layout.subgrids(row)), _DIGITS)
            atomic_write(source.parent / f"{job.name}.dat", text)

    team.map(write, parts)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be removed ({error.strerror})") from error


def _finish(job: Job, shift: dict[str, Any]) -> None:
    facts = {
        "eko": eko_version(),
        "prior": job.source.path.stem,
        "q0": job.plan.q0,
        "theory": job.plan.cards.theory,
        "operator": job.plan.cards.operator,
        "assumptions": job.stated,
        "warnings": job.warnings,
        "shift": shift,
    }
    atomic_write(job.nnfit.parent / "evolution.json", json.dumps(facts, indent=1) + "\n")
    atomic_write(job.nnfit / f"{job.name}.info", _info(job))
    lines = ["evolved with what an .info file does not fix: " + "; ".join(job.stated)]
    print("\n".join([*lines, f"{len(job.grids)} replicas in {job.nnfit}"]))


def _info(job: Job) -> str:
    layout = job.layout
    flavours = "[" + ", ".join(map(str, layout.flavours)) + "]"
    changes: dict[str, str | int | None] = {
        "SetDesc": f"{len(job.grids)} replicas evolved by eko {eko_version()} from Q = {job.plan.q0:g} GeV",
        "SetIndex": 0,
        "NumMembers": len(job.grids) + 1,
        "ErrorType": "replicas",
        "Flavors": None,
        **dict.fromkeys(("XMin", "XMax", "QMin", "QMax")),
        # only a folder that this program wrote may be replaced by it, and no other becomes one
        MARK: f"{job.mark}; evolved by eko, operators {job.plan.name[:16]}" if job.mark else None,
    }
    x, q = layout.x[0], (layout.q[0][0], layout.q[-1][-1])
    numbers = {"XMin": x[0], "XMax": x[-1], "QMin": q[0], "QMax": q[1]}
    ends = [f"{key}: {value:.8E}" for key, value in numbers.items()]
    return updated_info(job.source.text, changes) + "\n".join([*ends, f"Flavors: {flavours}", ""])


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _quiet(text: str) -> None:
    """Say nothing."""


def _say(lines: Sequence[str], quiet: bool) -> None:
    if not quiet:
        print("\n".join(lines))


def _warn(warnings: Sequence[str]) -> None:
    for warning in warnings:
        print(f"compress-mpi: warning: {warning}", file=sys.stderr, flush=True)
