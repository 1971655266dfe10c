"""Notes between ranks under a real mpirun."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mpirun import mpirun

pytestmark = pytest.mark.mpi

PROGRAM = Path(__file__).parent / "programs" / "notes.py"


@pytest.mark.parametrize("ranks", [2, 3, 5])
def test_every_note_arrives_once_however_late_it_is_sent(ranks):
    done = mpirun(ranks, [sys.executable, PROGRAM], cwd=PROGRAM.parent, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    # ranks print at the same time, so their line ends may change places
    assert done.stdout.replace("\n", "") == "good" * ranks


def test_alone_the_same_program_runs_without_mpi():
    done = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "good\n", "")
