"""Stages through the real command line: kill -9 and signals in the middle of a training change no bit."""

from __future__ import annotations

import os
import signal
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cli_tools import PROGRAM, compress, wait_for
from compress_mpi.launch.donefile import read_done, stage_digest
from compress_mpi.launch.files import read_json
from compress_mpi.workflows.stage import run_stage
from compress_mpi.workflows.stagefolder import read_output, write_stage

for _needed in ("torch", "zuko"):
    pytest.importorskip(_needed, reason=f"{_needed} is not installed (pip install 'compress-mpi[ml]')")

EPOCHS = 250
"""Seconds of training, so that a process can be met in the middle of it."""

REQUESTS = {
    "gan": {
        "generator": {"hidden": [16]},
        "critic": {"hidden": [32, 16]},
        "batch_percent": 50,
        "epochs": EPOCHS,
        "device": "cpu",
    },
    "flow": {"components": 4, "batch": 32, "epochs": EPOCHS, "patience": EPOCHS, "device": "cpu"},
}


def coordinates(shift: float = 0.0) -> np.ndarray:
    z = np.random.default_rng(3).standard_t(7, size=(120, 6)) + shift
    return (z - z.mean(axis=0)) / z.std(axis=0) + shift


def request(folder: Path, kind: str, **changes) -> Path:
    settings = {**REQUESTS[kind], **changes.pop("settings", {})}
    given = {
        "seed": 5,
        "candidates": 60,
        "coordinates": coordinates(),
        **changes,
    }
    write_stage(folder, kind, settings, **given)
    return folder


@pytest.fixture(scope="module", params=REQUESTS)
def whole(request_of, request):
    return request.param, request_of(request.param)


@pytest.fixture(scope="module")
def request_of(tmp_path_factory):
    @cache
    def make(kind: str) -> Path:
        folder = request(tmp_path_factory.mktemp("whole") / "stage", kind)
        assert run_stage(folder, lambda: False) == 0
        return folder

    return make


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [PROGRAM, "stage", str(folder), "--checkpoint-interval", "0.1"], stderr=subprocess.PIPE, text=True
    )


def epoch(folder: Path) -> int:
    return int((read_json(folder / "progress.json") or {"done": 0})["done"])


def stop_after(folder: Path, epochs: int, number: signal.Signals) -> tuple[int, str]:
    """Start the stage, wait until it is some epochs on and has a checkpoint, send a signal."""
    job = start(folder)
    try:
        wait_for(
            lambda: (
                (epoch(folder) >= epochs and (folder / "checkpoint.h5").exists()) or job.poll() is not None
            )
        )
        job.send_signal(number)
        _, errors = job.communicate(timeout=60)
    finally:
        job.kill()
    return job.returncode, errors


def arrays(folder: Path) -> dict:
    made = read_output(folder)
    return {"candidates": made.candidates, **made.losses, **made.model}


def test_killed_and_resumed_ends_with_the_same_bits(whole, tmp_path):
    kind, finished = whole
    folder = request(tmp_path / "stage", kind)
    code, errors = stop_after(folder, 10, signal.SIGKILL)
    assert code == -signal.SIGKILL, errors
    assert not (folder / "done.json").exists()
    first = epoch(folder)
    assert 10 <= first < EPOCHS
    if kind == "gan":
        code, errors = stop_after(folder, first + 5, signal.SIGUSR1)
        assert code == 85, errors
        assert not (folder / "done.json").exists()
        assert not (folder / "output.h5").exists()
        assert first < epoch(folder) < EPOCHS
    assert run_stage(folder, lambda: False) == 0
    expected, found = arrays(finished), arrays(folder)
    assert expected.keys() == found.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert not [path for path in folder.iterdir() if ".tmp." in path.name], "strays are swept"


