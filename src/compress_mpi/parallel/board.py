"""What the parts of a job tell each other: that they have to stop, and how far they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from compress_mpi.parallel.signals import StopSignals

__all__ = ["STOP_REASONS", "Board", "Order"]

STOP_REASONS = ("time_limit", *(number.name for number in StopSignals.SIGNALS))

_STOP, _PROGRESS = 1, 2
_SECONDS_BETWEEN_NOTES = 2.0
_SECONDS_BETWEEN_LINES = 10.0


class Order(int):
    """What all ranks of a part do next; of several wishes the largest number wins."""

    GO_ON = 0
    CHECKPOINT = 1

    @classmethod
    def stop(cls, reason: str) -> Order:
        """The order to stop for one of ``STOP_REASONS``."""
        return cls(2 + STOP_REASONS.index(reason))

    @property
    def reason(self) -> str | None:
        """Why to stop, or None: then nobody has to."""
        return STOP_REASONS[self - 2] if self >= 2 else None


class Board:
    """This rank's view of the whole job, from inside its part.

    Parameters
    ----------
    mailbox : Mailbox or SerialMailbox
        Among all ranks of the job.
    rank : int
        In the job.
    leaders : sequence of int
        Rank in the job of the first member of each part; the part it leads listens through it.
    signals : StopSignals
    deadline : float
        Time of the monotonic clock at which leaders want to stop.
    sizes : sequence of int
        What the parts work on, for the progress.
    say : callable, optional
        Takes a line of progress where this rank waits for the others; None: be quiet.

    Attributes
    ----------
    order : Order
        What this part agreed on last.
    """

    def __init__(
        self,
        mailbox: Any,
        rank: int,
        leaders: Sequence[int],
        signals: StopSignals,
        deadline: float,
        sizes: Sequence[int],
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._mailbox, self._rank, self._leaders = mailbox, rank, tuple(leaders)
        self._signals, self._deadline, self._say = signals, deadline, say
        self._permille = dict.fromkeys(sizes, 0)
        self.order = Order(Order.GO_ON)
        self._heard: Order | None = None
        self._told = False
        self._noted = self._said = time.monotonic()

    @property
    def leads(self) -> bool:
        """Whether this rank speaks for its part."""
        return self._rank in self._leaders

    @property
    def speaks(self) -> bool:
        """Whether this rank speaks for the job."""
        return self._rank == 0

    def wish(self) -> Order:
        """What this rank wants, or has been told by another part; not collective, does not wait."""
        self._listen(self._mailbox.receive())
        if self._heard is not None:
            return self._heard
        if self._signals.received is not None:
            return Order.stop(self._signals.received)
        if self.leads and time.monotonic() > self._deadline:
            return Order.stop("time_limit")
        return Order(Order.GO_ON)

    def agree(self, team: Any, wish: Order) -> Order:
        """The strongest wish of any rank of a part, told to the other parts if it is to stop.

        Collective over ``team``, this rank's part.
        """
        order = self.order = Order(-team.min(np.array([-float(wish)]))[0])
        if order.reason is not None and self.leads:
            self._tell(order)
        return order

    def report(self, size: int, done: float) -> None:
        """Note how far a size is.

        Parameters
        ----------
        size : int
        done : float
            From 0 to 1.
        """
        if not self.leads or size not in self._permille:
            return
        self._permille[size] = int(1000 * done)
        now = time.monotonic()
        if not self.speaks and (done >= 1 or now - self._noted >= _SECONDS_BETWEEN_NOTES):
            self._noted = now
            self._mailbox.send(0, (_PROGRESS, size, self._permille[size]))

    def label(self, size: int) -> str:
        """What is worked on here, and how far the others are."""
        others = self._others(size)
        return f"compress N={size}" + (f" ({others})" if others else "")

    def meet(self) -> None:
        """Wait for all parts, asleep but with an ear for signals; collective over the job."""
        self._listen(self._mailbox.meet(self._while_waiting))

    def close(self) -> None:
        """Collective, after :meth:`meet`."""
        self._mailbox.close()

    def _while_waiting(self) -> None:
        wish = self.wish()
        if wish.reason is not None:
            self._tell(wish)
        now = time.monotonic()
        if self.speaks and self._say is not None and now - self._said >= _SECONDS_BETWEEN_LINES:
            self._said = now
            self._say(f"compress  {self._others(None)}")

    def _tell(self, order: Order) -> None:
        # who was told has nothing to add: the first to know has told all
        if self._told or self._heard is not None:
            return
        self._told = True
        for leader in self._leaders:
            if leader != self._rank:
                self._mailbox.send(leader, (_STOP, int(order)))

    def _listen(self, notes: Sequence[tuple[int, ...]]) -> None:
        for kind, first, second in notes:
            if kind == _STOP:
                self._heard = max(self._heard or Order(first), Order(first))
            else:
                self._permille[first] = second

    def _others(self, size: int | None) -> str:
        if len(self._permille) < 2:
            return ""
        under_way = [f"N={n}: {p // 10} %" for n, p in self._permille.items() if n != size and 0 < p < 1000]
        done = sum(p == 1000 for p in self._permille.values())
        return ", ".join([*under_way, f"{done} of {len(self._permille)} sizes done"])
