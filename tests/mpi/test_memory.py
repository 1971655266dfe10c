"""One copy of the prior per node, seen in the memory of real ranks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.io.demo import write_demo_set

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import memory
from case import Scale

pytestmark = [pytest.mark.mpi, pytest.mark.slow]

RANKS, REPLICAS, NODES = 4, 200, 3000


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="the proportional set size is a thing of Linux"
)
def test_ranks_of_a_node_share_one_prior(tmp_path):
    write_demo_set(tmp_path, REPLICAS, "many")
    outcome = memory.measure(Scale(memory_ranks=RANKS, memory_nodes=NODES), "many", [tmp_path])
    assert outcome.settings["grid"] == f"{REPLICAS} x 7 x {NODES}"
    assert outcome.value("grid") == REPLICAS * 7 * NODES * 8 / 2**20
    # a copy on each rank would be 4; what is above 1 the readers have kept
    increase = outcome.value("sum of PSS increases / grid")
    assert 0.9 < increase < 2.0, outcome.notes
    assert outcome.value("sum of private increases / grid") < 1.0, outcome.notes
    before, after = (
        next(m.values for m in outcome.measures if m.name == name)
        for name in ("PSS per rank before", "PSS per rank with the grid")
    )
    grid = outcome.value("grid")
    assert len(before) == len(after) == RANKS
    # each rank bears its part, and none has a copy of its own
    assert all(0.2 * grid < rise < 0.9 * grid for rise in np.subtract(after, before)), outcome.notes
