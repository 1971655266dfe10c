"""What can be selected: the replicas of the prior, or those of an enhanced set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from compress_mpi.errors import PDFSetError
from compress_mpi.io.pdfset import PDFSet
from compress_mpi.methods.selection.error_function import Reference
from compress_mpi.methods.selection.problem import (
    Problem,
    build_problem,
    correlation_columns,
    point_columns,
    standardise,
)
from compress_mpi.types import FloatArray, IntArray
from compress_mpi.workflows.prior import Prior

__all__ = ["Pool", "pool_of", "prior_pool"]


@dataclass(frozen=True)
class Pool:
    """Replicas that can be selected, one copy per node.

    Attributes
    ----------
    pdfset : PDFSet
        Where their files are.
    numbers : int64 (pool,)
        Member numbers there, increasing; 0 stands for member 0 of the prior.
    values : float64 (pool, scale * flavour, x)
        x f(x, Q); read-only.
    problem : Problem
        The same as the search wants it.
    weights : float64 (new, R) or None
        Of the replicas after those of the prior, where it is known how they are made of these.
    """

    pdfset: PDFSet
    numbers: IntArray
    values: FloatArray
    problem: Problem
    weights: FloatArray | None = None

    def rows(self, numbers: IntArray) -> IntArray:
        """Rows of some member numbers, int64, in the same order."""
        return np.searchsorted(self.numbers, numbers)

    def weights_of(self, rows: IntArray, n_rep: int) -> FloatArray:
        """How replicas of the pool are made of those of the prior.

        Parameters
        ----------
        rows : int64 (n,)
        n_rep : int
            Replicas of the prior, R.

        Returns
        -------
        float64 (n, R)
            Rows sum to 1. Member 0 of a prior is its average.

        Raises
        ------
        PDFSetError
            If a replica is of an enhanced set that somebody else has made.
        """
        found = np.zeros((len(rows), n_rep))
        for weights, number in zip(found, self.numbers[rows], strict=True):
            if number == 0:
                weights[:] = 1.0 / n_rep
            elif number <= n_rep:
                weights[number - 1] = 1.0
            elif self.weights is not None:
                weights[:] = self.weights[number - n_rep - 1]
            else:
                raise PDFSetError(
                    f"{self.pdfset.path}: nothing is known about how replica {number} was made of those of the prior;"
                    " leave polish out"
                )
        return found


def prior_pool(prior: Prior, reference: Reference, team: Any) -> Pool:
    """The replicas of the prior; collective."""
    return pool_of(prior.plan.pdfset, np.array(prior.plan.members), prior.values, reference, team)


def pool_of(
    pdfset: PDFSet,
    numbers: IntArray,
    values: FloatArray,
    reference: Reference,
    team: Any,
    weights: FloatArray | None = None,
) -> Pool:
    """A pool with its standardised values, again one copy per node; collective.

    Parameters
    ----------
    pdfset : PDFSet
    numbers : int64 (pool,)
    values : float64 (pool, scale * flavour, x)
        The same memory on all ranks of a node.
    reference : Reference
        Of the prior, whatever the pool.
    team : MPITeam or SerialTeam
    weights : float64 (new, R), optional
        See ``Pool``.
    """
    columns = correlation_columns(reference)
    z = team.shared((len(values), len(point_columns(reference))))
    zc = team.shared((len(values), len(columns)))

    def fill(rows: range) -> None:
        part = slice(rows.start, rows.stop)
        z.array[part] = standardise(values[part], reference)

    def fill_columns(rows: range) -> None:
        part = slice(rows.start, rows.stop)
        zc.array[part] = z.array[part][:, columns]

    z.fill(fill)
    zc.fill(fill_columns)
    return Pool(pdfset, numbers, values, build_problem(z.array, zc.array, reference), weights)
