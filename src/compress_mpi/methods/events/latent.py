"""The codec through the latent space of a flow: a block of rows to bytes, and back within no stated bound.

Rows are preprocessed, the flow takes them to nearly normal latents, these become integers (:mod:`latent_quantiser`)
and the integers bytes (:mod:`latent_symbols`). All that is fitted is fitted once, on training rows, and stored.

Nothing is lost that the flow cannot carry: an element that is NaN, infinite or beyond the preprocessing is kept apart
as it is, and so is a whole row whose latents are out of range or whose decoded values are not finite. There is no
bound on the error of the others; for one, use the codec ``bounded``.

Bytes are the same wherever the same integers are coded. Decoded values are not promised to the last bit on another
machine: flow, inverse error function and exponential are floating point.
"""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.latent_quantiser import Quantiser
from compress_mpi.methods.events.latent_symbols import SymbolTable
from compress_mpi.methods.events.preprocess import Preprocessing
from compress_mpi.types import FloatArray

__all__ = ["Flow", "LatentCodec", "NoFlow", "latents_of"]

_HEAD = struct.Struct("<III")
"""Rows, bytes of the integers, bytes of what is kept apart."""
_BUCKET = 0.125
"""Width of a bucket in latent units, see :mod:`latent_symbols`."""
_BUCKETS_ERF = 64.0
"""Buckets of the unit interval of u, where the density is nearly flat."""


class Flow(Protocol):
    """A trained flow between preprocessed rows and latents."""

    def to_latent(self, rows: FloatArray) -> FloatArray:
        """Latents of rows, both float64 (n, c)."""
        ...

    def from_latent(self, latent: FloatArray) -> FloatArray:
        """The inverse of :meth:`to_latent`."""
        ...


class NoFlow:
    """The preprocessed rows are the latents."""

    def to_latent(self, rows: FloatArray) -> FloatArray:
        """The rows."""
        return rows

    def from_latent(self, latent: FloatArray) -> FloatArray:
        """The latents."""
        return latent


