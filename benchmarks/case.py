"""The prior that the benchmarks work on, in the forms that the contenders need."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from compress_mpi.io.settings import PUBLISHED_ESTIMATORS, CompressConfig
from compress_mpi.methods.selection.error_function import Reference, build_reference
from compress_mpi.methods.selection.normalisation import normalisation, random_distances
from compress_mpi.methods.selection.problem import Problem, build_problem, correlation_columns, standardise
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.types import ESTIMATORS, FloatArray, IntArray
from compress_mpi.workflows.prior import load_prior, plan_prior
from yardstick import Yardstick

__all__ = ["PUBLISHED_SEARCH", "PUBLISHED_TRIALS", "REAL_SET", "Case", "Scale", "find_set", "load_case"]

REAL_SET = "JAM21PDF_proton_nlo"
PUBLISHED_SEARCH = {50: 31.5, 100: 56.6}
"""Seconds of pyCompressor for 15,000 generations on ``REAL_SET``, by N: wall time, two cores, another day."""
PUBLISHED_TRIALS = {100: 8.5}
"""The same for 1000 random subsets."""
_SEED = 20210420


@dataclass(frozen=True)
class Scale:
    """How much of everything: long enough to be steady, or just enough to see that it runs."""

    repeats: int = 5
    sizes: tuple[int, ...] = (50, 100)
    generations: int = 1000
    trials: int = 1000
    seconds: float = 0.3
    """Of one timing of something short."""
    chain_iterations: int = 15000
    """Of one island of the default minimiser."""
    job_iterations: int = 15000
    cold_starts: int = 2
    memory_ranks: int = 8
    memory_nodes: int = 1500
    large_replicas: int = 10_000
    large_select: int = 500
    large_ranks: int = 4
    large_seconds: float = 120.0
    """After which the job with the large prior is stopped."""
    islands: int = 1024
    """For which the cost of reports is measured."""
    table_rows: int = 100_000
    """Of the event table on which a flow is trained."""
    event_rows: int = 100_000
    """Of an event table that is compressed, at most."""
    flow_epochs: int = 20
    """Of the published flow."""
    speed_rows: int = 4_000_000
    """Of the table that ranks share."""
    coder_model: str = "auto"
    """What is asked for with ``--model``."""

    @classmethod
    def quick(cls) -> Scale:
        """Numbers of no worth, in half a minute."""
        return cls(
            2, (50,), 50, 50, 0.02, 300, 200, 0, 4, 300, 150, 20, 2, 8.0, 64, 2000, 2000, 1, 8000, "marginal"
        )


@dataclass(frozen=True)
class Case:
    """One prior.

    Attributes
    ----------
    name : str
        Of the set.
    values : float64 (replica, flavour, x)
    nodes : int64 (5,)
        x positions of the correlation points.
    """

    name: str
    values: FloatArray
    nodes: IntArray

    @cached_property
    def reference(self) -> Reference:
        """For the NumPy reference of the package."""
        return build_reference(self.values, PUBLISHED_ESTIMATORS.names, self.nodes)

    @cached_property
    def problem(self) -> Problem:
        """For the kernel of the package."""
        z = standardise(self.values, self.reference)
        return build_problem(z, z[:, correlation_columns(self.reference)], self.reference)

    @cached_property
    def yardstick(self) -> Yardstick:
        """For the published algorithm."""
        return Yardstick(self.values, self.reference.names, self.nodes)

    def normalisation(self, n_select: int, trials: int) -> FloatArray:
        """One normalisation for all contenders, float64 (estimator,): two searches compare under the same only."""
        random = random_distances(self.problem, n_select, trials, _SEED, SerialTeam())
        return normalisation(random[:, self._columns], self.reference.names)

    def weights(self, norm: FloatArray) -> FloatArray:
        """The same in the form of the kernel, float64 (8,)."""
        weights = np.zeros(len(ESTIMATORS))
        weights[self._columns] = 1.0 / (len(norm) * norm)
        return weights

    @property
    def _columns(self) -> list[int]:
        return [ESTIMATORS.index(name) for name in self.reference.names]


def find_set() -> tuple[str, tuple[Path, ...]]:
    """Name of the set to work on and where to look for it: the real one where LHAPDF_DATA_PATH has it."""
    folders = [Path(folder) for folder in os.environ.get("LHAPDF_DATA_PATH", "").split(os.pathsep) if folder]
    found = tuple(folder for folder in folders if (folder / REAL_SET / f"{REAL_SET}.info").is_file())
    return (REAL_SET, found) if found else ("demo", ())


def load_case(pdf: str, folders: Sequence[Path]) -> Case:
    """Read a set on the published grid with three light flavours, as the papers' codes do."""
    config = CompressConfig(pdf=pdf, compressed=(50,), nf=3)
    prior = load_prior(plan_prior(config, folders, "auto"), SerialTeam())
    return Case(prior.plan.pdfset.name, prior.values, prior.plan.nodes)
