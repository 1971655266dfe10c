"""``compressed: auto``: the smallest size whose every estimator meets the target.

Rounds of a few sizes, each round at once as a list of sizes would be. Every size that
is tried keeps its own result, so that a restart goes through the same rounds and
finds most of the work done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from compress_mpi.errors import EXIT_REQUEUE, TargetError
from compress_mpi.methods.selection.problem import Problem
from compress_mpi.workflows.outputs import Outputs
from compress_mpi.workflows.several import Job, Outcome, run_sizes
from compress_mpi.workflows.targets import (
    Target,
    Verdict,
    closest,
    next_sizes,
    smallest_passing,
    surprises,
)

__all__ = ["Measure", "find_smallest", "mark_of", "measure_with", "verdict_line"]

Measure = Callable[[int], dict[str, float]]
"""Largest distance of each estimator at a size; collective."""


def measure_with(
    target: Target, names: tuple[str, ...], problem: Problem, trials: int, seed: int, team: Any
) -> Measure:
    """Limits by size, each computed once: a target may be the same for all sizes."""
    known: dict[int | None, dict[str, float]] = {}

    def measure(n_rep: int) -> dict[str, float]:
        size = target.random_size_for(n_rep)
        if size not in known:
            known[size] = target.limits(n_rep, names, problem, trials, seed, team)
        return known[size]

    return measure


def find_smallest(
    job: Job,
    target: Target,
    measure: Measure,
    prepare: Callable[[Sequence[int]], list[Outputs]],
    publish: Callable[[Outputs, Mapping[str, Any]], str],
) -> int:
    """Try sizes until the smallest that meets the target is known; collective.

    Parameters
    ----------
    job : Job
        Keeps results only.
    target : Target
    measure : callable
        See :data:`Measure`.
    prepare : callable
        On rank 0: the files of some sizes, their folders made.
    publish : callable
        On rank 0: write everything else of the chosen size, with the given mark in its result; what to say.

    Returns
    -------
    int
        Exit code: 0, or that for stopped early.

    Raises
    ------
    TargetError
        On all ranks, if no size meets the target; the results are kept.
    """
    team, found, outputs = job.team, dict[int, Verdict](), dict[int, Outputs]()
    while sizes := next_sizes(target, {size: one.passes for size, one in found.items()}):
        batch = team.on_root(lambda sizes=sizes: prepare(sizes))
        outcomes = run_sizes(job, batch)
        if not all(outcome.complete for outcome in outcomes):
            return EXIT_REQUEUE
        outputs.update(zip(sizes, batch, strict=True))
        for outcome in outcomes:
            found[outcome.n_rep] = _judge(outcome, measure)
        team.on_root(lambda sizes=sizes: job.tell("\n".join(_line(found[size]) for size in sizes)))
    return _conclude(job, target, found, outputs, publish)


def _judge(outcome: Outcome, measure: Measure) -> Verdict:
    return Verdict(outcome.n_rep, dict(outcome.distances or {}), measure(outcome.n_rep))


def _line(verdict: Verdict) -> str:
    name, ratio = verdict.worst
    word = "meets the target" if verdict.passes else "fails"
    return f"auto: N = {verdict.n_rep}: {word}, {name} at {ratio:.4g} times its limit"


def _conclude(
    job: Job,
    target: Target,
    found: Mapping[int, Verdict],
    outputs: Mapping[int, Outputs],
    publish: Callable[[Outputs, Mapping[str, Any]], str],
) -> int:
    verdicts = {size: one.passes for size, one in found.items()}
    answer = smallest_passing(verdicts)

    def close() -> None:
        if answer is None:
            raise TargetError(_refusal(target, found))
        odd = surprises(verdicts)
        if odd:
            job.tell(
                f"warning: auto: {', '.join(map(str, odd))} fails although {answer} meets the target; the search "
                "takes for granted that larger sizes do better, so that a smaller size may have been missed; "
                "search longer, or with more trials"
            )
        text = publish(outputs[answer], mark_of(target, found))
        job.tell(f"{text}\n{verdict_line(target, answer)}")

    job.team.on_root(close)
    return 0


def verdict_line(target: Target, answer: int) -> str:
    """What the search has shown: that a size passes and, where it was tried, that the next smaller one fails."""
    below = f"{answer - 1} fails" if answer > target.smallest else "smaller sizes were not to be tried"
    return f"auto: {answer} is the smallest size that meets the target ({target}); {below}"


def _refusal(target: Target, found: Mapping[int, Verdict]) -> str:
    best = closest(found)
    name, ratio = best.worst
    return (
        f"auto: none of the sizes tried ({', '.join(map(str, sorted(found)))}; allowed: {target.smallest} to "
        f"{target.largest}) meets the target ({target}); the closest is N = {best.n_rep}, where {name} is at "
        f"{best.distances[name]:.4g}, {ratio:.3g} times its limit {best.limits[name]:.4g}. Search longer, ask for "
        "less, or raise auto.largest where it is set; the results of the sizes tried are kept"
    )


def mark_of(target: Target, found: Mapping[int, Verdict]) -> dict[str, Any]:
    """What the result of the chosen size tells about the search, by name in the file.

    Returns
    -------
    dict
        ``size`` int64 (tried,); ``distance`` and ``limit`` float64 (tried, estimator); ``target`` and
        ``estimators`` text.
    """
    sizes = sorted(found)
    names = list(found[sizes[0]].distances)
    return {
        "size": np.array(sizes, dtype=np.int64),
        "distance": np.array([[found[size].distances[name] for name in names] for size in sizes]),
        "limit": np.array([[found[size].limits[name] for name in names] for size in sizes]),
        "target": str(target),
        "estimators": ", ".join(names),
    }
