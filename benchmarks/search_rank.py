"""Program of the benchmarks of two ranks, run by every rank: trials or a search on a prior that is shared.

``search_rank.py REQUEST``, where the request is JSON with ``what`` (``trials`` or ``search``), pdf, folders,
n_select, count and repeats. Rank 0 prints JSON: for ``trials`` the wall times, for ``search`` one
``[evaluations, wall, processor]`` per repetition, processor time added up over ranks.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from compress_mpi.parallel.launcher import prepare_environment

prepare_environment(1)

import numpy as np  # noqa: E402

from compress_mpi.parallel.abort import run_guarded  # noqa: E402
from compress_mpi.parallel.team import world_team  # noqa: E402

_SEED = 7
_TRIALS = 200


def _case(team: Any, request: dict[str, Any]) -> tuple[Any, Any]:
    """Problem and names of the estimators; values are there once per node."""
    from compress_mpi.io.settings import PUBLISHED_ESTIMATORS, CompressConfig
    from compress_mpi.methods.selection.error_function import build_reference
    from compress_mpi.methods.selection.problem import build_problem, correlation_columns, standardise
    from compress_mpi.workflows.prior import load_prior, plan_prior

    def plan() -> Any:
        config = CompressConfig(pdf=request["pdf"], compressed=(2,), nf=3)
        return plan_prior(config, [Path(folder) for folder in request["folders"]], "auto")

    prior = load_prior(team.on_root(plan), team)
    reference = build_reference(prior.values, PUBLISHED_ESTIMATORS.names, prior.plan.nodes)
    columns = correlation_columns(reference)
    z = team.shared((len(prior.values), len(standardise(prior.values[:1], reference)[0])))
    zc = team.shared((len(prior.values), len(columns)))
    z.fill(lambda rows: _set(z.array, rows, standardise(prior.values[rows.start : rows.stop], reference)))
    zc.fill(lambda rows: _set(zc.array, rows, z.array[rows.start : rows.stop][:, columns]))
    return build_problem(z.array, zc.array, reference), reference.names


def _set(array: Any, rows: range, values: Any) -> None:
    array[rows.start : rows.stop] = values


def _trials(team: Any, problem: Any, request: dict[str, Any]) -> list[float]:
    from compress_mpi.methods.selection.normalisation import random_distances

    seconds = []
    random_distances(problem, request["n_select"], team.size, 0, team)
    for repeat in range(request["repeats"]):
        team.wait()
        began = time.perf_counter()
        random_distances(problem, request["n_select"], request["count"], repeat, team)
        seconds.append(time.perf_counter() - began)
    return seconds


def _search(team: Any, problem: Any, names: Any, request: dict[str, Any]) -> list[tuple[int, float, float]]:
    from compress_mpi.methods.selection.normalisation import normalisation, random_distances
    from compress_mpi.methods.selection.search import IslandSearch, search_settings, warm_up
    from compress_mpi.parallel.serial import SerialTeam
    from compress_mpi.types import ESTIMATORS

    columns = [ESTIMATORS.index(name) for name in names]
    random = random_distances(problem, request["n_select"], _TRIALS, _SEED, team)[:, columns]
    weights = np.zeros(len(ESTIMATORS))
    weights[columns] = 1.0 / (len(names) * normalisation(random, names))
    found = []
    for repeat in range(request["repeats"]):
        settings = search_settings("tempering", request["n_select"], request["count"], repeat)
        warm_up(settings, problem, weights, SerialTeam(1))
        search = IslandSearch(settings, problem, weights, team)
        team.wait()
        began, busy = time.perf_counter(), time.process_time()
        while search.why_done is None:
            search.advance()
        wall, busy = time.perf_counter() - began, time.process_time() - busy
        total = sum(team.exchange({team.rank: busy}).values())
        found.append((search.evaluations, wall, total))
    return found


def _program() -> int:
    request = json.loads(sys.argv[1])
    team = world_team()
    problem, names = _case(team, request)
    if request["what"] == "trials":
        answer: Any = _trials(team, problem, request)
    else:
        answer = _search(team, problem, names, request)
    if team.rank == 0:
        print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(_program))
