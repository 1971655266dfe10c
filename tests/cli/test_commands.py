"""The small commands, and what a run leaves behind."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import compress_mpi
from cli_tools import BAD, compress, write_runcard
from compress_mpi.cli import cli
from compress_mpi.errors import EXIT_CODES
from compress_mpi.io.pycompressor import read_compress_dat, read_erf_lines

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    write_runcard(folder)
    result = compress(["runcard.yml"], folder)
    assert result.returncode == 0, result.stderr
    (folder / "stdout").write_text(result.stdout)
    (folder / "stderr").write_text(result.stderr)
    return folder


def test_version_and_help(tmp_path):
    assert compress_mpi.__version__ in compress(["--version"], tmp_path).stdout
    page = compress(["--help"], tmp_path).stdout
    for name in cli.commands:
        assert name in page
    for code in EXIT_CODES:
        assert str(code) in page


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_every_command_has_an_example(tmp_path, name):
    result = compress([name, "--help"], tmp_path)
    assert result.returncode == 0
    assert "Example:" in result.stdout
    assert "compress-mpi" in result.stdout.split("Example:")[1]


def test_a_run_says_where_its_results_are(finished):
    told = (finished / "stdout").read_text()
    for name in ("compress_tiny_4.h5", "tiny_compressed_4", "tiny/compress_tiny_4_output.dat", "erfs_output"):
        assert name in told
        assert (finished / name).exists()
    assert "iteration 600/600" in (finished / "stderr").read_text(), "the last line of a batch log is the end"


def test_inspect_tells_the_story(finished):
    page = compress(["inspect", "compress_tiny_4.h5"], finished).stdout
    for word in ("complete", "tiny", "12 replicas", "genetic, seed 5", "kolmogorov_smirnov"):
        assert word in page
    for word in ("iteration 600", "budget 600 iterations"):
        assert word in page
    assert "9000 evaluations, ended by budget" in page
    assert "not certified as a local optimum" in page
    facts = json.loads(compress(["inspect", "compress_tiny_4.h5", "--json"], finished).stdout)
    estimators = facts["estimators"]
    assert facts["selection"]["erf"] == pytest.approx(np.mean([e["erf"] for e in estimators.values()]))
    assert len(facts["selection"]["index"]) == 4
    index = compress(["inspect", "compress_tiny_4.h5", "/selection/index", "--json"], finished).stdout
    assert json.loads(index) == facts["selection"]["index"]
    group = compress(["inspect", "compress_tiny_4.h5", "/selection"], finished).stdout
    assert "replica numbers" in group
    assert "/selection@erf" in group


def test_files_of_the_existing_tool_agree_with_the_result(finished):
    facts = json.loads(compress(["inspect", "compress_tiny_4.h5", "--json"], finished).stdout)
    dat = read_compress_dat(finished / "tiny" / "compress_tiny_4_output.dat")
    assert list(dat.index) == facts["selection"]["index"]
    assert len(dat.erfs) == 600
    reduced = read_erf_lines(finished / "erfs_output" / "erf_reduced.dat")[4]
    for name, estimator in facts["estimators"].items():
        assert reduced[name] / estimator["normalisation"] == pytest.approx(estimator["erf"])


@pytest.mark.parametrize("source", ["compress_tiny_4.h5", "tiny/compress_tiny_4_output.dat"])
def test_get_grid_writes_the_set_of_the_run(finished, tmp_path, source):
    result = compress(["get-grid", "-i", finished / source, "-o", tmp_path], finished)
    assert result.returncode == 0, result.stderr
    written = tmp_path / "tiny_compressed_4"
    assert result.stdout.strip() == str(written)
    for path in sorted((finished / "tiny_compressed_4").glob("*.dat")):
        assert (written / path.name).read_bytes() == path.read_bytes()
    index = json.loads(
        compress(["inspect", "compress_tiny_4.h5", "/selection/index", "--json"], finished).stdout
    )
    for k, replica in enumerate(index, start=1):
        prior = BAD / "sets" / "tiny" / f"tiny_{replica:04d}.dat"
        assert (written / f"tiny_compressed_4_{k:04d}.dat").read_bytes() == prior.read_bytes()


def test_get_grid_of_an_unfinished_run_is_refused(tmp_path):
    write_runcard(tmp_path, minimization={"max_iteration": 10**8})
    assert compress(["runcard.yml", "-q", "--set", "time_limit=1"], tmp_path).returncode == 85
    result = compress(["get-grid", "-i", "compress_tiny_4.h5"], tmp_path)
    assert result.returncode == 4
    assert "has not ended" in result.stderr
    assert "running" in compress(["inspect", "compress_tiny_4.h5"], tmp_path).stdout


def test_lost_companions_are_written_again(finished, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    shutil.rmtree(folder / "tiny_compressed_4")
    (folder / "tiny" / "compress_tiny_4_output.dat").unlink()
    result = compress(["runcard.yml"], folder)
    assert result.returncode == 0, result.stderr
    assert (folder / "tiny_compressed_4" / "tiny_compressed_4.info").exists()
    assert (folder / "tiny" / "compress_tiny_4_output.dat").exists()


def test_output_may_name_a_file_or_a_folder(tmp_path):
    for output, expected in (("a/b.h5", "a/b.h5"), ("results", "results/compress_tiny_4.h5")):
        write_runcard(tmp_path, output=output)
        assert compress(["runcard.yml", "-q"], tmp_path).returncode == 0
        assert (tmp_path / expected).exists()
        assert (tmp_path / expected).parent.joinpath("tiny_compressed_4").is_dir()


def test_demo_set_is_a_set(tmp_path):
    result = compress(["demo-set", "sets", "--replicas", "15", "--name", "small"], tmp_path)
    assert result.returncode == 0, result.stderr
    write_runcard(tmp_path, pdf="small", compressed=5)
    run = compress(["runcard.yml", "-q", "--pdf-path", "sets"], tmp_path)
    assert run.returncode == 0, run.stderr
    assert "5 of 15 replicas" in run.stdout


def test_estimators_may_be_few(tmp_path):
    for number, est_dic in enumerate(
        ({"moment_estimators": ["mean"]}, {"corr_estimators": ["correlation"], "stat_estimators": []})
    ):
        write_runcard(tmp_path, est_dic=est_dic, output=f"r{number}.h5")
        assert compress(["runcard.yml", "-q"], tmp_path).returncode == 0
        facts = json.loads(compress(["inspect", f"r{number}.h5", "--json"], tmp_path).stdout)
        assert list(facts["estimators"]) == [name for names in est_dic.values() for name in names]


def test_all_estimators_on_the_knots_of_the_set(tmp_path):
    moments = ["mean", "stdev", "skewness", "kurtosis", "moment5th", "moment6th"]
    write_runcard(tmp_path, est_dic={"moment_estimators": moments}, xgrid="lhapdf", nf=3)
    result = compress(["runcard.yml", "-q"], tmp_path)
    assert result.returncode == 0, result.stderr
    nodes = json.loads(compress(["inspect", "compress_tiny_4.h5", "/prior/xgrid", "--json"], tmp_path).stdout)
    assert nodes == [1e-6, 1e-5, 1e-3, 1e-1, 0.5]


def test_flavours_that_the_set_lacks_are_told(tmp_path):
    write_runcard(tmp_path, nf=5)
    result = compress(["runcard.yml", "-q"], tmp_path)
    assert result.returncode == 0, result.stderr
    assert "tiny has no flavours [-5, -4, 4, 5]" in result.stderr


def test_published_nodes_outside_the_set_are_left_out_and_told(tmp_path):
    sets = tmp_path / "sets"
    shutil.copytree(BAD / "sets" / "tiny", sets / "tiny")
    for path in (sets / "tiny").glob("*.dat"):
        path.write_text(path.read_text().replace("1.000000E-06 1.000000E-05 ", "1.000000E-04 2.000000E-04 "))
    write_runcard(tmp_path)
    result = compress(["runcard.yml", "-q", "--pdf-path", "sets"], tmp_path)
    assert result.returncode == 0, result.stderr
    assert "left out" in result.stderr
    assert "6 of 70 nodes" in result.stderr


def test_the_runcards_are_valid():
    from compress_mpi.io.runcard import load_runcard, task_of
    from compress_mpi.io.runcard_events import load_events_runcard

    for card in sorted((ROOT / "runcards").glob("*.yml")):
        # that of the networks is named by another one and tested with it
        if card.name == "published-ganpdfs.yml":
            continue
        if task_of(card) == "events":
            assert load_events_runcard(card).config.input == ("demo",)
        else:
            assert load_runcard(card).config.pdf


def test_h5dump_like_tools_see_units(finished):
    tool = shutil.which("h5dump")
    if tool is None:
        pytest.skip("h5dump is not installed (Debian: hdf5-tools)")
    out = subprocess.run(
        [tool, "-A", finished / "compress_tiny_4.h5"], capture_output=True, text=True, check=True
    )
    assert "GeV" in out.stdout
