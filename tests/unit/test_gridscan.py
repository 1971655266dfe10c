"""The quick look at a member file agrees with the thorough one, and never lets more through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress_mpi.errors import PDFSetError
from compress_mpi.io.backends import read_members
from compress_mpi.io.demo import write_demo_set
from compress_mpi.io.gridfile import _parsed_layout, check_complete, read_grid
from compress_mpi.io.gridscan import scan
from compress_mpi.io.pdfset import PDFSet, open_set

X = np.array([2e-5, 1e-3, 0.05, 0.37, 0.9])


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo_set(tmp_path_factory.mktemp("sets"), n_rep=2, name="tiny") / "tiny_0001.dat"


@pytest.fixture(scope="module")
def tiny(member: Path) -> PDFSet:
    return open_set(str(member.parent))


def test_a_plain_file_is_recognised(member: Path) -> None:
    found = scan(member.read_bytes())
    assert found is not None
    assert found.layout == _parsed_layout(member, member.read_bytes())
    for rows, subgrid in zip(found.rows, read_grid(member).subgrids, strict=True):
        values = np.array([row.split() for row in rows], dtype=np.float64)
        np.testing.assert_array_equal(values, subgrid.values.reshape(values.shape))


@pytest.mark.parametrize(
    "token",
    [
        "nan",
        "inf",
        "1e999",
        "1e-400",
        "0x1p3",
        "1_0",
        "--1",
        "+-1",
        "1.2.3",
        "1e",
        "e5",
        "",
        "1 2",
        "1,5",
        "1e5.0",
    ],
)
def test_what_may_be_no_number_is_left_to_the_thorough_look(member: Path, token: str) -> None:
    lines = member.read_text().split("\n")
    lines[40] = " ".join([token, *lines[40].split()[1:]])
    assert scan("\n".join(lines).encode()) is None


@given(data=st.data())
def test_it_never_lets_through_what_the_thorough_look_refuses(member: Path, data: st.DataObject) -> None:
    """Any few bytes changed, dropped or put in anywhere."""
    content = bytearray(member.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(content) - 1))
        new = data.draw(
            st.sampled_from([b"", b"-", b"+", b".", b"e", b" ", b"\n", b"#", b"x", b"\0", b"9" * 40])
        )
        content[place : place + data.draw(st.integers(0, 2))] = new
    found = scan(bytes(content))
    if found is not None:
        assert found.layout == _parsed_layout(member, bytes(content))


@given(place=st.integers(1, 100_000))
def test_a_cut_file_is_never_whole(member: Path, place: int) -> None:
    whole = member.read_bytes()
    assert scan(whole[: max(len(whole) - 2 - place, 0)]) is None


def test_signs_that_look_like_a_separator_do_not_end_a_subgrid(member: Path, tmp_path: Path) -> None:
    lines = member.read_text().split("\n")
    lines[30] = "+-+"
    path = tmp_path / "odd_0001.dat"
    path.write_text("\n".join(lines))
    with pytest.raises(PDFSetError, match="row"):
        check_complete(path)


@given(q=st.floats(1.0, 1e5))
def test_a_piece_gives_what_the_whole_file_gives(tiny: PDFSet, q: float) -> None:
    from neopdf.pdf import PDF

    pids = [-5, -1, 2, 21]
    _same_as_the_whole_file(tiny, PDF, pids, q)


@pytest.mark.parametrize("q", [1.0, 1.15, 1.32, 1.51, 1.65, 2.2, 3.3, 4.92, 10.0, 300.0, 5e3, 1e5])
def test_also_on_the_knots(tiny: PDFSet, q: float) -> None:
    from neopdf.pdf import PDF

    _same_as_the_whole_file(tiny, PDF, [-5, -1, 2, 21], q)


def _same_as_the_whole_file(tiny: PDFSet, library: type, pids: list[int], q: float) -> None:
    # at a threshold LHAPDF means the subgrid above it
    q2 = float(np.nextafter(q * q, np.inf)) if q in (1.51, 4.92) else q * q
    whole = library.mkPDF_lhapdf_file(str(tiny.member_path(1)))
    expected = np.asarray(whole.xfxQ2s(pids, X.tolist(), [q2])).reshape(len(pids), -1)
    np.testing.assert_array_equal(read_members(tiny, [1], pids, X, q, "neopdf")[0], expected)
