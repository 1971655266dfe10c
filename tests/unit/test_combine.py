"""A prior of several sets: planned, made once, honest about where it comes from."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.errors import OutputError, PDFSetError, RuncardError
from compress_mpi.io.backends import read_members
from compress_mpi.io.commongrid import CommonGrid, read_on_grid
from compress_mpi.io.demo import DemoKind, write_demo_set
from compress_mpi.io.gridfile import read_grid
from compress_mpi.io.pdfset import open_set
from compress_mpi.io.runcard import complete
from compress_mpi.methods.combination.hessian import moments, sigma_scale
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.workflows.combine import Combination, build, plan_combination

N_MC, N_HESSIAN = 60, 300
PIDS = (-3, -2, -1, 1, 2, 3, 4, 21)
X = np.array([2e-5, 1e-4, 1e-3, 0.01, 0.05, 0.12, 0.33, 0.55])


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_demo_set(folder, N_MC, "mc")
    write_demo_set(folder, 12, "small", seed=5)
    write_demo_set(folder, name="asym", kind=DemoKind("hessian", 90, "coarse"))
    write_demo_set(folder, name="symm", kind=DemoKind("symmhessian", 68, "coarse"))
    return folder


def plan(sets: Path, folder: Path, pdf: object, **settings: object) -> Combination:
    config = complete({"pdf": pdf, "compressed": 5, **settings})
    return plan_combination(config, folder, [sets], "neopdf")


def edited(sets: Path, name: str, folder: Path, change: dict[str, str]) -> Path:
    """A copy of a set under another name with other metadata."""
    new = folder / "edited" / name
    new.mkdir(parents=True)
    for path in (sets / name).glob("*.dat"):
        (new / path.name).symlink_to(path)
    lines = (sets / name / f"{name}.info").read_text().splitlines()
    kept = [line for line in lines if line.split(":")[0] not in change]
    (new / f"{name}.info").write_text("\n".join([*kept, *(f"{k}: {v}" for k, v in change.items()), ""]))
    return new.parent


@pytest.fixture(scope="module")
def made(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Combination:
    pdf = [
        {"name": "mc", "replicas": N_MC},
        {"name": "asym", "replicas": N_HESSIAN, "seed": 1},
        {"name": "symm", "replicas": N_HESSIAN, "seed": 2},
    ]
    found = plan(sets, tmp_path_factory.mktemp("out"), pdf)
    build(found, SerialTeam())
    return found


# What is decided


def test_without_numbers_each_gives_as_many_as_the_smallest_monte_carlo_set(
    sets: Path, tmp_path: Path
) -> None:
    found = plan(sets, tmp_path, ["mc", "small", "asym"])
    assert [parent.count for parent in found.parents] == [12, 12, 12]
    assert found.pdfset.name == "mc_small_asym_combined"
    assert len(set(found.parents[0].members)) == 12
    assert list(found.parents[0].members) == sorted(found.parents[0].members)
    assert found.parents[1].members == tuple(range(1, 13))
    assert not list(tmp_path.iterdir())


def test_seeds_decide_the_draw(sets: Path, tmp_path: Path) -> None:
    def drawn(seed: int) -> tuple[int, ...]:
        return plan(sets, tmp_path, [{"name": "mc", "replicas": 20, "seed": seed}]).parents[0].members

    assert drawn(1) == drawn(1) != drawn(2)


@pytest.mark.parametrize(
    ("pdf", "settings", "error", "words"),
    [
        (["asym", "symm"], {}, RuncardError, "say how many, such as {name: asym, replicas: 300}"),
        ([{"name": "mc", "replicas": 61}], {}, PDFSetError, "61 replicas were asked for, the set has 60"),
        (["mc", "nowhere"], {}, PDFSetError, "PDF set 'nowhere' not found"),
        (["mc", "small"], {"combined_name": "mc"}, RuncardError, "'mc' is one of the sets that are combined"),
    ],
)
def test_what_does_not_go_together_is_refused(
    sets: Path, tmp_path: Path, pdf: object, settings: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        plan(sets, tmp_path, pdf, **settings)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ErrorType": "unknown"}, "expected replicas, hessian or symmhessian to combine, got 'unknown'"),
        ({"NumMembers": "52"}, "expected an even number of error members beside the central one, got 51"),
        ({"ErrorConfLevel": "100"}, "between 0 and 100 per cent, got 100"),
        ({"ErrorConfLevel": "high"}, "ErrorType 'hessian'"),
        ({"Particle": "1000822080"}, "but mc is of 2212"),
    ],
)
def test_a_hessian_set_of_no_use_is_refused(
    sets: Path, tmp_path: Path, change: dict[str, str], words: str
) -> None:
    folder = edited(sets, "asym", tmp_path, change)
    config = complete({"pdf": ["mc", "asym"], "compressed": 5})
    with pytest.raises(PDFSetError) as caught:
        plan_combination(config, tmp_path, [folder, sets], "neopdf")
    assert words in str(caught.value)
    assert "asym.info" in str(caught.value)


def test_variations_of_alpha_s_are_left_out_with_a_warning(sets: Path, tmp_path: Path) -> None:
    folder = edited(sets, "asym", tmp_path, {"ErrorType": "hessian+as"})
    config = complete({"pdf": ["mc", "asym"], "compressed": 5})
    found = plan_combination(config, tmp_path, [folder, sets], "neopdf")
    assert found.parents[1].members == tuple(range(51))
    assert any("members 51 to 52 vary other parameters and are left out" in w for w in found.warnings)


def test_differing_metadata_are_told(sets: Path, tmp_path: Path) -> None:
    folder = edited(
        sets, "small", tmp_path, {"AlphaS_MZ": "0.119", "Flavors": "[-4, -3, -2, -1, 1, 2, 3, 4, 21]"}
    )
    for path in (folder / "small").glob("*.dat"):
        grid, _ = read_grid(path), path.unlink()
        keep = [k for k, pid in enumerate(grid.subgrids[0].pids) if abs(pid) != 5]
        _rewrite(path, grid, keep)
    config = complete({"pdf": ["mc", "small"], "compressed": 5})
    found = plan_combination(config, tmp_path, [folder, sets], "neopdf")
    assert "AlphaS_MZ differs: mc 0.118, small 0.119; the combined set says that of mc" in found.warnings
    assert "mc: flavours [-5, 5] are not in all sets and are left out" in found.warnings
    assert 5 not in found.grid.pids


def _rewrite(path: Path, grid: object, keep: list[int]) -> None:
    from compress_mpi.io.gridfile import GridFile, Subgrid, write_grid

    assert isinstance(grid, GridFile)
    subgrids = [
        Subgrid(s.x, s.q, tuple(s.pids[k] for k in keep), s.values[:, :, keep]) for s in grid.subgrids
    ]
    write_grid(path, GridFile(grid.header, tuple(subgrids)))


# Grids


def test_own_knots_give_the_values_of_the_file(sets: Path) -> None:
    pdfset = open_set("mc", [sets])
    subgrids = read_grid(pdfset.member_path(2)).subgrids
    x, q = tuple(subgrids[0].x.tolist()), tuple(tuple(s.q.tolist()) for s in subgrids)
    values = read_on_grid(pdfset, [2], CommonGrid(x, q, subgrids[0].pids), "neopdf")
    assert np.array_equal(values[0], np.concatenate([s.values.ravel() for s in subgrids]))


@pytest.mark.parametrize("q", [1.1, 1.3, 1.4, 1.51, 1.65, 4.75, 4.92, 100.0, 2e4])
def test_interpolated_knots_give_the_values_of_the_library(made: Combination, sets: Path, q: float) -> None:
    """Also on thresholds, from above; and between knots to the precision of an interpolation."""
    combined = open_set(str(made.pdfset.path))
    own = read_members(open_set("mc", [sets]), [7], PIDS, X, q)
    found = read_members(combined, [7], PIDS, X, q)
    np.testing.assert_allclose(found, own, rtol=3e-3, atol=1e-5)


def test_a_threshold_is_seen_from_below_by_the_subgrid_below(made: Combination, sets: Path) -> None:
    """A set that jumps at its threshold must not leak over it."""
    pdfset = open_set("mc", [sets])
    jumping = made.grid.q[0], made.grid.q[1]
    assert jumping[0][-1] == jumping[1][0] == 1.4
    values = made.grid.subgrids(read_on_grid(pdfset, [3], made.grid, "neopdf")[0])
    charm = made.grid.pids.index(4)
    # charm of the first set begins at 1.51, inside the common range
    below = next(s for s in values if s.q[-1] == 1.51)
    above = next(s for s in values if s.q[0] == 1.51)
    np.testing.assert_allclose(below.values[:-1, -1, charm], above.values[:-1, 0, charm], atol=1e-9)
    assert np.all(above.values[5:20, -1, charm] > 0)


# What is made


def test_members_say_where_they_come_from(made: Combination) -> None:
    folder, name = made.pdfset.path, made.pdfset.name
    heads = [read_grid(folder / f"{name}_{k:04d}.dat").header for k in (1, N_MC + 2)]
    assert heads[0] == 'PdfType: replica\nParentSet: "mc"\nParentMember: 1\nFormat: lhagrid1'
    assert heads[1] == 'PdfType: replica\nParentSet: "asym"\nParentDraw: 2\nFormat: lhagrid1'
    info = open_set(str(folder)).info
    ranges = [(p["name"], p["members"]) for p in json.loads(info["CompressMPIParents"].replace('\\"', '"'))]
    assert ranges == [("mc", [1, 60]), ("asym", [61, 360]), ("symm", [361, 660])]
    assert "300 of asym (hessian, 90 % CL, seed 1)" in info["SetDesc"]


def test_member_0_is_the_average(made: Combination) -> None:
    combined = open_set(str(made.pdfset.path))
    values = read_on_grid(combined, range(combined.n_rep + 1), made.grid, "neopdf")
    np.testing.assert_allclose(values[0], values[1:].mean(axis=0), rtol=1e-8, atol=1e-12)


def test_moments_are_those_of_the_mixture(made: Combination, sets: Path) -> None:
    """Within the Monte Carlo error of the numbers of replicas, at 64 points of three scales."""
    combined = open_set(str(made.pdfset.path))
    for q in (1.65, 4.92, 100.0):
        values = read_members(combined, range(1, combined.n_rep + 1), PIDS, X, q)
        mean, variance, error = _mixture(sets, q)
        n = combined.n_rep
        spread = values.std(axis=0, ddof=1)
        shown = spread > 0
        assert shown.sum() >= 56
        assert np.all(np.abs(values.mean(axis=0) - mean)[shown] < 4.5 * error[shown] + 2e-3 * spread[shown])
        kurtosis = np.mean((values - values.mean(axis=0)) ** 4, axis=0)[shown] / spread[shown] ** 4
        allowed = 4.5 * np.sqrt((kurtosis - 1) / (4 * n)) + 2e-3
        assert np.all(np.abs(spread / np.sqrt(variance) - 1)[shown] < allowed)


def _mixture(sets: Path, q: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, variance and error of the mean of the inputs, from the sets themselves."""
    mc = read_members(open_set("mc", [sets]), range(1, N_MC + 1), PIDS, X, q)
    parts = [(N_MC, mc.mean(axis=0), mc.std(axis=0), np.zeros(mc.shape[1:]))]
    for name, kind, level in (("asym", "hessian", 90), ("symm", "symmhessian", 68)):
        pdfset = open_set(name, [sets])
        members = read_members(pdfset, range(pdfset.n_rep + 1), PIDS, X, q)
        mean, stdev = moments(members, kind, sigma_scale(level))
        parts.append((N_HESSIAN, mean, stdev, stdev**2 / N_HESSIAN))
    n = sum(part[0] for part in parts)
    mean = sum(k * m for k, m, _, _ in parts) / n
    variance = sum(k * (s**2 + (m - mean) ** 2) for k, m, s, _ in parts) / n
    error = np.sqrt(sum((k / n) ** 2 * e for k, _, _, e in parts))
    return np.asarray(mean), np.asarray(variance), np.asarray(error)


