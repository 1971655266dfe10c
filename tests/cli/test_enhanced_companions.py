"""The commands beside the run, on results that were selected from an enhanced set and polished."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest

from cli_tools import BAD, compress, digest, write_runcard
from companions_tools import Program
from compress_mpi.io.store import estimator_names, read_tree
from compress_mpi.workflows.report import write_report
from report_tools import Links, embedded

ENHANCED, ALONE, FIVE = "compress_tiny_enhanced_4.h5", "compress_tiny_4.h5", "compress_tiny_enhanced_5.h5"
DAT = "tiny_enhanced/compress_tiny_4_output.dat"
SET = "tiny_enhanced_compressed_4"
CARD = {
    "compressed": [4, 5],
    "definition": "pycompressor",
    "minimization": {"minimizer": "genetic", "max_iteration": 60, "seed": 5},
    "gans": {"enhance": True, "total_replicas": 18},
    "polish": {"radius": 0.3, "steps": 20},
}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A run, and what ``check`` said of it before."""
    folder = tmp_path_factory.mktemp("enhanced")
    write_runcard(folder, **CARD)
    asked = compress(["check", "runcard.yml", "--json"], folder)
    assert asked.returncode == 0, asked.stderr
    assert [path.name for path in folder.iterdir()] == ["runcard.yml"]
    done = compress(["runcard.yml", "-q"], folder)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(asked.stdout)


@pytest.fixture
def program(told, monkeypatch, capsys):
    return Program(monkeypatch, capsys, told[0])


@pytest.fixture
def copied(told, tmp_path, monkeypatch, capsys):
    """A copy that may be spoilt; its links are relative, hence point into it."""
    shutil.copytree(told[0], tmp_path / "copy", symlinks=True)
    return Program(monkeypatch, capsys, tmp_path / "copy")


def selected(folder, name=ENHANCED):
    return np.asarray(read_tree(folder / name).datasets["/selection/index"])


def rewrite(path, dataset, value):
    with h5py.File(path, "r+") as file:
        file[dataset][...] = value


# check and job


def test_check_foretells_files_and_evaluations(told):
    folder, facts = told
    more = facts["enhancement"]
    assert more["phases"] == ["prior", "direct", "adiabatic"]
    assert (more["new_replicas"], more["pool"]) == (6, 19)
    tree = [path for path in (folder / "tiny_enhanced").rglob("*") if path.is_file()]
    selections = [path for path in tree if path.name.endswith("_output.dat")]
    assert len(tree) - len(selections) == more["files"]
    assert len(list((folder / "lhapdf" / "tiny_enhanced").iterdir())) == more["links"]
    written = sum(path.stat().st_size for path in tree if path.suffix in (".dat", ".exportgrid"))
    assert more["disk_bytes"] == pytest.approx(written, rel=0.15)
    for size, name in zip(facts["sizes"], (ENHANCED, FIVE), strict=True):
        assert size["evaluations"] == read_tree(folder / name).attributes["/history", "evaluations"]
        assert size["first_phase"]["status"] == "new"
        assert not any(file["exists"] for file in size["files"].values())


def test_check_counts_the_memory_of_knots_and_pool(told):
    more, memory = told[1]["enhancement"], told[1]["memory"]
    assert more["memory"]["knots_bytes"] == 8 * 12 * more["knots"]
    alone = memory["node_bytes"] - sum(more["memory"].values())
    assert more["memory"]["pool_bytes"] == pytest.approx(alone * 19 / 13, abs=1)


def test_check_sees_that_all_is_done(program):
    facts = json.loads(program.good("check", "runcard.yml", "--json"))
    for size in facts["sizes"]:
        assert size["status"] == size["first_phase"]["status"] == "complete already"
        assert all(file["exists"] for file in size["files"].values())
    assert facts["enhancement"]["exists"]
    page = program.good("check", "runcard.yml")
    assert "prior, direct, adiabatic" in page
    assert "polish      within 0.3 standard deviations" in page
    assert "prior alone" in page


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ("gans.total_replicas=13", 2, "total_replicas"),
        ("generator=gun", 2, "generator"),
        ("existing_enhanced=true", 0, ""),
        ("seed=9", 4, "seed"),
        ("compressed=auto", 2, "auto"),
    ],
)
def test_check_refuses_what_the_run_would(program, change, code, says):
    before = digest(program.folder)
    answer = program("check", "runcard.yml", "--set", change, "--restart" if code == 0 else "--json")
    assert answer.code == code, answer.err
    assert says in answer.err
    assert digest(program.folder) == before


