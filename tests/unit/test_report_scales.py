"""Reading many scales at once gives what reading them one by one gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress_mpi.errors import PDFSetError
from compress_mpi.io import scales
from compress_mpi.io.backends import read_members
from compress_mpi.io.demo import write_demo_set
from compress_mpi.io.gridfile import read_grid
from compress_mpi.io.pdfset import open_set
from compress_mpi.io.scales import read_at_scales

PIDS = (-4, -1, 21, 2, 6, 0)
GRIDS = [
    (1.2, np.array([1e-4, 0.3])),
    (1.51, np.array([0.01, 0.2, 0.7])),  # a threshold
    (100.0, np.array([1e-5, 0.1, 0.5, 0.9])),
    (3.0, np.zeros(0)),
]


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    write_demo_set(tmp_path, n_rep=4, name="tiny")
    return tmp_path


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_equal_to_one_scale_at_a_time(sets: Path, line_end: str) -> None:
    """Also for text that has to be rewritten before the library takes it, subgrid by subgrid."""
    for path in (sets / "tiny").glob("*.dat"):
        path.write_bytes(path.read_text().replace("\n", line_end).encode())
    pdfset = open_set("tiny", [sets])
    members = [3, 0, 4, 3]
    found = read_at_scales(pdfset, members, PIDS, GRIDS, "neopdf")
    assert [values.shape for values in found] == [(4, 6, len(x)) for _, x in GRIDS]
    for (q, x), values in zip(GRIDS, found, strict=True):
        np.testing.assert_array_equal(values, read_members(pdfset, members, PIDS, x, q, "neopdf"))
    assert not found[2][:, PIDS.index(6)].any()
    np.testing.assert_array_equal(found[2][:, 2], found[2][:, 5])


def test_a_member_is_loaded_once(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from neopdf.pdf import PDF

    class Counting:
        loads = 0

        @staticmethod
        def mkPDF_lhapdf_file(path: str) -> object:
            Counting.loads += 1
            return PDF.mkPDF_lhapdf_file(path)

    monkeypatch.setattr("neopdf.pdf.PDF", Counting)
    read_at_scales(open_set("tiny", [sets]), [1, 2], PIDS, GRIDS, "neopdf")
    assert Counting.loads == 2


def test_another_library_is_asked_scale_by_scale(sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scales, "choose_backend", lambda backend: "lhapdf")
    monkeypatch.setattr(scales, "read_members", lambda *a: (a[4], a[5]))
    asked = read_at_scales(open_set("tiny", [sets]), [1], PIDS, GRIDS, "auto")
    assert asked == [(q, "auto") for q, _ in GRIDS]


def test_a_scale_outside_is_refused(sets: Path) -> None:
    with pytest.raises(PDFSetError, match=r"q0 = 0\.5 GeV is outside"):
        read_at_scales(open_set("tiny", [sets]), [1], PIDS, [GRIDS[0], (0.5, GRIDS[0][1])], "neopdf")


def test_a_damaged_member_is_refused(sets: Path) -> None:
    path = sets / "tiny" / "tiny_0002.dat"
    path.write_text(path.read_text()[:2000])
    with pytest.raises(PDFSetError, match=r"tiny_0002\.dat"):
        read_at_scales(open_set("tiny", [sets]), [1, 2], PIDS, GRIDS, "neopdf")


def test_a_value_that_is_no_number_is_refused(sets: Path) -> None:
    path = sets / "tiny" / "tiny_0003.dat"
    blocks = path.read_text().split("---\n")
    lines = blocks[3].splitlines(keepends=True)
    row = 3 + 6 * 20  # knots and flavours come first, then six scales for each x
    lines[row] = "nan " * 10 + lines[row].split()[-1] + "\n"
    path.write_text("---\n".join([*blocks[:3], "".join(lines), *blocks[4:]]))
    x = read_grid(sets / "tiny" / "tiny_0001.dat").subgrids[-1].x[18:23]
    with pytest.raises(PDFSetError, match=r"tiny_0003\.dat.*nan"):
        read_at_scales(open_set("tiny", [sets]), [1, 3], PIDS, [(1.2, x), (4.95, x)], "neopdf")
