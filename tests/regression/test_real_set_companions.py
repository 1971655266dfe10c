"""On a real set the commands beside the run agree with each other's numbers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from companions_tools import Program
from compress_mpi.io.pycompressor import read_erf_lines

NAME = "JAM21PDF_proton_nlo"
PATHS = [Path(p) for p in os.environ.get("LHAPDF_DATA_PATH", "").split(os.pathsep) if p]
HERE = next((path for path in PATHS if (path / NAME).is_dir()), None)

pytestmark = [
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.skipif(HERE is None, reason=f"{NAME} is not in a folder of LHAPDF_DATA_PATH"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    from cli_tools import compress, write_runcard

    folder = tmp_path_factory.mktemp("real")
    write_runcard(
        folder, pdf=NAME, compressed=[50, 100], trials=100, minimization={"max_iteration": 200, "seed": 3}
    )
    run = compress(["runcard.yml", "-q"], folder, env={"LHAPDF_DATA_PATH": str(HERE)}, timeout=300)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture
def program(results, monkeypatch, capsys):
    called = Program(monkeypatch, capsys, results)
    monkeypatch.setenv("LHAPDF_DATA_PATH", str(HERE))
    return called


def test_erf_inspect_diff_validate_and_compare_agree(program):
    files = {n: f"compress_{NAME}_{n}.h5" for n in (50, 100)}
    reduced = read_erf_lines(program.folder / "erfs_output" / "erf_reduced.dat")
    told = {n: json.loads(program.good("inspect", file, "--json")) for n, file in files.items()}
    for n, file in files.items():
        erf = json.loads(program.good("erf", "-c", file, "--normalised", "--json"))
        assert erf["total"] == told[n]["selection"]["erf"]
        distances = {name: one["distance"] for name, one in erf["estimators"].items()}
        assert distances == pytest.approx(reduced[n])
    erf_of_set = json.loads(
        program.good("erf", "-p", NAME, "-c", f"{NAME}_compressed_100", "--set", "nf=3", "--json")
    )
    assert {name: one["distance"] for name, one in erf_of_set["estimators"].items()} == pytest.approx(
        reduced[100]
    )
    diff = json.loads(program.good("diff", files[50], files[100], "--json"))
    assert diff["erf"]["total"] == [told[n]["selection"]["erf"] for n in (50, 100)]
    assert not diff["erf"]["comparable"]
    words = ["--random", "erfs_output/erf_randomized.dat", "--reduced", "erfs_output/erf_reduced.dat"]
    assert "50" in program.good("validate", *words, "-o", "plots")
    compared = json.loads(
        program.good("compare", "-c", files[100], "--flavours", "g,u", "-o", "cmp", "--json")
    )
    for row in compared["frechet"]:
        assert row["distance"]["compressed (100)"] < row["random"]["u90"]