def test_check_of_an_existing_set_that_is_not_there(program, tmp_path):
    changes = [
        "--set",
        "gans.enhance=false",
        "--set",
        "existing_enhanced=true",
        "--set",
        f"output={tmp_path}",
    ]
    answer = program("check", "runcard.yml", *changes)
    assert answer.code == 3
    assert "tiny_enhanced" in answer.err


def test_check_of_the_enhancement_alone(program):
    facts = json.loads(program.good("check", "runcard.yml", "--set", "task=enhance", "--json"))
    assert facts["sizes"] == []
    assert facts["enhancement"]["phases"] == []
    page = program.good("check", "runcard.yml", "--set", "task=enhance")
    assert "6 new replicas" in page
    assert "estimators" not in page


def test_job_says_what_else_it_does(program):
    words = ["--ranks-per-node", "2", "--time", "2h", "--set", "output=new"]
    script = program.good("job", "runcard.yml", *words)
    assert "# enhanced set: tiny_enhanced by mix, 41 files and 20 links" in script
    assert "# polish: its time is not counted" in script
    assert "# training" not in script
    (time,) = [line for line in script.splitlines() if line.startswith("# time:")]
    assert "cores" in time
    alone = program.good("job", "runcard.yml", *words, "--set", "task=enhance")
    assert "# search" not in alone
    assert "# memory per node" in alone


# get-grid


