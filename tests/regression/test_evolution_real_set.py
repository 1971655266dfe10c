"""Next-to-leading-order evolution of a published set from one scale, against its own grids."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.io.backends import read_members
from compress_mpi.io.knots import at_knot, knot_layout, read_knots
from compress_mpi.io.pdfset import open_set, search_paths
from compress_mpi.methods.evolution.apply import EXPORT_PIDS
from compress_mpi.methods.evolution.placement import Knots
from compress_mpi.methods.evolution.shift import is_noticeable, shifts
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.workflows.evolve_prior import coupling_warning, theory_in
from compress_mpi.workflows.operators import find_evolver, plan_evolution

NAME, Q0, Q = "JAM21PDF_proton_nlo", 1.65, 9.68869
CACHE = os.environ.get("COMPRESS_MPI_TEST_EKO", "")

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        importlib.util.find_spec("eko") is None, reason="eko is not installed (extra 'evolution')"
    ),
    pytest.mark.skipif(
        not CACHE,
        reason="COMPRESS_MPI_TEST_EKO names no folder for operators; the first run compiles eko for a quarter "
        "of an hour with 4 GB",
    ),
    pytest.mark.skipif(
        not any((path / NAME / f"{NAME}.info").is_file() for path in search_paths()),
        reason=f"{NAME} is not below LHAPDF_DATA_PATH",
    ),
]


def test_shift_of_a_set_evolved_by_another_program_is_of_the_known_size():
    """Per mille to per cent: an .info file does not fix how the equations were solved."""
    pdfset = open_set(NAME)
    layout = knot_layout(pdfset)
    theory, x = theory_in(pdfset.info_path, pdfset.info), np.array(layout.x[0])
    plan = plan_evolution(theory, Q0, x, Knots((layout.x[0],), ((Q,),), layout.pids))
    assert coupling_warning(pdfset.info, theory, plan.cards) is None
    evolution = find_evolver(plan, Path(CACHE), SerialTeam())
    assert evolution is not None
    members = range(1, 101)
    prior = np.empty((len(members), layout.size))
    read_knots(pdfset, members, layout, prior)
    _, _, own = at_knot(layout, prior, Q)
    rows = evolution.evolver.rows(read_members(pdfset, members, EXPORT_PIDS, x, Q0))
    evolved = np.moveaxis(rows.reshape(len(members), x.size, len(layout.pids)), 1, 2)
    middle = (x > 1e-4) & (x < 0.6)
    found = {s.pid: s for s in shifts(layout.flavours, Q, own[:, :, middle], evolved[:, :, middle])}
    assert all(0.1 < found[pid].percent < 1.5 for pid in (21, 1, 2))
    assert all(0.1 < found[pid].deviations < 1.0 for pid in (21, 1, 2))
    assert 1.0 < found[5].deviations < 3.0
    assert is_noticeable(list(found.values()))
