"""What MPI this process runs under, for the result file and for ``doctor``."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["mpi_library", "mpi_library_file"]


def mpi_library() -> str:
    """First line of the library's own description; ``none`` where MPI was not started."""
    module = sys.modules.get("mpi4py.MPI")
    if module is None:
        return "none"
    lines = str(module.Get_library_version()).strip("\x00 \n").splitlines()
    return " ".join(lines[0].split()) if lines else "unknown"


def mpi_library_file() -> str:
    """Path of the MPI library that is loaded; ``none`` where there is none."""
    try:
        maps = Path("/proc/self/maps").read_text()
    except OSError:
        return "unknown"
    files = {line.split()[-1] for line in maps.splitlines() if "/libmpi" in line}
    # mpi4py's own module has a similar name
    return ", ".join(sorted(f for f in files if "site-packages/mpi4py" not in f)) or "none"
