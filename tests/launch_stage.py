"""The tiny stage: ``launch_stage.py FOLDER``; counts steps, makes checkpoints, ends as its request says.

Keys of the request: ``steps``; ``nap`` per step; ``stop_after`` steps in each attempt (as for a time limit);
``fail`` (exit code, with a message); ``die`` (exit code, without a done-file); ``mpi`` (start MPI); ``child``
(start a process that would outlive it).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from compress_mpi.launch.donefile import stage_digest, write_done
from compress_mpi.launch.files import read_json, write_json

folder = Path(sys.argv[1])
wanted = json.loads((folder / "stage.json").read_text())
digest = stage_digest(folder)
stopped = []
for number in (signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda signum, frame: stopped.append(signal.Signals(signum).name))


def note(text: str) -> None:
    with (folder / "notes").open("a") as file:
        file.write(text + "\n")


def end(code: int, message: str) -> None:
    note(f"end {code} {message}")
    write_done(folder, code, message, digest)
    sys.exit(code)


note(f"begin {os.getpid()}")
note(f"gpus {os.environ.get('CUDA_VISIBLE_DEVICES')}")
print("tiny stage at work", flush=True)
if wanted.get("child"):
    child = subprocess.Popen(["sleep", "300"])
    note(f"child {child.pid}")
if wanted.get("mpi"):
    from mpi4py import MPI

    note(f"mpi {MPI.COMM_WORLD.Get_size()}")
if "fail" in wanted:
    print("a line of the log", flush=True)
    end(wanted["fail"], "the GPU is on fire")
if "die" in wanted:
    print("Traceback of the tiny stage", file=sys.stderr)
    sys.exit(wanted["die"])
checkpoint = read_json(folder / "checkpoint.json") or {}
step = first = checkpoint["step"] if checkpoint.get("digest") == digest else 0
while step < wanted.get("steps", 1):
    if stopped or step - first >= wanted.get("stop_after", 10**9):
        write_json(folder / "checkpoint.json", {"step": step, "digest": digest})
        end(85, f"stopped at step {step} {' '.join(stopped[:1])}".strip())
    time.sleep(wanted.get("nap", 0.0))
    step += 1
    write_json(folder / "progress.json", {"done": step, "total": wanted.get("steps", 1), "text": "stepping"})
end(0, f"{step} steps")
