"""Stages in processes of their own: success, failure, kill and restart on every side."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cli_tools import wait_for
from compress_mpi.errors import LaunchError
from compress_mpi.launch.donefile import Done, stage_digest, write_done
from compress_mpi.launch.process import is_running
from compress_mpi.launch.runner import Progress, attach, run, submit, wait
from compress_mpi.launch.settings import LaunchSettings
from launch_tools import never, notes, request, stage_command

HERE = LaunchSettings()
DRIVER = Path(__file__).parents[1] / "launch_driver.py"


@pytest.fixture
def folder(tmp_path):
    """Its stage, if any is left, ends with the test."""
    place = tmp_path / "stage"
    yield place
    for pid in processes(place):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes(folder):
    """Processes that have the folder of a stage in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # ended meanwhile
            if os.fsencode(f"{folder}") in path.read_bytes() and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found


def launch(folder, stop=never, settings=HERE, on_progress=None):
    return run(settings, folder, stage_command(folder), stop, on_progress)


def begun(folder):
    return [line for line in notes(folder) if line.startswith("begin")]


def test_a_stage_runs_to_its_end_and_is_not_run_again(folder):
    request(folder, steps=3, nap=0.3)
    seen = []
    assert launch(folder, on_progress=seen.append) == Done(0, "3 steps")
    assert seen[-1].total == 3
    assert [p.done for p in seen] == sorted({p.done for p in seen})
    assert all(p == Progress(p.done, 3, "stepping") for p in seen)
    assert "tiny stage at work" in (folder / "stage.log").read_text()
    assert launch(folder) == Done(0, "3 steps")
    assert len(begun(folder)) == 1


def test_another_request_in_the_same_folder_is_another_stage(folder):
    launch(request(folder, steps=1))
    assert launch(request(folder, steps=2)) == Done(0, "2 steps")


def test_a_failure_gives_message_and_last_lines_and_is_tried_again_by_the_next_launch(folder):
    request(folder, fail=3)
    for attempt in (1, 2):
        with pytest.raises(LaunchError) as failure:
            launch(folder)
        message = str(failure.value)
        assert message.startswith(f"{folder}: stage tiny failed with exit code 3: the GPU is on fire; ")
        assert message.endswith("\n  tiny stage at work\n  a line of the log")
        assert not (folder / "ticket.json").exists()
        assert len(begun(folder)) == attempt


@pytest.mark.parametrize("code", [0, 4])
def test_an_end_without_done_file_is_a_failure_whatever_the_exit_code(folder, code):
    with pytest.raises(LaunchError, match=rf"ended with exit code {code} and without done\.json"):
        launch(request(folder, die=code))


def test_a_program_that_does_not_exist(folder):
    request(folder)
    with pytest.raises(LaunchError, match=r"exit code 127 .*\n.*\n.*no-such-program"):
        run(HERE, folder, ["/no-such-program"], never)


def test_a_killed_stage_is_a_failure_that_says_so(folder):
    request(folder, steps=10**6, nap=0.05)
    killer = threading.Thread(target=kill_when_begun, args=(folder,))
    killer.start()
    with pytest.raises(LaunchError, match=r"is gone and left no done\.json: it was killed"):
        launch(folder)
    killer.join()


def kill_when_begun(folder):
    wait_for(lambda: begun(folder))
    for pid in processes(folder):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_stage_that_stops_with_a_checkpoint_is_started_again_so_often(folder):
    request(folder, steps=5, stop_after=2)
    assert launch(folder, settings=LaunchSettings(restarts=2)) == Done(0, "5 steps")
    assert [line for line in notes(folder) if line.startswith("end 85")] == [
        "end 85 stopped at step 2",
        "end 85 stopped at step 4",
    ]
    request(folder, steps=6, stop_after=2)
    with pytest.raises(LaunchError, match="stopped with a checkpoint 2 times and is not done"):
        launch(folder, settings=LaunchSettings(restarts=1))
    assert launch(folder) == Done(0, "6 steps")


def test_a_request_to_end_ends_the_whole_group(folder):
    request(folder, steps=10**6, nap=0.05, child=True)
    assert launch(folder, lambda: "SIGTERM" if len(notes(folder)) > 2 else None) is None
    child = int(notes(folder)[2].split()[1])
    wait_for(
        lambda: not Path(f"/proc/{child}/cmdline").exists() or not Path(f"/proc/{child}/cmdline").read_bytes()
    )
    assert notes(folder)[-1].endswith("SIGTERM")
    assert processes(folder) == []
    assert attach(HERE, folder) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_an_error_of_the_driver_ends_the_stage(folder, error):
    request(folder, steps=10**6, nap=0.05)

    def fail(progress):
        raise error

    with pytest.raises(error):
        launch(folder, on_progress=fail)
    assert processes(folder) == []


def test_a_driver_that_makes_room_leaves_the_stage_at_work(folder):
    request(folder, steps=30, nap=0.05)
    assert launch(folder, lambda: "SIGUSR1" if begun(folder) else None) is None
    assert processes(folder) != []
    assert launch(folder) == Done(0, "30 steps")
    assert len(begun(folder)) == 1


