"""Result files: the schema drives writer, reader and validator; a file is the old or the new one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from compress_mpi.errors import OutputError, StoreError
from compress_mpi.io import schema, store
from compress_mpi.io.store import Tree, estimator_names, read_tree, write_tree

SIZES = {
    "scale": 2,
    "tried": 3,
    "estimator": 2,
    "flavour": 3,
    "x": 5,
    "trial": 7,
    "n_rep": 4,
    "iteration": 6,
    "launch": 2,
    "point": 2,
    "two": 2,
    "dropped": 0,
    "replica": 9,
    "component": 3,
    "candidate": 2,
    "step": 8,
}


def example(declared, name):
    shape = tuple(SIZES[d] for d in (("flavour", "x") if declared.dims is None else declared.dims))
    if declared.dtype == "str":
        return ["a", "b"] if shape else f"text of {name}"
    dtype = "float64" if declared.dtype == "any" else declared.dtype
    return np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)[()]


def example_tree() -> Tree:
    """One of everything that the schema knows."""
    tree = Tree()
    for declared in schema.DATASETS:
        for name in ("mean", "correlation"):
            path = declared.path.replace("<name>", name)
            tree.datasets[path] = example(declared, path)
    for attribute in schema.ATTRIBUTES:
        for name in ("mean", "correlation"):
            value = {"str": "text", "int64": 1, "float64": 0.5}[attribute.dtype]
            tree.attributes[attribute.path.replace("<name>", name), attribute.name] = value
    tree.attributes["/", "format"] = schema.FORMAT
    tree.attributes["/", "schema_version"] = schema.SCHEMA_VERSION
    return tree


def test_round_trip_of_everything(tmp_path):
    path, tree = tmp_path / "r.h5", example_tree()
    write_tree(path, tree)
    back = read_tree(path)
    assert back.datasets.keys() == tree.datasets.keys()
    for name, value in tree.datasets.items():
        if isinstance(value, (str, list)):
            assert back.datasets[name] == value
        else:
            assert np.array_equal(back.datasets[name], value)
            assert back.datasets[name].dtype == np.asarray(value).dtype
    assert back.attributes == tree.attributes
    assert estimator_names(back) == ["mean", "correlation"]


def test_every_dataset_tells_its_units_and_meaning(tmp_path):
    write_tree(tmp_path / "r.h5", example_tree())
    with h5py.File(tmp_path / "r.h5") as file:
        seen = []
        file.visititems(
            lambda name, item: seen.append((name, item)) if isinstance(item, h5py.Dataset) else None
        )
        assert len(seen) == len(example_tree().datasets)
        for name, item in seen:
            assert item.attrs["description"], name
            assert item.attrs["units"] or h5py.check_string_dtype(item.dtype) is not None, name
        assert file["/prior/q0"].attrs["units"] == "GeV"
        assert file["/selection/index"].fletcher32


def test_names_are_declared_once():
    paths = [d.path for d in schema.DATASETS]
    attributes = [(a.path, a.name) for a in schema.ATTRIBUTES]
    assert len(set(paths)) == len(paths)
    assert len(set(attributes)) == len(attributes)


def test_undeclared_names_cannot_be_written(tmp_path):
    tree = example_tree()
    tree.datasets["/surprise"] = 1.0
    with pytest.raises(KeyError, match="/surprise"):
        write_tree(tmp_path / "r.h5", tree)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [d.path for d in schema.DATASETS if d.required and "<" not in d.path])
def test_a_missing_dataset_is_named(tmp_path, name):
    write_tree(tmp_path / "r.h5", example_tree())
    with h5py.File(tmp_path / "r.h5", "r+") as file:
        del file[name]
    with pytest.raises(StoreError, match=name):
        read_tree(tmp_path / "r.h5")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("/history/erf", np.zeros(9), "has 9"),
        ("/history/erf", np.zeros((6, 1)), "2 axes, expected 1"),
        ("/selection/index", np.zeros(4), "expected int64"),
        ("/history/seconds", np.zeros(6, dtype=int), "expected float64"),
    ],
)
def test_wrong_shapes_and_types_are_named(tmp_path, name, value, message):
    write_tree(tmp_path / "r.h5", example_tree())
    with h5py.File(tmp_path / "r.h5", "r+") as file:
        del file[name]
        file[name] = value
    with pytest.raises(StoreError, match=message) as caught:
        read_tree(tmp_path / "r.h5")
    assert name in str(caught.value)


def test_older_schemas_are_lifted_or_refused(tmp_path, monkeypatch):
    tree = example_tree()
    tree.attributes["/", "schema_version"] = 0
    write_tree(tmp_path / "r.h5", tree)
    with pytest.raises(StoreError, match="schema_version 0 cannot be read"):
        read_tree(tmp_path / "r.h5")

    def lift(old):
        old.attributes["/", "status"] = "lifted"
        return old

    monkeypatch.setitem(store.UPGRADES, 0, lift)
    assert read_tree(tmp_path / "r.h5").attributes["/", "status"] == "lifted"


def test_every_flipped_byte_in_the_data_is_detected(tmp_path):
    path = tmp_path / "r.h5"
    write_tree(path, example_tree())
    good = path.read_bytes()
    with h5py.File(path) as file:
        chunk = file["/estimators/mean/random"].id.get_chunk_info(0)
    for offset in range(chunk.byte_offset, chunk.byte_offset + chunk.size):
        bad = bytearray(good)
        bad[offset] ^= 0x10
        path.write_bytes(bytes(bad))
        with pytest.raises(StoreError, match="damaged"):
            read_tree(path)


def test_a_failed_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "r.h5"
    write_tree(path, example_tree())
    before = path.read_bytes()

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    with pytest.raises(OutputError, match=r"r\.h5.*No space left"):
        write_tree(path, example_tree())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.h5"]


def test_a_killed_writer_never_leaves_a_broken_file(tmp_path):
    """kill -9 at fifteen moments of a process that does nothing but write."""
    path = tmp_path / "r.h5"
    write_tree(path, example_tree())
    program = (
        "import sys; from pathlib import Path; from compress_mpi.io.store import read_tree, write_tree\n"
        "path = Path(sys.argv[1]); tree = read_tree(path); print('go', flush=True)\n"
        "while True: write_tree(path, tree)\n"
    )
    for moment in range(15):
        writer = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
        writer.stdout.readline()
        time.sleep(0.001 + 0.003 * moment)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert read_tree(path).datasets.keys() == example_tree().datasets.keys()
