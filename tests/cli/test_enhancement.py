"""Enhancement, the phases of its compression, and polish, through the real command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from cli_tools import compress, write_runcard
from compress_mpi.io.backends import read_members
from compress_mpi.io.enhancedfile import read_enhanced
from compress_mpi.io.pdfset import open_set
from enhanced_runs import CARD, FIRST, N_PRIOR, RESULT, TOTAL, TREE, contents, write_prior
from enhanced_runs import N_SELECT as N


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_prior(tmp_path_factory)


POLISH = {"radius": 0.3, "steps": 60}


def run(folder: Path, env: dict[str, str], ranks: int = 0, *arguments: str, **changes: object) -> str:
    write_runcard(folder, **{**CARD, **changes})
    done = compress(["runcard.yml", "-q", *arguments], folder, ranks, env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def place(sets: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An enhanced and polished compression under ``mpirun -n 2``."""
    folder = tmp_path_factory.mktemp("run")
    run(folder, sets, 2, polish=POLISH)
    return folder


@pytest.fixture
def finished(place: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to go on from."""
    shutil.copytree(place, tmp_path / "finished", symlinks=True)
    return tmp_path / "finished"


def test_tree_set_and_sidecar_are_those_of_the_manual(place: Path, sets: dict[str, str]) -> None:
    tree = place / TREE
    for name in ("filter.yml", "input-runcard.json", "losses_info.json", "nnfit/few_enhanced.info"):
        assert (tree / name).is_file(), name
    for replica in (1, TOTAL):
        for end in ("dat", "exportgrid"):
            assert (tree / f"nnfit/replica_{replica}/few_enhanced.{end}").is_file()
    made, prior = open_set("few_enhanced", [place / "out/lhapdf"]), open_set("few", [Path(*sets.values())])
    assert made.n_rep == TOTAL
    assert made.member_path(N_PRIOR).read_bytes() == prior.member_path(N_PRIOR).read_bytes()
    record = read_enhanced(tree / "few_enhanced.h5")
    assert record.weights.shape == (TOTAL - N_PRIOR, N_PRIOR)
    x, pids = np.geomspace(1e-3, 0.8, 15), (21, 1, 2, -1, 3)
    old = read_members(prior, range(1, N_PRIOR + 1), pids, x, 10.0)
    new = read_members(made, range(N_PRIOR + 1, TOTAL + 1), pids, x, 10.0)
    assert np.isfinite(new).all()
    wanted = np.einsum("nr,rfx->nfx", record.weights, old)
    assert np.abs((new - wanted) / old.std(axis=0)).max() < 2e-3


def test_the_answer_is_the_best_phase_and_never_above_the_first(place: Path) -> None:
    with h5py.File(place / RESULT) as file, h5py.File(place / FIRST) as first:
        erfs = {name: group["selection"].attrs["erf"] for name, group in file["phases"].items()}
        assert set(erfs) == {"prior", "direct", "adiabatic"}
        assert erfs["prior"] == first["selection"].attrs["erf"]
        assert file["selection"].attrs["erf"] == min(erfs.values())
        assert erfs["adiabatic"] <= erfs["prior"]
        # of equals the earlier phase has the honour
        first_best = next(
            name for name in ("prior", "direct", "adiabatic") if erfs[name] == min(erfs.values())
        )
        assert file["selection"].attrs["phase"] == first_best
        history = file["history/erf"][()]
        assert np.all(np.diff(history) <= 0)
        assert len(history) == sum(len(group["history/erf"]) for group in file["phases"].values())
        assert file["history"].attrs["evaluations"] == sum(
            group["history"].attrs["evaluations"] for group in file["phases"].values()
        )
        assert "checkpoint" not in file["phases/direct"]
        # one scale for all phases
        for name in first["estimators"]:
            assert np.array_equal(first[f"estimators/{name}/random"], file[f"estimators/{name}/random"])


def test_compressed_and_polished_sets_are_what_the_file_says(place: Path, sets: dict[str, str]) -> None:
    prior = open_set("few", [Path(*sets.values())])
    made = open_set("few_enhanced", [place / "out/lhapdf"])
    small = open_set(f"few_enhanced_compressed_{N}", [place / "out"])
    polished = open_set(f"few_enhanced_compressed_{N}_polished", [place / "out"])
    assert (small.n_rep, polished.n_rep) == (N, N)
    with h5py.File(place / RESULT) as file:
        index, weights = file["selection/index"][()], file["polish/weights"][()]
        assert file["polish"].attrs["erf"] < file["polish"].attrs["start_erf"]
    for k, number in enumerate(index, 1):
        source = made if number else prior
        assert small.member_path(k).read_bytes() == source.member_path(int(number)).read_bytes()
    assert np.abs(weights.sum(axis=1) - 1).max() < 1e-10
    x, pids = np.geomspace(1e-3, 0.8, 15), (21, 1, 2, -1, 3)
    old = read_members(prior, range(1, N_PRIOR + 1), pids, x, 50.0)
    new = read_members(polished, range(1, N + 1), pids, x, 50.0)
    assert np.abs((new - np.einsum("nr,rfx->nfx", weights, old)) / old.std(axis=0)).max() < 2e-3


@pytest.mark.parametrize("ranks", [0, 3])
def test_same_bits_on_any_number_of_ranks(
    place: Path, sets: dict[str, str], ranks: int, tmp_path: Path
) -> None:
    run(tmp_path, sets, ranks, polish=POLISH)
    assert contents(tmp_path / RESULT) == contents(place / RESULT)
    for member in (
        f"{TREE}/nnfit/replica_{TOTAL}/few_enhanced.dat",
        "out/lhapdf/few_enhanced/few_enhanced_0000.dat",
    ):
        assert (tmp_path / member).read_bytes() == (place / member).read_bytes()


def test_a_second_launch_does_nothing_and_a_third_makes_up_for_what_is_gone(
    sets: dict[str, str], finished: Path
) -> None:
    member = finished / f"{TREE}/nnfit/replica_{TOTAL}/few_enhanced.dat"
    polished = finished / f"out/few_enhanced_compressed_{N}_polished"
    before, bytes_before = (finished / RESULT).read_bytes(), member.read_bytes()
    assert "complete already" in run(finished, sets, polish=POLISH)
    assert (finished / RESULT).read_bytes() == before
    member.unlink()
    for path in polished.iterdir():
        path.unlink()
    polished.rmdir()
    run(finished, sets, polish=POLISH)
    assert member.read_bytes() == bytes_before
    assert open_set(polished.name, [finished / "out"]).n_rep == N


def test_a_finished_prior_is_taken_and_a_polish_can_be_added(sets: dict[str, str], tmp_path: Path) -> None:
    run(tmp_path, sets, gans={"enhance": False})
    plain = (tmp_path / FIRST).read_bytes()
    said = run(tmp_path, sets, polish={"radius": 0.2, "steps": 20})
    assert f"{FIRST}: complete already" in said
    assert (tmp_path / FIRST).read_bytes() == plain
    # a polish of the prior's own selection, and then another one
    for radius in (0.2, 0.4):
        run(tmp_path, sets, gans={"enhance": False}, polish={"radius": radius, "steps": 20})
        with h5py.File(tmp_path / FIRST) as file:
            assert json.loads(file["polish"].attrs["settings"])["radius"] == radius
            assert np.abs(file["polish/displacement"][()]).max() <= radius


def test_enhance_alone_then_an_existing_set(sets: dict[str, str], tmp_path: Path) -> None:
    write_runcard(tmp_path, **CARD)
    done = compress(["enhance", "runcard.yml", "-q"], tmp_path, 0, sets)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / FIRST).exists()
    tree = (tmp_path / TREE / "few_enhanced.h5").read_bytes()
    said = run(tmp_path, sets)
    assert f"{TREE}: complete already" in said.replace(f"{tmp_path}/", "")
    assert (tmp_path / TREE / "few_enhanced.h5").read_bytes() == tree
    # the same set, found and not made
    polish = {"radius": 0.3, "steps": 10}
    run(tmp_path, sets, 0, "--restart", existing_enhanced=True, gans={"enhance": False}, polish=polish)
    with h5py.File(tmp_path / RESULT) as file:
        assert file["enhanced"].attrs["members"] == TOTAL + 1
        assert file["polish"].attrs["erf"] < file["polish"].attrs["start_erf"]
    # without the file that says how it was made, it can be selected from but not polished
    (tmp_path / TREE / "few_enhanced.h5").unlink()
    changes = {"existing_enhanced": True, "gans": {"enhance": False}, "compressed": N + 1}
    write_runcard(tmp_path, **{**CARD, **changes, "polish": polish})
    done = compress(["runcard.yml", "-q"], tmp_path, 0, sets)
    assert (done.returncode, "leave polish out" in done.stderr) == (2, True)
    run(tmp_path, sets, **changes)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        (
            {"gans": {"enhance": True, "total_replicas": N_PRIOR}},
            2,
            f"gans.total_replicas: expected {N_PRIOR + 2} or more",
        ),
        ({"gans": {"enhance": True, "runcard": "nowhere"}}, 2, "no such GAN runcard"),
        ({"gans": {"enhance": False}, "existing_enhanced": True}, 3, "PDF set 'few_enhanced' not found"),
    ],
)
def test_impossible_enhancements_are_refused_before_any_work(
    sets: dict[str, str], tmp_path: Path, changes: dict[str, object], code: int, message: str
) -> None:
    write_runcard(tmp_path, **{**CARD, **changes})
    done = compress(["runcard.yml", "-q"], tmp_path, 0, sets)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr
    assert not list(tmp_path.rglob("*.h5"))


def test_an_enhanced_set_of_other_settings_is_not_replaced(sets: dict[str, str], finished: Path) -> None:
    sidecar = finished / TREE / "few_enhanced.h5"
    before = sidecar.read_bytes()
    write_runcard(finished, **{**CARD, "generator": {"kind": "kde"}})
    done = compress(["runcard.yml", "-q"], finished, 0, sets)
    assert (done.returncode, sidecar.read_bytes() == before) == (4, True)
    assert "generator: 'mix' in the file, 'kde' now" in done.stderr
    said = run(finished, sets, 0, "--restart", generator="kde")
    assert "generator kde" in said
