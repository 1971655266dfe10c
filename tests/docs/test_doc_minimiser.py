"""The example of a new minimiser in the manual is one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from doc_blocks import ROOT, blocks_of

from compress_mpi.methods.selection import search
from compress_mpi.parallel.serial import SerialTeam
from selection_tools import made_up_prior, made_up_problem, made_up_weights, settings


@pytest.fixture
def new_search(monkeypatch: pytest.MonkeyPatch) -> Any:
    reference, problem = made_up_problem(made_up_prior())
    weights = made_up_weights(problem, reference, 8)
    code = next(b.text for b in blocks_of(ROOT / "docs/contributing.rst") if b.language == "python")
    names: dict[str, Any] = {}
    exec(code, names)
    monkeypatch.setattr(search, "MINIMISERS", {"random": names["RandomIsland"]})
    return lambda: search.IslandSearch(settings("random"), problem, weights, SerialTeam())


def test_it_finds_better_subsets_and_no_duplicates(new_search: Any) -> None:
    job = new_search()
    first = min(island.best for island in job.islands.values())
    while not job.done:
        job.advance()
    assert np.all(np.diff(np.concatenate(job.history)) <= 0)
    assert job.best()[0] < first
    assert len(set(job.best()[1])) == 8
    assert job.evaluations == 3 * 450


def test_it_restarts_exactly(new_search: Any) -> None:
    whole, begun, continued = new_search(), new_search(), new_search()
    for _ in range(3):
        begun.advance()
    continued.restore(begun.state(), np.concatenate(begun.history))
    for job in (whole, continued):
        while not job.done:
            job.advance()
    assert continued.best()[0] == whole.best()[0]
    assert np.array_equal(np.concatenate(continued.history), np.concatenate(whole.history))
