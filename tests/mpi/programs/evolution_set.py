"""Writes a toy set evolved by eko's own tools, and export grids of the same 20 replicas.

Usage: evolution_set.py FOLDER. eko runs uncompiled here (NUMBA_DISABLE_JIT), on six x nodes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["NUMBA_DISABLE_JIT"] = "1"

import numpy as np
from eko.io.runcards import OperatorCard, TheoryCard
from eko.io.struct import EKO
from eko.runner import managed
from ekobox.apply import apply_grids

from compress_mpi.io.exportgrid import LABELS, ExportGrid, write_exportgrid
from compress_mpi.io.gridfile import write_grid
from compress_mpi.io.gridtypes import GridFile, Subgrid

N_REP, Q0 = 20, 2.0
X = np.array([1e-3, 1e-2, 0.1, 0.3, 0.6, 1.0])
PIDS = (-5, -4, -3, -2, -1, 21, 1, 2, 3, 4, 5)
EKO_PIDS = (22, -6, -5, -4, -3, -2, -1, 21, 1, 2, 3, 4, 5, 6)
EXPORT_PIDS = (*EKO_PIDS[1:], 22)
Q = ((2.0, 2.5, 3.5, 4.5), (4.5, 7.0, 10.0, 20.0))
INFO = f"""SetDesc: "Toy at leading order"
SetIndex: 1
Format: lhagrid1
DataVersion: 1
NumMembers: {N_REP + 1}
Particle: 2212
Flavors: {list(PIDS)}
OrderQCD: 0
FlavorScheme: variable
NumFlavors: 5
ErrorType: replicas
XMin: {X[0]}
XMax: 1.0
QMin: 2.0
QMax: 20.0
MZ: 91.2
MCharm: 1.5
MBottom: 4.5
MTop: 170.0
AlphaS_MZ: 0.118
AlphaS_OrderQCD: 0
"""


def theory() -> TheoryCard:
    return TheoryCard.from_dict(
        {
            "order": [1, 0],
            "couplings": {"alphas": 0.118, "alphaem": 0.007496252, "ref": (91.2, 5)},
            "heavy": {
                "masses": [[1.5, float("nan")], [4.5, float("nan")], [170.0, float("nan")]],
                "masses_scheme": "pole",
                "matching_ratios": [1.0, 1.0, 1.0],
            },
            "xif": 1.0,
            "n3lo_ad_variation": [0] * 7,
            "matching_order": [0, 0],
        }
    )


def operator() -> OperatorCard:
    return OperatorCard.from_dict(
        {
            "init": (Q0, 4),
            "mugrid": [(q, nf) for nf, block in zip((4, 5), Q, strict=True) for q in block],
            "xgrid": X.tolist(),
            "configs": {
                "evolution_method": "iterate-exact",
                "ev_op_max_order": [10, 0],
                "ev_op_iterations": 1,
                "interpolation_polynomial_degree": 2,
                "interpolation_is_log": True,
                "scvar_method": None,
                "inversion_method": "exact",
                "polarized": False,
                "time_like": False,
            },
            "debug": {"skip_singlet": False, "skip_non_singlet": False},
        }
    )


def start() -> np.ndarray:
    """x f at Q0, float64 (replica, 14, x), in the order of an export grid."""
    rng = np.random.default_rng(3)
    size = 1 + 0.1 * rng.standard_normal((N_REP, len(LABELS)))
    shape = np.stack([X**-0.1 * (1 - X) ** (3 + k % 3) for k in range(len(LABELS))])
    absent = [label in ("TBAR", "BBAR", "B", "T", "PHT") for label in LABELS]
    return np.where(np.array(absent)[:, None], 0.0, size[:, :, None] * shape)


def evolved(folder: Path, values: np.ndarray) -> dict[tuple[float, int], np.ndarray]:
    managed.solve(theory(), operator(), folder / "managed.tar")
    into = [EXPORT_PIDS.index(pid) for pid in EKO_PIDS]
    with EKO.read(folder / "managed.tar") as eko:
        found = apply_grids(eko, values[:, into] / X)[0]
    return {
        (round(q2**0.5, 9), nf): x_f[:, [EKO_PIDS.index(pid) for pid in PIDS]] * X
        for (q2, nf), x_f in found.items()
    }


def main(folder: Path) -> None:
    values = start()
    found = evolved(folder, values)
    toy = folder / "toy"
    toy.mkdir()
    (toy / "toy.info").write_text(INFO)
    blocks = [np.stack([found[q, nf] for q in block], axis=1) for nf, block in zip((4, 5), Q, strict=True)]
    for k in range(N_REP + 1):
        rows = [np.moveaxis(block[k - 1] if k else block.mean(axis=0), 2, 0) for block in blocks]
        grids = tuple(Subgrid(X, np.array(q), PIDS, row) for q, row in zip(Q, rows, strict=True))
        kind = "replica" if k else "central"
        write_grid(toy / f"toy_{k:04d}.dat", GridFile(f"PdfType: {kind}\nFormat: lhagrid1", grids))
        if k:
            replica = folder / "toy_enhanced" / "nnfit" / f"replica_{k}"
            replica.mkdir(parents=True)
            grid = ExportGrid(k, Q0**2, X, values[k - 1])
            write_exportgrid(replica / "toy_enhanced.exportgrid", grid)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
