"""Begin the record of a run, or open that of an earlier launch if it is of the same run."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import StoreError
from compress_mpi.io.runcard import RuncardSource, differences
from compress_mpi.io.schema import FORMAT, SCHEMA_VERSION
from compress_mpi.io.store import Tree, read_tree
from compress_mpi.methods.selection.error_function import Reference
from compress_mpi.types import FloatArray
from compress_mpi.workflows.pool import Pool
from compress_mpi.workflows.prior import Prior, digest
from compress_mpi.workflows.record import Record, now

__all__ = ["SEARCH_VERSION", "other_settings", "refuse_other_run", "resume", "start", "versions"]

SEARCH_VERSION = 2
"""Raised when the same seed gives another search: then old checkpoints cannot be continued."""

_LIBRARIES = ("compress-mpi", "numpy", "numba", "h5py", "mpi4py", "cma", "neopdf-hep", "pydantic")


def versions() -> dict[str, str]:
    """Versions of everything that may move a result, by name."""
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def _settings(source: RuncardSource, n_rep: int) -> str:
    # what auto asks for does not touch the answer of one size: other targets go on with the same results
    settings = {key: value for key, value in source.effective.items() if key != "auto"}
    return json.dumps({**settings, "compressed": n_rep})


def start(
    path: Path,
    source: RuncardSource,
    prior: Prior,
    reference: Reference,
    n_rep: int,
    random: FloatArray,
    pool: Pool | None = None,
) -> Record:
    """Begin a record, with the random trials and no history.

    Parameters
    ----------
    random : float64 (trials, n_estimator)
    pool : Pool or None
        What is selected from, where that is not the prior.
    """
    plan = prior.plan
    tree = Tree()
    tree.datasets = {
        "/runcard": source.text,
        "/settings": _settings(source, n_rep),
        "/prior/flavours": np.array(plan.flavours),
        "/prior/xgrid": plan.xgrid,
        "/prior/q0": plan.scales[0] if len(plan.scales) == 1 else np.array(plan.scales),
        "/estimators/correlation/points": reference.points,
        "/estimators/correlation/dropped": reference.dropped,
        "/selection/index": np.zeros(n_rep, dtype=np.int64),
        "/history/iteration": np.zeros(0, dtype=np.int64),
        "/history/erf": np.zeros(0),
        "/history/seconds": np.zeros(0),
    }
    if "correlation" not in reference.names:
        del tree.datasets["/estimators/correlation/points"], tree.datasets["/estimators/correlation/dropped"]
    for name, values in zip(reference.names, random.T, strict=True):
        tree.datasets[f"/estimators/{name}/random"] = values
    tree.attributes = {
        ("/", "format"): FORMAT,
        ("/", "schema_version"): SCHEMA_VERSION,
        ("/", "search_version"): SEARCH_VERSION,
        ("/", "task"): source.config.task,
        ("/", "status"): "running",
        ("/", "created"): now(),
        ("/", "versions"): json.dumps(versions()),
        ("/prior", "name"): plan.pdfset.name,
        ("/prior", "members"): len(plan.members),
        ("/prior", "first_member"): plan.members[0],
        ("/prior", "sha256"): prior.sha256,
        ("/prior", "constant_points"): int(reference.constant.sum()),
        ("/selection", "n_rep"): n_rep,
    }
    if plan.combination is not None:
        parents = [parent.facts() for parent in plan.combination.parents]
        tree.attributes["/prior", "parents"] = json.dumps(parents)
    if pool is not None:
        tree.attributes |= _pool_facts(pool)
    return Record(path, tree, reference.names)


def _pool_facts(pool: Pool) -> dict[tuple[str, str], Any]:
    return {
        ("/enhanced", "name"): pool.pdfset.name,
        ("/enhanced", "members"): len(pool.values),
        ("/enhanced", "sha256"): digest(pool.values),
    }


def resume(
    path: Path,
    source: RuncardSource,
    prior: Prior,
    reference: Reference,
    n_rep: int,
    pool: Pool | None = None,
) -> Record:
    """Open the record of an earlier launch, if it is of the same run.

    Raises
    ------
    StoreError
        If the file is damaged or foreign, or runcard, prior or version differ; every difference is shown.
    """
    tree = read_tree(path)
    task = tree.attributes["/", "task"]
    if task != source.config.task:
        raise StoreError(f"{path}: a result of task '{task}', expected '{source.config.task}'")
    reasons = other_settings(tree, source, n_rep)
    if tree.attributes["/prior", "sha256"] != prior.sha256:
        reasons.append(
            f"prior: {tree.attributes['/prior', 'name']} had sha256 "
            f"{tree.attributes['/prior', 'sha256'][:12]}..., {prior.plan.pdfset.name} has {prior.sha256[:12]}... now"
        )
    if pool is not None and ("/enhanced", "sha256") in tree.attributes:
        facts = _pool_facts(pool)
        if facts["/enhanced", "sha256"] != tree.attributes["/enhanced", "sha256"]:
            reasons.append(f"enhanced set: {pool.pdfset.name} has other values than the run began with")
    refuse_other_run(path, reasons)
    tree.attributes["/", "versions"] = json.dumps(versions())
    return Record(path, tree, reference.names)


def other_settings(tree: Tree, source: RuncardSource, n_rep: int) -> list[str]:
    """Why a result cannot be continued by this runcard and this release, one line each."""
    reasons = differences(json.loads(tree.datasets["/settings"]), json.loads(_settings(source, n_rep)))
    found = int(tree.attributes["/", "search_version"])
    if found != SEARCH_VERSION:
        reasons.append(f"search_version: {found} in the file, {SEARCH_VERSION} in this release")
    return reasons


def refuse_other_run(path: Path, reasons: list[str]) -> None:
    """Raise a StoreError that shows the reasons, if there are any."""
    if reasons:
        raise StoreError(
            f"{path}: result of another run, cannot be continued:\n  "
            + "\n  ".join(reasons)
            + "\nchange it back, choose another 'output', or start over with --restart"
        )
