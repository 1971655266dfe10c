"""Runs of the main job with an enhanced set, and all in their results that must be the same bits."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from compress_mpi.io.demo import DemoKind, write_demo_set

__all__ = [
    "CARD",
    "FIRST",
    "N_PRIOR",
    "N_SELECT",
    "RESULT",
    "TOTAL",
    "TREE",
    "contents",
    "differences",
    "files",
    "write_prior",
]

N_PRIOR, TOTAL, N_SELECT = 80, 140, 8
TREE = "out/few_enhanced"
RESULT, FIRST = f"out/compress_few_enhanced_{N_SELECT}.h5", f"out/compress_few_{N_SELECT}.h5"
CARD = {
    "pdf": "few",
    "compressed": N_SELECT,
    "definition": "pycompressor",
    "minimizer": "tempering",
    "minimization": None,
    "islands": 3,
    "max_iteration": 60,
    "gans": {"enhance": True, "total_replicas": TOTAL},
    "output": "out",
}


def write_prior(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A prior of some eighty replicas; the environment in which it is found."""
    folder = tmp_path_factory.mktemp("sets")
    write_demo_set(folder, N_PRIOR, "few", kind=DemoKind("replicas", 68, "coarse"))
    return {"LHAPDF_DATA_PATH": str(folder)}


def contents(path: Path) -> dict[str, object]:
    """Everything in a result or a sidecar that must not depend on who computed it."""
    found: dict[str, object] = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and "seconds" not in name and not name.startswith("launches"):
            values = np.asarray(item[()])
            # as bytes: NaN is the same bits too
            found[name] = values.tolist() if values.dtype == object else (values.shape, values.tobytes())

    with h5py.File(path) as file:
        file.visititems(visit)
        groups = [name for name in ("selection", "polish") if name in file]
        found |= {f"{name}@erf": file[name].attrs["erf"] for name in groups}
    return found


def files(folder: Path) -> dict[str, object]:
    """All that a run has written, by path: bytes, or what counts of an HDF5 file; nothing of its training."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and ".stage/" not in name:
            found[name] = contents(path) if path.suffix == ".h5" else path.read_bytes()
    return found


def differences(one: dict[str, object], other: dict[str, object]) -> list[str]:
    """Names under which two runs differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
