from __future__ import annotations

import os
import signal
import threading

import pytest

from compress_mpi.parallel.signals import StopSignals


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGTERM"])
def test_a_signal_becomes_a_flag(name):
    with StopSignals() as stop:
        assert stop.received is None
        os.kill(os.getpid(), getattr(signal, name))
        assert stop.received == name


def test_the_first_signal_stays():
    with StopSignals() as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == "SIGUSR1"


def test_old_handlers_come_back_and_interrupts_are_left_alone():
    numbers = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    with StopSignals():
        assert signal.getsignal(signal.SIGUSR1) is not before[0]
        assert signal.getsignal(signal.SIGINT) is before[2]
    assert [signal.getsignal(number) for number in numbers] == before


def test_outside_the_main_thread_nothing_is_installed():
    before = signal.getsignal(signal.SIGUSR1)
    seen = []

    def work():
        with StopSignals() as stop:
            seen.append((signal.getsignal(signal.SIGUSR1), stop.received))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, None)]
