"""Sets of selected replicas: exact copies, an exact average, and nothing overwritten."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.errors import OutputError, PDFSetError
from compress_mpi.io import draftfolder, setfolder, setwriter
from compress_mpi.io.backends import read_members
from compress_mpi.io.demo import write_demo_set
from compress_mpi.io.gridfile import read_grid, write_grid
from compress_mpi.io.gridtypes import GridFile, Subgrid
from compress_mpi.io.pdfset import PDFSet, open_set, require_replicas
from compress_mpi.io.setfolder import new_set
from compress_mpi.io.setwriter import average, write_subset

CHOSEN = [5, 2, 7]
PIDS = (-4, -3, -2, -1, 21, 1, 2, 3, 4)
REAL = "JAM21PDF_proton_nlo"


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> PDFSet:
    folder = tmp_path_factory.mktemp("sets")
    write_demo_set(folder, n_rep=8, name="tiny")
    return open_set(str(folder / "tiny"))


@pytest.fixture
def own_prior(prior: PDFSet, tmp_path: Path) -> PDFSet:
    shutil.copytree(prior.path, tmp_path / "prior" / "tiny")
    return open_set(str(tmp_path / "prior" / "tiny"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_members_are_copies_in_the_order_given(prior: PDFSet, tmp_path: Path) -> None:
    folder = write_subset(prior, CHOSEN, tmp_path / "new" / "place", "tiny_3", "three of eight")
    assert folder == tmp_path / "new" / "place" / "tiny_3"
    names = ["tiny_3.info", *(f"tiny_3_{k:04d}.dat" for k in range(4))]
    assert sorted(contents(folder)) == sorted(names)
    for k, number in enumerate(CHOSEN, 1):
        assert (folder / f"tiny_3_{k:04d}.dat").read_bytes() == prior.member_path(number).read_bytes()
    assert [path.name for path in folder.parent.iterdir()] == ["tiny_3"]


def test_member_0_and_duplicates_are_written_when_asked_for(prior: PDFSet, tmp_path: Path) -> None:
    folder = write_subset(prior, [3, 0, 3], tmp_path, "odd", "with the average")
    members = contents(folder)
    assert members["odd_0002.dat"] == prior.member_path(0).read_bytes()
    assert members["odd_0001.dat"] == members["odd_0003.dat"] == prior.member_path(3).read_bytes()


def test_info_says_what_the_set_is_and_keeps_the_rest(prior: PDFSet, tmp_path: Path) -> None:
    folder = write_subset(prior, CHOSEN, tmp_path, "tiny_3", 'three: "best" of eight\nreplicas')
    pdfset = open_set(str(folder))
    changed = {"SetDesc", "NumMembers", "CompressMPI"}
    assert pdfset.info["SetDesc"] == 'three: "best" of eight replicas'
    assert pdfset.info["NumMembers"] == 4
    assert pdfset.info["SetIndex"] == 0
    assert pdfset.info["CompressMPI"] == "3 replicas of tiny"
    for key in prior.info.keys() - changed:
        assert pdfset.info[key] == prior.info[key]
    require_replicas(pdfset, 2)


@pytest.mark.parametrize("q0", [1.0, 1.4, 1.65, 77.0])
def test_neopdf_reads_the_average_in_member_0(prior: PDFSet, tmp_path: Path, q0: float) -> None:
    from neopdf.pdf import PDF

    folder = write_subset(prior, CHOSEN, tmp_path, "tiny_3", "three")
    at_knots = read_grid(prior.member_path(1)).subgrids[0].x[:-1]
    x = np.concatenate([at_knots, np.geomspace(1e-6, 0.9, 57)])

    def values(member: int) -> np.ndarray:
        pdf = PDF.mkPDF_lhapdf_file(str(folder / f"tiny_3_{member:04d}.dat"))
        return np.asarray(pdf.xfxQ2s(list(PIDS), x.tolist(), [q0**2]))

    mean = np.mean([values(k) for k in (1, 2, 3)], axis=0)
    np.testing.assert_allclose(values(0), mean, rtol=1e-12, atol=1e-300)
    assert values(0).max() > 0.5


def test_the_average_is_exact_even_where_members_cancel(tmp_path: Path) -> None:
    x, q, pids = np.array([0.1, 1.0]), np.array([1.0, 2.0]), (1,)
    tables = [[1e16, 3.0, 0.1, 1.0], [1.0, -7.0, 0.2, 1.0], [-1e16, 4.0, 0.3, 1.0], [1e-3, 1e-9, 0.4, 1.0]]
    paths = []
    for k, table in enumerate(tables):
        paths.append(tmp_path / f"a_{k:04d}.dat")
        values = np.array(table).reshape(2, 2, 1)
        write_grid(paths[-1], GridFile("Format: lhagrid1", (Subgrid(x, q, pids, values),)))
    exact = [float(sum(map(Fraction, column)) / 4) for column in zip(*tables, strict=True)]
    np.testing.assert_allclose(average(paths)[0].values.ravel(), exact, rtol=1e-15)


def test_a_compressed_set_can_be_compressed_again(prior: PDFSet, tmp_path: Path) -> None:
    first = open_set(str(write_subset(prior, [1, 2, 3, 4], tmp_path, "first", "4")))
    second = open_set(str(write_subset(first, [4, 2], tmp_path, "second", "2")))
    assert second.info["CompressMPI"] == "2 replicas of first"
    assert second.member_path(1).read_bytes() == prior.member_path(4).read_bytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("NumMembers: 9", "NumMembers :   9   # with the average"),
        ("SetIndex: 0\n", ""),
        ("SetIndex: 0", "SetIndex:\t331100\nSetIndex: 5"),
        ("ErrorType: replicas", "ErrorType:   'Replicas'"),
        ("Authors: compress-mpi", 'Authors: "A. One,\n  B. Two"\n# a remark'),
        ("Reference: none", "Reference: none\nAlphaS_Lambda4: 0\n..."),
    ],
)
def test_info_is_updated_whatever_its_spacing(own_prior: PDFSet, tmp_path: Path, old: str, new: str) -> None:
    text = own_prior.info_path.read_text()
    if new.endswith("..."):  # the end of the document must be the end
        text = text.replace("Reference: none\n", "") + "Reference: none\n"
    own_prior.info_path.write_text(text.replace(old, new))
    folder = write_subset(open_set(str(own_prior.path)), CHOSEN, tmp_path, "out", "new text")
    pdfset = open_set(str(folder))
    assert (pdfset.n_rep, pdfset.error_type, pdfset.info["SetIndex"]) == (3, "replicas", 0)
    assert pdfset.info["SetDesc"] == "new text"
    assert read_directly(folder / "out_0001.dat") > 0


def read_directly(path: Path) -> float:
    """Through a process of its own: neopdf ends the process when it dislikes the .info file."""
    code = f"from neopdf.pdf import PDF; print(PDF.mkPDF_lhapdf_file({str(path)!r}).xfxQ2(21, 0.1, 4.0))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return float(done.stdout)


@pytest.mark.parametrize("replicas", [[], [9], [-1], [1, 2, 100]])
def test_numbers_that_the_prior_lacks_are_refused(prior: PDFSet, tmp_path: Path, replicas: list[int]) -> None:
    with pytest.raises(PDFSetError, match="expected numbers 1 to 8, got"):
        write_subset(prior, replicas, tmp_path, "out", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["x", "q", "pids", "subgrids"])
def test_replicas_on_other_knots_are_not_averaged(own_prior: PDFSet, tmp_path: Path, what: str) -> None:
    path = own_prior.member_path(2)
    subgrids = list(read_grid(path).subgrids)
    last = subgrids.pop()
    changes = {
        "x": [Subgrid(last.x * 0.999, last.q, last.pids, last.values)],
        "q": [Subgrid(last.x, last.q[:-1], last.pids, last.values[:, :-1])],
        "pids": [Subgrid(last.x, last.q, last.pids[::-1], last.values)],
        "subgrids": [],
    }
    if what == "pids":
        subgrids = [Subgrid(s.x, s.q, s.pids[::-1], s.values) for s in subgrids]
    write_grid(path, GridFile("Format: lhagrid1", (*subgrids, *changes[what])))
    with pytest.raises(PDFSetError) as caught:
        write_subset(own_prior, CHOSEN, tmp_path, "out", "")
    assert "tiny_0002.dat" in str(caught.value)
    assert "tiny_0005.dat" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_damaged_replica_is_named_and_nothing_written(own_prior: PDFSet, tmp_path: Path) -> None:
    own_prior.member_path(7).write_bytes(own_prior.member_path(7).read_bytes()[:5000])
    with pytest.raises(PDFSetError, match=r"tiny_0007\.dat: truncated"):
        write_subset(own_prior, CHOSEN, tmp_path / "new", "out", "")
    assert not (tmp_path / "new").exists()


# What is already there


def test_an_own_set_is_replaced_whole(prior: PDFSet, tmp_path: Path) -> None:
    write_subset(prior, [1, 2, 3, 4, 5], tmp_path, "out", "five")
    folder = write_subset(prior, [6, 8], tmp_path, "out", "two")
    assert open_set(str(folder)).n_rep == 2
    assert len(list(folder.iterdir())) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_writing_twice_gives_the_same_bytes(prior: PDFSet, tmp_path: Path) -> None:
    first = contents(write_subset(prior, CHOSEN, tmp_path, "out", "text"))
    assert contents(write_subset(prior, CHOSEN, tmp_path, "out", "text")) == first


@pytest.mark.parametrize(
    "there", ["foreign set", "own set and notes", "other files", "file", "link", "prior"]
)
def test_what_others_wrote_is_left_alone(own_prior: PDFSet, tmp_path: Path, there: str) -> None:
    target = tmp_path / "out"
    name, folder = "out", tmp_path
    if there == "foreign set":
        target.mkdir()
        (target / "out.info").write_text("SetDesc: mine\n")
    elif there == "own set and notes":
        write_subset(own_prior, [1], tmp_path, "out", "")
        (target / "notes.txt").write_text("mine")
    elif there == "other files":
        target.mkdir()
        (target / "thesis.tex").write_text("mine")
    elif there == "file":
        target.write_text("mine")
    elif there == "link":
        target.symlink_to(own_prior.path)
    else:
        name, folder, target = "tiny", own_prior.path.parent, own_prior.path
    before = contents(target) if target.is_dir() else target.read_bytes()
    with pytest.raises(OutputError, match=str(target)):
        write_subset(own_prior, CHOSEN, folder, name, "")
    assert before == (contents(target) if target.is_dir() else target.read_bytes())
    assert not list(folder.glob(".*"))


def test_an_empty_folder_is_not_in_the_way(prior: PDFSet, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert open_set(str(write_subset(prior, CHOSEN, tmp_path, "out", ""))).n_rep == 3


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "two words"])
def test_names_that_are_no_names_are_refused(prior: PDFSet, tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot name a set"):
        write_subset(prior, CHOSEN, tmp_path, name, "")


def test_a_folder_that_cannot_be_made_is_an_output_error(prior: PDFSet, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_subset(prior, CHOSEN, tmp_path / "file", "out", "")


def test_a_full_disk_leaves_the_old_set_and_no_litter(
    prior: PDFSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(write_subset(prior, CHOSEN, tmp_path, "out", "old"))

    def full(path: Path, grid: GridFile) -> None:
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(setwriter, "write_grid", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_subset(prior, [1, 2], tmp_path, "out", "new")
    assert contents(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_rename_that_fails_puts_the_old_set_back(
    prior: PDFSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(write_subset(prior, CHOSEN, tmp_path, "out", "old"))
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if ".writing." in self.name:
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OutputError, match="Input/output error"):
        write_subset(prior, [1, 2], tmp_path, "out", "new")
    assert contents(tmp_path / "out") == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def dead_pid() -> int:
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    return int(done.stdout)


def test_litter_of_dead_runs_is_swept_and_that_of_others_is_not(prior: PDFSet, tmp_path: Path) -> None:
    host, dead = socket.gethostname(), dead_pid()
    gone = [tmp_path / f".out.writing.{host}.{dead}", tmp_path / f".out.writing.{host}.{os.getpid()}"]
    kept = [tmp_path / f".out.writing.{host}.1", tmp_path / f".out.writing.elsewhere.{dead}"]
    kept += [tmp_path / f".other.writing.{host}.{dead}", tmp_path / ".out.writing.notes"]
    for folder in gone + kept:
        folder.mkdir()
        (folder / "out_0001.dat").touch()
    write_subset(prior, CHOSEN, tmp_path, "out", "")
    assert not any(folder.exists() for folder in gone)
    assert all(folder.exists() for folder in kept)


def test_a_set_set_aside_by_a_killed_run_comes_back(prior: PDFSet, tmp_path: Path) -> None:
    before = contents(write_subset(prior, CHOSEN, tmp_path, "out", "old"))
    (tmp_path / "out").rename(tmp_path / f".out.before.{socket.gethostname()}.{dead_pid()}")
    with pytest.raises(RuntimeError), new_set(tmp_path, "out"):
        raise RuntimeError
    assert contents(tmp_path / "out") == before


def test_the_first_of_two_builders_wins_where_that_is_wanted(tmp_path: Path) -> None:
    with new_set(tmp_path, "out", keep_existing=True) as mine:
        (mine / "out.info").write_text("mine")
        os.mkdir(tmp_path / "out")
        (tmp_path / "out" / "out.info").write_text("theirs")
    assert (tmp_path / "out" / "out.info").read_text() == "theirs"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_every_file_reaches_the_disk(prior: PDFSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    sync = draftfolder.sync
    for module in (draftfolder, setfolder):
        monkeypatch.setattr(module, "sync", lambda path: (synced.append(path.name), sync(path)))
    write_subset(prior, CHOSEN, tmp_path, "out", "")
    assert set(contents(tmp_path / "out")) <= set(synced)
    assert synced[-1] == tmp_path.name


# A real set


@pytest.mark.realdata
def test_a_real_set_is_written_and_its_average_is_right(tmp_path: Path) -> None:
    paths = os.environ.get("LHAPDF_DATA_PATH", "").split(os.pathsep)
    if not any(path and (Path(path) / REAL).is_dir() for path in paths):
        pytest.skip(f"{REAL} not found through LHAPDF_DATA_PATH")
    real = open_set(REAL)
    new = open_set(str(write_subset(real, [17, 1006, 512], tmp_path, "jam_3", "three")))
    assert new.member_path(2).read_bytes() == real.member_path(1006).read_bytes()
    x = np.geomspace(1e-6, 0.98, 101)
    flavours = [pid for pid in new.flavours if abs(pid) < 4 or pid == 21]
    central = read_members(new, [0], flavours, x, 1.65)[0]
    mean = read_members(real, [17, 1006, 512], flavours, x, 1.65).mean(axis=0)
    np.testing.assert_allclose(central, mean, rtol=1e-9, atol=1e-14)
    assert read_directly(new.member_path(0)) > 0
