"""The done-file, the script of an attempt, and the scrubbed environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compress_mpi.errors import LaunchError, OutputError
from compress_mpi.launch.donefile import Done, read_done, stage_digest, write_done
from compress_mpi.launch.environment import scrubbed, scrubbed_environment
from compress_mpi.launch.files import last_lines, write_json
from compress_mpi.launch.script import script_path, script_text
from compress_mpi.launch.settings import LaunchSettings
from launch_tools import request

TIED = [
    *("PMI_RANK", "PMI2_X", "PMIX_NAMESPACE", "PRTE_MCA_x", "OMPI_COMM_WORLD_SIZE", "OPAL_PREFIX"),
    *(
        "HYDRA_LAUNCHER",
        "HYDI_CONTROL_FD",
        "MPIEXEC_UNIVERSE_SIZE",
        "MPIR_CVAR_ENABLE_HEAVY_YIELD",
        "MPICH_X",
    ),
    *(
        "MPI_LOCALNRANKS",
        "SLURM_JOB_ID",
        "SLURM_CPU_BIND",
        "SLURM_CPUS_PER_TASK",
        "SBATCH_PARTITION",
        "SRUN_DEBUG",
    ),
    *("PBS_JOBID", "PBS_NODEFILE", "LSB_JOBID", "LSF_ENVDIR_X", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"),
]
KEPT = [
    *(
        "SLURM_CONF",
        "PBS_CONF_FILE",
        "LSF_ENVDIR",
        "OMPI_ALLOW_RUN_AS_ROOT",
        "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM",
    ),
    *("PATH", "HOME", "LHAPDF_DATA_PATH", "LD_LIBRARY_PATH", "MODULESHOME", "BASH_FUNC_module%%", "FLUX_URI"),
]
NAMES = st.one_of(st.sampled_from(TIED + KEPT), st.text("ABCMPI_SLURD", min_size=1, max_size=12))


@given(st.dictionaries(NAMES, st.text("ab", max_size=3)))
def test_what_ties_to_the_parents_launch_goes_and_nothing_else(environment):
    here, elsewhere = scrubbed(environment), scrubbed(environment, elsewhere=True)
    assert not set(TIED) & set(here)
    assert all(here[name] == environment[name] for name in KEPT if name in environment)
    assert elsewhere.items() <= here.items() <= environment.items()
    assert scrubbed(here) == here


def test_a_job_elsewhere_gets_gpus_of_its_own():
    environment = {"CUDA_VISIBLE_DEVICES": "1", "HOME": "/h"}
    assert scrubbed(environment) == environment
    assert scrubbed(environment, elsewhere=True) == {"HOME": "/h"}


@pytest.mark.parametrize("error", [None, ValueError])
def test_the_process_gets_its_environment_back(monkeypatch, error):
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("SLURM_CONF", "/somewhere/slurm.conf")
    before = dict(os.environ)
    try:
        with scrubbed_environment():
            assert "PMI_RANK" not in os.environ
            assert os.environ["SLURM_CONF"] == "/somewhere/slurm.conf"
            if error is not None:
                raise error
    except ValueError:
        assert error is not None
    assert dict(os.environ) == before


@given(st.integers(0, 255), st.text(max_size=40))
def test_a_done_file_tells_what_was_written(tmp_path_factory, code, message):
    folder = request(tmp_path_factory.mktemp("stage"))
    write_done(folder, code, message, stage_digest(folder))
    assert read_done(folder, stage_digest(folder)) == Done(code, message)
    assert sorted(path.name for path in folder.iterdir()) == ["done.json", "stage.json"]


def test_the_done_file_of_another_request_does_not_count(tmp_path):
    folder = request(tmp_path, seed=1)
    write_done(folder, 0, "done", stage_digest(folder))
    request(tmp_path, seed=2)
    assert read_done(folder, stage_digest(folder)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"code": 0}',
        '{"digest": "DIGEST"}',
        '{"digest": "DIGEST", "code": "0", "message": ""}',
    ],
)
def test_half_a_done_file_is_none(tmp_path, text):
    digest = stage_digest(request(tmp_path))
    (tmp_path / "done.json").write_text(text.replace("DIGEST", digest))
    assert read_done(tmp_path, digest) is None


def test_no_request_and_no_place_are_said_plainly(tmp_path):
    with pytest.raises(LaunchError, match=r"stage\.json: cannot be read: No such file"):
        stage_digest(tmp_path)
    with pytest.raises(OutputError, match=r"gone.done\.json: cannot be written: No such file"):
        write_done(tmp_path / "gone", 0, "", "x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=r"cannot be written"):
        write_json(tmp_path / "folder", {})
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_last_lines_of_a_long_log(tmp_path):
    log = tmp_path / "log"
    assert last_lines(log) == []
    log.write_bytes(b"\xff\n" * 20_000 + b"one\n\n  \ntwo\n")
    assert last_lines(log, 2) == ["one", "two"]


def run_script(folder, command, settings=LaunchSettings(), **environment):  # noqa: B008
    text = script_text(folder, "t", 1, command, settings)
    script_path(folder, "t").write_text(text)
    words = ["bash", str(script_path(folder, "t"))]
    done = subprocess.run(words, env={**os.environ, **environment}, timeout=30, check=False)
    return done.returncode, (folder / "exit-t").read_text(), (folder / "stage.log").read_text()


def test_the_script_sets_modules_and_environment_before_the_command(tmp_path):
    folder = tmp_path / "it's a $folder"
    folder.mkdir()
    init = tmp_path / "site" / "init"
    init.mkdir(parents=True)
    (init / "bash").write_text(
        'module() { [ "$2" != no/such ] && export LOADED="$LOADED $2" STRANGE=module; }\n'
    )
    settings = LaunchSettings(modules=("cuda/12", "python"), environment={"STRANGE": "a 'b' $HOME\n`c`"})
    show = "import os; print([os.environ['LOADED'], os.environ['STRANGE'], os.getcwd()])"
    code, note, log = run_script(folder, [sys.executable, "-c", show], settings, MODULESHOME=str(init.parent))
    assert (code, note) == (0, "0\n"), log
    assert log.splitlines()[1] == str([" cuda/12 python", "a 'b' $HOME\n`c`", str(folder)])

    code, note, log = run_script(
        folder, ["true"], LaunchSettings(modules=("no/such",)), MODULESHOME=str(init.parent)
    )
    assert (code, note) == (6, "6\n")
    assert "module load no/such failed" in log


def test_a_machine_without_modules_says_so(tmp_path):
    code, _, log = run_script(
        tmp_path, ["true"], LaunchSettings(modules=("cuda",)), MODULESHOME=str(tmp_path)
    )
    assert code == 6
    assert "no command 'module' on" in log


def test_the_script_asks_for_a_checkpoint_ahead_of_the_limit(tmp_path):
    settings = LaunchSettings(where="slurm", time_s=1.2)
    assert (settings.work_s, LaunchSettings(where="pbs", time_s=7200).work_s) == (pytest.approx(0.9), 7080)
    assert LaunchSettings(time_s=1.2).work_s is None
    wait = "import signal, sys, time; signal.signal(signal.SIGUSR1, lambda *_: sys.exit(85)); time.sleep(30)"
    assert run_script(tmp_path, [sys.executable, "-c", wait], settings)[:2] == (85, "85\n")


@pytest.mark.parametrize("name", ["TERM", "USR1"])
def test_a_signal_before_the_command_has_begun_is_not_lost(tmp_path, name):
    (tmp_path / "bin").mkdir()
    # the script asks for the date just before it starts the command
    (tmp_path / "bin" / "date").write_text(f"#!/bin/bash\nkill -{name} $PPID; exec /bin/date\n")
    (tmp_path / "bin" / "date").chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    code, _, log = run_script(tmp_path, ["touch", "begun"], PATH=path)
    assert code == 85, log
    assert not (tmp_path / "begun").exists()


def test_a_name_that_no_shell_takes_is_refused(tmp_path):
    with pytest.raises(LaunchError, match=r"launch.environment: 'A B' cannot be the name"):
        script_text(tmp_path, "t", 1, ["true"], LaunchSettings(environment={"A B": "1"}))
