"""Who works on which size: several sizes of one launch, shared among the ranks by their cost.

Everything here is arithmetic on a small model, without a clock: the same runcard on
the same number of ranks is always divided alike. The division touches the time only;
each size gives the answer that it gives alone.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Share", "Work", "divide", "idle_ranks", "pack", "predicted", "share", "work_of"]

# Measured on the demo prior, in units of one evaluation of a small subset (about 25 microseconds).
_EVALUATION, _EVALUATION_PER_REPLICA = 1.0, 1 / 400
_TRIAL, _TRIAL_PER_REPLICA = 2.0, 1 / 16
_WAITING = 0.03
"""Part of the time that the ranks of a team lose to each other with every doubling of their number."""
_BEYOND_ISLANDS = 0.5
"""What a rank that shares an island is worth, in ranks that have islands of their own."""


@dataclass(frozen=True)
class Work:
    """Cost of one size.

    Attributes
    ----------
    trials, search : float
        Of the normalisation and of the search, in evaluations of a small subset.
    islands : int
        Pieces into which the search falls.
    most : int
        Ranks that can take part; more would find nothing to do.
    """

    trials: float
    search: float
    islands: int
    most: int

    @property
    def total(self) -> float:
        """Cost on one rank."""
        return self.trials + self.search


@dataclass(frozen=True)
class Share:
    """Some sizes, worked through one after the other, and who does it.

    Attributes
    ----------
    ranks : range
    sizes : tuple of int
        Positions in the list of sizes; none for ranks that have nothing to do.
    """

    ranks: range
    sizes: tuple[int, ...]


def work_of(n_rep: int, trials: int, evaluations: int, islands: int, most: int) -> Work:
    """Cost of one size.

    An evaluation of the search takes a + b N: it goes through all points, and the
    distribution estimators through the members. A random subset is summed up
    from nothing.

    Parameters
    ----------
    n_rep : int
        Size N.
    trials, evaluations : int
        Random subsets and evaluations of the search that are left to do.
    islands, most : int
        See :class:`Work`.
    """
    return Work(
        trials * (_TRIAL + _TRIAL_PER_REPLICA * n_rep),
        evaluations * (_EVALUATION + _EVALUATION_PER_REPLICA * n_rep),
        islands,
        most,
    )


def predicted(work: Work, ranks: int) -> float:
    """Time of one size on so many ranks, in evaluations of a small subset.

    Whole islands go to ranks, so that some ranks may have one more than others;
    ranks beyond the islands help by half; ranks that work together wait for each other.
    """
    useful = min(ranks, work.most)
    if useful <= work.islands:
        speed = work.islands / math.ceil(work.islands / useful)
    else:
        speed = work.islands + _BEYOND_ISLANDS * (useful - work.islands)
    return (work.trials / ranks + work.search / speed) * (1.0 + _WAITING * math.log2(ranks))


def pack(costs: Sequence[float], groups: int) -> list[tuple[int, ...]]:
    """Put things into groups of about equal cost: the dearest first, each to the cheapest group.

    Parameters
    ----------
    costs : sequence of float
    groups : int
        Not more than things.

    Returns
    -------
    list of tuple of int
        Positions in ``costs``, in order; groups are ordered by their first. None is empty.
    """
    filled: list[list[int]] = [[] for _ in range(groups)]
    # of equal loads the one with fewer things: a group without cost is not an empty one
    heap = [(0.0, 0, number) for number in range(groups)]
    for position in sorted(range(len(costs)), key=lambda p: (-costs[p], p)):
        load, held, number = heap[0]
        filled[number].append(position)
        heapq.heapreplace(heap, (load + costs[position], held + 1, number))
    return sorted(tuple(sorted(group)) for group in filled)


def divide(groups: Sequence[Sequence[Work]], ranks: int) -> list[int]:
    """Ranks of each group: one each, then one by one to whichever is predicted to be last.

    Parameters
    ----------
    groups : sequence of sequence of Work
        Sizes that are worked through one after the other.
    ranks : int
        At least as many as groups.

    Returns
    -------
    list of int
        At least 1 each; never more than the sizes of a group can use.
    """
    counts = [1] * len(groups)
    most = [max(work.most for work in group) for group in groups]
    heap = [(-_seconds(group, 1), number) for number, group in enumerate(groups)]
    heapq.heapify(heap)
    for _ in range(ranks - len(groups)):
        while heap and counts[heap[0][1]] >= most[heap[0][1]]:
            heapq.heappop(heap)
        if not heap:
            break
        number = heap[0][1]
        counts[number] += 1
        heapq.heapreplace(heap, (-_seconds(groups[number], counts[number]), number))
    return counts


def share(works: Sequence[Work], ranks: int) -> list[Share]:
    """Divide sizes and ranks: the division that is predicted to end first.

    Of every possible number of groups, sizes are packed into groups of about equal
    cost, and the ranks divided among the groups. As many groups as sizes means all sizes
    side by side, one group means all ranks on one size after the other. Among equals
    more groups win, as smaller teams talk less.

    Parameters
    ----------
    works : sequence of Work
        One per size.
    ranks : int

    Returns
    -------
    list of Share
        Every rank and every size once, ranks in order. A last share without sizes
        holds the ranks that have nothing to do.
    """
    if not works:
        return [Share(range(ranks), ())]
    candidates = (_shares(works, groups, ranks) for groups in range(min(ranks, len(works)), 0, -1))
    return min(candidates, key=lambda shares: _ending(works, shares))


def idle_ranks(shares: Sequence[Share]) -> int:
    """How many ranks have nothing to do."""
    return sum(len(one.ranks) for one in shares if not one.sizes)


def _shares(works: Sequence[Work], n_groups: int, ranks: int) -> list[Share]:
    groups = pack([work.total for work in works], n_groups)
    shares, start = [], 0
    for group, count in zip(groups, divide([[works[p] for p in g] for g in groups], ranks), strict=True):
        shares.append(Share(range(start, start + count), group))
        start += count
    return shares if start == ranks else [*shares, Share(range(start, ranks), ())]


def _seconds(group: Sequence[Work], ranks: int) -> float:
    return sum(predicted(work, ranks) for work in group)


def _ending(works: Sequence[Work], shares: Sequence[Share]) -> float:
    return max(_seconds([works[p] for p in one.sizes], len(one.ranks)) for one in shares if one.sizes)
