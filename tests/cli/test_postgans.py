"""``compress-mpi postgans`` as people meet it."""

from __future__ import annotations

import pytest

from cli_tools import BAD, compress, digest
from companions_tools import Program
from enhanced_tools import run_folder

NAME = "tiny_enhanced"


@pytest.fixture
def program(monkeypatch, capsys, tmp_path):
    run_folder(tmp_path)
    return Program(monkeypatch, capsys, tmp_path)


def test_the_published_options_and_a_search_in_the_new_set(tmp_path):
    run_folder(tmp_path)
    done = compress(["postgans", "--pdf", "tiny", "--nenhanced", "4"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"{tmp_path}/lhapdf/{NAME}: 4 replicas linked, member 0 is their average" in done.stdout
    assert f"export LHAPDF_DATA_PATH={tmp_path}/lhapdf" in done.stdout
    erf = compress(
        ["erf", "-p", "tiny", "-c", NAME, "--pdf-path", "lhapdf", "--set", "nf=3", "--set", "xgrid=lhapdf"],
        tmp_path,
    )
    assert erf.returncode == 0, erf.stderr
    assert "mean" in erf.stdout


def test_other_folders(program, tmp_path):
    (tmp_path / NAME).rename(tmp_path / "run")
    out = program.good("postgans", "--pdf", "tiny", "--folder", "run", "--datadir", "sets/mine")
    assert "4 replicas linked" in out
    assert (tmp_path / "sets" / "mine" / NAME / f"{NAME}_0004.dat").is_symlink()


def test_a_set_of_others_is_left_alone(program, tmp_path):
    target = tmp_path / "foreign" / NAME
    target.mkdir(parents=True)
    (target / "thesis.tex").write_text("mine")
    before = digest(tmp_path)
    answer = program("postgans", "--pdf", "tiny", "--datadir", "foreign")
    assert answer.code == 5
    assert f"{target}: exists and was not written by compress-mpi" in answer.err
    assert digest(tmp_path) == before


def test_a_run_without_info_needs_the_prior(program, monkeypatch, tmp_path):
    monkeypatch.setenv("LHAPDF_DATA_PATH", str(tmp_path))
    answer = program("postgans", "--pdf", "tiny")
    assert answer.code == 3
    assert "'tiny' not found" in answer.err
    assert "4 replicas" in program.good("postgans", "--pdf", "tiny", "--pdf-path", BAD / "sets")
