"""Reports of whole, unfinished, orphaned and damaged results."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from compress_mpi.errors import OutputError, RuncardError, StoreError
from compress_mpi.io.demo import write_demo_set
from compress_mpi.io.store import Tree, read_tree
from compress_mpi.workflows.report import write_report
from report_tools import MEMBERS, NAMES, RUNCARD, Links, embedded, make_result, prior_values


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_demo_set(folder, n_rep=MEMBERS, name="tiny")
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, sets: Path) -> tuple[Tree, Path]:
    """A result and its report."""
    folder = tmp_path_factory.mktemp("whole")
    tree = make_result(folder / "compress_tiny_8.h5", sets)
    return tree, write_report([folder / "compress_tiny_8.h5"], None, [sets])


@pytest.fixture
def result(tmp_path: Path, whole: tuple[Tree, Path]) -> Path:
    """A copy to spoil."""
    return Path(shutil.copy(whole[1].parent.parent / "compress_tiny_8.h5", tmp_path / "result.h5"))


@pytest.fixture
def unsaved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the figures, which are made but not saved: most of a page is the time to save them."""
    from compress_mpi.workflows import report_plots

    names: list[str] = []

    def saved(figure: object, folder: Path, name: str) -> bytes:
        names.append(name)
        return bytes(16) + (800).to_bytes(4, "big") * 2  # as much of a PNG as the page looks at

    monkeypatch.setattr(report_plots, "save_figure", saved)
    return names


@pytest.fixture(autouse=True)
def no_other_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LHAPDF_DATA_PATH", "LHAPDF_PATH", "NEOPDF_DATA_PATH"):
        monkeypatch.delenv(name, raising=False)


def facts_of(page: Path) -> dict:
    (facts,) = embedded(page.read_text())["results"]
    return facts


def test_the_page_lies_beside_the_result(whole: tuple[Tree, Path]) -> None:
    page = whole[1]
    assert page.name == "report.html"
    assert page.parent.name == "compress_tiny_8_report"
    assert sorted(p.name for p in page.parent.iterdir()) == ["plots", "report.html"]


def test_numbers_agree_with_the_file(whole: tuple[Tree, Path]) -> None:
    tree, facts = whole[0], facts_of(whole[1])
    at = tree.attributes
    assert facts["selection"]["erf"] == at["/selection", "erf"]
    assert facts["selection"]["index"] == tree.datasets["/selection/index"].tolist()
    assert tuple(facts["estimators"]) == NAMES
    for name, one in facts["estimators"].items():
        norm = at[f"/estimators/{name}", "normalisation"]
        random = np.sort(tree.datasets[f"/estimators/{name}/random"]) / norm
        assert one["erf"] * norm == pytest.approx(at[f"/estimators/{name}", "erf"], rel=1e-14)
        assert one["random"]["rmd"] == pytest.approx(np.median(random), rel=1e-14)
        assert one["random"]["u68"] == pytest.approx(1.0, rel=1e-14)
        assert one["uncertainty"] == pytest.approx(0.1)
    assert np.mean([e["erf"] for e in facts["estimators"].values()]) == pytest.approx(at["/selection", "erf"])
    assert facts["runcard"] == RUNCARD
    assert facts["missing"] == []
    html = whole[1].read_text()
    assert "budget 50 iterations; 4000 evaluations of the error function, ended by stagnation" in html
    assert "no single swap of a replica lowers the ERF: all were tried" in html


def test_numbers_in_the_table_are_those_of_the_data(whole: tuple[Tree, Path]) -> None:
    html, facts = whole[1].read_text(), facts_of(whole[1])
    for one in [facts["selection"], *facts["estimators"].values()]:
        assert f'<td class="mark">{one["erf"]:.4g}</td>' in html
        assert f"{one['random']['l90']:.4g} – {one['random']['u90']:.4g}" in html


def test_distances_recomputed_from_the_set_agree_with_the_file(whole: tuple[Tree, Path]) -> None:
    comparison = facts_of(whole[1])["comparison"]
    assert comparison["prior_unchanged"]
    assert comparison["largest_difference"] < 1e-12


def test_the_comparison_agrees_with_plain_numbers(whole: tuple[Tree, Path], sets: Path) -> None:
    tree, comparison = whole[0], facts_of(whole[1])["comparison"]
    prior = prior_values(sets, (-1, 21, 1), 1.65)
    subset = prior[tree.datasets["/selection/index"] - 1]
    gluon = next(b for b in comparison["bands"] if b["flavours"] == [21] and b["q"] == 1.65)
    shift = np.abs(subset[:, 1].mean(axis=0) - prior[:, 1].mean(axis=0)) / prior[:, 1].std(axis=0, ddof=1)
    assert gluon["largest_shift"] == pytest.approx(shift.max())
    worst = comparison["worst"]["mean"][0]
    terms = ((subset.mean(axis=0) - prior.mean(axis=0)) / prior.mean(axis=0)) ** 2
    assert worst["share"] == pytest.approx(terms.max() / terms.sum())
    assert worst["prior"] == pytest.approx(prior.mean(axis=0).flat[terms.argmax()])
    assert {row["flavours"][0] for row in comparison["frechet"]} == {21, 1, -1}
    assert all(row["distance"] > 0 for row in comparison["frechet"])
    assert comparison["scales"] == {"low": 1.65, "high": 100.0}


