from __future__ import annotations

import errno
import io
import threading

import pytest

from compress_mpi.errors import LaunchError, OutputError, RuncardError
from compress_mpi.parallel import abort
from compress_mpi.parallel.abort import run_guarded
from compress_mpi.parallel.outcome import RemoteError
from compress_mpi.parallel.serial import SerialTeam


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for size, rank in abort.is_first_process.__globals__["_LAUNCHERS"]:
        monkeypatch.delenv(size, raising=False)
        monkeypatch.delenv(rank, raising=False)
    monkeypatch.delenv("COMPRESS_MPI_TRACEBACK", raising=False)


def failing(error):
    def function():
        raise error

    return function


@pytest.mark.parametrize("code", [0, 85])
def test_the_code_of_the_program_comes_back(code, capsys):
    assert run_guarded(lambda: code, SerialTeam()) == code
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            RuncardError("card.yml: compressed: expected a number, got 'x'"),
            2,
            "card.yml: compressed: expected",
        ),
        (OutputError("out.h5: cannot be written"), 5, "out.h5: cannot be written"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 1, "out of memory"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "OSError: [Errno 28] No space left"),
    ],
)
def test_what_a_user_can_cause_is_one_line(error, code, message, capsys):
    assert run_guarded(failing(error)) == code
    said = capsys.readouterr().err
    assert said.startswith(f"compress-mpi: error: {message}")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ZeroDivisionError("why"), "compress-mpi: error: ZeroDivisionError: why"),
        (ZeroDivisionError(), "compress-mpi: error: ZeroDivisionError"),
        (RemoteError("Odd: text"), "compress-mpi: error: Odd: text"),
    ],
)
def test_a_bug_shows_its_traceback_and_ends_with_the_message(error, line, capsys):
    assert run_guarded(failing(error)) == 1
    said = capsys.readouterr().err
    assert said.startswith("Traceback")
    assert said.splitlines()[-1] == line


def test_traceback_on_request(monkeypatch, capsys):
    monkeypatch.setenv("COMPRESS_MPI_TRACEBACK", "1")
    assert run_guarded(failing(RuncardError("x"))) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 2, "words"])
def test_exits_pass_where_nobody_waits(code):
    with pytest.raises(SystemExit) as info:
        run_guarded(failing(SystemExit(code)))
    assert info.value.code == code


def test_only_the_first_of_unconnected_processes_speaks(monkeypatch, capsys):
    monkeypatch.setattr(abort, "is_first_process", lambda: False)
    assert run_guarded(failing(LaunchError("mismatch"))) == 6
    assert capsys.readouterr().err == ""


def test_a_closed_stderr_does_not_change_the_code(monkeypatch):
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    assert run_guarded(failing(RuncardError("x"))) == 2


def test_thread_failures_stay_pythons_business_where_nobody_waits(monkeypatch):
    seen = []
    monkeypatch.setattr(threading, "excepthook", seen.append)

    def program():
        thread = threading.Thread(target=failing(ValueError("in a thread")))
        thread.start()
        thread.join()
        return 0

    before = threading.excepthook
    assert run_guarded(program) == 0
    assert [str(details.exc_value) for details in seen] == ["in a thread"]
    assert threading.excepthook == before


def test_ranks_speak_one_after_the_other():
    waits = [abort._grace(rank) for rank in range(12)]
    assert waits == sorted(set(waits))
    assert waits[0] == 0.0
    assert waits[1] > abort._FORWARDING  # long enough for rank 0 to end the job first
    assert abort._grace(10_000) < 2.0
