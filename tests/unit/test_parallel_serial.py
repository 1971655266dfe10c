from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from compress_mpi.errors import CompressError
from compress_mpi.parallel import shared, threads
from compress_mpi.parallel.outcome import Attempt, with_origin
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.parallel.shared import SharedArray
from compress_mpi.parallel.threads import run_tasks, threads_per_rank


def test_map_keeps_task_order_in_threads():
    def slow_first(task):
        time.sleep(0.01 * (5 - task))
        return task, threading.current_thread().name

    results = SerialTeam().map(slow_first, range(5), threads=5)
    assert [task for task, _ in results] == list(range(5))
    assert len({name for _, name in results}) == 5


@pytest.mark.parametrize("n_threads", [1, 4])
def test_first_failing_task_wins(n_threads):
    def late_but_lower(task):
        time.sleep(0.02 if task == 2 else 0)
        if task >= 2:
            raise ValueError(f"task {task}")
        return task

    results, position, error = run_tasks(late_but_lower, range(6), n_threads)
    assert (results, position, str(error)) == ([0, 1], 2, "task 2")
    with pytest.raises(ValueError, match="task 2"):
        SerialTeam().map(late_but_lower, range(6), threads=n_threads)


def test_tasks_after_a_failure_are_not_run():
    seen = []

    def fail_at_once(task):
        seen.append(task)
        raise ValueError

    run_tasks(fail_at_once, range(100))
    assert seen == [0]


def test_map_rows_checks_the_shape():
    team = SerialTeam()
    assert team.map_rows(lambda block: np.array([[task] * 2 for task in block]), 3, 2).tolist() == [
        [0, 0],
        [1, 1],
        [2, 2],
    ]
    assert team.map_rows(lambda block: np.zeros((9, 9)), 0, 2).shape == (0, 2)
    with pytest.raises(ValueError, match=r"expected rows of shape \(3, 2\), got \(3,\)"):
        team.map_rows(lambda block: np.zeros(3), 3, 2)


def test_the_rest_is_the_identity():
    team = SerialTeam(cores_share=3)
    values = np.array([1.0, np.nan, -0.0])
    lowest = team.min(values)
    assert lowest.tobytes() == values.tobytes()
    assert lowest is not values
    assert team.any(True) is True
    assert team.on_root(lambda: 7) == team.in_turn(lambda: 7) == team.together(lambda: 7) == 7
    assert list(team.exchange({3: "c", 1: "a"}).items()) == [(1, "a"), (3, "c")]
    assert team.split(5) == (range(5), team)
    team.wait()
    team.close()
    with pytest.raises(SystemExit) as info:
        team.abort(4)
    assert info.value.code == 4


def test_shared_array_of_one():
    with SerialTeam().shared((4, 2)) as whole:
        assert whole.rows == range(4)
        assert not whole.array.any()

        def write(rows):
            whole.array[rows.start : rows.stop] = 1.5

        whole.fill(write)
        assert whole.array.sum() == 12.0
        with pytest.raises(ValueError, match="read-only"):
            whole.array[0, 0] = 2.0
    assert whole.array.size == 0


def test_shared_array_needs_an_axis():
    with pytest.raises(ValueError, match="at least one axis"):
        SharedArray(())


def test_a_failure_inside_leaves_the_memory_to_the_abort():
    with pytest.raises(KeyError), SerialTeam().shared((2,)) as whole:
        raise KeyError("one rank only")
    assert whole.array.size == 2


def test_no_room_in_shared_memory_is_told_before_it_kills(tmp_path):
    shared._check_room(1, folder=str(tmp_path))
    shared._check_room(2**60, folder=str(tmp_path / "absent"))
    with pytest.raises(CompressError, match=r"MiB are needed in .* MiB are free"):
        shared._check_room(2**60, folder=str(tmp_path))


def test_threads_per_rank(monkeypatch):
    monkeypatch.setattr(threads.sys, "modules", {})
    team = SerialTeam(cores_share=6)
    assert threads_per_rank(team) == 6
    assert threads_per_rank(team, 2) == 2
    assert threads_per_rank(team, 0) == 6


def test_loaded_numba_is_told_within_its_limit(monkeypatch):
    class Numba:
        class config:
            NUMBA_NUM_THREADS = 4

        told: tuple[int, ...] = ()

        @classmethod
        def set_num_threads(cls, n):
            cls.told = (*cls.told, n)

    monkeypatch.setitem(threads.sys.modules, "numba", Numba)
    assert threads_per_rank(SerialTeam(cores_share=8)) == 8
    assert threads_per_rank(SerialTeam(cores_share=8), 3) == 3
    assert Numba.told == (4, 3)


def test_attempt_keeps_errors_and_lets_exits_go():
    with Attempt() as attempt:
        raise ValueError("kept")
    assert str(attempt.error) == "kept"
    with pytest.raises(SystemExit), Attempt():
        raise SystemExit(3)
    with Attempt() as attempt:
        pass
    assert attempt.error is None


def test_origin_is_noted_once():
    error = with_origin(with_origin(ValueError("x"), 3), 5)
    assert error.raised_on == 3
    assert len(error.__notes__) == 1
