"""The benchmarks of event tables run, and compare what they say they compare."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "docs" / "_ext")]

import benchmark_tables  # noqa: E402

import events  # noqa: E402
import events_peers  # noqa: E402
import events_speed  # noqa: E402
from case import Scale  # noqa: E402
from jobs import JobError  # noqa: E402
from measures import Outcome  # noqa: E402

TINY = replace(Scale.quick(), repeats=1, table_rows=400)


@pytest.fixture(autouse=True)
def _made_up_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COMPRESS_MPI_EVENTS", raising=False)


def test_sizes_are_compared_at_one_error_and_promises_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed (pip install 'compress-mpi[ml]')")
    monkeypatch.setattr(events, "BITS", (13,))
    monkeypatch.setattr(events, "FORMS", {"default": ()})
    monkeypatch.setattr(events, "missing_peers", lambda: ["pysz"])
    outcome = events.measure(TINY)
    at = "generator, N = 13"
    assert 0.9 < outcome.value(f"{at}: mean error of bounded / published, largest") <= 1.0
    ratio = outcome.value(f"{at}: published, NPZ") / outcome.value(f"{at}: bounded, default")
    assert outcome.value(f"{at}: published / bounded") == pytest.approx(ratio)
    missed = [note for note in outcome.notes if note.startswith("MISSED")]
    assert len(missed) == (ratio < 1.65)
    assert outcome.notes[-1] == f"{2 - len(missed)} of 2 promised ratios are reached"
    assert outcome.notes[0] == "pysz is not installed: left out"


def test_sz3_is_the_best_of_its_ways_within_its_bound() -> None:
    pytest.importorskip("pysz", reason="pysz is not installed (pip install 'compress-mpi[bench]')")
    (table,) = events.tables(TINY)
    steps = 0.01 * table.rows.std(axis=0, dtype=np.float64)
    best = events_peers.sz3_best(table.rows, steps)
    assert (best.mean <= steps / 2).all()
    for name in events_peers.ALGORITHMS:
        alone = sum(
            events_peers.SZ3(name, step / 2).compress(column).size
            for step, column in zip(steps, table.rows.T, strict=True)
        )
        assert best.size <= alone


def test_planes_and_indices_hold_the_values() -> None:
    rows = np.array([[1.5, -2.0], [0.25, 3.0]], dtype=np.float32)
    data = events_peers.planes(rows)
    assert data[0::2][:4] == rows[0, :1].tobytes()
    assert events_peers.indices(rows, np.array([0.25, 1.0])).tolist() == [[12, 3], [2, 6]]


def test_speeds_are_of_coders_that_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_speed, "_ranks", lambda *_: None)
    outcome = events_speed.measure(TINY)
    assert {measure.unit for measure in outcome.measures} == {"MB/s"}
    assert outcome.value("bounded, tiny flow: decode") > outcome.value("bounded, tiny flow: encode") > 0


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="mean"):
        events.bounded(np.ones((5, 4), np.float32), np.full(4, -1.0), tmp_path, [], "marginal")


def test_matrix_has_a_column_for_each_table() -> None:
    outcome = Outcome("about", {})
    for name, value in (
        ("a, N = 13: x", 1.5),
        ("b, N = 13: y", 2.5),
        ("b, N = 20: x", 9.5),
        ("a, N = 13: r", 7.5),
    ):
        outcome.add(name, "x" if name.endswith("r") else "bits", [value])
    report = {"benchmarks": {"events": outcome.record()}}
    lines = benchmark_tables.matrix(report, "events", "N = 13", "bits")
    assert [line.strip(" *-") for line in lines[3:-1]] == ["", "a", "b", "x", "1.50", "", "y", "", "2.50"]
    with pytest.raises(KeyError, match="N = 7"):
        benchmark_tables.matrix(report, "events", "N = 7", "bits")
