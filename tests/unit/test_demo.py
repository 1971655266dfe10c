"""The demo prior: the same bytes every time, and something like a proton."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.errors import OutputError
from compress_mpi.io import demo
from compress_mpi.io.backends import read_members, require_scale
from compress_mpi.io.demo import cached_demo_set, write_demo_set
from compress_mpi.io.demo_shapes import PIDS, Q_GRIDS, X_KNOTS, draw, replicas
from compress_mpi.io.gridfile import check_complete, read_grid
from compress_mpi.io.pdfset import open_set, require_replicas


@pytest.fixture(scope="module")
def population() -> np.ndarray:
    """1000 replicas at 1.65 GeV, (replica, x, flavour)."""
    z = np.stack([draw(demo.DEMO_SEED, k) for k in range(1, 1001)])
    return replicas(z, 1.65)


def column(pid: int) -> int:
    return PIDS.index(pid)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def integral(values: np.ndarray, power: float = 0.0) -> float:
    """Of x f times x to a power over x, on the coarse knots."""
    return float(np.trapezoid(values * X_KNOTS ** (power + 1), np.log(X_KNOTS)))


def test_two_writings_are_identical(tmp_path: Path) -> None:
    one = contents(write_demo_set(tmp_path / "one", n_rep=5))
    assert one == contents(write_demo_set(tmp_path / "two", n_rep=5))
    assert len(one) == 7


def test_another_process_writes_the_same(tmp_path: Path) -> None:
    code = (
        f"from compress_mpi.io.demo import write_demo_set; write_demo_set({str(tmp_path / 'two')!r}, n_rep=2)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert contents(write_demo_set(tmp_path / "one", n_rep=2)) == contents(tmp_path / "two" / "demo")


def test_a_replica_does_not_depend_on_how_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = contents(write_demo_set(tmp_path / "few", n_rep=3))
    monkeypatch.setattr(demo, "_BATCH", 2)
    more = contents(write_demo_set(tmp_path / "more", n_rep=5))
    same = [f"demo_{k:04d}.dat" for k in (1, 2, 3)]
    assert [few[name] for name in same] == [more[name] for name in same]
    assert few["demo_0000.dat"] != more["demo_0000.dat"]


def test_another_seed_is_another_set(tmp_path: Path) -> None:
    one = contents(write_demo_set(tmp_path / "one", n_rep=1, seed=1))
    two = contents(write_demo_set(tmp_path / "two", n_rep=1, seed=2))
    assert one["demo_0001.dat"] != two["demo_0001.dat"]


def test_the_set_is_a_set(tmp_path: Path) -> None:
    from neopdf.pdf import PDF

    folder = write_demo_set(tmp_path, n_rep=6, name="mine")
    pdfset = open_set(str(folder))
    require_replicas(pdfset, 5)
    require_scale(pdfset, 1.65)
    assert (pdfset.q_min, pdfset.q_max, pdfset.x_min, pdfset.x_max) == (1.0, 1e5, 1e-6, 1.0)
    layout = check_complete(pdfset.member_path(0))
    assert layout.regular
    assert layout.q == Q_GRIDS
    assert all(len(q) >= 4 for q in layout.q)
    assert set(layout.x) == {tuple(X_KNOTS)}
    pdf = PDF.mkPDF_lhapdf_file(str(pdfset.member_path(1)))
    assert pdf.alphasQ2(91.1876**2) == pytest.approx(0.118, rel=0.01)
    assert pdf.xfxQ2(21, 0.1, 1.65**2) == read_members(pdfset, [1], [21], np.array([0.1]), 1.65)[0, 0, 0]


def test_member_0_is_the_average_to_the_digits_written(tmp_path: Path) -> None:
    folder = write_demo_set(tmp_path, n_rep=6)
    for k in range(3):
        members = [read_grid(folder / f"demo_{m:04d}.dat").subgrids[k].values for m in range(7)]
        np.testing.assert_allclose(members[0], np.mean(members[1:], axis=0), rtol=2e-6)


def test_numbers_above_9999_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_some(path: Path, kind: str, values: list[np.ndarray], grid: object) -> None:
        path.write_text(kind)

    monkeypatch.setattr(demo, "_write_member", only_some)
    monkeypatch.setattr(demo, "_batch", lambda seed, members, grid: [[0.0, 0.0, 0.0]] * len(members))
    monkeypatch.setattr("compress_mpi.io.setfolder._sync_all", lambda draft: None)
    folder = write_demo_set(tmp_path, n_rep=10001)
    assert open_set(str(folder)).n_rep == 10001
    assert (folder / "demo_10001.dat").is_file()


def test_no_replicas_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="0 replicas"):
        write_demo_set(tmp_path, n_rep=0)


# Physics


@pytest.mark.parametrize("q", sorted({q for grid in Q_GRIDS for q in grid}))
def test_sum_rules_hold(q: float) -> None:
    z = np.stack([draw(7, k) for k in range(20)])
    for values in replicas(z, q):
        up = values[:, column(2)] - values[:, column(-2)]
        down = values[:, column(1)] - values[:, column(-1)]
        assert integral(up, -1) == pytest.approx(2, rel=0.02)
        assert integral(down, -1) == pytest.approx(1, rel=0.02)
        assert integral(values.sum(axis=1)) == pytest.approx(1, rel=0.02)


def test_densities_are_positive_and_end_at_zero(population: np.ndarray) -> None:
    visible = [i for i, pid in enumerate(PIDS) if abs(pid) != 5]
    assert population[:, :-1, visible].min() > 0
    assert not population[:, -1].any()


def test_heavy_quarks_are_symmetric_and_begin_at_their_thresholds() -> None:
    z = np.stack([draw(1, k) for k in range(3)])
    for pid, threshold in ((4, 1.51), (5, 4.92)):
        below, above = replicas(z, threshold), replicas(z, threshold * 1.01)
        assert not below[..., column(pid)].any()
        assert above[:, :-1, column(pid)].min() > 0
        assert np.array_equal(above[..., column(pid)], above[..., column(-pid)])


def test_strange_is_not_symmetric(population: np.ndarray) -> None:
    assert not np.allclose(population[..., column(3)], population[..., column(-3)], rtol=0.01)


def test_the_spread_is_that_of_a_fit(population: np.ndarray) -> None:
    relative = population.std(axis=0)[:-1] / np.maximum(population.mean(axis=0)[:-1], 1e-300)
    middle, large = np.searchsorted(X_KNOTS, [0.1, 0.75])
    for pid in (-2, -1, 1, 2, 21):
        width = relative[:, column(pid)]
        assert 0.005 < width[middle] < 0.1
        assert width[4] > 2 * width[middle]
        assert width[large] > 2 * width[middle]
    assert relative[:, [column(pid) for pid in (-3, 3, 4)]].max() < 2


def test_the_spread_is_skewed_and_heavy_tailed(population: np.ndarray) -> None:
    visible = [column(pid) for pid in (-3, -2, -1, 1, 2, 3, 4, 21)]
    values = population[:, 4:44, visible]
    standard = (values - values.mean(axis=0)) / values.std(axis=0)
    assert (standard**4).mean(axis=0).max() > 5
    assert (standard**4).mean(axis=0).min() > 3
    assert np.abs((standard**3).mean(axis=0)).max() > 0.5
    assert np.median(np.abs((standard**3).mean(axis=0))) > 0.1


def test_flavours_are_correlated_but_not_copies(population: np.ndarray) -> None:
    independent = [column(pid) for pid in (-3, -2, -1, 1, 2, 3, 4, 21)]
    points = population[:, [15, 25, 32, 40, 46]][:, :, independent].reshape(1000, -1)
    correlation = np.corrcoef(points.T)
    other = correlation[~np.eye(len(correlation), dtype=bool)]
    assert np.abs(other).max() > 0.5
    assert np.linalg.matrix_rank(correlation) == len(correlation)


# The cache


@pytest.fixture
def small_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(demo, "DEMO_REPLICAS", 2)
    return tmp_path / "cache"


def test_the_cache_is_filled_once(small_cache: Path) -> None:
    folder = cached_demo_set()
    assert folder == small_cache / "compress-mpi" / f"demo-{demo.DEMO_VERSION}"
    assert open_set("demo", [folder]).path == folder / "demo"
    stamp = (folder / "demo").stat().st_ino
    assert cached_demo_set() == folder
    assert (folder / "demo").stat().st_ino == stamp


def test_a_cache_with_a_hole_is_mended(small_cache: Path) -> None:
    folder = cached_demo_set()
    before = contents(folder / "demo")
    (folder / "demo" / "demo_0001.dat").unlink()
    assert contents(cached_demo_set() / "demo") == before


def test_two_processes_may_fill_the_cache_together(small_cache: Path) -> None:
    code = "from compress_mpi.io import demo; demo.DEMO_REPLICAS = 2; print(demo.cached_demo_set())"
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    printed = {run.communicate(timeout=60)[0].strip() for run in runs}
    assert [run.returncode for run in runs] == [0, 0, 0]
    assert len(printed) == 1
    assert open_set("demo", [Path(printed.pop())]).n_rep == 2
    assert [path.name for path in cached_demo_set().iterdir()] == ["demo"]


def test_the_cache_is_below_home_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "DEMO_REPLICAS", 1)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cached_demo_set().is_relative_to(tmp_path / ".cache" / "compress-mpi")


def test_a_cache_that_cannot_be_written_is_explained(small_cache: Path) -> None:
    small_cache.write_text("a file in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        cached_demo_set()


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_cache_is_explained(small_cache: Path) -> None:
    small_cache.mkdir()
    small_cache.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        cached_demo_set()
