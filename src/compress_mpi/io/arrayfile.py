"""Dictionaries of arrays in an HDF5 file, written in one step: what stages pass on and continue from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import StoreError
from compress_mpi.io.hdf5 import new_hdf5

__all__ = ["read_arrays", "write_arrays"]


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> None:
    """Write arrays and attributes; an old file keeps its content until the new one is complete.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    arrays : mapping of arrays
        A name with slashes goes into groups.
    facts : mapping
        Numbers and text, attributes of the file.

    Raises
    ------
    OutputError
        If the file system refuses.
    """
    with new_hdf5(path) as file:
        for name, array in arrays.items():
            # a scalar, or nothing, cannot be chunked, hence not checksummed
            checked = {"fletcher32": True} if array.ndim and array.size else {}
            file.create_dataset(name, data=array, **checked)
        for name, value in facts.items():
            file.attrs[name] = value


def read_arrays(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """What :func:`write_arrays` wrote: arrays, attributes.

    Raises
    ------
    StoreError
        If there is no such file, or it is damaged.
    """
    import h5py

    arrays: dict[str, NDArray[Any]] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = np.asarray(item[()])

    try:
        with h5py.File(path, "r") as file:
            file.visititems(take)
            facts = {name: _plain(value) for name, value in file.attrs.items()}
    except FileNotFoundError as error:
        raise StoreError(f"{path}: no such file") from error
    except (OSError, RuntimeError) as error:
        raise StoreError(f"{path}: damaged, or no HDF5 file: {error}") from error
    return arrays, facts


def _plain(value: Any) -> Any:
    return (
        value.decode()
        if isinstance(value, bytes)
        else value.item()
        if isinstance(value, np.generic)
        else value
    )
