"""The page about a compressed table: its numbers, and that every part may be missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.errors import OutputError
from compress_mpi.io.report.events_types import (
    BitsScan,
    ColumnFacts,
    EventsReport,
    Latents,
    RateCurve,
    SampleSet,
    ScanCurve,
    Sizes,
    TrainingCurve,
)
from compress_mpi.workflows import report_plots
from compress_mpi.workflows.events_panels import SHOWN
from compress_mpi.workflows.events_plots import residual_of
from compress_mpi.workflows.events_report import write_events_page
from report_tools import Links, embedded

N = 300
ROW = np.random.default_rng(0)
ORIGINAL = {"pt": ROW.exponential(size=N).astype(np.float32), "event": np.arange(N)}
DECODED = {"pt": np.round(ORIGINAL["pt"], 1), "event": ORIGINAL["event"]}
COLUMNS = (
    ColumnFacts("pt", "float32", "grid", 0.05, 0.0499, 0.025, 0.029, 0.03, 0.01, 2, 400),
    ColumnFacts("event", "int64", "lossless", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 100),
)
SIZES = Sizes({"payload": 500, "model": 100, "headers": 200}, {"raw float32": 2400, "npz": 1600})
BARE = EventsReport("jets.cme", "bounded", N, COLUMNS)


@pytest.fixture
def unsaved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the figures, which are made but not saved: most of a page is the time to save them."""
    names: list[str] = []

    def saved(figure: object, folder: Path, name: str) -> bytes:
        names.append(name)
        return bytes(16) + (800).to_bytes(4, "big") * 2  # as much of a PNG as the page looks at

    monkeypatch.setattr(report_plots, "save_figure", saved)
    return names


def facts_of(page: Path) -> dict:
    (facts,) = embedded(page.read_text())["results"]
    return facts


def whole() -> EventsReport:
    curve = np.linspace(4, 3, 5)
    samples = SampleSet(
        ORIGINAL, ORIGINAL, {"pt": (0.01, 0.5), "event": (0.02, 0.4)}, (0.51, 0.004), (0.02, 0.01), 7
    )
    return replace(
        BARE,
        sizes=SIZES,
        original=ORIGINAL,
        decoded=DECODED,
        overall={"relative error, pooled": 0.0123},
        latents=Latents(("pt",), ROW.normal(size=(N, 1)), (0.2,), (), ROW.random((N, 1))),
        training=TrainingCurve({"train": curve, "validation": curve + 0.1}, np.full(5, 1e-3), 4),
        scan=[ScanCurve(2, 16, curve, curve)],
        bits=BitsScan(np.arange(1, 4), {"npz": curve[:3]}, {"mean |residual|": curve[:3]}),
        rates=[RateCurve("bounded", curve, curve)],
        samples=samples,
        origin={"input": "jets.npy <b>bold</b>"},
        runcard="task: events # </script>\n",
        notes=["No text size: <not known>."],
    )


def test_a_whole_page(tmp_path: Path, unsaved: list[str]) -> None:
    page = write_events_page(whole(), tmp_path / "out")
    assert unsaved == [
        *("bytes", "distributions_1", "errors_1", "pairs", "latents_1", "uniforms_1", "training", "scan"),
        *("bits", "rates", "samples_1", "samples_pairs"),
    ]
    html = page.read_text()
    links = Links(html)
    assert {f"plots/{name}.pdf" for name in unsaved} <= set(links.links)
    assert all(len(alt) > 20 for alt in links.alts)
    assert {link[1:] for link in links.links if link[0] == "#"} <= set(links.ids)
    assert len(links.ids) == len(set(links.ids))
    assert all(source.startswith("data:") for source in links.sources)
    assert "<b>bold" not in html
    assert html.count("</script>") == 1
    assert "No text size: &lt;not known&gt;." in html
    assert "AUC of 0.5100 ± 0.0040" in html
    assert "Rank correlations differ by 0.02 at most" in html


