"""The page as a browser shows it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from compress_mpi.io.demo import write_demo_set
from compress_mpi.workflows.report import write_report
from report_tools import MEMBERS, NAMES, embedded, make_result

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium or google-chrome on the PATH")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    write_demo_set(folder / "sets", n_rep=MEMBERS, name="tiny")
    for n_rep in (6, 12):
        make_result(
            folder / f"compress_tiny_{n_rep}.h5", folder / "sets", n_rep=n_rep, pids=(21, -1), names=NAMES[:2]
        )
    files = [folder / f"compress_tiny_{n_rep}.h5" for n_rep in (6, 12)]
    return write_report(files, folder / "out", [folder / "sets"])


def browse(page: Path, profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Open a page without a window; messages of its console and requests for other hosts go to stderr."""
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += ["--enable-logging=stderr", "--v=0", f"--user-data-dir={profile}", "--hide-scrollbars"]
    # whatever the page might want from elsewhere fails at once, and the console says so
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", *arguments, page.as_uri()]
    environment = {**os.environ, "HOME": str(profile)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True, env=environment, errors="replace"
    )


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@needs_chromium
@pytest.mark.parametrize("window", ["1280,9000", "480,900"])
def test_screenshots_without_console_errors(page: Path, tmp_path: Path, window: str) -> None:
    import matplotlib.image

    shot = tmp_path / "page.png"
    done = browse(page, tmp_path, f"--window-size={window}", f"--screenshot={shot}")
    assert console(done) == []
    picture = matplotlib.image.imread(shot)[..., :3]
    assert picture.shape[1] == int(window.split(",")[0])
    colours = np.unique((picture[::3, ::3] * 255).astype(np.uint8).reshape(-1, 3), axis=0)
    assert len(colours) > 30
    ink = (picture.min(axis=2) < 0.9).mean()
    assert 0.02 < ink < 0.6


@needs_chromium
def test_the_browser_reads_the_same_numbers(page: Path, tmp_path: Path) -> None:
    done = browse(page, tmp_path, "--dump-dom")
    assert console(done) == []
    seen = embedded(done.stdout.replace("\r\n", "\n"))
    assert seen == embedded(page.read_text())
    assert [r["selection"]["n_rep"] for r in seen["results"]] == [6, 12]


@needs_chromium
def test_the_page_prints(page: Path, tmp_path: Path) -> None:
    done = browse(page, tmp_path, f"--print-to-pdf={tmp_path / 'page.pdf'}", "--no-pdf-header-footer")
    assert console(done) == []
    printed = (tmp_path / "page.pdf").read_bytes()
    assert printed.startswith(b"%PDF")
    assert 4 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 40


@needs_chromium
@pytest.mark.parametrize(
    "fault", ['<img src="http://elsewhere.invalid/x.png">', "<script>undefined_function()</script>"]
)
def test_a_faulty_page_would_be_caught(page: Path, tmp_path: Path, fault: str) -> None:
    spoiled = tmp_path / "spoiled.html"
    spoiled.write_text(page.read_text().replace("</main>", f"{fault}</main>"))
    assert console(browse(spoiled, tmp_path, "--dump-dom"))
