r"""Polish: move the selected replicas until their statistics are nearer to the prior's.

Every replica stays within a radius of its parent in the space of the prior's principal components,

.. math::
   f_k = f_{p(k)} + \sum_c \delta_{kc} \, V_c , \qquad |\delta_{kc}| \le r ,

and keeps what its parent has beyond the components. The directions V are combinations of the prior's replicas with
weights that sum to 0, so a polished replica is a combination with weights that sum to 1: it obeys the sum rules and is
valid at every scale. The selection itself is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from compress_mpi.methods.enhancement.linear import one_thread
from compress_mpi.methods.polish.acceptance import bring_back, refusal
from compress_mpi.methods.polish.adam import descend
from compress_mpi.methods.polish.objective import Objective
from compress_mpi.methods.polish.settings import PolishSettings
from compress_mpi.methods.polish.target import Target
from compress_mpi.methods.selection.error_function import Reference, distances
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.types import FloatArray, Team

__all__ = ["Candidate", "Polished", "choose", "polish", "polish_one"]


@dataclass(frozen=True, eq=False)
class Candidate:
    """One descent.

    Attributes
    ----------
    number : int
    start : int
        Which of the starts it set out from.
    displacement : float64 (replica, component)
        In standard deviations of the components; what is to be added is ``displacement @ basis.weights``.
    kept : float64 (replica,)
        Part of its displacement that each replica kept; below 1 for those that ended beyond their limits.
    distances : float64 (n_estimator,)
        Of the polished replicas, unnormalised, by the reference estimators.
    erf, start_erf : float
        Error function of the polished replicas and of the start.
    curve : float64 (steps + 1,)
        Error function along the way, before replicas went back.
    refused : str or None
        Why it cannot be taken.
    """

    number: int
    start: int
    displacement: FloatArray
    kept: FloatArray
    distances: FloatArray
    erf: float
    start_erf: float
    curve: FloatArray
    refused: str | None


@dataclass(frozen=True, eq=False)
class Polished:
    """The best candidate, and what became of all.

    Attributes
    ----------
    best : Candidate or None
        None where none could be taken: the selection then stays as it is.
    erfs : float64 (candidate,)
        Error function of each.
    refused : tuple of (str or None)
        Why each could not be taken.
    """

    best: Candidate | None
    erfs: FloatArray
    refused: tuple[str | None, ...]


def polish(
    starts: Sequence[FloatArray],
    directions: FloatArray,
    target: Target,
    reference: Reference,
    normalisation: FloatArray,
    settings: PolishSettings,
    seed: int,
    team: Team,
) -> Polished:
    """Run all candidates and take the best; collective, the same bits on any team.

    Parameters
    ----------
    starts : sequence of float64 (N, flavour, x)
        Selected replicas, the best selection first; candidate c sets out from start c modulo their number.
    directions : float64 (component, flavour, x)
        Change of the values per unit of displacement, ``basis.weights @ prior``.
    target : Target
        For this N.
    reference : Reference
        Of the prior: judges the result.
    normalisation : float64 (n_estimator,)
        In the order of ``reference.names``.
    settings : PolishSettings
    seed : int
    team : Team
        Shares the candidates.
    """

    def run(number: int) -> Candidate:
        start = starts[number % len(starts)]
        return polish_one(
            number, len(starts), start, directions, target, reference, normalisation, settings, seed
        )

    return choose(team.map(run, range(settings.candidates)))


def choose(candidates: Sequence[Candidate]) -> Polished:
    """The lowest error function among candidates that are not refused; ties go to the lower number."""
    fit = [candidate for candidate in candidates if candidate.refused is None]
    best = min(fit, key=lambda candidate: (candidate.erf, candidate.number), default=None)
    return Polished(best, np.array([c.erf for c in candidates]), tuple(c.refused for c in candidates))


def polish_one(
    number: int,
    n_starts: int,
    start: FloatArray,
    directions: FloatArray,
    target: Target,
    reference: Reference,
    normalisation: FloatArray,
    settings: PolishSettings,
    seed: int,
) -> Candidate:
    """One candidate, whoever computes it; arguments as in ``polish``.

    The first candidate of a start sets out from the parents themselves, further ones from beside them.
    """
    objective = Objective(
        target.standardise(start), target.standardise_directions(directions), target, settings
    )
    first = np.zeros((len(start), len(directions)))
    if number >= n_starts:
        rng = generator(seed, Stream.POLISH, target.n_select, 1, number)
        first = settings.scatter * rng.standard_normal(first.shape)
    with one_thread():
        descent = descend(objective, first, settings)
        displacement, kept = bring_back(objective, descent.displacement, settings)
        polished = start + np.tensordot(displacement, directions, axes=1)
        found, before = (distances(values, reference) / normalisation for values in (polished, start))
        refused = refusal(objective.values(displacement), objective, settings)
    erf, start_erf = float(np.mean(found)), float(np.mean(before))
    if refused is None and not erf < start_erf:
        refused = f"its error function {erf:.4g} is not below {start_erf:.4g}, that of the selection"
    return Candidate(
        number,
        number % n_starts,
        displacement,
        kept,
        found * normalisation,
        erf,
        start_erf,
        descent.curve,
        refused,
    )