def test_correlations_of_a_hessian_set_survive(made: Combination, sets: Path) -> None:
    """Replicas of the symmetric set against its covariance, by Fisher's transformation."""
    combined, pdfset = open_set(str(made.pdfset.path)), open_set("symm", [sets])
    replicas = range(N_MC + N_HESSIAN + 1, combined.n_rep + 1)
    found = np.corrcoef(read_members(combined, replicas, PIDS[:6], X[::3], 2.0).reshape(N_HESSIAN, -1).T)
    members = read_members(pdfset, range(pdfset.n_rep + 1), PIDS[:6], X[::3], 2.0).reshape(
        pdfset.n_rep + 1, -1
    )
    steps = members[1:] - members[0]
    covariance = steps.T @ steps
    expected = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    below = np.tril_indices(len(expected), -1)
    strong = np.abs(expected[below]) < 0.99
    z = np.arctanh(found[below][strong]) - np.arctanh(expected[below][strong])
    assert strong.sum() > 100
    assert np.abs(z).max() < 4.5 / math.sqrt(N_HESSIAN - 3)


# Once


def test_the_same_recipe_is_used_again_and_another_is_not(sets: Path, tmp_path: Path) -> None:
    pdf = [{"name": "small", "replicas": 6}, {"name": "symm", "replicas": 6}]
    first = plan(sets, tmp_path, pdf)
    assert not first.ready
    build(first, SerialTeam())
    member = first.pdfset.path / f"{first.pdfset.name}_0009.dat"
    before, content = member.stat().st_mtime_ns, member.read_bytes()
    again = plan(sets, tmp_path, pdf)
    assert again.ready
    build(again, SerialTeam())
    assert member.stat().st_mtime_ns == before
    member.unlink()  # tidied away
    assert not plan(sets, tmp_path, pdf).ready
    build(first, SerialTeam())
    assert member.read_bytes() == content
    (first.pdfset.path / f"compress_{first.pdfset.name}_3_output.dat").write_text("{}")
    other = plan(sets, tmp_path, [pdf[0], {**pdf[1], "seed": 9}])
    assert not other.ready
    build(other, SerialTeam())
    assert member.read_bytes() != content
    assert (first.pdfset.path / f"compress_{first.pdfset.name}_3_output.dat").read_text() == "{}"


