"""What a report says about a result from its file alone, without the sets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import StoreError
from compress_mpi.io.pycompressor import random_bands
from compress_mpi.io.report.figures_search import Judged
from compress_mpi.io.store import Tree, estimator_names, read_tree, scales
from compress_mpi.types import FloatArray, IntArray
from compress_mpi.workflows.phases import enhanced_of, phases_of, polish_of
from compress_mpi.workflows.words import end_of_search

__all__ = ["Result", "read_result"]

_LAUNCH = ("started", "host", "mpi", "ranks", "nodes", "threads", "first_iteration", "end")


@dataclass
class Result:
    """One result file on its way into a report.

    Attributes
    ----------
    path : Path
    tree : Tree
    facts : dict
        JSON-able; goes into the page as it is.
    missing : list of str
        What cannot be shown, and why.
    """

    path: Path
    tree: Tree
    facts: dict[str, Any]
    missing: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """Estimators of the ERF, in canonical order."""
        return list(self.facts["estimators"])

    @property
    def index(self) -> IntArray:
        """Selected replica numbers, int64 ``(n_rep,)``."""
        return np.asarray(self.tree.datasets["/selection/index"])

    @property
    def history(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Iteration, ERF and seconds, float64 ``(iteration,)`` each."""
        data = self.tree.datasets
        iteration, erf, seconds = (
            np.asarray(data[f"/history/{k}"], np.float64) for k in ("iteration", "erf", "seconds")
        )
        return iteration, erf, seconds

    def judged(self, normalised: bool = True) -> dict[str, Judged]:
        """Every estimator and, last, the total ERF beside random subsets."""
        found = {}
        for name, one in self.facts["estimators"].items():
            scale = 1.0 if normalised else one["normalisation"]
            found[name] = Judged(one["erf"] * scale, {k: v * scale for k, v in one["random"].items()})
        return {**found, "total": Judged(self.facts["selection"]["erf"], self.facts["selection"]["random"])}


def read_result(path: Path) -> Result:
    """Read a result file and refuse what a report cannot be made of.

    Raises
    ------
    StoreError
        If the file is damaged, foreign, of a newer schema, of another task, or selects replicas that the
        set it selects from does not have.
    """
    tree = read_tree(path)
    task = str(tree.attributes["/", "task"])
    if task != "compress":
        raise StoreError(f"{path}: a result of task '{task}'; reports are made of 'compress' results")
    _check_numbers(path, tree)
    try:
        result = Result(path, tree, _facts(path, tree))
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: damaged: /settings or versions cannot be understood ({error})") from error
    _note_what_is_missing(result)
    return result


def _check_numbers(path: Path, tree: Tree) -> None:
    first, members = (int(tree.attributes["/prior", key]) for key in ("first_member", "members"))
    members = int(tree.attributes.get(("/enhanced", "members"), members))
    index = np.asarray(tree.datasets["/selection/index"])
    # the file of a search that was killed at its start holds zeros
    started = bool(index.any())
    outside = index[(index < first) | (index >= first + members)] if started else index[:0]
    if outside.size or (started and np.unique(index).size != index.size):
        what = f"replica {outside[0]}" if outside.size else "a replica twice"
        raise StoreError(
            f"{path}: damaged: /selection/index: expected distinct replicas {first} to {first + members - 1}, "
            f"got {what}"
        )
    for name in estimator_names(tree):
        norm = float(tree.attributes[f"/estimators/{name}", "normalisation"])
        random = np.asarray(tree.datasets[f"/estimators/{name}/random"])
        if not (np.isfinite(norm) and norm > 0 and random.size and np.isfinite(random).all()):
            raise StoreError(
                f"{path}: damaged: /estimators/{name}: expected a positive normalisation and finite random "
                f"distances, got normalisation {norm:g} and {random.size} distances"
            )


