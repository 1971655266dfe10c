from __future__ import annotations

import io
import subprocess
import sys

import pytest

from compress_mpi.parallel.progress import Progress, _duration


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Broken(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


@pytest.fixture
def clock():
    return Clock()


def test_plain_lines_come_soon_then_each_interval_and_at_the_end(clock):
    stream = io.StringIO()
    with Progress(15000, "compress N=100", stream, clock=clock) as progress:
        for done in range(0, 2401, 100):
            progress.update(done, erf=0.0712345, evaluations=done * 50)
            clock.now += 1.0
    lines = stream.getvalue().splitlines()
    assert lines[0] == "compress N=100  iteration 100/15000  ERF 0.07123  5000 eval/s  left 02:29"
    assert [line.split()[3] for line in lines] == [f"{done}/15000" for done in (100, 1100, 2100, 2400)]


def test_last_state_is_not_repeated(clock):
    stream = io.StringIO()
    progress = Progress(10, "x", stream, interval=0.0, clock=clock)
    clock.now += 1.0
    progress.update(10, erf=1.0, evaluations=5)
    progress.close()
    progress.close()
    progress.update(10, erf=0.5, evaluations=6)
    assert stream.getvalue() == "x  iteration 10/10  ERF 1  5 eval/s  left 00:00\n"


def test_a_resumed_run_counts_its_own_work_only(clock):
    stream = io.StringIO()
    progress = Progress(300, "x", stream, start=100, start_evaluations=10_000, clock=clock)
    clock.now += 10.0
    progress.update(200, erf=0.5, evaluations=11_000)
    assert stream.getvalue() == "x  iteration 200/300  ERF 0.5  100 eval/s  left 00:10\n"


def test_nothing_known_yet_about_the_time_left(clock):
    stream = io.StringIO()
    progress = Progress(300, "x", stream, start=100, clock=clock)
    clock.now += 10.0
    progress.update(100, erf=0.5, evaluations=0)
    assert stream.getvalue().endswith("left --:--\n")


def test_silent_where_disabled_or_without_any_state(clock):
    stream = io.StringIO()
    for progress in (Progress(10, "x", stream, enabled=False, interval=0.0), Progress(10, "x", stream)):
        if not progress._enabled:
            progress.update(5, erf=1.0, evaluations=1)
        progress.close()
    assert stream.getvalue() == ""


def test_live_bar_on_a_terminal(clock):
    stream = Terminal()
    with Progress(200, "compress N=50", stream, clock=clock) as progress:
        progress.update(50, erf=0.0889, evaluations=1)
        clock.now += 2.0
        progress.update(100, erf=0.0712, evaluations=1000)
    text = stream.getvalue()
    assert "compress N=50" in text
    assert "100/200" in text
    assert "ERF 0.0712" in text
    assert "500 eval/s" in text
    assert "00:02" in text


def test_a_closed_pipe_ends_the_display_only(clock):
    progress = Progress(10, "x", Broken(), interval=0.0, clock=clock)
    clock.now += 1.0
    progress.update(1, erf=1.0, evaluations=1)
    progress.update(2, erf=1.0, evaluations=1)
    progress.close()
    assert progress._enabled is False


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "00:00"), (59.6, "01:00"), (3600, "01:00:00"), (90061, "1d 01:01:01"), (-3, "00:00")],
)
def test_durations(seconds, text):
    assert _duration(seconds) == text


def test_rich_is_not_loaded_in_a_batch_log():
    code = (
        "import sys, io; from compress_mpi.parallel.progress import Progress\n"
        "p = Progress(3, 'x', io.StringIO(), interval=0.0); p.update(1, erf=1.0, evaluations=1); p.close()\n"
        "print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