def test_luminosities_cover_the_masses(whole: tuple[Tree, Path]) -> None:
    luminosity = facts_of(whole[1])["comparison"]["luminosity"]
    mass = luminosity["mass"]
    assert 20 <= mass[0] < 30
    assert 4000 < mass[-1] <= 5000
    assert list(luminosity["channels"]) == ["gg", "gq", "qqbar", "qq"]
    for channel in luminosity["channels"].values():
        assert np.all(np.abs(np.array(channel["ratio"]) - 1) < 0.2)
        assert np.all(np.array(channel["prior_stdev"]) > 0)


def test_every_figure_is_on_the_page_and_in_two_files(whole: tuple[Tree, Path]) -> None:
    page = whole[1]
    links = Links(page.read_text())
    wanted = {"convergence", "erf_estimators", "bands_q0_1", "bands_high_1", "correlations", "frechet"}
    wanted |= {"distributions_1", "distributions_2", "distributions_3", "luminosities"}
    assert {p.stem for p in (page.parent / "plots").iterdir()} == wanted
    for name in wanted:
        assert {f"plots/{name}.pdf", f"plots/{name}.png"} <= set(links.links)
    assert len(links.alts) == len(wanted)
    assert all(len(alt) > 40 for alt in links.alts)


def test_nothing_is_fetched_from_elsewhere(whole: tuple[Tree, Path]) -> None:
    html = whole[1].read_text()
    links = Links(html)
    assert all(source.startswith("data:") for source in links.sources)
    assert all(link.startswith(("#", "plots/")) for link in links.links)
    assert {link[1:] for link in links.links if link[0] == "#"} <= set(links.ids)
    assert len(links.ids) == len(set(links.ids))
    assert "url(" not in html
    assert "@import" not in html
    assert "b" in links.tags
    assert "<b>not bold" not in html
    assert html.count("</script>") == 1


def test_the_same_file_gives_the_same_report(whole: tuple[Tree, Path], tmp_path: Path, sets: Path) -> None:
    first = whole[1]
    again = write_report([first.parent.parent / "compress_tiny_8.h5"], tmp_path / "again", [sets])
    assert facts_of(again) == facts_of(first)
    for path in (first.parent / "plots").iterdir():
        assert (again.parent / "plots" / path.name).read_bytes() == path.read_bytes(), path.name


def test_an_unfinished_search_shows_what_there_is(tmp_path: Path, sets: Path, unsaved: list[str]) -> None:
    make_result(tmp_path / "r.h5", sets, status="running", iterations=20)
    page = write_report([tmp_path / "r.h5"], None, [sets])
    facts = facts_of(page)
    assert "iteration 20, budget 50 iterations" in facts["missing"][0]
    assert facts["missing"][0].split(":")[0] in page.read_text()
    assert facts["comparison"] is not None
    assert "convergence" in unsaved


def test_a_search_that_has_only_begun(tmp_path: Path, sets: Path) -> None:
    make_result(tmp_path / "r.h5", sets, status="running", iterations=0)
    with h5py.File(tmp_path / "r.h5", "r+") as file:
        file["/selection/index"][:] = 0
    page = write_report([tmp_path / "r.h5"], None, [sets])
    missing = " ".join(facts_of(page)["missing"])
    assert "No convergence plot" in missing
    assert "nothing has been selected" in missing
    assert [p.name for p in sorted((page.parent / "plots").glob("*.png"))] == ["erf_estimators.png"]


def test_without_the_prior_the_rest_is_shown(result: Path) -> None:
    page = write_report([result])
    facts = facts_of(page)
    assert facts["comparison"] is None
    assert "'tiny' not found" in facts["missing"][0]
    assert "Not known without the prior" in page.read_text()
    names = sorted(p.name for p in (page.parent / "plots").glob("*.png"))
    assert names == ["convergence.png", "erf_estimators.png"]


def test_a_damaged_prior_counts_as_missing(result: Path, tmp_path: Path, sets: Path) -> None:
    shutil.copytree(sets / "tiny", tmp_path / "sets" / "tiny")
    member = tmp_path / "sets" / "tiny" / "tiny_0007.dat"
    member.write_text(member.read_text()[:500])
    facts = facts_of(write_report([result], None, [tmp_path / "sets"]))
    assert "tiny_0007.dat" in facts["missing"][0]


def test_a_prior_with_fewer_replicas_counts_as_missing(result: Path, tmp_path: Path) -> None:
    write_demo_set(tmp_path / "sets", n_rep=12, name="tiny")
    facts = facts_of(write_report([result], None, [tmp_path / "sets"]))
    assert "has 12 replicas now, but 40" in facts["missing"][0]