def _facts(path: Path, tree: Tree) -> dict[str, Any]:
    at, data = tree.attributes, tree.datasets
    estimators = {name: _estimator(tree, name) for name in estimator_names(tree)}
    trials = [np.asarray(data[f"/estimators/{n}/random"]) / e["normalisation"] for n, e in estimators.items()]
    return {
        "file": path.name,
        **{key: str(at["/", key]) for key in ("task", "status", "created", "updated")},
        "versions": json.loads(at["/", "versions"]),
        "prior": _prior(tree),
        "search": _search(tree),
        "selection": {
            "n_rep": int(at["/selection", "n_rep"]),
            "erf": float(at["/selection", "erf"]),
            "random": random_bands(np.mean(trials, axis=0)),
            "index": np.asarray(data["/selection/index"]).tolist(),
        },
        "estimators": estimators,
        "enhanced": enhanced_of(tree),
        "phases": phases_of(tree),
        "polish": polish_of(tree),
        "launches": _launches(data),
        "compressed_set": at.get(("/", "compressed_set")),
        "runcard": str(data["/runcard"]),
    }


def _estimator(tree: Tree, name: str) -> dict[str, Any]:
    def attribute(key: str) -> float:
        return float(tree.attributes[f"/estimators/{name}", key])

    norm = attribute("normalisation")
    return {
        "erf": attribute("erf") / norm,
        "distance": attribute("erf"),
        "normalisation": norm,
        "uncertainty": attribute("normalisation_spread") / norm,
        "random": random_bands(np.asarray(tree.datasets[f"/estimators/{name}/random"]) / norm),
    }


def _prior(tree: Tree) -> dict[str, Any]:
    at, data = tree.attributes, tree.datasets
    pids, x = np.asarray(data["/prior/flavours"]), np.asarray(data["/prior/xgrid"])
    dropped = np.asarray(data.get("/estimators/correlation/dropped", np.zeros((0, 2))), dtype=np.int64)
    return {
        "name": str(at["/prior", "name"]),
        "members": int(at["/prior", "members"]),
        "first_member": int(at["/prior", "first_member"]),
        "sha256": str(at["/prior", "sha256"]),
        "q0": scales(tree)[0] if len(scales(tree)) == 1 else list(scales(tree)),
        "scales": list(scales(tree)),
        "parents": json.loads(at.get(("/prior", "parents"), "[]")),
        "flavours": pids.tolist(),
        "x": {"min": float(x.min()), "max": float(x.max()), "nodes": len(x)},
        "constant_points": int(at["/prior", "constant_points"]),
        "dropped": [
            {"flavour": int(pids[f % len(pids)]), "q": scales(tree)[f // len(pids)], "x": float(x[i])}
            for f, i in dropped
        ],
    }


def _search(tree: Tree) -> dict[str, Any]:
    settings = json.loads(tree.datasets["/settings"])
    seconds = np.asarray(tree.datasets["/history/seconds"])
    return {
        **{key: settings["minimization"][key] for key in ("minimizer", "seed", "max_iteration")},
        "definition": settings["definition"],
        "trials": settings.get("trials"),
        "iteration": len(seconds),
        "seconds": float(seconds[-1]) if len(seconds) else 0.0,
        **end_of_search(tree),
    }


def _launches(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    columns = [np.asarray(data[f"/launches/{key}"], dtype=object).tolist() for key in _LAUNCH]
    return [dict(zip(_LAUNCH, map(_plain, row), strict=True)) for row in zip(*columns, strict=True)]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _note_what_is_missing(result: Result) -> None:
    search = result.facts["search"]
    if result.facts["status"] != "complete":
        result.missing.append(
            f"The search has not ended: iteration {search['iteration']}, budget {search['budget']}. "
            "Everything below is about the best subset at the last checkpoint; "
            "start the same runcard again to go on."
        )
    if not search["iteration"]:
        result.missing.append("No convergence plot: no iteration has been written to the file yet.")
