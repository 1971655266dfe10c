"""Distances at points that were not fitted."""

from __future__ import annotations

import numpy as np
import pytest

from compress_mpi.methods.polish.held_out import held_out, product_pairs
from selection_tools import made_up_prior


@pytest.fixture(scope="module")
def prior():
    return made_up_prior(n_rep=200)


def test_the_prior_is_at_no_distance_from_itself(prior):
    assert max(held_out(prior, prior).as_dict().values()) < 1e-12


def test_each_figure_sees_what_it_is_for(prior):
    scale = prior.std(axis=0, ddof=1)
    centre = prior.mean(axis=0)
    shifted = held_out(prior + 0.1 * scale, prior)
    assert shifted.mean == pytest.approx(0.1)
    assert shifted.quantiles == pytest.approx(0.1)
    assert shifted.stdev == pytest.approx(0.0, abs=1e-12)
    assert shifted.correlation == pytest.approx(0.0, abs=1e-12)
    wider = held_out(centre + 1.2 * (prior - centre), prior)
    assert wider.stdev == pytest.approx(0.2)
    assert wider.mean == pytest.approx(0.0, abs=1e-12)
    assert wider.products > 0.1
    rng = np.random.default_rng(1)
    mixed = np.stack([rng.permutation(column) for column in prior.reshape(200, -1).T], axis=1)
    broken = held_out(mixed, prior)
    assert broken.correlation > 0.1
    assert max(broken.mean, broken.stdev, broken.quantiles) < 1e-12


def test_points_without_spread_do_not_count(prior):
    more = np.concatenate([prior, np.full((200, 1, 10), 3.0)], axis=1)
    a, b = held_out(prior[:20], prior), held_out(more[:20], more)
    assert a == b
    with pytest.raises(ValueError, match="spread"):
        held_out(np.ones((3, 4)), np.ones((9, 4)))


def test_pairs_are_spread_evenly():
    pairs = product_pairs(100, 600)
    assert pairs.min() >= 0
    assert pairs.max() < 100
    assert len(np.unique(pairs, axis=0)) > 560
    counts, _, _ = np.histogram2d(*pairs.T, bins=5, range=[[0, 100]] * 2)
    assert counts.min() > 15
