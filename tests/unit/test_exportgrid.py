"""Export grids of n3fit: what is written is what YAML readers see."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from compress_mpi.errors import OutputError, PDFSetError
from compress_mpi.io.exportgrid import (
    LABELS,
    PIDS,
    ExportGrid,
    export_xgrid,
    exportgrid_text,
    read_exportgrid,
    write_exportgrid,
)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=64)


def grid(n_x: int = 5, q0: float = 1.65, seed: int = 0) -> ExportGrid:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((14, n_x)) * 10.0 ** rng.integers(-12, 3, (14, n_x))
    return ExportGrid(7, q0 * q0, np.geomspace(1e-9, 1, n_x), values)


def test_the_keys_are_those_of_n3fit(tmp_path):
    one = grid()
    write_exportgrid(tmp_path / "a.exportgrid", one)
    content = yaml.safe_load((tmp_path / "a.exportgrid").read_text())
    assert list(content) == ["labels", "pdfgrid", "q20", "replica", "xgrid"]
    names = "TBAR BBAR CBAR SBAR UBAR DBAR GLUON D U S C B T PHT"
    assert content["labels"] == names.split() == list(LABELS)
    assert dict(zip(LABELS, PIDS, strict=True))["UBAR"] == -2
    assert dict(zip(LABELS, PIDS, strict=True))["D"] == 1
    assert content["replica"] == 7
    assert content["q20"] == 1.65**2
    assert np.array_equal(content["xgrid"], one.x)
    assert np.array_equal(np.array(content["pdfgrid"]).T, one.values)


@given(arrays(np.float64, (14, 3), elements=NUMBERS), st.floats(0.5, 100))
def test_every_number_comes_back_through_yaml(values, q0):
    text = exportgrid_text(ExportGrid(1, q0 * q0, np.array([1e-09, 2e-5, 1.0]), values))
    content = yaml.safe_load(text)
    assert all(type(number) is float for row in content["pdfgrid"] for number in row)
    assert np.array(content["pdfgrid"]).T.tobytes() == values.tobytes()
    assert content["xgrid"] == [1e-09, 2e-5, 1.0]


def wrapped(text: str) -> str:
    """As PyYAML lays it out."""
    return yaml.safe_dump(yaml.safe_load(text))


@pytest.mark.parametrize("layout", [lambda text: text, wrapped])
def test_own_and_foreign_layouts_are_read_alike(tmp_path, layout):
    one = grid(n_x=30)
    path = tmp_path / "a.exportgrid"
    path.write_text(layout(exportgrid_text(one)))
    back = read_exportgrid(path, 1.65)
    assert (back.replica, back.q20, back.warning) == (7, 1.65**2, None)
    assert back.x.tobytes() == one.x.tobytes()
    assert back.values.tobytes() == one.values.tobytes()


def test_other_orders_of_labels_are_put_right(tmp_path):
    content = yaml.safe_load(exportgrid_text(grid()))
    content["labels"] = content["labels"][::-1]
    content["pdfgrid"] = [row[::-1] for row in content["pdfgrid"]]
    (tmp_path / "a").write_text(yaml.safe_dump(content))
    assert np.array_equal(read_exportgrid(tmp_path / "a").values, grid().values)


def with_q20(path: Path, value: object) -> Path:
    text = exportgrid_text(grid()).replace(f"q20: {1.65**2!r}", f"q20: {value}")
    path.write_text(text)
    return path


def test_q20_of_ganpdfs_is_recognised(tmp_path):
    path = with_q20(tmp_path / "a", 1.65)
    back = read_exportgrid(path, 1.65)
    assert back.q20 == 1.65**2
    assert "q20: 1.65 is Q0, not its square" in back.warning
    unsure = read_exportgrid(path)
    assert unsure.q20 == 1.65
    assert "ganpdfs" in unsure.warning
    assert read_exportgrid(with_q20(path, 1.0), 1.0).warning is None


def changed(**changes):
    content = yaml.safe_load(exportgrid_text(grid()))
    content.update(changes)
    return yaml.safe_dump({key: value for key, value in content.items() if value is not None})


BROKEN = [
    ("", ["expected an export grid"]),
    ("labels: [", ["not YAML"]),
    ("- 1\n- 2\n", ["expected an export grid with the keys"]),
    (changed(q20=None), ["q20: missing"]),
    (changed(q20="much"), ["q20: expected a scale squared in GeV^2, got 'much'"]),
    (changed(q20=-2.7225), ["q20"]),
    (changed(q20=100.0), ["q20: 100 GeV^2, expected 2.7225 (Q0 = 1.65 GeV)"]),
    (changed(labels=list(LABELS[:-1])), ["labels"]),
    (changed(xgrid=[0.1, 0.2, 0.2, 0.3, 1.0]), ["xgrid", "increase"]),
    (changed(xgrid=[0.1, 0.2, 1.0]), ["pdfgrid: 5 rows of 14", "expected 3 rows"]),
    (changed(xgrid="all"), ["xgrid: expected a list of numbers, found 'all'"]),
    (changed(pdfgrid=[[1.0] * 13] * 5), ["pdfgrid: 5 rows of 13"]),
    (
        changed(pdfgrid=[[1.0] * 14, [1.0] * 13]),
        ["pdfgrid: expected a list of rows of numbers, all of one length"],
    ),
    (changed(pdfgrid=[[float("nan")] * 14] * 5), ["pdfgrid: expected", "found '.nan'"]),
    (changed(replica="two"), ["replica", "'two'"]),
]


@pytest.mark.parametrize(("text", "named"), BROKEN)
def test_damaged_files_are_refused_with_the_key(tmp_path, text, named):
    path = tmp_path / "bad.exportgrid"
    path.write_text(text)
    with pytest.raises(PDFSetError) as caught:
        read_exportgrid(path, 1.65)
    for word in [str(path), *named]:
        assert word in str(caught.value)


def test_files_that_are_not_there_or_not_text(tmp_path):
    with pytest.raises(PDFSetError, match="cannot be read"):
        read_exportgrid(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(PDFSetError, match="not a text file"):
        read_exportgrid(tmp_path / "binary")


def test_what_cannot_be_a_grid_is_not_written(tmp_path):
    values = grid().values.copy()
    values[6, 2] = np.inf
    with pytest.raises(PDFSetError, match=r"GLUON at x = 3\.16228e-05 is inf"):
        write_exportgrid(tmp_path / "a", ExportGrid(1, 1.0, grid().x, values))
    with pytest.raises(PDFSetError, match="expected \\(14, 5\\)"):
        write_exportgrid(tmp_path / "a", ExportGrid(1, 1.0, grid().x, values[:13]))
    with pytest.raises(OutputError, match="cannot be written"):
        write_exportgrid(tmp_path / "none" / "a", grid())
    assert not list(tmp_path.iterdir())


def test_the_nodes_of_n3fit():
    x = export_xgrid("n3fit", np.array([1e-9, 1.0]))
    published = {
        0: 1e-09,
        1: 1.29708482343957e-09,
        45: 1.20782367731330e-04,
        88: 1.38207707707289e-01,
        145: 5.84374898692498e-01,
        194: 9.91610196150662e-01,
        195: 1.0,
    }
    assert len(x) == 196
    assert (np.diff(x) > 0).all()
    for place, node in published.items():
        assert x[place] == pytest.approx(node, rel=1e-12)


def test_the_nodes_of_ganpdfs():
    whole = np.array([1e-9, 1.0])
    custom = export_xgrid("custom", whole)
    assert len(custom) == 100
    assert custom[25] == pytest.approx(1.0974987654930569e-05, rel=1e-12)
    assert custom[49] == pytest.approx(8.3021756813197525e-02, rel=1e-12)
    assert custom[51] == pytest.approx(0.11836734693877551, rel=1e-12)
    standard = export_xgrid("standard", whole, 500)
    assert len(standard) == 500
    assert standard[250] == 0.1
    knots = np.array([1e-6, 1e-3, 0.4, 1.0])
    assert np.array_equal(export_xgrid("lhapdf", knots), knots)


@pytest.mark.parametrize("kind", ["n3fit", "custom", "standard", "lhapdf"])
def test_nothing_is_extrapolated(kind):
    x = export_xgrid(kind, np.array([1e-6, 0.1, 0.99]))
    assert x.min() >= 1e-6
    assert x.max() <= 0.99


def test_unknown_grids_are_refused():
    with pytest.raises(ValueError, match="expected one of n3fit, lhapdf, custom, standard, got 'apfel'"):
        export_xgrid("apfel", np.array([1e-6, 1.0]))
    with pytest.raises(ValueError, match="4 or more"):
        export_xgrid("standard", np.array([1e-6, 1.0]), 3)
