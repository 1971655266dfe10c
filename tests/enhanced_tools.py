"""An enhanced set of the tiny prior, for tests that need one."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from cli_tools import BAD
from compress_mpi.io.backends import read_members
from compress_mpi.io.enhancedfile import EnhancedRecord
from compress_mpi.io.enhancedset import default_filter
from compress_mpi.io.enhancedtree import EnhancedTree
from compress_mpi.io.exportgrid import PIDS, export_xgrid
from compress_mpi.io.knots import knot_layout, read_knots
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.workflows.enhanced_set import EnhancedContents

__all__ = ["Q0", "contents_of", "mixes", "run_folder", "sha256_of_all"]

Q0 = 1.65
TINY = BAD / "sets" / "tiny"


def mixes(n_new: int, n_rep: int, seed: int = 3) -> np.ndarray:
    """Weights of three replicas each, some negative; rows sum to 1."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((n_new, n_rep))
    for row in weights:
        row[rng.choice(n_rep, 3, replace=False)] = [0.9, 0.6, -0.5]
    return weights


def contents_of(prior: PDFSet, n_new: int = 5, **changes: Any) -> EnhancedContents:
    """What an enhanced set of a small prior consists of."""
    layout = knot_layout(prior)
    knots = np.empty((prior.n_rep, layout.size))
    read_knots(prior, range(1, prior.n_rep + 1), layout, knots)
    x = export_xgrid("custom", np.array(layout.x[0]))
    facts: dict[str, Any] = {
        "name": f"{prior.name}_enhanced",
        "prior": prior.name,
        "prior_sha256": hashlib.sha256(knots.tobytes()).hexdigest(),
        "weights": mixes(n_new, prior.n_rep),
        "generator": "mix",
        "settings": {"kind": "mix", "spread": 0.6},
        "seed": 11,
        "created": "2026-01-01T00:00:00Z",
        "versions": {"compress-mpi": "0"},
        "losses": {"advloss": np.array([3.0, 2.0, 1.5])},
        "guards": {"rejected": 0.02, "checks": [{"name": "tails", "found": 0.1, "limit": 2}]},
        "quality": {"fid": {"21": 0.01}},
        "quality_arrays": {"std_ratio": np.ones((7, 4))},
        **changes,
    }
    return EnhancedContents(
        prior=prior,
        layout=layout,
        knots=knots,
        evolved=knots,
        record=EnhancedRecord(**facts),
        q0=Q0,
        x=x,
        grids=read_members(prior, range(1, prior.n_rep + 1), PIDS, x, Q0),
        description="an enhanced tiny set",
        filter_yml=default_filter(prior, Q0),
        runcard="epochs: 3\n",
    )


def run_folder(parent: Path, count: int = 4, info: str | None = None) -> EnhancedTree:
    """Replicas of the tiny prior as ganpdfs and evolven3fit leave them."""
    tree = EnhancedTree(parent / "tiny_enhanced", "tiny_enhanced")
    for i in range(1, count + 1):
        tree.member(i).parent.mkdir(parents=True)
        shutil.copy(TINY / f"tiny_{i:04d}.dat", tree.member(i))
    if info:
        tree.info.write_text((TINY / "tiny.info").read_text().replace("NumMembers: 13", info))
    return tree


def sha256_of_all(folder: Path) -> str:
    """Digest of every file and link in a folder but the HDF5 ones."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content = os.readlink(path).encode() if path.is_symlink() else b""
        if path.is_file() and not path.is_symlink() and path.suffix != ".h5":
            content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)} {len(content)} ".encode() + content)
    return digest.hexdigest()
