"""Numbers and texts of the commands beside the run, without the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress_mpi.errors import RuncardError, StoreError
from compress_mpi.io.ccomp import read_compression, read_random
from compress_mpi.io.pycompressor import has_erf_line
from compress_mpi.types import ESTIMATORS
from compress_mpi.workflows.check import human_bytes, human_seconds
from compress_mpi.workflows.inspect_terminal import sparkline, terminal_page
from compress_mpi.workflows.job import JobRequest
from compress_mpi.workflows.plan import (
    Cost,
    SizeCost,
    idle_ranks,
    launch_seconds,
    reading_seconds,
    seconds_on,
    shares_of,
)
from compress_mpi.workflows.report import results_in
from compress_mpi.workflows.validate import read_validation

SIX = [name for name in ESTIMATORS if not name.startswith("moment")]


def cost(islands=16, rate=1000.0, trial=0.01):
    size = SizeCost(50, 16_000, rate, trial, 1_000_000, 40)
    return Cost(islands, 1000, 1000, 630, 45, 10_000_000, 0.002, (size,))


def test_time_falls_with_workers_up_to_the_islands():
    one = cost(trial=0.0)
    times = [seconds_on(one, one.sizes[0], workers, 1) for workers in (1, 2, 4, 8, 16, 32)]
    assert times[:5] == pytest.approx([16, 8, 4, 2, 1])
    assert times[5] == times[4], "sharing an island is not counted on"
    assert seconds_on(one, one.sizes[0], 15, 1) == times[3], "one of 15 has two islands"


def test_trials_and_reading_are_shared():
    one = cost()
    assert seconds_on(one, one.sizes[0], 16, 1) - seconds_on(one, one.sizes[0], 16, 10) == pytest.approx(9)
    assert reading_seconds(one, 1) == pytest.approx(2.0)
    assert reading_seconds(one, 1000) == pytest.approx(2.0 / 31), "one reader per 32 replicas at most"


def test_memory_of_a_rank_follows_its_islands():
    one = cost()
    assert one.rank_bytes(1) - one.rank_bytes(16) == 15_000_000
    assert one.rank_bytes(16) == one.rank_bytes(64)


def test_idle_ranks():
    assert idle_ranks(cost(), 640) == 0
    assert idle_ranks(cost(), 641) == 1


def test_a_launch_takes_as_long_as_its_longest_part():
    small, large = (
        SizeCost(n, 16_000, 1000.0, 0.001, bytes_, 40) for n, bytes_ in ((20, 10**6), (400, 10**7))
    )
    three = Cost(16, 100, 1000, 630, 45, 10_000_000, 0.002, (small, small, large))
    apart = shares_of(three, 128)
    assert [one.sizes for one in apart] == [(0,), (1,), (2,)]
    longest = max(
        seconds_on(three, three.sizes[one.sizes[0]], len(one.ranks), len(one.ranks)) for one in apart
    )
    assert launch_seconds(three, 128) == pytest.approx(longest)
    assert [one.sizes for one in shares_of(three, 1)] == [(0, 1, 2)]
    assert launch_seconds(three, 1) == pytest.approx(sum(seconds_on(three, one, 1, 1) for one in three.sizes))
    assert three.rank_bytes(1) - three.rank_bytes(128) == 15 * 10**7
    assert idle_ranks(three, 3 * 640 + 5) == 5


def test_a_folder_stands_for_its_results_small_sizes_first(tmp_path):
    for name in ("compress_demo_100.h5", "compress_demo_20.h5", "compress_demo_9.hdf5", "notes.txt"):
        (tmp_path / name).touch()
    names = [path.name for path in results_in(tmp_path)]
    assert names == ["compress_demo_9.hdf5", "compress_demo_20.h5", "compress_demo_100.h5"]
    assert results_in(tmp_path / "notes.txt") == [tmp_path / "notes.txt"], "a file is left to its reader"
    (tmp_path / "empty").mkdir()
    with pytest.raises(RuncardError, match="without results"):
        results_in(tmp_path / "empty")


def test_lines_of_shared_files_are_found_whatever_else_is_there(tmp_path):
    path = tmp_path / "erf_reduced.dat"
    assert not has_erf_line(path, 20)
    path.write_text('not ours\n120: {}\n20:{"mean": 1.0}\n')
    assert has_erf_line(path, 20)
    assert has_erf_line(path, 120)
    assert not has_erf_line(path, 12)


def test_human_numbers():
    assert [human_bytes(n) for n in (12, 9_820, 10_400_000, 2.5e9)] == [
        "12 B",
        "9.82 kB",
        "10.4 MB",
        "2.5 GB",
    ]
    assert [human_seconds(s) for s in (0.5, 61, 180, 7500)] == ["0.5 s", "61 s", "3 min", "2 h 05 min"]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("02:00:00", 7200), ("1-00:00:00", 86400), ("5m", 300)]
)
def test_wall_times(text, seconds):
    assert JobRequest(1, 1, text).seconds == seconds


@pytest.mark.parametrize("text", ["", "-5", "1:2", "later", "0"])
def test_wrong_wall_times(text):
    with pytest.raises(RuncardError, match="--time"):
        _ = JobRequest(1, 1, text).seconds


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=300), st.integers(1, 60))
def test_a_sparkline_of_a_falling_curve_falls(values, width):
    falling = np.sort(values)[::-1]
    line = sparkline(falling, width)
    assert 1 <= len(line) <= width
    assert list(line) == sorted(line, reverse=True)


def test_sparkline_ends():
    assert sparkline(np.zeros(0)) == ""
    assert sparkline(np.array([2.0])) == "▁"
    assert sparkline(np.full(9, 3.0), 3) == "▁▁▁"
    line = sparkline(np.geomspace(1.0, 0.1, 1000))
    assert (line[0], line[-1]) == ("█", "▁")


def facts(status="complete"):
    spread = {"median": 0.6, "low": 0.4, "high": 1.0}
    one = {"erf": 0.1, "random": spread, "normalisation": 2.0, "uncertainty": 0.03}
    launch = {
        **dict.fromkeys(("host", "mpi"), "[node]"),
        **dict.fromkeys(("ranks", "nodes", "threads", "first_iteration"), 1),
        "started": "2030-01-01T00:00:00+00:00",
        "end": status,
    }
    return {
        "schema_version": 1,
        "task": "compress",
        "status": status,
        "created": "then",
        "updated": "now",
        "versions": {"python": "3.11"},
        "prior": {
            **{"name": "[bold]set", "members": 100, "sha256": "ab" * 32, "q0": 1.65, "flavours": [21]},
            **{"x": [1e-5, 0.9, 70], "constant_points": 0, "dropped_correlation_points": 0},
        },
        "search": {
            **{"minimizer": "genetic", "seed": 1, "definition": "paper"},
            **{"iteration": 9, "max_iteration": 10, "seconds": 1.0, "budget": "10 iterations"},
            **{"evaluations": 720, "ended_by": "running", "local_optimum": status == "complete"},
        },
        "selection": {"n_rep": 3, "erf": 0.1, "random": spread, "index": [1, 2, 3]},
        "estimators": {"mean": one, "kolmogorov_smirnov": {**one, "erf": 2.0}},
        "launches": [launch],
        "compressed_set": None,
    }


def test_the_terminal_page_shows_everything_and_takes_no_name_for_markup():
    page = terminal_page(Path("a[b].h5"), facts("running"), np.geomspace(1, 0.1, 50), width=90)
    for word in (
        "a[b].h5",
        "[bold]set",
        "[node]",
        "kolmogorov_smirnov",
        "iteration 9",
        "budget 10 iterations; 720 evaluations",
        "not certified as a local optimum",
        "1 2 3",
        "python 3.11",
    ):
        assert word in page
    assert "█" in page
    assert "\x1b[33m" in page, "running is yellow"
    assert "\x1b[31m" in page, "worse than most random subsets is red"


def ccomp(path: Path, rows: dict[int, list[float]]) -> Path:
    # the C++ code ends every line with a tab
    path.write_text("".join(f"{n}\t" + "".join(f"{v:.4e}\t" for v in r) + "\n" for n, r in rows.items()))
    return path


@pytest.mark.parametrize("names", [SIX, list(ESTIMATORS)])
def test_files_of_the_compiled_compressor(tmp_path, names):
    count = len(names)
    random = ccomp(tmp_path / "r.dat", {n: [n + 0.5 * i for i in range(8 * count)] for n in (20, 50)})
    reduced = ccomp(tmp_path / "c.dat", {n: [n + 0.25 * i for i in range(count)] for n in (20, 50)})
    bands, points = read_validation(random, reduced, ccomp=True)
    assert list(bands) == list(points) == names
    for place, name in enumerate(names):
        assert points[name] == {n: n + 0.25 * place for n in (20, 50)}
        assert bands[name][50] == {
            key: 50 + 0.5 * (8 * place + i)
            for i, key in enumerate(("rcv", "rmd", "l50", "u50", "l68", "u68", "l90", "u90"))
        }


def test_the_last_line_of_a_size_counts(tmp_path):
    path = tmp_path / "c.dat"
    path.write_text("20\t1\t1\t1\t1\t1\t1\t\n20\t2\t2\t2\t2\t2\t2\t\n")
    assert read_compression(path)[20]["mean"] == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("20\t1\t2\n", ["line 1", "7 or 9", "got 3"]),
        ("20\t" + "1\t" * 48 + "\n", ["line 1", "7 or 9", "got 49"]),
        ("20\t1\t1\t1\t1\t1\tnan\n", ["line 1", "nan"]),
        ("\n20\t1\t1\t1\t1\t1\tx\n", ["line 2", "'x'"]),
        ("mean\t1\n", ["line 1", "mean", "--format"]),
    ],
)
def test_damaged_files_of_the_compiled_compressor(tmp_path, text, words):
    (tmp_path / "c.dat").write_text(text)
    with pytest.raises(StoreError) as caught:
        read_compression(tmp_path / "c.dat")
    for word in ["c.dat", *words]:
        assert word in str(caught.value)


def test_the_two_files_of_the_compiled_compressor_are_not_confused(tmp_path):
    path = ccomp(tmp_path / "c.dat", {20: [1.0] * 6})
    with pytest.raises(StoreError, match="is it the other file"):
        read_random(path)


def test_distances_of_zero_can_be_drawn():
    from compress_mpi.io.report.figures_compare import FrechetColumn, draw_frechet_of_sets
    from compress_mpi.io.report.figures_validation import draw_validation
    from compress_mpi.io.report.style import new_figure

    bands = dict.fromkeys(("rcv", "rmd", "l50", "u50", "l68", "u68", "l90", "u90"), 0.0)
    figures = [
        draw_validation({"mean": {5: bands, 500: bands}}, {"mean": {5: 0.0}}),
        draw_frechet_of_sets([FrechetColumn("g", [0.0], bands)], ["compressed"]),
    ]
    for figure in figures:
        figure.canvas.draw()
        assert all(np.isfinite(axes.get_ylim()).all() for axes in figure.axes)
        assert type(figure) is type(new_figure(1, 1))
