"""The events task through the command line: what goes in comes back within its bounds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.io.container import open_container
from compress_mpi.io.tables import open_table
from events_tools import Events, jets

ROOT = Path(__file__).parents[2]
NAMES = ("pt", "eta", "phi", "m")


@pytest.fixture
def events(tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "jets.npy", jets())
    return Events(monkeypatch, capsys, tmp_path)


def back(events: Events, file: str, output: str = "back.npy", *words: object) -> np.ndarray:
    events.good("events", "decompress", file, "-o", output, *words)
    with open_table(events.folder / output) as table:
        return np.stack(list(table.read(0, table.rows).values()), axis=1)


def test_every_value_comes_back_within_its_bound(events):
    said = events.compress(
        "jets.npy",
        "--columns",
        "pt,eta,phi,m",
        "--bound",
        "1e-3",
        "--bound",
        "pt=0.02",
        "--bound",
        "m=lossless",
    )
    assert "700 rows x 4 columns" in said
    assert "pt   float32  greatest error 0.0" in said
    before, after = jets(), back(events, "jets.events.h5")
    assert after.dtype == np.float32
    odd = ~np.isfinite(before)
    assert np.array_equal(before[odd], after[odd], equal_nan=True)
    with np.errstate(invalid="ignore"):
        error = np.abs(after.astype(np.float64) - before)
    for column, bound in enumerate((0.02, 1e-3, 1e-3, 0.0)):
        assert np.nanmax(error[:, column]) <= bound
    assert np.nanmax(error[:, 0]) > 0.019
    assert after[:, 3].tobytes() == before[:, 3].tobytes()


@pytest.mark.parametrize("suffix", [".csv", ".npz", ".h5", ".parquet", ".root"])
def test_a_table_goes_through_every_format(events, suffix):
    if suffix in (".parquet", ".root"):
        pytest.importorskip("pyarrow" if suffix == ".parquet" else "uproot")
    events.compress("jets.npy", "--columns", "pt,eta,phi,m", "--bound", "0.01")
    plain = back(events, "jets.events.h5")
    events.good("events", "decompress", "jets.events.h5", "-o", f"jets{suffix}")
    more = ["--set", "dtype=float32"] if suffix == ".csv" else []
    events.compress(f"jets{suffix}", "-o", "again.h5", "--bound", "lossless", *more)
    again = back(events, "again.h5")
    assert again.astype(np.float32).tobytes() == plain.tobytes()


def test_integers_are_lossless_unless_named(events):
    rng = np.random.default_rng(1)
    table = np.zeros(300, dtype=[("event", "u8"), ("good", "?"), ("count", "i4"), ("x", "f8")])
    table["event"], table["good"] = rng.integers(2**63, size=300, dtype=np.uint64), rng.random(300) < 0.1
    table["count"], table["x"] = rng.integers(-500, 500, 300), rng.normal(size=300)
    np.save("table.npy", table)
    events.compress("table.npy", "--bound", "relative 1e-3", "--bound", "count=5")
    events.good("events", "decompress", "table.events.h5", "-o", "after.npy")
    after = np.load("after.npy")
    assert after.dtype == table.dtype
    assert all(np.array_equal(after[name], table[name]) for name in ("event", "good"))
    error = np.abs(after["count"].astype(int) - table["count"])
    assert 0 < error.max() <= 5
    assert (np.abs(after["x"] - table["x"]) <= 1e-3 * np.abs(table["x"])).all()


def test_one_outlier_that_no_grid_reaches_is_kept_apart_alone(events):
    table = jets(400)[:, :1]
    table[[3, 17], 0] = 3e38, -3e38
    np.save("table.npy", table)
    events.compress("table.npy", "--bound", "0.02")
    facts = json.loads(events.good("events", "info", "table.events.h5", "--json"))
    assert facts["error"]["c0"][4] == 3  # and a NaN
    after = back(events, "table.events.h5")
    assert after[3] == table[3]


def test_info_and_its_json(events):
    events.compress("jets.npy", "--columns", "pt,eta,phi,m", "--bound", "mean 0.01", "--block", "256")
    text = events.good("events", "info", "jets.events.h5")
    assert "blocks: 3 of at most 256 rows" in text
    facts = json.loads(events.good("events", "info", "jets.events.h5", "--json"))
    assert sum(facts["bytes"].values()) == Path("jets.events.h5").stat().st_size
    assert facts["columns"] == [[name, "float32"] for name in NAMES]
    allowed, largest, mean, _, apart = facts["error"]["pt"]
    assert mean <= 0.01
    assert largest <= allowed
    assert apart == 1
    assert facts["settings"]["bound"] == {"default": {"mean": 0.01}}
    assert len(facts["source"]["sha256"]) == 64


def test_the_file_is_small_beside_its_events(events):
    events.compress("demo", "--set", "rows=3000", "--bound", "0.02")
    facts = json.loads(events.good("events", "info", "demo.events.h5", "--json"))
    assert facts["bytes"]["headers"] < 1200


def test_a_finished_file_is_kept_and_another_is_not_replaced(events):
    words = ("jets.npy", "--columns", "pt,eta,phi,m", "--bound", "0.02")
    events.compress(*words)
    file = Path("jets.events.h5")
    before, time = file.read_bytes(), file.stat().st_mtime_ns
    again = events("events", "compress", *words, "--model", "marginal")
    assert again.code == 0
    assert "is there already" in again.err
    assert file.stat().st_mtime_ns == time
    other = events("events", "compress", *words, "--model", "marginal", "--bound", "pt=0.5")
    assert other.code == 4
    assert "bound" in other.err
    assert "--restart" in other.err
    assert file.read_bytes() == before
    events.compress(*words, "--bound", "pt=0.5", "--restart")
    assert file.read_bytes() != before


def test_new_events_follow_the_seed(events):
    events.compress("jets.npy", "--columns", "pt,eta,phi,m", "--bound", "0.01")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        events.good("events", "sample", "jets.events.h5", "-n", 50, "--seed", seed, "-o", f"{name}.npy")
    assert Path("a.npy").read_bytes() == Path("b.npy").read_bytes() != Path("c.npy").read_bytes()
    found = np.load("a.npy")
    assert found.shape == (50, 4)
    assert np.nanmedian(found[:, 0]) > 3.0


def test_a_model_is_shared_and_needed_again(events):
    np.save("more.npy", jets(200, seed=9))
    columns = ("--columns", "pt,eta,phi,m")
    events.compress("jets.npy", *columns, "--bound", "0.02")
    events.compress("more.npy", *columns, "--model", "jets.events.h5")
    container = open_container(Path("more.events.h5"))
    assert container.tables == container.model == b""
    good = back(events, "more.events.h5")
    assert np.nanmax(np.abs(good[np.isfinite(good)] - jets(200, seed=9)[np.isfinite(good)])) <= 0.02
    Path("away").mkdir()
    Path("jets.events.h5").rename("away/jets.events.h5")
    missing = events("events", "decompress", "more.events.h5", "-o", "x.npy")
    assert missing.code == 4
    assert container.header["shared"]["sha256"] in missing.err
    assert "--model" in missing.err
    assert not Path("x.npy").exists()
    again = back(events, "more.events.h5", "y.npy", "--model", "away/jets.events.h5")
    assert again.tobytes() == good.tobytes()
    events.compress("jets.npy", *columns, "--bound", "0.03")
    other = events("events", "decompress", "more.events.h5", "-o", "x.npy")
    assert other.code == 4
    assert "not the file" in other.err


def test_rows_may_come_back_in_another_order(events):
    columns = ("--columns", "pt,eta,phi,m", "--bound", "0.02")
    events.compress("jets.npy", *columns, "-o", "plain.h5")
    events.compress("jets.npy", *columns, "--unordered", "-o", "sorted.h5")
    assert Path("sorted.h5").stat().st_size < Path("plain.h5").stat().st_size
    assert "another order" in events.good("events", "info", "sorted.h5")
    one, two = back(events, "plain.h5"), back(events, "sorted.h5", "two.npy")
    assert one.tobytes() != two.tobytes()
    assert np.array_equal(np.sort(one, axis=0), np.sort(two, axis=0), equal_nan=True)


def test_the_page_compares_with_the_original(events):
    pytest.importorskip("sklearn")
    events.compress("jets.npy", "--columns", "c0,c1", "--bound", "0.02", "--unordered")
    page = events.good("events", "report", "jets.events.h5", "--original", "jets.npy", "-n", 200).strip()
    text = Path(page).read_text()
    assert "jets.events.h5" in text
    assert "Samples against data" in text
    assert "Differences and responses" in text


def test_the_page_without_the_original(events):
    events.compress("jets.npy", "--columns", "c0", "--bound", "0.02")
    page = events.good("events", "report", "jets.events.h5", "-n", 0, "-o", "alone").strip()
    assert "not given" in Path(page).read_text()


def test_check_says_what_a_run_would_do(events):
    card = ROOT / "runcards/events.yml"
    before = sorted(events.folder.rglob("*"))
    text = events.good("check", card, "--set", "output=a/b")
    assert "demo: 20000 rows, 1 blocks" in text
    assert "column   pt (float32): bound absolute 0.02" in text
    assert "a/b/demo.events.h5 will be written" in text
    facts = json.loads(events.good("check", card, "--set", "bound.pt=lossless", "--json"))
    assert facts["columns"][0] == {"name": "pt", "dtype": "float32", "bound": "lossless"}
    assert events("check", card, "--set", "columns=[pt,e]").code == 9
    assert sorted(events.folder.rglob("*")) == before


def test_the_runcard_of_the_demo(events):
    card = ROOT / "runcards/events.yml"
    events.good(card, "--set", "rows=1000", "--set", "model=marginal", "--set", "bound.eta=lossless", "-q")
    header = open_container(Path("demo.events.h5")).header
    assert header["error"]["pt"][1] <= 0.02
    assert header["error"]["eta"][1] == 0.0
    assert header["source"]["name"] == "demo"


def test_the_latent_runcard_of_the_demo(events):
    pytest.importorskip("torch")
    pytest.importorskip("sklearn")
    small = [
        "rows=600",
        "training.epochs=2",
        "flow.hidden=8",
        "flow.transforms=2",
        "scan={transforms: 1, hidden: [4, 6], epochs: 1}",
        "bits=[13,6]",
        "report=true",
    ]
    words = [word for setting in small for word in ("--set", setting)]
    events.good(ROOT / "runcards/events-latent.yml", *words, "--set", "sample=100", "-q")
    file = "demo-latent.events.h5"
    assert open_container(Path(file)).header["training"]["epochs"] == 2
    assert not Path("demo-latent.events.training.h5").exists()
    events.good("events", "decompress", file, "-o", "a.npy")
    events.compress("demo", "--set", "rows=600", "--bound", "lossless", "-o", "exact.h5")
    error = np.abs(back(events, file) - back(events, "exact.h5", "exact.npy"))
    assert 0 < error.mean() < 0.1
    page = Path("demo-latent.events_report/report.html").read_text()
    assert "Size against error" in page
    assert "Losses of 2 trials" in page
    events.good("events", "sample", file, "-n", 20, "-o", "new.npy")
    assert np.load("new.npy").shape == (20, 4)
    # a flow that was trained once codes other tables too
    events.good("events", "compress", "demo", "--set", "rows=100", "--codec", "latent", "--model", file, "-q")
    assert open_container(Path("demo.events.h5")).model == b""
    assert back(events, "demo.events.h5", "part.npy").shape == (100, 4)
