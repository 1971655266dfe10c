"""Compressed event tables: one HDF5 file, written in one step, in which every byte is under a checksum.

:class:`ContainerWriter` takes blocks as they come and makes the file when all are there; :func:`open_container`
reads it, says which part is damaged where one is, and gives block by block. What the parts are is declared in
``compress_mpi.io.schema_events``. HDF5 lays out the file; the bytes of ``/payload`` are then written and read
past it, which needs no second copy in memory and makes a full disk an ordinary error.
"""

from __future__ import annotations

import binascii
import contextlib
import functools
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import OutputError, StoreError
from compress_mpi.io.atomic import replace_file, sweep, temporary_path
from compress_mpi.io.container_check import Layout, block_name, check_file, file_crc, read_layout
from compress_mpi.io.schema_events import (
    FORMAT,
    HEADER,
    INDEX_COLUMNS,
    PARTS,
    SCHEMA_VERSION,
    TRAILER,
    TRAILER_MAGIC,
)

__all__ = ["Container", "ContainerWriter", "open_container", "pack_header", "sweep_container"]

_LIBRARY = "v110"  # the oldest format with checksums in all metadata; younger libraries write it too
_LEVEL = 9


class ContainerWriter:
    """A file to be, filled block by block; use it as a context.

    Nothing takes the place of an old file before :meth:`finish` has ended well.

    Parameters
    ----------
    path : Path
        Its folder must exist.

    Raises
    ------
    OutputError
        If the file system refuses.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._spool_path = temporary_path(_spool_name(path))
        self._index: list[tuple[int, int, int]] = []
        with _named(path):
            self._spool: IO[bytes] = open(self._spool_path, "w+b")  # noqa: SIM115  # closed by close()

    @property
    def payload(self) -> int:
        """Bytes of the blocks so far."""
        return sum(length for _, length, _ in self._index)

    def add(self, rows: int, data: bytes) -> None:
        """Append one block.

        Parameters
        ----------
        rows : int
            That it holds.
        data : bytes
        """
        with _named(self._path):
            self._spool.write(data)
        self._index.append((rows, len(data), zlib.crc32(data)))

    def finish(self, codec: str, header: Mapping[str, Any], tables: bytes, model: bytes) -> int:
        """Make the file.

        Parameters
        ----------
        codec : str
        header : mapping
            JSON-able, the keys of ``schema_events.HEADER``.
        tables, model : bytes

        Returns
        -------
        int
            Bytes of the file.
        """
        index = np.array(self._index, dtype="<u4").reshape(-1, len(INDEX_COLUMNS)).tobytes()
        contents = {"tables": tables, "model": model, "index": index, "header": pack_header(header)}
        parts = [contents[part.name] for part in PARTS]
        temporary = temporary_path(self._path)
        try:
            with _named(self._path):
                offset = _lay_out(temporary, codec, self.payload, parts)
                with open(temporary, "r+b") as file:
                    file.seek(offset)
                    self._spool.seek(0)
                    shutil.copyfileobj(self._spool, file, 1 << 20)
                    file.writelines(parts)
                size = _seal(temporary)
            replace_file(temporary, self._path)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        return size

    def close(self) -> None:
        """Remove what is left over."""
        with contextlib.suppress(OSError):
            self._spool.close()
        with contextlib.suppress(OSError):
            self._spool_path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def pack_header(header: Mapping[str, Any]) -> bytes:
    """The header as it stands in the file; the same bytes for the same content."""
    text = json.dumps(header, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return zlib.compress(text.encode(), _LEVEL)


def sweep_container(path: Path) -> list[Path]:
    """Remove what dead runs left beside ``path``; see ``compress_mpi.io.atomic.sweep``."""
    return [*sweep(path), *sweep(_spool_name(path))]


@dataclass(frozen=True, eq=False)
class Container:
    """A compressed table that was opened and found whole.

    Attributes
    ----------
    path : Path
    codec : str
    header : dict
        See ``schema_events.HEADER``.
    tables, model : bytes
    index : int64 (block, 3)
        Rows, bytes and CRC-32 of every block.
    size : int
        Bytes of the file.
    """

    path: Path
    codec: str
    header: dict[str, Any]
    tables: bytes
    model: bytes
    index: NDArray[np.int64]
    size: int
    _offset: int

    @property
    def rows(self) -> int:
        """Of the table."""
        return int(self.header["rows"])

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Name and dtype of every column."""
        return [(str(name), str(dtype)) for name, dtype in self.header["columns"]]

    @functools.cached_property
    def _starts(self) -> NDArray[np.int64]:
        return np.concatenate([[0], np.cumsum(self.index[:, 1])])

    @property
    def n_blocks(self) -> int:
        """Blocks of the file."""
        return len(self.index)

    def block(self, number: int) -> tuple[int, bytes]:
        """Rows and bytes of one block, counted from 0.

        Raises
        ------
        StoreError
            If it cannot be read, or its bytes do not have the checksum they were written with.
        """
        rows, length, crc = (int(value) for value in self.index[number])
        start = self._offset + int(self._starts[number])
        try:
            with open(self.path, "rb") as file:
                file.seek(start)
                data = file.read(length)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        if zlib.crc32(data) != crc:
            raise StoreError(f"{self.path}: damaged in {block_name(self.index, number)}; get another copy")
        return rows, data

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """All blocks in order, as :meth:`block`."""
        return (self.block(number) for number in range(self.n_blocks))


