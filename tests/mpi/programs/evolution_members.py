"""Combinations of replicas at one scale, evolved to the knots of their set. Usage: ... SETS CACHE OUT.npy."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from compress_mpi.io.backends import read_members
from compress_mpi.io.knots import knot_layout
from compress_mpi.io.pdfset import open_set
from compress_mpi.methods.evolution.apply import EXPORT_PIDS, ROWS
from compress_mpi.methods.evolution.cards import Solver
from compress_mpi.parallel.team import world_team
from compress_mpi.workflows.evolve_prior import evolution_of
from compress_mpi.workflows.evolved_knots import evolved_knots


def main(sets: Path, cache: Path, out: Path) -> None:
    team = world_team()
    pdfset = open_set("toy", [sets])
    layout = knot_layout(pdfset)
    x = np.array(layout.x[0])
    evolution = evolution_of(pdfset, 2.0, x, team, cache, solver=Solver(1, 2))
    assert evolution is not None
    weights = np.random.default_rng(6).dirichlet(np.ones(20), 70)
    start = read_members(pdfset, range(1, 21), EXPORT_PIDS, x, 2.0)
    values = np.tensordot(weights, start, 1)
    blocks = [values[k : k + ROWS] for k in range(0, len(values), ROWS)]
    rows = np.concatenate(team.map(evolution.evolver.rows, blocks))
    assert rows.shape == (70, layout.size)
    if team.rank == 0:
        np.save(out, rows)
        out.with_suffix(".cached").write_text(str(evolution.cached))
    evolution.free()
    prior = evolved_knots(pdfset, 2.0, team, cache, solver=Solver(1, 2))
    assert prior is not None
    assert not prior.noticeable, prior.lines
    if team.rank == 0:
        np.save(out.with_suffix(".prior.npy"), prior.shared.array)
        out.with_suffix(".lines").write_text("\n".join(prior.lines))
    prior.shared.free()
    team.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
