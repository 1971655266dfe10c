"""Real mpirun of small programs, each started as plain Python."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli_tools import wait_for
from mpirun import descendants, kill_job, mpirun, start_mpirun

pytestmark = pytest.mark.mpi

PROGRAMS = Path(__file__).parent / "programs"
REFUSAL = "NNPDF.info: ErrorType: expected replicas, got hessian"


def run(n, program, *arguments, env=None, timeout=60, before=()):
    argv = [sys.executable, *before, PROGRAMS / program, *map(str, arguments)]
    return mpirun(n, argv, cwd=PROGRAMS, env=env, timeout=timeout)


def is_python(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(sys.executable.encode())


def commands():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # ended meanwhile
            yield path.read_bytes()


@pytest.fixture(scope="module")
def serial_laws():
    done = subprocess.run([sys.executable, PROGRAMS / "laws.py"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["text"]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_every_exchange_gives_the_same_at_any_size(n, serial_laws):
    done = run(n, "laws.py")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["text"] == serial_laws
    assert report["size"] == n
    assert report["nodes"] == [[rank, n, 1] for rank in range(n)]


def test_pretended_nodes_hold_the_same_laws(serial_laws):
    done = run(5, "laws.py", env={"COMPRESS_MPI_RANKS_PER_NODE": "2"})
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert report["text"] == serial_laws
    assert report["nodes"] == [[0, 2, 3], [1, 2, 3], [0, 2, 3], [1, 2, 3], [0, 1, 3]]


@pytest.fixture(scope="module")
def healthy_seconds():
    """What a job costs that has nothing to do: the machine may be busy with other work."""
    start = time.monotonic()
    assert run(3, "connected.py").returncode == 0
    return time.monotonic() - start


@pytest.mark.parametrize(
    ("where", "culprit", "code", "message"),
    [
        ("map", 2, 3, REFUSAL),
        ("map_rows", 2, 3, REFUSAL),
        ("map_rows", -1, 3, REFUSAL),
        ("on_root", 0, 3, REFUSAL),
        ("in_turn", 1, 3, REFUSAL),
        ("shared", 1, 3, REFUSAL),
        ("split", -1, 3, f"on rank 0: {REFUSAL}"),
        ("plain", 0, 3, f"on rank 0: {REFUSAL}"),
        ("plain", 2, 3, f"on rank 2: {REFUSAL}"),
        ("plain", -1, 3, f"on rank 0: {REFUSAL}"),
        ("memory", 1, 1, "on rank 1: out of memory"),
        ("interrupt", 1, 130, "on rank 1: interrupted"),
        ("exit", 2, 9, "on rank 2: the program stopped with 9"),
        ("exit", -1, 9, "on rank 0: the program stopped with 9"),
        ("early", 1, 3, "on rank 1: disk of one node is gone"),
    ],
)
def test_one_failure_ends_all_ranks_with_one_message(where, culprit, code, message, healthy_seconds):
    start = time.monotonic()
    done = run(3, "failures.py", where, culprit, timeout=15)
    seconds = time.monotonic() - start
    separator = " " if message.startswith("on rank") else ": "
    assert done.stderr == f"compress-mpi: error{separator}{message}\n"
    assert done.returncode == code
    assert seconds < healthy_seconds + 5


@pytest.mark.parametrize(("where", "culprit"), [("bug", 1), ("together-bug", 2), ("thread", 1)])
def test_a_bug_ends_all_ranks_and_shows_where_it_is(where, culprit):
    done = run(3, "failures.py", where, culprit, timeout=15)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[-1] == f"compress-mpi: error on rank {culprit}: ZeroDivisionError: nobody expected this"
    assert done.stderr.count("Traceback") == 1
    assert "in bug" in done.stderr


def test_failures_under_the_mpi4py_runner_are_no_different():
    done = run(2, "failures.py", "map", 1, before=["-m", "mpi4py"], timeout=15)
    assert (done.returncode, done.stderr) == (3, f"compress-mpi: error: {REFUSAL}\n")


def test_traceback_of_a_refusal_on_request():
    done = run(2, "failures.py", "map", 1, env={"COMPRESS_MPI_TRACEBACK": "1"}, timeout=15)
    assert done.returncode == 3
    assert "raised on rank 1" in done.stderr
    assert "in refuse" in done.stderr


@pytest.mark.parametrize("before", [[], ["-m", "mpi4py"]])
def test_requeue_code_survives_and_nobody_calls_it_an_abort(before):
    done = run(3, "failures.py", "requeue", 0, before=before, timeout=15)
    assert (done.returncode, done.stderr) == (85, "")


def test_a_killed_rank_takes_the_others_along():
    job = start_mpirun(3, [sys.executable, PROGRAMS / "failures.py", "nothing", "0"], cwd=PROGRAMS)
    try:
        time.sleep(1.5)
        ranks = [pid for pid in descendants(job.pid) if is_python(pid)]
        assert len(ranks) == 3
        os.kill(ranks[-1], signal.SIGKILL)
        assert job.wait(timeout=10) != 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in ranks)
    finally:
        kill_job(job)
        job.communicate(timeout=10)


def test_foreign_launcher_is_refused_once():
    said = []
    for rank in range(4):
        done = subprocess.run(
            [sys.executable, PROGRAMS / "connected.py"],
            env={**os.environ, "PMI_SIZE": "4", "PMI_RANK": str(rank)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 6
        said.append(done.stderr)
    assert said[0].startswith("compress-mpi: error: launcher: 4 processes were started")
    assert said[0].count("\n") == 1
    assert said[1:] == ["", "", ""]


def test_missing_mpi_serves_one_process_and_refuses_many(tmp_path):
    (tmp_path / "mpi4py.py").write_text("raise ImportError('no mpi4py here')\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, PROGRAMS / "connected.py"]
    alone = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)
    assert (alone.returncode, alone.stdout) == (0, "SerialTeam 0 1\n")
    many = mpirun(2, command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, timeout=30)
    assert many.returncode == 6
    assert "no MPI library can be loaded (no mpi4py here)" in many.stderr
    assert many.stderr.count("compress-mpi: error") == 1


def test_bad_pretended_nodes_are_refused():
    done = run(2, "connected.py", env={"COMPRESS_MPI_RANKS_PER_NODE": "two"}, timeout=20)
    assert done.returncode == 6
    assert "COMPRESS_MPI_RANKS_PER_NODE: expected a positive whole number, got 'two'" in done.stderr
    assert done.stderr.count("compress-mpi: error") == 1


@pytest.mark.alone
def test_waiting_ranks_sleep_and_short_waits_stay_short():
    done = run(4, "waiting.py")
    report = json.loads(done.stdout)
    for kind in ("wait", "on_root"):
        assert max(report[kind][1:]) < 0.4 * 1.5, report
    # Generous, as these ranks share two cores with other work; alone it is 0.1 ms.
    assert report["on_root_latency"] < 0.02
    assert report["map_rows_latency"] < 0.05
    assert report["imported"] == []


def test_signal_to_mpirun_reaches_the_flag_on_every_rank():
    job = start_mpirun(3, [sys.executable, PROGRAMS / "signalled.py"], cwd=PROGRAMS)
    try:
        assert job.stdout.readline() == "ready\n"
        job.send_signal(signal.SIGUSR1)
        out, err = job.communicate(timeout=20)
        assert out == "['SIGUSR1', 'SIGUSR1', 'SIGUSR1']\n"
        assert (job.returncode, err) == (85, "")
    finally:
        kill_job(job)


def test_timeout_of_the_helper_leaves_no_process_behind(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        mpirun(2, ["sleep", "4321"], cwd=tmp_path, timeout=1.5)
    # killed processes take a moment to go where the machine is busy
    wait_for(lambda: not any(b"sleep\x004321" in command for command in commands()), timeout=5)
