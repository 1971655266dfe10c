"""The commands beside the run agree with the run, with each other, and with plain NumPy."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest

from cli_tools import BAD, compress, digest, write_runcard
from companions_tools import Program, make_results
from compress_mpi.io.pycompressor import read_erf_lines
from compress_mpi.io.store import estimator_names, read_tree
from compress_mpi.methods.comparison.distributions import frechet_distance, ks_distance

R, OTHER, FIVE = "compress_tiny_4.h5", "other/compress_tiny_4.h5", "compress_tiny_5.h5"
PNG, PDF = b"\x89PNG", b"%PDF"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return make_results(tmp_path_factory.mktemp("results"))


@pytest.fixture
def program(results, monkeypatch, capsys):
    return Program(monkeypatch, capsys, results)


def facts(text):
    return json.loads(text)


# check


def test_check_foretells_the_files_and_evaluations_of_a_run(tmp_path, monkeypatch, capsys):
    program = Program(monkeypatch, capsys, tmp_path)
    write_runcard(tmp_path)
    told = facts(program.good("check", "runcard.yml", "--set", "output=out", "--json"))
    (size,) = told["sizes"]
    assert size["status"] == "new"
    assert size["evaluations"] == 3 * 600 * 5
    assert not any(file["exists"] for file in size["files"].values())
    assert not (tmp_path / "out").exists()
    assert compress(["runcard.yml", "-q", "--set", "output=out"], tmp_path).returncode == 0
    told = facts(program.good("check", "runcard.yml", "--set", "output=out", "--json"))
    (size,) = told["sizes"]
    assert size["status"] == "complete already"
    assert all(file["exists"] for file in size["files"].values())
    assert size["seconds"] == 0
    over = program.good("check", "runcard.yml", "--set", "output=out", "--restart")
    assert "started over" in over


def test_check_sees_an_unfinished_run(tmp_path, monkeypatch, capsys):
    program = Program(monkeypatch, capsys, tmp_path)
    write_runcard(tmp_path, minimization={"max_iteration": 10**8, "seed": 5})
    assert compress(["runcard.yml", "-q", "--set", "time_limit=1"], tmp_path).returncode == 85
    page = program.good("check", "runcard.yml")
    assert "goes on after iteration" in page
    assert "budget 100000000 iterations" in page


def test_check_counts_memory_as_the_manual_does(program):
    told = facts(program.good("check", "runcard.yml", "--set", "nf=3", "--json"))
    replicas, grid = 12, 7 * told["prior"]["x"]["nodes"]
    # 12 random replicas leave 11 independent correlation points
    assert told["correlation_points"] == 11
    assert told["points"] == grid
    points, correlation = 64 * (grid // 64 + 1), 16
    assert told["memory"]["node_bytes"] == 8 * replicas * (grid + points + correlation)
    island = 8 * (points * (8 + 2 * 4 + 3) + correlation**2)
    assert told["memory"]["island_bytes"] == pytest.approx(island, rel=0.08)


@pytest.mark.parametrize("minimizer", ["tempering", "exchange", "genetic", "cma"])
def test_check_measures_every_minimiser(program, minimizer):
    told = facts(
        program.good(
            "check", "runcard.yml", "--set", f"minimizer={minimizer}", "--set", "output=new", "--json"
        )
    )
    assert told["sizes"][0]["evaluations_per_second_and_core"] > 100
    assert told["seconds"] > 0


def test_check_warns_like_the_run(program):
    answer = program("check", "runcard.yml", "--set", "nf=4", "--set", "output=new")
    assert answer.code == 0
    assert "tiny has no flavours [-4, 4]" in answer.err


# job


@pytest.mark.parametrize("scheduler", ["slurm", "pbs"])
@pytest.mark.parametrize("override", ["output=a b", "output=it's $HOME", "output=new"])
def test_job_scripts_are_shell_and_quote(program, tmp_path, scheduler, override):
    words = ["--ranks-per-node", "2", "--nodes", "3", "--time", "2h", "--scheduler", scheduler]
    script = program.good("job", "runcard.yml", *words, "--set", override, "--partition", "cpu")
    path = tmp_path / "job.sh"
    path.write_text(script)
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    start = next(line for line in script.splitlines() if line.startswith("mpirun"))
    said = subprocess.run(
        ["bash", "-c", start.removesuffix("&").replace("mpirun", "printf '%s\\n'", 1)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert said[:5] == ["-n", "6", "compress-mpi", "runcard.yml", "--set"]
    assert said[5] == override


def test_job_in_the_words_of_slurm(program):
    words = ["--ranks-per-node", "64", "--nodes", "2", "--time", "1-02:00:00", "--account", "phy.1"]
    script = program.good(
        "job", "runcard.yml", *words, "--launcher", "srun", "--mpi", "pmix", "--set", "output=n"
    )
    for line in (
        "#SBATCH --nodes=2",
        "#SBATCH --ntasks-per-node=64",
        "#SBATCH --time=1-02:00:00",
        "#SBATCH --account=phy.1",
        "#SBATCH --signal=B:USR1@120",
        "srun --mpi=pmix --kill-on-bad-exit=1 compress-mpi runcard.yml --set output=n &",
        # 3 islands, 40 ranks on each
        "# warning: 8 of 128 ranks would sit idle; ask for 120 or raise islands",
    ):
        assert line in script.splitlines()
    (memory,) = [line for line in script.splitlines() if line.startswith("#SBATCH --mem=")]
    megabytes = int(memory.removeprefix("#SBATCH --mem=").removesuffix("M"))
    assert megabytes == pytest.approx(1.2 * 64 * 200e6 / 2**20, rel=0.02)


def test_job_in_the_words_of_pbs(program):
    words = ["--ranks-per-node", "4", "--time", "26:00:00", "--scheduler", "pbs", "--name", "mine"]
    lines = program.good("job", "runcard.yml", *words, "--set", "output=n").splitlines()
    assert "#PBS -l walltime=26:00:00" in lines
    assert any(line.startswith("#PBS -l select=1:ncpus=4:mpiprocs=4:mem=") for line in lines)
    assert any(line.endswith(f"--set time_limit={26 * 3600 - 120}") for line in lines)
    assert any("exec qsub mine.pbs" in line for line in lines)


def test_a_long_job_is_announced_as_a_chain(program):
    huge = ["--set", "max_iteration=1000000000", "--set", "output=n"]
    script = program.good("job", "runcard.yml", "--ranks-per-node", "2", "--time", "60", *huge)
    assert "a chain of about" in script
    assert "#SBATCH --signal=B:USR1@15" in script


# erf


def test_erf_of_a_set_to_itself_is_zero(program):
    told = facts(program.good("erf", "-p", "tiny", "-c", BAD / "sets" / "tiny", "--set", "nf=3", "--json"))
    assert all(one["distance"] == pytest.approx(0, abs=1e-20) for one in told["estimators"].values())
    assert told["total"] is None


@pytest.mark.parametrize("name", [R, OTHER, FIVE])
def test_erf_gives_the_numbers_of_the_file_again(program, name):
    told = facts(program.good("erf", "-c", name, "--normalised", "--json"))
    tree = read_tree(program.folder / name)
    for estimator in estimator_names(tree):
        one = told["estimators"][estimator]
        for key, attribute in (("distance", "erf"), ("normalisation", "normalisation")):
            assert one[key] == tree.attributes[f"/estimators/{estimator}", attribute]
    assert told["total"] == tree.attributes["/selection", "erf"]


def test_erf_is_the_same_from_file_index_and_set(program):
    ways = [
        ["-c", R],
        ["-c", "tiny/compress_tiny_4_output.dat", "--set", "nf=3"],
        ["-p", "tiny", "-c", "tiny_compressed_4", "--set", "nf=3"],
        ["-p", BAD / "sets" / "tiny", "-c", program.folder / "tiny_compressed_4", "--set", "nf=3"],
    ]
    found = [facts(program.good("erf", *way, "--json"))["estimators"] for way in ways]
    assert all(one == found[0] for one in found)
    reduced = read_erf_lines(program.folder / "erfs_output" / "erf_reduced.dat")[4]
    assert {name: one["distance"] for name, one in found[0].items()} == pytest.approx(reduced)


def test_erf_settings_matter(program):
    base = facts(program.good("erf", "-c", R, "--json"))
    moved = facts(program.good("erf", "-c", R, "--set", "q0=5.0", "--json"))
    fewer = facts(program.good("erf", "-c", R, "--set", "est_dic={moment_estimators: [mean]}", "--json"))
    assert moved["settings"]["q0"] == 5.0
    assert moved["estimators"]["mean"] != base["estimators"]["mean"]
    assert fewer["estimators"] == {"mean": base["estimators"]["mean"]}
    seeds = [
        facts(program.good("erf", "-c", R, "--normalised", "--trials", "40", "--seed", seed, "--json"))[
            "total"
        ]
        for seed in (1, 2)
    ]
    assert seeds[0] != seeds[1]


def test_erf_says_when_the_prior_has_changed(program, tmp_path):
    shutil.copytree(BAD / "sets" / "tiny", tmp_path / "tiny")
    shutil.copy(tmp_path / "tiny" / "tiny_0001.dat", tmp_path / "tiny" / "tiny_0002.dat")
    answer = program("erf", "-c", R, "--pdf-path", tmp_path)
    assert answer.code == 0
    assert "other sha256" in answer.err
    assert "sha256" not in program("erf", "-c", R).err


# diff


def test_diff_of_a_result_with_itself(program):
    told = facts(program.good("diff", R, R, "--json"))
    assert told["identical"]
    assert told["erf"]["comparable"]
    assert not told["settings"]
    assert not told["prior"]
    assert told["selection"]["shared"] == 4
    assert "must not be compared" not in program.good("diff", R, R)


def test_diff_of_two_seeds(program):
    told = facts(program.good("diff", R, OTHER, "--json"))
    assert told["settings"] == {"minimization.seed": [5, 6], "output": [None, "other"]}
    assert not told["identical"]
    first, second = (read_tree(program.folder / name) for name in (R, OTHER))
    a, b = (set(np.asarray(t.datasets["/selection/index"]).tolist()) for t in (first, second))
    assert told["selection"]["shared"] == len(a & b)
    assert set(told["selection"]["only_first"]) == a - b
    assert set(told["selection"]["only_second"]) == b - a
    # other trials, other normalisation: only a common one makes the totals comparable
    assert not told["erf"]["comparable"]
    names = estimator_names(first)
    by_hand = np.mean(
        [
            second.attributes[f"/estimators/{n}", "erf"]
            / first.attributes[f"/estimators/{n}", "normalisation"]
            for n in names
        ]
    )
    assert told["erf"]["common"] == pytest.approx([first.attributes["/selection", "erf"], by_hand])
    page = program.good("diff", R, OTHER)
    assert "must not be compared: the normalisations differ" in page
    assert "minimization.seed: 5 | 6" in page


def test_diff_of_two_sizes_offers_no_common_total(program):
    told = facts(program.good("diff", R, FIVE, "--json"))
    assert told["erf"]["common"] is None
    assert any("sizes" in reason for reason in told["erf"]["reasons"])
    total = program.good("diff", R, FIVE).split("total ")[1].splitlines()[0]
    assert total.split()[-1] == "-"


# validate


def test_validate_draws_and_lists_the_numbers(program):
    files = ["--random", "erfs_output/erf_randomized.dat", "--reduced", "erfs_output/erf_reduced.dat"]
    page = program.good("validate", *files, "-o", "plots")
    assert (program.folder / "plots" / "erf_validation.png").read_bytes().startswith(PNG)
    assert (program.folder / "plots" / "erf_validation.pdf").read_bytes().startswith(PDF)
    reduced = read_erf_lines(program.folder / "erfs_output" / "erf_reduced.dat")
    row = next(line.split() for line in page.splitlines() if line.startswith("stdev"))
    assert row[1] == "4"
    assert float(row[2]) == pytest.approx(reduced[4]["stdev"], rel=1e-5)


# inspect


def test_inspect_names_the_worst_points(program):
    told = facts(program.good("inspect", R, "--worst", "--json"))
    assert set(told["worst"]) == set(told["estimators"]) - {"correlation"}
    for points in told["worst"].values():
        shares = [point["share"] for point in points]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1
    point = told["worst"]["mean"][0]
    distance = told["estimators"]["mean"]["erf"] * told["estimators"]["mean"]["normalisation"]
    term = (point["subset"] / point["prior"] - 1) ** 2
    assert term == pytest.approx(point["share"] * distance)
    assert "worst points" in program.good("inspect", R, "--worst")


def test_inspect_keeps_its_keys(program):
    told = facts(program.good("inspect", R, "--json"))
    assert {"task", "status", "prior", "search", "selection", "estimators", "launches", "versions"} <= set(
        told
    )
    assert told["settings"]["compressed"] == 4
    assert told["prior"]["first_member"] == 1


# compare


def test_compare_agrees_with_the_distances_of_the_library(program):
    from compress_mpi.workflows.pair import load_pair

    out = program.good("compare", "-c", R, "--random", "--flavours", "g,u", "-o", "cmp", "--json")
    told = facts(out)
    assert told == facts((program.folder / "cmp" / "comparison.json").read_text())
    assert list(told["sets"].values()) == [12, 4, 4]
    pair = load_pair(None, str(program.folder / R))
    for row in told["frechet"]:
        column = pair.plan.flavours.index(row["flavours"][0])
        expected = frechet_distance(pair.prior[:, column], pair.compressed[:, column])
        assert row["distance"]["compressed (4)"] == pytest.approx(expected)
    for row in told["ks"]:
        column = pair.plan.flavours.index(row["flavours"][0])
        x = int(np.flatnonzero(pair.plan.xgrid == row["x"])[0])
        expected = ks_distance(pair.prior[:, column, x], pair.compressed[:, column, x])
        assert row["distance"]["compressed (4)"] == pytest.approx(float(expected))
    names = {path.name for path in (program.folder / "cmp").glob("*.png")}
    for name in ("frechet", "correlations_1", "correlation_matrix_compressed", "correlation_matrix_random"):
        assert f"{name}.png" in names
    assert sum(name.startswith("distributions") for name in names) == 3


def test_compare_of_the_prior_with_itself_is_zero(program):
    words = ["-p", "tiny", "-c", "tiny", "--set", "nf=3", "--flavours", "u", "-o", "same", "--json"]
    told = facts(program.good("compare", *words))
    assert told["frechet"][0]["distance"]["compressed (12)"] == pytest.approx(0, abs=1e-12)
    assert told["correlations"]["compressed (12)"]["largest"] == 0
    assert all(row["distance"]["compressed (12)"] == 0 for row in told["ks"])


def test_compare_shows_an_enhanced_set_and_a_flavour_that_is_not_there(program):
    words = ["--enhanced", "tiny_compressed_5", "--set", "nf=4", "--flavours", "u,c", "-o", "enh"]
    page = program.good("compare", "-c", R, *words)
    assert "enhanced (5)" in page
    assert (program.folder / "enh" / "frechet.pdf").read_bytes().startswith(PDF)


def test_nothing_but_the_named_folder_is_touched(program):
    before = digest(program.folder)
    for words in (["erf", "-c", R, "--normalised"], ["diff", R, FIVE], ["inspect", R, "--worst"]):
        program.good(*words)
    assert digest(program.folder) == before
