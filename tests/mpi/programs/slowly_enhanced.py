"""``compress-mpi`` that rests in one phase of an enhanced run: ``slowly_enhanced.py PHASE STEP SECONDS ARGUMENTS...``.

Every step of a phase is one line in the file ``beats`` of the current folder; from a certain step of the given
phase on, all of its steps begin with a rest. Phases are ``prior``, ``training``, ``waiting`` (for a training
elsewhere), ``writing``, ``linking``, ``direct``, ``adiabatic`` and ``polish``.
"""

import sys
import time
from pathlib import Path

slow, step, seconds, arguments = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]

from compress_mpi.parallel.launcher import is_first_process, prepare_environment  # noqa: E402

prepare_environment()

from compress_mpi import cli  # noqa: E402
from compress_mpi.methods.polish import polish  # noqa: E402
from compress_mpi.methods.selection import search  # noqa: E402
from compress_mpi.workflows import enhanced_set, selection, stage, training  # noqa: E402


def rest(phase: str) -> None:
    beats = Path("beats")
    with beats.open("a") as file:
        file.write(f"{phase}\n")
    if phase == slow and beats.read_text().split().count(phase) >= step:
        time.sleep(seconds)


def after_rest(place, name: str, phase: str) -> None:
    """Have a function of a module rest before its work."""
    work = getattr(place, name)

    def slowly(*given, **named):
        rest(phase)
        return work(*given, **named)

    setattr(place, name, slowly)


after_rest(training, "run_elsewhere", "waiting")
after_rest(enhanced_set, "sync_replicas", "writing")
after_rest(enhanced_set, "link_set", "linking")
after_rest(polish, "polish_one", "polish")

run_stage = stage.run_stage


def run_stage_slowly(folder, stop, *more):
    def rested_stop():
        rest("training")
        return stop()

    return run_stage(folder, rested_stop, *more)


stage.run_stage = run_stage_slowly

phase_of, advance, epoch = [""], selection._advance, search.IslandSearch.advance


def advance_in_phase(run, output, record, *more):
    phase_of[0] = record.phase or "prior"
    return advance(run, output, record, *more)


def epoch_slowly(self, *clock):
    epoch(self, *clock)
    if self.settings.n_select > 2 and is_first_process():
        rest(phase_of[0])


selection._advance = advance_in_phase
search.IslandSearch.advance = epoch_slowly
cli.main(arguments)
