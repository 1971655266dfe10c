"""Whether a compressed event table is whole, and where it is damaged."""

from __future__ import annotations

import binascii
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import StoreError
from compress_mpi.io.hdf5 import text
from compress_mpi.io.schema_events import (
    FORMAT,
    INDEX_COLUMNS,
    PARTS,
    SCHEMA_VERSION,
    TRAILER,
    TRAILER_MAGIC,
)

__all__ = ["Layout", "block_name", "check_file", "file_crc", "is_compressed_table", "read_layout"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_END = 28  # where a superblock of version 2 or 3 says how long the file is
_SLICE = 1 << 20
_SHOWN = 5
# what h5py makes of damaged metadata, beside OSError
_DAMAGED = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Layout:
    """Where the parts of a file are.

    Attributes
    ----------
    path : Path
    codec : str
    offset, payload : int
        Where the blocks begin, and their bytes.
    parts : mapping of (int, int, int)
        Begin, bytes and CRC-32 of each part after the blocks.
    end : int
        Bytes of the HDF5 file.
    """

    path: Path
    codec: str
    offset: int
    payload: int
    parts: Mapping[str, tuple[int, int, int]]
    end: int

    def read(self, file: IO[bytes], name: str) -> bytes:
        """Bytes of one part.

        Raises
        ------
        StoreError
            If they do not have the checksum they were written with.
        """
        begin, length, crc = self.parts[name]
        file.seek(begin)
        data = file.read(length)
        if len(data) != length or zlib.crc32(data) != crc:
            raise StoreError(f"{self.path}: damaged in the {name}; get another copy")
        return data


def file_crc(file: IO[bytes], length: int) -> int:
    """CRC-32 of the first ``length`` bytes."""
    file.seek(0)
    crc = 0
    while length > 0 and (piece := file.read(min(_SLICE, length))):
        crc = zlib.crc32(piece, crc)
        length -= len(piece)
    return crc


def check_file(path: Path) -> Layout:
    """See that nothing in a file has changed since it was written.

    Raises
    ------
    StoreError
        If it is missing, foreign, of a newer version, cut short or damaged; names the damaged part.
    """
    _check_kind(path)
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TRAILER.size))
            length, crc = _trailer(file.read())
            if length == size - TRAILER.size and file_crc(file, length) == crc:
                return read_layout(path)
            raise StoreError(f"{path}: {_what_is_wrong(path, file, size, length)}; get another copy")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error


