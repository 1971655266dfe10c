"""What starts with the kernels, and what does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys

import numpy as np

from compress_mpi.methods.selection.exchange import njit

@njit
def inner(a, b):
    return np.dot(a, b)

@njit
def doubled(a):
    return 2 * a

print(doubled(1.5), "scipy.linalg" in sys.modules)
print(inner(np.arange(3.0), np.ones(3)), "scipy.linalg" in sys.modules)
"""


def test_extensions_and_linear_algebra_are_left_out_until_they_are_asked_for(tmp_path: Path) -> None:
    """An installed package that registers an extension of numba is not looked at; BLAS is found when used."""
    pytest.importorskip("scipy.linalg", reason="numba takes BLAS from scipy")
    described = tmp_path / "loud-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[numba_extensions]\ninit = loud:init\n")
    (tmp_path / "loud.py").write_text("def init():\n    print('loud')\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3.0", "False", "3.0", "True"]
