"""Bad inputs through the real command line: one readable message, the right exit code, nothing touched.

Every case runs alone and on three ranks. Runcards are in tests/bad_inputs/runcards
(all of them are loaded by tests/unit/test_runcard.py; here some go through the
command line), sets and results in the folders beside it.
"""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest

from cli_tools import BAD, compress, digest, write_runcard

pytestmark = pytest.mark.mpi

RUNCARDS = [
    "yaml-broken.yml",
    "yaml-duplicate-key.yml",
    "not-utf8.yml",
    "empty.yml",
    "unknown-top-key.yml",
    "unknown-nested-key.yml",
    "compressed-bool.yml",
    "minimizer-unknown.yml",
    "estimator-wrong-list.yml",
    "q0-nan.yml",
    "enhance-on.yml",
    "many-problems.yml",
]

# name, changes of the good runcard, exit code, what the message must name
SETTINGS = [
    ("missing set", {"pdf": "NNPDF99_nnlo"}, 3, ["NNPDF99_nnlo", "LHAPDF_DATA_PATH", "tiny"]),
    ("hessian set", {"pdf": "hessian"}, 3, ["hessian.info", "ErrorType", "replicas"]),
    ("NaN in a member", {"pdf": "nan_member"}, 3, ["nan_member_0003.dat", "nan"]),
    ("infinity in a member", {"pdf": "inf_member"}, 3, ["inf_member_0003.dat", "inf"]),
    ("word in a member", {"pdf": "word_member"}, 3, ["word_member_0003.dat", "banana"]),
    ("truncated member", {"pdf": "truncated"}, 3, ["truncated_0007.dat"]),
    ("empty member", {"pdf": "empty_member"}, 3, ["empty_member_0005.dat"]),
    ("binary member", {"pdf": "binary_member"}, 3, ["binary_member_0005.dat"]),
    ("missing member", {"pdf": "missing_member"}, 3, ["missing_member", "0009"]),
    ("missing info", {"pdf": "missing_info"}, 3, ["missing_info.info"]),
    ("info without NumMembers", {"pdf": "no_count"}, 3, ["no_count.info", "NumMembers"]),
    ("replicas all equal", {"pdf": "all_equal"}, 3, ["equal"]),
    ("more replicas than there are", {"compressed": 13}, 3, ["13", "12"]),
    ("as many replicas as there are", {"compressed": 12}, 3, ["tiny.info", "12"]),
    ("q0 below the set", {"q0": 0.5}, 3, ["q0", "0.5", "1"]),
    ("q0 above the set", {"q0": 500.0}, 3, ["q0", "500", "100"]),
    ("nodes outside the set", {"xgrid": [1e-8, 0.1, 0.2, 0.3, 0.4]}, 2, ["xgrid", "1e-08"]),
    ("pycompressor nodes on a short grid", {"xgrid": [0.1, 0.2], "definition": "pycompressor"}, 2, ["xgrid"]),
    ("output in a file", {"output": "runcard.yml/result.h5"}, 5, ["runcard.yml", "output"]),
    ("output is a folder", {"output": "folder.h5"}, 5, ["folder.h5"]),
    ("output in the proc file system", {"output": "/proc/compress-mpi/"}, 5, ["/proc", "output"]),
    ("foreign HDF5", {"output": "foreign.h5"}, 4, ["foreign.h5", "format"]),
    ("text as HDF5", {"output": "not_hdf5.h5"}, 4, ["not_hdf5.h5"]),
]

