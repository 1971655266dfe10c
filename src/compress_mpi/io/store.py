"""Result files: trees of datasets and attributes, written whole and atomically.

A file is never changed in place. Each writing goes to a temporary file in the same
folder, which is synced and renamed over the old one, so that at any moment a
complete file exists. Every dataset with elements carries a checksum.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import StoreError
from compress_mpi.io.hdf5 import read_content, text, write_content
from compress_mpi.io.schema import ATTRIBUTES, DATASETS, FORMAT, SCHEMA_VERSION, attribute_of, dataset_of
from compress_mpi.types import ESTIMATORS

__all__ = ["Tree", "estimator_names", "read_tree", "scales", "write_tree"]

_FILTERS = {"fletcher32": True, "compression": "gzip", "compression_opts": 4}

UPGRADES: dict[int, Callable[[Tree], Tree]] = {}
"""One function per schema version that lifts a tree to the next one."""


@dataclass
class Tree:
    """Content of a result file.

    Attributes
    ----------
    datasets : dict
        Path to array, or to text.
    attributes : dict
        (path, name) to number or text.
    """

    datasets: dict[str, Any] = field(default_factory=dict)
    attributes: dict[tuple[str, str], Any] = field(default_factory=dict)


def estimator_names(tree: Tree) -> list[str]:
    """Estimators of a result, in canonical order (that of the file is alphabetical)."""
    return [name for name in ESTIMATORS if f"/estimators/{name}/random" in tree.datasets]


def scales(tree: Tree) -> tuple[float, ...]:
    """Scales in GeV at which sets were compared."""
    return tuple(np.atleast_1d(np.asarray(tree.datasets["/prior/q0"], dtype=np.float64)).tolist())


def write_tree(path: Path, tree: Tree) -> None:
    """Write a result file.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    tree : Tree
        Only names of the schema, all the required ones.

    Raises
    ------
    OutputError
        If the file system refuses. The old file is then as it was.
    """
    _check(tree, path)
    write_content(path, tree.datasets, tree.attributes, dataset_of, lambda _: _FILTERS)


def read_tree(path: Path) -> Tree:
    """Read and validate a result file.

    Raises
    ------
    StoreError
        If it is damaged, not a result file, of a newer schema, or incomplete.
    """
    import h5py

    if not os.path.exists(path):
        raise StoreError(f"{path}: no such file")
    if not os.path.isfile(path) or not h5py.is_hdf5(path):
        raise StoreError(f"{path}: not an HDF5 file, or a damaged one; expected a result of compress-mpi")
    try:
        with h5py.File(path, "r") as file:
            if text(file.attrs.get("format", "")) != FORMAT:
                raise StoreError(
                    f"{path}: an HDF5 file of something else: its attribute 'format' is not '{FORMAT}'"
                )
            tree = Tree(*read_content(file, attribute_of))
    except (OSError, RuntimeError, KeyError) as error:
        raise StoreError(f"{path}: damaged: {error}") from error
    return _validated(_upgraded(tree, path), path)


def _upgraded(tree: Tree, path: Path) -> Tree:
    version = int(tree.attributes.get(("/", "schema_version"), 0))
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: schema_version {version} is newer than this release reads ({SCHEMA_VERSION}); "
            "use the release that wrote it"
        )
    while version < SCHEMA_VERSION:
        if version not in UPGRADES:
            raise StoreError(f"{path}: schema_version {version} cannot be read; expected {SCHEMA_VERSION}")
        tree, version = UPGRADES[version](tree), version + 1
    return tree


def _validated(tree: Tree, path: Path) -> Tree:
    try:
        _check(tree, path)
    except KeyError as error:
        raise StoreError(f"{path}: incomplete or damaged: {error.args[0]}") from error
    return tree


def _check(tree: Tree, path: Path) -> None:
    estimators = sorted({name.split("/")[2] for name in tree.datasets if name.startswith("/estimators/")})
    if not estimators:
        raise KeyError("no estimator under /estimators")
    for declared in DATASETS:
        for name in _instances(declared.path, estimators) if declared.required else ():
            if name not in tree.datasets:
                raise KeyError(f"{name} is missing")
    for attribute in ATTRIBUTES:
        for name in _instances(attribute.path, estimators) if attribute.required else ():
            if (name, attribute.name) not in tree.attributes:
                raise KeyError(f"attribute '{attribute.name}' of {name} is missing")
    _check_shapes(tree)


def _instances(pattern: str, estimators: list[str]) -> list[str]:
    return [pattern.replace("<name>", name) for name in estimators] if "<name>" in pattern else [pattern]


def _check_shapes(tree: Tree) -> None:
    lengths: dict[str, tuple[int, str]] = {}
    for name, value in tree.datasets.items():
        declared = dataset_of(name)
        if declared is None or declared.dims is None:
            continue
        shape = np.shape(np.asarray(value, dtype=object) if declared.dtype == "str" else value)
        if declared.or_scalar and not shape:
            continue
        if len(shape) != len(declared.dims):
            raise KeyError(f"{name} has {len(shape)} axes, expected {len(declared.dims)}")
        for axis, length in zip(declared.dims, shape, strict=True):
            known = lengths.setdefault(axis, (length, name))
            if known[0] != length:
                raise KeyError(f"{name} has {length} along '{axis}', but {known[1]} has {known[0]}")
        if declared.dtype == "float64" and not np.issubdtype(np.asarray(value).dtype, np.floating):
            raise KeyError(f"{name} is {np.asarray(value).dtype}, expected float64")
        if declared.dtype == "int64" and not np.issubdtype(np.asarray(value).dtype, np.integer):
            raise KeyError(f"{name} is {np.asarray(value).dtype}, expected int64")