@pytest.mark.usefixtures("unsaved")
def test_another_prior_of_the_same_name_is_noticed(tmp_path: Path, sets: Path) -> None:
    write_demo_set(tmp_path / "sets", n_rep=MEMBERS, name="tiny", seed=1)
    make_result(tmp_path / "r.h5", sets, names=("mean",))
    facts = facts_of(write_report([tmp_path / "r.h5"], None, [tmp_path / "sets"]))
    assert "other sha256" in facts["missing"][0]
    assert facts["comparison"]["largest_difference"] > 1e-3


@pytest.mark.usefixtures("unsaved")
def test_a_high_q0_has_no_higher_scale(tmp_path: Path, sets: Path) -> None:
    make_result(tmp_path / "r.h5", sets, q0=200.0, names=("correlation",), pids=(21,))
    page = write_report([tmp_path / "r.h5"], None, [sets])
    facts = facts_of(page)
    assert "no higher than the scale" in facts["missing"][0]
    assert {row["q"] for row in facts["comparison"]["bands"]} == {200.0}
    assert facts["comparison"]["worst"] == {}


def test_equal_and_vanishing_flavours(tmp_path: Path, sets: Path) -> None:
    """Charm equals anticharm in the demo set; bottom is zero below its threshold, top everywhere."""
    make_result(tmp_path / "r.h5", sets, pids=(-6, -4, 21, 4, 5), names=("mean",))
    page = write_report([tmp_path / "r.h5"], None, [sets])
    facts = facts_of(page)
    low = [row["flavours"] for row in facts["comparison"]["bands"] if row["q"] == 1.65]
    assert [21] in low
    assert [4, -4] in low
    assert "Zero in every replica at this scale: tbar" in page.read_text()
    assert facts["prior"]["constant_points"] == len(facts["comparison"]["constant"]) > 0


def test_several_sizes_share_a_page(tmp_path: Path, sets: Path) -> None:
    for folder, n_rep in (("a", 6), ("b", 12)):
        (tmp_path / folder).mkdir()
        make_result(tmp_path / folder / "same.h5", sets, n_rep=n_rep, names=("mean", "stdev"), pids=(21,))
    files = [tmp_path / "a" / "same.h5", tmp_path / "b" / "same.h5"]
    page = write_report(files, tmp_path / "out", [sets])
    html = page.read_text()
    assert [r["selection"]["n_rep"] for r in embedded(html)["results"]] == [6, 12]
    assert "compressed to 6 and 12 replicas" in html
    links = Links(html)
    assert len(links.ids) == len(set(links.ids))
    names = {p.name for p in (page.parent / "plots").iterdir()}
    assert "erf_by_size.pdf" in names
    assert {"1_same_frechet.png", "2_same_frechet.png"} <= names


def test_files_that_are_no_results(tmp_path: Path, result: Path) -> None:
    spoiled = tmp_path / "spoiled.h5"
    spoiled.write_bytes(result.read_bytes()[:3000])
    with pytest.raises(StoreError, match=r"spoiled\.h5"):
        write_report([spoiled])
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1.0
    with pytest.raises(StoreError, match="HDF5 file of something else"):
        write_report([tmp_path / "foreign.h5"])
    with pytest.raises(StoreError, match="no such file"):
        write_report([tmp_path / "nowhere.h5"])
    with pytest.raises(RuncardError, match="one result file or more"):
        write_report([])
    assert not list(tmp_path.glob("*_report"))


def spoil(path: Path, where: str, name: str, value: object) -> None:
    with h5py.File(path, "r+") as file:
        if name:
            file[where].attrs[name] = value
        else:
            file[where][...] = value


@pytest.mark.parametrize(
    ("where", "name", "value", "says"),
    [
        ("/", "schema_version", 99, "newer than this release reads"),
        ("/", "task", "events", "task 'events'"),
        ("/", "versions", "{", "versions cannot be understood"),
        ("/selection/index", "", 41, "distinct replicas 1 to 40, got replica 41"),
        ("/selection/index", "", 5, "got a replica twice"),
        ("/estimators/mean", "normalisation", 0.0, "expected a positive normalisation"),
        ("/estimators/mean/random", "", np.nan, "finite random"),
    ],
)
def test_damaged_results(result: Path, where: str, name: str, value: object, says: str) -> None:
    spoil(result, where, name, value)
    with pytest.raises(StoreError, match=says) as caught:
        write_report([result])
    assert str(result) in str(caught.value)
    assert not result.with_name("result_report").exists()


def test_a_distance_that_is_no_number_does_not_break_the_page(result: Path) -> None:
    spoil(result, "/estimators/mean", "normalisation_spread", np.nan)
    facts = facts_of(write_report([result]))
    assert facts["estimators"]["mean"]["uncertainty"] is None


def test_a_folder_that_is_a_file(result: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(OutputError, match="choose another folder"):
        write_report([result], tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_result_is_not_changed_by_its_report(result: Path) -> None:
    before = result.read_bytes()
    write_report([result])
    assert result.read_bytes() == before
    assert read_tree(result).attributes["/", "status"] == "complete"
