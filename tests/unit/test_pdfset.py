"""Sets: found or not, fit or not, and read alike by both libraries."""

from __future__ import annotations

import os
import shutil
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.errors import PDFSetError
from compress_mpi.io import backends
from compress_mpi.io.backends import choose_backend, knots, read_members, require_scale
from compress_mpi.io.demo import write_demo_set
from compress_mpi.io.gridfile import read_grid, write_grid
from compress_mpi.io.gridtypes import GridFile, Subgrid
from compress_mpi.io.infofile import parse_info, updated_info
from compress_mpi.io.pdfset import PDFSet, open_set, require_replicas, search_paths

X = np.array([1e-4, 0.013, 0.1, 0.37, 0.85])
REAL = "JAM21PDF_proton_nlo"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    write_demo_set(folder, n_rep=4, name="tiny")
    return folder


@pytest.fixture
def sets(pristine: Path, tmp_path: Path) -> Path:
    shutil.copytree(pristine / "tiny", tmp_path / "sets" / "tiny")
    return tmp_path / "sets"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LHAPDF_PATH", "NEOPDF_DATA_PATH", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr(shutil, "which", lambda program: None)


@pytest.fixture
def no_data_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LHAPDF_DATA_PATH", raising=False)


def tiny(sets: Path) -> PDFSet:
    return open_set("tiny", [sets])


def edit_info(sets: Path, change: Callable[[str], str]) -> None:
    path = sets / "tiny" / "tiny.info"
    path.write_text(change(path.read_text()))


def rewrite(path: Path, change: Callable[[Subgrid], Subgrid]) -> None:
    write_grid(path, GridFile("Format: lhagrid1", tuple(change(s) for s in read_grid(path).subgrids)))


def direct(path: Path, pids: list[int], x: np.ndarray, q0: float) -> np.ndarray:
    """What neopdf itself makes of a member, one point at a time."""
    from neopdf.pdf import PDF

    pdf = PDF.mkPDF_lhapdf_file(str(path))
    return np.array([[pdf.xfxQ2(pid, node, q0**2) for node in x] for pid in pids])


# Finding


