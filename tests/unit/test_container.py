"""Compressed tables as files: what is written comes back, and no bit can change unnoticed or unnamed."""

from __future__ import annotations

import resource
import signal
import zlib

import h5py
import numpy as np
import pytest

from compress_mpi.errors import OutputError, StoreError
from compress_mpi.io.container import ContainerWriter, open_container, pack_header, sweep_container
from compress_mpi.io.container_check import read_layout
from compress_mpi.io.schema_events import HEADER, SCHEMA_VERSION, TRAILER

RNG = np.random.default_rng(7)
BLOCKS = [(100, RNG.bytes(300)), (100, RNG.bytes(310)), (37, RNG.bytes(120))]
TABLES, MODEL = RNG.bytes(200), RNG.bytes(150)
COLUMNS = [[name, "float32"] for name in ("pt", "eta", "phi", "m")]
HEADER_OF = {
    "program": "1.2.3",
    "rows": 237,
    "columns": COLUMNS,
    "plan": {name: {"kind": "absolute", "step": 0.02} for name, _ in COLUMNS},
    "error": {name: [0.01, 0.0099, 0.005, 0.0057, 0] for name, _ in COLUMNS},
    "source": {"name": "jets.npy", "sha256": "0123456789abcdef" * 4},
    "settings": {},
}


def write(path, blocks=BLOCKS, header=HEADER_OF, tables=TABLES, model=MODEL):
    with ContainerWriter(path) as writer:
        for rows, data in blocks:
            writer.add(rows, data)
        assert writer.payload == sum(len(data) for _, data in blocks)
        return writer.finish("bounded", header, tables, model)


@pytest.fixture
def file(tmp_path):
    write(tmp_path / "a.h5")
    return tmp_path / "a.h5"


def test_what_is_written_comes_back(file):
    for whole in (True, False):
        found = open_container(file, whole)
        assert list(found.blocks()) == BLOCKS
        assert (found.codec, found.tables, found.model, found.header) == ("bounded", TABLES, MODEL, HEADER_OF)
        assert (found.rows, found.n_blocks, found.size) == (237, 3, file.stat().st_size)
        assert found.columns[3] == ("m", "float32")


def test_the_same_content_gives_the_same_bytes_and_nothing_else_stays(file, tmp_path):
    write(tmp_path / "b.h5")
    assert (tmp_path / "b.h5").read_bytes() == file.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5"]


def test_any_hdf5_reader_can_find_the_parts(file):
    with h5py.File(file) as opened:
        payload = opened["payload"][()].tobytes()
        names = opened["payload"].attrs["parts"].decode().split()
        sizes = opened["payload"].attrs["length_crc32"]
    assert payload.startswith(b"".join(data for _, data in BLOCKS))
    end = len(payload) - int(sizes[:, 0].sum())
    for name, (length, crc) in zip(names, sizes, strict=True):
        part, end = payload[end : end + length], end + int(length)
        assert zlib.crc32(part) == crc
        assert {"tables": TABLES, "model": MODEL}.get(name, part) == part
    assert part == pack_header(HEADER_OF)


def test_everything_beside_payload_tables_and_model_is_small(tmp_path):
    # HDF5 leaves a gap before less than 2 kB of data
    size = write(tmp_path / "b.h5", [(237, RNG.bytes(5000))]) - 5000 - len(TABLES) - len(MODEL)
    assert size - len(pack_header(HEADER_OF)) < 650
    assert size < 900


def test_an_empty_part_and_a_single_block(tmp_path):
    write(tmp_path / "b.h5", BLOCKS[:1], {**HEADER_OF, "rows": 100}, b"", b"")
    assert open_container(tmp_path / "b.h5").model == b""


def expected_name(position, layout, size):
    if position >= size - TRAILER.size:
        return "trailer"
    for name, (begin, length, _) in layout.parts.items():
        if begin <= position < begin + length:
            return f"the {name}"
    ends = layout.offset + np.cumsum([len(data) for _, data in BLOCKS])
    if layout.offset <= position < ends[-1]:
        return f"block {int(np.searchsorted(ends, position, side='right')) + 1} of 3"
    return "HDF5 structure"


