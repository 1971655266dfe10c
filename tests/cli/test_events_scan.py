"""The scan over sizes of the flow: the published figure, the same at any number of ranks, and after a stop."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.errors import RuncardError, TableError
from compress_mpi.io.container import open_container
from compress_mpi.io.report.events_types import ScanCurve
from compress_mpi.io.runcard_events import complete_events
from compress_mpi.io.settings_events import Flow
from compress_mpi.methods.events.trained_flow import FlowSpec
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.workflows.events_job import EventsJob, EventsSource
from compress_mpi.workflows.events_scan import in_sizes_of, read_scan, scan_file, scan_on_all
from events_tools import Events
from mpirun import mpirun

pytest.importorskip("torch")

CARD = """
task: events
input: demo
rows: 500
codec: latent
flow: {preset: model2, transforms: 1}
training: {epochs: 1, batch: 200}
scan: {transforms: [1, 2], hidden: [4, 8], epochs: 2, batch: 200, pick: true}
"""
SPEC = FlowSpec("maf", 2, 1, 4)


@pytest.fixture
def events(tmp_path, monkeypatch, capsys):
    (tmp_path / "jets.yml").write_text(CARD)
    return Events(monkeypatch, capsys, tmp_path)


@dataclass
class Signals:
    """A signal that comes after so many looks."""

    looks: float = np.inf
    seen: int = field(default=0)

    @property
    def received(self) -> str | None:
        self.seen += 1
        return "SIGTERM" if self.seen > self.looks else None


def job_in(folder: Path, **scan: object) -> EventsJob:
    content = {"input": "demo", "codec": "latent", "checkpoint_interval": 1e-6}
    config = complete_events({**content, "scan": {"hidden": [4], "batch": 100, "epochs": 3, **scan}})
    source = EventsSource(config, "", "test")
    return EventsJob(source, folder / "demo.events.h5", "", None, False, True, False)


def scanned(job: EventsJob, looks: float = np.inf) -> list[ScanCurve] | None:
    rows = np.random.default_rng(0).normal(size=(300, 2))
    return scan_on_all(job, rows[:200], rows[200:], SPEC, SerialTeam(), Signals(looks), np.inf)


@pytest.mark.mpi
def test_a_scan_on_two_ranks_is_that_of_one(events, tmp_path):
    said = events("jets.yml")
    assert said.code == 0, said.err
    curves = read_scan(Path("demo.events.h5"))
    assert [(c.transforms, c.hidden) for c in curves] == [(1, 4), (1, 8), (2, 4), (2, 8)]
    assert all(len(c.train) == len(c.validation) == 2 for c in curves)
    best = min(curves, key=lambda c: c.validation.min())
    assert f"lowest validation loss {best.validation.min():.4f} at K = {best.transforms}" in said.err
    # the runcard gives the layers; the width is that of the best trial
    flow = open_container(Path("demo.events.h5")).header["plan"]["flow"]
    assert (flow["transforms"], flow["hidden"]) == (1, best.hidden)
    assert not Path("demo.events.scan").exists()
    other = tmp_path / "two"
    other.mkdir()
    shutil.copy("jets.yml", other)
    done = mpirun(2, [sys.executable, "-m", "compress_mpi", "jets.yml", "-q"], cwd=other)
    assert done.returncode == 0, done.stderr
    for name in ("demo.events.scan.csv", "demo.events.h5"):
        assert (other / name).read_bytes() == Path(name).read_bytes()


def test_a_run_stopped_in_the_scan_says_so_and_goes_on(events):
    stopped = events("jets.yml", "--set", "time_limit=1e-6")
    assert stopped.code == 85
    assert "stopped after 0 of 4 trials of the scan" in stopped.err
    assert not Path("demo.events.scan.csv").exists()
    events.good("jets.yml", "-q")
    assert len(read_scan(Path("demo.events.h5"))) == 4


def test_a_resumed_scan_is_the_uninterrupted_one_and_finished_trials_are_kept(tmp_path):
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole, parts = job_in(tmp_path / "whole"), job_in(tmp_path / "parts")
    curves = scanned(whole)
    assert [c.transforms for c in curves] == [2, 4, 6, 8]
    # each trial looks once before it begins, and once before each of its three epochs
    assert scanned(parts, looks=6) is None
    assert sorted(path.name for path in parts.trials.iterdir()) == ["K2-H4.h5", "K4-H4.h5"]
    finished = (parts.trials / "K2-H4.h5").stat()
    assert not scan_file(parts.output).exists()
    again = Signals()
    rows = np.random.default_rng(0).normal(size=(300, 2))
    scan_on_all(parts, rows[:200], rows[200:], SPEC, SerialTeam(), again, np.inf)
    # one look at the finished trial, then those of the epochs that were left
    assert again.seen == 1 + (1 + 2) + 2 * (1 + 3)
    assert scan_file(parts.output).read_bytes() == scan_file(whole.output).read_bytes()
    assert (parts.trials / "K2-H4.h5").stat().st_size == finished.st_size


def test_a_trial_does_not_depend_on_the_others(tmp_path):
    one = scanned(job_in(tmp_path, transforms=[4, 2]))
    (tmp_path / "b").mkdir()
    other = scanned(job_in(tmp_path / "b", transforms=2))
    np.testing.assert_array_equal(one[1].validation, other[0].validation)
    assert one[0].validation[0] != one[1].validation[0]


def test_a_trial_that_diverges_is_named_and_not_picked(tmp_path, capsys):
    (found,) = scanned(job_in(tmp_path, transforms=1, rate=1e30))
    assert "scan: K = 1, H = 4: epoch" in capsys.readouterr().err
    assert np.isnan(read_scan(tmp_path / "demo.events.h5")[0].validation).all()
    good = ScanCurve(3, 5, np.array([1.0, 0.5]), np.array([2.0, 1.5]))
    picked = in_sizes_of([found, good], SPEC, Flow())
    assert (picked.transforms, picked.hidden) == (3, 5)
    assert in_sizes_of([good], SPEC, Flow(hidden=9)).hidden == 9
    with pytest.raises(RuncardError, match="every trial diverged"):
        in_sizes_of([found], SPEC, Flow())


def test_published_means_the_published_sizes():
    scan = complete_events({"input": "demo", "codec": "latent", "scan": "published"}).scan
    assert scan.wanted
    assert (scan.transforms, scan.hidden) == ((2, 4, 6, 8), (16, 32, 64, 128))
    assert (scan.epochs, scan.batch, scan.rate, scan.plateau, scan.pick) == (30, 1024, 1e-2, 2, False)
    assert not complete_events({"input": "demo", "codec": "latent", "scan": "none"}).scan.wanted
    assert not complete_events({"input": "demo"}).scan.wanted


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"scan": "publishd"}, "scan.preset: expected 'none' or 'published', got 'publishd'"),
        ({"scan": {"hidden": [8, 8]}}, "scan.hidden: 8 is listed twice"),
        ({"scan": {"transforms": []}}, "scan.transforms: expected an integer from 1 to 1000, or a list"),
        ({"scan": "published", "codec": "bounded"}, "scan: only the codec latent has a flow to scan"),
        ({"scan": "published", "model": "a.h5"}, "scan: the flow of another file is used"),
    ],
)
def test_what_cannot_be_scanned_is_refused(content, message):
    with pytest.raises(RuncardError, match=message):
        complete_events({"input": "demo", "codec": "latent", **content})


def test_a_damaged_table_of_losses_is_refused(tmp_path):
    scan_file(tmp_path / "a.h5").write_text("transforms,hidden,epoch,train,validation\n1,4,1,x,2\n")
    with pytest.raises(TableError, match=r"a\.scan\.csv: no table of a scan"):
        read_scan(tmp_path / "a.h5")
    assert read_scan(tmp_path / "b.h5") == []