ARGUMENTS = [
    ("no such runcard", ["nowhere.yml"], 2, ["nowhere.yml"]),
    ("override without value", ["runcard.yml", "--set", "seed"], 2, ["seed"]),
    ("override of an unknown key", ["runcard.yml", "--set", "sed=3"], 2, ["sed", "seed"]),
    ("override of the wrong type", ["runcard.yml", "--set", "compressed=many"], 2, ["compressed", "many"]),
    ("unknown option", ["runcard.yml", "--restrat"], 2, ["--restrat"]),
    ("no threads", ["runcard.yml", "--threads", "0"], 2, ["--threads"]),
    ("backend that is not there", ["runcard.yml", "--backend", "lhapdf"], 3, ["lhapdf"]),
    ("inspect nothing", ["inspect", "nowhere.h5"], 4, ["nowhere.h5"]),
    ("inspect text", ["inspect", BAD / "results" / "not_hdf5.h5"], 4, ["not_hdf5.h5"]),
    ("inspect foreign", ["inspect", BAD / "results" / "foreign.h5"], 4, ["foreign.h5", "format"]),
    ("grid of broken JSON", ["get-grid", "-i", BAD / "results" / "not_json.dat"], 4, ["not_json.dat"]),
    (
        "grid without index",
        ["get-grid", "-i", BAD / "results" / "no_index.dat"],
        4,
        ["no_index.dat", "index"],
    ),
    (
        "grid with duplicates",
        ["get-grid", "-i", BAD / "results" / "duplicates.dat"],
        4,
        ["duplicates.dat", "4"],
    ),
    ("grid beyond the set", ["get-grid", "-i", BAD / "results" / "beyond.dat"], 3, ["99"]),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("foreign.h5", "not_hdf5.h5"):
        shutil.copy(BAD / "results" / name, tmp_path / name)
    (tmp_path / "folder.h5").mkdir()
    write_runcard(tmp_path)
    return tmp_path


def refuses(arguments: list, place: Path, ranks: int, code: int, naming: list[str]) -> None:
    before = digest(place)
    began = time.monotonic()
    result = compress(arguments, place, ranks)
    assert time.monotonic() - began < 20
    assert result.returncode == code, result.stderr
    assert result.stderr.count("compress-mpi: error") == 1, result.stderr
    assert "Traceback" not in result.stderr + result.stdout
    assert not re.search("abort", result.stderr, re.IGNORECASE), "the launcher must have nothing to say"
    for word in naming:
        assert word in result.stderr, f"{word!r} is not in: {result.stderr}"
    assert digest(place) == before


@pytest.mark.parametrize(
    ("name", "ranks"), [(name, 0) for name in RUNCARDS] + [(name, 3) for name in RUNCARDS[::3]]
)
def test_bad_runcards(place, name, ranks):
    first = (BAD / "runcards" / name).read_bytes().splitlines()[0].decode(errors="replace")
    expected = first.removeprefix("# expect: ").rpartition("; exit ")[0].split(" | ")
    refuses([BAD / "runcards" / name], place, ranks, 2, [name, *expected])


@pytest.mark.parametrize("ranks", [0, 3])
@pytest.mark.parametrize(
    ("changes", "code", "naming"), [c[1:] for c in SETTINGS], ids=[c[0] for c in SETTINGS]
)
def test_bad_sets_and_outputs(place, changes, code, naming, ranks):
    write_runcard(place, **changes)
    refuses(["runcard.yml"], place, ranks, code, naming)


@pytest.mark.parametrize("ranks", [0, 3])
@pytest.mark.parametrize(
    ("arguments", "code", "naming"), [c[1:] for c in ARGUMENTS], ids=[c[0] for c in ARGUMENTS]
)
def test_bad_arguments(place, arguments, code, naming, ranks):
    refuses(arguments, place, ranks, code, naming)


# Results that must not be continued, and must survive the attempt.


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    write_runcard(folder)
    result = compress(["runcard.yml"], folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize("ranks", [0, 3])
@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("seed", 6, ["seed: 5 in the file, 6 now"]),
        ("trials", 60, ["trials: 50 in the file, 60 now"]),
        ("q0", 2.0, ["q0", "1.65", "sha256"]),
        ("est_dic.moment_estimators", "[mean]", ["moment_estimators"]),
    ],
)
def test_changed_runcard(copy, ranks, key, value, shown):
    arguments = ["runcard.yml", "--set", f"{key}={value}"]
    refuses(arguments, copy, ranks, 4, ["compress_tiny_4.h5", "--restart", *shown])


@pytest.mark.parametrize("ranks", [0, 3])
def test_changed_prior(copy, ranks):
    shutil.copytree(BAD / "sets" / "tiny", copy / "sets" / "tiny")
    shutil.copy(copy / "sets" / "tiny" / "tiny_0001.dat", copy / "sets" / "tiny" / "tiny_0002.dat")
    refuses(["runcard.yml", "--pdf-path", "sets"], copy, ranks, 4, ["compress_tiny_4.h5", "prior", "sha256"])


@pytest.mark.parametrize("ranks", [0, 3])
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("part", [0.3, 0.9])
def test_truncated_result(copy, ranks, restart, part):
    path = copy / "compress_tiny_4.h5"
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    arguments = ["runcard.yml", *(["--restart"] if restart else [])]
    refuses(arguments, copy, ranks, 4, ["compress_tiny_4.h5"])


def test_bits_flipped_in_a_dataset(copy):
    import h5py

    path = copy / "compress_tiny_4.h5"
    with h5py.File(path) as file:
        chunk = file["/selection/index"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + 3] ^= 0xFF
    path.write_bytes(bytes(data))
    refuses(["inspect", "compress_tiny_4.h5"], copy, 0, 4, ["compress_tiny_4.h5", "damaged"])


@pytest.mark.parametrize(
    ("attribute", "value", "naming"),
    [
        ("schema_version", 99, ["schema_version", "99", "newer"]),
        ("search_version", 99, ["search_version", "99"]),
        ("task", "events", ["task", "events"]),
    ],
)
def test_other_versions(copy, attribute, value, naming):
    import h5py

    with h5py.File(copy / "compress_tiny_4.h5", "r+") as file:
        file.attrs[attribute] = value
    refuses(["runcard.yml"], copy, 0, 4, ["compress_tiny_4.h5", *naming])


def test_missing_dataset(copy):
    import h5py

    with h5py.File(copy / "compress_tiny_4.h5", "r+") as file:
        del file["/history/erf"]
    refuses(["runcard.yml"], copy, 0, 4, ["compress_tiny_4.h5", "/history/erf is missing"])


def test_foreign_set_in_the_way(copy):
    shutil.rmtree(copy / "tiny_compressed_4")
    (copy / "tiny_compressed_4").mkdir()
    (copy / "tiny_compressed_4" / "precious.txt").write_text("mine")
    refuses(["get-grid", "-i", "compress_tiny_4.h5"], copy, 0, 5, ["tiny_compressed_4"])


def test_unknown_path_in_the_file(copy):
    refuses(["inspect", "compress_tiny_4.h5", "/nowhere"], copy, 0, 4, ["/nowhere", "/selection/index"])
