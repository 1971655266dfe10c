"""The lhagrid1 text format: what is written comes back, and what is broken is named."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compress_mpi.errors import OutputError, PDFSetError
from compress_mpi.io.gridfile import check_complete, grid_text, read_grid, write_grid
from compress_mpi.io.gridtypes import GridFile, Subgrid

PIDS = (-1, 1, 21)
HEADER = "PdfType: replica\nFormat: lhagrid1"


def make_grid(seed: int = 1) -> GridFile:
    rng = np.random.default_rng(seed)
    x = np.array([1e-3, 1e-2, 0.1, 0.5, 1.0])
    scales = (np.array([1.0, 1.2, 1.5, 2.0]), np.array([2.0, 5.0, 20.0, 100.0]))
    return GridFile(HEADER, tuple(Subgrid(x, q, PIDS, rng.normal(size=(5, 4, 3))) for q in scales))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "set_0003.dat"
    write_grid(path, make_grid())
    return path


def increasing(size: int) -> st.SearchStrategy[np.ndarray]:
    steps = hnp.arrays(np.float64, size, elements=st.floats(1e-3, 10.0))
    return steps.map(np.cumsum)


@st.composite
def grids(draw: st.DrawFn) -> GridFile:
    pids = tuple(draw(st.lists(st.integers(-6, 22), min_size=1, max_size=4, unique=True)))
    subgrids = []
    for _ in range(draw(st.integers(1, 3))):
        x, q = draw(increasing(draw(st.integers(2, 5)))), draw(increasing(draw(st.integers(2, 4))))
        shape = (x.size, q.size, len(pids))
        values = draw(
            hnp.arrays(np.float64, shape, elements=st.floats(allow_nan=False, allow_infinity=False))
        )
        subgrids.append(Subgrid(x, q, pids, values))
    line = st.text(st.characters(min_codepoint=32, exclude_characters="-\x85", exclude_categories=["C", "Z"]))
    return GridFile("\n".join(["Format: lhagrid1", draw(line)]), tuple(subgrids))


@settings(max_examples=60, deadline=None)
@given(grid=grids())
def test_a_grid_comes_back_to_the_last_bit(grid: GridFile, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("grid") / "set_0000.dat"
    write_grid(path, grid)
    back = read_grid(path)
    assert back.header == grid.header
    assert len(back.subgrids) == len(grid.subgrids)
    for one, two in zip(back.subgrids, grid.subgrids, strict=True):
        assert one.same_knots(two)
        assert one.values.tobytes() == two.values.tobytes()
    layout = check_complete(path)
    assert layout.q == tuple(tuple(s.q) for s in grid.subgrids)


def test_digits_are_those_asked_for() -> None:
    text = grid_text(make_grid(), digits=7)
    row = text.split("---\n")[1].splitlines()[3]
    assert all(len(token.lstrip("-")) == len("1.234567E+00") for token in row.split())


def test_q_runs_fastest(good: Path) -> None:
    lines = good.read_text().splitlines()
    row_of_second_q = np.array(lines[7].split(), dtype=float)
    assert np.array_equal(row_of_second_q, make_grid().subgrids[0].values[0, 1])


def test_a_plain_file_is_regular_and_knows_its_scales(good: Path) -> None:
    layout = check_complete(good)
    assert layout.regular
    assert layout.pids == PIDS
    assert layout.holding(1.3) == [0]
    assert layout.holding(2.0) == [0, 1]
    assert layout.holding(1e3) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("---\n0.001", "---\n# a comment\n0.001"),
        lambda text: text.replace("PdfType: replica", "Remark: a---b"),
    ],
    ids=["windows", "comment", "dashes in the header"],
)
def test_what_lhapdf_allows_is_read_but_not_called_regular(good: Path, change) -> None:
    good.write_bytes(change(good.read_text()).encode())
    assert not check_complete(good).regular
    for one, two in zip(read_grid(good).subgrids, make_grid().subgrids, strict=True):
        assert np.array_equal(one.values, two.values)


def test_a_header_in_another_encoding_is_kept(good: Path) -> None:
    data = good.read_bytes().replace(b"replica", b"repl\xefca")
    good.write_bytes(data)
    assert not check_complete(good).regular
    write_grid(good, read_grid(good))
    assert good.read_bytes().startswith(b"PdfType: repl\xefca\n")


def _row(text: str, number: int, change) -> str:
    """Change one line of the file, numbered from 0; values of subgrid 1 start at line 6."""
    lines = text.split("\n")
    lines[number] = change(lines[number])
    return "\n".join(lines)


BROKEN = {
    "empty": (lambda t: "", "is empty"),
    "blank": (lambda t: " \n\n", "is empty"),
    "no separators": (lambda t: "Format: lhagrid1\n", "no subgrid found"),
    "header only": (lambda t: HEADER + "\n---\n", "no subgrid found"),
    "cut in a value": (lambda t: t[: len(t) * 3 // 4], "subgrid 2 has 10 rows of 20 and no closing '---'"),
    "cut before the end": (lambda t: t.removesuffix("---\n"), "subgrid 2 has 20 rows of 20 and no closing"),
    "row missing": (
        lambda t: "\n".join(t.split("\n")[:8] + t.split("\n")[9:]),
        "19 rows of values, expected 20",
    ),
    "row twice": (lambda t: _row(t, 9, lambda r: r + "\n" + r), "21 rows of values, expected 20"),
    "empty line": (lambda t: _row(t, 9, lambda r: "\n" + r), "21 rows of values, expected 20"),
    "value missing": (lambda t: _row(t, 9, lambda r: r.rsplit(" ", 1)[0]), "row 4 has 2 values, expected 3"),
    "value added": (lambda t: _row(t, 9, lambda r: r + " 1.0"), "row 4 has 4 values, expected 3"),
    "word": (lambda t: _row(t, 9, lambda r: "1.0 oops 2.0"), "'oops' is not a number"),
    "fortran exponent": (lambda t: _row(t, 9, lambda r: "1.0 1.0D-05 2.0"), "'1.0D-05' is not a number"),
    "lost exponent": (lambda t: _row(t, 9, lambda r: "1.0 1.0-101 2.0"), "'1.0-101' is not a number"),
    "python digits": (lambda t: _row(t, 9, lambda r: "1.0 1_0 2.0"), "'_' among the values"),
    "falling x": (lambda t: t.replace("0.001 0.01", "0.01 0.001", 1), "x knots: 5 found"),
    "no x": (lambda t: _row(t, 3, lambda r: ""), "x knots: 0 found"),
    "nan knot": (lambda t: t.replace("0.001 0.01", "nan 0.01", 1), "x knots: 5 found"),
    "no flavours": (lambda t: _row(t, 5, lambda r: ""), "flavours are []"),
    "flavour twice": (lambda t: _row(t, 5, lambda r: "1 1 21"), "flavours are [1, 1, 21]"),
    "flavour a word": (lambda t: _row(t, 5, lambda r: "d u g"), "expected PDG codes"),
    "flavours change": (lambda t: "-1 2 21".join(t.rsplit("-1 1 21", 1)), "different flavours"),
}


@pytest.mark.parametrize(("change", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_with_its_name_and_the_reason(good: Path, change, message: str) -> None:
    good.write_text(change(good.read_text()))
    for function in (check_complete, read_grid):
        with pytest.raises(PDFSetError) as caught:
            function(good)
        assert str(good) in str(caught.value)
        assert message in str(caught.value)


@pytest.mark.parametrize("content", [bytes(range(256)) * 20, b"\x00" * 512], ids=["all bytes", "zeros"])
def test_a_binary_file_is_refused(good: Path, content: bytes) -> None:
    good.write_bytes(content)
    with pytest.raises(PDFSetError, match="not a text file"):
        check_complete(good)


@pytest.mark.parametrize("token", ["nan", "NaN", "-inf", "INF", "Infinity", "1.0E+999"])
def test_a_value_that_is_not_finite_is_located(good: Path, token: str) -> None:
    lines = good.read_text().split("\n")
    at = lines.index("---", 10) + 4 + 2 * 4 + 3  # subgrid 2, third x, fourth Q
    lines[at] = " ".join([*lines[at].split()[:2], token])
    good.write_text("\n".join(lines))
    with pytest.raises(PDFSetError) as caught:
        check_complete(good)
    for part in (good.name, "subgrid 2", "flavour 21", "x = 0.1", "Q = 100 GeV"):
        assert part in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PDFSetError, match=r"gone_0001.dat: cannot be read"):
        check_complete(tmp_path / "gone_0001.dat")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_named(good: Path) -> None:
    good.chmod(0)
    with pytest.raises(PDFSetError, match="Permission denied"):
        check_complete(good)


def test_nothing_unreadable_is_written(tmp_path: Path) -> None:
    grid = make_grid()
    with pytest.raises(PDFSetError, match="must not contain"):
        write_grid(tmp_path / "a.dat", GridFile("x\n---", grid.subgrids))
    grid.subgrids[1].values[0, 0, 0] = np.nan
    with pytest.raises(PDFSetError, match="subgrid 2: the value at flavour -1"):
        write_grid(tmp_path / "a.dat", grid)
    assert not (tmp_path / "a.dat").exists()


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        write_grid(tmp_path / "no" / "a.dat", make_grid())
