"""Which replicas a file selects, and from which set: that of a prior, or an enhanced set beside the file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress_mpi.errors import PDFSetError
from compress_mpi.io.enhancedtree import enhanced_name
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.io.pycompressor import read_compress_dat
from compress_mpi.io.store import Tree
from compress_mpi.types import FloatArray, IntArray
from compress_mpi.workflows.combine import find_set
from compress_mpi.workflows.prior import PriorPlan, read_grid_values
from compress_mpi.workflows.words import beside

__all__ = [
    "RESULT_SUFFIXES",
    "Selection",
    "find_enhanced",
    "polished_set_of",
    "selected_values",
    "selection_in_dat",
    "selection_of",
]

RESULT_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True)
class Selection:
    """Replicas of a set.

    Attributes
    ----------
    prior : str
        Name of the prior.
    enhanced : str
        Name of the enhanced set whose numbers these are; empty where they are those of the prior.
    index : int64 (n_rep,)
        Member numbers; 0 is member 0 of the prior in either case.
    """

    prior: str
    enhanced: str
    index: IntArray

    @property
    def source(self) -> str:
        """Name of the set that was selected from."""
        return self.enhanced or self.prior


def selection_of(tree: Tree) -> Selection:
    """The selection of a result."""
    at = tree.attributes
    return Selection(
        str(at["/prior", "name"]),
        str(at.get(("/enhanced", "name"), "")),
        np.asarray(tree.datasets["/selection/index"]),
    )


def selection_in_dat(path: Path) -> Selection:
    """The selection of a ``compress_<PDF>_<N>_output.dat``.

    The name of the file is that of the prior, also where the set inside it is the enhanced one.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    content = read_compress_dat(path)
    name, index = content.pdfset_name, np.asarray(content.index)
    found = re.fullmatch(r"compress_(.+)_\d+_output\.dat", path.name)
    if found is not None and name == enhanced_name(found[1]):
        return Selection(found[1], name, index)
    return Selection(name, "", index)


def find_enhanced(name: str, file: Path, folders: Sequence[Path]) -> PDFSet:
    """The enhanced set that a file selects from.

    Parameters
    ----------
    name : str
    file : Path
        A result, or a ``compress_*_output.dat``.
    folders : sequence of Path
        Where to look first; then in the folder ``lhapdf`` of the results.

    Raises
    ------
    PDFSetError
        If it is not there or not whole; the message says how to get it back.
    """
    try:
        return find_set(name, beside(file, folders))
    except PDFSetError as error:
        prior = name.removesuffix(enhanced_name(""))
        raise PDFSetError(
            f"{file}: selects from the enhanced set {name}, which cannot be opened: {error}\nrun the runcard"
            f" again, which makes it from its weights, link it with 'compress-mpi postgans --pdf {prior}', or name"
            " the folder that holds it with --pdf-path"
        ) from error


def selected_values(
    plan: PriorPlan, prior: FloatArray, enhanced: PDFSet | None, index: IntArray, file: str
) -> FloatArray:
    """Selected replicas on the grid of their prior.

    Parameters
    ----------
    plan : PriorPlan
    prior : float64 (replica, scale * flavour, x)
        Values of ``plan.members``.
    enhanced : PDFSet or None
        What the numbers count, where that is not the prior.
    index : int64 (n_rep,)
    file : str
        Named in messages.

    Returns
    -------
    float64 (n_rep, scale * flavour, x)

    Raises
    ------
    PDFSetError
        If a number is of no member, or a member cannot be read.
    """
    last = plan.members[-1] if enhanced is None else enhanced.n_rep
    outside = index[(index < plan.members[0]) | (index > last)]
    if outside.size:
        name = plan.pdfset.name if enhanced is None else enhanced.name
        raise PDFSetError(
            f"{file}: selects member {outside[0]}, but {name} has {plan.members[0]} to "
            f"{last}; it is a selection from another set, or of definition 'pycompressor'"
        )
    if enhanced is None:
        return prior[index - plan.members[0]]
    found = np.empty((len(index), *prior.shape[1:]))
    central = index == 0
    # member 0 of an enhanced set is its own average, but only that of the prior can be selected
    if central.any():
        found[central] = prior[0]
    found[~central] = read_grid_values(plan, enhanced, index[~central].tolist())
    return found


def polished_set_of(tree: Tree, file: Path) -> str:
    """Name of the polished set of a result.

    Raises
    ------
    PDFSetError
        If there is none.
    """
    name = tree.attributes.get(("/polish", "set"))
    if name is None:
        what = (
            "its polish was refused" if ("/polish", "settings") in tree.attributes else "it was not polished"
        )
        raise PDFSetError(
            f"{file}: has no polished set: {what}; expected the result of a runcard with polish: {{radius: 0.3}}"
        )
    return str(name)
