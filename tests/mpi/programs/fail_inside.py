"""``compress-mpi`` with an unexpected error on one rank: ``fail_inside.py WHERE ARGUMENTS...``."""

import os
import sys
import time

where, arguments = sys.argv[1], sys.argv[2:]


def fail() -> None:
    print(f"failing {time.time()}", flush=True)
    raise ZeroDivisionError("made up")


def rank() -> int:
    return int(os.environ["PMI_RANK"])


from compress_mpi.parallel.launcher import prepare_environment  # noqa: E402

prepare_environment()

from compress_mpi import cli  # noqa: E402
from compress_mpi.methods.selection import search  # noqa: E402
from compress_mpi.workflows import prior, record  # noqa: E402

if where == "advance":
    advance = search.IslandSearch.advance

    def advance_or_fail(self, *clock):
        if rank() == 1 and self.epoch == 3 and self.team.size > 1:
            fail()
        advance(self, *clock)

    search.IslandSearch.advance = advance_or_fail
elif where == "read":
    read_grid_values = prior.read_grid_values

    def read_or_fail(*args):
        if rank() == 0:
            fail()
        return read_grid_values(*args)

    prior.read_grid_values = read_or_fail
else:

    def write_or_fail(self):
        fail()

    record.Record.write = write_or_fail

cli.main(arguments)
