"""``compress-mpi`` many times in one start of MPI: ``many_cases.py CASES.json``.

CASES.json lists ``[folder, arguments]``. Each case runs in its folder with the streams of rank R in
``out.R`` and ``err.R`` and its exit code and seconds in ``code.R``, all beside the folder. MPI is left
once, at the end, where the program would leave it after every error; an error that not all ranks share
ends the whole job as ever.
"""

import json
import os
import sys
import time
from pathlib import Path

from compress_mpi.parallel.launcher import prepare_environment

prepare_environment()

from compress_mpi import cli  # noqa: E402
from compress_mpi.parallel import abort  # noqa: E402

RANK = os.environ.get("PMI_RANK", "0")
abort._finalise = abort._flush


def send(descriptor: int, path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    os.dup2(file, descriptor)
    os.close(file)


for folder, arguments in json.loads(Path(sys.argv[1]).read_text()):
    place = Path(folder)
    os.chdir(place)
    send(1, place.with_name(f"out.{RANK}"))
    send(2, place.with_name(f"err.{RANK}"))
    began, code = time.monotonic(), 0
    try:
        cli.main(arguments)
    except SystemExit as stop:
        code = stop.code
    sys.stdout.flush()
    sys.stderr.flush()
    told = [code, time.monotonic() - began]
    place.with_name(f"code.{RANK}").write_text(json.dumps(told))
sys.exit(0)
