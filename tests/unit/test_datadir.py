"""Links of a run folder in an LHAPDF data directory: at once or not at all."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np
import pytest

from cli_tools import BAD
from compress_mpi.errors import OutputError, PDFSetError
from compress_mpi.io.backends import read_members
from compress_mpi.io.datadir import export_line, is_linked, link_set, replicas_there, require_complete
from compress_mpi.io.enhancedtree import EnhancedTree
from compress_mpi.io.gridfile import read_grid, write_grid
from compress_mpi.io.gridtypes import GridFile, Subgrid
from compress_mpi.io.infofile import parse_info
from compress_mpi.io.pdfset import open_set
from compress_mpi.parallel.serial import SerialTeam
from compress_mpi.workflows.enhanced_set import linked_set, write_enhanced_set
from compress_mpi.workflows.postgans import postgans
from enhanced_tools import TINY, contents_of, run_folder, sha256_of_all

NAME = "tiny_enhanced"
INFO = (TINY / "tiny.info").read_text()


def test_a_run_folder_becomes_a_set(tmp_path):
    tree = run_folder(tmp_path, 5, "NumMembers: REPLACE_NREP")
    final = link_set(tree, 5, tmp_path / "lhapdf", tree.info.read_text())
    pdfset = open_set(NAME, [tmp_path / "lhapdf"])
    assert final == pdfset.path
    assert (pdfset.n_rep, pdfset.error_type) == (5, "replicas")
    assert "links to tiny_enhanced" in pdfset.info["CompressMPI"]
    assert sorted(os.listdir(final)) == sorted([f"{NAME}.info", *(f"{NAME}_{i:04d}.dat" for i in range(6))])
    assert [pdfset.member_path(i).is_symlink() for i in range(3)] == [False, True, True]
    x = np.array([1e-5, 1e-3, 0.2])
    values = read_members(pdfset, range(6), [21, 1], x, 3.0)
    np.testing.assert_allclose(values[0], values[1:].mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(values[3], read_members(open_set(str(TINY)), [3], [21, 1], x, 3.0)[0])


def test_fewer_replicas_than_there_are(tmp_path):
    tree = run_folder(tmp_path, 5)
    link_set(tree, 3, tmp_path / "lhapdf", INFO)
    assert open_set(NAME, [tmp_path / "lhapdf"]).n_rep == 3


@pytest.mark.parametrize(
    ("where", "relative"), [("lhapdf", True), ("a/b/lhapdf", True), ("../elsewhere", False)]
)
def test_links_are_relative_where_both_can_be_moved(tmp_path, where, relative):
    tree = run_folder(tmp_path / "work", 5)
    final = link_set(tree, 5, tmp_path / "work" / where, INFO)
    link = os.readlink(final / f"{NAME}_0002.dat")
    assert os.path.isabs(link) is not relative
    assert (final / f"{NAME}_0002.dat").resolve() == tree.member(2).resolve()


def test_links_hold_where_the_path_goes_through_a_link(tmp_path):
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "work").symlink_to(tmp_path / "disk" / "deep")
    tree = run_folder(tmp_path / "work", 5)
    final = link_set(tree, 5, tmp_path / "work" / "lhapdf", INFO)
    assert (final / f"{NAME}_0005.dat").read_bytes() == tree.member(5).read_bytes()


def test_links_know_the_tree_they_belong_to(tmp_path):
    prior = open_set(str(TINY))
    lhapdf = tmp_path / "lhapdf"
    tree = EnhancedTree(tmp_path / NAME, NAME)
    write_enhanced_set(contents_of(prior), tmp_path, lhapdf, SerialTeam())
    assert is_linked(tree, 17, lhapdf)
    assert not is_linked(tree, 16, lhapdf)
    assert not is_linked(tree, 17, tmp_path)
    shutil.rmtree(lhapdf)  # killed after the tree, before the links
    assert linked_set(tree, 17, lhapdf).n_rep == 17
    before = os.stat(lhapdf / NAME).st_ino
    assert linked_set(tree, 17, lhapdf).n_rep == 17
    assert os.stat(lhapdf / NAME).st_ino == before
    stale = lhapdf.rename(tmp_path / "stale")
    changed = contents_of(prior, settings={"kind": "mix", "spread": 0.1})
    write_enhanced_set(changed, tmp_path, lhapdf, SerialTeam())
    shutil.rmtree(lhapdf)
    stale.rename(lhapdf)
    assert not is_linked(tree, 17, lhapdf)


def test_links_that_lead_nowhere_are_noticed_when_the_set_is_opened(tmp_path):
    tree = run_folder(tmp_path, 5)
    final = link_set(tree, 5, tmp_path / "lhapdf", INFO)
    tree.folder.rename(tmp_path / "away")
    with pytest.raises(PDFSetError, match=r"5 missing: tiny_enhanced_0001\.dat.*links that lead nowhere"):
        open_set(str(final))


def test_its_own_set_is_replaced_and_nothing_else_touched(tmp_path):
    tree = run_folder(tmp_path, 5)
    link_set(tree, 5, tmp_path / "lhapdf", INFO)
    before = sha256_of_all(tree.folder)
    link_set(tree, 4, tmp_path / "lhapdf", INFO)
    assert open_set(NAME, [tmp_path / "lhapdf"]).n_rep == 4
    assert sha256_of_all(tree.folder) == before
    assert os.listdir(tmp_path / "lhapdf") == [NAME]


@pytest.mark.parametrize("there", ["foreign", "link", "notes"])
def test_what_others_made_is_left_alone(tmp_path, there):
    tree = run_folder(tmp_path, 5)
    target = tmp_path / "lhapdf" / NAME
    if there == "link":
        target.parent.mkdir()
        target.symlink_to(TINY)
    elif there == "foreign":
        target.mkdir(parents=True)
        (target / f"{NAME}.info").write_text(INFO)
    else:
        link_set(tree, 5, tmp_path / "lhapdf", INFO)
        (target / "notes.txt").write_text("mine")
    before = sha256_of_all(tmp_path)
    with pytest.raises(OutputError, match=str(target)):
        link_set(tree, 5, tmp_path / "lhapdf", INFO)
    assert sha256_of_all(tmp_path) == before


def test_missing_replicas_are_named_in_one_message(tmp_path):
    tree = run_folder(tmp_path, 5)
    tree.member(2).unlink()
    tree.member(4).write_bytes(b"")
    with pytest.raises(PDFSetError, match="missing or empty for i = 2, 4; 5 replicas were expected"):
        require_complete(tree, 5)
    with pytest.raises(PDFSetError, match="and 286 more; 299 replicas"):
        link_set(tree, 299, tmp_path / "lhapdf", INFO)
    assert not (tmp_path / "lhapdf").exists()


def test_damaged_or_different_replicas_are_named(tmp_path):
    tree = run_folder(tmp_path, 5)
    grid = read_grid(tree.member(3))
    (one,) = grid.subgrids
    write_grid(tree.member(3), GridFile(grid.header, (Subgrid(one.x * 0.99, one.q, one.pids, one.values),)))
    with pytest.raises(PDFSetError, match=r"replica_3.*differ"):
        link_set(tree, 5, tmp_path / "lhapdf", INFO)
    tree.member(4).write_bytes(tree.member(4).read_bytes()[:900])
    tree.member(3).write_bytes((TINY / "tiny_0003.dat").read_bytes())
    with pytest.raises(PDFSetError, match=r"replica_4.*truncated"):
        link_set(tree, 5, tmp_path / "lhapdf", INFO)
    assert not (tmp_path / "lhapdf").exists()


def test_numbers_of_replicas(tmp_path):
    assert replicas_there(EnhancedTree(tmp_path / "none", NAME)) == 0
    tree = run_folder(tmp_path, 5)
    (tree.nnfit / "replica_notes").mkdir()
    (tree.nnfit / "replica_0").mkdir()
    assert replicas_there(tree) == 5


def test_the_line_to_type_works(tmp_path, monkeypatch):
    folder = tmp_path / "with space"
    folder.mkdir()
    monkeypatch.delenv("LHAPDF_DATA_PATH", raising=False)
    line = export_line(folder)
    for before, expected in (("", str(folder)), ("/a:/b", f"{folder}:/a:/b")):
        said = subprocess.run(
            ["bash", "-c", f'{line}; printf %s "$LHAPDF_DATA_PATH"'],
            env={"PATH": os.environ["PATH"], **({"LHAPDF_DATA_PATH": before} if before else {})},
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout == expected
    monkeypatch.setenv("LHAPDF_DATA_PATH", str(folder))
    assert export_line(folder) is None


def test_the_info_of_the_prior_serves_where_the_run_has_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path, 5)
    said = postgans("tiny", folders=[BAD / "sets"])
    assert "5 replicas linked" in said
    assert "export LHAPDF_DATA_PATH=" in said
    info = parse_info((tmp_path / "lhapdf" / NAME / f"{NAME}.info").read_text())
    assert (info["NumMembers"], info["MZ"]) == (6, 91.1876)
