"""The demo prior, a Monte Carlo set to try the program on, and sets like it of other kinds."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np

from compress_mpi.errors import OutputError
from compress_mpi.io.demo_shapes import COARSE, FULL, PIDS, DemoGrid, draw, eigenvectors, replicas
from compress_mpi.io.gridfile import write_grid
from compress_mpi.io.gridtypes import GridFile, Subgrid
from compress_mpi.io.setfolder import MARK, new_set
from compress_mpi.types import FloatArray

__all__ = [
    "DEMO_GRIDS",
    "DEMO_NAME",
    "DEMO_REPLICAS",
    "DEMO_SEED",
    "DEMO_VERSION",
    "DemoKind",
    "cached_demo_set",
    "write_demo_set",
]

DEMO_NAME = "demo"
DEMO_REPLICAS = 1000
DEMO_SEED = 20210420
DEMO_VERSION = 1
"""Raise it whenever the numbers change: caches and results are told apart by it."""

DEMO_GRIDS = {"full": FULL, "coarse": COARSE}
"""Grids of demo sets, by name."""

_BATCH = 100
_DIGITS = 7
_MASS_Z, _ALPHA_Z = 91.1876, 0.118


@dataclass(frozen=True)
class DemoKind:
    """What sort of set a demo set is.

    Attributes
    ----------
    error_type : {"replicas", "hessian", "symmhessian"}
        Monte Carlo, or eigenvectors of the same made-up uncertainties: two members for each, or one.
    level : int
        Confidence level of the eigenvectors in per cent.
    grid : {"full", "coarse"}
    """

    error_type: str = "replicas"
    level: int = 68
    grid: str = "full"

    @property
    def knots(self) -> DemoGrid:
        """Knots of the grid."""
        return DEMO_GRIDS[self.grid]


def write_demo_set(
    folder: Path,
    n_rep: int = DEMO_REPLICAS,
    name: str = DEMO_NAME,
    seed: int = DEMO_SEED,
    kind: DemoKind = DemoKind(),
) -> Path:
    """Write a demo set: the demo prior, or one like it.

    Parameters
    ----------
    folder : Path
        The set goes to ``folder / name``.
    n_rep : int
        Replicas; replica k does not depend on how many there are. Without meaning for a Hessian set.
    name : str
    seed : int
        Of the replicas; a Hessian set has no random numbers.
    kind : DemoKind

    Returns
    -------
    Path
        Folder of the set. Two calls give the same bytes.

    Raises
    ------
    OutputError
        If the target is not this program's to replace, or cannot be written.
    """
    _write(Path(folder), n_rep, name, seed, keep_existing=False, kind=kind)
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


def _write(
    folder: Path, n_rep: int, name: str, seed: int, keep_existing: bool, kind: DemoKind = DemoKind()
) -> None:
    if n_rep < 1:
        raise OutputError(f"{folder / name}: a demo set of {n_rep} replicas was asked for; ask for 1 or more")
    with new_set(folder, name, keep_existing) as draft:
        write = _write_replicas if kind.error_type == "replicas" else _write_hessian
        members = write(draft, n_rep, name, seed, kind)
        (draft / f"{name}.info").write_text(_info(members, seed, kind), encoding="utf-8", newline="\n")


def _write_replicas(draft: Path, n_rep: int, name: str, seed: int, kind: DemoKind) -> int:
    grid = kind.knots
    totals = [np.zeros((grid.x.size, len(q), len(PIDS))) for q in grid.q]
    for first in range(1, n_rep + 1, _BATCH):
        members = range(first, min(first + _BATCH, n_rep + 1))
        for member, values in zip(members, _batch(seed, members, grid), strict=True):
            _write_member(draft / f"{name}_{member:04d}.dat", "replica", values, grid)
            for total, value in zip(totals, values, strict=True):
                total += value
    _write_member(draft / f"{name}_0000.dat", "central", [total / n_rep for total in totals], grid)
    return n_rep + 1


def _write_hessian(draft: Path, n_rep: int, name: str, seed: int, kind: DemoKind) -> int:
    """Central member, then one or two for each eigenvector, in the order of LHAPDF: plus before minus."""
    steps = eigenvectors() * NormalDist().inv_cdf(0.5 + kind.level / 200)
    signs = (1.0, -1.0) if kind.error_type == "hessian" else (1.0,)
    z = np.stack([np.zeros_like(steps[0]), *(sign * step for step in steps for sign in signs)])
    for member, values in enumerate(_values(z, kind.knots)):
        _write_member(
            draft / f"{name}_{member:04d}.dat", "error" if member else "central", values, kind.knots
        )
    return len(z)


def _batch(seed: int, members: range, grid: DemoGrid = FULL) -> list[list[FloatArray]]:
    return _values(np.stack([draw(seed, member) for member in members]), grid)


def _values(z: FloatArray, grid: DemoGrid) -> list[list[FloatArray]]:
    """Values of every member on every subgrid."""
    at_q = {q: replicas(z, q, grid) for knots in grid.q for q in knots}
    grids = [np.stack([at_q[q] for q in knots], axis=2) for knots in grid.q]
    return [[values[k] for values in grids] for k in range(len(z))]


def _write_member(path: Path, kind: str, values: list[FloatArray], grid: DemoGrid = FULL) -> None:
    subgrids = (Subgrid(grid.x, np.array(q), PIDS, value) for q, value in zip(grid.q, values, strict=True))
    write_grid(path, GridFile(f"PdfType: {kind}\nFormat: lhagrid1", tuple(subgrids)), _DIGITS)


def _alpha_s(q: float) -> float:
    """One-loop running with five flavours."""
    slope = (33 - 2 * 5) / (12 * math.pi)
    return _ALPHA_Z / (1 + _ALPHA_Z * slope * 2 * math.log(q / _MASS_Z))


def _described(members: int, seed: int, kind: DemoKind) -> str:
    if kind.error_type == "replicas":
        return f"{members - 1} Monte Carlo replicas, seed {seed}"
    return f"{members - 1} eigenvector members at {kind.level} % CL"


def _info(members: int, seed: int, kind: DemoKind) -> str:
    grid = kind.knots
    scales = sorted({q for knots in grid.q for q in knots})
    entries = {
        "SetDesc": f'"Made-up proton, {_described(members, seed, kind)}. Not for physics."',
        "SetIndex": "0",
        "Authors": "compress-mpi",
        "Reference": "none",
        "Format": "lhagrid1",
        "DataVersion": str(DEMO_VERSION),
        "NumMembers": str(members),
        "Particle": "2212",
        "Flavors": str(list(PIDS)),
        "OrderQCD": "0",
        "FlavorScheme": "variable",
        "NumFlavors": "5",
        "ErrorType": kind.error_type,
        **({} if kind.error_type == "replicas" else {"ErrorConfLevel": str(kind.level)}),
        "XMin": f"{grid.x[0]:.6E}",
        "XMax": f"{grid.x[-1]:.6E}",
        "QMin": f"{scales[0]:.6E}",
        "QMax": f"{scales[-1]:.6E}",
        "MZ": str(_MASS_Z),
        "MUp": "0.0",
        "MDown": "0.0",
        "MStrange": "0.0",
        "MCharm": str(grid.charm),
        "MBottom": str(grid.bottom),
        "MTop": "172.5",
        "AlphaS_MZ": str(_ALPHA_Z),
        "AlphaS_OrderQCD": "0",
        "AlphaS_Type": "ipol",
        "AlphaS_Qs": "[" + ", ".join(f"{q:.6E}" for q in scales) + "]",
        "AlphaS_Vals": "[" + ", ".join(f"{_alpha_s(q):.6E}" for q in scales) + "]",
        MARK: f'"demo set, version {DEMO_VERSION}"',
    }
    return "".join(f"{key}: {value}\n" for key, value in entries.items())
