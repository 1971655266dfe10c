"""The sidecar of an enhanced set: how every new replica was made, and how good they are."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import StoreError
from compress_mpi.io.enhancedrecord import EnhancedRecord, enhanced_fingerprint
from compress_mpi.io.hdf5 import read_content, text, write_content
from compress_mpi.io.schema import FORMAT, Dataset
from compress_mpi.io.schema_enhanced import (
    ATTRIBUTES,
    DATASETS,
    SCHEMA_VERSION,
    TASK,
    attribute_of,
    dataset_of,
)
from compress_mpi.io.store import Tree
from compress_mpi.types import FloatArray

__all__ = [
    "EnhancedRecord",
    "enhanced_fingerprint",
    "is_enhanced_file",
    "read_enhanced",
    "read_enhanced_tree",
    "read_weights",
    "write_enhanced",
]

_ROW_SUM = 1e-10
_ROWS_PER_CHUNK = 64


def write_enhanced(path: Path, record: EnhancedRecord) -> None:
    """Write the sidecar in one step.

    Parameters
    ----------
    path : Path
        Replaced if it exists.
    record : EnhancedRecord

    Raises
    ------
    ValueError
        If a row of weights does not sum to 1 within 1e-10.
    OutputError
        If it cannot be written.
    """
    tree = _tree(record)
    write_content(path, tree.datasets, tree.attributes, dataset_of, _storage)


def _tree(record: EnhancedRecord) -> Tree:
    weights = np.asarray(record.weights, dtype=np.float64)
    off = np.abs(weights.sum(axis=1) - 1)
    if not (off <= _ROW_SUM).all():
        worst = int(np.nanargmax(np.where(np.isnan(off), np.inf, off)))
        raise ValueError(f"weights: row {worst + 1} sums to {weights[worst].sum()}, expected 1")
    datasets: dict[str, Any] = {"/weights": weights, "/settings": json.dumps(record.settings)}
    optional = {
        "/candidates": record.candidates,
        "/runcard": record.runcard,
        "/basis/explained": record.explained,
        "/guards/facts": json.dumps(record.guards) if record.guards else None,
        "/quality/facts": json.dumps(record.quality) if record.quality else None,
    }
    datasets |= {path: value for path, value in optional.items() if value is not None}
    groups = (
        ("/losses", record.losses),
        ("/guards", record.guard_arrays),
        ("/quality", record.quality_arrays),
    )
    for group, arrays in groups:
        datasets |= {f"{group}/{name}": np.asarray(value) for name, value in arrays.items()}
    root = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "task": TASK,
        "name": record.name,
        "generator": record.generator,
        "seed": record.seed,
        "total_replicas": record.total,
        "components": record.components,
        "fingerprint": record.fingerprint,
        "created": record.created,
        "versions": json.dumps(dict(record.versions)),
    }
    prior = {"name": record.prior, "members": weights.shape[1], "sha256": record.prior_sha256}
    attributes = {("/", name): value for name, value in root.items()}
    return Tree(datasets, attributes | {("/prior", name): value for name, value in prior.items()})


def _storage(array: np.ndarray) -> dict[str, Any]:
    rows = (min(len(array), _ROWS_PER_CHUNK), *array.shape[1:])
    # most weights of a mix are zero: shuffled, gzip takes them to a percent
    return {"chunks": rows, "shuffle": True, "compression": "gzip", "compression_opts": 4, "fletcher32": True}


def is_enhanced_file(path: Path) -> bool:
    """Whether a file is a sidecar; False also for what is no HDF5 file at all."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return text(file.attrs.get("format")) == FORMAT and text(file.attrs.get("task")) == TASK
    except OSError:
        return False


