"""An enhanced set has the same bytes whoever writes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli_tools import BAD
from mpirun import mpirun

pytestmark = pytest.mark.mpi

PROGRAM = Path(__file__).parent / "programs" / "enhanced_files.py"


def test_the_same_bytes_on_any_number_of_ranks(tmp_path):
    words = [sys.executable, str(PROGRAM), str(BAD / "sets" / "tiny")]
    alone = subprocess.run(
        [*words, str(tmp_path / "0")], capture_output=True, text=True, timeout=60, check=False
    )
    assert alone.returncode == 0, alone.stderr
    expected = json.loads(alone.stdout)
    assert expected["n_rep"] == 162
    for ranks in (1, 2, 3):
        done = mpirun(ranks, [*words, str(tmp_path / str(ranks))], cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout) == {**expected, "size": ranks}


def test_a_foreign_folder_ends_all_ranks_with_one_message(tmp_path):
    (tmp_path / "out" / "tiny_enhanced").mkdir(parents=True)
    (tmp_path / "out" / "tiny_enhanced" / "notes.txt").write_text("mine")
    words = [sys.executable, str(PROGRAM), str(BAD / "sets" / "tiny"), str(tmp_path / "out")]
    done = mpirun(3, words, cwd=tmp_path)
    assert done.returncode == 5
    assert done.stderr.count("was not written by compress-mpi") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["tiny_enhanced"]
