"""``compress-mpi`` that rests after every epoch and every sweep: ``slowly.py SECONDS ARGUMENTS...``.

Descents score few swaps at a time, so that they too take many epochs on a small set.
"""

import sys
import time

pause, arguments = float(sys.argv[1]), sys.argv[2:]

from compress_mpi.parallel.launcher import prepare_environment  # noqa: E402

prepare_environment()

from compress_mpi import cli  # noqa: E402
from compress_mpi.methods.selection import exchange, search  # noqa: E402

exchange.SWAPS = 100
advance = search.IslandSearch.advance


def advance_slowly(self, *clock):
    advance(self, *clock)
    time.sleep(pause if self.settings.n_select > 2 else 0.0)


search.IslandSearch.advance = advance_slowly
cli.main(arguments)
