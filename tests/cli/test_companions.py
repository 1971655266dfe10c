"""Wrong arguments of the commands beside the run: one helpful line, the right exit code, nothing touched."""

from __future__ import annotations

import shutil

import pytest

from cli_tools import BAD, digest, write_runcard
from companions_tools import Program, make_results
from compress_mpi.cli import cli
from enhanced_tools import run_folder

RESULTS = BAD / "results"
R, E = "compress_tiny_4.h5", "erfs_output/erf_randomized.dat"
REDUCED = "erfs_output/erf_reduced.dat"

# arguments, exit code, what the message must name
WRONG = {
    "check": [
        ([], 2, ["RUNCARD"]),
        (["nowhere.yml"], 2, ["nowhere.yml"]),
        (["runcard.yml", "--set", "seed"], 2, ["seed", "key=value"]),
        (["runcard.yml", "--set", "sed=3"], 2, ["sed", "seed"]),
        (["runcard.yml", "--set", "compressed=13"], 3, ["13", "12"]),
        (["runcard.yml", "--set", "pdf=NNPDF99"], 3, ["NNPDF99", "tiny"]),
        (["runcard.yml", "--set", "q0=500.0"], 3, ["q0", "500"]),
        (["runcard.yml", "--set", "output=runcard.yml/x.h5"], 5, ["output", "runcard.yml"]),
        (["runcard.yml", "--set", "seed=7"], 4, [R, "seed", "--restart"]),
        (["runcard.yml", "--set", "output=foreign.h5"], 4, ["foreign.h5", "format"]),
        (["runcard.yml", "--backend", "root"], 2, ["--backend", "neopdf"]),
        (["runcard.yml", "more.yml"], 2, ["more.yml"]),
    ],
    "job": [
        ([], 2, ["RUNCARD"]),
        (["runcard.yml", "--time", "1:00:00"], 2, ["--ranks-per-node"]),
        (["runcard.yml", "--ranks-per-node", "2"], 2, ["--time"]),
        (["runcard.yml", "--ranks-per-node", "0", "--time", "1:00:00"], 2, ["--ranks-per-node"]),
        (["runcard.yml", "--ranks-per-node", "2", "--time", "30:00"], 2, ["--time", "30:00", "02:30:00"]),
        (["runcard.yml", "--ranks-per-node", "2", "--time", "soon"], 2, ["--time", "soon"]),
        (["runcard.yml", "--ranks-per-node", "2", "--time", "30"], 2, ["--time", "minute"]),
        (["runcard.yml", "--ranks-per-node", "2", "--time", "1h", "--scheduler", "lsf"], 2, ["lsf", "pbs"]),
        (
            [
                "runcard.yml",
                "--ranks-per-node",
                "2",
                "--time",
                "1h",
                "--scheduler",
                "pbs",
                "--launcher",
                "srun",
            ],
            2,
            ["--launcher", "srun", "mpirun"],
        ),
        (
            ["runcard.yml", "--ranks-per-node", "2", "--time", "1h", "--partition", "a; rm -rf b"],
            2,
            ["--partition"],
        ),
        (["runcard.yml", "--nodes", "two", "--ranks-per-node", "2", "--time", "1h"], 2, ["--nodes", "two"]),
        (["nowhere.yml", "--ranks-per-node", "2", "--time", "1h"], 2, ["nowhere.yml"]),
        (["runcard.yml", "--ranks-per-node", "2", "--time", "1h", "--set", "pdf=hessian"], 3, ["ErrorType"]),
    ],
    "inspect": [
        ([], 2, ["FILE"]),
        (["nowhere.h5"], 4, ["nowhere.h5"]),
        (["foreign.h5"], 4, ["foreign.h5", "format"]),
        (["not_hdf5.h5"], 4, ["not_hdf5.h5"]),
        (["runcard.yml"], 4, ["runcard.yml", "HDF5"]),
        (["."], 4, ["HDF5"]),
        ([R, "/nowhere"], 4, ["/nowhere", "/selection/index"]),
        ([R, "/selection/index", "/prior"], 2, ["/prior"]),
        ([R, "--yaml"], 2, ["--yaml"]),
        (["truncated.h5"], 4, ["truncated.h5"]),
        (["newer.h5"], 4, ["newer.h5", "newer"]),
        (["versions.h5"], 4, ["versions.h5", "damaged"]),
        (["lost.h5", "--worst"], 3, ["NNPDF99", "--pdf-path"]),
    ],
    "diff": [
        ([], 2, ["A.h5"]),
        ([R], 2, ["B.h5"]),
        ([R, "nowhere.h5"], 4, ["nowhere.h5"]),
        (["nowhere.h5", R], 4, ["nowhere.h5"]),
        ([R, "runcard.yml"], 4, ["runcard.yml", "HDF5"]),
        ([R, "foreign.h5"], 4, ["foreign.h5", "format"]),
        ([R, "truncated.h5"], 4, ["truncated.h5"]),
        ([R, R, R], 2, ["compress_tiny_4.h5"]),
        ([R, R, "--exit-code"], 2, ["--exit-code"]),
        ([R, "events.h5"], 4, ["events.h5", "events"]),
        ([R, "newer.h5"], 4, ["newer.h5", "newer"]),
        ([R, "versions.h5"], 4, ["versions.h5", "damaged"]),
        ([R, "."], 4, ["HDF5"]),
    ],
    "erf": [
        ([], 2, ["--compressed"]),
        (["-c", "tiny"], 2, ["--prior", "tiny"]),
        (["-p", "tiny", "-c", "nowhere"], 3, ["nowhere", "tiny"]),
        (["-p", "nowhere", "-c", "tiny"], 3, ["nowhere", "tiny"]),
        (["-p", "tiny", "-c", "hessian"], 3, ["ErrorType"]),
        (["-p", "", "-c", "tiny"], 2, ["pdf"]),
        (["-p", "tiny", "-c", "nowhere.h5"], 4, ["nowhere.h5"]),
        (["-p", "tiny", "-c", "tiny", "--set", "definitoin=paper"], 2, ["definitoin", "definition"]),
        (["-p", "tiny", "-c", "tiny", "--set", "q0=500.0"], 3, ["q0", "500"]),
        (["-p", "tiny", "-c", "tiny", "--set", "nf=3", "--normalised"], 3, ["--normalised", "12"]),
        (["-c", RESULTS / "beyond.dat"], 3, ["beyond.dat", "99"]),
        (["-c", R, "--trials", "3"], 2, ["--trials"]),
        (["-c", R, "--trials", "50", "--seed", "-1"], 2, ["--seed"]),
        (
            ["-p", BAD / "sets" / "tiny", "-c", BAD / "sets" / "truncated", "--set", "nf=3"],
            3,
            ["truncated_0007"],
        ),
    ],
    "validate": [
        ([], 2, ["--random"]),
        (["--random", E], 2, ["--reduced"]),
        (["--random", "nowhere.dat", "--reduced", REDUCED], 4, ["nowhere.dat"]),
        (["--random", E, "--reduced", "nowhere.dat"], 4, ["nowhere.dat"]),
        (["--random", REDUCED, "--reduced", E], 4, ["erf_reduced.dat", "rcv"]),
        (["--random", E, "--reduced", E], 4, ["erf_randomized.dat", "random subsets"]),
        (["--random", E, "--reduced", REDUCED, "--format", "root"], 2, ["--format", "ccomp"]),
        (["--random", E, "--reduced", REDUCED, "--format", "ccomp"], 4, ["line 1", "--format"]),
        (["--random", "runcard.yml", "--reduced", REDUCED], 4, ["runcard.yml", "line 1"]),
        (["--random", R, "--reduced", REDUCED], 4, [R, "text"]),
        (["--random", E, "--reduced", "elsewhere.dat"], 4, ["none in common", "99"]),
        (["--random", E, "--reduced", REDUCED, "-o", "runcard.yml"], 5, ["runcard.yml"]),
    ],
    "compare": [
        ([], 2, ["--compressed"]),
        (["-c", "tiny"], 2, ["--prior"]),
        (["-p", "tiny", "-c", "nowhere"], 3, ["nowhere"]),
        (["-c", R, "--enhanced", "nowhere"], 3, ["nowhere"]),
        (["-c", R, "--flavours", "g,top"], 2, ["--flavours", "top", "ubar"]),
        (["-c", R, "--flavours", ""], 2, ["--flavours"]),
        (["-c", R, "--set", "nf=9"], 2, ["nf", "9"]),
        (["-c", R, "--set", "q0=0.5"], 3, ["q0", "0.5"]),
        (["-c", R, "--flavours", "g", "-o", "runcard.yml/x"], 5, ["runcard.yml"]),
        (["-c", "truncated.h5"], 4, ["truncated.h5"]),
        (["-c", RESULTS / "no_index.dat"], 4, ["no_index.dat", "index"]),
        (["-c", R, "--enhanced", "hessian"], 3, ["ErrorType"]),
    ],
    "run": [
        (["run"], 2, ["RUNCARD"]),
        (["runcard.yml", "--restrat"], 2, ["--restrat", "--restart"]),
        (["runcard.yml", "--threads", "0"], 2, ["--threads", "0"]),
        (["runcard.yml", "-t", "-3"], 2, ["--threads", "-3"]),
        (["runcard.yml", "--threads", "many"], 2, ["--threads", "many"]),
        (["runcard.yml", "--threads"], 2, ["--threads"]),
        (["runcard.yml", "--backend", "root"], 2, ["--backend", "neopdf"]),
        (["runcard.yml", "--set"], 2, ["--set"]),
        (["runcard.yml", "--pdf-path"], 2, ["--pdf-path"]),
        (["runcard.yml", "more.yml"], 2, ["more.yml"]),
        (["runcard.yml", "--quiet=yes"], 2, ["--quiet"]),
    ],
    "doctor": [
        (["now"], 2, ["now"]),
        (["--pdf-path"], 2, ["--pdf-path"]),
        (["--pdf-path", "a", "b"], 2, ["b"]),
        (["--json"], 2, ["--json"]),
        (["--threads", "2"], 2, ["--threads"]),
        (["--set", "seed=3"], 2, ["--set"]),
        (["--pdfpath", "."], 2, ["--pdfpath", "--pdf-path"]),
        (["-x"], 2, ["-x"]),
        (["--backend", "lhapdf"], 2, ["--backend"]),
        (["runcard.yml"], 2, ["runcard.yml"]),
    ],
    "get-grid": [
        ([], 2, ["--input"]),
        (["-i"], 2, ["-i"]),
        ([R], 2, ["--input"]),
        (["-i", "nowhere.h5"], 4, ["nowhere.h5"]),
        (["-i", "nowhere.dat"], 4, ["nowhere.dat"]),
        (["-i", "foreign.h5"], 4, ["foreign.h5", "format"]),
        (["-i", "truncated.h5"], 4, ["truncated.h5"]),
        (["-i", RESULTS / "not_json.dat"], 4, ["not_json.dat"]),
        (["-i", RESULTS / "duplicates.dat"], 4, ["duplicates.dat", "4"]),
        (["-i", RESULTS / "beyond.dat"], 3, ["99"]),
        (["-i", "lost.h5"], 3, ["NNPDF99", "LHAPDF_DATA_PATH"]),
        (["-i", R, "-o", "runcard.yml"], 5, ["runcard.yml"]),
    ],
    "demo-set": [
        ([], 2, ["DIR"]),
        (["sets", "more"], 2, ["more"]),
        (["sets", "--replicas", "1"], 2, ["--replicas", "1"]),
        (["sets", "--replicas", "many"], 2, ["--replicas", "many"]),
        (["sets", "--replicas", "10.5"], 2, ["--replicas", "10.5"]),
        (["sets", "--replicas"], 2, ["--replicas"]),
        (["sets", "--name"], 2, ["--name"]),
        (["sets", "--seed", "x"], 2, ["--seed"]),
        (["runcard.yml", "--replicas", "2"], 5, ["runcard.yml"]),
        (["sets", "--pdf-path", "."], 2, ["--pdf-path"]),
        (["sets", "--name", "a/b", "--replicas", "2"], 5, ["a/b"]),
    ],
    "postgans": [
        ([], 2, ["--pdf"]),
        (["--pdf"], 2, ["--pdf"]),
        (["--pdf", "tiny/3"], 2, ["--pdf", "tiny/3", "name of an LHAPDF set"]),
        (["--pdf", "tiny", "--nenhanced", "0"], 2, ["--nenhanced"]),
        (["--pdf", "tiny", "--nenhanced", "many"], 2, ["--nenhanced", "many"]),
        (["--pdf", "tiny", "--nenhanced", "7"], 3, ["for i = 5, 6, 7;", "7 replicas were expected"]),
        (["--pdf", "tine"], 3, ["tine_enhanced/nnfit", "--folder"]),
        (["--pdf", "tiny", "--folder", "nowhere"], 3, ["nowhere/nnfit", "--folder"]),
        (["--pdf", "tiny", "--folder", "erfs_output"], 3, ["erfs_output/nnfit", "--folder"]),
        (["--pdf", "tiny", "--datadir", "runcard.yml"], 5, ["runcard.yml", "cannot be written"]),
        (["--pdf", "tiny", "--pdf-path"], 2, ["--pdf-path"]),
        (["--pdf", "tiny", "more"], 2, ["more"]),
    ],
    "enhance": [
        ([], 2, ["RUNCARD"]),
        (["runcard.yml", "more.yml"], 2, ["more.yml"]),
        (["runcard.yml", "--restart"], 2, ["--restart"]),
        (["runcard.yml", "--threads", "2"], 2, ["--threads"]),
        (["runcard.yml", "--backend", "root"], 2, ["--backend", "neopdf"]),
        (["runcard.yml", "--backend"], 2, ["--backend"]),
        (["runcard.yml", "--set"], 2, ["--set"]),
        (["runcard.yml", "--pdf-path"], 2, ["--pdf-path"]),
        (["runcard.yml", "--quiet=yes"], 2, ["--quiet"]),
        (["runcard.yml", "--generator", "mix"], 2, ["--generator"]),
    ],
    "evolve": [
        ([], 2, ["FOLDER"]),
        (["folder", "more"], 2, ["more"]),
        (["folder", "--q0", "0"], 2, ["--q0"]),
        (["folder", "--q0", "low"], 2, ["--q0", "low"]),
        (["folder", "--iterations", "0"], 2, ["--iterations"]),
        (["folder", "--degree", "9"], 2, ["--degree"]),
        (["folder", "--nodes", "4"], 2, ["--nodes"]),
        (["folder", "--cache"], 2, ["--cache"]),
        (["folder", "--pdf"], 2, ["--pdf"]),
        (["folder", "--backend", "root"], 2, ["--backend", "neopdf"]),
        (["folder", "--quiet=yes"], 2, ["--quiet"]),
    ],
    "stage": [
        ([], 2, ["FOLDER"]),
        (["nowhere"], 6, ["nowhere", "stage.json"]),
        (["."], 6, ["stage.json"]),
        (["runcard.yml"], 6, ["runcard.yml", "stage.json"]),
        (["erfs_output"], 6, ["erfs_output", "stage.json"]),
        ([R], 6, [R, "stage.json"]),
        ([".", "more"], 2, ["more"]),
        ([".", "--checkpoint-interval"], 2, ["--checkpoint-interval"]),
        ([".", "--checkpoint-interval", "often"], 2, ["--checkpoint-interval", "often"]),
        ([".", "--checkpoint-interval", "-1"], 2, ["--checkpoint-interval"]),
        ([".", "--set", "seed=3"], 2, ["--set"]),
    ],
    "events": [
        (["squeeze"], 2, ["squeeze"]),
        (["compress"], 2, ["FILE..."]),
        (["compress", "a.npy", "--bound", "pt=small"], 2, ["--bound", "pt=small"]),
        (["compress", "a.npy", "--bound", "pt=1", "--bound", "pt=2"], 2, ["--bound", "pt", "twice"]),
        (["compress", "a.npy", "--bits", "many"], 2, ["--bits", "many"]),
        (["decompress", R], 2, ["--output"]),
        (["decompress", "-o", "a.npy"], 2, ["FILE"]),
        (["info", "nowhere.h5"], 4, ["nowhere.h5"]),
        (["info", "runcard.yml"], 4, ["runcard.yml", "HDF5"]),
        (["info", "foreign.h5"], 4, ["foreign.h5", "format"]),
        (["info", R], 4, [R, "a result of the compress task"]),
        (["sample", R, "-n", "0", "-o", "a.npy"], 2, ["--number"]),
        (["sample", R, "-n", "5", "-o", "a.npy"], 4, [R, "compress task"]),
        (["sample", R, "-n", "5", "-o", "a.xyz"], 9, ["a.xyz", ".parquet"]),
        (["report", "nowhere.h5"], 4, ["nowhere.h5"]),
        (["report", "truncated.h5"], 4, ["truncated.h5"]),
    ],
    "report": [
        ([], 2, ["FILE..."]),
        (["nowhere.h5"], 4, ["nowhere.h5"]),
        ([R, "nowhere.h5"], 4, ["nowhere.h5"]),
        (["runcard.yml"], 4, ["runcard.yml", "HDF5"]),
        (["foreign.h5"], 4, ["foreign.h5", "format"]),
        (["truncated.h5"], 4, ["truncated.h5"]),
        (["newer.h5"], 4, ["newer.h5", "newer"]),
        ([R, "-o"], 2, ["-o"]),
        ([R, "-o", "runcard.yml"], 5, ["runcard.yml"]),
        ([R, "--format", "pdf"], 2, ["--format"]),
        ([R, "--pdf-path"], 2, ["--pdf-path"]),
    ],
}
CASES = [(name, *case) for name, cases in WRONG.items() for case in cases]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Good results, and spoilt copies of one."""
    import h5py

    folder = make_results(tmp_path_factory.mktemp("results"))
    for name in ("foreign.h5", "not_hdf5.h5"):
        shutil.copy(RESULTS / name, folder / name)
    whole = (folder / R).read_bytes()
    (folder / "truncated.h5").write_bytes(whole[: len(whole) // 2])
    for name, where, attribute, value in (
        ("newer.h5", "/", "schema_version", 99),
        ("events.h5", "/", "task", "events"),
        ("lost.h5", "/prior", "name", "NNPDF99"),
        ("versions.h5", "/", "versions", "{"),
    ):
        (folder / name).write_bytes(whole)
        with h5py.File(folder / name, "r+") as file:
            file[where].attrs[attribute] = value
    run_folder(folder)
    (folder / "elsewhere.dat").write_text('99:{"mean": 1.0}\n')
    return folder


@pytest.fixture
def program(results, monkeypatch, capsys):
    return Program(monkeypatch, capsys, results)


def test_every_command_has_ten_wrong_ways():
    assert set(cli.commands) == set(WRONG)
    assert all(len(cases) >= 10 for cases in WRONG.values())


@pytest.mark.parametrize("name", sorted(WRONG))
def test_help_shows_an_example(program, name):
    page = program.good(name, "--help")
    assert f"compress-mpi {name if name != 'run' else 'runcard.yml'}" in page.split("Example:")[1]


@pytest.mark.parametrize(
    ("name", "arguments", "code", "naming"),
    CASES,
    ids=[
        f"{name} {' '.join(str(a).replace(str(BAD), '') for a in arguments)}" for name, arguments, *_ in CASES
    ],
)
def test_wrong_arguments(program, name, arguments, code, naming):
    before = digest(program.folder)
    answer = program(*([] if name == "run" else [name]), *arguments)
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert answer.err.count("compress-mpi: error: ") == 1
    assert answer.err.startswith(("compress-mpi: error: ", "compress-mpi: warning: "))
    message = answer.err.partition("error: ")[2]
    for word in naming:
        assert word in message, f"{word!r} is not in: {message}"
    assert len(message.splitlines()[0]) < 400
    assert digest(program.folder) == before


def test_a_wrong_word_is_still_a_runcard(program):
    assert program("chekc", "runcard.yml").code == 2


def test_check_leaves_no_folders(program):
    write_runcard(program.folder)
    before = sorted(program.folder.rglob("*"))
    program.good("check", "runcard.yml", "--set", "output=a/b/c/result.h5")
    assert sorted(program.folder.rglob("*")) == before
