"""Every name in a result file, declared once.

The writer, the reader, the validator, ``inspect`` and the HDF5 reference in the
manual all walk through these tables. A path may contain ``<name>``, which stands
for an estimator or, under ``/checkpoint``, for whatever the minimiser keeps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = [
    "ATTRIBUTES",
    "DATASETS",
    "FORMAT",
    "SCHEMA_VERSION",
    "Attribute",
    "Dataset",
    "attribute_of",
    "dataset_of",
]

FORMAT = "compress-mpi"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Dataset:
    """One dataset.

    Attributes
    ----------
    path : str
    dtype : str
        ``float64``, ``int64``, ``str``, or ``any`` for numbers of either kind.
    dims : tuple of str or None
        Names of the axes; equal names mean equal lengths. Empty for a scalar, None for any shape.
    units : str
        ``1`` for pure numbers, empty for text.
    description : str
        One line; written into the file.
    required : bool
        Whether a file without it is refused.
    or_scalar : bool
        Whether it is a scalar where there is only one.
    """

    path: str
    dtype: str
    dims: tuple[str, ...] | None
    units: str
    description: str
    required: bool = True
    or_scalar: bool = False


@dataclass(frozen=True)
class Attribute:
    """One attribute of a group or dataset; fields as in ``Dataset``."""

    path: str
    name: str
    dtype: str
    description: str
    required: bool = True


DATASETS = (
    Dataset("/runcard", "str", (), "", "runcard as it was read, YAML"),
    Dataset(
        "/settings", "str", (), "", "every setting of the run with defaults and overrides filled in, JSON"
    ),
    Dataset("/prior/flavours", "int64", ("flavour",), "1", "PDG ids on the flavour axis, gluon 21"),
    Dataset("/prior/xgrid", "float64", ("x",), "1", "nodes in x at which sets are compared"),
    Dataset(
        "/prior/q0",
        "float64",
        ("scale",),
        "GeV",
        "scale at which sets are compared, or several",
        or_scalar=True,
    ),
    Dataset(
        "/estimators/<name>/random",
        "float64",
        ("trial",),
        "1",
        "unnormalised distance of random subsets of the same size",
    ),
    Dataset(
        "/estimators/correlation/points",
        "int64",
        ("point", "two"),
        "1",
        "(flavour, x) positions in the correlation matrix; the s-th scale counts flavours on from s times their number",
        required=False,
    ),
    Dataset(
        "/estimators/correlation/dropped",
        "int64",
        ("dropped", "two"),
        "1",
        "(flavour, x) positions left out because the others determine them",
        required=False,
    ),
    Dataset(
        "/selection/index",
        "int64",
        ("n_rep",),
        "1",
        "replica numbers of the prior that were selected, sorted",
    ),
    Dataset("/history/iteration", "int64", ("iteration",), "1", "iterations (generations) of every island"),
    Dataset(
        "/history/erf", "float64", ("iteration",), "1", "lowest total ERF over islands after the iteration"
    ),
    Dataset(
        "/history/seconds", "float64", ("iteration",), "s", "search time over all launches when it was known"
    ),
    Dataset(
        "/phases/<name>/history/iteration",
        "int64",
        None,
        "1",
        "as /history/iteration, of one phase",
        required=False,
    ),
    Dataset(
        "/phases/<name>/history/erf", "float64", None, "1", "as /history/erf, of one phase", required=False
    ),
    Dataset(
        "/phases/<name>/history/seconds",
        "float64",
        None,
        "s",
        "as /history/seconds, of one phase",
        required=False,
    ),
    Dataset(
        "/phases/<name>/selection/index",
        "int64",
        ("n_rep",),
        "1",
        "as /selection/index, of one phase",
        required=False,
    ),
    Dataset(
        "/phases/<name>/checkpoint/<name>",
        "any",
        None,
        "1",
        "as /checkpoint, of the phase that is being searched",
        required=False,
    ),
    Dataset(
        "/polish/parents",
        "int64",
        ("n_rep",),
        "1",
        "replica numbers that were polished, in the order of the polished set",
        required=False,
    ),
    Dataset(
        "/polish/weights",
        "float64",
        ("n_rep", "replica"),
        "1",
        "polished replica k is the sum of weights times replicas 1, 2, ... of the prior",
        required=False,
    ),
    Dataset(
        "/polish/displacement",
        "float64",
        ("n_rep", "component"),
        "1",
        "how far each replica was moved, in standard deviations of the principal components",
        required=False,
    ),
    Dataset(
        "/polish/kept",
        "float64",
        ("n_rep",),
        "1",
        "part of its way that each replica kept; below 1 where limits made it go back",
        required=False,
    ),
    Dataset(
        "/polish/candidate_erf",
        "float64",
        ("candidate",),
        "1",
        "total ERF at the end of each minimisation",
        required=False,
    ),
    Dataset(
        "/polish/curve",
        "float64",
        ("step",),
        "1",
        "total ERF along the best minimisation, before replicas went back",
        required=False,
    ),
    Dataset("/launches/started", "str", ("launch",), "", "UTC time at which each launch began"),
    Dataset("/launches/host", "str", ("launch",), "", "machine of rank 0"),
    Dataset("/launches/mpi", "str", ("launch",), "", "MPI library"),
    Dataset("/launches/ranks", "int64", ("launch",), "1", "MPI ranks that worked on this size"),
    Dataset("/launches/nodes", "int64", ("launch",), "1", "nodes"),
    Dataset("/launches/threads", "int64", ("launch",), "1", "threads per rank"),
    Dataset(
        "/launches/first_iteration", "int64", ("launch",), "1", "iteration at which each launch took over"
    ),
    Dataset(
        "/launches/end",
        "str",
        ("launch",),
        "",
        "how each launch ended; 'running' if it has not or was killed",
    ),
    Dataset(
        "/auto/size",
        "int64",
        ("tried",),
        "1",
        "sizes that were tried for the target; the smallest that meets it is this result",
        required=False,
    ),
    Dataset(
        "/auto/distance",
        "float64",
        ("tried", "estimator"),
        "1",
        "distance of each selection by estimator, in the order of /auto estimators",
        required=False,
    ),
    Dataset(
        "/auto/limit",
        "float64",
        ("tried", "estimator"),
        "1",
        "largest distance that meets the target, same axes",
        required=False,
    ),
    Dataset(
        "/checkpoint/<name>",
        "any",
        None,
        "1",
        "state of the search with the island as first axis",
        required=False,
    ),
)

ATTRIBUTES = (
    Attribute("/", "format", "str", "always compress-mpi"),
    Attribute("/", "schema_version", "int64", "version of this layout"),
    Attribute("/", "task", "str", "task of the runcard"),
    Attribute("/", "status", "str", "running or complete"),
    Attribute("/", "search_version", "int64", "changes when a seed gives another search"),
    Attribute("/", "created", "str", "UTC time of the first launch"),
    Attribute("/", "updated", "str", "UTC time of this writing"),
    Attribute("/", "versions", "str", "software versions of the last launch, JSON"),
    Attribute("/", "compressed_set", "str", "folder of the LHAPDF set that was written", required=False),
    Attribute("/prior", "name", "str", "name of the LHAPDF set"),
    Attribute("/prior", "members", "int64", "replicas that could be selected"),
    Attribute("/prior", "first_member", "int64", "number of the first: 1, or 0 in the definition of pyCompressor"),
    Attribute("/prior", "sha256", "str", "digest of the values x f(x, q0) of all of them"),
    Attribute("/prior", "parents", "str", "sets that a combined prior was made from, JSON", required=False),
    Attribute("/prior", "constant_points", "int64", "points left out because all replicas agree there"),
    Attribute("/estimators/<name>", "normalisation", "float64", "upper edge of the central 68 % of random"),
    Attribute("/estimators/<name>", "normalisation_spread", "float64", "its standard deviation (bootstrap)"),
    Attribute("/estimators/<name>", "erf", "float64", "unnormalised distance of the selection from the prior"),
    Attribute("/selection", "erf", "float64", "total ERF: mean over estimators of erf / normalisation"),
    Attribute("/selection", "n_rep", "int64", "number of selected replicas"),
    Attribute("/selection", "local_optimum", "int64", "1 if no single swap lowers the ERF", required=False),
    Attribute("/history", "evaluations", "int64", "error-function evaluations over all islands", required=False),
    Attribute("/history", "ended_by", "str", "budget, stagnation, converged or running", required=False),
    Attribute("/selection", "phase", "str", "phase that found the selection", required=False),
    Attribute("/enhanced", "name", "str", "name of the enhanced set that was selected from", required=False),
    Attribute("/enhanced", "members", "int64", "replicas that could be selected", required=False),
    Attribute("/enhanced", "sha256", "str", "digest of the values of all of them", required=False),
    Attribute("/phases/<name>", "status", "str", "running or complete", required=False),
    Attribute("/phases/<name>/selection", "erf", "float64", "lowest total ERF of the phase", required=False),
    Attribute("/phases/<name>/selection", "local_optimum", "int64", "as /selection local_optimum", required=False),
    Attribute("/phases/<name>/history", "evaluations", "int64", "as /history evaluations", required=False),
    Attribute("/phases/<name>/history", "ended_by", "str", "as /history ended_by", required=False),
    Attribute("/phases/<name>/checkpoint", "iteration", "int64", "as /checkpoint iteration", required=False),
    Attribute("/polish", "settings", "str", "settings of the polish, JSON", required=False),
    Attribute("/polish", "refused", "str", "why each minimisation could not be taken, or empty; JSON", required=False),
    Attribute("/polish", "set", "str", "folder of the polished LHAPDF set", required=False),
    Attribute("/polish", "erf", "float64", "total ERF of the polished set as it reads back", required=False),
    Attribute("/polish", "start_erf", "float64", "total ERF of the selection it began with", required=False),
    Attribute("/polish", "held_out", "str", "distances where nothing was fitted; JSON", required=False),
    Attribute("/auto", "target", "str", "target of compressed: auto that this size meets", required=False),
    Attribute("/auto", "estimators", "str", "estimators of /auto/distance and /auto/limit, in order", required=False),
    Attribute("/checkpoint", "iteration", "int64", "iteration at which the checkpoint was taken", required=False),
)  # fmt: skip


def _matches(pattern: str, path: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace("<name>", "[A-Za-z0-9_]+"), path) is not None


def dataset_of(path: str, table: tuple[Dataset, ...] = DATASETS) -> Dataset | None:
    """Declaration of a dataset, None if the layout does not know the path."""
    exact = [d for d in table if d.path == path]
    return next((d for d in [*exact, *table] if _matches(d.path, path)), None)


def attribute_of(path: str, name: str, table: tuple[Attribute, ...] = ATTRIBUTES) -> Attribute | None:
    """Declaration of an attribute, None if the layout does not know it."""
    return next((a for a in table if a.name == name and _matches(a.path, path)), None)
