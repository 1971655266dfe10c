"""Arrows run downward only: who may import whom, read from the source."""

from __future__ import annotations

import ast
from pathlib import Path

import compress_mpi

ROOT = Path(compress_mpi.__file__).parent
BOTTOM = {"types", "errors", "__init__"}
ALLOWED = {
    "cli": {"workflows", "parallel", "io"},
    "workflows": {"io", "parallel", "launch", "methods"},
    "io": set(),
    "parallel": set(),
    "launch": set(),
    "methods": {"models"},
    "models": set(),
}


def room_of(module: str) -> str:
    """``compress_mpi.io.store`` is in ``io``; every cli*.py is in ``cli``."""
    parts = module.split(".")
    name = parts[1] if len(parts) > 1 else "__init__"
    return "cli" if name.startswith(("cli", "__main__")) else name


def imports():
    for path in sorted(ROOT.rglob("*.py")):
        module = ".".join(["compress_mpi", *path.relative_to(ROOT).with_suffix("").parts])
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}: imports are absolute here"
                names = (
                    [f"{node.module}.{alias.name}" for alias in node.names]
                    if node.module == "compress_mpi"
                    else []
                )
                yield from ((module, name) for name in names or [node.module])
            elif isinstance(node, ast.Import):
                yield from ((module, alias.name) for alias in node.names)


def test_arrows_run_downward():
    wrong = []
    for module, imported in imports():
        if not imported.startswith("compress_mpi"):
            continue
        here, there = room_of(module), room_of(imported)
        if there not in BOTTOM | {here, "__version__"} | ALLOWED.get(here, set()):
            wrong.append(f"{module} imports {imported}")
    assert not wrong


def test_only_parallel_imports_mpi():
    wrong = [
        m for m, imported in imports() if imported.split(".")[0] == "mpi4py" and room_of(m) != "parallel"
    ]
    assert not wrong


def test_the_bottom_imports_nothing_of_the_house():
    wrong = [
        (m, i) for m, i in imports() if room_of(m) in BOTTOM - {"__init__"} and i.startswith("compress_mpi")
    ]
    assert not wrong


def test_heavy_libraries_are_imported_where_they_are_needed():
    """128 ranks import the top level of everything that the search touches."""
    heavy = {"h5py", "matplotlib", "rich", "neopdf", "lhapdf", "cma", "jinja2", "torch", "zuko", "scipy"}
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        if path.parent.name == "models":
            continue  # imported where a network is trained, see below
        for node in ast.parse(path.read_text()).body:
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong += [f"{path.name}: {name}" for name in names if name.split(".")[0] in heavy]
    assert not wrong


def test_torch_stays_in_the_models():
    """The extra is optional: who trains a network imports its module inside the function that does."""
    light = {f"compress_mpi.models.{name}" for name in ("made", "specification", "training")}
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        if path.parent.name == "models":
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            at_top = node in tree.body
            wrong += [
                f"{path.name}: {name}"
                for name in names
                if name.split(".")[0] == "zuko"
                or (at_top and name.startswith("compress_mpi.models") and name not in light)
            ]
    assert not wrong
