"""Recognise a plain, whole member file quickly.

Nearly every file of a set is written by one ``printf`` format, so that its rows differ
only in digits and signs. With every digit replaced by 0 and every sign by -, thousands of
rows become a few patterns, and only the patterns have to be looked at. A file in which
anything is unusual is not judged here: :mod:`compress_mpi.io.gridfile` parses it number
by number and finds the words for what is wrong.
"""

from __future__ import annotations

import contextlib
import functools
import re
from dataclasses import dataclass
from itertools import pairwise

from compress_mpi.io.gridtypes import Layout

__all__ = ["Scan", "scan"]

_SHAPE = bytes.maketrans(b"0123456789+-", b"0000000000--")
_NUMBER = re.compile(rb"-?0{1,20}(\.0{0,30})?([eE]-?00?)?")  # two digits of exponent cannot overflow
_MOST_PATTERNS = 400
_SEPARATOR = b"---"


@dataclass(frozen=True, eq=False)
class Scan:
    """A member file that is whole and plain.

    Attributes
    ----------
    layout : Layout
    head : tuple of (bytes, bytes, bytes)
        Lines of x knots, Q knots and flavours of every subgrid, as they stand.
    rows : tuple of list of bytes
        Lines of values of every subgrid, Q fastest.
    """

    layout: Layout
    head: tuple[tuple[bytes, bytes, bytes], ...]
    rows: tuple[list[bytes], ...]


def scan(data: bytes) -> Scan | None:
    """The parts of a plain file.

    Parameters
    ----------
    data : bytes
        All of a member file.

    Returns
    -------
    Scan or None
        None unless every row is complete and made of ordinary finite numbers, and every
        reader of the format takes the text as it is.
    """
    if not data.isascii() or b"\r" in data or b"#" in data or b"\0" in data:
        return None
    lines, shapes = data.split(b"\n"), data.translate(_SHAPE).split(b"\n")
    marks = _marks(lines)
    if len(marks) < 2 or any(lines[marks[-1] + 1 :]) or any(_SEPARATOR in line for line in lines[: marks[0]]):
        return None
    blocks = [(a + 1, b) for a, b in pairwise(marks)]
    if any(b - a < 4 for a, b in blocks):
        return None
    head = tuple((lines[a], lines[a + 1], lines[a + 2]) for a, _ in blocks)
    layout = _layout(head)
    if layout is None:
        return None
    for (a, b), x, q in zip(blocks, layout.x, layout.q, strict=True):
        if b - a - 3 != len(x) * len(q) or not _plain(set(shapes[a + 3 : b]), len(layout.pids)):
            return None
    return Scan(layout, head, tuple(lines[a + 3 : b] for a, b in blocks))


def _marks(lines: list[bytes]) -> list[int]:
    """Where the separators are."""
    found: list[int] = []
    with contextlib.suppress(ValueError):  # no further one
        while True:
            found.append(lines.index(_SEPARATOR, found[-1] + 1 if found else 0))
    return found


def _plain(patterns: set[bytes], width: int) -> bool:
    return len(patterns) <= _MOST_PATTERNS and all(_row(pattern, width) for pattern in patterns)


@functools.lru_cache(maxsize=4096)
def _row(pattern: bytes, width: int) -> bool:
    tokens = pattern.split()
    return len(tokens) == width and all(map(_NUMBER.fullmatch, tokens))


@functools.lru_cache(maxsize=64)
def _layout(head: tuple[tuple[bytes, bytes, bytes], ...]) -> Layout | None:
    """Knots and flavours; the same for all members of most sets, hence kept."""
    x, q = ([_increasing(lines[axis]) for lines in head] for axis in (0, 1))
    pids = [_flavours(lines[2]) for lines in head]
    if not all(x) or not all(q) or not pids[0] or any(p != pids[0] for p in pids):
        return None
    return Layout(tuple(x), tuple(q), pids[0])


def _increasing(line: bytes) -> tuple[float, ...]:
    """Knots, or nothing where they are not two or more, positive and increasing."""
    tokens = line.split()
    if not all(_NUMBER.fullmatch(token.translate(_SHAPE)) for token in tokens):
        return ()
    knots = tuple(map(float, tokens))
    good = len(knots) > 1 and knots[0] > 0 and all(a < b for a, b in pairwise(knots))
    return knots if good else ()


def _flavours(line: bytes) -> tuple[int, ...]:
    tokens = line.split()
    if not all(re.fullmatch(rb"[+-]?[0-9]{1,9}", token) for token in tokens):
        return ()
    pids = tuple(map(int, tokens))
    return pids if len(set(pids)) == len(pids) else ()
