"""``get-grid``: the compressed LHAPDF sets of a finished result."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from compress_mpi.errors import PDFSetError, StoreError
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.io.setwriter import write_subset
from compress_mpi.io.store import Tree, estimator_names, read_tree
from compress_mpi.types import IntArray
from compress_mpi.workflows.combine import find_set
from compress_mpi.workflows.origin import (
    RESULT_SUFFIXES,
    Selection,
    find_enhanced,
    selection_in_dat,
    selection_of,
)
from compress_mpi.workflows.outputs import Outputs
from compress_mpi.workflows.words import beside

__all__ = ["write_grid_of"]


def write_grid_of(file: Path, folder: Path, folders: Sequence[Path] = ()) -> list[Path]:
    """Write the sets that a result describes.

    Parameters
    ----------
    file : Path
        A result file, or a ``compress_*_output.dat`` of either tool.
    folder : Path
        Where the folders of the sets are made.
    folders : sequence of Path
        Where to look for the prior and the enhanced set first.

    Returns
    -------
    list of Path
        Folder of the set, named ``<prior>_compressed_<N>`` or ``<prior>_enhanced_compressed_<N>``; then that
        of the polished set, where the result has one.

    Raises
    ------
    StoreError
        If the file is damaged or selects a replica twice.
    PDFSetError
        If the prior or the enhanced set cannot be read.
    """
    tree = _complete(file) if file.suffix in RESULT_SUFFIXES else None
    chosen = selection_in_dat(file) if tree is None else selection_of(tree)
    _require_distinct(file, chosen.index)
    enhanced = find_enhanced(chosen.enhanced, file, folders) if chosen.enhanced else None
    # a set is all that can be written of a selection that does not ask for the prior
    needs_prior = enhanced is None or 0 in chosen.index or _is_polished(tree)
    prior = find_set(chosen.prior, beside(file, folders)) if needs_prior else None
    written = [_write_selection(file, chosen, enhanced, prior, folder)]
    if tree is not None and prior is not None and _is_polished(tree):
        written.append(_write_polished(file, tree, chosen, prior, folder))
    return written


def _complete(file: Path) -> Tree:
    tree = read_tree(file)
    if tree.attributes["/", "status"] != "complete":
        raise StoreError(
            f"{file}: the search has not ended; expected a complete result. Run the runcard again"
        )
    return tree


def _is_polished(tree: Tree | None) -> bool:
    return tree is not None and ("/polish", "set") in tree.attributes


def _require_distinct(file: Path, index: IntArray) -> None:
    if len(np.unique(index)) != len(index):
        twice = sorted({int(k) for k in index if np.count_nonzero(index == k) > 1})
        raise StoreError(
            f"{file}: index: replicas {twice} are selected more than once, as the genetic algorithm of "
            "pyCompressor may do; expected distinct replicas. Compress again with compress-mpi"
        )


def _write_selection(
    file: Path, chosen: Selection, enhanced: PDFSet | None, prior: PDFSet | None, folder: Path
) -> Path:
    source = enhanced or prior
    if source is None:
        raise ValueError("neither a prior nor an enhanced set")
    return write_subset(
        source,
        chosen.index.tolist(),
        folder,
        f"{chosen.source}_compressed_{len(chosen.index)}",
        f"{len(chosen.index)} replicas of {chosen.source} selected according to {file.name}",
        {0: prior.member_path(0)} if prior is not None else None,
    )


def _write_polished(file: Path, tree: Tree, chosen: Selection, prior: PDFSet, folder: Path) -> Path:
    from compress_mpi.workflows.polish import write_polished_set
    from compress_mpi.workflows.record import Record

    record = Record(file, tree, tuple(estimator_names(tree)))
    _require_same_prior(file, record.polish_array("weights").shape[1], prior)
    output = Outputs(Path(folder) / file.name, chosen.prior, len(chosen.index), chosen.enhanced)
    return write_polished_set(prior, output, record).path


def _require_same_prior(file: Path, replicas: int, prior: PDFSet) -> None:
    if replicas != prior.n_rep:
        raise PDFSetError(
            f"{file}: /polish/weights: of {replicas} replicas, but {prior.path} has {prior.n_rep} now; find the old"
            " version with --pdf-path"
        )