@pytest.mark.usefixtures("no_data_path")
class TestSearch:
    def test_paths_come_in_order_each_once_and_exist(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        names = ("extra", "data", "path", "neo", "conda/share/LHAPDF", "venv/share/LHAPDF")
        extra, data, path, neo, conda, venv = folders = [tmp_path / name for name in names]
        for folder in folders:
            folder.mkdir(parents=True)
        monkeypatch.setenv("LHAPDF_DATA_PATH", f"{data}:{tmp_path}/missing::{extra}")
        monkeypatch.setenv("LHAPDF_PATH", str(path))
        monkeypatch.setenv("NEOPDF_DATA_PATH", f"{neo}/")
        monkeypatch.setenv("CONDA_PREFIX", str(tmp_path / "conda"))
        assert search_paths([extra]) == [extra, data, path, neo, venv, conda]

    def test_lhapdf_config_is_asked(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script = tmp_path / "lhapdf-config"
        script.write_text(f'#!/bin/sh\n[ "$1" = --datadir ] && echo {tmp_path}\n')
        script.chmod(0o755)
        monkeypatch.setattr(shutil, "which", lambda program: str(script))
        assert search_paths() == [tmp_path]

    @pytest.mark.parametrize("body", ["#!/bin/sh\nexit 3\n", "no program at all\n", "#!/nowhere\n"])
    def test_a_broken_lhapdf_config_does_no_harm(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str
    ) -> None:
        script = tmp_path / "lhapdf-config"
        script.write_text(body)
        script.chmod(0o755)
        monkeypatch.setattr(shutil, "which", lambda program: str(script))
        assert search_paths() == []

    def test_a_set_is_found_by_name_and_by_path(self, sets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        by_name = open_set("tiny", [sets])
        assert by_name == open_set(str(sets / "tiny")) == open_set(f"{sets}/tiny/")
        monkeypatch.chdir(sets)
        assert open_set("./tiny") == open_set("tiny") == by_name

    def test_a_missing_set_says_where_it_looked_and_what_is_there(
        self, sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "bare").mkdir()
        monkeypatch.setenv("LHAPDF_DATA_PATH", f"{tmp_path}/bare:{tmp_path}/gone")
        with pytest.raises(PDFSetError) as caught:
            open_set("tinny", [sets])
        text = str(caught.value)
        assert "PDF set 'tinny' not found; did you mean tiny?" in text
        assert f"{sets}: tiny\n" in text
        assert f"{tmp_path}/bare: no sets" in text
        assert f"{tmp_path}/gone: no such folder" in text
        assert "lhapdf install tinny" in text
        assert "--pdf-path" in text

    def test_a_long_list_of_sets_is_capped(self, tmp_path: Path) -> None:
        for k in range(25):
            (tmp_path / f"set{k:02d}").mkdir()
            (tmp_path / f"set{k:02d}" / f"set{k:02d}.info").touch()
        with pytest.raises(PDFSetError) as caught:
            open_set("other", [tmp_path])
        assert "set09 and 15 more" in str(caught.value)

    @pytest.mark.parametrize("name", ["", "  ", "../nope", "/nowhere/at/all"])
    def test_odd_names_are_refused(self, sets: Path, name: str) -> None:
        with pytest.raises(PDFSetError):
            open_set(name, [sets])

    def test_a_folder_without_info_is_named(self, sets: Path) -> None:
        (sets / "tiny" / "tiny.info").unlink()
        with pytest.raises(PDFSetError, match=r"tiny\.info is missing there"):
            open_set("tiny", [sets])


def test_a_good_set_describes_itself(sets: Path) -> None:
    pdfset = tiny(sets)
    assert (pdfset.name, pdfset.path, pdfset.n_rep) == ("tiny", sets / "tiny", 4)
    assert pdfset.flavours == (-5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 21)
    assert (pdfset.x_min, pdfset.x_max, pdfset.q_min, pdfset.q_max) == (1e-6, 1.0, 1.0, 1e5)
    assert pdfset.error_type == "replicas"
    assert pdfset.info["MCharm"] == 1.51


def test_member_numbers_have_four_digits_or_more(sets: Path) -> None:
    pdfset = tiny(sets)
    names = [pdfset.member_path(k).name for k in (0, 7, 9999, 10000, 123456)]
    assert names == [f"tiny_{n}.dat" for n in ("0000", "0007", "9999", "10000", "123456")]


def test_a_set_of_more_than_9999_replicas(sets: Path) -> None:
    folder = sets / "tiny"
    edit_info(sets, lambda text: text.replace("NumMembers: 5", "NumMembers: 10002"))
    for k in range(5, 10002):
        os.link(folder / "tiny_0001.dat", folder / f"tiny_{k:04d}.dat")
    pdfset = tiny(sets)
    assert pdfset.n_rep == 10001
    values = read_members(pdfset, [9999, 10001], [2], X, 1.65)
    assert np.array_equal(values[0], values[1])


def test_missing_members_are_listed_and_capped(sets: Path) -> None:
    (sets / "tiny" / "tiny_0002.dat").unlink()
    with pytest.raises(PDFSetError, match=r"NumMembers is 5, 1 missing: tiny_0002.dat\)"):
        tiny(sets)
    edit_info(sets, lambda text: text.replace("NumMembers: 5", "NumMembers: 101"))
    with pytest.raises(PDFSetError, match=r"97 missing: tiny_0002.dat, .*tiny_0013.dat and 87 more"):
        tiny(sets)


# The .info file

QUIRKS = {
    "wide spacing": (lambda t: t.replace("NumMembers: 5", "NumMembers :    5   # all")),
    "tabs": (lambda t: t.replace("NumMembers: 5", "NumMembers:\t5")),
    "trailing comma": (lambda t: t.replace("5, 21]", "5, 21, ]")),
    "colon in text": (lambda t: t.replace("Reference: none", "Reference: arXiv: 1504.06469 [hep-ph: x")),
    "key twice": (lambda t: "NumMembers: 77\n" + t),
    "exponent without point": (lambda t: t.replace("1.000000E+05", "1E+05")),
    "exponent without sign": (lambda t: t.replace("1.000000E+05", "1.0e5")),
    "leading zeros": (lambda t: t.replace("NumMembers: 5", "NumMembers: 0005")),
    "quotes": (lambda t: t.replace("NumMembers: 5", "NumMembers: '5'").replace("replicas\n", '"replicas"\n')),
    "unclosed quote": (lambda t: t.replace("Authors: compress-mpi", 'Authors: "A. Nother')),
    "list over lines": (
        lambda t: t.replace("-5, -4, -3,", "-5, -4,\n  -3,").replace("Reference: none", "Re: a: b")
    ),
    "windows": (lambda t: t.replace("\n", "\r\n")),
    "byte order mark": (lambda t: "\ufeff" + t),
    "document marks": (lambda t: "---\n" + t + "...\n"),
    "percent": (lambda t: t.replace("Authors: compress-mpi", "Authors: %nobody @home")),
    "comment": (lambda t: "# made by hand\n\n" + t),
}


@pytest.mark.parametrize("change", QUIRKS.values(), ids=QUIRKS)
def test_quirks_of_real_info_files_are_read(sets: Path, change: Callable[[str], str]) -> None:
    path = sets / "tiny" / "tiny.info"
    path.write_bytes(change(path.read_text()).encode())
    pdfset = tiny(sets)
    assert (pdfset.n_rep, pdfset.q_max, pdfset.flavours[-2:]) == (4, 1e5, (5, 21))
    require_replicas(pdfset, 3)
    assert read_members(pdfset, [1], [21], X, 1.65).min() > 0


def test_latin_letters_are_read(sets: Path) -> None:
    path = sets / "tiny" / "tiny.info"
    path.write_bytes(path.read_bytes().replace(b"Authors: compress-mpi", b"Authors: J. Mart\xedn"))
    assert tiny(sets).info["Authors"] == "J. Martín"


@pytest.mark.parametrize("text", ["", " \n", "just some words\n", "\0\0\0\0", "[1, 2]\n"])
def test_an_info_file_without_keys_is_refused(sets: Path, text: str) -> None:
    edit_info(sets, lambda _: text)
    with pytest.raises(PDFSetError, match=r"tiny.info: "):
        tiny(sets)


@pytest.mark.parametrize("key", ["NumMembers", "Flavors", "XMin", "XMax", "QMin", "QMax"])
def test_a_missing_key_is_named(sets: Path, key: str) -> None:
    edit_info(sets, lambda text: text.replace(f"{key}:", f"No{key}:"))
    with pytest.raises(PDFSetError, match=rf"tiny.info: key '{key}' is missing"):
        tiny(sets)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("NumMembers", "many"),
        ("NumMembers", "0"),
        ("NumMembers", "2.5"),
        ("QMax", "[1, 2]"),
        ("XMin", "nan"),
        ("Flavors", "[u, d]"),
        ("Flavors", "[]"),
        ("Flavors", "all"),
    ],
)
def test_a_senseless_value_is_named(sets: Path, key: str, value: str) -> None:
    lines = (sets / "tiny" / "tiny.info").read_text().splitlines()
    changed = [f"{key}: {value}" if line.startswith(f"{key}:") else line for line in lines]
    edit_info(sets, lambda _: "\n".join(changed))
    with pytest.raises(PDFSetError, match=rf"tiny.info: {key}: expected"):
        tiny(sets)


def test_keys_are_changed_in_place_and_the_rest_is_kept() -> None:
    text = 'SetDesc:   "old\n  text"\nNumMembers : 9\n# note\nSetIndex:\t5\nXMin: 1e-9\nNumMembers: 8\n...\n'
    new = updated_info(text, {"SetDesc": 'a "b": c\nd', "NumMembers": 3, "Mark": "x y"})
    assert new == 'SetDesc: "a \\"b\\": c d"\nNumMembers: 3\n# note\nSetIndex:\t5\nXMin: 1e-9\nMark: "x y"\n'
    assert parse_info(new)["SetDesc"] == 'a "b": c d'


# Fitness


@pytest.mark.parametrize("kind", ["hessian", "symmhessian", "unknown", "Hessian", "symmhessian+as", "yes"])
def test_a_set_that_is_not_monte_carlo_is_refused(sets: Path, kind: str) -> None:
    edit_info(sets, lambda text: text.replace("ErrorType: replicas", f"ErrorType: {kind}"))
    with pytest.raises(
        PDFSetError, match=rf"tiny.info: ErrorType: expected 'replicas', got '{kind}'".replace("+", r"\+")
    ):
        require_replicas(tiny(sets))


def test_a_set_without_error_type_is_refused(sets: Path) -> None:
    edit_info(sets, lambda text: text.replace("ErrorType: replicas\n", ""))
    with pytest.raises(PDFSetError, match="got 'unknown'"):
        require_replicas(tiny(sets))


def test_case_of_the_error_type_does_not_matter(sets: Path) -> None:
    edit_info(sets, lambda text: text.replace("ErrorType: replicas", "ErrorType: Replicas"))
    require_replicas(tiny(sets), 3)


def test_alpha_s_variations_are_not_replicas(sets: Path) -> None:
    edit_info(sets, lambda text: text.replace("ErrorType: replicas", "ErrorType: replicas+as"))
    pdfset = tiny(sets)
    require_replicas(pdfset)
    assert pdfset.n_rep == 2


def test_more_replicas_than_wanted_are_needed(sets: Path) -> None:
    pdfset = tiny(sets)
    require_replicas(pdfset, 3)
    with pytest.raises(
        PDFSetError, match=r"has 4 replicas \(NumMembers: 5\), at least 5 are needed to select 4"
    ):
        require_replicas(pdfset, 4)


@pytest.mark.parametrize("q0", [0.999, 0.0, -1.0, 1.01e5, float("nan"), float("inf")])
def test_a_scale_outside_the_set_is_refused(sets: Path, q0: float) -> None:
    pdfset = tiny(sets)
    require_scale(pdfset, 1.65)
    with pytest.raises(PDFSetError, match=r"the set covers 1 to 100000 GeV"):
        require_scale(pdfset, q0)


def test_a_range_that_claims_more_than_the_knots_is_seen_through(sets: Path) -> None:
    edit_info(sets, lambda text: text.replace("QMin: 1.000000E+00", "QMin: 0.9"))
    pdfset = tiny(sets)
    for check in (lambda: require_scale(pdfset, 0.95), lambda: read_members(pdfset, [1], [1], X, 0.95)):
        with pytest.raises(
            PDFSetError, match=r"tiny_0001.dat: q0 = 0.95 GeV is outside its knots, 1 to 100000 GeV"
        ):
            check()


# Values


@pytest.mark.parametrize("q0", [1.0, 1.2, 1.65, 30.0, 1e5])
def test_values_are_those_of_the_library(sets: Path, q0: float) -> None:
    pids = [-4, -1, 2, 21, 5]
    values = read_members(tiny(sets), [3, 0, 1], pids, X, q0)
    assert values.shape == (3, 5, 5)
    for row, member in enumerate((3, 0, 1)):
        assert np.array_equal(values[row], direct(sets / f"tiny/tiny_{member:04d}.dat", pids, X, q0))


def test_values_at_the_knots_are_those_of_the_file(sets: Path) -> None:
    subgrid = read_grid(sets / "tiny" / "tiny_0002.dat").subgrids[1]
    values = read_members(tiny(sets), [2], subgrid.pids, subgrid.x[:-1], float(subgrid.q[1]))
    np.testing.assert_allclose(values[0], subgrid.values[:-1, 1].T, rtol=1e-12)


def test_gluon_has_two_numbers_and_absent_flavours_are_zero(sets: Path) -> None:
    values = read_members(tiny(sets), [1], [0, 21, 22, 6], X, 1.65)
    assert np.array_equal(values[0, 0], values[0, 1])
    assert values[0, 0].min() > 0
    assert not values[0, 2:].any()


def test_a_member_may_be_asked_for_twice(sets: Path) -> None:
    values = read_members(tiny(sets), [2, 1, 2], [1], X, 1.65)
    assert np.array_equal(values[0], values[2])
    assert not np.array_equal(values[0], values[1])


def test_nothing_asked_is_nothing_given(sets: Path) -> None:
    assert read_members(tiny(sets), [], [1, 2], X, 1.65).shape == (0, 2, 5)
    assert read_members(tiny(sets), [1], [], X, 1.65).shape == (1, 0, 5)


def test_on_a_threshold_the_upper_subgrid_counts(sets: Path) -> None:
    def shift_lowest(subgrid: Subgrid) -> Subgrid:
        values = subgrid.values + (7.0 if subgrid.q[0] == 1.0 else 0.0)
        return Subgrid(subgrid.x, subgrid.q, subgrid.pids, values)

    pdfset = tiny(sets)
    before = read_members(pdfset, [1], [2], X, 1.51)
    rewrite(pdfset.member_path(1), shift_lowest)
    np.testing.assert_allclose(read_members(pdfset, [1], [2], X, 1.51), before, rtol=1e-9)
    assert np.all(read_members(pdfset, [1], [2], X, 1.5) > 5)


@pytest.mark.parametrize("floor", ["1", "2"])
def test_forced_positivity_is_that_of_lhapdf(sets: Path, floor: str) -> None:
    edit_info(sets, lambda text: text + f"ForcePositive: {floor}\n")
    pdfset = tiny(sets)
    rewrite(pdfset.member_path(1), lambda s: Subgrid(s.x, s.q, s.pids, s.values - 0.1))
    values = read_members(pdfset, [1], [2], X, 1.65)
    assert values.min() == {"1": 0.0, "2": 1e-10}[floor]
    assert values.max() > 0.1


def test_text_that_neopdf_chokes_on_is_read_all_the_same(sets: Path) -> None:
    pdfset = tiny(sets)
    before = read_members(pdfset, [1, 2], [2, 21], X, 1.65)
    path = pdfset.member_path(1)
    path.write_text(path.read_text().replace("---\n", "---\n# a comment\n"))
    assert np.array_equal(read_members(pdfset, [1, 2], [2, 21], X, 1.65), before)


def test_a_small_subgrid_elsewhere_does_not_matter(sets: Path) -> None:
    def thin(subgrid: Subgrid) -> Subgrid:
        keep = slice(None, None, 3) if subgrid.q[0] == 1.0 else slice(None)
        return Subgrid(subgrid.x, subgrid.q[keep], subgrid.pids, subgrid.values[:, keep])

    pdfset = tiny(sets)
    before = read_members(pdfset, [1], [2, 21], X, 1.65)
    rewrite(pdfset.member_path(1), thin)
    np.testing.assert_array_equal(read_members(pdfset, [1], [2, 21], X, 1.65), before)
    with pytest.raises(PDFSetError, match=r"needs 4 x and 4 Q knots around q0 = 1\.2"):
        read_members(pdfset, [1], [2], X, 1.2)


def test_other_interpolators(sets: Path) -> None:
    cubic = read_members(tiny(sets), [1], [2], X, 1.3)
    edit_info(sets, lambda text: text + "Interpolator: linear\n")
    linear = read_members(tiny(sets), [1], [2], X, 1.3)
    assert 1e-5 < np.abs(linear / cubic - 1).max() < 0.1
    edit_info(sets, lambda text: text.replace("Interpolator: linear", "Interpolator: cubic"))
    with pytest.raises(PDFSetError, match="neopdf does not know 'cubic'"):
        read_members(tiny(sets), [1], [2], X, 1.3)


def test_nodes_outside_the_grid_are_refused(sets: Path) -> None:
    with pytest.raises(PDFSetError, match=r"x = 1e-07, 2 outside the grid, its knots reach from 1e-06 to 1"):
        read_members(tiny(sets), [2], [1], np.array([1e-7, 0.1, 2.0]), 1.65)
    with pytest.raises(PDFSetError, match="x = nan"):
        read_members(tiny(sets), [2], [1], np.array([np.nan]), 1.65)


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, b"Format: lhagrid1\n---\n1 2 3\n"])
def test_a_damaged_member_is_named_before_the_library_dies_of_it(sets: Path, damage: bytes) -> None:
    pdfset = tiny(sets)
    pdfset.member_path(3).write_bytes(damage)
    with pytest.raises(PDFSetError, match=r"tiny_0003.dat: "):
        read_members(pdfset, [2, 3], [1], X, 1.65)


