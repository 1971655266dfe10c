"""Where and with what the numbers were made."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from compress_mpi.parallel.launcher import cores_available

__all__ = ["commit", "describe_machine", "load_average", "versions"]

_LIBRARIES = ("compress-mpi", "numpy", "numba", "llvmlite", "mpi4py", "mpich", "openmpi", "h5py", "cma")


def describe_machine() -> dict[str, Any]:
    """Processor, cores of it that this process may use, and how busy they were at the start."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "cores_available": cores_available(),
        "system": platform.system(),
        "load_average_at_start": load_average(),
    }


def load_average() -> list[float]:
    """Over 1, 5 and 15 minutes; a benchmark wants it below the number of cores before it starts."""
    return [round(value, 2) for value in os.getloadavg()]


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def commit() -> dict[str, Any]:
    """Commit of the repository and whether files differ from it; unknown outside a repository."""
    return {"hash": _git("rev-parse", "HEAD") or "unknown", "changed": bool(_git("status", "--porcelain"))}


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def versions() -> dict[str, str]:
    """Python and the libraries that decide the speed."""
    found = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found