def test_the_numbers_of_the_page(tmp_path: Path, unsaved: list[str]) -> None:
    page = write_events_page(whole(), tmp_path)
    facts, html = facts_of(page), page.read_text()
    assert facts["sizes"]["total"] == 800
    assert facts["sizes"]["bits_per_value"] == pytest.approx(8 * 800 / (2 * N))
    raw = facts["sizes"]["ratios"][0]
    assert (raw["ratio"], raw["without_model"]) == (3.0, pytest.approx(2400 / 700))
    assert '<td class="mark">3</td><td>3.429</td>' in html
    assert facts["bounds"] == {"known": 2, "kept": 2, "broken": []}
    assert facts["samples"]["ks"]["event"] == {"distance": 0.02, "p_value": 0.4}
    assert facts["columns"][0]["max_error"] == 0.0499
    assert (
        "<td>0.0499</td><td>0.025</td><td>0.029</td><td>0.03</td><td>2</td><td>1 %</td><td>400</td>" in html
    )


def test_a_broken_bound_is_marked(tmp_path: Path) -> None:
    broken = replace(BARE, columns=[replace(COLUMNS[0], max_error=0.0501), COLUMNS[1]])
    page = write_events_page(broken, tmp_path)
    assert facts_of(page)["bounds"]["broken"] == ["pt"]
    assert '<td class="mark">0.0501 &gt; bound</td>' in page.read_text()


def test_what_the_file_alone_tells_is_enough(tmp_path: Path, unsaved: list[str]) -> None:
    columns = [ColumnFacts("pt", "float32", "grid", 0.05), ColumnFacts("eta", "float32", "latent")]
    page = write_events_page(EventsReport("a.cme", "latent", 0, columns), tmp_path)
    facts = facts_of(page)
    assert unsaved == []
    assert facts["bounds"] is facts["sizes"] is facts["samples"] is None
    assert "<tr><td>eta</td><td>float32</td><td>latent</td><td>–</td><td>–</td>" in page.read_text()
    write_events_page(replace(BARE, decoded=DECODED, sizes=Sizes({"payload": 1})), tmp_path)
    assert unsaved == ["bytes", "distributions_1"]


def test_of_many_columns_the_worst_are_drawn_in_their_order(tmp_path: Path, unsaved: list[str]) -> None:
    names = [f"c{k}" for k in range(SHOWN + 30)]
    columns = [ColumnFacts(n, "float64", "grid", relative_error=float(n == "c50")) for n in names]
    rows = {n: np.zeros(4) for n in names}
    page = write_events_page(replace(BARE, columns=columns, decoded=rows), tmp_path)
    html = page.read_text()
    assert unsaved == [f"distributions_{k}" for k in range(1, 7)]
    assert f"{SHOWN} of {SHOWN + 30} columns are drawn" in html
    assert "c21, c22, c50" in html
    assert "c23," not in html
    assert f"<summary>All {SHOWN + 30} columns</summary>" in html


def test_figures_are_saved_beside_the_page_and_always_the_same(tmp_path: Path) -> None:
    small = replace(BARE, sizes=SIZES)
    for folder in ("a", "b"):
        write_events_page(small, tmp_path / folder)
    assert sorted(p.name for p in (tmp_path / "a" / "plots").iterdir()) == ["bytes.pdf", "bytes.png"]
    for kind in ("pdf", "png"):
        first, second = (tmp_path / f / "plots" / f"bytes.{kind}" for f in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match=r"file.*plots.*choose another folder"):
        write_events_page(BARE, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_residuals_of_large_integers_and_of_what_is_not_finite() -> None:
    big = np.array([2**63 + 5, 3, 2**64 - 1], dtype=np.uint64)
    np.testing.assert_array_equal(residual_of(big, big - np.array([1, 0, 2], np.uint64)), [-1, 0, -2])
    np.testing.assert_array_equal(residual_of(big[1:2], big[1:2] + np.uint64(2)), [2])
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    ends = residual_of(np.array([low, high]), np.array([high, low]))
    np.testing.assert_array_equal(ends, [2.0**64, -(2.0**64)])
    assert residual_of(np.array([True]), np.array([False]))[0] == -1
    odd = np.array([np.nan, np.inf, 1.5], dtype=np.float32)
    np.testing.assert_array_equal(residual_of(odd, odd), [np.nan, np.nan, 0.0])
