"""``get-grid``: the compressed LHAPDF set of a finished result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress_mpi.errors import StoreError
from compress_mpi.io.pycompressor import read_compress_dat
from compress_mpi.io.setwriter import write_subset
from compress_mpi.io.store import read_tree
from compress_mpi.workflows.combine import find_set
from compress_mpi.workflows.words import beside

__all__ = ["write_grid_of"]


def write_grid_of(file: Path, folder: Path, folders: Sequence[Path] = ()) -> Path:
    """Write the set that a result describes.

    Parameters
    ----------
    file : Path
        A result file, or a ``compress_*_output.dat`` of either tool.
    folder : Path
        Where the set's folder is made.
    folders : sequence of Path
        Where to look for the prior first.

    Returns
    -------
    Path
        Folder of the set, named ``<prior>_compressed_<N>``.

    Raises
    ------
    StoreError
        If the file is damaged or selects a replica twice.
    """
    name, index = _selection(file)
    if len(np.unique(index)) != len(index):
        twice = sorted({int(k) for k in index if np.count_nonzero(index == k) > 1})
        raise StoreError(
            f"{file}: index: replicas {twice} are selected more than once, as the genetic algorithm of "
            "pyCompressor may do; expected distinct replicas. Compress again with compress-mpi"
        )
    description = f"{len(index)} replicas of {name} selected according to {file.name}"
    return write_subset(
        find_set(name, beside(file, folders)),
        index.tolist(),
        folder,
        f"{name}_compressed_{len(index)}",
        description,
    )


def _selection(file: Path) -> tuple[str, np.ndarray]:
    if file.suffix in (".h5", ".hdf5"):
        tree = read_tree(file)
        if tree.attributes["/", "status"] != "complete":
            raise StoreError(
                f"{file}: the search has not ended; expected a complete result. Run the runcard again"
            )
        return str(tree.attributes["/prior", "name"]), np.asarray(tree.datasets["/selection/index"])
    content = read_compress_dat(file)
    return content.pdfset_name, np.asarray(content.index)
