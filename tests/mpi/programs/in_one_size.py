"""``compress-mpi`` with something odd in the search of some sizes: ``in_one_size.py HOW N ARGUMENTS...``.

``fail``: an unexpected error on the last rank of size N. ``wait``: every epoch of all other sizes takes long.
"""

import os
import sys
import time

how, size, arguments = sys.argv[1], int(sys.argv[2]), sys.argv[3:]

from compress_mpi.parallel.launcher import prepare_environment  # noqa: E402

prepare_environment()

from compress_mpi import cli  # noqa: E402
from compress_mpi.methods.selection import search  # noqa: E402

advance = search.IslandSearch.advance


def advance_oddly(self, *clock):
    if how == "wait" and self.settings.n_select not in (2, size):
        time.sleep(0.5)
    last = self.team.rank == self.team.size - 1
    if how == "fail" and self.settings.n_select == size and self.epoch == 3 and last:
        print(f"failing {time.time()}", flush=True)
        raise ZeroDivisionError(f"made up on rank {os.environ['PMI_RANK']}")
    advance(self, *clock)


search.IslandSearch.advance = advance_oddly
cli.main(arguments)
