"""``doctor``: what this program sees of the machine it runs on."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from compress_mpi import __version__
from compress_mpi.errors import CompressError
from compress_mpi.io.backends import choose_backend
from compress_mpi.io.pdfset import search_paths
from compress_mpi.parallel.info import mpi_library, mpi_library_file
from compress_mpi.parallel.launcher import cores_available, launched_ranks
from compress_mpi.parallel.threads import threads_per_rank

__all__ = ["examine"]

_SHOWN = (
    "PMI_",
    "OMPI_COMM",
    "SLURM_",
    "MPI4PY_",
    "MPIR_CVAR",
    "OMPI_MCA",
    "OMP_NUM",
    "NUMBA_",
    "LHAPDF",
    "NEOPDF",
)


def examine(team: Any, folders: Sequence[Path] = ()) -> int:
    """Print the report on rank 0; collective.

    Returns
    -------
    int
        0; a launcher that does not match has been refused before.
    """
    ranks = team.map(
        lambda rank: (rank, platform.node(), cores_available(), threads_per_rank(team)), range(team.size)
    )
    if team.rank == 0:
        print("\n".join(_lines(team, ranks, folders)), flush=True)
    return 0


def _lines(team: Any, ranks: list[tuple[int, str, int, int]], folders: Sequence[Path]) -> list[str]:
    lines = [
        f"compress-mpi  {__version__}, Python {platform.python_version()} ({sys.executable})",
        f"MPI           {mpi_library()}",
        f"              library {mpi_library_file()}",
        f"launcher      {launched_ranks()} processes started, {team.size} ranks on {team.n_nodes} node(s)",
    ]
    hosts = sorted({host for _, host, _, _ in ranks})
    for host in hosts:
        own = [row for row in ranks if row[1] == host]
        lines.append(
            f"              {host}: ranks {own[0][0]}..{own[-1][0]}, {own[0][2]} cores, {own[0][3]} thread(s) per rank"
            + (", more ranks than cores: ranks yield while they wait" if len(own) > own[0][2] else "")
        )
    return [*lines, *_libraries(), *_sets(folders), *_environment()]


def _libraries() -> list[str]:
    import h5py
    import numba

    parallel = "parallel" if h5py.get_config().mpi else "serial (rank 0 writes)"
    cache = os.environ.get(
        "NUMBA_CACHE_DIR", "beside the package, or in the user's cache where that is read-only"
    )
    return [
        f"HDF5          {h5py.version.hdf5_version}, h5py {h5py.version.version}, {parallel}",
        f"numba         {numba.__version__}, compiled code in {cache}",
    ]


def _sets(folders: Sequence[Path]) -> list[str]:
    found = {name: find_spec(name) is not None for name in ("lhapdf", "neopdf")}
    readers = ", ".join(f"{name} {'found' if there else 'not installed'}" for name, there in found.items())
    try:
        chosen = choose_backend("auto")
    except CompressError as error:
        chosen = str(error)
    lines = [f"LHAPDF        {readers}; in use: {chosen}"]
    paths = search_paths(folders)
    for path in paths:
        sets = sorted(entry.name for entry in path.iterdir() if (entry / f"{entry.name}.info").is_file())
        lines.append(
            f"              {path}: {len(sets)} sets" + (f" ({', '.join(sets[:8])})" if sets else "")
        )
    if not paths:
        lines.append("              no folder of sets; set LHAPDF_DATA_PATH or give --pdf-path")
    return lines


def _environment() -> list[str]:
    known = sorted(name for name in os.environ if name.startswith(_SHOWN))
    return [
        f"environment   {' '.join(f'{name}={os.environ[name]}' for name in known) or 'nothing relevant set'}"
    ]