def test_a_member_cut_between_subgrids_is_noticed(sets: Path) -> None:
    pdfset = tiny(sets)
    whole = pdfset.member_path(2).read_text().split("---\n")
    pdfset.member_path(2).write_text("---\n".join([*whole[:3], ""]))
    with pytest.raises(PDFSetError, match=r"tiny_0002.dat: 2 subgrids, replica 1 has 3"):
        read_members(pdfset, [2], [1], X, 1.65)


def test_a_nan_is_located(sets: Path) -> None:
    pdfset = tiny(sets)
    lines = pdfset.member_path(4).read_text().split("\n")
    lines[8] = " ".join(["nan", *lines[8].split()[1:]])
    pdfset.member_path(4).write_text("\n".join(lines))
    with pytest.raises(
        PDFSetError, match=r"tiny_0004.dat: subgrid 1: the value at flavour -5, x = 1e-06, Q = 1.32"
    ):
        read_members(pdfset, [4], [1], X, 1.65)


def test_flavours_that_differ_are_refused(sets: Path) -> None:
    pdfset = tiny(sets)
    rewrite(pdfset.member_path(2), lambda s: Subgrid(s.x, s.q, (*s.pids[:-1], 22), s.values))
    with pytest.raises(PDFSetError, match=r"tiny_0002.dat: flavours .* replica 1 has"):
        read_members(pdfset, [2], [1], X, 1.65)
    edit_info(sets, lambda text: text.replace(", 21]", "]"))
    with pytest.raises(PDFSetError, match=r"tiny_0001.dat: flavours .* 'Flavors' of .*tiny.info"):
        read_members(tiny(sets), [1], [1], X, 1.65)