def test_another_version_of_a_set_is_another_recipe(sets: Path, tmp_path: Path) -> None:
    folder = edited(sets, "small", tmp_path, {"DataVersion": "2"})
    config = complete({"pdf": ["small"], "compressed": 5})
    recipes = {plan_combination(config, tmp_path, [place], "neopdf").recipe for place in (folder, sets)}
    assert len(recipes) == 2


def test_what_lies_in_the_way_is_not_touched(sets: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not lose")
    with pytest.raises(OutputError, match="was not written by compress-mpi"):
        plan(sets, tmp_path, ["mc", "small"], combined_name="mine")


def test_a_parent_that_is_damaged_leaves_nothing_behind(sets: Path, tmp_path: Path) -> None:
    folder = edited(sets, "small", tmp_path, {})
    config = complete({"pdf": ["small", {"name": "symm", "replicas": None}], "compressed": 5})
    found = plan_combination(config, tmp_path / "out", [folder, sets], "neopdf")
    broken = folder / "small" / "small_0005.dat"
    text = broken.read_text()
    broken.unlink()
    broken.write_text(text[: len(text) // 2])
    with pytest.raises(PDFSetError, match=r"small_0005\.dat: truncated"):
        build(found, SerialTeam())
    assert not list((tmp_path / "out").iterdir())
