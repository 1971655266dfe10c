"""Single values of a runcard, checked and normalised; errors say what was expected.

The functions raise plain ``ValueError``; pydantic collects them, and
:mod:`compress_mpi.io.runcard` puts file and key in front.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

__all__ = [
    "EXPECTS_NODES",
    "EXPECTS_SECONDS",
    "EXPECTS_SIZES",
    "estimator_names",
    "nearest",
    "nodes",
    "seconds",
    "set_name",
    "show",
    "sizes",
]

EXPECTS_SIZES = "an integer >= 2 or a list of them"
EXPECTS_NODES = "'published', 'lhapdf' or a list of numbers that increase between 0 and 1"
EXPECTS_SECONDS = "a time > 0: a number of seconds, 02:30:00, 90m or 1h30m"

_CLOCK = re.compile(r"(?:(?P<d>\d{1,4})-)?(?P<h>\d{1,5}):(?P<m>[0-5]\d):(?P<s>[0-5]\d)", re.ASCII)
_UNITS = re.compile(
    r"\s*".join(rf"(?:(?P<{unit}>\d{{1,9}}(?:\.\d{{1,9}})?)\s*{unit})?" for unit in "dhms"), re.ASCII
)
_UNIT_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_LONGEST = 1e10  # three centuries; keeps a date computed from it inside the calendar

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = _brief.maxlong = 60


def show(value: Any) -> str:
    """A value as a person wrote it in YAML, shortened where long."""
    if value is None:
        return "an empty value"
    if isinstance(value, bool):
        return str(value).lower()
    return _brief.repr(value)


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word most like ``word``, or None where none is close."""
    folded = {name.lower(): name for name in known}
    match = difflib.get_close_matches(word.lower(), list(folded), n=1, cutoff=0.6)
    return folded[match[0]] if match else None


def sizes(value: Any) -> tuple[int, ...]:
    """Sizes of the compressed sets, from an integer or a list of them.

    Raises
    ------
    ValueError
        If one is no integer >= 2 (booleans and 50.0 are none), none is given, or one is repeated.
    """
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not items or not all(type(item) is int and item >= 2 for item in items):
        raise ValueError(f"expected {EXPECTS_SIZES}, got {show(value)}")
    _refuse_repeats(items)
    return tuple(items)


def nodes(value: Any) -> str | tuple[float, ...]:
    """The x nodes: a word, or momentum fractions that increase strictly inside (0, 1).

    Raises
    ------
    ValueError
        If the word is unknown or a node is no number, out of range or out of order.
    """
    if isinstance(value, str) and value in ("published", "lhapdf"):
        return value
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"expected {EXPECTS_NODES}, got {show(value)}")
    for node in value:
        if type(node) not in (int, float) or not 0 < node < 1:
            raise ValueError(f"every node must be a number between 0 and 1 (both excluded), got {show(node)}")
    for low, high in pairwise(value):
        if low >= high:
            raise ValueError(f"the nodes must increase, but {low} is followed by {high}")
    return tuple(float(node) for node in value)


def seconds(value: Any) -> float:
    """A positive time in seconds, from a number, ``[D-]HH:MM:SS`` or units like ``1h30m``.

    Raises
    ------
    ValueError
        For anything else, and for 30:00, which could be minutes or hours.
    """
    total = value if type(value) in (int, float) else _spelled(value)
    if total is None or not 0 < total <= _LONGEST:
        raise ValueError(f"expected {EXPECTS_SECONDS}, got {show(value)}")
    return float(total)


def _spelled(value: Any) -> float | None:
    if not isinstance(value, str):
        return None
    text = value.strip().lower()
    match = _CLOCK.fullmatch(text) or _UNITS.fullmatch(text)
    if match is None:
        return None
    return sum(float(number) * _UNIT_SECONDS[unit] for unit, number in match.groupdict().items() if number)


def set_name(value: str) -> str:
    """Name of an LHAPDF set, which is the name of its folder.

    Raises
    ------
    ValueError
        If it is a path, a member (``NAME/3``), or no name at all.
    """
    if not re.fullmatch(r"[^\s/\\.\x00-\x1f][^\s/\\\x00-\x1f]*", value):
        raise ValueError(
            f"expected the name of an LHAPDF set (no path and no spaces), got {show(value)};"
            " give its folder with --pdf-path"
        )
    return value


def estimator_names(value: Any, key: str, lists: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Names of one list of ``est_dic``, in canonical order; None counts as empty.

    Raises
    ------
    ValueError
        One line per problem: no list, an unknown name, a name of another list, a repeated name.
    """
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise ValueError(f"expected a list such as [{', '.join(lists[key][:2])}], got {show(value)}")
    problems = [_misplaced(name, key, lists) for name in value if name not in lists[key]]
    if problems:
        raise ValueError("\n".join(problems))
    _refuse_repeats(value)
    return tuple(name for name in lists[key] if name in value)


def _misplaced(name: Any, key: str, lists: Mapping[str, tuple[str, ...]]) -> str:
    for other, names in lists.items():
        if name in names:
            return f"'{name}' belongs in est_dic.{other}, not in est_dic.{key}"
    everything = [known for names in lists.values() for known in names]
    close = nearest(name, everything) if isinstance(name, str) else None
    hint = f"did you mean '{close}'?" if close else f"known: {', '.join(everything)}"
    return f"unknown estimator {show(name)}; {hint}"


def _refuse_repeats(items: Sequence[Any]) -> None:
    for item in items:
        if items.count(item) > 1:
            raise ValueError(f"{show(item)} is listed twice; list it once")