def test_in_a_batch_job_the_stage_stops_with_a_checkpoint_as_it_would_die_with_the_job(folder, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    request(folder, steps=30, nap=0.05)
    assert launch(folder, lambda: "SIGUSR1" if (folder / "progress.json").exists() else None) is None
    assert processes(folder) == []
    assert notes(folder)[-1].endswith("SIGUSR1")
    assert launch(folder) == Done(0, "30 steps")
    assert len(begun(folder)) == 2


@pytest.mark.parametrize("late", [False, True])
def test_a_driver_killed_at_once_is_followed_by_one_that_attaches(folder, late):
    request(folder, steps=25 if not late else 5, nap=0.05)
    driver = subprocess.Popen([sys.executable, DRIVER, folder], start_new_session=True)
    wait_for(lambda: begun(folder))
    driver.kill()
    driver.wait()
    if late:
        wait_for(lambda: not processes(folder))
    assert launch(folder).code == 0
    assert len(begun(folder)) == 1


def test_a_driver_that_died_before_it_could_note_the_process_finds_it_too(folder):
    request(folder, steps=30, nap=0.05)
    ticket = submit(HERE, folder, stage_command(folder))
    wait_for(lambda: begun(folder))
    ticket.native_id = None
    ticket.save()
    assert launch(folder).code == 0
    assert len(begun(folder)) == 1


def test_a_stage_lost_together_with_its_driver_is_started_again(folder):
    request(folder, steps=3, nap=0.05)
    ticket = submit(HERE, folder, stage_command(folder))
    kill_when_begun(folder)
    wait_for(lambda: not processes(folder))
    assert attach(HERE, folder) is None
    ticket.save()
    assert launch(folder) == Done(0, "3 steps")


def test_a_later_owner_of_the_number_is_not_taken_for_the_stage(folder):
    request(folder)
    ticket = submit(HERE, folder, stage_command(folder))
    wait_for(lambda: ticket.poll().ended)
    (folder / "done.json").unlink()
    ticket.native_id = str(os.getpid())
    ticket.save()
    assert not is_running(os.getpid(), folder / f"launch-{ticket.token}.sh")
    ticket.backend.cancel(ticket.native_id)  # or this test would end here
    assert launch(folder) == Done(0, "1 steps")


def test_a_new_request_ends_the_stage_of_the_old_one(folder):
    submit(HERE, request(folder, steps=10**6, nap=0.05), stage_command(folder))
    wait_for(lambda: begun(folder))
    assert launch(request(folder, steps=2)) == Done(0, "2 steps")
    assert next(line for line in notes(folder) if line.startswith("end")).startswith("end 85")
    wait_for(lambda: not processes(folder))


def test_an_attempt_that_waits_in_a_queue_ends_when_another_has_taken_its_place(folder):
    request(folder, steps=2)
    first = submit(HERE, folder, stage_command(folder))
    wait_for(lambda: first.poll().ended)
    script = folder / f"launch-{first.token}.sh"
    launch(request(folder, steps=3))
    assert subprocess.run(["bash", script], capture_output=True, check=False).returncode == 127


def ticket_of(folder, **changes):
    path = folder / "ticket.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_process_of_another_machine(folder):
    submit(HERE, request(folder, steps=1), stage_command(folder))
    ticket_of(folder, host="elsewhere")
    with pytest.raises(
        LaunchError, match=r"run on elsewhere started this stage .* same command on elsewhere"
    ):
        attach(HERE, folder)
    ticket_of(folder, batch_job=True)  # its scheduler has ended it with the job
    assert attach(HERE, folder) is None


@pytest.mark.parametrize("text", ["", "{}", '{"token": 1, "where": "process", "digest": "x"}'])
def test_a_torn_ticket_is_none(folder, text):
    request(folder, steps=1)
    (folder / "ticket.json").write_text(text)
    assert launch(folder) == Done(0, "1 steps")


def test_a_done_file_that_is_there_before_the_attempt_ends_is_enough(folder):
    request(folder, steps=10**6, nap=0.05)
    ticket = submit(HERE, folder, stage_command(folder))
    write_done(folder, 0, "early", stage_digest(folder))
    assert wait(ticket, HERE, [], never) == Done(0, "early")
    ticket.cancel()


def test_waiting_costs_next_to_nothing(folder):
    request(folder, steps=1, nap=1.5)
    before = time.process_time()
    launch(folder)
    assert time.process_time() - before < 0.3


def test_the_stage_gets_no_variables_of_mpi_and_all_cores_of_the_job(folder, monkeypatch):
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    names = "PMI_RANK", "OMP_NUM_THREADS"
    show = f"import os; print(*map(os.environ.get, {names}), len(os.sched_getaffinity(0)))"
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        with pytest.raises(LaunchError, match=rf"\n  None None {len(os.sched_getaffinity(os.getppid()))}$"):
            run(HERE, request(folder), [sys.executable, "-c", show], never)
        assert os.sched_getaffinity(0) == {min(cores)}
    finally:
        os.sched_setaffinity(0, cores)