@pytest.mark.parametrize("given", [ENHANCED, DAT])
def test_get_grid_writes_the_set_of_the_run_again(program, tmp_path, given):
    out = program.good("get-grid", "-i", given, "-o", tmp_path).split()
    names = [SET, f"{SET}_polished"] if given == ENHANCED else [SET]
    assert out == [str(tmp_path / name) for name in names]
    for name in names:
        for path in (program.folder / name).glob("*.dat"):
            assert (tmp_path / name / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("given", [ENHANCED, DAT])
def test_get_grid_takes_member_0_of_the_prior(copied, tmp_path, given):
    index = np.array([0, *selected(copied.folder)[1:]])
    rewrite(copied.folder / ENHANCED, "/selection/index", index)
    content = json.loads((copied.folder / DAT).read_text())
    (copied.folder / DAT).write_text(json.dumps(content | {"index": index.tolist()}))
    copied.good("get-grid", "-i", given, "-o", tmp_path / "out")
    written = (tmp_path / "out" / SET / f"{SET}_0001.dat").read_bytes()
    assert written == (BAD / "sets" / "tiny" / "tiny_0000.dat").read_bytes()
    assert written != (copied.folder / "lhapdf" / "tiny_enhanced" / "tiny_enhanced_0000.dat").read_bytes()


def test_without_its_enhanced_set_a_result_says_how_to_get_it(copied, tmp_path):
    shutil.copytree(copied.folder / "lhapdf", tmp_path / "elsewhere")
    shutil.rmtree(copied.folder / "lhapdf")
    for words in (
        ["get-grid", "-i", ENHANCED, "-o", tmp_path],
        ["erf", "-c", ENHANCED],
        ["erf", "-c", DAT, "--set", "nf=3"],
    ):
        answer = copied(*words)
        assert answer.code == 3
        assert "postgans --pdf tiny" in answer.err
        assert answer.err.count("compress-mpi: error: ") == 1
    assert copied("erf", "-c", ENHANCED, "--pdf-path", tmp_path / "elsewhere").code == 0
    copied.good("postgans", "--pdf", "tiny")
    copied.good("erf", "-c", ENHANCED)


def test_a_prior_of_that_name_is_no_enhanced_set(tmp_path):
    from compress_mpi.io.pycompressor import write_compress_dat
    from compress_mpi.workflows.origin import selection_in_dat

    for prior, expected in (("A", ("A", "A_enhanced")), ("A_enhanced", ("A_enhanced", ""))):
        path = tmp_path / f"compress_{prior}_3_output.dat"
        write_compress_dat(path, "A_enhanced", np.ones(2), np.array([1, 2, 5]))
        found = selection_in_dat(path)
        assert (found.prior, found.enhanced) == expected
        assert found.source == "A_enhanced"


# erf, compare


@pytest.mark.parametrize("name", [ENHANCED, FIVE, ALONE])
def test_erf_gives_the_numbers_of_the_file_again(program, name):
    facts = json.loads(program.good("erf", "-c", name, "--normalised", "--json"))
    tree = read_tree(program.folder / name)
    for estimator in estimator_names(tree):
        assert (
            facts["estimators"][estimator]["distance"] == tree.attributes[f"/estimators/{estimator}", "erf"]
        )
    assert facts["total"] == tree.attributes["/selection", "erf"]
    assert facts["prior"] == {"name": "tiny", "members": 13}


def test_erf_is_the_same_from_file_dat_and_set(program):
    plain = ["--set", "nf=3", "--set", "definition=pycompressor"]
    ways = [["-c", ENHANCED], ["-c", DAT, *plain], ["-p", "tiny", "-c", program.folder / SET, *plain]]
    found = [json.loads(program.good("erf", *way, "--json"))["estimators"] for way in ways]
    assert found[0] == found[1]
    by_distance = [{name: one["distance"] for name, one in each.items()} for each in found]
    assert by_distance[2] == pytest.approx(by_distance[0])


def test_erf_of_the_polished_set(program):
    facts = json.loads(program.good("erf", "-c", ENHANCED, "--polished", "--normalised", "--json"))
    tree = read_tree(program.folder / ENHANCED)
    assert facts["total"] == pytest.approx(tree.attributes["/polish", "erf"], rel=1e-12)
    assert facts["compressed"]["name"] == f"{SET}_polished"
    assert program("erf", "-c", ALONE, "--polished").code == 3
    assert program("erf", "-p", "tiny", "-c", SET, "--polished").code == 2
    plain = ["--set", "nf=3", "--set", "definition=pycompressor"]
    assert "is no result" in program("compare", "-c", DAT, *plain, "--polished", "-o", "x").err


def test_compare_shows_selection_and_polished_set(program, tmp_path):
    words = [
        "compare",
        "-c",
        ENHANCED,
        "--polished",
        "--random",
        "--flavours",
        "g,u",
        "-o",
        tmp_path,
        "--json",
    ]
    facts = json.loads(program.good(*words))
    assert facts["sets"] == {"prior (13)": 13, "compressed (4)": 4, "random (4)": 4, "polished (4)": 4}
    assert (tmp_path / "correlation_matrix_polished.png").exists()


# inspect, diff, validate


def test_inspect_tells_of_phases_and_polish(program):
    facts = json.loads(program.good("inspect", ENHANCED, "--json"))
    tree = read_tree(program.folder / ENHANCED)
    assert facts["enhanced"]["name"] == "tiny_enhanced"
    assert [one["name"] for one in facts["phases"]] == ["prior", "direct", "adiabatic"]
    assert sum(one["evaluations"] for one in facts["phases"]) == facts["search"]["evaluations"]
    (best,) = [one for one in facts["phases"] if one["best"]]
    assert best["erf"] == facts["selection"]["erf"] == min(one["erf"] for one in facts["phases"])
    assert facts["polish"]["ratio"] == pytest.approx(
        tree.attributes["/polish", "erf"] / tree.attributes["/polish", "start_erf"]
    )
    assert facts["polish"]["largest_step"] <= 0.3 + 1e-12
    page = program.good("inspect", ENHANCED, "--worst")
    assert f"{best['name']}: ERF {best['erf']:.6g}" in page
    assert "the answer" in page
    assert f"polish      {SET}_polished" in page
    assert "where nothing was fitted" in page
    alone = json.loads(program.good("inspect", ALONE, "--json"))
    assert (alone["enhanced"], alone["phases"], alone["polish"]) == (None, [], None)


def test_inspect_on_a_terminal(program):
    from compress_mpi.workflows.inspect import summary
    from compress_mpi.workflows.inspect_terminal import terminal_page

    path = program.folder / ENHANCED
    page = terminal_page(path, summary(read_tree(path)), np.array([1.0, 0.5]), width=110)
    for word in ("tiny_enhanced", "adiabatic", "evaluations", "polish", "_polished"):
        assert word in page


def test_a_refused_polish_is_told(copied, unsaved):
    with h5py.File(copied.folder / ENHANCED, "r+") as file:
        group = file["polish"]
        for name in ("set", "erf", "start_erf", "held_out"):
            del group.attrs[name]
        for name in set(group) - {"candidate_erf"}:
            del group[name]
        group.attrs["refused"] = json.dumps(["too many negative values", ""])
    page = copied.good("inspect", ENHANCED)
    assert "refused: the selection stays as it is" in page
    assert "1 of 2 minimisations refused: too many negative values" in page
    assert copied("erf", "-c", ENHANCED, "--polished").err.count("was refused") == 1
    assert json.loads(copied.good("diff", ENHANCED, FIVE, "--json"))["polish"][0] is None
    report = copied.good("report", ENHANCED, "-o", "refused").strip()
    assert "No minimisation could be taken" in (copied.folder / report).read_text()


def test_diff_of_an_enhanced_result_with_itself_and_with_the_prior_alone(program):
    facts = json.loads(program.good("diff", ENHANCED, ENHANCED, "--json"))
    assert facts["identical"]
    assert facts["enhanced"] == {}
    facts = json.loads(program.good("diff", ENHANCED, ALONE, "--json"))
    assert facts["enhanced"]["name"] == ["tiny_enhanced", None]
    one, two = selected(program.folder), selected(program.folder, ALONE)
    shared = [k for k in one if k in two and k <= 12]
    assert facts["selection"]["shared"] == len(shared)
    assert facts["selection"]["from_enhanced"] == [int(np.count_nonzero(one > 12)), 0]
    assert facts["phases"]["prior"] == [
        read_tree(program.folder / ALONE).attributes["/selection", "erf"],
        None,
    ]
    assert facts["polish"][1] is None
    # both are distances from the same prior under one normalisation
    assert facts["erf"]["comparable"]
    page = program.good("diff", ENHANCED, ALONE)
    assert "ERF of" in page
    assert "must not be compared" not in page


def test_numbers_of_different_enhanced_sets_are_not_the_same_replicas(copied):
    shutil.copy(copied.folder / ENHANCED, copied.folder / "other.h5")
    with h5py.File(copied.folder / "other.h5", "r+") as file:
        file["enhanced"].attrs["sha256"] = "0" * 64
    for name in (ENHANCED, "other.h5"):
        rewrite(copied.folder / name, "/selection/index", [2, 12, 13, 17])
    facts = json.loads(copied.good("diff", ENHANCED, "other.h5", "--json"))
    assert facts["selection"]["shared"] == 2
    assert facts["selection"]["only_first"] == [13, 17]


def test_validate_draws_all_sizes(program, tmp_path):
    files = ["--random", "erfs_output/erf_randomized.dat", "--reduced", "erfs_output/erf_reduced.dat"]
    program.good("validate", *files, "-o", tmp_path)
    assert (tmp_path / "erf_validation.png").exists()


# report


@pytest.fixture(scope="module")
def unsaved():
    """Names of the figures, which are made but not saved: most of a page is the time to save them."""
    from compress_mpi.workflows import report_plots

    names = []

    def saved(figure, folder, name):
        names.append(name)
        return bytes(16) + (800).to_bytes(4, "big") * 2  # as much of a PNG as the page looks at

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report_plots, "save_figure", saved)
        yield names


