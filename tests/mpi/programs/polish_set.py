"""Polishes a made-up selection with all ranks; prints digests of what every rank found."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from compress_mpi.parallel.launcher import prepare_environment

prepare_environment()
sys.path.insert(0, str(Path(__file__).parents[2]))

from compress_mpi.methods.polish.polish import polish  # noqa: E402
from compress_mpi.methods.polish.settings import PolishSettings  # noqa: E402
from compress_mpi.methods.polish.target import build_target  # noqa: E402
from compress_mpi.parallel.abort import run_guarded  # noqa: E402
from compress_mpi.parallel.team import world_team  # noqa: E402
from polish_tools import polish_case  # noqa: E402


def main() -> int:
    team = world_team()
    case = polish_case(n_select=20)
    target = build_target(case.prior, case.reference, case.normalisation, 20, 0, team)
    starts = [case.prior[:20], case.prior[20:40]]
    parts = (case.directions, target, case.reference, case.normalisation)
    found = polish(starts, *parts, PolishSettings(steps=40, candidates=5), 3, team)
    assert found.best is not None
    state = found.erfs.tobytes() + found.best.displacement.tobytes() + found.best.curve.tobytes()
    state += repr((target.correlation_unit, target.marginal_unit, found.best.number)).encode()
    digests = team.exchange({team.rank: hashlib.sha256(state).hexdigest()})
    if team.rank == 0:
        print(json.dumps({"digests": sorted(set(digests.values())), "size": team.size}))
    team.close()
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(main))