def test_flavours_neopdf_cannot_see_are_refused(sets: Path) -> None:
    pids = (-11, -4, -3, -2, -1, 1, 2, 3, 4, 5, 21)
    for member in range(5):
        rewrite(sets / f"tiny/tiny_{member:04d}.dat", lambda s: Subgrid(s.x, s.q, pids, s.values))
    edit_info(sets, lambda text: text.replace("[-5,", "[-11,"))
    assert read_members(tiny(sets), [1], [2], X, 1.65).min() > 0
    with pytest.raises(PDFSetError, match=r"neopdf cannot read flavours \[-11\]"):
        read_members(tiny(sets), [1], [-11], X, 1.65)


def test_knots_are_those_of_the_subgrids_at_q0(sets: Path) -> None:
    pdfset = tiny(sets)
    first = read_grid(pdfset.member_path(1)).subgrids[0].x
    assert np.array_equal(knots(pdfset), first)

    def halve(subgrid: Subgrid) -> Subgrid:
        keep = slice(None, None, 2) if subgrid.q[0] == 1.0 else slice(None)
        return Subgrid(subgrid.x[keep], subgrid.q, subgrid.pids, subgrid.values[keep])

    rewrite(pdfset.member_path(1), halve)
    assert np.array_equal(knots(pdfset, 1.2), first[::2])
    assert np.array_equal(knots(pdfset), first)
    with pytest.raises(PDFSetError, match=r"q0 = 0\.5 GeV"):
        knots(pdfset, 0.5)


