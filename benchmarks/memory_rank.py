"""Program of the memory benchmark, run by every rank: loads a prior and says what that costs.

``memory_rank.py REQUEST``, where the request is JSON with pdf, folders and number of nodes. Rank 0 prints
JSON: the size of the grid, and of every rank the memory at three moments.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from compress_mpi.parallel.launcher import prepare_environment

prepare_environment()

import numpy as np  # noqa: E402

from compress_mpi.parallel.abort import run_guarded  # noqa: E402
from compress_mpi.parallel.team import world_team  # noqa: E402


def _field(file: str, name: str) -> int:
    """A field of a file of this process in /proc, in bytes."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self", file).read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc/self/{file}: no line {name}")
    return int(found[1]) * 1024


def _look(team: Any) -> dict[str, int]:
    """Memory of this rank while no rank does anything.

    ``pss`` is the proportional set size: a page that n processes share counts 1/n. ``private`` leaves shared
    pages out, ``resident`` counts them in full.
    """
    team.wait()
    seen = {
        "pss": _field("smaps_rollup", "Pss"),
        "private": _field("smaps_rollup", "Private_Dirty") + _field("smaps_rollup", "Private_Clean"),
        "resident": _field("status", "VmRSS"),
    }
    team.wait()
    return seen


def _load(team: Any, request: dict[str, Any], xgrid: Any) -> np.ndarray:
    from compress_mpi.io.settings import CompressConfig
    from compress_mpi.workflows.prior import load_prior, plan_prior

    def plan() -> Any:
        config = CompressConfig(pdf=request["pdf"], compressed=(2,), nf=3, xgrid=xgrid)
        return plan_prior(config, [Path(folder) for folder in request["folders"]], "auto")

    values = load_prior(team.on_root(plan), team).values
    # a page counts for a process once it has touched it
    if not np.isfinite(values.max()):
        raise RuntimeError("the prior is not finite")
    return values


def _program() -> int:
    request = json.loads(sys.argv[1])
    team = world_team()
    connected = _look(team)
    # reading a small grid first brings in all libraries, so that the difference is the grid
    small = _load(team, request, "published")
    reader = _look(team)
    xgrid = tuple(float(x) for x in np.geomspace(request["lowest"], request["highest"], request["nodes"]))
    grid = _load(team, request, xgrid)
    loaded = _look(team)
    mine = {
        "connected": connected,
        "reader": reader,
        "loaded": loaded,
        "peak": _field("status", "VmHWM"),
    }
    ranks = team.exchange({team.rank: mine})
    if team.rank == 0:
        answer = {
            "grid": grid.nbytes,
            "small": small.nbytes,
            "shape": grid.shape,
            "ranks": list(ranks.values()),
        }
        print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(_program))
