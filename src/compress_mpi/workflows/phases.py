"""What a result says of its phases and its polish, as facts and in words, the same in every command."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from compress_mpi.io.store import Tree
from compress_mpi.workflows.record import PHASES

__all__ = ["enhanced_of", "phase_lines", "phases_of", "polish_lines", "polish_of"]


def enhanced_of(tree: Tree) -> dict[str, Any] | None:
    """The enhanced set that was selected from; None where it was the prior. JSON-able."""
    at = tree.attributes
    if ("/enhanced", "name") not in at:
        return None
    return {
        "name": str(at["/enhanced", "name"]),
        "members": int(at["/enhanced", "members"]),
        "sha256": str(at["/enhanced", "sha256"]),
    }


def phases_of(tree: Tree) -> list[dict[str, Any]]:
    """Phases that have begun, in their order; empty where a run is one search. JSON-able.

    ``erf``, ``evaluations`` and ``ended_by`` are None as long as a phase has none; ``best`` marks the one whose
    selection is the answer.
    """
    return [_phase(tree, name) for name in PHASES if f"/phases/{name}/history/erf" in tree.datasets]


def _phase(tree: Tree, name: str) -> dict[str, Any]:
    place, at = f"/phases/{name}", tree.attributes
    seconds = np.asarray(tree.datasets[f"{place}/history/seconds"])
    erf, evaluations = at.get((f"{place}/selection", "erf")), at.get((f"{place}/history", "evaluations"))
    ended_by, optimum = (
        at.get((f"{place}/history", "ended_by")),
        at.get((f"{place}/selection", "local_optimum")),
    )
    return {
        "name": name,
        "status": str(at.get((place, "status"), "running")),
        "erf": None if erf is None else float(erf),
        "evaluations": None if evaluations is None else int(evaluations),
        "iteration": len(seconds),
        "seconds": float(seconds[-1]) if len(seconds) else 0.0,
        "ended_by": None if ended_by is None else str(ended_by),
        "local_optimum": None if optimum is None else bool(optimum),
        "best": at.get(("/selection", "phase")) == name,
    }


def phase_lines(phases: list[dict[str, Any]]) -> list[str]:
    """The phases as text, one line each."""
    return [
        f"{one['name']}: {_erf(one['erf'])}, {one['evaluations'] or 0} evaluations, {one['seconds']:.1f} s, "
        f"{_end(one)}{'; the answer' if one['best'] else ''}"
        for one in phases
    ]


def _erf(erf: float | None) -> str:
    return "nothing selected yet" if erf is None else f"ERF {erf:.6g}"


def _end(phase: dict[str, Any]) -> str:
    if phase["status"] != "complete":
        return f"running, iteration {phase['iteration']}"
    optimum = ", a local optimum" if phase["local_optimum"] else ""
    return f"ended by {phase['ended_by']}{optimum}"


def polish_of(tree: Tree) -> dict[str, Any] | None:
    """What became of a polish; None where none was asked for. JSON-able.

    ``set``, ``erf``, ``start_erf``, ``ratio``, ``went_back`` (replicas that kept less than their whole way),
    ``largest_step`` (standard deviations of a component) and ``held_out`` are None where every minimisation
    was refused.
    """
    at, data = tree.attributes, tree.datasets
    if ("/polish", "settings") not in at:
        return None
    facts: dict[str, Any] = {
        "settings": json.loads(at["/polish", "settings"]),
        "refused": json.loads(at["/polish", "refused"]),
        "candidate_erf": np.asarray(data.get("/polish/candidate_erf", np.zeros(0))).tolist(),
    }
    if ("/polish", "set") not in at:
        nothing = ("set", "erf", "start_erf", "ratio", "went_back", "largest_step", "held_out")
        return facts | dict.fromkeys(nothing)
    erf, start = (float(at["/polish", key]) for key in ("erf", "start_erf"))
    return facts | {
        "set": str(at["/polish", "set"]),
        "erf": erf,
        "start_erf": start,
        "ratio": erf / start if start else 1.0,
        "went_back": int(np.count_nonzero(np.asarray(data["/polish/kept"]) < 1.0)),
        "largest_step": float(np.abs(data["/polish/displacement"]).max(initial=0.0)),
        "held_out": json.loads(at["/polish", "held_out"]),
    }


def polish_lines(polish: dict[str, Any]) -> list[str]:
    """A polish as text."""
    refused = [text for text in polish["refused"] if text]
    told = (
        [f"{len(refused)} of {len(polish['refused'])} minimisations refused: {refused[0]}"] if refused else []
    )
    if polish["set"] is None:
        return ["refused: the selection stays as it is", *told]
    held = polish["held_out"]
    scales = ", ".join(f"{q:g}" for q in held["scales"])
    changes = ", ".join(
        f"{name} {value:.3g} to {held['polished'][name]:.3g}" for name, value in held["selected"].items()
    )
    return [
        f"{polish['set']}: ERF {polish['erf']:.6g}, {polish['ratio']:.2f} of {polish['start_erf']:.6g}",
        f"where nothing was fitted ({scales} GeV): {changes}",
        f"replicas moved by up to {polish['largest_step']:.3g} along a component; {polish['went_back']} of them"
        " went back part of the way",
        *told,
    ]
