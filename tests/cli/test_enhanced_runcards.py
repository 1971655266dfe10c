"""The shipped runcards with an enhancement or a polish do what they say, on a small set and with a shorter search."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import h5py
import pytest

from cli_tools import compress
from compress_mpi.io.demo import DemoKind, write_demo_set
from compress_mpi.io.enhancedfile import read_enhanced
from compress_mpi.io.ganpdfs import load_gan_card
from compress_mpi.io.pdfset import open_set
from compress_mpi.io.runcard import load_runcard

RUNCARDS = Path(__file__).parents[2] / "runcards"
N_PRIOR, TOTAL, N = 80, 120, 8
SHORTER = [f"compressed={N}", "max_iteration=40", "trials=60", "nf=3"]
REAL = "JAM21PDF_proton_nlo"
REAL_FOLDERS = [
    d for d in os.environ.get("LHAPDF_DATA_PATH", "").split(":") if d and (Path(d) / REAL).is_dir()
]
MISSING = [name for name in ("torch", "zuko") if find_spec(name) is None]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("sets")
    write_demo_set(folder, N_PRIOR, "few", kind=DemoKind("replicas", 68, "coarse"))
    return {"LHAPDF_DATA_PATH": str(folder)}


def run(card: Path, folder: Path, env: dict[str, str], *changes: str) -> str:
    words = [word for change in (*SHORTER, *changes) for word in ("--set", change)]
    done = compress([card, "-q", *words], folder, 0, env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_enhanced_card(sets: dict[str, str], tmp_path: Path) -> None:
    run(RUNCARDS / "enhanced.yml", tmp_path, sets, "pdf=few", f"gans.total_replicas={TOTAL}")
    with h5py.File(tmp_path / f"enhanced/compress_few_enhanced_{N}.h5") as file:
        assert set(file["phases"]) == {"prior", "direct", "adiabatic"}
        assert "polish" not in file
    assert open_set("few_enhanced", [tmp_path / "enhanced/lhapdf"]).n_rep == TOTAL
    assert open_set(f"few_enhanced_compressed_{N}", [tmp_path / "enhanced"]).n_rep == N


def test_the_polished_card(sets: dict[str, str], tmp_path: Path) -> None:
    run(RUNCARDS / "polished.yml", tmp_path, sets, "pdf=few", "polish.steps=40")
    with h5py.File(tmp_path / f"polished/compress_few_{N}.h5") as file:
        assert file["polish"].attrs["erf"] < file["selection"].attrs["erf"]
        assert len(file["polish/candidate_erf"]) == 2
        assert "phases" not in file
    for name in (f"few_compressed_{N}", f"few_compressed_{N}_polished"):
        assert open_set(name, [tmp_path / "polished"]).n_rep == N


def test_the_published_pair_belongs_together() -> None:
    compression = load_runcard(RUNCARDS / "published-enhanced.yml")
    networks = load_gan_card(RUNCARDS / f"{compression.config.gans.runcard}.yml")
    assert compression.config.generator_kind == "gan"
    assert compression.warnings == ()
    assert networks.card.pdf == compression.config.prior_name
    assert networks.settings["epochs"] == 1000


@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (pip install '.[ml]')")
def test_the_published_pair_runs(sets: dict[str, str], tmp_path: Path) -> None:
    for name in ("published-enhanced", "published-ganpdfs"):
        text = (RUNCARDS / f"{name}.yml").read_text().replace("NNPDF40_nnlo_as_0118_1000", "few")
        (tmp_path / f"{name}.yml").write_text(text)
    said = run(
        tmp_path / "published-enhanced.yml",
        tmp_path,
        sets,
        f"gans.total_replicas={TOTAL}",
        "generator.epochs=5",
    )
    assert "(generator gan;" in said
    record = read_enhanced(tmp_path / "few_enhanced/few_enhanced.h5")
    assert record.weights.shape == (TOTAL - N_PRIOR, N_PRIOR)
    assert {len(losses) for losses in record.losses.values()} == {5}
    assert open_set(f"few_enhanced_compressed_{N}", [tmp_path]).n_rep == N
    # the settings of the card are those that counted
    assert record.settings["network"]["generator_steps"] == 1


@pytest.mark.realdata
@pytest.mark.skipif(not REAL_FOLDERS, reason=f"LHAPDF_DATA_PATH names no folder that holds {REAL}")
def test_the_card_of_the_real_set_would_run(tmp_path: Path) -> None:
    env = {"LHAPDF_DATA_PATH": REAL_FOLDERS[0]}
    done = compress(["check", RUNCARDS / "enhanced-jam21.yml"], tmp_path, 0, env)
    assert done.returncode == 0, done.stderr
    assert f"{REAL}_enhanced by 'mix', 1994 new replicas" in done.stdout
    assert not list(tmp_path.iterdir())
