"""The notebook of the manual runs on a fresh result, without this program and without Jupyter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from doc_blocks import ROOT

from cli_tools import compress

NOTEBOOK = ROOT / "docs/read_result.ipynb"
CARD = "{pdf: demo, compressed: 50, max_iteration: 20, trials: 50, seed: 3}"
# A process of its own shows what the cells import; figures are kept as a notebook would show them.
RUN = """
import json, sys
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
plt.show = lambda: None
names = {}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), names)
for number in plt.get_fignums():
    plt.figure(number).savefig(f"figure{number}.png")
print("OWN", [name for name in sys.modules if name.startswith("compress_mpi")])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notebook")
    (folder / "card.yml").write_text(CARD)
    done = compress(["card.yml", "-q"], folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_its_cells_run_in_order_on_a_new_result(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN, NOTEBOOK],
        cwd=folder,
        env={**os.environ, "MPLCONFIGDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with h5py.File(folder / "compress_demo_50.h5") as file:
        total = file["selection"].attrs["erf"]
        described: list[str] = []
        file.visititems(lambda name, item: described.append(name) if isinstance(item, h5py.Dataset) else None)
    assert f"total ERF of {total:.4f}" in done.stdout
    assert all(f"/{name} " in done.stdout for name in described)
    assert done.stdout.endswith("OWN []\n")
    assert {path.name for path in folder.glob("figure*.png")} == {"figure1.png", "figure2.png"}


def test_it_is_stored_without_outputs_and_as_a_notebook() -> None:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    assert all(cell["outputs"] == [] for cell in content["cells"] if cell["cell_type"] == "code")
    assert len({cell["id"] for cell in content["cells"]}) == len(content["cells"])
