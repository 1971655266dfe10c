"""Puts the helpers of this folder on the import path of every test, and steadies hypothesis."""

import gc
import sys
from pathlib import Path

from hypothesis import settings

from compress_mpi.parallel.launcher import keep_compiled_code_apart

sys.path.insert(0, str(Path(__file__).parent))

# As the program does before anything imports numba: compiled kernels are kept per state of their source.
keep_compiled_code_apart()

# As the program does: figures and networks are many small objects.
gc.set_threshold(100_000)

# A shared machine misses any deadline now and then; the same examples every time.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
