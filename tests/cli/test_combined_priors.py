"""Several sets and several scales through the real command line, alone and under mpirun."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from cli_tools import compress, write_runcard
from compress_mpi.io.backends import read_members
from compress_mpi.io.demo import DemoKind, write_demo_set
from compress_mpi.io.pdfset import open_set

PDF = [{"name": "mc", "replicas": 40}, {"name": "asym", "replicas": 60, "seed": 3}]
NAME = "mc_asym_combined"
RESULT = f"out/compress_{NAME}_6.h5"


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_demo_set(folder, 40, "mc")
    write_demo_set(folder, name="asym", kind=DemoKind("hessian", 90, "coarse"))
    return folder


@pytest.fixture(scope="module")
def place(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A combined prior of two sets on different grids, compressed under ``mpirun -n 2``, at two scales."""
    folder = tmp_path_factory.mktemp("run")
    _run(sets, folder, 2)
    return folder


def _run(sets: Path, folder: Path, ranks: int, *arguments: str) -> str:
    card = write_runcard(folder, pdf=PDF, compressed=6, q0=[1.65, 100], output="out")
    done = compress([card, "-q", *arguments], folder, ranks, {"LHAPDF_DATA_PATH": str(sets)})
    assert done.returncode == 0, done.stderr
    return done.stderr


