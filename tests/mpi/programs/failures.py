"""Fails in the way named by the first argument, on the rank in the second; started as plain Python."""

from __future__ import annotations

import os
import sys
import threading
import time

import numpy as np

from compress_mpi.errors import PDFSetError
from compress_mpi.parallel.abort import run_guarded
from compress_mpi.parallel.team import world_team

FAR = 60.0  # seconds; longer than any test waits


def main(where, culprit):
    team = world_team()
    guilty = team.rank == culprit or culprit < 0

    def refuse(*_):
        if guilty:
            raise PDFSetError("NNPDF.info: ErrorType: expected replicas, got hessian")
        return np.zeros((len(_[0]), 1)) if where == "map_rows" else None

    def bug(*_):
        if guilty:
            raise ZeroDivisionError("nobody expected this")

    if where == "map":
        team.map(refuse, range(team.size))
    elif where == "map_rows":
        team.map_rows(refuse, team.size, 1)
    elif where == "on_root":
        team.on_root(refuse)
    elif where == "in_turn":
        team.in_turn(refuse)
    elif where == "shared":
        team.shared((32 * team.size, 2)).fill(refuse)
    elif where == "together-bug":
        team.together(bug)
    elif where == "split":
        _, part = team.split(2)
        part.together(refuse)
    elif where == "plain":
        refuse()
    elif where == "bug":
        bug()
    elif where == "memory" and guilty:
        raise MemoryError
    elif where == "exit" and guilty:
        sys.exit(9)
    elif where == "interrupt" and guilty:
        raise KeyboardInterrupt
    elif where == "thread" and guilty:
        threading.Thread(target=bug).start()
        time.sleep(FAR)
    elif where == "requeue":
        return 85
    team.on_root(lambda: time.sleep(FAR))
    return 0


def before_mpi():
    if os.environ.get("PMI_RANK", os.environ.get("OMPI_COMM_WORLD_RANK")) == sys.argv[2]:
        raise PDFSetError("disk of one node is gone")
    return main("nothing", 0)


if __name__ == "__main__":
    if sys.argv[1] == "early":
        sys.exit(run_guarded(before_mpi))
    sys.exit(run_guarded(lambda: main(sys.argv[1], int(sys.argv[2]))))