# Libraries


class FakeLHAPDF(types.ModuleType):
    """The part of LHAPDF's Python interface that is used, with neopdf's numbers."""

    def __init__(self) -> None:
        super().__init__("lhapdf")
        self.verbosity = 1
        self.paths: list[str] = []

    def setVerbosity(self, level: int) -> None:
        self.verbosity = level

    def pathsPrepend(self, path: str) -> None:
        self.paths.insert(0, path)

    def mkPDF(self, name: str, member: int) -> object:
        from neopdf.pdf import PDF

        if self.verbosity:
            print(f"LHAPDF 6.5.5 loading {name}")
        for path in self.paths:
            file = Path(path) / name / f"{name}_{member:04d}.dat"
            if file.is_file():
                return PDF.mkPDF_lhapdf_file(str(file))
        raise RuntimeError("Info file not found for PDF set '" + name + "'")


@pytest.fixture
def fake_lhapdf(monkeypatch: pytest.MonkeyPatch) -> FakeLHAPDF:
    fake = FakeLHAPDF()
    monkeypatch.setitem(sys.modules, "lhapdf", fake)
    return fake


def test_both_libraries_give_the_same(
    sets: Path, fake_lhapdf: FakeLHAPDF, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = (tiny(sets), [4, 1], [-4, 0, 22, 2], X, 1.65)
    assert choose_backend("auto") == "lhapdf"
    by_lhapdf = read_members(*asked, backend="lhapdf")
    assert fake_lhapdf.paths == [str(sets)]
    assert np.array_equal(by_lhapdf, read_members(*asked, backend="neopdf"))
    assert np.array_equal(by_lhapdf, read_members(*asked))
    assert capfd.readouterr() == ("", "")


def test_what_lhapdf_throws_names_the_file(sets: Path, fake_lhapdf: FakeLHAPDF) -> None:
    pdfset = tiny(sets)
    fake_lhapdf.pathsPrepend = lambda path: None  # type: ignore[method-assign]
    with pytest.raises(PDFSetError, match=r"tiny_0001.dat: LHAPDF says: Info file not found"):
        read_members(pdfset, [1], [1], X, 1.65, backend="lhapdf")


def test_a_value_lhapdf_cannot_give_is_located(
    sets: Path, fake_lhapdf: FakeLHAPDF, monkeypatch: pytest.MonkeyPatch
) -> None:
    pdf = types.SimpleNamespace(xfxQ2=lambda pid, x, q2: float("inf") if pid == 2 and x > 0.3 else 1.0)
    monkeypatch.setattr(fake_lhapdf, "mkPDF", lambda name, member: pdf)
    with pytest.raises(PDFSetError, match=r"tiny_0003.dat: member 3, flavour 2, x = 0.37: the value is inf"):
        read_members(tiny(sets), [3], [1, 2], X, 1.65, backend="lhapdf")


def test_a_library_that_is_not_there_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "_importable", lambda module: module == "neopdf")
    assert choose_backend("auto") == "neopdf"
    with pytest.raises(PDFSetError, match="'lhapdf' cannot be imported; install it"):
        choose_backend("lhapdf")
    monkeypatch.setattr(backends, "_importable", lambda module: False)
    with pytest.raises(PDFSetError, match="pip install neopdf-hep"):
        choose_backend("auto")
    with pytest.raises(PDFSetError, match="'lhapdf5' is not known; choose one of auto, lhapdf, neopdf"):
        choose_backend("lhapdf5")


