"""Compression ratios: sizes of the input in three forms over the size of what is kept.

The published ratios compare with numbers that were decimal once, as float64, and leave out weights and tables. Here the
same input is also counted as raw float32, and every ratio is given without and with all that decoding needs.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["InputSizes", "Ratios", "input_sizes", "npz_bytes", "ratios", "text_bytes"]


@dataclass(frozen=True)
class InputSizes:
    """Bytes of a table.

    Attributes
    ----------
    values : int
        Elements.
    raw : int
        As float32, 4 bytes each, whatever the type.
    npz : int
        By ``numpy.savez_compressed``, in the type given.
    text : int
        As lines of space-separated decimals, the shortest that read back the same.
    """

    values: int = 0
    raw: int = 0
    npz: int = 0
    text: int = 0

    def __add__(self, other: InputSizes) -> InputSizes:
        return InputSizes(
            self.values + other.values, self.raw + other.raw, self.npz + other.npz, self.text + other.text
        )


@dataclass(frozen=True)
class Ratios:
    """Input over output; larger is better.

    Attributes
    ----------
    raw, npz, text : float
        Of the coded events alone, as published.
    raw_all, npz_all, text_all : float
        Of everything that decoding needs: model, tables and headers too.
    bits, bits_all : float
        Per value, without and with the rest.
    """

    raw: float
    npz: float
    text: float
    raw_all: float
    npz_all: float
    text_all: float
    bits: float
    bits_all: float


def npz_bytes(arrays: Mapping[str, NDArray[Any]]) -> int:
    """Size of the file that ``numpy.savez_compressed`` would write.

    Raises
    ------
    ValueError
        If an array holds Python objects.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject:
            raise ValueError(f"array '{name}': expected numbers, found Python objects")
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return len(file.getbuffer())


def text_bytes(rows: NDArray[Any]) -> int:
    """Size of rows (n, c) as text: shortest decimals, spaces between, a line feed after each row."""
    digits = np.strings.str_len(rows.astype("U")).sum(dtype=np.int64)
    return int(digits) + rows.size


def input_sizes(rows: NDArray[Any]) -> InputSizes:
    """Sizes of one block (n, c); add up those of all blocks.

    The sum over blocks is that of one NPZ file each, above that of a single one by some hundred bytes a block.
    """
    return InputSizes(rows.size, 4 * rows.size, npz_bytes({"data": rows}), text_bytes(rows))


def ratios(sizes: InputSizes, payload: int, rest: int, text_payload: int | None = None) -> Ratios:
    """All ratios.

    Parameters
    ----------
    sizes : InputSizes
        Of the input.
    payload : int
        Bytes of the coded events.
    rest : int
        Bytes of model, tables and headers.
    text_payload : int, optional
        Bytes of the coded events as text, which the published ratio of texts is taken with; default ``payload``.

    Raises
    ------
    ValueError
        If nothing was coded.
    """
    if payload <= 0 or not sizes.values:
        raise ValueError(f"ratios: expected coded events, found {payload} bytes of {sizes.values} values")
    text = payload if text_payload is None else text_payload
    return Ratios(
        raw=sizes.raw / payload,
        npz=sizes.npz / payload,
        text=sizes.text / text,
        raw_all=sizes.raw / (payload + rest),
        npz_all=sizes.npz / (payload + rest),
        text_all=sizes.text / (text + rest),
        bits=8.0 * payload / sizes.values,
        bits_all=8.0 * (payload + rest) / sizes.values,
    )
