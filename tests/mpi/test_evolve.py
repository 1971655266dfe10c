"""The command ``evolve``: export grids to LHAPDF members, operators shared out over ranks."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from cli_tools import PROGRAM, compress, wait_for
from compress_mpi.io.backends import read_members
from compress_mpi.io.exportgrid import read_exportgrid, write_exportgrid
from compress_mpi.io.gridfile import read_grid, write_grid
from compress_mpi.io.gridtypes import GridFile, Subgrid
from compress_mpi.io.infofile import read_info
from compress_mpi.io.knots import at_knot, knot_layout, read_knots
from compress_mpi.io.pdfset import open_set
from compress_mpi.io.setfolder import MARK
from mpirun import kill_job, mpirun, start_mpirun

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(
        importlib.util.find_spec("eko") is None, reason="eko is not installed (extra 'evolution')"
    ),
]

PROGRAMS = Path(__file__).parent / "programs"
WRITER, MEMBERS = PROGRAMS / "evolution_set.py", PROGRAMS / "evolution_members.py"
NAME = "toy_enhanced"
N_REP, N_PARTS = 20, 9
# six x nodes are computed sooner than eko's machine code is compiled
UNCOMPILED = {"NUMBA_DISABLE_JIT": "1"}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A set that eko's own tools evolved, its operator, and export grids of its replicas."""
    folder = tmp_path_factory.mktemp("toy")
    done = subprocess.run(
        [sys.executable, WRITER, folder], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder


def copy_of(toy, folder):
    shutil.copytree(toy / NAME, folder / NAME)
    return folder


def words(*more):
    return ["evolve", NAME, "--cache", "cache", "--degree", 2, "--iterations", 1, *more]


def evolve(toy, folder, *more, ranks=0):
    env = {**UNCOMPILED, "LHAPDF_DATA_PATH": str(toy)}
    return compress(words(*more), folder, ranks, env, timeout=300)


def members(folder):
    nnfit = folder / NAME / "nnfit"
    return [(nnfit / f"replica_{k}" / f"{NAME}.dat").read_bytes() for k in range(1, N_REP + 1)]


def archive(folder):
    (path,) = (folder / "cache").glob("*.tar")
    return path


@pytest.fixture(scope="module")
def evolved(toy, tmp_path_factory):
    """The folder after a run of each number of ranks, and what the runs said."""
    runs = {}
    for ranks in (1, 2, 3):
        folder = copy_of(toy, tmp_path_factory.mktemp("ranks"))
        runs[ranks] = folder, evolve(toy, folder, ranks=ranks if ranks > 1 else 0)
    return runs


def test_operators_have_the_same_bytes_on_any_number_of_ranks(evolved):
    for folder, done in evolved.values():
        assert done.returncode == 0, done.stderr
        assert archive(folder).name == archive(evolved[1][0]).name
        assert archive(folder).read_bytes() == archive(evolved[1][0]).read_bytes()
        assert members(folder) == members(evolved[1][0])


def test_operators_are_those_of_the_librarys_own_runner(toy, evolved):
    def operators(path):
        with tarfile.open(path) as tar:
            files = [entry for entry in tar.getmembers() if re.search(r"operators/.*\.lz4$", entry.name)]
            return {entry.name: tar.extractfile(entry).read() for entry in files}

    ours = operators(archive(evolved[2][0]))
    assert len(ours) == 8
    assert ours == operators(toy / "managed.tar")


def test_twenty_export_grids_evolve_to_the_sets_own_grids(toy, evolved):
    folder, done = evolved[2]
    for k in range(1, N_REP + 1):
        own = read_grid(toy / "toy" / f"toy_{k:04d}.dat").subgrids
        found = read_grid(folder / NAME / "nnfit" / f"replica_{k}" / f"{NAME}.dat").subgrids
        assert len(found) == len(own) == 2
        for one, two in zip(own, found, strict=True):
            assert one.same_knots(two)
            np.testing.assert_allclose(two.values, one.values, rtol=2e-8, atol=1e-12)
    assert "re-evolved replicas agree with the grids of toy (mean of 20, Q = 10 GeV" in done.stdout
    assert "warning" not in done.stderr


def test_what_was_taken_for_granted_and_the_shift_are_written_down(evolved):
    folder, done = evolved[1]
    facts = json.loads((folder / NAME / "evolution.json").read_text())
    assert facts["q0"] == 2.0
    assert facts["theory"]["order"] == [1, 0]
    assert facts["shift"]["compared"] == N_REP
    assert {entry["pid"] for entry in facts["shift"]["shifts"]} == {-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 21}
    assert max(entry["worst"] for entry in facts["shift"]["shifts"]) < 1e-9
    assert all(text in done.stdout for text in facts["assumptions"])


def test_members_make_a_set_that_readers_take(toy, evolved, tmp_path):
    shutil.copytree(evolved[1][0] / NAME, tmp_path / NAME)
    linked = compress(["postgans", "--pdf", "toy"], tmp_path, env={"LHAPDF_DATA_PATH": str(toy)})
    assert linked.returncode == 0, linked.stderr
    pdfset = open_set(NAME, [tmp_path / "lhapdf"])
    assert (pdfset.n_rep, pdfset.q_min, pdfset.q_max) == (N_REP, 2.0, 20.0)
    assert len(pdfset.flavours) == 11
    grid = read_grid(pdfset.member_path(3)).subgrids[1]
    values = read_members(pdfset, [3], grid.pids, grid.x, 7.0)[0]
    np.testing.assert_allclose(values, grid.values[:, 1].T, rtol=1e-12, atol=1e-15)


def test_finished_operators_are_used_again_and_only_own_folders_marked(toy, evolved, tmp_path):
    foreign = evolved[1][0] / NAME / "nnfit" / f"{NAME}.info"
    assert MARK not in read_info(foreign)
    shutil.copytree(evolved[1][0], tmp_path, dirs_exist_ok=True)
    info = tmp_path / NAME / "nnfit" / f"{NAME}.info"
    info.write_text(info.read_text() + f"{MARK}: enhanced set, seed 1\n")
    for _ in range(2):
        done = evolve(toy, tmp_path)
        # no part is computed: finished operators are used again
        assert (done.returncode, done.stderr) == (0, "")
        assert members(tmp_path) == members(evolved[1][0])
        assert re.fullmatch(
            "enhanced set, seed 1; evolved by eko, operators [0-9a-f]{16}", read_info(info)[MARK]
        )


def test_damaged_operators_are_computed_again_with_a_warning(toy, evolved, tmp_path):
    shutil.copytree(evolved[1][0], tmp_path, dirs_exist_ok=True)
    data = bytearray(archive(tmp_path).read_bytes())
    data[len(data) // 2] ^= 1
    archive(tmp_path).write_bytes(bytes(data))
    again = evolve(toy, tmp_path)
    assert again.returncode == 0
    assert "its bytes are not those that were written; computed again" in again.stderr
    assert f"part {N_PARTS} of {N_PARTS}" in again.stderr
    assert archive(tmp_path).read_bytes() == archive(evolved[1][0]).read_bytes()
    assert members(tmp_path) == members(evolved[1][0])


def test_a_stopped_job_goes_on_where_it_was(toy, evolved, tmp_path):
    copy_of(toy, tmp_path)
    env = {**UNCOMPILED, "LHAPDF_DATA_PATH": str(toy)}
    job = start_mpirun(2, [PROGRAM, *words()], cwd=tmp_path, env=env)
    try:
        wait_for(lambda: len(list(tmp_path.glob("cache/*.parts/*"))) >= 4 or job.poll() is not None, 120)
        os.kill(job.pid, signal.SIGTERM)
        _, err = job.communicate(timeout=120)
    finally:
        kill_job(job)
    assert job.returncode == 85, err
    assert "start the same command again" in err
    assert not list(tmp_path.glob(f"{NAME}/nnfit/*.info"))
    kept = len(list(tmp_path.glob("cache/*.parts/*")))
    again = evolve(toy, tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("evolution operators: part") == N_PARTS - kept < N_PARTS
    assert not list(tmp_path.glob("cache/*.parts"))
    assert archive(tmp_path).read_bytes() == archive(evolved[1][0]).read_bytes()


def test_new_members_and_the_prior_itself_land_on_the_knots_of_the_prior(toy, evolved, tmp_path):
    """As the enhancement uses it: weights times replicas at Q0, evolved, against weights times members."""
    pdfset = open_set("toy", [toy])
    layout = knot_layout(pdfset)
    prior = np.empty((N_REP, layout.size))
    read_knots(pdfset, range(1, N_REP + 1), layout, prior)
    expected = np.random.default_rng(6).dirichlet(np.ones(N_REP), 70) @ prior
    found = []
    for ranks in (1, 2):
        out = tmp_path / f"{ranks}.npy"
        argv = [sys.executable, MEMBERS, toy, evolved[1][0] / "cache", out]
        done = mpirun(ranks, argv, cwd=tmp_path, env=UNCOMPILED)
        assert (done.returncode, done.stderr) == (0, "")
        assert out.with_suffix(".cached").read_text() == "True"
        assert (
            out.with_suffix(".lines")
            .read_text()
            .startswith("re-evolved replicas agree with the grids of toy")
        )
        found.append((np.load(out), np.load(out.with_suffix(".prior.npy"))))
    for one, two, wanted in zip(*found, (expected, prior), strict=True):
        assert np.array_equal(one, two)
        np.testing.assert_allclose(one, wanted, rtol=1e-10, atol=1e-13)


def test_a_prior_that_evolution_does_not_give_back_is_told_with_the_size(toy, evolved, tmp_path):
    shutil.copytree(evolved[1][0], tmp_path / "run")
    shutil.copytree(toy / "toy", tmp_path / "sets" / "toy")
    for k in range(1, N_REP + 1):
        path = tmp_path / "sets" / "toy" / f"toy_{k:04d}.dat"
        first, second = read_grid(path).subgrids
        moved = Subgrid(second.x, second.q, second.pids, 1.05 * second.values)
        write_grid(path, GridFile("PdfType: replica\nFormat: lhagrid1", (first, moved)))
    done = evolve(tmp_path / "sets", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    told = done.stderr[done.stderr.index("differ noticeably from the grids of toy") :]
    assert re.search(r"\n +g: 4\.8 %, 0\.\d+ std \(largest [\d.]+ std\)", told), told


def changed_grid(folder, k, **changes):
    path = folder / NAME / "nnfit" / f"replica_{k}" / f"{NAME}.exportgrid"
    grid = read_exportgrid(path)
    entries = {"replica": k, "q20": grid.q20, "x": grid.x, "values": grid.values, **changes}
    write_exportgrid(path, type(grid)(**entries))


def other_scale(folder):
    changed_grid(folder, 7, q20=9.0)


def other_nodes(folder):
    changed_grid(folder, 7, x=np.array([1e-3, 1e-2, 0.1, 0.3, 0.5, 1.0]))


def above_bottom(folder):
    for k in range(1, N_REP + 1):
        changed_grid(folder, k, q20=49.0)


def without_replica(folder):
    shutil.rmtree(folder / NAME / "nnfit" / "replica_7")


def two_grids(folder):
    replica = folder / NAME / "nnfit" / "replica_7"
    shutil.copy(replica / f"{NAME}.exportgrid", replica / "other.exportgrid")


def empty_folder(folder):
    shutil.rmtree(folder / NAME / "nnfit")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_scale, "replica_7/toy_enhanced.exportgrid: q20 is 9.0 GeV^2, but 4.0 in replica 1"),
        (other_nodes, "replica_7/toy_enhanced.exportgrid: its xgrid differs from that of replica 1"),
        (above_bottom, "q0 = 7 GeV is above the bottom threshold (4.5 GeV), but the grids hold no bottom"),
        (without_replica, "nnfit: replicas 7 are missing of 20"),
        (two_grids, "replica_7: expected one *.exportgrid, found 2"),
        (empty_folder, "nnfit: no replica_<i>/*.exportgrid found; give the folder that holds 'nnfit'"),
    ],
)
def test_bad_folders_are_refused_with_one_message(toy, tmp_path, spoil, message):
    spoil(copy_of(toy, tmp_path))
    done = evolve(toy, tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "cache").exists()


def test_a_bad_member_is_one_message_from_two_ranks_too(toy, tmp_path):
    shutil.copytree(toy / "toy", tmp_path / "sets" / "toy")
    info = tmp_path / "sets" / "toy" / "toy.info"
    info.write_text(info.read_text().replace("MBottom: 4.5\n", ""))
    done = evolve(tmp_path / "sets", copy_of(toy, tmp_path), ranks=2)
    assert done.returncode == 3
    assert done.stderr.count("key 'MBottom' is missing; evolution needs it") == 1


def test_a_run_with_evolution_eko_makes_new_members_of_the_evolved_prior(toy, tmp_path):
    """The toy is made with another interpolation: new members agree where nothing evolves, and a warning tells why."""
    for evolution in ("linear", "eko"):
        card = tmp_path / f"{evolution}.yml"
        card.write_text(
            f"pdf: toy\nq0: 2.0\nnf: 3\nxgrid: lhapdf\nevolution: {evolution}\noutput: {evolution}\n"
            "gans: {enhance: true, total_replicas: 26}\ngenerator: {kind: kde, variance: 0.9}\n"
        )
        env = {**UNCOMPILED, "LHAPDF_DATA_PATH": str(toy), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        ranks = 0 if evolution == "linear" else 2
        done = compress(["enhance", card.name, "-q"], tmp_path, ranks, env, timeout=400)
        assert done.returncode == 0, done.stderr
    assert "warning: re-evolved replicas differ noticeably from the grids of toy" in done.stderr
    one, two = (open_set(NAME, [tmp_path / evolution / "lhapdf"]) for evolution in ("linear", "eko"))
    layout = knot_layout(one)
    rows = np.empty((2, 26, layout.size))
    for pdfset, out in zip((one, two), rows, strict=True):
        read_knots(pdfset, range(1, 27), layout, out)
    assert np.array_equal(rows[0, :N_REP], rows[1, :N_REP])
    low, high = ([at_knot(layout, part[N_REP:], q)[2] for part in rows] for q in (2.0, 20.0))
    assert low[0] == pytest.approx(low[1], rel=1e-8, abs=1e-8)
    assert np.isfinite(high[1]).all()
    assert np.abs(high[1] - high[0]).max() > 1e-6