def is_compressed_table(path: Path) -> bool:
    """Whether a file is a compressed table, whole or damaged, of any version."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TRAILER.size))
            if file.read(len(TRAILER_MAGIC)) == TRAILER_MAGIC:
                return True
        import h5py

        with h5py.File(path, "r") as opened:
            return text(opened.attrs.get("format", "")) == FORMAT
    except _DAMAGED:
        return False


def read_layout(path: Path) -> Layout:
    """Where the parts of a file are, from its HDF5 metadata, which have checksums of their own.

    Raises
    ------
    StoreError
        If it is missing, foreign, of a newer version, or its metadata are damaged.
    """
    _check_kind(path)
    try:
        return _layout(path)
    except _DAMAGED as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{path}: damaged in the HDF5 structure: {error}; get another copy") from error


def block_name(index: NDArray[np.int64], number: int) -> str:
    """A block as messages call it."""
    first = int(index[:number, 0].sum())
    last = first + int(index[number, 0]) - 1
    return f"block {number + 1} of {len(index)} (rows {first} to {last})"


def _check_kind(path: Path) -> None:
    if not path.exists():
        raise StoreError(f"{path}: no such file")
    if not path.is_file():
        raise StoreError(f"{path}: not a file; expected a compressed table of events")
    try:
        with open(path, "rb") as file:
            begin = file.read(len(_SIGNATURE))
            file.seek(max(0, os.fstat(file.fileno()).st_size - TRAILER.size))
            ours = file.read(len(TRAILER_MAGIC)) == TRAILER_MAGIC
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
    if begin != _SIGNATURE:
        what = "damaged in the HDF5 structure: it does not begin as HDF5 does" if ours else "no HDF5 file"
        raise StoreError(f"{path}: {what}; expected a compressed table of events")


def _layout(path: Path) -> Layout:
    import h5py

    with h5py.File(path, "r") as file:
        _check_format(path, file.attrs)
        data = file["payload"]
        names = text(data.attrs["parts"]).split()
        sizes = np.asarray(data.attrs["length_crc32"], dtype=np.int64).reshape(-1, 2)
        codec, offset, size = text(file.attrs["codec"]), int(data.id.get_offset()), int(data.shape[0])
    with open(path, "rb") as raw:
        end = int.from_bytes(raw.read(_END + 8)[_END:], "little")
    if names != [part.name for part in PARTS] or len(sizes) != len(names):
        raise ValueError(f"parts {names}, expected {[part.name for part in PARTS]}")
    payload = size - int(sizes[:, 0].sum())
    begins = offset + payload + np.concatenate([[0], np.cumsum(sizes[:-1, 0])])
    parts = {name: (int(b), int(n), int(crc)) for name, b, (n, crc) in zip(names, begins, sizes, strict=True)}
    return Layout(path, codec, offset, payload, parts, end)


def _check_format(path: Path, attributes: Any) -> None:
    found = text(attributes.get("format", ""))
    if found != FORMAT:
        what = (
            "a result of the compress task" if found == "compress-mpi" else "an HDF5 file of something else"
        )
        raise StoreError(
            f"{path}: {what}; expected a compressed table of events, with the attribute 'format' {FORMAT}"
        )
    version = int(attributes["schema_version"])
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path}: schema_version {version} is newer than this release reads ({SCHEMA_VERSION}); "
            "use the release that wrote it"
        )
    if version < SCHEMA_VERSION:
        raise StoreError(f"{path}: schema_version {version} cannot be read; expected {SCHEMA_VERSION}")


def _trailer(raw: bytes) -> tuple[int, int]:
    """Length and CRC-32 of the file; a length of -1 where these bytes are no trailer."""
    if len(raw) != TRAILER.size:
        return -1, 0
    magic, length, crc, own = TRAILER.unpack(raw)
    if magic != TRAILER_MAGIC or binascii.crc_hqx(raw[:-2], 0) != own:
        return -1, 0
    return int.from_bytes(length, "little"), crc


def _what_is_wrong(path: Path, file: IO[bytes], size: int, length: int) -> str:
    """Words for a file whose trailer is not there, or does not fit the rest."""
    try:
        layout = _layout(path)
    except StoreError:
        # foreign, or of another version: nothing is known about its bytes
        raise
    except _DAMAGED as error:
        if length < 0:
            return f"cut short at {size} bytes, or damaged in the HDF5 structure and at the end ({error})"
        return f"damaged in the HDF5 structure ({error})"
    if length < 0:
        return _bad_end(size, layout.end)
    if length != size - TRAILER.size:
        return f"{size} bytes long, but it was written with {length + TRAILER.size}"
    found = list(_damages(file, layout))
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"damaged in {', '.join(found[:_SHOWN]) or 'the HDF5 structure'}{more}"


def _bad_end(size: int, end: int) -> str:
    if size == end + TRAILER.size:
        return "damaged in the trailer, its last 16 bytes"
    return f"{size} bytes long, but it was written with {end + TRAILER.size}: cut short or appended to"


def _damages(file: IO[bytes], layout: Layout) -> Iterator[str]:
    index: Sequence[bytes] = ()
    for name in layout.parts:
        try:
            data = layout.read(file, name)
        except StoreError:
            yield f"the {name}"
        else:
            index = [data] if name == "index" else index
    for raw in index:
        entries = np.frombuffer(raw, dtype="<u4").reshape(-1, len(INDEX_COLUMNS)).astype(np.int64)
        file.seek(layout.offset)
        for number, (_, length, crc) in enumerate(entries):
            if zlib.crc32(file.read(int(length))) != crc:
                yield block_name(entries, number)
