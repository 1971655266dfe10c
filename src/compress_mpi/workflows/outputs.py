"""Where a compression writes, and the files it leaves beside its result."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compress_mpi.errors import OutputError
from compress_mpi.types import FloatArray, IntArray

__all__ = [
    "Outputs",
    "SharedLines",
    "companions_missing",
    "first_phase",
    "merge_lines",
    "names_a_file",
    "plan_outputs",
    "require_writable",
    "shared_lines",
    "write_dat",
]

_HDF5_SUFFIXES = (".h5", ".hdf5")


@dataclass(frozen=True)
class Outputs:
    """Files of one subset size.

    Attributes
    ----------
    result : Path
        The HDF5 file; everything else lies in its folder.
    pdf : str
        Name of the prior.
    n_rep : int
    pool : str
        Name of the set that is selected from where that is not the prior, else empty.
    """

    result: Path
    pdf: str
    n_rep: int
    pool: str = ""

    @property
    def folder(self) -> Path:
        """Folder of the result file."""
        return self.result.parent

    @property
    def set_name(self) -> str:
        """Name of the compressed set, as the existing grid builder calls it."""
        return f"{self.selected_from}_compressed_{self.n_rep}"

    @property
    def selected_from(self) -> str:
        """Name of the set that is selected from."""
        return self.pool or self.pdf

    @property
    def compress_dat(self) -> Path:
        """Selected replicas and ERF per iteration, in the existing tool's format."""
        return self.folder / self.selected_from / f"compress_{self.pdf}_{self.n_rep}_output.dat"

    @property
    def erf_random(self) -> Path:
        """Bands of random subsets, in the existing tool's format."""
        return self.folder / "erfs_output" / "erf_randomized.dat"

    @property
    def erf_reduced(self) -> Path:
        """Distances of the selection, in the existing tool's format."""
        return self.folder / "erfs_output" / "erf_reduced.dat"


def plan_outputs(
    output: str | None, pdf: str, sizes: Sequence[int], numbered: bool | None = None, pool: str = ""
) -> list[Outputs]:
    """Name the files of every size.

    Parameters
    ----------
    output : str or None
        Ends in .h5 or .hdf5: the result file, with ``_N`` added to the stem where there are several sizes.
        Anything else: the folder of results. None: the current folder.
    pdf : str
        Name of the prior.
    sizes : sequence of int
    numbered : bool, optional
        Add ``_N`` also where there is one size; by default only where there are several.
    pool : str
        Name of the set that is selected from where that is not the prior.
    """
    target = Path(output) if output else Path()
    plans = []
    for n_rep in sizes:
        if not names_a_file(output):
            result = target / f"compress_{pool or pdf}_{n_rep}.h5"
        elif numbered or len(sizes) > 1:
            result = target.with_name(f"{target.stem}_{n_rep}{target.suffix}")
        else:
            result = target
        plans.append(Outputs(result, pdf, n_rep, pool))
    return plans


def first_phase(output: Outputs, folder_named: bool) -> Outputs:
    """Files of the same size for the prior alone.

    Parameters
    ----------
    output : Outputs
        Of a selection from an enhanced set.
    folder_named : bool
        Whether results have names of their own; else the user named the file, and this one gets a word more.
    """
    if folder_named:
        return Outputs(output.folder / f"compress_{output.pdf}_{output.n_rep}.h5", output.pdf, output.n_rep)
    result = output.result.with_name(f"{output.result.stem}_prior{output.result.suffix}")
    return Outputs(result, output.pdf, output.n_rep)


def names_a_file(output: str | None) -> bool:
    """Whether ``output`` of a runcard is the name of a result file and not of a folder."""
    return output is not None and Path(output).suffix in _HDF5_SUFFIXES


def require_writable(outputs: Outputs) -> None:
    """See that files can be made where they will be, and leave no trace of having looked.

    Raises
    ------
    OutputError
        Naming the path and what the system said.
    """
    if outputs.result.is_dir():
        raise OutputError(f"output: {outputs.result}: is a folder; expected the name of a file")
    for path in (outputs.result, outputs.compress_dat, outputs.erf_random):
        try:
            with _folder(path.parent):
                probe = path.parent / f".{path.name}.check.{os.getpid()}"
                probe.touch()
                probe.unlink()
        except OSError as error:
            raise OutputError(
                f"output: {path.parent}: cannot write there: {error.strerror or error}; choose another 'output'"
            ) from error


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make a folder for a while."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()


@dataclass(frozen=True)
class SharedLines:
    """What one size adds to the files that all sizes share.

    Attributes
    ----------
    outputs : Outputs
    bands : dict
        Bands of random subsets, by estimator.
    erf : dict
        Distance of the selection, by estimator.
    """

    outputs: Outputs
    bands: dict[str, dict[str, float]]
    erf: dict[str, float]


def shared_lines(outputs: Outputs, random: Mapping[str, FloatArray], erf: Mapping[str, float]) -> SharedLines:
    """Lines of one size.

    Parameters
    ----------
    random : mapping of float64 (trials,)
        Unnormalised distances of random subsets, by estimator.
    erf : mapping of float
        Those of the selection.
    """
    from compress_mpi.io.pycompressor import random_bands

    bands = {name: random_bands(np.asarray(values)) for name, values in random.items()}
    return SharedLines(outputs, bands, {name: float(value) for name, value in erf.items()})


def write_dat(outputs: Outputs, index: IntArray, history: FloatArray) -> None:
    """Write the selection in the existing tool's format.

    Parameters
    ----------
    index : int64 (n_rep,)
        Selected replica numbers.
    history : float64 (iteration,)
        Total ERF.
    """
    from compress_mpi.io.pycompressor import write_compress_dat

    write_compress_dat(outputs.compress_dat, outputs.selected_from, history, index)


def merge_lines(lines: Sequence[SharedLines]) -> None:
    """Put lines into the files that all sizes share; for one process of the job, as they are read and replaced."""
    from compress_mpi.io.pycompressor import merge_erf_line

    for line in lines:
        merge_erf_line(line.outputs.erf_random, line.outputs.n_rep, line.bands)
        merge_erf_line(line.outputs.erf_reduced, line.outputs.n_rep, line.erf)


def companions_missing(outputs: Outputs) -> bool:
    """Whether any file that belongs to a complete size is gone."""
    from compress_mpi.io.pycompressor import has_erf_line

    if not (outputs.folder / outputs.set_name).exists() or not outputs.compress_dat.exists():
        return True
    return not all(has_erf_line(path, outputs.n_rep) for path in (outputs.erf_random, outputs.erf_reduced))