@dataclass(frozen=True, eq=False)
class LatentCodec:
    """All that decoding needs beside the flow.

    Attributes
    ----------
    preprocessing : Preprocessing
    quantiser : Quantiser
    symbols : SymbolTable
    """

    preprocessing: Preprocessing
    quantiser: Quantiser
    symbols: SymbolTable

    @staticmethod
    def fit(rows: FloatArray, preprocessing: Preprocessing, quantiser: Quantiser, flow: Flow) -> LatentCodec:
        """Frequencies of the integers of training rows.

        Parameters
        ----------
        rows : float64 (n, c)
        preprocessing : Preprocessing
        quantiser : Quantiser
        flow : Flow

        Raises
        ------
        ValueError
            If no row is finite, or columns do not fit.
        """
        latent, _ = latents_of(rows, preprocessing, flow)
        good = latent[np.isfinite(latent).all(axis=1)]
        if not len(good):
            raise ValueError("latent codec: the flow gives no finite latent for any training row")
        unit = _BUCKET if quantiser.form == "even" else 2.0 / _BUCKETS_ERF
        width = np.maximum(unit / quantiser.step, 1.0).astype(np.int64)
        integers = quantiser.integers(good)
        fits = (integers != np.iinfo(np.int64).min).all(axis=1)
        if not fits.any():
            raise ValueError("latent codec: the steps are too small for the latents")
        return LatentCodec(preprocessing, quantiser, SymbolTable.fit(integers[fits], width))

    def encode(self, rows: FloatArray, flow: Flow) -> bytes:
        """Bytes of a block.

        Parameters
        ----------
        rows : float64 (n, c)
        flow : Flow
        """
        latent, apart = latents_of(rows, self.preprocessing, flow)
        integers = self.quantiser.integers(latent)
        bad = ~np.all(self.symbols.fits(integers), axis=1)
        integers[bad] = (self.symbols.low + self.symbols.high) // 2
        bad |= np.any(~np.isfinite(self._rows(integers, flow)) & ~apart, axis=1)
        apart |= bad[:, None]
        coded = _npz(integers) if self._as_published else self.symbols.encode(integers)
        kept = _keep(rows, apart)
        return _HEAD.pack(len(rows), len(coded), len(kept)) + coded + kept

    def decode(self, data: bytes, flow: Flow) -> FloatArray:
        """Rows of the bytes of :meth:`encode`, float64 (n, c).

        Raises
        ------
        ValueError
            If the bytes are not a block of this codec.
        """
        if len(data) < _HEAD.size:
            raise ValueError(f"latent block: expected {_HEAD.size} bytes or more, found {len(data)}")
        n, n_coded, n_kept = _HEAD.unpack_from(data)
        if len(data) != _HEAD.size + n_coded + n_kept:
            raise ValueError(
                f"latent block: expected {_HEAD.size + n_coded + n_kept} bytes, found {len(data)}"
            )
        kept = data[_HEAD.size + n_coded :]
        coded = data[_HEAD.size : _HEAD.size + n_coded]
        shape = n, len(self.quantiser.step)
        integers = _of_npz(coded, shape) if self._as_published else self.symbols.decode(coded, n)
        rows = self._rows(integers, flow)
        _put_back(rows, kept)
        return rows

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What to store, as ``part/name``; :meth:`from_arrays` reads it."""
        parts = {
            "preprocessing": self.preprocessing.to_arrays(),
            "quantiser": self.quantiser.to_arrays(),
            "symbols": self.symbols.to_arrays(),
        }
        return {f"{part}/{name}": array for part, arrays in parts.items() for name, array in arrays.items()}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> LatentCodec:
        """Put :meth:`to_arrays` back.

        Raises
        ------
        ValueError
            If an array is missing, or parts are for different numbers of columns.
        """

        def part(name: str) -> dict[str, NDArray[Any]]:
            return {
                key.removeprefix(f"{name}/"): a for key, a in arrays.items() if key.startswith(f"{name}/")
            }

        codec = LatentCodec(
            Preprocessing.from_arrays(part("preprocessing")),
            Quantiser.from_arrays(part("quantiser")),
            SymbolTable.from_arrays(part("symbols")),
        )
        widths = {len(codec.preprocessing.mean), len(codec.quantiser.step), len(codec.symbols.low)}
        if len(widths) != 1:
            raise ValueError(f"stored latent codec: its parts are for {sorted(widths)} columns")
        return codec

    @property
    def _as_published(self) -> bool:
        return self.quantiser.form == "published"

    def _rows(self, integers: NDArray[np.int64], flow: Flow) -> FloatArray:
        # an infinite latent would spoil its neighbours in a batch of some flows
        latent = self.quantiser.latent(integers)
        finite = np.isfinite(latent).all(axis=1)
        rows = np.full(latent.shape, np.nan)
        if finite.any():
            rows[finite] = self.preprocessing.inverse(flow.from_latent(latent[finite]))
        return rows


def latents_of(
    rows: FloatArray, preprocessing: Preprocessing, flow: Flow
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Latents of rows, and which elements have to be kept apart.

    Parameters
    ----------
    rows : float64 (n, c)
    preprocessing : Preprocessing
    flow : Flow

    Returns
    -------
    latent : float64 (n, c)
        May be NaN or infinite where the flow fails. An element that is kept apart counts as the mean of its column.
    apart : bool (n, c)
    """
    seen = preprocessing.forward(rows)
    apart = np.isnan(seen)
    seen[apart] = 0.0
    return (flow.to_latent(seen) if len(seen) else seen), apart


def _npz(integers: NDArray[np.int64]) -> bytes:
    """What the published codec writes: 64 bits for every integer, deflated."""
    file = io.BytesIO()
    np.savez_compressed(file, integers)
    return file.getvalue()


def _of_npz(data: bytes, shape: tuple[int, int]) -> NDArray[np.int64]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            integers: NDArray[np.int64] = arrays["arr_0"]
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"latent block: its integers are damaged: {error}") from error
    if integers.shape != shape or integers.dtype != np.int64:
        raise ValueError(f"latent block: expected int64 {shape}, found {integers.dtype} {integers.shape}")
    return integers


def _keep(rows: FloatArray, apart: NDArray[np.bool_]) -> bytes:
    if not apart.any():
        return b""
    plain = np.packbits(apart).tobytes() + rows[apart].astype("<f8").tobytes()
    return lzma.compress(plain, lzma.FORMAT_XZ, lzma.CHECK_NONE)


def _put_back(rows: FloatArray, kept: bytes) -> None:
    apart = np.zeros(rows.shape, dtype=bool)
    if kept:
        try:
            plain = lzma.decompress(kept, lzma.FORMAT_XZ)
        except lzma.LZMAError as error:
            raise ValueError(f"latent block: what was kept apart is damaged: {error}") from error
        n_mask = (rows.size + 7) // 8
        bits = np.frombuffer(plain[:n_mask], dtype=np.uint8)
        if len(bits) < n_mask or len(plain) != n_mask + 8 * int(np.unpackbits(bits, count=rows.size).sum()):
            raise ValueError("latent block: what was kept apart does not fit the block")
        apart = np.unpackbits(bits, count=rows.size).reshape(rows.shape).astype(bool)
        rows[apart] = np.frombuffer(plain[n_mask:], dtype="<f8")
    if not np.isfinite(rows[~apart]).all():
        raise ValueError("latent block: decoded values are not finite; is this the flow that encoded it?")
