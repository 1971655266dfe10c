"""Events under mpirun: the same bytes at any number of ranks, and after a kill as without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cli_tools import PROGRAM, wait_for
from compress_mpi.io.container import open_container
from events_tools import Events, jets
from mpirun import kill_job, mpirun, start_mpirun

pytestmark = pytest.mark.mpi

BOUNDED = ["events", "compress", "jets.npy", "--bound", "mean 0.01", "--block", "100", "--model", "marginal"]
LATENT = {
    "flow.hidden": 8,
    "flow.transforms": 2,
    "training.batch": 50,
    "training.patience": "null",
    "training.epochs": 150,
    "checkpoint_interval": 0.001,
}
TRAIN = [
    "events",
    "compress",
    "demo",
    "--codec",
    "latent",
    "--set",
    "rows=300",
    "--set",
    "preprocess.knots=50",
]
TRAIN += [word for key, value in LATENT.items() for word in ("--set", f"{key}={value}")]


def run(ranks: int, words: list[str], folder: Path, code: int = 0) -> str:
    done = mpirun(ranks, [PROGRAM, *words], cwd=folder, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_the_same_bytes_at_any_number_of_ranks(tmp_path):
    np.save(tmp_path / "jets.npy", jets(730))
    files = [tmp_path / f"{ranks}.h5" for ranks in (1, 2, 3, 4)]
    for ranks, file in enumerate(files, 1):
        said = run(ranks, [*BOUNDED, "-o", str(file)], tmp_path)
        assert said.count("730 rows x 4 columns") == 1
    assert len({file.read_bytes() for file in files}) == 1
    for ranks in (1, 3):
        run(ranks, ["events", "decompress", "1.h5", "-o", f"{ranks}.npy"], tmp_path)
    assert (tmp_path / "1.npy").read_bytes() == (tmp_path / "3.npy").read_bytes()
    assert open_container(files[0]).n_blocks == 8


def test_one_message_where_the_output_cannot_be_written(tmp_path):
    np.save(tmp_path / "jets.npy", jets(300))
    run(2, [*BOUNDED, "-o", "a.h5"], tmp_path)
    said = run(2, ["events", "decompress", "a.h5", "-o", "none/x.npy"], tmp_path, code=5)
    assert said.count("error") == 1
    data = bytearray((tmp_path / "a.h5").read_bytes())
    data[800] ^= 1
    (tmp_path / "a.h5").write_bytes(data)
    said = run(2, ["events", "decompress", "a.h5", "-o", "x.npy"], tmp_path, code=4)
    assert said.count("damaged in block 1 of 3") == 1
    assert not (tmp_path / "x.npy").exists()


def test_a_killed_or_stopped_training_goes_on_to_the_same_file(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    folder.mkdir()
    Events(monkeypatch, capsys, whole).good(*TRAIN, "-q")
    checkpoint = folder / "demo.events.training.h5"
    job = start_mpirun(2, [PROGRAM, *TRAIN], cwd=folder)
    wait_for(checkpoint.exists)
    kill_job(job)
    job.communicate(timeout=30)
    assert not (folder / "demo.events.h5").exists()
    one = Events(monkeypatch, capsys, folder)(*TRAIN, "--set", "time_limit=0.05")
    assert one.code == 85, one.err
    assert "going on with the training" in one.err
    assert "stopped (time_limit) with a checkpoint" in one.err
    run(2, TRAIN, folder)
    assert (folder / "demo.events.h5").read_bytes() == (whole / "demo.events.h5").read_bytes()
    assert not checkpoint.exists()
