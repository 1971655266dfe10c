"""The demo prior: a Monte Carlo set to try the program on, made on the spot."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from compress_mpi.errors import OutputError
from compress_mpi.io.demo_shapes import MASS_BOTTOM, MASS_CHARM, PIDS, Q_GRIDS, X_KNOTS, draw, replicas
from compress_mpi.io.gridfile import write_grid
from compress_mpi.io.gridtypes import GridFile, Subgrid
from compress_mpi.io.setfolder import MARK, new_set
from compress_mpi.types import FloatArray

__all__ = ["DEMO_NAME", "DEMO_REPLICAS", "DEMO_SEED", "DEMO_VERSION", "cached_demo_set", "write_demo_set"]

DEMO_NAME = "demo"
DEMO_REPLICAS = 1000
DEMO_SEED = 20210420
DEMO_VERSION = 1
"""Raise it whenever the numbers change: caches and results are told apart by it."""

_BATCH = 100
_DIGITS = 7
_MASS_Z, _ALPHA_Z = 91.1876, 0.118


def write_demo_set(
    folder: Path, n_rep: int = DEMO_REPLICAS, name: str = DEMO_NAME, seed: int = DEMO_SEED
) -> Path:
    """Write the demo prior.

    Parameters
    ----------
    folder : Path
        The set goes to ``folder / name``.
    n_rep : int
        Replicas; replica k does not depend on how many there are.
    name : str
    seed : int

    Returns
    -------
    Path
        Folder of the set. Two calls give the same bytes.

    Raises
    ------
    OutputError
        If the target is not this program's to replace, or cannot be written.
    """
    _write(Path(folder), n_rep, name, seed, keep_existing=False)
    return Path(folder) / name


def cached_demo_set() -> Path:
    """Folder to look for the set ``demo`` in; the set is written at the first call.

    Returns
    -------
    Path
        ``compress-mpi/demo-<version>`` below XDG_CACHE_HOME or ``~/.cache``. Processes that
        call this together get the same complete set.

    Raises
    ------
    OutputError
        If it cannot be written there.
    """
    folder = _cache_home() / "compress-mpi" / f"demo-{DEMO_VERSION}"
    if not _is_whole(folder / DEMO_NAME):
        broken = (folder / DEMO_NAME).exists()
        _write(folder, DEMO_REPLICAS, DEMO_NAME, DEMO_SEED, keep_existing=not broken)
    return folder


def _cache_home() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    if given and Path(given).is_absolute():  # the XDG specification ignores relative ones
        return Path(given)
    try:
        return Path.home() / ".cache"
    except RuntimeError as error:
        raise OutputError(
            "no home folder for the demo set; set XDG_CACHE_HOME to a writable folder"
        ) from error


def _is_whole(folder: Path) -> bool:
    """Whether every file is there; the folder appears in one step, but caches get tidied."""
    if not (folder / f"{DEMO_NAME}.info").is_file():
        return False
    return sum(entry.name.endswith(".dat") for entry in os.scandir(folder)) == DEMO_REPLICAS + 1


def _write(folder: Path, n_rep: int, name: str, seed: int, keep_existing: bool) -> None:
    if n_rep < 1:
        raise OutputError(f"{folder / name}: a demo set of {n_rep} replicas was asked for; ask for 1 or more")
    with new_set(folder, name, keep_existing) as draft:
        totals = [np.zeros((X_KNOTS.size, len(q), len(PIDS))) for q in Q_GRIDS]
        for first in range(1, n_rep + 1, _BATCH):
            members = range(first, min(first + _BATCH, n_rep + 1))
            for member, values in zip(members, _batch(seed, members), strict=True):
                _write_member(draft / f"{name}_{member:04d}.dat", "replica", values)
                for total, value in zip(totals, values, strict=True):
                    total += value
        _write_member(draft / f"{name}_0000.dat", "central", [total / n_rep for total in totals])
        (draft / f"{name}.info").write_text(_info(n_rep, seed), encoding="utf-8", newline="\n")


def _batch(seed: int, members: range) -> list[list[FloatArray]]:
    """Values of every member on every subgrid, rounded to what the files will say."""
    z = np.stack([draw(seed, member) for member in members])
    at_q = {q: replicas(z, q) for grid in Q_GRIDS for q in grid}
    grids = [np.stack([at_q[q] for q in grid], axis=2) for grid in Q_GRIDS]
    return [[grid[k] for grid in grids] for k in range(len(members))]


def _write_member(path: Path, kind: str, values: list[FloatArray]) -> None:
    subgrids = (Subgrid(X_KNOTS, np.array(q), PIDS, value) for q, value in zip(Q_GRIDS, values, strict=True))
    write_grid(path, GridFile(f"PdfType: {kind}\nFormat: lhagrid1", tuple(subgrids)), _DIGITS)


def _alpha_s(q: float) -> float:
    """One-loop running with five flavours."""
    slope = (33 - 2 * 5) / (12 * math.pi)
    return _ALPHA_Z / (1 + _ALPHA_Z * slope * 2 * math.log(q / _MASS_Z))


def _info(n_rep: int, seed: int) -> str:
    scales = sorted({q for grid in Q_GRIDS for q in grid})
    entries = {
        "SetDesc": f'"Made-up proton, {n_rep} Monte Carlo replicas, seed {seed}. Not for physics."',
        "SetIndex": "0",
        "Authors": "compress-mpi",
        "Reference": "none",
        "Format": "lhagrid1",
        "DataVersion": str(DEMO_VERSION),
        "NumMembers": str(n_rep + 1),
        "Particle": "2212",
        "Flavors": str(list(PIDS)),
        "OrderQCD": "0",
        "FlavorScheme": "variable",
        "NumFlavors": "5",
        "ErrorType": "replicas",
        "XMin": f"{X_KNOTS[0]:.6E}",
        "XMax": f"{X_KNOTS[-1]:.6E}",
        "QMin": f"{scales[0]:.6E}",
        "QMax": f"{scales[-1]:.6E}",
        "MZ": str(_MASS_Z),
        "MUp": "0.0",
        "MDown": "0.0",
        "MStrange": "0.0",
        "MCharm": str(MASS_CHARM),
        "MBottom": str(MASS_BOTTOM),
        "MTop": "172.5",
        "AlphaS_MZ": str(_ALPHA_Z),
        "AlphaS_OrderQCD": "0",
        "AlphaS_Type": "ipol",
        "AlphaS_Qs": "[" + ", ".join(f"{q:.6E}" for q in scales) + "]",
        "AlphaS_Vals": "[" + ", ".join(f"{_alpha_s(q):.6E}" for q in scales) + "]",
        MARK: f'"demo set, version {DEMO_VERSION}"',
    }
    return "".join(f"{key}: {value}\n" for key, value in entries.items())
