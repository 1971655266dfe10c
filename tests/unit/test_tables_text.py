"""Text tables: headers, comments and dtypes as found in the wild, and the line that is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from compress_mpi.errors import TableError
from compress_mpi.io.tables import open_table, textlines
from tables_tools import read, same, save


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small files have many chunks."""
    monkeypatch.setattr(textlines, "CHUNK", 40)


def table(tmp_path: Path, text: str, suffix: str = ".csv", **options):
    path = tmp_path / f"t{suffix}"
    path.write_bytes(text.encode())
    return read(path, **options)


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("pt,n\n1.5,2\n2.5,3\n", ".csv"),
        ("pt,n\r\n1.5,2\r\n2.5,3\r\n", ".csv"),
        ("# jets of 2010\n\npt, n\n1.5, 2\n\n# more\n2.5, 3", ".csv"),
        ("\ufeffpt;n\n1.5;2\n2.5;3\n", ".csv"),
        ("pt\tn\n1.5\t2\n2.5\t3\n", ".csv"),
        ('"pt","n"\n"1.5","2"\n2.5,3 # good\n', ".csv"),
        ("pt n\n 1.5   2\n2.5\t3 \n", ".txt"),
        ("# pt n\n1.5 2\n2.5 3\n", ".txt"),
        ("# pt, n\n1.5,2\n2.5,3\n", ".dat"),
    ],
)
def test_layouts(text: str, suffix: str, tmp_path: Path) -> None:
    assert same(table(tmp_path, text, suffix), {"pt": np.array([1.5, 2.5]), "n": np.array([2, 3])})


def test_without_a_header_names_are_given_or_counted(tmp_path: Path) -> None:
    text = "# made yesterday\n1,2.5\n3,nan\n"
    assert list(table(tmp_path, text)) == ["made", "yesterday"]
    assert list(table(tmp_path, text, columns=["n", "x"])) == ["n", "x"]
    assert list(table(tmp_path, "1,2.5\n")) == ["c0", "c1"]
    assert list(table(tmp_path, "1,2.5\n", columns=["c1"])) == ["c1"]
    assert list(table(tmp_path, "\ufeff1,2.5\n")) == ["c0", "c1"]
    assert list(table(tmp_path, ",pt\n0,2.5\n1,3.5\n")) == ["c0", "pt"]
    with pytest.raises(TableError, match="2 columns without names, but 3 names given"):
        table(tmp_path, "1,2.5\n", columns=["a", "b", "c"])


def test_dtypes_follow_the_whole_file(tmp_path: Path, small_chunks: None) -> None:
    lines = ["early,late,whole,big,label"] + [f"{i},{i},{i},{2**63 + i},x{i}" for i in range(50)]
    lines[2], lines[-1] = "0.5,1,1,9223372036854775809,x", "49,1e3,49,9223372036854775857,x"
    found = table(tmp_path, "\n".join(lines), columns=["whole", "early", "late", "big"])
    assert [values.dtype.name for values in found.values()] == ["int64", "float64", "float64", "uint64"]
    assert found["big"][-1] == 2**63 + 49
    assert found["late"][-1] == 1000
    found = table(tmp_path, "a,b,c\n1,0,7\n2,1,8\n", dtypes={"a": "float32", "b": bool})
    assert [values.dtype.name for values in found.values()] == ["float32", "bool", "int64"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "an empty table: no line of numbers"),
        ("# only this\n\n", "an empty table: no line of numbers"),
        ("pt,n\n# none\n", "an empty table: a header, but no line of numbers"),
        ("pt,n\n1,2\n\n3,4,5\n", "line 4: 3 fields, expected 2"),
        ("pt,n\n1\n", "line 2: 1 fields, expected 2"),
        ("pt,n\n1,2\n# note\n3,x\n4,5,6\n", r"line 4: field 2 \(n\) is 'x', expected a number"),
        ("pt,n\n1,2\n3,\n", r"line 3: field 2 \(n\) is '', expected a number"),
        ("1,two,3\n", "line 1: field 2 is 'two', but others are numbers"),
        ("pt,pt\n1,2\n", "column pt in the file more than once"),
        ("n\n99999999999999999999999\n", "column n: integers from 0 to 9+ fit no 64-bit type"),
        ("n\n-1\n18446744073709551615\n", "fit no 64-bit type"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=message):
        table(tmp_path, text)


def test_the_line_is_right_in_a_late_chunk(tmp_path: Path, small_chunks: None) -> None:
    lines = ["pt n", *[f"{i} {i}.5" for i in range(300)]]
    lines[250] = "249 0x10"
    with pytest.raises(TableError, match=r"line 251: field 2 \(n\) is '0x10'"):
        table(tmp_path, "\n".join(lines), ".txt")


@pytest.mark.parametrize(
    ("text", "dtype", "found"),
    [
        ("300", "int8", "300"),
        ("-1", "uint8", "-1"),
        ("1e300", "float32", "1e300"),
        ("1.5", "int64", "1.5"),
        ("2", "bool", "2"),
    ],
)
def test_what_a_declared_dtype_cannot_hold(text: str, dtype: str, found: str, tmp_path: Path) -> None:
    with pytest.raises(
        TableError, match=rf"line 3: field 1 \(n\) is '{found}', expected a number of type {dtype}"
    ):
        table(tmp_path, f"n\n1\n{text}\n1\n", dtypes=dtype)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    for text, line in ((b"\xff\xfe\x00", 1), (b"pt\n1\n2\n\xff\n", 4)):
        (tmp_path / "t.csv").write_bytes(text)
        with pytest.raises(TableError, match=f"line {line}: not text in UTF-8"):
            open_table(tmp_path / "t.csv")


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = save(tmp_path / "t.csv", {"n": np.arange(50)})
    opened = open_table(path)
    path.write_text("n\n1\n")
    with pytest.raises(TableError, match="changed while it was read"):
        opened.read(0, 10)


FLOATS = {np.dtype(d): st.floats(width=8 * np.dtype(d).itemsize) for d in ("f2", "f4", "f8")}


@settings(max_examples=40)
@given(data=st.data(), suffix=st.sampled_from([".csv", ".txt"]))
def test_floats_come_back_to_the_last_bit(
    data: st.DataObject, suffix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dtype = data.draw(st.sampled_from(list(FLOATS)))
    values = data.draw(hnp.arrays(dtype, st.integers(1, 30), elements=FLOATS[dtype]))
    path = save(tmp_path_factory.mktemp("text") / f"t{suffix}", {"x": values})
    assert same(read(path, dtypes=dtype), {"x": values})


@settings(max_examples=25)
@given(
    values=hnp.arrays(np.int64, st.integers(1, 40), elements=st.integers(-(2**63), 2**63 - 1)),
    chunk=st.integers(1, 200),
    cut=st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
def test_chunks_of_any_size_give_the_same_rows(values, chunk, cut, tmp_path_factory) -> None:
    start, stop = sorted(min(c, len(values)) for c in cut)
    path = save(tmp_path_factory.mktemp("text") / "t.csv", {"n": values, "x": values / 3})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(textlines, "CHUNK", chunk)
        with open_table(path) as opened:
            found = opened.read(start, stop)
    assert same(found, {"n": values[start:stop], "x": (values / 3)[start:stop]})
