"""A compressed table of the first version of its layout, which every later release has to read to the same bytes.

Six columns of 1500 rows in two blocks: two floating ones and an integer one coded by a network that sees the previous
row, event numbers packed as bytes, flags by their distribution, float16 within a relative bound; NaN, infinity, -0.0
and 1e300 among them. If this test fails, files that people have are lost: raise the version, and read both.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from compress_mpi.io.container import open_container
from compress_mpi.workflows.events_decode import open_decoder

FILE = Path(__file__).parents[1] / "data/events-v1.h5"
KINDS = {
    "x": "tiny",
    "y": "tiny",
    "k": "tiny",
    "event": "bytes",
    "good": "marginal",
    "h": "marginal",
}
DTYPES = {
    "x": "float32",
    "y": "float64",
    "k": "int16",
    "event": "uint64",
    "good": "bool",
    "h": "float16",
}
DIGESTS = {
    "x": "4e9b9ba31d3b2976",
    "y": "90e52ea1e80c5f8b",
    "k": "a06b49d902636db5",
    "event": "cb8c4fbaffdb4bf7",
    "good": "367dbfc4ea7585dd",
    "h": "c0c352080c1123fe",
}


def decoded() -> dict[str, np.ndarray]:
    decoder = open_decoder(FILE)
    blocks = [decoder.read(number) for number in range(decoder.container.n_blocks)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def test_the_file_is_what_it_was():
    container = open_container(FILE)
    assert (container.rows, container.n_blocks, container.codec) == (1500, 2, "bounded")
    kinds = {column["name"]: column["model"] for column in container.header["plan"]["columns"]}
    assert kinds == KINDS


def test_every_column_decodes_to_the_same_bits():
    found = decoded()
    assert {name: values.dtype.name for name, values in found.items()} == DTYPES
    little = {name: values.astype(values.dtype.newbyteorder("<")) for name, values in found.items()}
    assert {n: hashlib.sha256(values.tobytes()).hexdigest()[:16] for n, values in little.items()} == DIGESTS


def test_what_no_grid_holds_is_there():
    found = decoded()
    assert np.isnan(found["x"][3])
    assert found["x"][700] == np.inf
    assert found["y"][9] == 1e300
    assert found["event"][0] == 1000000000000029
