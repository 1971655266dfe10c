"""How sizes and ranks are divided: laws of a pure function."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from compress_mpi.workflows.sizes import Work, divide, idle_ranks, pack, predicted, share, work_of

works = st.lists(
    st.builds(
        Work,
        trials=st.floats(0.0, 1e6),
        search=st.floats(1.0, 1e8),
        islands=st.integers(1, 64),
        most=st.integers(1, 400),
    ),
    min_size=1,
    max_size=9,
)
costs = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=12)


def ending(works, shares):
    return max(sum(predicted(works[p], len(one.ranks)) for p in one.sizes) for one in shares if one.sizes)


@given(works, st.integers(1, 300))
def test_every_size_and_every_rank_once(works, ranks):
    shares = share(works, ranks)
    assert sorted(p for one in shares for p in one.sizes) == list(range(len(works)))
    assert [rank for one in shares for rank in one.ranks] == list(range(ranks))
    assert all(len(one.ranks) for one in shares)
    assert all(one.sizes for one in shares[:-1])


@given(works, st.integers(1, 300))
def test_ranks_are_idle_only_where_no_more_can_be_used(works, ranks):
    shares = share(works, ranks)
    for one in shares:
        if one.sizes:
            most = max(works[p].most for p in one.sizes)
            assert len(one.ranks) <= max(1, most)
            if idle_ranks(shares):
                assert len(one.ranks) == most


@given(works, st.integers(1, 60))
def test_never_slower_than_one_after_the_other_or_all_side_by_side(works, ranks):
    end = ending(works, share(works, ranks))
    most = max(work.most for work in works)
    alone = sum(predicted(work, min(ranks, most)) for work in works)
    assert end <= alone * (1 + 1e-12)
    if ranks >= len(works):
        counts = divide([[work] for work in works], ranks)
        side_by_side = max(predicted(work, n) for work, n in zip(works, counts, strict=True))
        assert end <= side_by_side * (1 + 1e-12)


@given(costs, st.integers(1, 12))
def test_groups_are_balanced_as_longest_first_promises(costs, groups):
    groups = min(groups, len(costs))
    packed = pack(costs, groups)
    assert sorted(p for group in packed for p in group) == list(range(len(costs)))
    assert len(packed) == groups
    assert all(packed)
    loads = [sum(costs[p] for p in group) for group in packed]
    assert max(loads) <= sum(costs) / groups + max(costs) * (1 - 1 / groups) + 1e-6


@given(st.lists(st.integers(1, 50), min_size=2, max_size=3), st.integers(2, 9))
def test_ranks_are_divided_as_well_as_can_be(costs, ranks):
    """Against every other division, with islands enough to hand every rank its part."""
    ranks = max(ranks, len(costs))
    groups = [[Work(float(cost), 0.0, 1, 10**6)] for cost in costs]

    def end(counts):
        return max(predicted(g[0], n) for g, n in zip(groups, counts, strict=True))

    every = itertools.product(range(1, ranks + 1), repeat=len(costs))
    best = min(end(counts) for counts in every if sum(counts) == ranks)
    counts = divide(groups, ranks)
    assert sum(counts) == ranks
    assert end(counts) <= best * (1 + 1e-12)


def test_larger_sizes_cost_more_and_a_rank_count_does_not_enter():
    small, large = (work_of(n, 1000, 100_000, 16, 640) for n in (20, 200))
    assert small.total < large.total
    assert (small.islands, small.most) == (16, 640)


def test_many_ranks_are_split_in_proportion_and_few_work_together():
    works = [work_of(n, 1000, 1_200_000, 16, 640) for n in (20, 50, 400)]
    many = share(works, 128)
    assert [one.sizes for one in many] == [(0,), (1,), (2,)]
    assert len(many[0].ranks) <= len(many[1].ranks) < len(many[2].ranks)
    # sixteen islands each fall into halves without a remainder, three sizes do not
    assert [one.sizes for one in share(works, 2)] == [(0, 1, 2)]
    even = [work_of(50, 1000, 1_200_000, 16, 640)] * 4
    assert [one.sizes for one in share(even, 2)] == [(0, 2), (1, 3)]
    assert [len(one.ranks) for one in share(even, 4)] == [1, 1, 1, 1]
