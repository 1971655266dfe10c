"""Bad inputs through the real command line: one readable message, the right exit code, nothing touched.

Cases run alone and on three ranks. Runcards are in tests/bad_inputs/runcards
(all of them are loaded by tests/unit/test_runcard.py; here some go through the
command line), sets and results in the folders beside it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest

from cli_tools import BAD, compress, digest, write_runcard
from mpirun import mpirun

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
    "enhance-auto.yml",
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


# Results that must not be continued, and must survive the attempt. Each of these spoils the folder of a
# finished run.
RESULT = "compress_tiny_4.h5"


def truncated(part: float) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / RESULT
        path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])

    return spoil


def with_attribute(name: str, value: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        with h5py.File(folder / RESULT, "r+") as file:
            file.attrs[name] = value

    return spoil


def other_prior(folder: Path) -> None:
    shutil.copytree(BAD / "sets" / "tiny", folder / "sets" / "tiny")
    shutil.copy(folder / "sets" / "tiny" / "tiny_0001.dat", folder / "sets" / "tiny" / "tiny_0002.dat")


def flipped_bits(folder: Path) -> None:
    path = folder / RESULT
    with h5py.File(path) as file:
        chunk = file["/selection/index"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + 3] ^= 0xFF
    path.write_bytes(bytes(data))


def without_history(folder: Path) -> None:
    with h5py.File(folder / RESULT, "r+") as file:
        del file["/history/erf"]


def foreign_set(folder: Path) -> None:
    shutil.rmtree(folder / "tiny_compressed_4")
    (folder / "tiny_compressed_4").mkdir()
    (folder / "tiny_compressed_4" / "precious.txt").write_text("mine")


def nothing(folder: Path) -> None:
    """The result is good."""


RUN, CHANGED = ["runcard.yml"], [RESULT, "--restart"]
PRIOR_CHANGED = ["runcard.yml", "--pdf-path", "sets"]

# name, what spoils the folder, arguments, exit code, what the message must name
FINISHED = [
    ("other seed", nothing, [*RUN, "--set", "seed=6"], 4, [*CHANGED, "seed: 5 in the file, 6 now"]),
    ("other trials", nothing, [*RUN, "--set", "trials=60"], 4, [*CHANGED, "trials: 50 in the file, 60 now"]),
    ("other q0", nothing, [*RUN, "--set", "q0=2.0"], 4, [*CHANGED, "q0", "1.65", "sha256"]),
    (
        "other estimators",
        nothing,
        [*RUN, "--set", "est_dic.moment_estimators=[mean]"],
        4,
        [*CHANGED, "moment_estimators"],
    ),
    ("other prior", other_prior, PRIOR_CHANGED, 4, [RESULT, "prior", "sha256"]),
    ("a third of a result", truncated(0.3), RUN, 4, [RESULT]),
    ("most of a result", truncated(0.9), RUN, 4, [RESULT]),
    ("a third of a result, over", truncated(0.3), [*RUN, "--restart"], 4, [RESULT]),
    ("most of a result, over", truncated(0.9), [*RUN, "--restart"], 4, [RESULT]),
]

SPOILT = [
    ("bits flipped in a dataset", flipped_bits, ["inspect", RESULT], 4, [RESULT, "damaged"]),
    (
        "newer schema",
        with_attribute("schema_version", 99),
        RUN,
        4,
        [RESULT, "schema_version", "99", "newer"],
    ),
    ("newer search", with_attribute("search_version", 99), RUN, 4, [RESULT, "search_version", "99"]),
    ("other task", with_attribute("task", "events"), RUN, 4, [RESULT, "task", "events"]),
    ("missing dataset", without_history, RUN, 4, [RESULT, "/history/erf is missing"]),
    ("foreign set in the way", foreign_set, ["get-grid", "-i", RESULT], 5, ["tiny_compressed_4"]),
    ("unknown path", nothing, ["inspect", RESULT, "/nowhere"], 4, ["/nowhere", "/selection/index"]),
]

# These start the program for themselves, so that the launcher is seen to have nothing to say: some for
# every exit code and every place where a refusal can come from. The others share one start, which asks
# the same of them but for that.
BY_THEMSELVES = {
    "unknown-nested-key.yml",
    "missing set",
    "truncated member",
    "more replicas than there are",
    "output in a file",
    "foreign HDF5",
    "no such runcard",
    "no threads",
    "inspect foreign",
    "grid beyond the set",
    "other seed",
    "most of a result, over",
}
SHARED = Path(__file__).parents[1] / "mpi" / "programs" / "many_cases.py"


@dataclass(frozen=True)
class Case:
    """What makes the folder of a case from that of a finished run, and what must come of it."""

    prepare: Callable[[Path, Path], None]
    arguments: list
    code: int
    naming: list[str]


def furnished(changes: dict) -> Callable[[Path, Path], None]:
    def prepare(finished: Path, folder: Path) -> None:
        folder.mkdir(parents=True)
        for name in ("foreign.h5", "not_hdf5.h5"):
            shutil.copy(BAD / "results" / name, folder / name)
        (folder / "folder.h5").mkdir()
        write_runcard(folder, **changes)

    return prepare


def spoilt(spoil: Callable[[Path], None]) -> Callable[[Path, Path], None]:
    def prepare(finished: Path, folder: Path) -> None:
        shutil.copytree(finished, folder)
        spoil(folder)

    return prepare


def expectation(name: str) -> list[str]:
    """What the message about a runcard must name, by its first line."""
    first = (BAD / "runcards" / name).read_bytes().splitlines()[0].decode(errors="replace")
    return [name, *first.removeprefix("# expect: ").rpartition("; exit ")[0].split(" | ")]


CASES = {
    **{name: Case(furnished({}), [BAD / "runcards" / name], 2, expectation(name)) for name in RUNCARDS},
    **{name: Case(furnished(changes), RUN, *expected) for name, changes, *expected in SETTINGS},
    **{name: Case(furnished({}), *expected) for name, *expected in ARGUMENTS},
    **{name: Case(spoilt(spoil), *expected) for name, spoil, *expected in FINISHED + SPOILT},
}
ALONE_ONLY = {name for name, *_ in SPOILT} | set(RUNCARDS) - set(RUNCARDS[::3])
BOTH = [(name, ranks) for ranks in (0, 3) for name in CASES if not (ranks and name in ALONE_ONLY)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    write_runcard(folder)
    result = compress(["runcard.yml"], folder)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture(scope="module")
def shared(tmp_path_factory, finished) -> Callable[[str, int], tuple[Path, dict]]:
    """Where a case ran in the one start on so many ranks, and what its folder had held before."""
    base, ran = tmp_path_factory.mktemp("shared"), {}

    def start(ranks: int) -> dict[str, tuple[Path, dict]]:
        places = {}
        for number, (name, on) in enumerate(BOTH):
            if on == ranks and name not in BY_THEMSELVES:
                places[name] = base / str(number) / "place"
                CASES[name].prepare(finished, places[name])
        before = {name: digest(place) for name, place in places.items()}
        cases = [
            (str(place), [str(word) for word in CASES[name].arguments]) for name, place in places.items()
        ]
        (base / f"{ranks}.json").write_text(json.dumps(cases))
        words = [sys.executable, str(SHARED), str(base / f"{ranks}.json")]
        done = mpirun(max(1, ranks), words, cwd=base, env={"LHAPDF_DATA_PATH": str(BAD / "sets")})
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        return {name: (place, before[name]) for name, place in places.items()}

    def find(name: str, ranks: int) -> tuple[Path, dict]:
        if ranks not in ran:
            ran[ranks] = start(ranks)
        return ran[ranks][name]

    return find


def together(place: Path, ranks: int) -> subprocess.CompletedProcess[str]:
    """What all ranks of a shared start said in one case; they agree on its exit code."""
    out, err, code = (
        [place.with_name(f"{name}.{rank}").read_text() for rank in range(max(1, ranks))]
        for name in ("out", "err", "code")
    )
    codes, seconds = zip(*map(json.loads, code), strict=True)
    assert len(set(codes)) == 1
    assert max(seconds) < 20
    return subprocess.CompletedProcess([], codes[0], "".join(out), "".join(err))


@pytest.mark.parametrize(("name", "ranks"), BOTH)
def test_bad_input_is_refused_with_one_message(request, tmp_path, finished, name, ranks):
    case = CASES[name]
    if name in BY_THEMSELVES:
        place = tmp_path / "place"
        case.prepare(finished, place)
        before, began = digest(place), time.monotonic()
        said = compress(case.arguments, place, ranks)
        assert time.monotonic() - began < 20
    else:
        place, before = request.getfixturevalue("shared")(name, ranks)
        said = together(place, ranks)
    assert said.returncode == case.code, said.stderr
    assert said.stderr.count("compress-mpi: error") == 1, said.stderr
    assert "Traceback" not in said.stderr + said.stdout
    assert not re.search("abort", said.stderr, re.IGNORECASE), "the launcher must have nothing to say"
    for word in case.naming:
        assert word in said.stderr, f"{word!r} is not in: {said.stderr}"
    assert digest(place) == before
