"""Text tables, line by line: comments, header, separator, and which line is wrong."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from compress_mpi.errors import TableError

__all__ = ["Chunk", "TextLayout", "chunks", "data_lines", "find_layout", "is_number", "locate", "widths"]

CHUNK = 1 << 20
"""Bytes parsed at a time; a chunk ends with a line."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf|infinity|nan)", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class TextLayout:
    """How a text file is laid out.

    Attributes
    ----------
    delimiter : str or None
        Between fields; None: any white space.
    width : int
        Fields in a line.
    names : tuple of str, optional
        From the header line.
    remark : tuple of str, optional
        From the comment right above the numbers, where it has one word a column: perhaps names.
    start : int
        Byte at which the first line of numbers begins.
    line : int
        Its number, from 1.
    """

    delimiter: str | None
    width: int
    names: tuple[str, ...] | None
    remark: tuple[str, ...] | None
    start: int
    line: int


@dataclass(frozen=True)
class Chunk:
    """Some whole lines of a file: byte and line number at which they begin, and their text."""

    start: int
    line: int
    text: str


def is_number(field: str) -> bool:
    """Whether a field reads as a number, nan and inf among them."""
    return _NUMBER.fullmatch(field) is not None


def find_layout(path: Path, separators: str, fallback: str | None) -> TextLayout:
    """Read a text file down to its first line of numbers.

    Parameters
    ----------
    path : Path
    separators : str
        Characters that separate fields where the first line has one, the first that it has.
    fallback : str, optional
        Separator of a line that has none of them; None: white space.

    Raises
    ------
    TableError
        If there is no line of numbers, or the first line is neither numbers nor names.
    """
    names: tuple[str, ...] | None = None
    comment, delimiter, seen = "", fallback, False
    with open(path, "rb") as file:
        start, number = 0, 0
        while raw := file.readline():
            number += 1
            if number == 1 and raw.startswith(_BOM):
                start, raw = len(_BOM), raw.removeprefix(_BOM)
            line = _decoded(path, raw, number)
            body = line.partition("#")[0].strip(" \r\n")
            if not body.strip():
                comment = line.partition("#")[2].strip() or comment
            else:
                if not seen:
                    delimiter = next((s for s in separators if s in body), fallback)
                fields = _fields(body, delimiter)
                if seen or not _is_header(path, number, fields):
                    remark = _remark(comment, delimiter, len(fields))
                    width = len(fields) if names is None else len(names)
                    return TextLayout(delimiter, width, names, remark, start, number)
                names, seen = tuple(f or f"c{i}" for i, f in enumerate(fields)), True
            start = file.tell()
    what = "a header, but no line of numbers" if names else "no line of numbers"
    raise TableError(f"{path}: an empty table: {what}")


def _decoded(path: Path, raw: bytes, line: int) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        wrong = line + raw[: error.start].count(b"\n")
        raise TableError(
            f"{path}: line {wrong}: not text in UTF-8; is the suffix of the file right?"
        ) from None


def _fields(line: str, delimiter: str | None) -> list[str]:
    if delimiter is None:
        return line.split()
    if '"' in line:
        return [field.strip() for field in next(csv.reader([line], delimiter=delimiter))]
    return [field.strip() for field in line.split(delimiter)]


def _is_header(path: Path, line: int, fields: Sequence[str]) -> bool:
    numbers = [is_number(field) for field in fields]
    if any(numbers) and not all(numbers):
        wrong = numbers.index(False)
        raise TableError(
            f"{path}: line {line}: field {wrong + 1} is {fields[wrong]!r}, but others are numbers;"
            " expected a line of names or a line of numbers first"
        )
    return not all(numbers)


def _remark(comment: str, delimiter: str | None, width: int) -> tuple[str, ...] | None:
    for words in (_fields(comment, delimiter), comment.replace(",", " ").split()):
        if len(words) == width and len(set(words)) == width and not any(map(is_number, words)):
            return tuple(words)
    return None


def chunks(path: Path, file: BinaryIO, start: int, line: int) -> Iterator[Chunk]:
    """A file from some byte on, about a megabyte of whole lines at a time.

    Raises
    ------
    TableError
        If it is not text.
    """
    file.seek(start)
    while raw := file.read(CHUNK):
        raw += file.readline()
        yield Chunk(start, line, _decoded(path, raw, line))
        start, line = start + len(raw), line + raw.count(b"\n")


def _lines(text: str) -> list[str]:
    lines = text.replace("\r\n", "\n").split("\n")
    return [line.partition("#")[0] for line in lines] if "#" in text else lines


def data_lines(text: str) -> list[str]:
    """Lines that hold data: comments taken off, empty lines left out."""
    return [line for line in _lines(text) if line and not line.isspace()]


def widths(lines: Sequence[str], delimiter: str | None) -> list[int]:
    """Number of fields of every line."""
    if delimiter is None or any('"' in line for line in lines):
        return [len(_fields(line, delimiter)) for line in lines]
    return [line.count(delimiter) + 1 for line in lines]


def locate(
    path: Path,
    chunk: Chunk,
    layout: TextLayout,
    columns: Sequence[tuple[int, str, str]],
    fails: Callable[[Sequence[str]], bool],
) -> TableError:
    """The error to raise for a chunk that cannot be parsed: its first wrong line, and there the field.

    Parameters
    ----------
    path : Path
    chunk : Chunk
    layout : TextLayout
    columns : sequence of (int, str, str)
        Position in the line, name, and what is expected there.
    fails : callable
        Whether some lines cannot be parsed.
    """
    numbered = [
        (n, line) for n, line in enumerate(_lines(chunk.text), chunk.line) if line and not line.isspace()
    ]
    lines = [line for _, line in numbered]
    ragged = next((i for i, w in enumerate(widths(lines, layout.delimiter)) if w != layout.width), len(lines))
    bad = _first(lines[:ragged], fails)
    if bad < ragged:
        return _wrong_field(path, *numbered[bad], layout, columns, fails)
    if ragged < len(lines):
        number, line = numbered[ragged]
        return TableError(
            f"{path}: line {number}: {widths([line], layout.delimiter)[0]} fields, expected {layout.width}"
        )
    return TableError(f"{path}: line {chunk.line} or below: cannot be parsed")


def _first(lines: Sequence[str], fails: Callable[[Sequence[str]], bool]) -> int:
    if not lines or not fails(lines):
        return len(lines)
    low, high = 0, len(lines)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fails(lines[low:middle]) else (middle, high)
    return low


def _wrong_field(
    path: Path,
    number: int,
    line: str,
    layout: TextLayout,
    columns: Sequence[tuple[int, str, str]],
    fails: Callable[[Sequence[str]], bool],
) -> TableError:
    fields = _fields(line, layout.delimiter)
    neutral = ["0"] * layout.width
    joiner = layout.delimiter or " "
    for position, name, expected in columns:
        alone = [*neutral[:position], fields[position] or '""', *neutral[position + 1 :]]
        if fails([joiner.join(alone)]):
            return TableError(
                f"{path}: line {number}: field {position + 1} ({name}) is {fields[position]!r}, expected {expected}"
            )
    return TableError(f"{path}: line {number}: cannot be parsed: {line[:80]!r}")
