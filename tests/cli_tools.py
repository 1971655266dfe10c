"""Runs the real command line in a subprocess, alone or under mpirun, on a small set."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mpirun import find_mpirun, mpirun

__all__ = ["BAD", "PROGRAM", "RUNCARD", "compress", "digest", "find_mpirun", "write_runcard"]

BAD = Path(__file__).parent / "bad_inputs"
PROGRAM = str(Path(sys.executable).parent / "compress-mpi")

RUNCARD = {
    "pdf": "tiny",
    "compressed": 4,
    "nf": 3,
    "trials": 50,
    "islands": 3,
    "minimization": {"minimizer": "genetic", "max_iteration": 600, "seed": 5},
}
"""A run of a second on the set 'tiny' of the bad inputs, the only good one there."""


def write_runcard(folder: Path, name: str = "runcard.yml", **changes: object) -> Path:
    import yaml

    path = folder / name
    path.write_text(yaml.safe_dump({**RUNCARD, **changes}))
    return path


def compress(
    arguments: Sequence[object],
    cwd: Path,
    ranks: int = 0,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run ``compress-mpi ARGUMENTS``; ``ranks`` 0 means without mpirun."""
    words = [PROGRAM, *map(str, arguments)]
    full = {"LHAPDF_DATA_PATH": str(BAD / "sets"), **(env or {})}
    if ranks:
        return mpirun(ranks, words, cwd=cwd, env=full, timeout=timeout)
    return subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **full},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def digest(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything in a folder, to see whether anything was touched."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def wait_for(condition, timeout: float = 60.0) -> None:
    """Poll until ``condition()`` holds."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("condition did not come true")
        time.sleep(0.02)
