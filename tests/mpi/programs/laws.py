"""Every exchange of a team against its plain definition; prints one line that may not depend on the ranks."""

from __future__ import annotations

import json
import os
import sys
import time

from compress_mpi.parallel.launcher import prepare_environment

prepare_environment()

import numpy as np  # noqa: E402

from compress_mpi.parallel.abort import run_guarded  # noqa: E402
from compress_mpi.parallel.team import world_team  # noqa: E402
from compress_mpi.parallel.threads import threads_per_rank  # noqa: E402


def check(condition, *details):
    if not condition:
        raise AssertionError(details)


def raised(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return error
    raise AssertionError("no error was raised")


def square(task):
    # Early tasks finish last: order must come from the task number, not from time.
    time.sleep(0.002 * (10 - task))
    return {"task": task, "square": np.float64(task) ** 2}


def rows(block):
    values = np.arange(3.0) + np.array(block, dtype=float)[:, None] * 0.1
    values[np.array(block) == 4] = [np.nan, -0.0, np.inf]
    return values


def fails_from(first, kind=ValueError):
    def function(task):
        if task >= first:
            raise kind(f"task {task}")
        return task

    return function


def fails_on(rank, team, error):
    def function(*_):
        if team.rank == rank:
            raise error
        return np.zeros((len(_[0]), 3)) if _ and isinstance(_[0], range) else team.rank

    return function


class Local(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def exchanges(team):
    tasks = list(range(10))
    serial = [square(task) for task in tasks]
    check(team.map(square, tasks) == serial)
    check(team.map(square, tasks, threads=3) == serial)
    check(team.map(square, []) == [])
    for n_tasks in (0, 1, 2, 10):
        got = team.map_rows(rows, n_tasks, 3)
        want = rows(range(n_tasks)) if n_tasks else np.empty((0, 3))
        check(got.tobytes() == want.tobytes() and got.shape == (n_tasks, 3), n_tasks, got)
    check(team.map_rows(rows, 10, 3).flags.writeable)
    mine = np.array([team.rank, -team.rank, 0.0 if team.rank else -0.0, 1.0, np.inf])
    if team.rank == team.size - 1:
        mine[3] = np.nan
    low = team.min(mine)
    want = np.array([0.0, -(team.size - 1.0), -0.0, np.nan, np.inf])
    check(np.array_equal(low, want, equal_nan=True) and np.signbit(low[2]), low)
    check(team.any(team.rank == team.size - 1) is True and team.any(False) is False)
    check(team.on_root(lambda: (team.rank, os.getpid()))[0] == 0)
    check(len(set(team.map(lambda _: team.on_root_pid, range(team.size)))) == 1)
    union = team.exchange({2 * team.size - team.rank: team.rank, -1: f"member {team.rank}"})
    check(list(union) == sorted(union) and len(union) == team.size + 1 and union[-1] == "member 0", union)
    check(team.together(lambda: team.rank) == team.rank)
    return repr(serial) + repr(team.map_rows(rows, 10, 3).tolist())


def turns(team):
    clock = team.in_turn(time.monotonic)
    times = team.exchange({team.rank: (clock, team.node_rank)})
    order = [0 if rank == 0 else 1 if node_rank == 0 else 2 for rank, (_, node_rank) in times.items()]
    for early, late in ((0, 1), (0, 2), (1, 2)):
        before = [moment for turn, (moment, _) in zip(order, times.values(), strict=True) if turn == early]
        after = [moment for turn, (moment, _) in zip(order, times.values(), strict=True) if turn == late]
        check(not before or not after or max(before) <= min(after), early, late)


def errors(team):
    last = team.size - 1
    error = raised(team.map, fails_from(3), range(10))
    check(type(error) is ValueError and str(error) == "task 3", error)
    error = raised(lambda: team.map(fails_from(3), range(10), threads=4))
    check(str(error) == "task 3", error)
    for call in (
        lambda function: team.map(function, range(team.size)),
        lambda function: team.map_rows(lambda block: function(block), max(team.size, 2), 3),
        team.in_turn,
        team.together,
    ):
        error = raised(call, fails_on(last, team, KeyError("there")))
        check(type(error) is KeyError and error.args == ("there",), error)
        if team.size == 1:
            continue
        check(error.collective is True)
        check(f"raised on rank {last}" in "".join(error.__notes__), error.__notes__)
    error = raised(team.on_root, fails_on(0, team, OSError(28, "No space left", "/x")))
    check(isinstance(error, OSError) and error.errno == 28 and error.filename == "/x", error)
    if team.size > 1:
        error = raised(team.together, fails_on(last, team, Local("this", "that")))
        check("Local: this and that" in str(error) and isinstance(error, RuntimeError), error)
        error = raised(team.on_root, lambda: lambda: None)
        check("pickle" in str(error) and error.collective, error)
        error = raised(team.map, lambda task: lambda: task, range(team.size))
        check("pickle" in str(error), error)
    error = raised(team.map_rows, lambda block: np.zeros((len(block), 2)), 2 * team.size, 3)
    check("expected rows of shape" in str(error), error)
    # After all that the team still works.
    check(team.map(abs, [-1, -2]) == [1, 2])


def parts(team):
    for n_tasks in (1, 2, 3, 8):
        tasks, part = team.split(n_tasks)
        everyone = team.exchange({team.rank: (list(tasks), part.size)})
        sizes = [size for _, size in everyone.values()]
        counts = [len(own) for own, _ in everyone.values()]
        check(sorted({task for own, _ in everyone.values() for task in own}) == list(range(n_tasks)))
        check(max(sizes) - min(sizes) <= 1 and max(counts) - min(counts) <= 1, n_tasks, everyone)
        check(part.size == 1 or n_tasks < team.size)
        check(part.map(square, [2, 1]) == [square(2), square(1)])
        check(part.on_root(lambda own=tasks: own) == tasks)
        if part.size > 1:
            check(raised(part.together, fails_on(0, part, ValueError("x"))).collective is (n_tasks == 1))
        part.close()


def shared(team):
    shape = (131, 2, 3)
    want = np.random.default_rng(1).normal(size=shape)
    want[7, 0, 0], want[8, 1, 1], want[130, 0, 2] = -0.0, np.inf, np.nan
    want.view(np.int64)[99, 0, 0] = 0x7FF8_0000_DEAD_BEEF
    with team.shared(shape) as whole:
        owned = team.exchange({team.rank: (whole.rows.start, whole.rows.stop)})
        numbers = [row for start, stop in owned.values() for row in range(start, stop)]
        check(numbers == list(range(131)), owned)
        check(sum(start < stop for start, stop in owned.values()) <= 131 // 32, owned)

        def write(rows):
            whole.array[rows.start : rows.stop] = want[rows.start : rows.stop]

        whole.fill(write)
        check(whole.array.tobytes() == want.tobytes())
        check(not whole.array.flags.writeable)
    with team.shared((3, 2), np.int64) as small:
        small.publish()
        check(small.array.tolist() == [[0, 0]] * 3)
    broken = team.shared((64,))
    owners = [rank for rank, rows in team.exchange({team.rank: len(broken.rows)}).items() if rows]
    error = raised(broken.fill, fails_on(owners[-1], team, ValueError("member 9 is damaged")))
    check(str(error) == "member 9 is damaged")
    broken.free()


def program():
    team = world_team()
    team.on_root_pid = team.on_root(os.getpid)
    text = exchanges(team)
    turns(team)
    errors(team)
    parts(team)
    shared(team)
    check(threads_per_rank(team, 3) == 3 and threads_per_rank(team) >= 1)
    nodes = team.exchange({team.rank: (team.node_rank, team.node_size, team.n_nodes)})
    team.wait()
    team.close()
    if team.rank == 0:
        print(json.dumps({"text": text, "nodes": list(nodes.values()), "size": team.size}))
    return 0


if __name__ == "__main__":
    sys.exit(run_guarded(program))
