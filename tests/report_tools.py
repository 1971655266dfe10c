"""A small demo set and result files about it, made without a search."""

from __future__ import annotations

import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.io.backends import read_members
from compress_mpi.io.pdfset import open_set
from compress_mpi.io.schema import FORMAT, SCHEMA_VERSION
from compress_mpi.io.store import Tree, write_tree
from compress_mpi.methods.selection.error_function import build_reference, distances
from compress_mpi.methods.selection.grid import correlation_nodes

NAMES = ("mean", "stdev", "skewness", "kurtosis", "kolmogorov_smirnov", "correlation")
RUNCARD = 'pdf: tiny\ncompressed: 8  # </script><b>not bold</b> & "quoted"\n'
X = np.concatenate([np.geomspace(1e-4, 0.08, 8), np.linspace(0.1, 0.8, 7)])
MEMBERS = 40


def prior_values(sets: Path, pids: tuple[int, ...], q0: float, name: str = "tiny") -> np.ndarray:
    return read_members(open_set(name, [sets]), range(1, MEMBERS + 1), pids, X, q0)


def make_result(
    path: Path,
    sets: Path,
    *,
    n_rep: int = 8,
    pids: tuple[int, ...] = (-1, 21, 1),
    q0: float = 1.65,
    status: str = "complete",
    iterations: int = 50,
    names: tuple[str, ...] = NAMES,
) -> Tree:
    """Write a result whose numbers are all true but for the history; returns its content."""
    values = prior_values(sets, pids, q0)
    reference = build_reference(values, names, correlation_nodes(len(X), len(pids)))
    rng = np.random.default_rng(n_rep)
    random = np.array([distances(values[rng.choice(MEMBERS, n_rep, False)], reference) for _ in range(60)])
    rows = np.sort(rng.choice(MEMBERS, n_rep, False))
    found = distances(values[rows], reference)
    norm = np.sort(random, axis=0)[50]
    erf = float(np.mean(found / norm))
    settings = {"minimization": {"minimizer": "genetic", "seed": 3, "max_iteration": 50}, "trials": 60}
    history = np.geomspace(4 * erf, erf, 50)[:iterations]
    tree = Tree()
    tree.datasets = {
        "/runcard": RUNCARD,
        "/settings": json.dumps({**settings, "definition": "paper"}),
        "/prior/flavours": np.array(pids),
        "/prior/xgrid": X,
        "/prior/q0": q0,
        "/selection/index": rows + 1,
        "/history/iteration": np.arange(1, iterations + 1),
        "/history/erf": history,
        "/history/seconds": np.repeat(np.linspace(0.5, 2.5, 5), 10)[:iterations],
    }
    if "correlation" in names:
        tree.datasets["/estimators/correlation/points"] = reference.points
        tree.datasets["/estimators/correlation/dropped"] = reference.dropped
    launch = {"started": "2026-01-01T00:00:00+00:00", "host": "node7", "mpi": "none", "end": status}
    launch |= {"ranks": 1, "nodes": 1, "threads": 1, "first_iteration": 1}
    tree.datasets |= {f"/launches/{key}": [value] for key, value in launch.items()}
    tree.attributes = {
        ("/", "format"): FORMAT,
        ("/", "schema_version"): SCHEMA_VERSION,
        ("/", "search_version"): 1,
        ("/", "task"): "compress",
        ("/", "status"): status,
        ("/", "created"): "2026-01-01T00:00:00+00:00",
        ("/", "updated"): "2026-01-01T00:01:00+00:00",
        ("/", "versions"): '{"python": "3.11"}',
        ("/prior", "name"): "tiny",
        ("/prior", "members"): MEMBERS,
        ("/prior", "first_member"): 1,
        ("/prior", "sha256"): hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest(),
        ("/prior", "constant_points"): int(reference.constant.sum()),
        ("/selection", "erf"): erf,
        ("/selection", "n_rep"): n_rep,
        ("/selection", "local_optimum"): int(status == "complete"),
        ("/history", "evaluations"): 80 * iterations,
        ("/history", "ended_by"): "stagnation" if status == "complete" else "running",
    }
    for k, name in enumerate(reference.names):
        tree.datasets[f"/estimators/{name}/random"] = random[:, k]
        tree.attributes[f"/estimators/{name}", "normalisation"] = float(norm[k])
        tree.attributes[f"/estimators/{name}", "normalisation_spread"] = float(0.1 * norm[k])
        tree.attributes[f"/estimators/{name}", "erf"] = float(found[k])
    write_tree(path, tree)
    return tree


def embedded(html: str) -> dict[str, Any]:
    """The numbers of a page."""
    text = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', html, re.DOTALL)
    assert text is not None
    return json.loads(text.group(1))


class Links(HTMLParser):
    """Everything a browser might fetch, and every anchor."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.alts: list[str] = []
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.tags.append(tag)
        self.sources += [
            found[key] for key in ("src", "srcset", "data", "poster", "background") if key in found
        ]
        if "href" in found:
            (self.links if tag == "a" else self.sources).append(found["href"])
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "img":
            self.alts.append(found.get("alt", ""))