@pytest.fixture(scope="module")
def report(told, tmp_path_factory, unsaved):
    """The page of two results, and the names of its figures."""
    out = tmp_path_factory.mktemp("report")
    names = [told[0] / name for name in (ENHANCED, FIVE)]
    unsaved.clear()
    page = write_report(names, out, [BAD / "sets"])
    return page.read_text(), list(unsaved)


def test_the_report_has_all_sections_once(report):
    html, plots = report
    assert len(plots) == len(set(plots))
    for stem in ("compress_tiny_enhanced_4_", "compress_tiny_enhanced_5_"):
        wanted = {
            "phases",
            "erf_of_phases",
            "polish_estimators",
            "polish_way",
            "polish_held_out",
            "bands_q0_1",
        }
        assert {stem + name for name in wanted} <= set(plots)
        assert stem + "convergence" not in plots
    assert {"enhanced_quality", "enhanced_envelope", "erf_by_size"} <= set(plots)
    assert html.count("The same enhanced set as that of compress_tiny_enhanced_4.h5") == 1
    assert "not fit to be published as a set" in html
    assert "<th>guard</th>" in html
    links = Links(html)
    assert all(len(alt) > 40 for alt in links.alts)
    assert len(links.ids) == len(set(links.ids))
    assert {link[1:] for link in links.links if link[0] == "#"} <= set(links.ids)


