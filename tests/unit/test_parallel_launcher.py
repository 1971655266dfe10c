from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compress_mpi.errors import LaunchError
from compress_mpi.parallel import launcher

VARIABLES = [
    *(name for pair in launcher._LAUNCHERS for name in pair),
    *launcher._RANKS_ON_NODE,
    *launcher._ONE_THREAD,
    *launcher._YIELD,
    "NUMBA_CACHE_DIR",
    "NUMBA_NUM_THREADS",
    "OMPI_MCA_osc",
    "SLURM_CPUS_ON_NODE",
    "SLURM_NTASKS",
]


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in VARIABLES:
        # Set first, so that what the tested code writes is taken back as well.
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)


@pytest.fixture
def cores(monkeypatch):
    def pretend(own, launcher_process=frozenset()):
        sets = {0: set(own)}
        monkeypatch.setattr(launcher, "affinity", lambda pid=0: sets.get(pid, set(launcher_process)))

    return pretend


def test_one_process_without_launcher(cores):
    cores(range(6))
    launcher.prepare_environment()
    assert launcher.launched_ranks() == 1
    assert launcher.is_first_process()
    assert launcher.cores_available() == 6
    assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert os.environ["NUMBA_NUM_THREADS"] == "6"
    assert not set(launcher._YIELD) & set(os.environ)


def test_batch_script_variables_do_not_count_as_a_launch(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "64")
    assert launcher.launched_ranks() == 1


@pytest.mark.parametrize(
    ("size_name", "rank_name"),
    [
        ("PMI_SIZE", "PMI_RANK"),
        ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"),
        ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
    ],
)
def test_launchers_are_recognised(monkeypatch, size_name, rank_name):
    monkeypatch.setenv(size_name, "4")
    monkeypatch.setenv(rank_name, "3")
    assert launcher.launched_ranks() == 4
    assert not launcher.is_first_process()
    monkeypatch.setenv(rank_name, "0")
    assert launcher.is_first_process()


def test_the_inner_launcher_names_the_first_process(monkeypatch):
    # mpirun inside a Slurm step: one proxy per node is the step's task, the ranks are PMI's.
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("PMI_SIZE", "8")
    monkeypatch.setenv("PMI_RANK", "5")
    assert launcher.launched_ranks() == 8
    assert not launcher.is_first_process()


def test_check_launch_says_what_to_do(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")
    launcher.check_launch(4)
    with pytest.raises(
        LaunchError, match="4 processes were started, but the MPI library connects only 1"
    ) as info:
        launcher.check_launch(1)
    assert "compress-mpi doctor" in str(info.value)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("name", "text", "ranks"),
    [
        ("MPI_LOCALNRANKS", "16", 16),
        ("OMPI_COMM_WORLD_LOCAL_SIZE", "3", 3),
        ("SLURM_STEP_TASKS_PER_NODE", "16(x12),8", 16),
        ("SLURM_STEP_TASKS_PER_NODE", "2,9(x3)", 9),
        ("PMI_SIZE", "5", 5),
        ("PMI_SIZE", "nonsense", 1),
    ],
)
def test_ranks_on_node(monkeypatch, name, text, ranks):
    monkeypatch.setenv(name, text)
    assert launcher.ranks_on_node() == ranks


def test_heavy_yield_only_where_ranks_share_cores(monkeypatch, cores):
    cores(range(4))
    monkeypatch.setenv("MPI_LOCALNRANKS", "4")
    launcher.prepare_environment()
    assert "MPIR_CVAR_ENABLE_HEAVY_YIELD" not in os.environ
    monkeypatch.setenv("MPI_LOCALNRANKS", "5")
    launcher.prepare_environment()
    assert os.environ["MPIR_CVAR_ENABLE_HEAVY_YIELD"] == "1"
    assert {name: os.environ[name] for name in launcher._YIELD} == launcher._YIELD
    assert os.environ["NUMBA_NUM_THREADS"] == "1"


def test_ranks_bound_to_cores_of_their_own_are_not_crowded(monkeypatch, cores):
    cores({3}, launcher_process=range(4))
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setenv("OMPI_COMM_WORLD_LOCAL_SIZE", "4")
    launcher.prepare_environment()
    assert "OMPI_MCA_mpi_yield_when_idle" not in os.environ


def test_the_allocation_limits_what_the_slurm_daemon_sees(monkeypatch, cores):
    cores({3}, launcher_process=range(64))
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "4")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "2")
    assert launcher.cores_of_node() == 2
    launcher.prepare_environment()
    assert os.environ["MPIR_CVAR_ENABLE_HEAVY_YIELD"] == "1"


def test_the_user_wins(monkeypatch, cores):
    cores(range(2))
    mine = {"OMP_NUM_THREADS": "7", "MPIR_CVAR_ENABLE_HEAVY_YIELD": "0", "NUMBA_NUM_THREADS": "9"}
    for name, value in {**mine, "MPI_LOCALNRANKS": "8"}.items():
        monkeypatch.setenv(name, value)
    launcher.prepare_environment(threads=3)
    assert {name: os.environ[name] for name in mine} == mine


def test_threads_asked_for(cores):
    cores(range(2))
    launcher.prepare_environment(threads=3)
    assert os.environ["NUMBA_NUM_THREADS"] == "3"


def test_unreadable_process_has_no_known_cores():
    assert launcher.affinity(2**22 + 1) == set()


def test_import_is_cheap():
    code = (
        "import json, sys; import compress_mpi.parallel.launcher; "
        "print(json.dumps(sorted({'numpy', 'mpi4py', 'numba', 'h5py'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_compiled_code_is_kept_per_state_of_the_kernels(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    launcher.prepare_environment()
    first = Path(os.environ["NUMBA_CACHE_DIR"])
    assert first.is_dir()
    assert first.parent == tmp_path / "compress-mpi"
    package = tmp_path / "package"
    (package / "parallel").mkdir(parents=True)
    (package / "methods").mkdir()
    (package / "methods" / "kernel.py").write_text("other = 1")
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setattr(launcher, "__file__", str(package / "parallel" / "launcher.py"))
    launcher.prepare_environment()
    assert Path(os.environ["NUMBA_CACHE_DIR"]) != first


def test_a_place_for_compiled_code_is_not_forced(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder can be made below this")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    launcher.prepare_environment()
    assert "NUMBA_CACHE_DIR" not in os.environ
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    launcher.prepare_environment()
    assert os.environ["NUMBA_CACHE_DIR"] == "mine"


def test_garbage_is_looked_for_rarely_and_not_at_the_end():
    program = (
        "import atexit, gc; atexit.register(lambda: print(gc.get_freeze_count() > 0))\n"
        "from compress_mpi.parallel.launcher import prepare_environment\n"
        "prepare_environment(); print(gc.isenabled(), gc.get_threshold()[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "100000", "True"]
