"""Single values of an events runcard, checked and normalised; see ``compress_mpi.io.values``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from compress_mpi.io.values import nearest, show

__all__ = [
    "BOUND_KINDS",
    "EXPECTS_BITS",
    "EXPECTS_BOUND",
    "EXPECTS_COLUMNS",
    "EXPECTS_DTYPE",
    "EXPECTS_FILES",
    "EXPECTS_MODEL",
    "MODELS",
    "BoundSetting",
    "bits",
    "bound",
    "bounds",
    "column_names",
    "columns_or_auto",
    "dtypes",
    "expects_sizes",
    "files",
    "fraction_or_file",
    "model",
    "sizes",
    "text_of_bound",
]

BOUND_KINDS = ("absolute", "relative", "range", "mean", "rms", "published")
"""Targets that take a number; ``lossless`` takes none."""

EXPECTS_BOUND = (
    "a number > 0 (an absolute error), 'lossless', {kind: number} with kind "
    f"{', '.join(BOUND_KINDS)}, or a mapping of these by column, with 'default' for the others"
)
EXPECTS_COLUMNS = "a list of different names, or nothing"
EXPECTS_FILES = "demo, a file, a pattern, or a list of files"
EXPECTS_MODEL = "'auto', 'none', 'marginal', 'tiny' or a compressed table (.h5)"
EXPECTS_BITS = "an integer from 1 to 31, or a list of different ones"
EXPECTS_DTYPE = "a dtype such as float32, or a mapping of columns to dtypes"

_DTYPES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64"),
)
MODELS = ("auto", "none", "marginal", "tiny")
"""Words for the kind of model; anything else is a file."""


class BoundSetting(NamedTuple):
    """A bound of one column as a runcard gives it: kind, and its number (0 for ``lossless``)."""

    kind: str
    value: float


def bound(value: Any) -> BoundSetting:
    """One bound.

    Raises
    ------
    ValueError
        If the kind is unknown or the number not positive and finite.
    """
    if isinstance(value, BoundSetting):
        return value
    if value == "lossless":
        return BoundSetting("lossless", 0.0)
    if isinstance(value, Mapping):
        return _named_bound(value)
    if isinstance(value, str):
        close = nearest(value, ("lossless",))
        hint = f"; did you mean '{close}'?" if close else ""
        raise ValueError(f"expected a number > 0, 'lossless' or {{kind: number}}, got {show(value)}{hint}")
    return BoundSetting("absolute", _positive(value))


def _named_bound(value: Mapping[Any, Any]) -> BoundSetting:
    if len(value) != 1:
        raise ValueError(f"expected one of {', '.join(BOUND_KINDS)} and a number, got {show(dict(value))}")
    kind, number = next(iter(value.items()))
    if kind not in BOUND_KINDS:
        close = nearest(kind, BOUND_KINDS) if isinstance(kind, str) else None
        hint = f"did you mean '{close}'?" if close else f"known: {', '.join(BOUND_KINDS)}"
        raise ValueError(f"unknown kind {show(kind)}; {hint}")
    number = _positive(number)
    if kind == "relative" and number >= 1:
        raise ValueError(f"relative: expected a number below 1, got {show(number)}")
    return BoundSetting(str(kind), number)


def _positive(value: Any) -> float:
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise ValueError(f"expected a number > 0, got {show(value)}")
    return float(value)


def bounds(value: Any) -> dict[str, BoundSetting]:
    """Bounds by column, ``default`` among them where one is given for all others.

    Raises
    ------
    ValueError
        One line for each column whose bound makes no sense.
    """
    if not isinstance(value, Mapping) or (len(value) == 1 and next(iter(value)) in BOUND_KINDS):
        return {"default": bound(value)}
    if not value:
        raise ValueError(f"expected {EXPECTS_BOUND}, got an empty mapping")
    found, problems = {}, []
    for name, one in value.items():
        try:
            found[str(name)] = bound(one)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ValueError("\n".join(problems))
    return found


def text_of_bound(setting: BoundSetting) -> str:
    """A bound in words."""
    return setting.kind if setting.kind == "lossless" else f"{setting.kind} {setting.value:g}"


def column_names(value: Any) -> tuple[str, ...] | None:
    """Names of columns; any text is a name, as files have them."""
    if value is None:
        return None
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple) or not all(isinstance(name, str) and name for name in listed):
        raise ValueError(f"expected {EXPECTS_COLUMNS}, got {show(value)}")
    _refuse_repeats(listed)
    return tuple(listed)


def columns_or_auto(value: Any) -> str | tuple[str, ...]:
    """Names of columns, possibly none, or the word ``auto``."""
    return "auto" if value == "auto" else column_names(value) or ()


def files(value: Any) -> tuple[str, ...]:
    """Input files."""
    listed = [value] if isinstance(value, str) else value
    good = isinstance(listed, list | tuple) and listed
    if not good or not all(isinstance(name, str) and name.strip() and "\0" not in name for name in listed):
        raise ValueError(f"expected {EXPECTS_FILES}, got {show(value)}")
    _refuse_repeats(listed)
    if "demo" in listed and len(listed) > 1:
        raise ValueError("demo stands alone; list files, or demo")
    return tuple(listed)


def dtypes(value: Any) -> dict[str, str]:
    """Dtypes of columns of text, ``default`` for all."""
    if value is None:
        return {}
    listed = value if isinstance(value, Mapping) else {"default": value}
    for name, dtype in listed.items():
        if dtype not in _DTYPES:
            raise ValueError(f"{name}: expected one of {', '.join(_DTYPES)}, got {show(dtype)}")
    return {str(name): str(dtype) for name, dtype in listed.items()}


def model(value: Any) -> str:
    """A word for the kind of model, or the name of a file that has one."""
    if value in MODELS:
        return str(value)
    if not isinstance(value, str) or Path(value).suffix not in (".h5", ".hdf5"):
        close = nearest(value, MODELS) if isinstance(value, str) else None
        hint = f"; did you mean '{close}'?" if close else ""
        raise ValueError(f"expected {EXPECTS_MODEL}, got {show(value)}{hint}")
    return value


def bits(value: Any) -> tuple[int, ...]:
    """One N or several."""
    listed = value if isinstance(value, list | tuple) else [value]
    if not listed or not all(type(item) is int and 1 <= item <= 31 for item in listed):
        raise ValueError(f"expected {EXPECTS_BITS}, got {show(value)}")
    _refuse_repeats(listed)
    return tuple(listed)


def expects_sizes(most: int) -> str:
    """What :func:`sizes` takes, in words."""
    return f"an integer from 1 to {most}, or a list of different ones"


def sizes(most: int) -> Callable[[Any], tuple[int, ...]]:
    """Reader of one whole number or several, up to ``most``."""

    def read(value: Any) -> tuple[int, ...]:
        listed = value if isinstance(value, list | tuple) else [value]
        if not listed or not all(type(item) is int and 1 <= item <= most for item in listed):
            raise ValueError(f"expected {expects_sizes(most)}, got {show(value)}")
        _refuse_repeats(listed)
        return tuple(listed)

    return read


def fraction_or_file(value: Any) -> float | str:
    """A part of the rows, or the name of a file."""
    if isinstance(value, str) and value.strip():
        return value
    if type(value) not in (int, float) or not 0 < value < 1:
        raise ValueError(f"expected a number between 0 and 1, or a file, got {show(value)}")
    return float(value)


def _refuse_repeats(items: Any) -> None:
    for item in items:
        if list(items).count(item) > 1:
            raise ValueError(f"{show(item)} is listed twice; list it once")