def open_container(path: Path, whole: bool = True) -> Container:
    """Open a compressed table.

    Parameters
    ----------
    path : Path
    whole : bool
        Read the file once from end to end to see that no bit has changed. Without it only the parts that are used
        are checked, each when it is read: for ranks beside the first.

    Raises
    ------
    StoreError
        If it is missing, foreign, of a newer version, cut short or damaged; names the damaged part.
    """
    path = Path(path)
    layout = check_file(path) if whole else read_layout(path)
    try:
        with open(path, "rb") as file:
            parts = {name: layout.read(file, name) for name in layout.parts}
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror or error}") from error
    index = np.frombuffer(parts["index"], dtype="<u4").reshape(-1, len(INDEX_COLUMNS)).astype(np.int64)
    header = _header(path, parts["header"])
    _check_index(path, layout, index, header)
    return Container(
        path, layout.codec, header, parts["tables"], parts["model"], index, path.stat().st_size, layout.offset
    )


def _header(path: Path, packed: bytes) -> dict[str, Any]:
    try:
        header = json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError, RecursionError) as error:
        raise StoreError(f"{path}: damaged in the header: {error}") from error
    if not isinstance(header, dict):
        raise StoreError(f"{path}: the header is no mapping; expected a file that this program wrote")
    for key in HEADER:
        if key.name in header and not isinstance(header[key.name], key.type):
            found = type(header[key.name]).__name__
            raise StoreError(f"{path}: header: {key.name}: expected {key.type.__name__}, got {found}")
        if key.required and key.name not in header:
            raise StoreError(f"{path}: header: {key.name} is missing")
    return header


def _check_index(path: Path, layout: Layout, index: NDArray[np.int64], header: Mapping[str, Any]) -> None:
    if int(index[:, 1].sum()) != layout.payload:
        raise StoreError(
            f"{path}: the index counts {index[:, 1].sum()} bytes of blocks, the file has {layout.payload}"
        )
    if int(index[:, 0].sum()) != header["rows"]:
        raise StoreError(f"{path}: the index counts {index[:, 0].sum()} rows, the header {header['rows']}")


def _lay_out(path: Path, codec: str, payload: int, parts: list[bytes]) -> int:
    """Make the HDF5 file with its bytes of ``/payload`` still to be written; where these begin."""
    import h5py

    size = payload + sum(map(len, parts))
    try:
        with h5py.File(path, "w", libver=_LIBRARY, meta_block_size=1) as file:
            file.attrs["format"] = np.bytes_(FORMAT)
            file.attrs["schema_version"] = np.uint8(SCHEMA_VERSION)
            file.attrs["codec"] = np.bytes_(codec)
            data = h5py.Dataset(h5py.h5d.create(file.id, b"payload", *_storage(size)))
            data.attrs["parts"] = np.bytes_(" ".join(part.name for part in PARTS))
            data.attrs["length_crc32"] = np.array([(len(p), zlib.crc32(p)) for p in parts], dtype="<u4")
            return int(data.id.get_offset())
    except (OSError, RuntimeError) as error:
        raise _plain(error) from error


def _plain(error: Exception) -> OSError:
    """What the system said, without the paragraph that HDF5 puts around it."""
    number = re.search(r"errno = (\d+)", str(error))
    return OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error))


def _storage(size: int) -> tuple[Any, Any, Any]:
    import h5py

    options = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    # the same content gives the same bytes, whenever it is written
    options.set_obj_track_times(False)
    options.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    options.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return h5py.h5t.STD_U8LE, h5py.h5s.create_simple((size,)), options


def _seal(path: Path) -> int:
    """Append the trailer; bytes of the whole file."""
    length = path.stat().st_size
    with open(path, "r+b") as file:
        crc = file_crc(file, length)
        begin = TRAILER.pack(TRAILER_MAGIC, length.to_bytes(6, "little"), crc, 0)[:-2]
        file.seek(length)
        file.write(begin + binascii.crc_hqx(begin, 0).to_bytes(2, "little"))
    return length + TRAILER.size


def _spool_name(path: Path) -> Path:
    return path.with_name(f"{path.name}.blocks")


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"{path}: cannot be written: {reason}; check the folder, its permissions and free space,"
            " or choose another place with 'output'"
        ) from error
