"""Every name in a compressed event table, declared once.

Writer, reader, validator and the manual walk through these tables. The file has to be small beside a table of a few
hundred kilobytes, so there is one dataset: HDF5 asks for about 280 bytes for each. It holds the parts below one after
the other; attributes say where they end. Units and descriptions stand here and in the manual, not in the file. After
the end of the HDF5 file follow 16 bytes, the trailer, which HDF5 readers do not look at.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from compress_mpi.io.schema import Attribute, Dataset

__all__ = [
    "ATTRIBUTES",
    "BLOCKS",
    "DATASETS",
    "FORMAT",
    "HEADER",
    "INDEX_COLUMNS",
    "PARTS",
    "SCHEMA_VERSION",
    "TRAILER",
    "TRAILER_MAGIC",
    "HeaderKey",
    "Part",
]

FORMAT = "compress-mpi-events"
SCHEMA_VERSION = 1
TRAILER_MAGIC = b"CMPe"
TRAILER = struct.Struct("<4s6sIH")
"""Magic, length of the HDF5 file (6 bytes), CRC-32 of all its bytes, CRC-16 (CCITT) of the 14 bytes before."""


@dataclass(frozen=True)
class Part:
    """One part of ``/payload``.

    Attributes
    ----------
    name : str
    description : str
        For the manual.
    """

    name: str
    description: str


@dataclass(frozen=True)
class HeaderKey:
    """One key of the header.

    Attributes
    ----------
    name, type : str
    description : str
        For the manual.
    required : bool
        Whether a file without it is refused.
    """

    name: str
    type: type
    description: str
    required: bool = True


DATASETS = (
    Dataset("/payload", "uint8", ("byte",), "1", "the parts below, one after the other, without gaps"),
)

ATTRIBUTES = (
    Attribute("/", "format", "str", "always compress-mpi-events"),
    Attribute("/", "schema_version", "int64", "version of this layout"),
    Attribute("/", "codec", "str", "bounded or latent"),
    Attribute("/payload", "parts", "str", "names of the parts after the blocks, in their order"),
    Attribute("/payload", "length_crc32", "uint32 (part, 2)", "bytes of each of these parts, and its CRC-32"),
)

BLOCKS = Part("blocks", "coded rows, block after block; a block is decoded without any other")
PARTS = (
    Part("tables", "tables of the codec, such as frequencies and the preprocessing"),
    Part(
        "model", "weights of the network; empty where there is none, or where it is shared with another file"
    ),
    Part("index", "uint32 (block, 3), little endian: rows, bytes and CRC-32 of every block"),
    Part("header", "the keys below, JSON in UTF-8, packed by zlib"),
)
"""What follows the blocks, in this order."""

INDEX_COLUMNS = ("rows", "bytes", "crc32")

HEADER = (
    HeaderKey("program", str, "version of compress-mpi that wrote the file"),
    HeaderKey("rows", int, "rows of the table"),
    HeaderKey("columns", list, "name and dtype of every column, in the order of the table"),
    HeaderKey(
        "plan", dict, "what the codec needs besides tables and model, such as the grid of every column"
    ),
    HeaderKey(
        "error",
        dict,
        "by column: greatest allowed error, greatest, mean and rms error found, values kept apart",
    ),
    HeaderKey("source", dict, "name and SHA-256 of the file, or of the files, the table comes from"),
    HeaderKey("settings", dict, "settings of the run that are not the default"),
    HeaderKey("unordered", bool, "rows may stand in another order than in the source", required=False),
    HeaderKey("shared", dict, "file that holds tables and model, and the SHA-256 of both", required=False),
    HeaderKey("training", dict, "how the network was trained, and how far", required=False),
)
