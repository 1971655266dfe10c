"""What the command ``evolve`` decides before its work starts; nothing here needs eko."""

from __future__ import annotations

import numpy as np
import pytest

from compress_mpi.errors import PDFSetError
from compress_mpi.io.exportfolder import find_exportgrids, read_alike
from compress_mpi.io.exportgrid import LABELS, ExportGrid, write_exportgrid
from compress_mpi.io.gridfile import write_grid
from compress_mpi.io.gridtypes import GridFile, Subgrid
from compress_mpi.workflows.evolve_plan import EvolveOptions, prepare

X = np.array([1e-4, 1e-3, 1e-2, 0.1, 0.3, 0.6, 1.0])
PIDS = (-3, -2, -1, 21, 1, 2, 3)
INFO = """SetDesc: "A set"
NumMembers: 2
Flavors: [-3, -2, -1, 21, 1, 2, 3]
OrderQCD: 1
NumFlavors: 5
ErrorType: replicas
XMin: 1e-4
XMax: 1.0
QMin: 1.3
QMax: 100.0
MZ: 91.2
MCharm: 1.4
MBottom: 4.5
MTop: 170.0
AlphaS_MZ: 0.118
"""


@pytest.fixture
def sets(tmp_path):
    folder = tmp_path / "sets" / "some"
    folder.mkdir(parents=True)
    (folder / "some.info").write_text(INFO)
    q = np.array([1.3, 2.0, 5.0, 100.0])
    grid = Subgrid(X, q, PIDS, np.full((X.size, q.size, len(PIDS)), 0.5))
    for k in range(2):
        write_grid(folder / f"some_{k:04d}.dat", GridFile("PdfType: replica\nFormat: lhagrid1", (grid,)))
    return tmp_path / "sets"


def folder_of(tmp_path, q0=1.65, x=X, charm=0.1, name="some_enhanced"):
    values = np.full((len(LABELS), len(x)), 0.3)
    for label in ("TBAR", "BBAR", "B", "T", "PHT"):
        values[LABELS.index(label)] = 0.0
    for label in ("C", "CBAR"):
        values[LABELS.index(label)] = charm
    for k in (1, 2):
        replica = tmp_path / name / "nnfit" / f"replica_{k}"
        replica.mkdir(parents=True)
        write_exportgrid(replica / "fit.exportgrid", ExportGrid(k, q0 * q0, x, values))
    return tmp_path / name


def plan(folder, sets, **options):
    return prepare(EvolveOptions(folder, folders=(sets,), **options))


def test_members_get_the_knots_of_the_prior(tmp_path, sets):
    job = plan(folder_of(tmp_path), sets)
    assert (job.name, sorted(job.grids), job.mark) == ("some_enhanced", [1, 2], None)
    assert (job.layout.x, job.layout.q) == ((tuple(X.tolist()),), ((1.3, 2.0, 5.0, 100.0),))
    assert job.plan.cards.operator["init"] == [1.65, 4]
    assert job.plan.cards.targets == [(1.3, 3), (2.0, 4), (5.0, 5), (100.0, 5)]
    assert job.warnings == ["Q knots from 1.3 GeV lie below q0 = 1.65 GeV: those are evolved backwards"]


def test_members_begin_where_the_export_grids_do(tmp_path, sets):
    x = np.append(np.geomspace(2e-3, 0.6, 8), 0.9)
    job = plan(folder_of(tmp_path, x=x), sets)
    assert job.layout.x == ((2e-3, 1e-2, 0.1, 0.3, 0.6, 1.0),)
    assert job.plan.source.tolist() == [*x.tolist(), 1.0]
    assert "members begin at x = 0.002, the first node of the export grids" in job.stated


def test_an_info_file_alone_is_enough(tmp_path, sets):
    job = plan(folder_of(tmp_path, name="fit"), sets, pdf=str(sets / "some" / "some.info"))
    assert (job.layout.q[0][0], job.layout.q[-1][-1]) == (1.65, 100.0)
    assert [len(set(knots)) >= 4 for knots in job.layout.q] == [True, True]
    assert {nf for _, nf in job.plan.cards.targets} == {4, 5}
    assert job.layout.x[0] == tuple(X.tolist())
    assert not job.warnings


def test_a_heavy_quark_below_its_threshold_is_told(tmp_path, sets):
    job = plan(folder_of(tmp_path, q0=1.35), sets)
    assert any("charm is not zero at q0 = 1.35 GeV, below its threshold (1.4 GeV)" in w for w in job.warnings)
    assert job.plan.cards.operator["init"] == [1.35, 3]


def test_an_active_quark_that_is_missing_is_refused(tmp_path, sets):
    folder = folder_of(tmp_path, q0=2.0, charm=0.0)
    with pytest.raises(
        PDFSetError, match=r"above the charm threshold \(1.4 GeV\), but the grids hold no charm"
    ):
        plan(folder, sets)


def test_q0_of_ganpdfs_is_understood(tmp_path, sets):
    folder = folder_of(tmp_path, q0=1.65**0.5)
    assert "q20" in plan(folder, sets).warnings[0]
    job = plan(folder, sets, q0=1.65)
    assert job.plan.q0 == 1.65
    assert "q20: 1.65 is Q0, not its square" in job.warnings[0]


def test_a_folder_whose_name_tells_no_prior_wants_one(tmp_path, sets):
    with pytest.raises(PDFSetError, match=r"does not end in '_enhanced'.* give it with --pdf"):
        plan(folder_of(tmp_path, name="fit"), sets)


def test_too_few_nodes_are_refused_with_the_file(tmp_path, sets):
    folder = folder_of(tmp_path)
    with pytest.raises(PDFSetError, match=r"fit\.exportgrid: x nodes: expected at least 9"):
        plan(folder, sets, degree=8)


def test_grids_are_found_by_number_and_compared(tmp_path):
    folder = folder_of(tmp_path)
    paths = find_exportgrids(folder)
    assert list(paths) == [1, 2]
    assert [grid.replica for grid in read_alike(list(paths.values()))] == [1, 2]
