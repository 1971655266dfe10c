"""Single values of a runcard, checked and normalised; errors say what was expected.

The functions raise plain ``ValueError``; pydantic collects them, and
:mod:`compress_mpi.io.runcard` puts file and key in front.
"""

from __future__ import annotations

import difflib
import math
import re
import reprlib
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from compress_mpi.types import ESTIMATORS

__all__ = [
    "EXPECTS_NODES",
    "EXPECTS_PDF",
    "EXPECTS_SCALES",
    "EXPECTS_SECONDS",
    "EXPECTS_SIZES",
    "EXPECTS_TOLERANCE",
    "SetEntry",
    "combined_name",
    "environment",
    "estimator_names",
    "names",
    "nearest",
    "nodes",
    "options",
    "prior_sets",
    "scales",
    "seconds",
    "set_name",
    "show",
    "sizes",
    "tolerances",
]

EXPECTS_SIZES = "auto, an integer >= 2 or a list of them"
EXPECTS_TOLERANCE = "a mapping from every estimator of the run to a number > 0"
EXPECTS_SCALES = "a number > 0 or a list of different ones"
EXPECTS_PDF = "the name of an LHAPDF set, or demo, or a list of names or of {name, replicas, seed} to combine"
EXPECTS_NODES = "'published', 'lhapdf' or a list of numbers that increase between 0 and 1"
EXPECTS_SECONDS = "a time > 0: a number of seconds, 02:30:00, 90m or 1h30m"

_CLOCK = re.compile(r"(?:(?P<d>\d{1,4})-)?(?P<h>\d{1,5}):(?P<m>[0-5]\d):(?P<s>[0-5]\d)", re.ASCII)
_UNITS = re.compile(
    r"\s*".join(rf"(?:(?P<{unit}>\d{{1,9}}(?:\.\d{{1,9}})?)\s*{unit})?" for unit in "dhms"), re.ASCII
)
_WORD = re.compile(r"[\w.,:@+=/-]+", re.ASCII)
_OPTION = re.compile(r"[A-Za-z][\w-]*", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_UNIT_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_MOST_REPLICAS = 1_000_000
_INT64_MAX = 2**63 - 1
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


def sizes(value: Any) -> str | tuple[int, ...]:
    """Sizes of the compressed sets, from an integer or a list of them, or the word ``auto``.

    Raises
    ------
    ValueError
        If one is no integer >= 2 (booleans and 50.0 are none), none is given, or one is repeated.
    """
    if value == "auto":
        return "auto"
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not items or not all(type(item) is int and item >= 2 for item in items):
        raise ValueError(f"expected {EXPECTS_SIZES}, got {show(value)}")
    _refuse_repeats(items)
    return tuple(items)


def tolerances(value: Any) -> dict[str, float]:
    """Largest distance of each estimator.

    Raises
    ------
    ValueError
        If it is no mapping, a name is unknown or a number is not positive.
    """
    if not isinstance(value, Mapping) or not value:
        raise ValueError(f"expected {EXPECTS_TOLERANCE}, got {show(value)}")
    for name, number in value.items():
        if name not in ESTIMATORS:
            close = nearest(name, ESTIMATORS) if isinstance(name, str) else None
            hint = f"did you mean '{close}'?" if close else f"known: {', '.join(ESTIMATORS)}"
            raise ValueError(f"unknown estimator {show(name)}; {hint}")
        if type(number) not in (int, float) or not 0 < number < math.inf:
            raise ValueError(f"{name}: expected a number > 0, got {show(number)}")
    return {name: float(value[name]) for name in ESTIMATORS if name in value}


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


def scales(value: Any) -> float | tuple[float, ...]:
    """Scales in GeV: a number, or a list of different ones; a list of one is that number.

    Raises
    ------
    ValueError
        If one is no finite number > 0 (booleans are none), none is given, or one is repeated.
    """
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not items or not all(map(_is_scale, items)):
        raise ValueError(f"expected {EXPECTS_SCALES}, got {show(value)}")
    _refuse_repeats(items)
    numbers = tuple(float(item) for item in items)
    return numbers if len(numbers) > 1 else numbers[0]


def _is_scale(item: Any) -> bool:
    return type(item) in (int, float) and 0 < item <= sys.float_info.max


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


class SetEntry(NamedTuple):
    """One set of a combined prior.

    Attributes
    ----------
    name : str
    replicas : int or None
        How many it gives; None: as many as every other.
    seed : int
        Of the draw of replicas, or of their generation from a Hessian set.
    """

    name: str
    replicas: int | None = None
    seed: int = 0


def prior_sets(value: Any) -> str | tuple[SetEntry, ...]:
    """The prior: the name of a set, or the sets to combine.

    Raises
    ------
    ValueError
        If a name is none, a set is listed twice, a key is unknown or a number makes no sense.
    """
    if isinstance(value, str):
        return set_name(value)
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"expected {EXPECTS_PDF}, got {show(value)}")
    entries = tuple(_set_entry(item) for item in value)
    _refuse_repeats([entry.name for entry in entries])
    with_number = [entry.replicas is not None for entry in entries]
    if any(with_number) and not all(with_number):
        missing = entries[with_number.index(False)].name
        raise ValueError(
            f"'{missing}' has no 'replicas' but others have; give it for every set, "
            "or for none to take the same number from each"
        )
    return entries