def test_the_done_file_is_the_last_word_and_saves_doing_it_again(whole):
    kind, folder = whole
    done = read_done(folder, stage_digest(folder))
    assert done is not None
    assert (done.code, done.message) == (0, f"{kind}: {EPOCHS} epochs, 60 candidates")
    newest = max(path.stat().st_mtime_ns for path in folder.iterdir())
    assert (folder / "done.json").stat().st_mtime_ns == newest
    result = compress(["stage", folder], folder)
    assert result.returncode == 0, result.stderr
    assert max(path.stat().st_mtime_ns for path in folder.iterdir()) == newest
    facts = read_output(folder).facts
    assert facts["device"] == "cpu"
    assert facts["epochs"] == EPOCHS
    assert facts["seconds"] > 0


def test_another_request_in_the_same_folder_starts_from_nothing(whole, tmp_path):
    kind, finished = whole
    stops = iter([False] * 3 + [True])
    folder = request(tmp_path / "stage", kind, seed=6)
    assert run_stage(folder, lambda: next(stops)) == 85
    request(folder, kind)
    assert run_stage(folder, lambda: False) == 0
    np.testing.assert_array_equal(arrays(folder)["candidates"], arrays(finished)["candidates"])


def test_a_saved_model_is_used_without_training(whole, tmp_path):
    kind, finished = whole
    folder = request(tmp_path / "stage", kind, saved=finished / "output.h5", settings={"epochs": 9999})
    assert run_stage(folder, lambda: False) == 0
    np.testing.assert_array_equal(arrays(folder)["candidates"], arrays(finished)["candidates"])
    assert read_output(folder).facts["epochs"] == EPOCHS


FAILURES = [
    ("other set", {"coordinates": coordinates(0.5)}, 4, "trained on another prior"),
    (
        "other shape",
        {"coordinates": coordinates()[:, :4]},
        4,
        "120 replicas with 6 components; expected 120 and 4",
    ),
    ("no file", {"saved": Path("/nowhere/output.h5")}, 4, "/nowhere/output.h5: no such file"),
]


@pytest.mark.parametrize(("changes", "code", "said"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES])
def test_a_saved_model_that_does_not_fit_is_refused(whole, tmp_path, capsys, changes, code, said):
    kind, finished = whole
    folder = request(tmp_path / "stage", kind, **{"saved": finished / "output.h5", **changes})
    assert run_stage(folder, lambda: False) == code
    done = read_done(folder, stage_digest(folder))
    assert done is not None
    assert done.code == code
    assert said in done.message
    assert said in capsys.readouterr().err


def test_a_model_of_another_kind_is_refused(request_of, tmp_path):
    finished = request_of("flow")
    folder = request(tmp_path / "stage", "gan", saved=finished / "output.h5")
    assert run_stage(folder, lambda: False) == 4
    assert "expected the output of a stage 'gan'" in read_json(folder / "done.json")["message"]


def test_a_failed_stage_says_so_with_the_code_of_the_error_and_may_be_tried_again(tmp_path):
    folder = request(tmp_path / "stage", "gan", settings={"critic_optimizer": {"name": "SGD", "rate": 1e30}})
    result = compress(["stage", folder], tmp_path)
    assert result.returncode == 8
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"compress-mpi: error: {folder}: gan: epoch ")
    assert "expected a finite number: lower the learning rate" in line
    done = read_done(folder, stage_digest(folder))
    assert done is not None
    assert (done.code, f"compress-mpi: error: {done.message}") == (8, line)
    assert run_stage(folder, lambda: True) == 85
    assert not (folder / "done.json").exists(), "the word of the failed attempt is gone"


def test_a_folder_without_a_request_or_with_a_spoilt_one(tmp_path):
    result = compress(["stage", tmp_path], tmp_path)
    assert result.returncode == 6
    assert "stage.json: cannot be read" in result.stderr
    folder = request(tmp_path / "stage", "flow")
    os.truncate(folder / "input.h5", 100)
    assert run_stage(folder, lambda: False) == 4
    assert "input.h5: damaged" in read_json(folder / "done.json")["message"]
    request(folder, "flow", settings={"component": 3})
    assert run_stage(folder, lambda: False) == 4
    assert "component" in read_json(folder / "done.json")["message"]


def test_without_torch_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    folder = request(tmp_path / "stage", "flow")
    assert run_stage(folder, lambda: False) == 2
    message = read_json(folder / "done.json")["message"]
    assert "torch and zuko, not installed here; pip install 'compress-mpi[ml]'" in message