# A real set


@pytest.fixture
def real() -> PDFSet:
    paths = os.environ.get("LHAPDF_DATA_PATH", "").split(os.pathsep)
    if not any(path and (Path(path) / REAL).is_dir() for path in paths):
        pytest.skip(f"{REAL} not found through LHAPDF_DATA_PATH")
    return open_set(REAL)


@pytest.mark.realdata
def test_a_real_set_is_read_as_neopdf_reads_it(real: PDFSet, monkeypatch: pytest.MonkeyPatch) -> None:
    from neopdf.pdf import PDF

    monkeypatch.setenv("NEOPDF_DATA_PATH", str(real.path.parent))
    require_replicas(real, 1005)
    require_scale(real, 1.65)
    assert real.n_rep == 1006
    pids = [-4, -3, -2, -1, 21, 1, 2, 3, 4]
    values = read_members(real, [1, 500, 1006], pids, X, 1.65, backend="neopdf")
    for row, member in enumerate((1, 500, 1006)):
        pdf = PDF.mkPDF(REAL, member)
        expected = [[pdf.xfxQ2(pid, node, 1.65**2) for node in X] for pid in pids]
        assert np.array_equal(values[row], expected)


@pytest.mark.realdata
def test_a_real_set_has_its_own_knots(real: PDFSet) -> None:
    nodes = knots(real, 1.65)
    assert (nodes.size, nodes[0], nodes[-1]) == (95, 1e-6, 1.0)
    with pytest.raises(PDFSetError, match=r"outside its knots, 1\.14018"):
        require_scale(real, 1.14)
