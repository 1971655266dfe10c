"""From a generator to the replicas that may be used, the same whoever works on them.

Candidates have numbers. They are drawn and screened in blocks of a fixed size, shared over the team, and taken in
the order of their numbers until there are enough. Only a few numbers per candidate travel: who needs the weights
draws them again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from compress_mpi.methods.enhancement.guards import FIGURES, REASONS, Guard, judge, screen
from compress_mpi.methods.enhancement.linear import ROWS, combine, one_thread
from compress_mpi.methods.enhancement.source import Source
from compress_mpi.methods.enhancement.verdict import (
    SAMPLE,
    Check,
    GeneratorRefused,
    check_rejections,
    check_set,
    require,
)
from compress_mpi.types import FloatArray, IntArray, Team

__all__ = ["Enhanced", "enhance"]

_MARGIN = 1.1
"""Candidates that are screened at first, over those that are needed."""


@dataclass(frozen=True, eq=False)
class Enhanced:
    """New replicas.

    Attributes
    ----------
    source : Source
    numbers : int64 (n_new,)
        Of the candidates that were taken, increasing.
    figures : float64 (candidate, figure)
        Of all candidates that were screened, in the order of ``guards.FIGURES``.
    reasons : int64 (candidate,)
        Why each was not taken (``guards.REASONS``); 0 for good ones, the last of which may not be needed.
    checks : tuple of Check
        Figures of the set, all passed.
    """

    source: Source
    numbers: IntArray
    figures: FloatArray
    reasons: IntArray
    checks: tuple[Check, ...]

    def weights(self, rows: range | None = None) -> FloatArray:
        """Weights of new replicas, float64 ``(len(rows), R)``; of all without ``rows``.

        A row has the same bits whatever rows are asked for with it, so ranks can fill a shared array in parts.
        """
        wanted = self.numbers if rows is None else self.numbers[rows.start : rows.stop]
        return self.source.weights(wanted)

    def values(self, prior: FloatArray, rows: range | None = None) -> FloatArray:
        """The same combinations of any table of the prior, ``(R, ...)`` to ``(len(rows), ...)``."""
        span = range(len(self.numbers)) if rows is None else rows
        out = np.empty((len(span), *prior.shape[1:]))
        # weights of many replicas at a time would take more memory than their values
        for start in range(0, len(span), ROWS):
            part = span[start : start + ROWS]
            out[start : start + len(part)] = combine(self.weights(part), prior)
        return out

    @property
    def rejected(self) -> dict[str, int]:
        """How many candidates were rejected for each reason."""
        counts = np.bincount(self.reasons, minlength=len(REASONS))
        return {name: int(counts[number]) for number, name in enumerate(REASONS) if number and counts[number]}


def enhance(source: Source, guard: Guard, n_new: int, team: Team) -> Enhanced:
    """Take the first ``n_new`` good candidates of a generator; collective.

    Parameters
    ----------
    source : Source
    guard : Guard
    n_new : int
        At least 2.
    team : Team
        Shares the screening.

    Raises
    ------
    GeneratorRefused
        If too many candidates are rejected, or the set fails a check. The message names the figure.
    ValueError
        If fewer than two replicas are asked for.
    """
    if n_new < 2:
        raise ValueError(f"expected at least 2 new replicas, got {n_new}")
    figures = np.empty((0, len(FIGURES)))
    while True:
        figures = np.concatenate([figures, _screened(source, guard, len(figures), n_new, team)])
        reasons = judge(figures, guard)
        rejections = check_rejections(reasons)
        require(source.name, (rejections,))
        good = np.flatnonzero(reasons == 0)
        if len(good) >= n_new:
            break
        if source.limit is not None and len(figures) >= source.limit:
            raise _too_few(source, len(good), n_new)
    numbers = good[:n_new]
    checks = (rejections, *_set_checks(source, guard, numbers, figures[numbers], team))
    require(source.name, checks)
    return Enhanced(source, numbers, figures, reasons, checks)


def _screened(source: Source, guard: Guard, done: int, n_new: int, team: Team) -> FloatArray:
    """Figures of the candidates that come next."""
    # a number that depends on n_new only: every run screens the same candidates
    wanted = -(-int(_MARGIN * n_new) // ROWS) * ROWS if not done else -(-n_new // (4 * ROWS)) * ROWS
    last = done + wanted if source.limit is None else min(done + wanted, source.limit)
    numbers = np.arange(done, last)
    return _in_blocks(lambda part: screen(source.weights(part), guard), numbers, len(FIGURES), team)


def _in_blocks(
    function: Callable[[IntArray], FloatArray], numbers: IntArray, width: int, team: Team
) -> FloatArray:
    """Rows of all candidates; blocks of ``ROWS`` of them are shared over the team."""

    def block(tasks: Sequence[int]) -> FloatArray:
        found = np.zeros((len(tasks), ROWS, width))
        for rows, task in zip(found, tasks, strict=True):
            part = numbers[task * ROWS : (task + 1) * ROWS]
            rows[: len(part)] = function(part)
        return found.reshape(len(tasks), ROWS * width)

    table = team.map_rows(block, -(-len(numbers) // ROWS), ROWS * width)
    return table.reshape(-1, width)[: len(numbers)]


def _set_checks(
    source: Source, guard: Guard, numbers: IntArray, figures: FloatArray, team: Team
) -> tuple[Check, ...]:
    n_components = guard.basis.n_components

    def sample(part: IntArray) -> FloatArray:
        weights = source.weights(part)
        values = guard.standardise(combine(weights, guard.values))
        return np.concatenate([guard.basis.to_coordinates(weights), values], axis=1)

    table = _in_blocks(sample, numbers[:SAMPLE], n_components + len(guard.kept), team)
    with one_thread():
        return check_set(figures, table[:, n_components:], table[:, :n_components], guard)


def _too_few(source: Source, found: int, n_new: int) -> GeneratorRefused:
    check = Check("candidates", float(found), float(n_new), np.inf, "candidates that passed")
    return GeneratorRefused(
        f"generator {source.name}: {found} of {source.limit} candidates passed, needed are {n_new}; "
        "let the generator draw more candidates, or ask for fewer replicas.",
        check,
    )
