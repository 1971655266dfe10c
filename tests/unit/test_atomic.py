"""Atomic files: old or new, never half; strays swept."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from compress_mpi.errors import OutputError
from compress_mpi.io.atomic import atomic_write, replace_file, sweep, temporary_path

WRITER = """
import sys
from compress_mpi.io.atomic import atomic_write
while True:
    for letter in "ab":
        atomic_write(sys.argv[1], letter * 3_000_000)
"""


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(("data", "stored"), [("é\n", "é\n".encode()), (b"\x00\xff", b"\x00\xff"), ("", b"")])
def test_written_bytes(tmp_path, data, stored):
    path = tmp_path / "file"
    path.write_text("old")
    atomic_write(path, data)
    assert path.read_bytes() == stored
    assert os.listdir(tmp_path) == ["file"]


def test_new_file_has_the_usual_permissions(tmp_path):
    (tmp_path / "usual").touch()
    atomic_write(tmp_path / "file", "x")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("target", ["absent/file", "file/below", "folder"])
def test_unwritable_target_is_named_and_leaves_nothing(tmp_path, target):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError) as caught:
        atomic_write(tmp_path / target, "x")
    assert str(tmp_path / target) in str(caught.value)
    assert caught.value.exit_code == 5
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_failed_sync_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OutputError, match="No space left on device"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_replace_file_moves_a_finished_temporary(tmp_path):
    path = tmp_path / "result.h5"
    path.write_text("old")
    temporary = temporary_path(path)
    assert temporary == tmp_path / f".result.h5.tmp.{os.getpid()}"
    temporary.write_text("new")
    replace_file(temporary, path)
    assert path.read_text() == "new"
    assert not temporary.exists()
    with pytest.raises(OutputError, match=r"result\.h5"):
        replace_file(temporary, path)
    assert path.read_text() == "new"


def test_sweep_removes_only_what_dead_runs_left(tmp_path):
    path = tmp_path / "result.h5"
    dead = [f".result.h5.tmp.{pid}" for pid in (dead_pid(), os.getpid(), 10**30)]
    kept = [
        f".result.h5.tmp.{os.getppid()}",
        ".result.h5.tmp.mine",
        ".result.h5.tmp.",
        f".other.tmp.{10**30}",
    ]
    kept += ["result.h5", f"result.h5.tmp.{10**30}"]
    for name in dead + kept:
        (tmp_path / name).touch()
    assert sorted(found.name for found in sweep(path)) == sorted(dead)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)
    assert sweep(tmp_path / "absent" / "file") == []


def test_killed_writer_leaves_a_whole_file(tmp_path):
    path = tmp_path / "file"
    rng = random.Random(7)
    atomic_write(path, "a" * 3_000_000)
    for _ in range(5):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)])
        time.sleep(0.3 + 0.3 * rng.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        content = path.read_text()
        assert content in ("a" * 3_000_000, "b" * 3_000_000)
    sweep(path)
    assert os.listdir(tmp_path) == ["file"]
