"""A polish has the same bits on any number of ranks and with any number of BLAS threads."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from mpirun import mpirun

pytestmark = pytest.mark.mpi
PROGRAM = Path(__file__).parent / "programs" / "polish_set.py"


def found_at(ranks: int, threads: int, folder: Path) -> list[str]:
    result = mpirun(
        ranks, [sys.executable, PROGRAM], cwd=folder, timeout=120, env={"OPENBLAS_NUM_THREADS": str(threads)}
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["size"] == ranks
    return found["digests"]


def test_same_bits_on_any_number_of_ranks(tmp_path):
    alone = found_at(1, 1, tmp_path)
    assert len(alone) == 1
    assert found_at(3, 2, tmp_path) == alone