def _stamps(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_combined_prior_is_compressed_end_to_end(place: Path, sets: Path) -> None:
    prior = open_set(str(place / "out" / NAME))
    assert (prior.n_rep, prior.error_type) == (100, "replicas")
    with h5py.File(place / RESULT) as file:
        assert file.attrs["status"] == "complete"
        index = file["selection/index"][()]
        assert file["prior"].attrs["name"] == NAME
        parents = json.loads(file["prior"].attrs["parents"])
        np.testing.assert_array_equal(file["prior/q0"][()], [1.65, 100.0])
    assert [(p["name"], p["replicas"], p["seed"], p["confidence_level"]) for p in parents] == [
        ("mc", 40, 0, None),
        ("asym", 60, 3, 90.0),
    ]
    compressed = open_set(str(place / "out" / f"{NAME}_compressed_6"))
    assert "CompressMPIParents" not in compressed.info
    for k, number in enumerate(index, 1):
        assert compressed.member_path(k).read_bytes() == prior.member_path(int(number)).read_bytes()
    # all of a Monte Carlo set are taken, in order
    x, pids = np.array([1e-3, 0.1]), [21, 2]
    own = read_members(open_set("mc", [sets]), [1, 40], pids, x, 5.0)
    np.testing.assert_allclose(read_members(prior, [1, 40], pids, x, 5.0), own, rtol=2e-3)


@pytest.mark.parametrize("ranks", [0, 3])
def test_the_same_files_at_any_number_of_ranks(place: Path, sets: Path, tmp_path: Path, ranks: int) -> None:
    assert "MCharm differs: mc 1.51, asym 1.4" in _run(sets, tmp_path, ranks)
    assert _files(tmp_path / "out" / NAME) == _files(place / "out" / NAME)
    with h5py.File(place / RESULT) as one, h5py.File(tmp_path / RESULT) as two:
        assert one["prior"].attrs["sha256"] == two["prior"].attrs["sha256"]
        np.testing.assert_array_equal(one["selection/index"][()], two["selection/index"][()])


def test_companions_find_the_combined_prior_beside_the_result(place: Path, tmp_path: Path) -> None:
    """Without the parents, and without being told where to look."""
    result = place / RESULT

    def good(*words: object) -> str:
        done = compress(words, tmp_path, env={"LHAPDF_DATA_PATH": str(tmp_path)})
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = good("inspect", result, "--worst")
    assert "60 replicas of asym (hessian, 90 % CL, seed 3)" in shown
    assert "q0 = 1.65, 100 GeV" in shown
    assert shown.count("100 GeV") > 3
    found = json.loads(good("erf", "-c", result, "--normalised", "--json"))
    with h5py.File(result) as file:
        assert found["total"] == pytest.approx(float(file["selection"].attrs["erf"]), rel=1e-12)
    assert found["settings"]["q0"] == [1.65, 100.0]
    assert good("get-grid", "-i", result, "-o", "set").strip().endswith(f"{NAME}_compressed_6")
    dat = place / "out" / NAME / f"compress_{NAME}_6_output.dat"
    assert good("get-grid", "-i", dat, "-o", "again").strip().endswith(f"{NAME}_compressed_6")


def test_a_page_shows_every_scale_and_where_the_prior_comes_from(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page itself, without the time to save its figures."""
    from compress_mpi.workflows import report_plots
    from compress_mpi.workflows.report import write_report

    names = []

    def saved(figure: object, folder: Path, name: str) -> bytes:
        names.append(name)
        return bytes(16) + (800).to_bytes(4, "big") * 2  # as much of a PNG as the page looks at

    monkeypatch.setattr(report_plots, "save_figure", saved)
    monkeypatch.setenv("LHAPDF_DATA_PATH", str(tmp_path))
    page = write_report([place / RESULT], tmp_path / "page").read_text()
    assert "60 replicas of asym (hessian, 90 % CL, seed 3)" in page
    assert "Parton densities at Q = 1.65 GeV" in page
    assert "Parton densities at Q = 100 GeV" in page
    assert "Correlations between flavours at Q = 1.65, 100 GeV" in page
    assert "No comparison of sets" not in page
    assert {"bands_q0_1", "bands_q0_s2_1"} <= {*names}


def test_another_combination_is_another_run(place: Path, sets: Path) -> None:
    card = place / "runcard.yml"
    env = {"LHAPDF_DATA_PATH": str(sets)}
    done = compress([card, "--set", "q0=1.65"], place, 0, env)
    assert done.returncode == 4
    assert "q0: [1.65, 100.0] in the file, 1.65 now" in done.stderr
    before = _stamps(place)
    shown = compress(["check", card, "--restart", "--json"], place, 0, env)
    facts = json.loads(shown.stdout)
    assert _stamps(place) == before
    assert (facts["prior"]["name"], facts["prior"]["q0"]) == (NAME, [1.65, 100.0])
    assert [p["name"] for p in facts["prior"]["parents"]] == ["mc", "asym"]


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"pdf": ["mc", "mc"]}, 2, ["pdf", "'mc' is listed twice"]),
        ({"pdf": [{"name": "mc", "replica": 3}]}, 2, ["unknown key 'replica'", "name, replicas, seed"]),
        ({"pdf": ["mc", {"name": "asym", "replicas": 4}]}, 2, ["'mc' has no 'replicas'", "for none"]),
        ({"pdf": ["asym"]}, 2, ["say how many"]),
        ({"pdf": [{"name": "mc", "replicas": 41}]}, 3, ["41 replicas were asked for, the set has 40"]),
        ({"pdf": ["mc", "asym"], "compressed": 80}, 3, ["the set has 80 replicas", "at least 81"]),
        ({"pdf": "mc", "combined_name": "both"}, 2, ["combined_name", "pdf is a single set"]),
        ({"pdf": ["mc", "asym"], "combined_name": "a/b"}, 2, ["combined_name", "letters, digits"]),
        ({"pdf": ["mc", "asym"], "q0": [1.65, 3e4]}, 3, ["q0 = 30000 GeV is out of range", "1.1 to 20000"]),
        ({"pdf": "mc", "q0": [1.65, 1.65]}, 2, ["q0", "1.65 is listed twice"]),
        ({"pdf": "mc", "q0": [1.65, "high"]}, 2, ["q0", "a list of different ones"]),
        ({"pdf": "mc", "q0": [1.65, 0.5]}, 3, ["q0 = 0.5 GeV is out of range"]),
    ],
)
def test_what_makes_no_sense_is_refused(
    sets: Path, tmp_path: Path, changes: dict[str, object], code: int, words: list[str]
) -> None:
    card = write_runcard(tmp_path, **{"compressed": 6, **changes})
    done = compress(["check", card], tmp_path, 0, {"LHAPDF_DATA_PATH": str(sets)})
    assert done.returncode == code, done.stderr
    assert all(word in done.stderr for word in words), done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_parent_ends_all_ranks(sets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "sets"
    for name in ("mc", "asym"):
        (folder / name).mkdir(parents=True)
        for path in (sets / name).iterdir():
            (folder / name / path.name).symlink_to(path)
    broken = folder / "asym" / "asym_0011.dat"
    text = broken.read_text()
    broken.unlink()
    broken.write_text(text[: len(text) // 2])
    card = write_runcard(tmp_path, pdf=PDF, compressed=6, output="out")
    done = compress([card, "-q"], tmp_path, 2, {"LHAPDF_DATA_PATH": str(folder)})
    assert done.returncode == 3
    assert "asym_0011.dat: truncated" in done.stderr
    assert [path.name for path in (tmp_path / "out").iterdir()] == []


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--kind", "hessian", "--replicas", "5"], "--replicas has no meaning"),
        (["--kind", "symmhessian", "--seed", "5"], "--seed has no meaning"),
        (["--level", "90"], "--level has no meaning for --kind replicas"),
        (["--kind", "eigen"], "--kind"),
        (["--kind", "hessian", "--level", "100"], "--level"),
    ],
)
def test_demo_sets_of_no_sense_are_refused(tmp_path: Path, arguments: list[str], word: str) -> None:
    done = compress(["demo-set", tmp_path, *arguments], tmp_path)
    assert done.returncode == 2
    assert word in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_shipped_runcard_runs(tmp_path: Path) -> None:
    """As its head says, with fewer replicas and iterations."""
    card = Path(__file__).parents[2] / "runcards" / "combined.yml"
    first, second = (line.strip("# \n").split()[-9:] for line in card.read_text().splitlines()[2:4])
    made = compress(["demo-set", *first[first.index("sets") :]], tmp_path)
    assert made.returncode == 0, made.stderr
    fewer = ["pdf=[{name: demo, replicas: 20}, {name: other, replicas: 20, seed: 1}]", "compressed=4"]
    overrides = [word for key in (*fewer, "max_iteration=50", "trials=40") for word in ("--set", key)]
    done = compress([card, *second[second.index("--pdf-path") :], "-q", *overrides], tmp_path, 2)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "combined" / "demo_other" / "demo_other_0040.dat").is_file()
