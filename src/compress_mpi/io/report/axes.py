"""Labels and axes of columns with any name and any range: short, few ticks, powers of ten in the label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = ["column_text", "even_chunks", "human_bytes", "number_axis", "write_inside"]

T = TypeVar("T")

_LENGTH = 22


def column_text(name: str, length: int = _LENGTH) -> str:
    """A column's name as a label: one line, not too long, no character that starts mathematics."""
    line = " ".join(name.split()) or "(no name)"
    if len(line) > length:
        line = line[: length // 2] + "…" + line[-(length - length // 2 - 1) :]
    return line.replace("$", r"\$")


def even_chunks(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """As few pieces as possible, of equal length but for one."""
    count = -(-len(items) // most)
    edges = [round(k * len(items) / count) for k in range(count + 1)] if count else [0]
    return [items[a:b] for a, b in pairwise(edges)]


def human_bytes(count: float) -> str:
    """Such as ``9.8 MB``."""
    for unit in ("B", "kB", "MB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def number_axis(axes: Axes, which: str, label: str, ticks: int = 4) -> None:
    """Label an axis whose limits are set, with a few short numbers.

    What is common to all numbers, a power of ten or a large offset, goes into the label.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    which : {"x", "y"}
    label : str
        Empty leaves the axis without a name.
    ticks : int
        At most about so many.
    """
    axis: Axis = getattr(axes, f"{which}axis")
    if axis.get_scale() == "log":
        _log_ticks(axis, ticks)
        axis.set_label_text(label)
        return
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    low, high = sorted(axis.get_view_interval())
    offset = _offset(low, high)
    power = _power(max(abs(low - offset), abs(high - offset)))
    axis.set_major_locator(MaxNLocator(ticks, prune="both" if which == "x" else None))
    axis.set_major_formatter(
        FuncFormatter(lambda v, _: f"{(v - offset) / 10.0**power:.5g}".replace("-", "−"))
    )
    text = label
    if offset:
        text += f" {'−' if offset > 0 else '+'} {abs(offset):.15g}"
    axis.set_label_text(f"{text}  [$10^{{{power}}}$]" if power else text)


def _offset(low: float, high: float) -> float:
    """A round number to be taken off where the numbers of an axis differ in late digits only."""
    largest = max(abs(low), abs(high))
    if high - low > 1e-3 * largest:
        return 0.0
    step = 10.0 ** math.floor(math.log10(max(high - low, 1e-15 * largest)))
    return math.floor(low / step) * step


def _power(largest: float) -> int:
    if largest == 0 or not math.isfinite(largest):
        return 0
    power = math.floor(math.log10(largest))
    return 0 if -3 < power < 4 else min(max(3 * (power // 3), -300), 306)


def _log_ticks(axis: Axis, ticks: int) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    few = math.log10(high / low) < (2.0 if ticks > 5 else 1.0)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=ticks + 1))
    axis.set_minor_formatter(NullFormatter())
    if low > 1e-3 and high < 1e5:
        axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def write_inside(axes: Axes, text: str, place: str = "top", **style: Any) -> None:
    """A note in the middle of a panel, or along its top."""
    y, vertical = {"top": (0.965, "top"), "middle": (0.5, "center")}[place]
    axes.text(0.5, y, text, transform=axes.transAxes, ha="center", va=vertical, **({"fontsize": 12} | style))
