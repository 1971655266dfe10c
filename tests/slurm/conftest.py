"""A Slurm of one node for the tests of this folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cli_tools import BAD
from mpirun import find_mpirun

SCRIPT = Path(__file__).parent / "one_node.sh"
DAEMONS = ("munged", "slurmctld", "slurmd", "sbatch")


@pytest.fixture(scope="session")
def slurm():
    """Environment in which ``sbatch`` finds the cluster, and its jobs find this program."""
    path = os.pathsep.join(
        [str(Path(sys.executable).parent), str(Path(find_mpirun()).parent), os.environ["PATH"], "/usr/sbin"]
    )
    missing = [name for name in DAEMONS if shutil.which(name, path=path) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: bash tests/slurm/one_node.sh install")
    if os.getuid() != 0:
        pytest.skip("Slurm's daemons need root")
    # munge wants every folder above its socket open to all, which pytest's are not
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "SBATCH"))},
        "PATH": path,
        "SLURM1_DIR": str(folder),
        "SLURM1_PORT": str(20000 + os.getpid() % 20000),
        "SLURM_CONF": str(folder / "slurm.conf"),
        "LHAPDF_DATA_PATH": str(BAD / "sets"),
    }
    started = subprocess.run(
        ["bash", SCRIPT, "start"], env=env, capture_output=True, text=True, timeout=90, check=False
    )
    try:
        assert started.returncode == 0, started.stderr
        yield env
    finally:
        subprocess.run(["bash", SCRIPT, "stop"], env=env, capture_output=True, timeout=90, check=False)
        shutil.rmtree(folder, ignore_errors=True)
