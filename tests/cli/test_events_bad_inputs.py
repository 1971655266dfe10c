"""Events commands that cannot work: one clear message, the exit code, nothing overwritten."""

from __future__ import annotations

import resource
import shutil
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

from cli_tools import digest
from compress_mpi.io.container_check import read_layout
from events_tools import Events, jets, spoilt

COLUMNS = ["--columns", "pt,eta,phi,m"]
FILE = "good.events.h5"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A good compressed table, and what can be wrong with tables and files."""
    place = tmp_path_factory.mktemp("events")
    np.save(place / "good.npy", jets(300))
    np.save(place / "empty.npy", jets(8)[:0])
    np.save(place / "words.npy", np.array([("a", 1.0)], dtype=[("name", "U3"), ("x", "f4")]))
    np.save(place / "integers.npy", np.arange(20).reshape(10, 2))
    (place / "ragged.csv").write_text("pt,eta\n1,2\n3\n4,5\n")
    (place / "text.csv").write_text("pt,eta\n1,2\n3,high\n")
    (place / "cut.npy").write_bytes((place / "good.npy").read_bytes()[:900])
    (place / "table.xyz").write_text("1 2 3\n")
    (place / "taken.h5").write_text("not ours")
    (place / "bad.yml").write_text("task: events\ninput: good.npy\nbuond: 3\nmodel: tinny\nbits: 99\n")
    (place / "file").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        from compress_mpi.cli import _main

        words = ["events", "compress", "good.npy", *COLUMNS, "--bound", "0.02", "--model", "marginal"]
        assert _main([*words, "--block", "128", "-q"]) == 0
        assert (
            _main(["events", "compress", "good.npy", *COLUMNS, "--model", FILE, "-o", "sharing.h5", "-q"])
            == 0
        )
    spoil(place)
    return place


def spoil(place: Path) -> None:
    layout = read_layout(place / FILE)
    for name, position in (
        ("block.h5", layout.offset + 10),
        ("tables.h5", layout.parts["tables"][0] + 1),
        ("index.h5", layout.parts["index"][0]),
        ("header.h5", layout.parts["header"][0] + 3),
        ("structure.h5", 60),
        ("trailer.h5", -1),
    ):
        spoilt(Path(shutil.copy(place / FILE, place / name)), position)
    whole = (place / FILE).read_bytes()
    (place / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with h5py.File(place / "newer.h5", "w") as file:
        file.attrs["format"], file.attrs["schema_version"] = "compress-mpi-events", 99
        file["payload"] = np.zeros(8, np.uint8)
    alone = place / "alone"
    alone.mkdir()
    shutil.copy(place / "sharing.h5", alone)
    shutil.copy(place / "sharing.h5", alone / FILE)


@pytest.fixture
def events(folder, monkeypatch, capsys):
    return Events(monkeypatch, capsys, folder)


GOOD = ["compress", "good.npy", *COLUMNS]
# arguments of events, exit code, what the message must name
WRONG = [
    ([*GOOD, "--bound", "pt=nan"], 2, ["bound", "pt", "nan", "> 0"]),
    ([*GOOD, "--bound", "-1"], 2, ["bound", "> 0", "-1"]),
    ([*GOOD, "--bound", "pt=0"], 2, ["bound", "pt", "> 0"]),
    ([*GOOD, "--bound", "relativ 0.1"], 2, ["relativ", "did you mean 'relative'"]),
    ([*GOOD, "--bound", "relative 2"], 2, ["relative", "below 1"]),
    ([*GOOD, "--bound", "energy=1", "--bound", "1"], 2, ["bound", "energy", "pt, eta, phi, m"]),
    ([*GOOD, "--bound", "pt=0.1"], 2, ["bound", "eta", "default"]),
    ([*GOOD, "--codec", "zip"], 2, ["codec", "zip", "'bounded'"]),
    ([*GOOD, "--model", "tinny"], 2, ["model", "tinny", "did you mean 'tiny'"]),
    ([*GOOD, "--model", "none.h5"], 4, ["none.h5", "no such file"]),
    ([*GOOD, "--model", FILE, "--bound", "0.1", "-o", "x.h5"], 2, ["bound", FILE]),
    ([*GOOD, "--model", "sharing.h5", "-o", "x.h5"], 4, ["sharing.h5", "shared"]),
    ([*GOOD, "--model", FILE, "--codec", "latent", "-o", "x.h5"], 4, [FILE, "codec bounded"]),
    (
        ["compress", "good.npy", "--columns", "a,b,c,d", "--model", FILE, "-o", "x.h5"],
        9,
        ["a (float32)", "pt"],
    ),
    ([*GOOD, "--codec", "latent", "--unordered"], 2, ["unordered", "bounded"]),
    ([*GOOD, "--codec", "latent", "--bound", "pt=0.1"], 2, ["bound", "pt", "lossless"]),
    ([*GOOD, "--codec", "latent", "--set", "preprocess.logarithm=[x]"], 2, ["preprocess.logarithm", "x"]),
    (["compress", "integers.npy", "--codec", "latent"], 2, ["latent", "floating"]),
    ([*GOOD, "--bits", "40"], 2, ["bits", "1 to 31", "40"]),
    ([*GOOD, "--block", "0"], 2, ["block", ">= 1"]),
    ([*GOOD, "--set", "training.epoch=3"], 2, ["training.epoch", "did you mean 'epochs'"]),
    (["compress", "good.npy", "--columns", "pt,eta"], 9, ["good.npy", "4 columns", "2 names"]),
    (["compress", "good.npy", "--columns", "pt,pt,phi,m"], 2, ["columns", "pt", "twice"]),
    (["compress", "good.npy", "--inside", "jets"], 9, ["good.npy", "inside"]),
    (["compress", "none.npy"], 9, ["none.npy", "no such file"]),
    (["compress", "good.npy", "good.npy"], 2, ["good.npy", "twice"]),
    (["compress", "empty.npy"], 9, ["empty.npy", "row"]),
    (["compress", "words.npy"], 9, ["words.npy", "name", "expected one number"]),
    (["compress", "ragged.csv"], 9, ["ragged.csv", "line 3"]),
    (["compress", "text.csv"], 9, ["text.csv", "high"]),
    (["compress", "cut.npy"], 9, ["cut.npy"]),
    (["compress", "table.xyz"], 9, ["table.xyz", ".parquet"]),
    ([*GOOD, "-o", "taken.h5"], 4, ["taken.h5", "no compressed table", "not replaced"]),
    ([*GOOD, "-o", "taken.h5", "--restart"], 4, ["taken.h5", "not replaced"]),
    ([*GOOD, "-o", "block.h5"], 4, ["block.h5", "block 1", "--restart"]),
    ([*GOOD, "-o", "file/x.h5"], 5, ["file", "output"]),
    (["decompress", FILE, "-o", "x.xyz"], 9, ["x.xyz", ".parquet"]),
    (["decompress", FILE, "-o", "none/x.npy"], 5, ["none/x.npy", "cannot be written"]),
    (["decompress", FILE, "-o", FILE], 5, [FILE, "compressed table", "-o"]),
    (["sample", FILE, "-n", "3", "-o", "block.h5"], 5, ["block.h5", "compressed table"]),
    (["decompress", FILE, "-o", "x.npy", "--inside", "a"], 9, ["inside", "x.npy"]),
    (["decompress", FILE, "-o", "x.npy", "--model", FILE], 2, ["--model", "its own"]),
    (["decompress", "block.h5", "-o", "x.npy"], 4, ["block.h5", "block 1 of 3 (rows 0 to 127)"]),
    (["decompress", "cut.h5", "-o", "x.npy"], 4, ["cut.h5", "cut short"]),
    (["decompress", "good.npy", "-o", "x.npy"], 4, ["good.npy", "HDF5"]),
    (
        ["decompress", "alone/sharing.h5", "-o", "x.npy"],
        4,
        ["alone/good.events.h5", "not the file", "sha256"],
    ),
    (["info", "tables.h5"], 4, ["tables.h5", "the tables"]),
    (["info", "index.h5"], 4, ["index.h5", "the index"]),
    (["info", "header.h5"], 4, ["header.h5", "the header"]),
    (["info", "structure.h5"], 4, ["structure.h5", "HDF5 structure"]),
    (["info", "trailer.h5"], 4, ["trailer.h5", "trailer"]),
    (["info", "newer.h5"], 4, ["newer.h5", "newer", "99"]),
    (["report", FILE, "--original", "integers.npy", "-o", "page"], 9, ["integers.npy"]),
    (["report", FILE, "--original", "none.npy", "-o", "page"], 9, ["none.npy", "no such file"]),
]


@pytest.mark.parametrize(("words", "code", "naming"), WRONG, ids=[" ".join(words) for words, *_ in WRONG])
def test_one_message_and_nothing_is_touched(events, words, code, naming):
    before = digest(events.folder)
    answer = events("events", *words, *(["-q"] if words[0] == "compress" else []))
    assert answer.code == code, answer.err
    assert answer.out == ""
    assert answer.err.count("compress-mpi: error: ") == 1
    assert "Traceback" not in answer.err
    for word in naming:
        assert word in answer.err, f"{word!r} is not in: {answer.err}"
    assert digest(events.folder) == before


def test_all_problems_of_a_runcard_are_listed(events):
    answer = events("bad.yml")
    assert answer.code == 2
    lines = answer.err.splitlines()
    assert len(lines) == 3
    assert "bad.yml: buond: unknown key; did you mean 'bound'?" in lines[0]
    assert all(word in answer.err for word in ("bad.yml: model: ", "bad.yml: bits: "))


def test_options_of_other_tasks_are_refused(events):
    answer = events("bad.yml", "--pdf-path", ".")
    assert answer.code == 2
    assert "--pdf-path: has no meaning for task: events" in answer.err
    answer = events("enhance", "bad.yml")
    assert answer.code == 2
    assert "bad.yml" in answer.err
    answer = events("job", "bad.yml", "--ranks-per-node", "2", "--time", "1h")
    assert answer.code == 2
    assert "task: events is not for this command" in answer.err


def test_a_full_disk(events):
    before = digest(events.folder)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.getsignal(signal.SIGXFSZ)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        answers = [
            events("events", *GOOD, "--bound", "0.01", "--model", "none", "-o", FILE, "--restart"),
            events("events", "decompress", FILE, "-o", "good.npy"),
        ]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    for answer in answers:
        assert answer.code == 5, answer.err
        assert "cannot be written" in answer.err
    assert digest(events.folder) == before