def test_the_numbers_of_the_report_are_those_of_the_file(report, told):
    result = next(r for r in embedded(report[0])["results"] if r["file"] == ENHANCED)
    tree = read_tree(told[0] / ENHANCED)
    assert result["comparison"]["largest_difference"] < 1e-12
    assert result["comparison"]["prior_unchanged"]
    polish = result["polish"]["estimators"]
    assert polish["total"]["after"] == pytest.approx(tree.attributes["/polish", "erf"], rel=1e-6)
    assert polish["total"]["before"] == pytest.approx(tree.attributes["/polish", "start_erf"], rel=1e-12)
    leaving = result["polish"]["leaving"]
    assert 0 <= leaving["polished"]["outside_share"] < 1
    envelope = result["enhancement"]["envelope"]
    assert 0 <= envelope["mean_share"] <= envelope["largest_share"] <= 1
    assert result["missing"] == []


def test_the_report_leaves_out_what_is_gone(copied, unsaved):
    (copied.folder / "tiny_enhanced" / "tiny_enhanced.h5").unlink()
    shutil.rmtree(copied.folder / "lhapdf")
    unsaved.clear()
    path = copied.good("report", ENHANCED, "-o", "gone").strip()
    html = (copied.folder / path).read_text()
    (result,) = embedded(html)["results"]
    assert any("enhanced set cannot be read" in text for text in result["missing"])
    assert any("No section about the enhanced set" in text for text in result["missing"])
    # what the file alone says is there
    assert set(unsaved) == {"erf_estimators", "phases", "erf_of_phases", "polish_way", "polish_held_out"}


def test_a_sidecar_of_another_set_is_not_shown(copied, unsaved):
    with h5py.File(copied.folder / ENHANCED, "r+") as file:
        file["enhanced"].attrs["members"] = 30
    path = copied.good("report", ENHANCED, "-o", "other").strip()
    (result,) = embedded((copied.folder / path).read_text())["results"]
    assert any("belongs to another enhanced set" in text for text in result["missing"])


def unfinished(path):
    """What a run that was stopped in its second phase leaves."""
    with h5py.File(path, "r+") as file:
        file.attrs["status"] = "running"
        del file.attrs["compressed_set"], file["polish"], file["phases/adiabatic"]
        direct = file["phases/direct"]
        direct.attrs["status"] = "running"
        del direct["selection"], direct["history"].attrs["evaluations"], direct["history"].attrs["ended_by"]
        for name in ("iteration", "erf", "seconds"):
            values = direct["history"][name][:0]
            del direct["history"][name]
            direct["history"][name] = values


def test_a_run_that_was_stopped_in_a_phase(copied, unsaved):
    unfinished(copied.folder / ENHANCED)
    page = copied.good("inspect", ENHANCED)
    assert "direct: nothing selected yet, 0 evaluations, 0.0 s, running, iteration 0" in page
    assert json.loads(copied.good("diff", ENHANCED, FIVE, "--json"))["phases"]["direct"][0] is None
    unsaved.clear()
    path = copied.good("report", ENHANCED, "-o", "stopped").strip()
    (result,) = embedded((copied.folder / path).read_text())["results"]
    assert any("The search has not ended" in text for text in result["missing"])
    assert {"phases", "erf_of_phases", "enhanced_quality"} <= set(unsaved)
    assert "polish_way" not in unsaved
    answer = copied("get-grid", "-i", ENHANCED)
    assert answer.code == 4
    assert "has not ended" in answer.err


def test_an_existing_enhanced_set_brings_its_sidecar(copied, unsaved):
    changes = ["gans.enhance=false", "existing_enhanced=true", "output=existing", "compressed=4"]
    words = [word for change in changes for word in ("--set", change)]
    words += ["--set", "polish.radius=null", "--pdf-path", copied.folder / "lhapdf"]
    more = json.loads(copied.good("check", "runcard.yml", "--json", *words))["enhancement"]
    assert (more["pool"], more["tree"], more["files"]) == (19, None, 0)
    assert compress(["runcard.yml", "-q", *words], copied.folder).returncode == 0
    result = f"existing/{ENHANCED}"
    out = copied.good("get-grid", "-i", result, "-o", "got", "--pdf-path", "lhapdf").split()
    assert out == [f"got/{SET}"]
    unsaved.clear()
    copied.good("report", result, "--pdf-path", "lhapdf")
    assert {"enhanced_quality", "enhanced_envelope", "phases"} <= set(unsaved)
