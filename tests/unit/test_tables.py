"""Event tables of every format: what is written comes back, in any range of rows, from any layout."""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress_mpi.errors import OutputError, TableError
from compress_mpi.io.tables import TableColumn, open_table, open_tables, table_files, write_table
from tables_tools import ALL, NAMED, columns_of, content, dtypes_for, jets, pieces, read, same, save


@pytest.fixture(autouse=True)
def extras(request: pytest.FixtureRequest) -> None:
    """What an optional library is needed for is not tested without it."""
    suffix = request.node.callspec.params.get("suffix") if hasattr(request.node, "callspec") else None
    needed = {".parquet": "pyarrow", ".root": "uproot"}.get(suffix)
    if needed:
        pytest.importorskip(needed)


@pytest.mark.parametrize("suffix", ALL)
def test_every_dtype_comes_back_from_any_range(suffix: str, tmp_path: Path) -> None:
    rows = jets()
    path = save(tmp_path / f"jets{suffix}", rows)
    with open_table(path, dtypes=dtypes_for(path, rows)) as table:
        assert (table.rows, table.columns) == (50, tuple(columns_of(rows)))
        for start, stop in ((0, 50), (30, 45), (19, 21), (3, 3), (0, 1), (49, 50)):
            part = {name: values[start:stop] for name, values in rows.items()}
            assert same(table.read(start, stop), part)
        assert [len(block["pt"]) for block in table.blocks(20)] == [20, 20, 10]
        with pytest.raises(IndexError, match="rows 40:51 of a table of 50"):
            table.read(40, 51)