def read_enhanced_tree(path: Path) -> Tree:
    """Read and validate a sidecar, as a tree of datasets and attributes.

    Raises
    ------
    StoreError
        If it is missing, damaged, of something else, of a newer schema, or incomplete.
    """
    import h5py

    if not os.path.isfile(path):
        raise StoreError(f"{path}: no such file; an enhanced set of this program has it")
    if not is_enhanced_file(path):
        raise StoreError(f"{path}: damaged, or not the sidecar of an enhanced set")
    try:
        with h5py.File(path, "r") as file:
            tree = Tree(*read_content(file, attribute_of))
    except (OSError, RuntimeError, KeyError) as error:
        raise StoreError(f"{path}: damaged: {error}; make the enhanced set again") from error
    _validate(path, tree)
    return tree


def _validate(path: Path, tree: Tree) -> None:
    version = int(tree.attributes.get(("/", "schema_version"), 0))
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"{path}: schema_version {version}, this release reads {SCHEMA_VERSION}; use the release that wrote it"
        )
    missing = [d.path for d in DATASETS if d.required and d.path not in tree.datasets]
    missing += [
        f"{a.path}@{a.name}" for a in ATTRIBUTES if a.required and (a.path, a.name) not in tree.attributes
    ]
    if missing:
        raise StoreError(f"{path}: incomplete: {missing[0]} is missing; make the enhanced set again")
    lengths: dict[str, int] = {}
    for name, value in tree.datasets.items():
        problem = _misshapen(dataset_of(name), np.shape(value), lengths)
        if problem:
            raise StoreError(f"{path}: {name}: {problem}; make the enhanced set again")
    members = int(tree.attributes["/prior", "members"])
    if lengths["replica"] != members:
        raise StoreError(
            f"{path}: /weights: {lengths['replica']} columns, but the prior has {members} replicas"
        )


def _misshapen(declared: Dataset | None, shape: tuple[int, ...], lengths: dict[str, int]) -> str | None:
    if declared is None or declared.dims is None:
        return None
    if len(shape) != len(declared.dims):
        return f"{len(shape)} axes, expected {len(declared.dims)}"
    for axis, length in zip(declared.dims, shape, strict=True):
        if lengths.setdefault(axis, length) != length:
            return f"{length} along '{axis}', expected {lengths[axis]}"
    return None


def read_enhanced(path: Path) -> EnhancedRecord:
    """Read a sidecar.

    Raises
    ------
    StoreError
        As `read_enhanced_tree`, and where the weights are not those of its fingerprint.
    """
    tree = read_enhanced_tree(path)
    at, data = tree.attributes, tree.datasets
    try:
        record = EnhancedRecord(
            name=at["/", "name"],
            prior=at["/prior", "name"],
            prior_sha256=at["/prior", "sha256"],
            weights=data["/weights"],
            generator=at["/", "generator"],
            settings=json.loads(data["/settings"]),
            seed=int(at["/", "seed"]),
            created=at["/", "created"],
            versions=json.loads(at["/", "versions"]),
            components=int(at.get(("/", "components"), 0)),
            explained=data.get("/basis/explained"),
            candidates=data.get("/candidates"),
            losses=_group(data, "/losses"),
            guards=json.loads(data.get("/guards/facts", "{}")),
            quality=json.loads(data.get("/quality/facts", "{}")),
            guard_arrays=_group(data, "/guards"),
            quality_arrays=_group(data, "/quality"),
            runcard=data.get("/runcard"),
        )
    except (json.JSONDecodeError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: damaged: {error}; make the enhanced set again") from error
    if record.fingerprint != at["/", "fingerprint"]:
        raise StoreError(f"{path}: its weights or settings were changed after it was written")
    return record


def read_weights(path: Path, rows: range) -> FloatArray:
    """Some rows of the weights of a sidecar that has been read before, float64 (len(rows), R).

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return np.asarray(file["/weights"][rows.start : rows.stop])
    except (OSError, RuntimeError, KeyError) as error:
        raise StoreError(f"{path}: damaged: {error}; make the enhanced set again") from error


def _group(data: Mapping[str, Any], group: str) -> dict[str, np.ndarray]:
    prefix = f"{group}/"
    return {
        path.removeprefix(prefix): value
        for path, value in data.items()
        if path.startswith(prefix) and path != f"{group}/facts"
    }