def test_a_flipped_bit_anywhere_is_found_and_named(file):
    layout, good = read_layout(file), file.read_bytes()
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 1 << (position % 8)
        file.write_bytes(bad)
        with pytest.raises(StoreError, match="damaged") as error:
            open_container(file)
        assert expected_name(position, layout, len(good)) in str(error.value), position
        assert "a.h5: damaged" in str(error.value)


def test_a_damaged_block_is_found_without_the_look_at_the_whole_file(file):
    layout, data = read_layout(file), bytearray(file.read_bytes())
    data[layout.offset + 400] ^= 4
    file.write_bytes(data)
    found = open_container(file, whole=False)
    assert found.block(0) == BLOCKS[0]
    with pytest.raises(StoreError, match=r"block 2 of 3 \(rows 100 to 199\)"):
        found.block(1)


def test_several_damages_are_all_named(file):
    layout, data = read_layout(file), bytearray(file.read_bytes())
    for position in (layout.offset, layout.parts["model"][0]):
        data[position] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreError, match="the model, block 1 of 3"):
        open_container(file)


@pytest.mark.parametrize("kept", [0, 5, 100, 600, 1000, -20, -16, -1])
def test_a_file_cut_short(file, kept):
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(StoreError, match=r"cut short|no HDF5 file|damaged"):
        open_container(file)


def test_a_file_with_something_appended(file):
    file.write_bytes(file.read_bytes() + b"more")
    with pytest.raises(StoreError, match="appended"):
        open_container(file)


def test_foreign_files_and_versions(file, tmp_path):
    with pytest.raises(StoreError, match="no such file"):
        open_container(tmp_path / "none.h5")
    with pytest.raises(StoreError, match="not a file"):
        open_container(tmp_path)
    (tmp_path / "text.h5").write_text("pt,eta\n1,2\n" * 10)
    with pytest.raises(StoreError, match="no HDF5 file"):
        open_container(tmp_path / "text.h5")
    for name, attributes, words in (
        ("other.h5", {}, "something else"),
        ("result.h5", {"format": "compress-mpi"}, "a result of the compress task"),
        ("newer.h5", {"format": "compress-mpi-events", "schema_version": SCHEMA_VERSION + 1}, "newer"),
        ("older.h5", {"format": "compress-mpi-events", "schema_version": 0}, "cannot be read"),
    ):
        with h5py.File(tmp_path / name, "w") as opened:
            opened.attrs.update(attributes)
            opened["payload"] = np.zeros(30, np.uint8)
        with pytest.raises(StoreError, match=words):
            open_container(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"rows": 236}, "237 rows, the header 236"),
        ({"rows": "many"}, "header: rows: expected int, got str"),
        ({"columns": None}, "header: columns: expected list"),
        ({"plan": ...}, "header: plan is missing"),
    ],
)
def test_a_header_that_makes_no_sense(tmp_path, change, words):
    header = {key: value for key, value in {**HEADER_OF, **change}.items() if value is not ...}
    write(tmp_path / "b.h5", header=header)
    with pytest.raises(StoreError, match=words):
        open_container(tmp_path / "b.h5")


def test_the_keys_of_the_header_are_those_of_the_table():
    assert {key.name for key in HEADER if key.required} == set(HEADER_OF)


def test_a_full_disk_leaves_the_old_file_and_nothing_else(file):
    before = file.read_bytes()
    big = [(100, RNG.bytes(300_000))]
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for most in (100, 250_000, 300_300):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, limits[1]))
            with pytest.raises(OutputError, match=r"a\.h5: cannot be written.*free space"):
                write(file, big, {**HEADER_OF, "rows": 100})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["a.h5"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(OutputError, match="cannot be written"):
        ContainerWriter(tmp_path / "none" / "a.h5")


def test_what_a_dead_run_left_is_swept(file):
    dead = [file.with_name(f".a.h5{word}.tmp.4194305") for word in ("", ".blocks")]
    for path in dead:
        path.write_bytes(b"x")
    assert sorted(sweep_container(file)) == sorted(dead)
    assert [path.name for path in file.parent.iterdir()] == ["a.h5"]
