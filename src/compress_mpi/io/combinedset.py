"""What the ``.info`` file and the members of a combined set say about themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from compress_mpi.errors import PDFSetError
from compress_mpi.io.commongrid import CommonGrid
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.io.setfolder import MARK

__all__ = ["CENTRAL", "PARENTS", "combined_info", "differing_metadata", "member_header"]

CENTRAL = "PdfType: central"
PARENTS = "CompressMPIParents"
"""Key of the ``.info`` file that lists the sets and the members that come from each."""

_INHERITED = (
    *(
        "Particle",
        "OrderQCD",
        "FlavorScheme",
        "NumFlavors",
        "MZ",
        "MUp",
        "MDown",
        "MStrange",
        "MCharm",
        "MBottom",
    ),
    *("MTop", "AlphaS_MZ", "AlphaS_OrderQCD", "AlphaS_Type", "AlphaS_Qs", "AlphaS_Vals", "AlphaS_Lambda4"),
    *("AlphaS_Lambda5", "Interpolator", "Extrapolator", "ForcePositive"),
)
_COMPARED = (
    *("OrderQCD", "FlavorScheme", "NumFlavors", "MZ", "MCharm", "MBottom", "AlphaS_MZ", "AlphaS_OrderQCD"),
    *("Interpolator", "ForcePositive"),
)
_DEFAULTS = {"Interpolator": "logcubic", "ForcePositive": 0}


def combined_info(
    sets: Sequence[PDFSet], grid: CommonGrid, parents: Sequence[Mapping[str, Any]], mark: str
) -> str:
    """Text of the ``.info`` file.

    Parameters
    ----------
    sets : sequence of PDFSet
        The first gives what the format can say only once, such as alpha_s and masses.
    grid : CommonGrid
    parents : sequence of mapping
        ``name``, ``error_type``, ``replicas``, ``seed`` and ``confidence_level`` of each.
    mark : str
        Value of ``CompressMPI``.

    Raises
    ------
    PDFSetError
        If the sets describe different particles.
    """
    _require_one_particle(sets)
    n_rep = sum(parent["replicas"] for parent in parents)
    entries: dict[str, Any] = {
        "SetDesc": f"{n_rep} replicas combined by compress-mpi: " + "; ".join(map(_described, parents)),
        "SetIndex": 0,
        "Authors": "; ".join(f"{s.name}: {s.info.get('Authors', 'unknown')}" for s in sets),
        "Reference": "; ".join(f"{s.name}: {s.info.get('Reference', 'none')}" for s in sets),
        "Format": "lhagrid1",
        "DataVersion": 1,
        "NumMembers": n_rep + 1,
        "Flavors": list(grid.pids),
        "ErrorType": "replicas",
        "XMin": grid.x[0],
        "XMax": grid.x[-1],
        "QMin": grid.q[0][0],
        "QMax": grid.q[-1][-1],
        **{key: sets[0].info[key] for key in _INHERITED if key in sets[0].info},
        MARK: mark,
        PARENTS: json.dumps(_ranges(parents)),
    }
    if len({_value(s, "ForcePositive") for s in sets}) > 1:
        entries.pop("ForcePositive", None)  # it is in the values already
    return "".join(f"{key}: {_yaml(value)}\n" for key, value in entries.items())


def _require_one_particle(sets: Sequence[PDFSet]) -> None:
    first = sets[0]
    for other in sets[1:]:
        one, two = first.info.get("Particle", 2212), other.info.get("Particle", 2212)
        if one != two:
            raise PDFSetError(
                f"{other.info_path}: Particle: {two}, but {first.name} is of {one}; combine sets of one particle"
            )


def _described(parent: Mapping[str, Any]) -> str:
    text = f"{parent['replicas']} of {parent['name']} ({parent['error_type']}"
    level = parent["confidence_level"]
    return text + (f", {level:.4g} % CL" if level is not None else "") + f", seed {parent['seed']})"


def _ranges(parents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The parents with the member numbers that come from each."""
    found, first = [], 1
    for parent in parents:
        found.append({**parent, "members": [first, first + parent["replicas"] - 1]})
        first += parent["replicas"]
    return found


def _yaml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _value(pdfset: PDFSet, key: str) -> Any:
    value = pdfset.info.get(key, _DEFAULTS.get(key))
    return value.lower() if isinstance(value, str) else value


def differing_metadata(sets: Sequence[PDFSet]) -> list[str]:
    """One line for every key in which sets differ although the format can say it only once."""
    found = []
    for key in _COMPARED:
        values = {s.name: _value(s, key) for s in sets}
        if len(set(map(str, values.values()))) > 1:
            listed = ", ".join(f"{name} {value}" for name, value in values.items())
            chosen = (
                "none is written"
                if key == "ForcePositive"
                else f"the combined set says that of {sets[0].name}"
            )
            found.append(f"{key} differs: {listed}; {chosen}")
    return found


def member_header(parent: str, member: int | None, number: int) -> str:
    """Lines before the format of a member: where it comes from.

    Parameters
    ----------
    parent : str
        Name of the set.
    member : int or None
        Its number there; None for a replica generated from a Hessian set.
    number : int
        Which of the replicas of that set it is, from 1.
    """
    origin = f"ParentMember: {member}" if member is not None else f"ParentDraw: {number}"
    return f"PdfType: replica\nParentSet: {json.dumps(parent)}\n{origin}"
