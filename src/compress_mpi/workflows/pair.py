"""Two sets of replicas on one grid: a prior, and what stands for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import RuncardError, StoreError
from compress_mpi.io import runcard
from compress_mpi.io.backends import require_scale
from compress_mpi.io.pdfset import PDFSet, require_replicas
from compress_mpi.io.settings import CompressConfig
from compress_mpi.io.store import read_tree
from compress_mpi.types import FloatArray
from compress_mpi.workflows.combine import find_set
from compress_mpi.workflows.origin import (
    RESULT_SUFFIXES,
    Selection,
    find_enhanced,
    polished_set_of,
    selected_values,
    selection_in_dat,
    selection_of,
)
from compress_mpi.workflows.prior import PriorPlan, plan_prior, read_grid_values
from compress_mpi.workflows.words import beside

__all__ = ["Pair", "load_pair", "read_polished", "read_set"]


@dataclass(frozen=True)
class Pair:
    """Two sets on one grid.

    Attributes
    ----------
    config : CompressConfig
        What decides the grid and the estimators.
    plan : PriorPlan
        Of the prior.
    prior, compressed : float64 (replica, scale * flavour, x)
        x f(x, Q).
    name : str
        Of the compressed set.
    warnings : tuple of str
    """

    config: CompressConfig
    plan: PriorPlan
    prior: FloatArray
    compressed: FloatArray
    name: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Described:
    """What a file says about a selection; ``polished`` names the set to take in its place, if one is asked for."""

    chosen: Selection
    settings: Mapping[str, Any]
    sha256: str = ""
    polished: str = ""


def load_pair(
    prior: str | None,
    compressed: str,
    overrides: Sequence[str] = (),
    folders: Sequence[Path] = (),
    backend: str | None = None,
    polished: bool = False,
) -> Pair:
    """Read two sets.

    Parameters
    ----------
    prior : str or None
        Name of a set, or path of its folder. None takes the prior of a result.
    compressed : str
        The same; or a result (``.h5``) or ``compress_*_output.dat``, whose replicas are then taken from the
        prior, or from the enhanced set they were selected from. The settings of a ``.h5`` hold, unless overridden.
    overrides : sequence of str
        ``key=value`` for ``q0``, ``nf``, ``xgrid``, ``definition``, ``est_dic``, ``trials``, ``seed``, ``backend``.
    folders : sequence of Path
        Where to look for sets first.
    backend : str or None
        Reader of LHAPDF sets.
    polished : bool
        Take the polished set of a result in place of its selection.

    Returns
    -------
    Pair
        Member 0 of a compressed set is its average and is left out under every definition; pyCompressor
        counts it in.

    Raises
    ------
    CompressError
        If a set, a file or a setting is unfit.
    """
    selection = _selection(Path(compressed), polished)
    if prior is None and selection is None:
        raise RuncardError(
            f"--prior: missing; '{compressed}' is a set, which does not say what it was made from"
        )
    name, folders = _as_name(prior or (selection.chosen.prior if selection else ""), folders)
    if selection is not None:
        folders = beside(Path(compressed), folders)
    settings = dict(selection.settings) if selection else {}
    settings |= {"pdfsetting": {"pdf": name}, "compressed": 2}
    config = runcard.complete(settings, overrides)
    plan = plan_prior(config, folders, backend or config.backend)
    values = _read(plan, plan.pdfset, plan.members)
    subset = _subset(plan, values, compressed, selection, folders)
    warnings = (*plan.warnings, *_other_values(selection, config, values))
    name = (selection.polished if selection else "") or Path(compressed).name
    return Pair(config, plan, values, subset, name, warnings)


def _other_values(selection: _Described | None, config: CompressConfig, values: FloatArray) -> list[str]:
    """A warning where a result was made from other values than those found now."""
    if selection is None or not selection.sha256:
        return []
    now = runcard.effective(config)
    if any(now[key] != selection.settings.get(key) for key in ("q0", "nf", "xgrid", "definition")):
        return []
    if hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest() == selection.sha256:
        return []
    return [
        f"the values of {config.prior_name} found now are not those of the compression (other sha256): "
        "distances differ from those in the file"
    ]


def _selection(path: Path, polished: bool) -> _Described | None:
    """A selection in a file; None if it is the name of a set."""
    if polished:
        _require_result(path)
    if path.suffix in RESULT_SUFFIXES:
        tree = read_tree(path)
        if not np.any(tree.datasets["/selection/index"]):
            raise StoreError(f"{path}: nothing has been selected yet; run the runcard again")
        try:
            settings = json.loads(tree.datasets["/settings"])
        except json.JSONDecodeError as error:
            raise StoreError(f"{path}: damaged: /settings is no JSON ({error})") from error
        name = polished_set_of(tree, path) if polished else ""
        return _Described(selection_of(tree), settings, str(tree.attributes["/prior", "sha256"]), name)
    if path.suffix == ".dat":
        return _Described(selection_in_dat(path), {})
    return None


def _as_name(name: str, folders: Sequence[Path]) -> tuple[str, list[Path]]:
    """A set as a runcard names it, and where to look for it: a path means its folder."""
    path = Path(name)
    is_path = len(path.parts) > 1 or name.startswith(("~", "."))
    if not is_path:
        return name, list(folders)
    path = path.expanduser().resolve()
    if path.name == "demo":
        raise RuncardError(f"--prior {name}: 'demo' is the built-in prior; rename the folder and its files")
    return path.name, [path.parent, *folders]


def _read(plan: PriorPlan, pdfset: PDFSet, members: Sequence[int]) -> FloatArray:
    return read_grid_values(plan, pdfset, list(members))


def _subset(
    plan: PriorPlan,
    values: FloatArray,
    compressed: str,
    selection: _Described | None,
    folders: Sequence[Path],
) -> FloatArray:
    if selection is None:
        return read_set(plan, compressed, folders)
    if selection.polished:
        return read_set(plan, selection.polished, folders)
    chosen = selection.chosen
    enhanced = find_enhanced(chosen.enhanced, Path(compressed), folders) if chosen.enhanced else None
    return selected_values(plan, values, enhanced, chosen.index, compressed)


def read_polished(plan: PriorPlan, file: Path, folders: Sequence[Path] = ()) -> FloatArray:
    """All replicas of the polished set of a result on the grid of its prior, as ``read_set``.

    Raises
    ------
    RuncardError
        If the file is no result.
    PDFSetError, StoreError
        If there is no such set, or it or the file cannot be read.
    """
    _require_result(file)
    return read_set(plan, polished_set_of(read_tree(file), file), beside(file, folders))


def _require_result(path: Path) -> None:
    if path.suffix not in RESULT_SUFFIXES:
        raise RuncardError(f"--polished: '{path}' is no result (.h5); name the polished set itself")


def read_set(plan: PriorPlan, name: str, folders: Sequence[Path] = ()) -> FloatArray:
    """All replicas of another set on the grid of a prior.

    Parameters
    ----------
    plan : PriorPlan
    name : str
        Name of the set, or path of its folder.
    folders : sequence of Path
        Where to look for it first.

    Returns
    -------
    float64 (replica, scale * flavour, x)

    Raises
    ------
    PDFSetError
        If it is missing, damaged, no set of replicas, or does not cover the grid.
    """
    pdfset = find_set(name, folders)
    require_replicas(pdfset, 1)
    for q in plan.scales:
        require_scale(pdfset, q)
    return _read(plan, pdfset, range(1, pdfset.n_rep + 1))
