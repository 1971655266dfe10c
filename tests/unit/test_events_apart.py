"""Values coded apart, and whole columns coded exactly."""

from __future__ import annotations

import numpy as np
import pytest

from compress_mpi.methods.events.apart import pack, unpack
from compress_mpi.methods.events.grid import DTYPES
from compress_mpi.methods.events.lossless import pack_column, unpack_column
from compress_mpi.methods.events.squeeze import expand, read_varints, squeeze, varints


def noise(n: int, dtype: str, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.random(n) < 0.1
    return np.frombuffer(rng.bytes(n * np.dtype(dtype).itemsize), dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_bit_comes_back(dtype):
    values = noise(300, dtype)
    positions = np.cumsum(np.random.default_rng(1).integers(1, 1000, 300)) - 1
    found, back = unpack(pack(positions, values), dtype)
    assert back.dtype.name == dtype
    assert np.array_equal(found, positions)
    assert back.tobytes() == values.tobytes()
    column = unpack_column(pack_column(values), dtype, 300)
    assert column.dtype.name == dtype
    assert column.tobytes() == values.tobytes()


def test_nan_payloads_and_signs():
    bits = np.array([0x7FC00001, 0xFFC12345, 0x7F800000, 0x80000000, 1], dtype=np.uint32)
    values = bits.view(np.float32)
    assert unpack(pack(np.arange(5), values), "float32")[1].tobytes() == values.tobytes()
    assert unpack_column(pack_column(values), "float32", 5).tobytes() == values.tobytes()


def test_nothing_costs_nothing():
    none = np.zeros(0, dtype=np.int64)
    assert pack(none, np.zeros(0)) == b""
    found, values = unpack(b"", "float64")
    assert (len(found), len(values), values.dtype) == (0, 0, np.float64)
    assert pack_column(np.zeros(0)) == b""
    assert unpack_column(b"", "int16", 0).dtype == np.int16


def test_places_far_apart():
    positions = np.array([0, 1, 2**40, 2**61])
    assert np.array_equal(unpack(pack(positions, np.zeros(4)), "float64")[0], positions)


def test_apart_is_small():
    positions = np.sort(np.random.default_rng(3).choice(32768, 300, replace=False))
    assert len(pack(positions, np.full(300, np.nan))) < 300 * 1.4
    assert len(pack(np.array([5]), np.array([1.5]))) <= 12
    # most gaps fit a byte or two, and noise does not grow
    assert len(pack(positions, noise(300, "float64"))) < 300 * 9.5 + 8


@pytest.mark.parametrize(
    ("name", "most"), [("event", 0.8), ("run", 0.02), ("flag", 0.1), ("hash", 8.01), ("constant", 0.02)]
)
def test_columns_that_repay_it(name, most):
    """Bytes per value; a tenth of flags is set: 0.059 bytes are their entropy."""
    rng = np.random.default_rng(4)
    n = 20000
    column = {
        "event": np.cumsum(rng.integers(1, 40, n)),
        "run": np.repeat(np.arange(20) * 7 + 146000, n // 20),
        "flag": rng.random(n) < 0.1,
        "hash": noise(n, "uint64"),
        "constant": np.full(n, 0.1),
    }[name]
    packed = pack_column(column)
    assert len(packed) <= most * n
    assert unpack_column(packed, column.dtype.name, n).tobytes() == column.tobytes()


def test_big_endian_columns_are_the_same_numbers():
    x = np.arange(-500, 500, dtype=">i4")
    assert np.array_equal(unpack_column(pack_column(x), "int32", 1000), x)
    assert np.array_equal(unpack(pack(np.arange(1000), x), "int32")[1], x)


@pytest.mark.parametrize("data", [b"", b"x", bytes(5000), b"ab" * 900, noise(2000, "uint8").tobytes()])
def test_squeezing(data):
    packed = squeeze(data)
    assert len(packed) <= len(data) + 1
    assert expand(packed, len(data)) == data
    for size in (len(data) + 1, len(data) - 1):
        if size >= 0:
            with pytest.raises(ValueError, match="packed bytes"):
                expand(packed, size)


def test_numbers():
    numbers = np.array([0, 1, 127, 128, 2**32, 2**63, 2**64 - 1], dtype=np.uint64)
    assert np.array_equal(read_varints(varints(numbers)), numbers)
    assert len(varints(numbers[:3])) == 3
    assert len(read_varints(b"")) == 0
    for bad in (b"\x80", b"\xff" * 9 + b"\x02", b"\x80" * 10 + b"\x01"):
        with pytest.raises(ValueError, match="packed numbers"):
            read_varints(bad)


def test_damage_is_an_error_or_another_value_but_nothing_else():
    """The container has a checksum of every block; what passes it must still not crash or fill the memory."""
    values = np.where(np.arange(400) % 3 == 0, np.nan, np.arange(400.0))
    for packed, read in (
        (pack(np.arange(400) * 5, values), lambda data: unpack(data, "float64")),
        (pack_column(values), lambda data: unpack_column(data, "float64", 400)),
    ):
        rng = np.random.default_rng(6)
        refused = 0
        for _ in range(150):
            data = bytearray(packed)
            data[rng.integers(min(len(data), 60))] ^= 1 << rng.integers(8)
            try:
                read(bytes(data))
            except ValueError:
                refused += 1
        assert refused > 75
        for end in range(0, len(packed), 7):
            if end:
                with pytest.raises(ValueError, match=r"\w"):
                    read(packed[:end])


def test_an_enormous_number_of_values_is_refused_before_any_memory():
    many = varints(np.array([2**50, 2**50], dtype=np.uint64))
    with pytest.raises(ValueError, match="expected"):
        unpack(many + squeeze(bytes(1000)), "float64")
    with pytest.raises(ValueError, match="do not have"):
        unpack(varints(np.array([3, 2], dtype=np.uint64)) + squeeze(b"ab"), "float64")


def test_another_number_of_rows_is_refused():
    packed = pack_column(np.arange(100))
    for rows in (99, 101, 0):
        with pytest.raises(ValueError, match="expected"):
            unpack_column(packed, "int64", rows)
    with pytest.raises(ValueError, match="unknown form"):
        unpack_column(b"", "int64", 3)
    with pytest.raises(ValueError, match="planes"):
        unpack_column(packed, "int32", 100)
