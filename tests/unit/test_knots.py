"""Knots of replicas as rows of an array: to the last bit, and back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from cli_tools import BAD
from compress_mpi.errors import PDFSetError
from compress_mpi.io.gridfile import read_grid, write_grid
from compress_mpi.io.gridtypes import GridFile, Subgrid
from compress_mpi.io.knots import (
    at_knot,
    force_positive,
    force_positive_warning,
    grid_of,
    knot_layout,
    read_knots,
)
from compress_mpi.io.pdfset import PDFSet, open_set

REAL = "JAM21PDF_proton_nlo"


@pytest.fixture
def tiny(tmp_path: Path) -> PDFSet:
    """Twelve replicas; each file has two subgrids that differ in their x knots."""
    shutil.copytree(BAD / "sets" / "tiny", tmp_path / "tiny")
    pdfset = open_set(str(tmp_path / "tiny"))
    for member in range(1, 13):
        grid = read_grid(pdfset.member_path(member))
        (one,) = grid.subgrids
        two = Subgrid(one.x[1:], one.q * 100, one.pids, one.values[1:] * 0.9)
        write_grid(pdfset.member_path(member), GridFile(grid.header, (one, two)))
    return open_set(str(tmp_path / "tiny"))


def rows_of(pdfset: PDFSet, members=range(1, 13)) -> np.ndarray:
    layout = knot_layout(pdfset)
    rows = np.full((len(members), layout.size), np.nan)
    read_knots(pdfset, members, layout, rows)
    return rows


def flat(path: Path) -> np.ndarray:
    return np.concatenate([s.values.ravel() for s in read_grid(path).subgrids])


def test_rows_are_the_numbers_of_the_files(tiny):
    layout = knot_layout(tiny)
    assert layout.shapes == ((6, 4, 7), (5, 4, 7))
    assert layout.slices == (slice(0, 168), slice(168, 308))
    assert layout.flavours == (-3, -2, -1, 1, 2, 3, 21)
    rows = rows_of(tiny)
    for member in range(1, 13):
        assert rows[member - 1].tobytes() == flat(tiny.member_path(member)).tobytes()


def test_only_the_rows_given_are_written(tiny):
    layout = knot_layout(tiny)
    shared = np.zeros((12, layout.size))
    read_knots(tiny, [5, 6], layout, shared[4:6])
    assert not shared[:4].any()
    assert not shared[6:].any()
    assert np.array_equal(shared[4:6], rows_of(tiny, [5, 6]))


def test_unusual_text_is_read_to_the_same_bits(tiny):
    before = rows_of(tiny)
    path = tiny.member_path(3)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert rows_of(tiny).tobytes() == before.tobytes()


def test_a_row_written_comes_back(tiny, tmp_path):
    layout, row = knot_layout(tiny), rows_of(tiny)[6]
    write_grid(tmp_path / "out.dat", grid_of(layout, row, "PdfType: replica\nFormat: lhagrid1"))
    assert flat(tmp_path / "out.dat").tobytes() == row.tobytes()
    assert read_grid(tmp_path / "out.dat").header == "PdfType: replica\nFormat: lhagrid1"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda s: (s[0],), ["1 subgrids", "has 2"]),
        (
            lambda s: (s[0], Subgrid(s[1].x * 0.999, s[1].q, s[1].pids, s[1].values)),
            ["subgrid 2", "x knots differ"],
        ),
        (
            lambda s: (Subgrid(s[0].x, s[0].q * 1.01, s[0].pids, s[0].values), s[1]),
            ["subgrid 1", "Q knots differ"],
        ),
        (
            lambda s: tuple(Subgrid(p.x, p.q, p.pids[::-1], p.values) for p in s),
            ["flavours [21, 3, 2, 1, -1, -2, -3]"],
        ),
    ],
)
def test_a_member_on_other_knots_is_refused(tiny, change, named):
    path = tiny.member_path(8)
    grid = read_grid(path)
    write_grid(path, GridFile(grid.header, change(grid.subgrids)))
    with pytest.raises(PDFSetError) as caught:
        rows_of(tiny)
    for word in ["tiny_0008.dat", "tiny_0001.dat", "install the set again", *named]:
        assert word in str(caught.value)


def test_a_damaged_member_is_named(tiny):
    path = tiny.member_path(2)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(PDFSetError, match=r"tiny_0002\.dat: truncated"):
        rows_of(tiny)


@pytest.mark.parametrize(("q0", "knot", "subgrid"), [(1.0, 1.0, 0), (2.2, 2.0, 0), (90.0, 100.0, 1)])
def test_values_at_the_nearest_knot(tiny, q0, knot, subgrid):
    layout, rows = knot_layout(tiny), rows_of(tiny)
    if subgrid:  # 100 GeV is in both subgrids: the upper one counts, as in LHAPDF
        q0 = 100.0
    q, x, values = at_knot(layout, rows, q0)
    assert q == knot
    expected = read_grid(tiny.member_path(4)).subgrids[subgrid]
    assert np.array_equal(x, expected.x)
    j = expected.q.tolist().index(knot)
    assert np.array_equal(values[3], expected.values[:, j].T)
    with pytest.raises(PDFSetError, match=r"q0 = 1e\+06 GeV is outside its knots"):
        at_knot(layout, rows, 1e6)


@pytest.mark.parametrize(
    ("line", "kind", "word"),
    [("", 0, None), ("ForcePositive: 0", 0, None), ("ForcePositive: 2", 2, "linear")],
)
def test_force_positive(tiny, line, kind, word):
    tiny.info_path.write_text(tiny.info_path.read_text() + line + "\n")
    pdfset = open_set(str(tiny.path))
    assert force_positive(pdfset) == kind
    warning = force_positive_warning(pdfset)
    assert (warning is None) if word is None else word in warning


def test_an_unknown_force_positive_is_refused(tiny):
    tiny.info_path.write_text(tiny.info_path.read_text() + "ForcePositive: yes\n")
    with pytest.raises(PDFSetError, match=r"tiny\.info: ForcePositive: expected 0, 1 or 2, got 'yes'"):
        force_positive(open_set(str(tiny.path)))


@pytest.mark.realdata
def test_a_real_set_and_combinations_of_it(tmp_path):
    """New members read through the library are the same combination of what it reads of the prior."""
    paths = os.environ.get("LHAPDF_DATA_PATH", "").split(os.pathsep)
    if not any(path and (Path(path) / REAL).is_dir() for path in paths):
        pytest.skip(f"{REAL} not found through LHAPDF_DATA_PATH")
    from neopdf.pdf import PDF

    from compress_mpi.io.enhancedset import DIGITS

    real = open_set(REAL)
    layout = knot_layout(real)
    members = range(1, 81)
    rows = rows_of(real, members)
    assert rows[6].tobytes() == flat(real.member_path(7)).tobytes()
    rng = np.random.default_rng(5)
    weights = rng.dirichlet(np.full(80, 0.05), size=20) + 0.4 * rng.standard_normal((20, 80)) / 80
    weights /= weights.sum(axis=1)[:, None]
    pids, x = [-3, -2, -1, 21, 1, 2, 3], np.geomspace(1.1e-6, 0.95, 40).tolist()
    q2 = [q * q for q in (1.2, 1.65, 4.0, 91.2, 300.0)]

    def values(path):
        return np.asarray(PDF.mkPDF_lhapdf_file(str(path)).xfxQ2s(pids, x, q2))

    prior = np.array([values(real.member_path(member)) for member in members])
    spread = prior.std(axis=0)
    for k, new in enumerate(weights @ rows):
        path = tmp_path / f"new_{k:04d}.dat"
        write_grid(path, grid_of(layout, new, "PdfType: replica\nFormat: lhagrid1"), DIGITS)
        (tmp_path / "new.info").write_bytes(real.info_path.read_bytes())
        found = values(path)
        assert np.isfinite(found).all()
        expected = np.tensordot(weights[k], prior, axes=1)
        worst = np.max(np.abs(found - expected)[spread > 0] / spread[spread > 0])
        assert worst < 2e-3
