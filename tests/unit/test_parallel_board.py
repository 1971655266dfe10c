"""How a request to stop gets around, without MPI: boards on mailboxes made of lists."""

from __future__ import annotations

import os
import signal
import time

import pytest

from compress_mpi.parallel.board import STOP_REASONS, Board, Order
from compress_mpi.parallel.mailbox import SerialMailbox
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.parallel.signals import StopSignals


class Post:
    """A mailbox that delivers at once."""

    def __init__(self, rank: int, boxes: list[list]) -> None:
        self.rank, self.boxes = rank, boxes

    def send(self, to, note):
        assert to != self.rank
        self.boxes[to].append((*note, 0, 0)[:3])

    def receive(self):
        notes, self.boxes[self.rank] = self.boxes[self.rank], []
        return notes

    def meet(self, meanwhile=None):
        meanwhile()
        return self.receive()

    def close(self):
        pass


def boards(leaders=(0, 1, 3), ranks=4, deadline=float("inf"), say=None):
    boxes = [[] for _ in range(ranks)]
    signals = [StopSignals() for _ in range(ranks)]
    made = [Board(Post(r, boxes), r, leaders, signals[r], deadline, (5, 10, 20), say) for r in range(ranks)]
    return made, signals, boxes


def test_orders_keep_their_reasons():
    assert [Order.stop(reason).reason for reason in STOP_REASONS] == list(STOP_REASONS)
    assert "SIGUSR1" in STOP_REASONS
    assert "time_limit" in STOP_REASONS
    assert Order(Order.CHECKPOINT).reason is None
    assert min(Order.stop(reason) for reason in STOP_REASONS) > Order.CHECKPOINT > Order.GO_ON


def test_one_part_stops_all_others_and_nobody_answers():
    made, signals, boxes = boards()
    assert [board.wish() for board in made] == [Order.GO_ON] * 4
    signals[1]._note(signal.SIGUSR1, None)
    assert made[1].agree(SerialTeam(), made[1].wish()).reason == "SIGUSR1"
    assert [len(box) for box in boxes] == [1, 0, 0, 1], "leaders hear of it, once"
    assert made[1].agree(SerialTeam(), made[1].wish()).reason == "SIGUSR1"
    for rank in (0, 3):
        assert made[rank].agree(SerialTeam(), made[rank].wish()).reason == "SIGUSR1"
    assert [len(box) for box in boxes] == [0, 0, 0, 0], "those who were told do not tell again"


def test_a_rank_that_waits_for_the_others_passes_a_signal_on():
    made, signals, _ = boards()
    signals[2]._note(signal.SIGTERM, None)
    made[2].meet()
    for rank in (0, 1, 3):
        assert made[rank].wish().reason == "SIGTERM"


def test_a_deadline_is_for_leaders():
    made, _, _ = boards(deadline=time.monotonic() - 1)
    assert [board.wish().reason for board in made] == ["time_limit", "time_limit", None, "time_limit"]


def test_progress_of_the_others_reaches_the_speaker():
    lines = []
    made, _, _ = boards(say=lines.append)
    made[1]._noted = made[3]._noted = -1e9
    made[1].report(10, 0.414)
    made[3].report(20, 1.0)
    made[2].report(20, 0.5)
    made[0].report(5, 0.2)
    made[0].wish()
    assert made[0].label(5) == "compress N=5 (N=10: 41 %, 1 of 3 sizes done)"
    made[0].report(5, 1.0)
    made[0]._said = -1e9
    made[0].meet()
    assert lines == ["compress  N=10: 41 %, 2 of 3 sizes done"]
    made[1].report(10, 0.5)
    assert made[0].wish() == Order.GO_ON
    assert "41 %" in made[0].label(5), "notes are rare"


def test_alone_with_one_size_the_label_is_plain():
    board = Board(SerialMailbox(), 0, [0], StopSignals(), float("inf"), (50,))
    board.report(50, 0.5)
    board.meet()
    board.close()
    assert board.label(50) == "compress N=50"


def test_a_real_signal_is_seen():
    with StopSignals() as signals:
        board = Board(SerialMailbox(), 0, [0], signals, float("inf"), (50,))
        os.kill(os.getpid(), signal.SIGUSR1)
        assert board.agree(SerialTeam(), board.wish()).reason == "SIGUSR1"
        assert board.order.reason == "SIGUSR1"


def test_a_mailbox_of_one_refuses_notes():
    with pytest.raises(ValueError, match="another rank"):
        SerialMailbox().send(0, (1,))
