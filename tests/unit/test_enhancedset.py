"""Enhanced sets: the published tree, its sidecar, and what stands in the way."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from cli_tools import BAD
from compress_mpi.errors import OutputError, PDFSetError, StoreError
from compress_mpi.io import enhancedset
from compress_mpi.io.backends import read_members
from compress_mpi.io.enhancedfile import (
    enhanced_fingerprint,
    is_enhanced_file,
    read_enhanced,
    write_enhanced,
)
from compress_mpi.io.enhancedset import default_filter, enhanced_info
from compress_mpi.io.enhancedtree import (
    EnhancedTree,
    missing_replicas,
    new_tree,
    require_replaceable_tree,
)
from compress_mpi.io.exportgrid import PIDS, read_exportgrid
from compress_mpi.io.gridfile import read_grid
from compress_mpi.io.infofile import parse_info
from compress_mpi.io.knots import knot_layout, read_knots
from compress_mpi.io.pdfset import PDFSet, open_set, require_replicas
from compress_mpi.io.setwriter import write_subset
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.workflows import enhanced_set
from compress_mpi.workflows.enhanced_set import is_written, write_enhanced_set
from compress_mpi.workflows.inspect import inspect_file
from enhanced_tools import Q0, contents_of, sha256_of_all

NAME = "tiny_enhanced"


@pytest.fixture(scope="module")
def prior() -> PDFSet:
    return open_set(str(BAD / "sets" / "tiny"))


@pytest.fixture(scope="module")
def written(prior, tmp_path_factory):
    """A tree with twelve replicas of the prior and five new ones, and its set of links."""
    folder = tmp_path_factory.mktemp("enhanced")
    contents = contents_of(prior)
    pdfset = write_enhanced_set(contents, folder, folder / "lhapdf", SerialTeam())
    return contents, EnhancedTree(folder / NAME, NAME), pdfset


def make(folder: Path, prior: PDFSet, **changes) -> PDFSet:
    return write_enhanced_set(contents_of(prior, **changes), folder, folder / "lhapdf", SerialTeam())


def test_the_tree_is_the_published_one(written):
    _, tree, _ = written
    found = sorted(str(path.relative_to(tree.folder)) for path in tree.folder.rglob("*") if path.is_file())
    expected = ["filter.yml", "input-runcard.json", "losses_info.json", f"{NAME}.h5", f"nnfit/{NAME}.info"]
    expected += [f"nnfit/replica_{i}/{NAME}.{kind}" for i in range(1, 18) for kind in ("dat", "exportgrid")]
    assert found == sorted(expected)
    assert [path.name for path in sorted(tree.folder.parent.iterdir())] == ["lhapdf", NAME]
    assert tree.runcard.read_text() == "epochs: 3\n"
    assert json.loads(tree.losses.read_text()) == [{"advloss": [3.0, 2.0, 1.5]}]
    assert yaml.safe_load(tree.filter_yml.read_text())["theory"]["AlphaS_MZ"] == 0.118


def test_the_prior_comes_first_byte_for_byte(written, prior):
    _, tree, _ = written
    for i in range(1, 13):
        assert tree.member(i).read_bytes() == prior.member_path(i).read_bytes()


def test_new_members_are_the_combinations(written):
    contents, tree, pdfset = written
    layout = knot_layout(pdfset)
    rows = np.empty((5, layout.size))
    read_knots(pdfset, range(13, 18), layout, rows)
    np.testing.assert_allclose(rows, contents.record.weights @ contents.knots, rtol=2e-9, atol=1e-13)
    header = yaml.safe_load(read_grid(tree.member(15)).header)
    assert header["PdfType"] == "replica"
    assert header["ParentSet"] == "tiny"
    assert "row 3 (from 1) of /weights in tiny_enhanced.h5" in header["ParentCombination"]


def test_the_set_of_links_is_a_set(written, prior):
    contents, tree, pdfset = written
    require_replicas(pdfset, 16)
    assert (pdfset.name, pdfset.n_rep) == (NAME, 17)
    assert pdfset.info["SetDesc"] == "an enhanced tiny set"
    mark = f"12 replicas of tiny and 5 linear combinations of them, {contents.record.fingerprint}"
    assert pdfset.info["CompressMPI"] == mark
    assert pdfset.info["AlphaS_Vals"] == prior.info["AlphaS_Vals"]
    link = pdfset.member_path(17)
    assert os.readlink(link) == f"../../{NAME}/nnfit/replica_17/{NAME}.dat"
    mean = np.concatenate([contents.knots, contents.record.weights @ contents.knots]).mean(axis=0)
    central = np.concatenate([s.values.ravel() for s in read_grid(pdfset.member_path(0)).subgrids])
    np.testing.assert_allclose(central, mean, rtol=1e-12)
    assert parse_info(tree.info.read_text())["NumMembers"] == 18


def test_links_serve_the_reader_and_the_writer_of_sets(written, tmp_path):
    contents, _, pdfset = written
    x = np.array([1e-5, 1e-3, 0.1, 0.4])
    found = read_members(pdfset, [4, 14], [21, 2], x, Q0, "neopdf")
    prior = read_members(contents.prior, range(1, 13), [21, 2], x, Q0, "neopdf")
    np.testing.assert_allclose(found[0], prior[3], rtol=0, atol=0)
    np.testing.assert_allclose(found[1], np.tensordot(contents.record.weights[1], prior, 1), rtol=1e-8)
    subset = open_set(str(write_subset(pdfset, [14, 2], tmp_path, "chosen", "two")))
    assert not subset.member_path(1).is_symlink()
    assert subset.member_path(1).read_bytes() == pdfset.member_path(14).read_bytes()


def test_export_grids_hold_the_same_combination(written):
    contents, tree, _ = written
    new = read_exportgrid(tree.exportgrid(13), Q0)
    assert (new.replica, new.warning) == (13, None)
    assert np.array_equal(new.x, contents.x)
    expected = np.tensordot(contents.record.weights[0], contents.grids, 1)
    np.testing.assert_allclose(new.values, expected, rtol=1e-13, atol=1e-15)
    assert np.array_equal(read_exportgrid(tree.exportgrid(2)).values, contents.grids[1])
    missing = [PIDS.index(pid) for pid in (-6, -5, -4, 4, 5, 6, 22)]
    assert not new.values[missing].any()


def test_a_tree_can_be_moved_together_with_its_links(prior, tmp_path):
    make(tmp_path / "here", prior)
    (tmp_path / "here").rename(tmp_path / "there")
    pdfset = open_set(str(tmp_path / "there" / "lhapdf" / NAME))
    assert pdfset.member_path(17).stat().st_size > 0


# Again


def test_the_same_set_is_used_again_and_another_is_made(prior, tmp_path):
    make(tmp_path, prior)
    tree = EnhancedTree(tmp_path / NAME, NAME)
    first = tree.sidecar.stat().st_mtime_ns
    make(tmp_path, prior)
    assert tree.sidecar.stat().st_mtime_ns == first
    guest = tree.folder / "compress_tiny_4_output.dat"
    guest.write_text("{}")
    assert make(tmp_path, prior, n_new=3).n_rep == 15
    assert tree.sidecar.stat().st_mtime_ns != first
    assert guest.read_text() == "{}"
    assert not tree.member(16).exists()


@pytest.mark.parametrize("change", ["weights", "prior", "settings", "scale", "replica", "sidecar"])
def test_what_is_not_the_same_set(prior, tmp_path, change):
    contents = contents_of(prior)
    make(tmp_path, prior)
    tree = EnhancedTree(tmp_path / NAME, NAME)
    assert is_written(tree, contents)
    record = contents.record
    if change == "weights":
        record = dataclasses.replace(record, weights=record.weights[::-1])
    elif change == "prior":
        record = dataclasses.replace(record, prior_sha256="other")
    elif change == "settings":
        record = dataclasses.replace(record, settings={"kind": "mix", "spread": 0.5})
    elif change == "replica":
        tree.member(3).unlink()
    elif change == "sidecar":
        tree.sidecar.write_bytes(tree.sidecar.read_bytes()[:600])
    q0 = 1.4 if change == "scale" else contents.q0
    assert not is_written(tree, dataclasses.replace(contents, record=record, q0=q0))


def test_an_error_leaves_what_was_there(prior, tmp_path, monkeypatch):
    make(tmp_path, prior)
    before = sha256_of_all(tmp_path)

    def full(path, grid, digits=17):
        raise OutputError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr(enhancedset, "write_grid", full)
    with pytest.raises(OutputError, match="No space left"):
        make(tmp_path, prior, n_new=3)
    assert sha256_of_all(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lhapdf", NAME]


def dead_pid() -> int:
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    return int(done.stdout)


def test_drafts_of_killed_runs_go(prior, tmp_path):
    host, dead = socket.gethostname(), dead_pid()
    gone = [tmp_path / f".{NAME}.writing.{host}.{dead}", tmp_path / f".{NAME}.writing.elsewhere.{dead}"]
    kept = [tmp_path / f".{NAME}.writing.{host}.1", tmp_path / f".{NAME}.writing.away.{dead}"]
    for folder in gone + kept:
        (folder / "nnfit").mkdir(parents=True)
    for path in (gone[1], gone[1] / "nnfit"):
        os.utime(path, (1e9, 1e9))  # of another machine, but untouched for years
    make(tmp_path, prior)
    assert not any(folder.exists() for folder in gone)
    assert all(folder.exists() for folder in kept)


def test_a_tree_set_aside_by_a_killed_run_comes_back(prior, tmp_path):
    make(tmp_path, prior)
    before = sha256_of_all(tmp_path)
    (tmp_path / NAME).rename(tmp_path / f".{NAME}.before.{socket.gethostname()}.{dead_pid()}")
    with pytest.raises(RuntimeError), new_tree(tmp_path, NAME):
        raise RuntimeError
    assert sha256_of_all(tmp_path) == before


@pytest.mark.parametrize("there", ["foreign tree", "notes", "notes inside", "file", "link", "foreign set"])
def test_what_others_made_is_left_alone(prior, tmp_path, there):
    target = tmp_path / NAME
    if there == "foreign tree":
        (target / "nnfit" / "replica_1").mkdir(parents=True)
        (target / "nnfit" / f"{NAME}.info").write_text("SetDesc: of ganpdfs\n")
    elif there.startswith("notes"):
        make(tmp_path, prior)
        (target / ("nnfit/replica_2" if "inside" in there else "") / "notes.txt").write_text("mine")
    elif there == "file":
        target.write_text("mine")
    elif there == "link":
        (tmp_path / "elsewhere").mkdir()
        target.symlink_to(tmp_path / "elsewhere")
    else:
        (tmp_path / "lhapdf" / NAME).mkdir(parents=True)
        (tmp_path / "lhapdf" / NAME / f"{NAME}.info").write_text("SetDesc: mine\n")
    before = sha256_of_all(tmp_path)
    with pytest.raises(OutputError, match=NAME):
        make(tmp_path, prior, n_new=2)
    assert sha256_of_all(tmp_path) == before
    if there != "foreign set":
        with pytest.raises(OutputError):
            require_replaceable_tree(target)


def test_every_file_reaches_the_disk(prior, tmp_path, monkeypatch):
    synced = set()

    def note(path):
        synced.add(path.name)
        sync(path)

    sync = enhancedset.sync
    monkeypatch.setattr(enhancedset, "sync", note)
    monkeypatch.setattr("compress_mpi.io.enhancedtree.sync", note)
    make(tmp_path, prior)
    tree = EnhancedTree(tmp_path / NAME, NAME)
    assert {path.name for path in tree.folder.rglob("*")} - {f"{NAME}.h5"} <= synced


# Words


def test_a_total_that_adds_nothing_is_refused(prior):
    with pytest.raises(PDFSetError, match=r"12 replicas, so that an enhanced set of 12 holds nothing new"):
        enhanced_info(prior, 12, "", "")


@pytest.mark.parametrize("spacing", ["NumMembers :  13  # all", "NumMembers:\t13"])
def test_the_number_of_members_is_changed_whatever_its_spacing(tmp_path, spacing):
    shutil.copytree(BAD / "sets" / "tiny", tmp_path / "tiny")
    info = tmp_path / "tiny" / "tiny.info"
    info.write_text(info.read_text().replace("NumMembers: 13", spacing))
    text = enhanced_info(open_set(str(tmp_path / "tiny")), 40, "more", "digest")
    assert parse_info(text)["NumMembers"] == 41
    assert text.count("NumMembers") == 1


def test_a_value_that_is_not_finite_is_named(prior, tmp_path):
    contents = contents_of(prior)
    knots = contents.knots.copy()
    knots[0, 0] = np.inf
    broken = dataclasses.replace(contents, knots=knots, evolved=knots)
    with (
        pytest.raises(
            PDFSetError, match=r"new replica 1\d: the value at flavour -3, x = 1e-06, Q = 1 GeV is -?inf"
        ),
        np.errstate(invalid="ignore"),
    ):
        write_enhanced_set(broken, tmp_path, tmp_path / "lhapdf", SerialTeam())
    assert not list(tmp_path.iterdir())


def test_missing_replicas_are_counted(written, tmp_path):
    _, tree, _ = written
    assert missing_replicas(tree, 17) == []
    assert missing_replicas(tree, 19) == [18, 19]
    shutil.copytree(tree.folder, tmp_path / NAME)
    own = EnhancedTree(tmp_path / NAME, NAME)
    own.member(2).write_bytes(b"")
    assert missing_replicas(own, 17) == [2]


def test_default_filter_without_a_theory():
    bare = dataclasses.replace(open_set(str(BAD / "sets" / "tiny")), info={})
    assert yaml.safe_load(default_filter(bare, 2.0)) == {
        "description": "enhanced replicas of tiny, written by compress-mpi",
        "pdf": "tiny",
        "q20": 4.0,
    }


# Sidecar


def test_the_sidecar_comes_back(written, tmp_path):
    contents, tree, _ = written
    record = dataclasses.replace(
        contents.record,
        components=3,
        explained=np.array([0.7, 0.2, 0.1]),
        candidates=np.arange(5) * 2,
        runcard="generator: mix\n",
        guard_arrays={"neighbour": np.linspace(0, 1, 5)},
    )
    write_enhanced(tmp_path / "a.h5", record)
    back = read_enhanced(tmp_path / "a.h5")
    for field in dataclasses.fields(record):
        want, got = getattr(record, field.name), getattr(back, field.name)
        if isinstance(want, dict) and any(isinstance(value, np.ndarray) for value in want.values()):
            assert {k: v.tolist() for k, v in want.items()} == {k: v.tolist() for k, v in got.items()}
        else:
            np.testing.assert_array_equal(want, got)
    assert is_enhanced_file(tree.sidecar)
    assert not is_enhanced_file(tree.info)
    with h5py.File(tmp_path / "a.h5") as file:
        weights = file["weights"]
        assert weights.attrs["units"] == "1"
        assert "sums to 1" in weights.attrs["description"]
        assert (weights.compression, weights.shuffle, weights.fletcher32) == ("gzip", True, True)
        described = []
        file.visititems(lambda name, item: described.append((name, "description" in item.attrs)))
        assert all(good for name, good in described if isinstance(file[name], h5py.Dataset))


def test_sparse_weights_take_little_room(written, tmp_path):
    contents, _, _ = written
    weights = np.zeros((500, 1000))
    weights[np.arange(500), np.arange(500)] = 1.0
    write_enhanced(tmp_path / "a.h5", dataclasses.replace(contents.record, weights=weights))
    assert (tmp_path / "a.h5").stat().st_size < 0.02 * weights.nbytes


def test_the_fingerprint_knows_what_counts():
    weights = np.eye(3)
    one = enhanced_fingerprint(weights, "sha", {"a": 1, "b": (2, 3)})
    assert one == enhanced_fingerprint(np.asfortranarray(weights), "sha", {"b": [2, 3], "a": 1})
    assert one != enhanced_fingerprint(weights.reshape(1, 9), "sha", {"a": 1, "b": [2, 3]})
    assert one != enhanced_fingerprint(np.nextafter(weights, 2), "sha", {"a": 1, "b": [2, 3]})


def damaged(path: Path, change) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


DAMAGE = {
    "/weights is missing": lambda file: file.__delitem__("weights"),
    "@seed is missing": lambda file: file.attrs.__delitem__("seed"),
    "schema_version 9": lambda file: file.attrs.__setitem__("schema_version", 9),
    "not the sidecar": lambda file: file.attrs.__setitem__("task", "compress"),
    "12 columns, but the prior has 13": lambda file: file["prior"].attrs.__setitem__("members", 13),
    "changed after it was written": lambda file: file["weights"].__setitem__((0, 0), 0.5),
    "damaged: ": lambda file: file["settings"].__setitem__((), "{"),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_damaged_sidecars_are_refused(written, tmp_path, message):
    _, tree, _ = written
    path = damaged(Path(shutil.copy(tree.sidecar, tmp_path / "a.h5")), DAMAGE[message])
    with pytest.raises(StoreError) as caught:
        read_enhanced(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_a_sidecar_that_is_missing_or_cut(written, tmp_path):
    _, tree, _ = written
    with pytest.raises(StoreError, match="no such file"):
        read_enhanced(tmp_path / "none.h5")
    (tmp_path / "cut.h5").write_bytes(tree.sidecar.read_bytes()[:3000])
    with pytest.raises(StoreError, match=r"cut\.h5: damaged"):
        read_enhanced(tmp_path / "cut.h5")


def test_weights_that_do_not_sum_to_one_are_not_written(written, tmp_path):
    record = written[0].record
    for wrong in (record.weights * 1.001, record.weights * np.nan):
        with pytest.raises(ValueError, match="row 1 sums to"):
            write_enhanced(tmp_path / "a.h5", dataclasses.replace(record, weights=wrong))
    assert not list(tmp_path.iterdir())


def test_inspect_shows_it(written):
    _, tree, _ = written
    page = inspect_file(tree.sidecar)
    for words in ["enhanced set tiny_enhanced", "tiny, 12 replicas", "17: those of the prior, then 5 new"]:
        assert words in page
    for words in ["mix, seed 11", "of 3 to 3 replicas each", "advloss: 1.5 after 3 epochs", "rejected: 0.02"]:
        assert words in page
    assert "            checks:\n              name tails, found 0.1, limit 2\n" in page
    facts = json.loads(inspect_file(tree.sidecar, as_json=True))
    assert (facts["total_replicas"], facts["quality"]) == (17, {"fid": {"21": 0.01}})
    rows = inspect_file(tree.sidecar, "/weights").splitlines()
    assert len(rows) == 5
    assert "each row sums to 1" in inspect_file(tree.sidecar, "/")
    with pytest.raises(StoreError, match="there is no /selection"):
        inspect_file(tree.sidecar, "selection")
    with pytest.raises(StoreError, match="--worst"):
        inspect_file(tree.sidecar, worst=True)


def test_blocks_do_not_mix_old_and_new():
    blocks = enhanced_set._blocks(np.zeros((130, 70)))
    assert [(b.start, b.stop) for b in blocks] == [(1, 65), (65, 71), (71, 135), (135, 199), (199, 201)]