@pytest.mark.parametrize("suffix", NAMED)
def test_columns_are_picked_in_the_order_asked_for(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows = {name: rng.normal(size=30).astype(np.float32) for name in ("pt", "eta", "phi", "m")}
    path = save(tmp_path / f"jets{suffix}", rows)
    found = read(path, ["m", "pt"], dtypes="float32" if suffix in (".csv", ".txt") else None)
    assert same(found, {"m": rows["m"], "pt": rows["pt"]})
    with pytest.raises(TableError, match="no column energy; available: pt, eta, phi, m"):
        open_table(path, ["pt", "energy"])
    with pytest.raises(TableError, match="column pt asked for more than once"):
        open_table(path, ["pt", "pt"])


def test_a_plane_without_names_takes_those_given(tmp_path: Path) -> None:
    plane = np.arange(12, dtype=">f4").reshape(3, 4)
    np.save(tmp_path / "jets.npy", plane)
    found = read(tmp_path / "jets.npy", ["pt", "eta", "phi", "m"])
    assert found["phi"].tolist() == [2, 6, 10]
    assert found["phi"].dtype == np.dtype(np.float32)
    assert found["phi"].dtype.isnative
    assert list(read(tmp_path / "jets.npy")) == ["c0", "c1", "c2", "c3"]
    assert list(read(tmp_path / "jets.npy", ["c3", "c0"])) == ["c3", "c0"]
    with pytest.raises(TableError, match="4 columns without names, but 2 names given"):
        open_table(tmp_path / "jets.npy", ["pt", "eta"])


def test_a_plane_of_one_dtype_is_written_as_numpy_reads_it(tmp_path: Path) -> None:
    rows = {"pt": np.arange(5.0), "m": np.arange(5.0) ** 2}
    plane = np.load(save(tmp_path / "jets.npy", rows, 2))
    assert np.array_equal(plane, np.column_stack(list(rows.values())))
    with np.load(save(tmp_path / "jets.npz", rows, 2)) as archive:
        assert np.array_equal(archive["data"], plane)
        assert archive["names"].tolist() == ["pt", "m"]
    before = (tmp_path / "jets.npz").read_bytes()
    assert save(tmp_path / "jets.npz", rows, 3).read_bytes() == before


def test_layouts_of_npz(tmp_path: Path) -> None:
    plane, names = np.asfortranarray(np.arange(20.0).reshape(5, 4)), np.array(["pt", "eta", "phi", "m"])
    record = np.array([(1, 2.5), (3, 4.5)], dtype=[("n", ">i4"), ("x", "f8")])
    path = tmp_path / "jets.npz"
    np.savez_compressed(path, data=plane, names=names)
    with open_table(path, ["m", "pt"]) as table:
        assert table.read(3, 5)["m"].tolist() == [15, 19]
        assert table.read(0, 2)["pt"].tolist() == [0, 4]
    np.savez_compressed(path, n=record["n"], x=record["x"])
    assert same(read(path), {"n": record["n"].astype("i4"), "x": record["x"].copy()})
    np.savez(path, record)
    assert same(read(path), {"n": record["n"].astype("i4"), "x": record["x"].copy()})
    np.savez(path, one=plane, two=plane)
    with pytest.raises(TableError, match="several tables: one, two; choose one with 'inside'"):
        open_table(path)
    assert len(read(path, inside="two")) == 4
    with pytest.raises(TableError, match="no table 'three'; arrays in the file: one"):
        open_table(path, inside="three")
    np.savez(path, pt=np.zeros(3), m=np.zeros(4))
    with pytest.raises(TableError, match="unequal length"):
        open_table(path)


def test_layouts_of_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "jets.h5"
    record = np.array([(1, 2.5), (3, 4.5)], dtype=[("n", ">i4"), ("x", "f8")])
    with h5py.File(path, "w") as file:
        file["plane"] = np.arange(8.0).reshape(2, 4)
        file["plane"].attrs["columns"] = ["pt", "eta", "phi", "m"]
        file["deep/record"] = record
        file["group/m"], file["group/b"], file["group/label"] = [1.0, 2.0], [3, 4], ["x", "y"]
    assert read(path, ["m"], inside="plane")["m"].tolist() == [3, 7]
    assert same(
        read(path, inside="/deep/record"),
        {n: record[n].astype(record[n].dtype.newbyteorder("=")) for n in "nx"},
    )
    assert read(path, ["m", "b"], inside="group")["m"].tolist() == [1, 2]
    with pytest.raises(TableError, match=r"several datasets or groups: .*; choose one with 'inside'"):
        open_table(path)
    with h5py.File(path, "w") as file:
        file["pt"], file["m"] = np.zeros(3), np.zeros(4)
    with pytest.raises(TableError, match="unequal length: m 4, pt 3"):
        open_table(path)


def test_nulls_of_parquet_are_nan_or_refused(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {
        "pt": pyarrow.array([1.5, None, 3.0], pyarrow.float32()),
        "n": [1, None, 3],
        "name": ["a", "b", "c"],
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "jets.parquet", row_group_size=2)
    found = read(tmp_path / "jets.parquet", ["pt"])
    assert same(found, {"pt": np.array([1.5, np.nan, 3.0], np.float32)})
    with pytest.raises(TableError, match="column n: 1 nulls among int64"):
        read(tmp_path / "jets.parquet", ["n"])
    with pytest.raises(
        TableError, match=r"column name: string, expected one number an event.*pick the columns"
    ):
        open_table(tmp_path / "jets.parquet")


def test_trees_of_root(tmp_path: Path) -> None:
    uproot = pytest.importorskip("uproot")
    path = tmp_path / "jets.root"
    with uproot.recreate(path) as file:
        tree = file.mktree("jets", {"pt": np.float32, "hits": "var * float64"})
        tree.extend({"pt": np.arange(2, dtype=np.float32), "hits": [[1.0], [2.0, 3.0]]})
        file.mktree("folder/events", {"n": np.int32}).extend({"n": np.arange(3, dtype=np.int32)})
        file.mkrntuple("tuple", {"m": np.float64, "many": "var * float64"}).extend(
            {"m": np.arange(3.0), "many": [[1.0]] * 3}
        )
    assert read(path, ["pt"], inside="jets")["pt"].tolist() == [0, 1]
    assert same(read(path, inside="folder/events"), {"n": np.arange(3, dtype=np.int32)})
    assert same(read(path, ["m"], inside="tuple"), {"m": np.arange(3.0)})
    for tree in ("jets", "tuple"):
        with pytest.raises(TableError, match=r"expected one number an event .*pick the columns to read"):
            open_table(path, inside=tree)
    with pytest.raises(
        TableError, match="several trees: jets, folder/events, tuple; choose one with 'inside'"
    ):
        open_table(path)


@pytest.mark.parametrize("suffix", [".npy", ".csv", ".npz"])
def test_several_files_are_one_table(suffix: str, tmp_path: Path) -> None:
    rows = {name: values for name, values in jets(70).items() if name in ("pt", "mass")}
    for i, part in enumerate(pieces(rows, 30)):
        save(tmp_path / f"part{i}{suffix}", part)
    table = open_tables(tmp_path / f"part*{suffix}", dtypes=dtypes_for(tmp_path / f"x{suffix}", rows))
    assert table.rows == 70
    assert [path.name for path in table.files] == [f"part{i}{suffix}" for i in range(3)]
    assert same(table.read(10, 65), {n: v[10:65] for n, v in rows.items()})
    assert same(table.read(5, 31), {n: v[5:31] for n, v in rows.items()})
    joined = b"".join(path.read_bytes() for path in table.files)
    assert table.fingerprint() == hashlib.sha256(joined).hexdigest()
    table.close()


def test_an_integer_column_of_one_text_file_follows_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("n,x\n1,0\n2,0\n")
    (tmp_path / "b.csv").write_text("n,x\n3,0.5\n")
    found = content(open_tables([tmp_path / "a.csv", tmp_path / "b.csv"]))
    assert same(found, {"n": np.array([1, 2, 3]), "x": np.array([0, 0, 0.5])})


def test_great_identifiers_stay_integers_over_several_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n7\n")
    (tmp_path / "b.csv").write_text(f"id\n{2**64 - 1}\n")
    found = content(open_tables(tmp_path / "*.csv"))
    assert same(found, {"id": np.array([7, 2**64 - 1], np.uint64)})


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    for name, rows in (
        ("a", {"pt": np.zeros(2), "n": np.zeros(2, int)}),
        ("b", {"pt": np.zeros(2), "m": np.zeros(2, int)}),
        ("c", {"pt": np.zeros(2), "n": np.zeros(2, "i4")}),
    ):
        save(tmp_path / f"{name}.npz", rows)
    with pytest.raises(TableError, match=r"b\.npz: columns pt, m, but .*a\.npz has pt, n"):
        open_tables([tmp_path / "a.npz", tmp_path / "b.npz"])
    with pytest.raises(TableError, match=r"c\.npz: column n is int32, but int64 in .*a\.npz"):
        open_tables([tmp_path / "a.npz", tmp_path / "c.npz"])
    with pytest.raises(TableError, match="named more than once"):
        table_files([tmp_path / "a.npz", tmp_path / "*.npz"])
    with pytest.raises(TableError, match="no file matches this pattern"):
        table_files(tmp_path / "d*.npz")


@settings(max_examples=25)
@given(data=st.data())
def test_a_range_is_the_slice_of_the_whole(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    n = data.draw(st.integers(1, 40))
    rows = jets(n + 4, seed=n)
    suffix = data.draw(st.sampled_from([".csv", ".txt", ".npy", ".npz", ".h5"]))
    path = save(tmp_path_factory.mktemp("range") / f"t{suffix}", rows, data.draw(st.integers(1, 9)))
    ranges = data.draw(
        st.lists(st.tuples(st.integers(0, n), st.integers(0, n)).map(sorted), min_size=1, max_size=5)
    )
    with open_table(path, dtypes=dtypes_for(path, rows)) as table:
        for start, stop in ranges:
            assert same(table.read(start, stop), {name: v[start:stop] for name, v in rows.items()})


@pytest.mark.parametrize("suffix", ALL)
def test_a_file_cut_short_is_named(suffix: str, tmp_path: Path) -> None:
    path = save(tmp_path / f"jets{suffix}", jets())
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(TableError, match=rf"jets\{suffix}: "):
        read(path, dtypes=dtypes_for(path, jets()))


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".parquet", ".root", ".npy"])
def test_what_is_no_such_file_is_named(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"jets{suffix}"
    path.write_text("pt,eta\n1,2\n" * 100)
    with pytest.raises(TableError, match=rf"jets\{suffix}: no .*or a damaged one"):
        open_table(path)


@pytest.mark.parametrize(("suffix", "library"), [(".parquet", "pyarrow"), (".root", "uproot")])
def test_a_missing_library_is_named(
    suffix: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "uproot", None)
    path = tmp_path / f"jets{suffix}"
    path.write_bytes(b"anything")
    for attempt in (lambda: open_table(path), lambda: save(path, jets())):
        with pytest.raises(
            TableError, match=rf"{library} is not installed, which \{suffix} files .*\[events\]"
        ):
            attempt()
    assert path.read_bytes() == b"anything"


def test_python_objects_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, "x"], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", data=np.array([[1, None]], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(TableError, match="holds Python objects, which are never loaded"):
            open_table(tmp_path / name)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 4)), "is empty"),
        (np.zeros((3, 0)), "no columns"),
        (np.zeros((2, 2, 2)), "expected .rows, columns."),
        (np.zeros((2, 2), complex), "complex128, expected one number an event"),
        (np.zeros(2, [("a", "f4", 3)]), "expected one number an event"),
        (np.array(["x", "y"]), "expected one number an event"),
    ],
)
def test_arrays_that_are_no_table(array: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(TableError, match=message):
        open_table(tmp_path / "a.npy")


def test_a_flipped_bit_in_a_compressed_array(tmp_path: Path) -> None:
    path = save(tmp_path / "jets.npz", jets(2000), 500)
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("mass.npy").header_offset
    data = bytearray(path.read_bytes())
    data[offset + 4000] ^= 1
    path.write_bytes(data)
    with pytest.raises(TableError, match=r"jets\.npz: damaged"):
        read(path)


def test_requests_that_make_no_sense(tmp_path: Path) -> None:
    path = save(tmp_path / "jets.npy", {"pt": np.zeros(3)})
    (tmp_path / "jets.csv").write_text("pt\n1\n")
    for message, attempt in {
        "no such file": lambda: open_table(tmp_path / "none.csv"),
        r"suffix '\.pkl', expected one of \.csv": lambda: open_table(tmp_path / "jets.pkl"),
        "no suffix, expected": lambda: open_table(tmp_path),
        "has only one table; leave 'inside' out": lambda: open_table(path, inside="jets"),
        "says itself what it holds": lambda: open_table(path, dtypes="float32"),
        "no columns asked for; available: c0": lambda: open_table(path, []),
        "dtypes: no column m; available: pt": lambda: open_table(tmp_path / "jets.csv", dtypes={"m": "int8"}),
        "dtypes: pt: 'complex', expected bool": lambda: open_table(tmp_path / "jets.csv", dtypes="complex"),
    }.items():
        with pytest.raises(TableError, match=message):
            attempt()


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    for name, rows, message in (
        ("a.csv", {"1": np.zeros(2)}, "column '1': would not come back as a name"),
        ("a.txt", {"jet pt": np.zeros(2)}, "column 'jet pt': is no single word"),
        ("a.h5", {"jet/pt": np.zeros(2)}, "HDF5 has no dataset of this name"),
        ("a.npy", {"\u03b7": np.zeros(2), "n": np.zeros(2, int)}, "no name for a field of numpy"),
        ("a.npz", {"z": np.zeros(2, complex)}, "column z: complex128"),
        ("a.npz", {}, "no columns"),
    ):
        with pytest.raises(TableError, match=message):
            save(tmp_path / name, rows)
    with pytest.raises(TableError, match="a block has columns"):
        write_table(tmp_path / "a.npz", [TableColumn("pt", np.dtype("f4"))], [{"pt": np.zeros(2)}])
    assert list(tmp_path.iterdir()) == []


def test_root_has_no_float16(tmp_path: Path) -> None:
    pytest.importorskip("uproot")
    with pytest.raises(TableError, match="ROOT has no float16"):
        save(tmp_path / "a.root", {"pt": np.zeros(2, np.float16)})


@pytest.mark.parametrize("suffix", ALL)
def test_an_old_file_stays_until_the_new_one_is_complete(suffix: str, tmp_path: Path) -> None:
    rows = jets()
    path = save(tmp_path / f"jets{suffix}", rows)
    before = path.read_bytes()

    def broken():
        yield rows
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_table(path, columns_of(rows), broken())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(
    not os.path.exists("/dev/full"), reason="this system has no /dev/full to play the full disk"
)
def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    monkeypatch.setattr("compress_mpi.io.tables.writing.temporary_path", lambda path: full)
    with pytest.raises(OutputError, match=r"jets\.csv: cannot be written: No space left on device"):
        save(tmp_path / "jets.csv", jets(5000), 1000)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for suffix in (".csv", ".npy", ".npz", ".h5"):
        with pytest.raises(OutputError, match="cannot be written"):
            save(tmp_path / "nowhere" / f"jets{suffix}", jets())


@pytest.mark.realdata
def test_real_jets_come_back(tmp_path: Path) -> None:
    folder = os.environ.get("COMPRESS_MPI_EVENTS")
    if not folder:
        pytest.skip("COMPRESS_MPI_EVENTS names no folder with real event tables")
    names = ["pt", "eta", "phi", "m"]
    with open_table(Path(folder) / "cms2010b_ak5pf_jets.npy", names) as table:
        rows = table.read(0, table.rows)
        write_table(tmp_path / "jets.npy", table.columns, table.blocks(4096))
        assert table.rows == 19293
    assert same(read(tmp_path / "jets.npy", names), rows)
