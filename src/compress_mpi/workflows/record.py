"""What a compression writes down: the result file as a record that grows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.io.settings import Polish
from compress_mpi.io.store import Tree, read_tree, write_tree
from compress_mpi.types import FloatArray, IntArray

__all__ = ["PHASES", "Launch", "Record", "now"]

PHASES = ("prior", "direct", "adiabatic")
"""Searches of a compression from an enhanced set, in their order."""


@dataclass(frozen=True)
class Launch:
    """One start of the program on a result.

    Attributes
    ----------
    host, mpi : str
    ranks, nodes, threads : int
    """

    host: str
    mpi: str
    ranks: int
    nodes: int
    threads: int


@dataclass
class Record:
    """Everything in the result file of one subset size; lives on rank 0.

    Attributes
    ----------
    path : Path
    tree : Tree
        Content of the file as it will be written next.
    names : tuple of str
        Estimators in the ERF.
    place : str
        Group of the search at hand: empty where a run is one search, ``/phases/<name>`` while it is in a phase.
    """

    path: Path
    tree: Tree
    names: tuple[str, ...]
    place: str = ""

    @property
    def complete(self) -> bool:
        """Whether the search has ended."""
        return bool(self.tree.attributes["/", "status"] == "complete")

    @property
    def random(self) -> FloatArray:
        """Distances of random subsets, float64 (trials, n_estimator)."""
        return np.stack([self.tree.datasets[f"/estimators/{name}/random"] for name in self.names], axis=1)

    @property
    def history(self) -> FloatArray:
        """Total ERF after each iteration, float64 (iteration,)."""
        return np.asarray(self.tree.datasets[f"{self.place}/history/erf"])

    @property
    def n_rep(self) -> int:
        """Size of the subset."""
        return int(self.tree.attributes["/selection", "n_rep"])

    @property
    def elapsed(self) -> FloatArray:
        """Search time over all launches after each iteration, float64 (iteration,), s."""
        return np.asarray(self.tree.datasets[f"{self.place}/history/seconds"])

    @property
    def seconds(self) -> float:
        """Search time so far, s."""
        return float(self.elapsed[-1]) if len(self.elapsed) else 0.0

    @property
    def checkpoint(self) -> dict[str, np.ndarray]:
        """State of the search, empty before the first checkpoint."""
        prefix = f"{self.place}/checkpoint/"
        return {
            name[len(prefix) :]: np.asarray(value)
            for name, value in self.tree.datasets.items()
            if name.startswith(prefix)
        }

    def launched(self, launch: Launch) -> None:
        """Note that a launch takes over from here."""
        row = {
            "started": now(),
            **vars(launch),
            "first_iteration": len(self.tree.datasets["/history/erf"]) + 1,
            "end": "running",
        }
        for name, value in row.items():
            self.tree.datasets.setdefault(f"/launches/{name}", [])
            self.tree.datasets[f"/launches/{name}"] = [*self.tree.datasets[f"/launches/{name}"], value]

    def ended(self, how: str) -> None:
        """Note how the present launch ends."""
        ends = list(self.tree.datasets["/launches/end"])
        self.tree.datasets["/launches/end"] = [*ends[:-1], how]

    def normalised(self, norm: FloatArray, spread: FloatArray) -> None:
        """Take in the normalisation and its uncertainty, both float64 (n_estimator,)."""
        for name, value, uncertainty in zip(self.names, norm, spread, strict=True):
            self.tree.attributes[f"/estimators/{name}", "normalisation"] = float(value)
            self.tree.attributes[f"/estimators/{name}", "normalisation_spread"] = float(uncertainty)

    def progressed(self, history: FloatArray, seconds: FloatArray, state: Mapping[str, np.ndarray]) -> None:
        """Take in the progress of the search.

        Parameters
        ----------
        history, seconds : float64 (iteration,)
            From the first iteration on.
        state : mapping
            Of the search.
        """
        self._set_history(self.place, history, seconds)
        for name, value in state.items():
            self.tree.datasets[f"{self.place}/checkpoint/{name}"] = value
        self.tree.attributes[f"{self.place}/checkpoint", "iteration"] = len(history)

    def selected(self, index: IntArray, distances: FloatArray, total: float) -> None:
        """Take in the best subset.

        Parameters
        ----------
        index : int64 (n_rep,)
            Replica numbers.
        distances : float64 (n_estimator,)
        total : float
            ERF.
        """
        if self.place:
            self.tree.datasets[f"{self.place}/selection/index"] = index
            self.tree.attributes[f"{self.place}/selection", "erf"] = total
            best = self.tree.attributes.get(("/selection", "erf"), np.inf)
            if self.tree.attributes.get(("/selection", "phase")) != self.phase and total >= best:
                return  # an earlier phase did as well
            self.tree.attributes["/selection", "phase"] = self.phase
        self.tree.datasets["/selection/index"] = index
        self.tree.attributes["/selection", "erf"] = total
        for name, value in zip(self.names, distances, strict=True):
            self.tree.attributes[f"/estimators/{name}", "erf"] = float(value)

    @property
    def phases(self) -> list[str]:
        """Phases that have begun, in their order."""
        return [name for name in PHASES if f"/phases/{name}/history/erf" in self.tree.datasets]

    @classmethod
    def read(cls, path: Path, names: tuple[str, ...]) -> Record:
        """The record of a result that is there, not to be gone on with."""
        return cls(path, read_tree(path), names)

    @property
    def phase(self) -> str:
        """Phase at hand; empty where a run is one search, or for the run as a whole."""
        return self.place.removeprefix("/phases/")

    def index_of(self, phase: str) -> IntArray:
        """Best subset of a phase, int64 (n_rep,), replica numbers."""
        return np.asarray(self.tree.datasets[f"/phases/{phase}/selection/index"])

    def enter(self, phase: str) -> None:
        """Turn to a phase, the empty name for the run as a whole; what it has done so far stays."""
        self.place = f"/phases/{phase}" if phase else ""
        if phase and phase not in self.phases:
            self._set_history(self.place, np.zeros(0), np.zeros(0))
            self.tree.attributes[self.place, "status"] = "running"

    @property
    def phase_complete(self) -> bool:
        """Whether nothing is left to do in the phase at hand."""
        return bool(self.tree.attributes[self.place, "status"] == "complete")

    def leave(self) -> None:
        """Note that the phase at hand is over; it is not gone on with, so its checkpoint goes."""
        self.tree.attributes[self.place, "status"] = "complete"
        prefix = f"{self.place}/checkpoint"
        for name in [name for name in self.tree.datasets if name.startswith(prefix)]:
            del self.tree.datasets[name]
        self.tree.attributes.pop((prefix, "iteration"), None)

    def took_over(self, other: Record) -> None:
        """Take in, as the phase at hand, what the finished record of another run holds."""
        datasets, attributes = other.tree.datasets, other.tree.attributes
        self._set_history(self.place, datasets["/history/erf"], datasets["/history/seconds"])
        distances = np.array([attributes[f"/estimators/{name}", "erf"] for name in self.names])
        self.selected(datasets["/selection/index"], distances, float(attributes["/selection", "erf"]))
        for group, name in (
            ("history", "evaluations"),
            ("history", "ended_by"),
            ("selection", "local_optimum"),
        ):
            self.tree.attributes[f"{self.place}/{group}", name] = attributes[f"/{group}", name]
        self.leave()

    def _set_history(self, place: str, history: FloatArray, seconds: FloatArray) -> None:
        self.tree.datasets[f"{place}/history/iteration"] = np.arange(1, len(history) + 1)
        self.tree.datasets[f"{place}/history/erf"] = np.asarray(history)
        self.tree.datasets[f"{place}/history/seconds"] = np.asarray(seconds)

    def _join_phases(self) -> None:
        """History of the run as a whole: one phase after the other."""
        erf, seconds, evaluations, elapsed = [np.zeros(0)], [np.zeros(0)], 0, 0.0
        for phase in self.phases:
            times = np.asarray(self.tree.datasets[f"/phases/{phase}/history/seconds"])
            erf.append(np.asarray(self.tree.datasets[f"/phases/{phase}/history/erf"]))
            seconds.append(times + elapsed)
            elapsed += float(times[-1]) if len(times) else 0.0
            evaluations += int(self.tree.attributes.get((f"/phases/{phase}/history", "evaluations"), 0))
        self._set_history("", np.minimum.accumulate(np.concatenate(erf)), np.concatenate(seconds))
        self.tree.attributes["/history", "evaluations"] = evaluations
        best = self.tree.attributes.get(("/selection", "phase"), self.phases[-1])
        for group, name in (("history", "ended_by"), ("selection", "local_optimum")):
            value = self.tree.attributes.get((f"/phases/{best}/{group}", name))
            if value is not None:
                self.tree.attributes[f"/{group}", name] = value

    def selections(self) -> list[IntArray]:
        """Best subsets of the run and of its phases, each once, the lowest ERF first."""
        groups = ["", *(f"/phases/{name}" for name in self.phases)]
        found = [
            (float(self.tree.attributes[f"{group}/selection", "erf"]), group, f"{group}/selection/index")
            for group in groups
        ]
        subsets = [np.asarray(self.tree.datasets[path]) for _, _, path in sorted(found)]
        return [s for k, s in enumerate(subsets) if not any(np.array_equal(s, t) for t in subsets[:k])]

    def polished(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Take in a polish, in place of an earlier one."""
        self.tree.datasets = {k: v for k, v in self.tree.datasets.items() if not k.startswith("/polish/")}
        self.tree.attributes = {k: v for k, v in self.tree.attributes.items() if k[0] != "/polish"}
        self.tree.datasets |= {f"/polish/{name}": np.asarray(value) for name, value in arrays.items()}
        self.tree.attributes |= {("/polish", name): value for name, value in facts.items()}

    @property
    def polish_settings(self) -> dict[str, Any] | None:
        """Settings of the polish that was done, if one was."""
        text = self.tree.attributes.get(("/polish", "settings"))
        return None if text is None else dict(json.loads(text))

    def is_polished(self, config: Polish) -> bool:
        """Whether the record holds the polish that is asked for, if one is."""
        return config.radius is None or self.polish_settings == config.model_dump()

    @property
    def polished_set(self) -> str | None:
        """Name of the polished set, if there is one."""
        return self.tree.attributes.get(("/polish", "set"))

    @property
    def polish_outcome(self) -> str | None:
        """What to say of the polish, None where there was none."""
        at = self.tree.attributes
        if ("/polish", "settings") not in at:
            return None
        if self.polished_set is None:
            return f"refused: {json.loads(at['/polish', 'refused'])[0]}"
        erf, before = float(at["/polish", "erf"]), float(at["/selection", "erf"])
        return f"{self.polished_set}: ERF {erf:.6g}, {erf / before:.2f} of the selection's"

    def polish_array(self, name: str) -> np.ndarray:
        """One of the arrays of the polish."""
        return np.asarray(self.tree.datasets[f"/polish/{name}"])

    @property
    def compressed_set(self) -> str | None:
        """Name of the LHAPDF set that was written, if one was."""
        return self.tree.attributes.get(("/", "compressed_set"))

    @property
    def target(self) -> str | None:
        """Target of ``auto`` that this size is the smallest to meet, if it was found to be."""
        return self.tree.attributes.get(("/auto", "target"))

    def searched(self, evaluations: int, why_done: str | None, certified: bool) -> None:
        """Take in how much was evaluated, what ended the search, and whether the end is a local optimum."""
        self.tree.attributes[f"{self.place}/history", "evaluations"] = evaluations
        self.tree.attributes[f"{self.place}/history", "ended_by"] = why_done or "running"
        self.tree.attributes[f"{self.place}/selection", "local_optimum"] = int(certified)

    def completed(self, set_name: str | None) -> None:
        """Note that everything has been written, the compressed set too where it has a name."""
        self.tree.attributes["/", "status"] = "complete"
        if set_name is not None:
            self.tree.attributes["/", "compressed_set"] = set_name

    def chosen(self, mark: Mapping[str, Any]) -> None:
        """Note that this is the smallest size that meets the target of ``auto``, see ``auto.mark_of``."""
        for name, value in mark.items():
            if isinstance(value, str):
                self.tree.attributes["/auto", name] = value
            else:
                self.tree.datasets[f"/auto/{name}"] = value

    def write(self) -> None:
        """Replace the file on disk."""
        if self.phases:
            self._join_phases()
        self.tree.attributes["/", "updated"] = now()
        write_tree(self.path, self.tree)


def now() -> str:
    """UTC time as files say it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
