"""A prior made of several sets: what would be made of them, and the making.

The combined prior is an LHAPDF set in the folder of results. Planning it reads little and
writes nothing; it is made when the prior is loaded, by all ranks, and used again as long
as the recipe in its ``.info`` file stays the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError, RuncardError
from compress_mpi.io.combinedset import CENTRAL, combined_info, differing_metadata, member_header
from compress_mpi.io.commongrid import CommonGrid, read_on_grid, write_member
from compress_mpi.io.gridfile import check_complete, read_bytes
from compress_mpi.io.gridtypes import Layout
from compress_mpi.io.infofile import parse_info, read_info_text
from compress_mpi.io.pdfset import PDFSet, open_set
from compress_mpi.io.setfolder import MARK, new_set, require_replaceable
from compress_mpi.io.settings import CompressConfig
from compress_mpi.io.values import SetEntry
from compress_mpi.methods.combination.common_grid import common_q, common_x
from compress_mpi.methods.combination.hessian import (
    ASYMMETRIC,
    ONE_SIGMA,
    SYMMETRIC,
    displacements,
    eigenvectors,
    sigma_scale,
)
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.types import FloatArray

__all__ = ["Combination", "Parent", "build", "find_set", "plan_combination"]

RECIPE_VERSION = 1
"""Raised when the same recipe gives other numbers: combined sets of before are then made again."""

_MOST_BLOCKS = 64
_LEAST_BLOCK = 8


@dataclass(frozen=True)
class Parent:
    """One set of a combined prior, and what it gives.

    Attributes
    ----------
    pdfset : PDFSet
    kind : {"replicas", "hessian", "symmhessian"}
    count, seed : int
        Replicas that it gives, and the seed of their draw or generation.
    level : float or None
        Confidence level of a Hessian set in per cent.
    members : tuple of int
        Replicas taken from a Monte Carlo set, in order; all members that enter, of a Hessian one.
    """

    pdfset: PDFSet
    kind: str
    count: int
    seed: int
    level: float | None
    members: tuple[int, ...]

    @property
    def is_hessian(self) -> bool:
        """Whether its replicas are generated."""
        return self.kind != "replicas"

    def facts(self) -> dict[str, Any]:
        """JSON-able: what a person asks first."""
        return {
            "name": self.pdfset.name,
            "error_type": self.pdfset.error_type,
            "replicas": self.count,
            "seed": self.seed,
            "confidence_level": self.level,
        }


@dataclass(frozen=True)
class Combination:
    """A combined prior, made or to be made.

    Attributes
    ----------
    pdfset : PDFSet
        The combined set as it is, or will be, on disk.
    grid : CommonGrid
    parents : tuple of Parent
    recipe : str
        Digest of everything that decides the files.
    ready : bool
        Whether it was on disk when this was planned.
    backend : str
    warnings : tuple of str
    """

    pdfset: PDFSet
    grid: CommonGrid
    parents: tuple[Parent, ...]
    recipe: str
    info: str
    ready: bool
    backend: str
    warnings: tuple[str, ...]


def find_set(name: str, folders: Sequence[Path] = ()) -> PDFSet:
    """A set by its name; ``demo`` is made at the first call.

    Raises
    ------
    PDFSetError, OutputError
    """
    if name == "demo":
        from compress_mpi.io.demo import cached_demo_set

        folders = [cached_demo_set(), *folders]
    return open_set(name, folders)


def plan_combination(
    config: CompressConfig, folder: Path, folders: Sequence[Path], backend: str
) -> Combination:
    """Find the sets and decide everything about their combination; serial.

    Parameters
    ----------
    config : CompressConfig
        With a list in ``pdf``.
    folder : Path
        Where the combined set goes.
    folders : sequence of Path
        Where to look for sets first.
    backend : str
        What interpolates.

    Raises
    ------
    RuncardError, PDFSetError, OutputError
        If the sets do not go together, one has too few replicas or is of no use, or something is in the way.
    """
    entries = [entry for entry in config.pdf if isinstance(entry, SetEntry)]
    name = config.prior_name
    if name in [entry.name for entry in entries]:
        raise RuncardError(f"combined_name: '{name}' is one of the sets that are combined; choose another")
    parents = _parents(entries, [find_set(entry.name, folders) for entry in entries])
    sets = [parent.pdfset for parent in parents]
    grid, warnings = _common_grid(sets)
    recipe = _recipe(parents, grid)
    text = combined_info(
        sets, grid, [parent.facts() for parent in parents], f"combined prior, recipe {recipe}"
    )
    final = Path(folder).absolute() / name
    ready = _is_ready(final, recipe)
    if not ready:
        require_replaceable(final)
    warnings += [_about_variations(parent) for parent in parents if "+" in parent.pdfset.error_type]
    warnings += differing_metadata(sets)
    info = parse_info(text)
    n_rep = sum(parent.count for parent in parents)
    limits = grid.x[0], grid.x[-1], grid.q[0][0], grid.q[-1][-1]
    pdfset = PDFSet(name, final, n_rep, grid.pids, "replicas", *limits, info)
    return Combination(pdfset, grid, parents, recipe, text, ready, backend, tuple(warnings))


def _parents(entries: Sequence[SetEntry], sets: Sequence[PDFSet]) -> tuple[Parent, ...]:
    kinds = [_kind(pdfset) for pdfset in sets]
    smallest = min((s.n_rep for s, kind in zip(sets, kinds, strict=True) if kind == "replicas"), default=None)
    if smallest is None and entries[0].replicas is None:
        raise RuncardError(
            "pdf: all sets are Hessian, any number of replicas can be made of them; "
            f"say how many, such as {{name: {entries[0].name}, replicas: 300}}"
        )
    return tuple(
        _parent(number, entry, pdfset, kind, entry.replicas or smallest or 0)
        for number, (entry, pdfset, kind) in enumerate(zip(entries, sets, kinds, strict=True))
    )


def _kind(pdfset: PDFSet) -> str:
    kind = pdfset.error_type.lower().split("+")[0].strip()
    if kind not in ("replicas", ASYMMETRIC, SYMMETRIC):
        raise PDFSetError(
            f"{pdfset.info_path}: ErrorType: expected replicas, hessian or symmhessian to combine, "
            f"got '{pdfset.error_type}'; leave this set out"
        )
    return kind


def _parent(number: int, entry: SetEntry, pdfset: PDFSet, kind: str, count: int) -> Parent:
    if kind == "replicas":
        if count > pdfset.n_rep:
            raise PDFSetError(
                f"{pdfset.info_path}: {count} replicas were asked for, the set has {pdfset.n_rep}; ask for fewer"
            )
        return Parent(pdfset, kind, count, entry.seed, None, _drawn(number, entry.seed, pdfset.n_rep, count))
    try:
        eigenvectors(pdfset.n_rep + 1, kind)
        level = float(pdfset.info.get("ErrorConfLevel", ONE_SIGMA))
        sigma_scale(level)
    except (ValueError, TypeError) as error:
        raise PDFSetError(f"{pdfset.info_path}: ErrorType '{pdfset.error_type}': {error}") from error
    return Parent(pdfset, kind, count, entry.seed, level, tuple(range(pdfset.n_rep + 1)))


def _drawn(number: int, seed: int, n_rep: int, count: int) -> tuple[int, ...]:
    """Replicas without replacement, in the order of the set; all of them need no draw."""
    if count == n_rep:
        return tuple(range(1, n_rep + 1))
    rng = generator(seed, Stream.COMBINE, number)
    return tuple((1 + np.sort(rng.choice(n_rep, count, replace=False))).tolist())


def _about_variations(parent: Parent) -> str:
    last, first = parent.pdfset.info["NumMembers"] - 1, parent.pdfset.n_rep + 1
    return (
        f"{parent.pdfset.name}: ErrorType '{parent.pdfset.error_type}': members {first} to {last} vary other "
        "parameters and are left out"
    )


def _common_grid(sets: Sequence[PDFSet]) -> tuple[CommonGrid, list[str]]:
    layouts = [check_complete(pdfset.member_path(1)) for pdfset in sets]
    names = ", ".join(pdfset.name for pdfset in sets)
    try:
        x = common_x([_own_x(pdfset, layout) for pdfset, layout in zip(sets, layouts, strict=True)])
        q = common_q([[np.array(knots) for knots in layout.q] for layout in layouts])
    except ValueError as error:
        raise PDFSetError(f"pdf: {names} cannot be combined: {error}") from error
    everywhere = set.intersection(*(set(pdfset.flavours) for pdfset in sets))
    pids = tuple(pid for pid in sets[0].flavours if pid in everywhere)
    if not pids:
        raise PDFSetError(f"pdf: {names} cannot be combined: they have no flavour in common")
    dropped = {pdfset.name: sorted({*pdfset.flavours} - everywhere) for pdfset in sets}
    warnings = [
        f"{name}: flavours {lost} are not in all sets and are left out"
        for name, lost in dropped.items()
        if lost
    ]
    return CommonGrid(tuple(x.tolist()), tuple(tuple(knots.tolist()) for knots in q), pids), warnings


def _own_x(pdfset: PDFSet, layout: Layout) -> FloatArray:
    """x knots of a set, where it covers every scale."""
    low, high = max(x[0] for x in layout.x), min(x[-1] for x in layout.x)
    if low >= high:
        raise ValueError(f"the subgrids of {pdfset.name} have no x range in common")
    first = np.array(layout.x[0])
    return np.unique(np.concatenate([[low], first[(first >= low) & (first <= high)], [high]]))


def _recipe(parents: Sequence[Parent], grid: CommonGrid) -> str:
    """Digest of what decides the files of the combined set."""
    content = {
        "version": RECIPE_VERSION,
        "grid": [grid.x, grid.q, grid.pids],
        "parents": [[p.facts(), p.members, _fingerprint(p)] for p in parents],
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _fingerprint(parent: Parent) -> list[str | int]:
    """What changes when another version of the set is installed, at the cost of reading two files."""
    pdfset = parent.pdfset
    texts = read_info_text(pdfset.info_path).encode(), read_bytes(pdfset.member_path(0))
    sizes = [pdfset.member_path(member).stat().st_size for member in parent.members]
    return [*(hashlib.sha256(text).hexdigest() for text in texts), *sizes]


def _is_ready(final: Path, recipe: str) -> bool:
    if not (final / f"{final.name}.info").is_file():
        return False
    try:
        there = open_set(str(final))
    except PDFSetError:  # incomplete: made again
        return False
    return str(there.info.get(MARK, "")).endswith(f"recipe {recipe}")


def build(plan: Combination, team: Any) -> PDFSet:
    """Make the combined set unless it is there; collective.

    Parameters
    ----------
    plan : Combination
    team : MPITeam or SerialTeam

    Returns
    -------
    PDFSet
        As it is on disk.

    Raises
    ------
    PDFSetError, OutputError
        On all ranks.
    """
    final = plan.pdfset.path
    if not team.on_root(lambda: _is_ready(final, plan.recipe)):
        with contextlib.ExitStack() as on_root:
            draft = team.on_root(lambda: on_root.enter_context(new_set(final.parent, final.name)))
            total = np.zeros(plan.grid.size)
            first = 1
            for number, parent in enumerate(plan.parents):
                total += _write_replicas(plan, number, parent, first, draft, team)
                first += parent.count
            team.on_root(lambda: _write_rest(plan, draft, total))
            team.on_root(on_root.close)
    return team.on_root(lambda: open_set(str(final)))


def _write_replicas(
    plan: Combination, number: int, parent: Parent, first: int, draft: Path, team: Any
) -> FloatArray:
    """Files of one parent's replicas; their sum, formed in the same order on any number of ranks."""
    values = _generated(plan, number, parent, team) if parent.is_hessian else _taken(plan, parent)
    step = max(_LEAST_BLOCK, -(-parent.count // _MOST_BLOCKS))
    blocks = [range(k, min(k + step, parent.count)) for k in range(0, parent.count, step)]

    def write(block: range) -> FloatArray:
        replicas = values(block)
        for k, replica in zip(block, replicas, strict=True):
            path = draft / f"{plan.pdfset.name}_{first + k:04d}.dat"
            header = member_header(
                parent.pdfset.name, None if parent.is_hessian else parent.members[k], k + 1
            )
            write_member(path, plan.grid, replica, header)
        return np.asarray(np.add.reduce(replicas, axis=0))

    total = np.zeros(plan.grid.size)
    for part in team.map(write, blocks):
        total += part
    return total


def _taken(plan: Combination, parent: Parent) -> Callable[[range], FloatArray]:
    """Replicas of a Monte Carlo set."""
    return lambda block: read_on_grid(
        parent.pdfset, [parent.members[k] for k in block], plan.grid, plan.backend
    )


def _generated(plan: Combination, number: int, parent: Parent, team: Any) -> Callable[[range], FloatArray]:
    """Replicas of a Hessian set, whose members are read once per node; collective."""
    shared = team.shared((len(parent.members), plan.grid.size))

    def read(rows: range) -> None:
        members = [parent.members[row] for row in rows]
        shared.array[rows.start : rows.stop] = read_on_grid(parent.pdfset, members, plan.grid, plan.backend)

    shared.fill(read)
    n_eigen = eigenvectors(len(parent.members), parent.kind)
    scale = sigma_scale(parent.level or ONE_SIGMA)

    def generate(block: range) -> FloatArray:
        normals = [generator(parent.seed, Stream.HESSIAN, number, k).standard_normal(n_eigen) for k in block]
        return displacements(shared.array, parent.kind, np.array(normals), scale)

    return generate


def _write_rest(plan: Combination, draft: Path, total: FloatArray) -> None:
    name = plan.pdfset.name
    write_member(draft / f"{name}_0000.dat", plan.grid, total / plan.pdfset.n_rep, CENTRAL)
    (draft / f"{name}.info").write_text(plan.info, encoding="utf-8", newline="\n")