def _set_entry(item: Any) -> SetEntry:
    if isinstance(item, SetEntry):
        return item
    if isinstance(item, str):
        return SetEntry(set_name(item))
    if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
        raise ValueError(f"expected the name of a set or {{name, replicas, seed}}, got {show(item)}")
    unknown = [key for key in item if key not in SetEntry._fields]
    if unknown:
        raise ValueError(f"unknown key {show(unknown[0])}; known: {', '.join(SetEntry._fields)}")
    replicas, seed = item.get("replicas"), item.get("seed", 0)
    if replicas is not None and not (type(replicas) is int and 1 <= replicas <= _MOST_REPLICAS):
        raise ValueError(f"replicas: expected an integer from 1 to {_MOST_REPLICAS}, got {show(replicas)}")
    if not (type(seed) is int and 0 <= seed <= _INT64_MAX):
        raise ValueError(f"seed: expected an integer from 0 to 2^63 - 1, got {show(seed)}")
    return SetEntry(set_name(item["name"]), replicas, seed)


def combined_name(value: str) -> str:
    """Name of the set of a combined prior, which is the name of its folder.

    Raises
    ------
    ValueError
        If it holds anything but letters, digits and ``. _ + -``.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}", value):
        raise ValueError(f"expected a name of letters, digits and . _ + -, got {show(value)}")
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


def names(value: Any) -> tuple[str, ...]:
    """A list of single words, such as modules."""
    listed = value if isinstance(value, list | tuple) else [value] if isinstance(value, str) else None
    if listed is None or not all(isinstance(item, str) and _WORD.fullmatch(item) for item in listed):
        raise ValueError(f"expected a list of names without blanks, got {show(value)}")
    return tuple(listed)


def environment(value: Any) -> dict[str, str]:
    """Environment variables; numbers become text."""
    return _texts(value, _VARIABLE, "names of environment variables")


def options(value: Any) -> dict[str, str]:
    """Options of a scheduler; numbers become text."""
    return _texts(value, _OPTION, "long names of options without dashes before them")


def _texts(value: Any, pattern: re.Pattern[str], wanted: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a mapping of names to texts, got {show(value)}")
    for name, text in value.items():
        if not isinstance(name, str) or not pattern.fullmatch(name):
            raise ValueError(f"expected {wanted}, got {show(name)}")
        if isinstance(text, bool) or not isinstance(text, str | int | float):
            raise ValueError(f"{name}: expected a text, got {show(text)}")
        if not str(text).isprintable():
            raise ValueError(f"{name}: expected one line of text, got {show(text)}")
    return {name: str(text) for name, text in value.items()}
