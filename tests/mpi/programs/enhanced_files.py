"""Writes an enhanced set of three blocks with all ranks; prints a digest that may not depend on them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from compress_mpi.parallel.launcher import prepare_environment

prepare_environment()
sys.path.insert(0, str(Path(__file__).parents[2]))

from compress_mpi.io.pdfset import open_set  # noqa: E402
from compress_mpi.parallel.abort import run_guarded  # noqa: E402
from compress_mpi.parallel.team import world_team  # noqa: E402
from compress_mpi.workflows.enhanced_set import write_enhanced_set  # noqa: E402
from enhanced_tools import contents_of, sha256_of_all  # noqa: E402


def main() -> int:
    prior, out = open_set(sys.argv[1]), Path(sys.argv[2])
    team = world_team()
    pdfset = write_enhanced_set(contents_of(prior, n_new=150), out, out / "lhapdf", team)
    if team.rank == 0:
        print(json.dumps({"digest": sha256_of_all(out), "n_rep": pdfset.n_rep, "size": team.size}))
    team.close()
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(main))
