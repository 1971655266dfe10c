r"""The tiny flow: conditional densities over slots, by a network of small integers.

One autoregressive layer. Column after column, a network with one hidden layer looks at the slots
of the columns before it in its row and, where rows have an order, of all columns of the previous
row; its outputs are logarithms of a density at knots, between which the density is linear: a
spline flow with quadratic pieces (Mueller et al., "Neural importance sampling", ACM Trans. Graph.
38, 145 (2019), Sec. 4.2) on the marginally uniform slots. A second density, over the distance to the
slot of the same column in the previous row, may be added: it resolves what lies close to it.

All arithmetic is on integers, so densities are the same on every machine:

- a slot enters as its place in ``[-128, 127]`` and as two waves of period 256 (cosine and sine, made
  of parabolas), in units of 1/128;
- weights and biases are int8 in units of 1/16; hidden values are cut at zero and kept in 1/64;
- outputs are base-2 logarithms in 1/32, from -10 to 6; densities integers from 4 to 2^18.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.compiled import njit
from compress_mpi.methods.events.smallints import Reader, Writer
from compress_mpi.methods.events.tables import SLOTS

__all__ = [
    "DENSITY",
    "FEATURES",
    "LOG_RANGE",
    "RELATIVE_KNOTS",
    "UNITS",
    "WAVES",
    "Net",
    "Shape",
    "Widths",
    "cumulative",
    "evaluate",
    "integrate",
    "read_net",
    "segment_of",
    "slots_log",
    "write_net",
]

FEATURES = 3
"""Numbers in which a slot enters a network."""

LOG_RANGE = (-10, 6)
"""Smallest and largest base-2 logarithm of a density."""


@dataclass(frozen=True)
class Widths:
    """Bits behind the point of the numbers of a network."""

    feature: int = 7
    weight: int = 4
    hidden: int = 6
    output: int = 5


UNITS = Widths()
_STEPS = 1 << UNITS.output
_SLOTS_LOG = SLOTS.bit_length() - 1


def _densities_of_outputs() -> NDArray[np.int64]:
    """Density of every output, from the lowest: ``2**(12 + output / 32)``, by integer square roots."""
    unit = 1 << 200
    root = 2 * unit
    for _ in range(UNITS.output):
        root = math.isqrt(root * unit)
    powers = [unit]
    for _ in range(_STEPS - 1):
        powers.append(powers[-1] * root // unit)
    low, high = LOG_RANGE
    return np.array(
        [
            (powers[output % _STEPS] << 13 + output // _STEPS) + unit >> 201
            for output in range(low * _STEPS, high * _STEPS + 1)
        ],
        dtype=np.int64,
    )


def _waves() -> NDArray[np.int32]:
    """Numbers in which each slot enters a network, int32 (SLOTS, 3)."""
    table = np.empty((SLOTS, FEATURES), dtype=np.int32)
    for slot in range(SLOTS):
        centre = 2 * slot + 1
        table[slot] = (centre - SLOTS) >> 1, _parabola(centre + SLOTS // 2), _parabola(centre)
    return table


def _parabola(phase: int) -> int:
    """A wave between -128 and 128 that is like a sine, of period ``2 * SLOTS``."""
    half, rest = divmod(phase % (2 * SLOTS), SLOTS)
    height = (rest * (SLOTS - rest)) >> 7
    return -height if half else height


DENSITY = _densities_of_outputs()
WAVES = _waves()
_HALVINGS = [0, *(1 << power for power in range(SLOTS.bit_length() - 1))]
RELATIVE_KNOTS = np.array([*_HALVINGS, *(SLOTS - knot for knot in _HALVINGS[-2::-1])], dtype=np.int64)
"""Of the density over distances: ever closer towards 0, which is also 256."""

_RELATIVE_LOG = np.array([int(gap).bit_length() - 1 for gap in np.diff(RELATIVE_KNOTS)], dtype=np.int64)
_RELATIVE_SEGMENT = np.searchsorted(RELATIVE_KNOTS, np.arange(SLOTS), side="right") - 1
_LOW_OUTPUT, _HIGH_OUTPUT = (limit * _STEPS for limit in LOG_RANGE)
_FEATURE_SHIFT, _BIAS_SHIFT = UNITS.feature, UNITS.hidden
_HIDDEN_SHIFT = UNITS.feature + UNITS.weight - UNITS.hidden
_OUTPUT_SHIFT = UNITS.hidden + UNITS.weight - UNITS.output


@dataclass(frozen=True)
class Shape:
    """What a network looks like.

    Attributes
    ----------
    inputs : int
        Slots it looks at.
    hidden : int
        Hidden values.
    segments : int
        Of the density over slots; a power of two.
    relative : bool
        Whether there is a density over distances to the previous row.
    """

    inputs: int
    hidden: int
    segments: int
    relative: bool

    @property
    def outputs(self) -> int:
        """Knots of both densities."""
        return self.segments + 1 + (RELATIVE_KNOTS.size if self.relative else 0)

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Of the four arrays of a network."""
        first = FEATURES * self.inputs * self.hidden
        return first, self.hidden, self.hidden * self.outputs, self.outputs


@dataclass(frozen=True)
class Net:
    """A network of small integers.

    Attributes
    ----------
    shape : Shape
    numbers : int64 (sum of shape.sizes,)
        From -127 to 127: weights (3 * inputs, hidden), biases, weights (hidden, outputs), biases.
    """

    shape: Shape
    numbers: NDArray[np.int64]

    def parts(self) -> list[NDArray[np.int64]]:
        """The four arrays, flat."""
        return np.split(self.numbers, np.cumsum(self.shape.sizes)[:-1])

    def scaled(self) -> NDArray[np.int32]:
        """All numbers, biases in the units of the sums that they are added to."""
        first, hidden, second, outputs = self.parts()
        parts = first, hidden << _FEATURE_SHIFT, second, outputs << _BIAS_SHIFT
        return np.concatenate(parts).astype(np.int32)


def write_net(writer: Writer, net: Net) -> None:
    """Put a network into a stream; the reader knows the number of inputs."""
    writer.bits(net.shape.hidden, 8)
    writer.bits(net.shape.segments.bit_length() - 1, 4)
    writer.bits(int(net.shape.relative), 1)
    for part in net.parts():
        writer.integers(part)


def read_net(reader: Reader, inputs: int) -> Net:
    """A network of a stream."""
    hidden, segments, relative = reader.bits(8), 1 << reader.bits(4), bool(reader.bits(1))
    shape = Shape(inputs, hidden, segments, relative)
    return Net(shape, np.concatenate([reader.integers(size) for size in shape.sizes]))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def evaluate(weights, inputs, hidden, outputs, features, scratch, density):  # type: ignore[no-untyped-def]
    """Densities at the knots: int64, the first ``outputs`` of ``density``.

    Parameters
    ----------
    weights : int32
        `Net.scaled`.
    inputs, hidden, outputs : int
        Numbers of features, hidden values and knots.
    features : int32 (inputs,)
    scratch : int32 (2, at least the larger of hidden and outputs)
    density : int64
    """
    sums, values = scratch[0], scratch[1]
    place = inputs * hidden
    # unsigned places: with signed ones each access would ask for negative ones, and no loop be a vector's
    for h in range(hidden):
        sums[h] = weights[np.uint64(place + h)]
    for i in range(inputs):
        feature, row = features[i], i * hidden
        for h in range(hidden):
            sums[h] += weights[np.uint64(row + h)] * feature
    place += hidden
    bias = place + hidden * outputs
    for o in range(outputs):
        values[o] = weights[np.uint64(bias + o)]
    for h in range(hidden):
        value, row = max(sums[h], 0) >> _HIDDEN_SHIFT, place + h * outputs
        for o in range(outputs):
            values[o] += weights[np.uint64(row + o)] * value
    for o in range(outputs):
        output = min(max(values[o] >> _OUTPUT_SHIFT, _LOW_OUTPUT), _HIGH_OUTPUT)
        density[o] = DENSITY[np.uint64(output - _LOW_OUTPUT)]


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def integrate(density, segments, relative, sums):  # type: ignore[no-untyped-def]
    """Integrals of both densities up to each knot, into ``sums``; the total of both.

    The integral of the second density follows that of the first, from ``segments + 1`` on.
    """
    width_log = slots_log(segments)
    total = np.int64(0)
    left = density[0]
    sums[0] = 0
    for i in range(1, segments + 1):
        right = density[i]
        total += _piece(left, right, 1 << width_log, width_log)
        sums[i] = total
        left = right
    if relative:
        first = segments + 1
        distance = np.int64(0)
        sums[first] = 0
        for i in range(RELATIVE_KNOTS.size - 1):
            width_log = _RELATIVE_LOG[i]
            distance += _piece(density[first + i], density[first + i + 1], 1 << width_log, width_log)
            sums[first + i + 1] = distance
        total += distance
    return total


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def segment_of(sums, segments, wanted):  # type: ignore[no-untyped-def]
    """First slot and number of slots of the segment in which the integral of the first density reaches a number."""
    low, number = np.int64(0), np.int64(segments)
    while number > 1:
        number >>= 1
        low += number if sums[low + number] <= wanted else 0
    width_log = slots_log(segments)
    return low << width_log, np.int64(1) << width_log


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def slots_log(segments):  # type: ignore[no-untyped-def]
    """Base-2 logarithm of the slots of a segment."""
    width_log = 0
    while (segments << width_log) < SLOTS:
        width_log += 1
    return width_log


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _piece(left, right, length, width_log):  # type: ignore[no-untyped-def]
    """Integral over the first ``length`` slots of a segment of ``2**width_log``."""
    return left * length + (((right - left) * length * length) >> (width_log + 1))


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _flat(density, sums, width_log, slot):  # type: ignore[no-untyped-def]
    # the last slot and one: an empty piece of a segment that is not there
    i = slot >> width_log
    return sums[i] + _piece(density[i], density[i + 1], slot - (i << width_log), width_log)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _distance(density, sums, first, slot):  # type: ignore[no-untyped-def]
    i = _RELATIVE_SEGMENT[slot]
    along = slot - RELATIVE_KNOTS[i]
    return sums[first + i] + _piece(density[first + i], density[first + i + 1], along, _RELATIVE_LOG[i])


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def cumulative(density, sums, segments, width_log, relative, reference, slot):  # type: ignore[no-untyped-def]
    """Integral of both densities from slot 0 to ``slot``, at most 256.

    ``reference`` is the slot from which distances count.
    """
    value = _flat(density, sums, width_log, slot)
    if relative:
        first = segments + 1
        base = (SLOTS - reference) & (SLOTS - 1)
        place = base + slot
        value -= _distance(density, sums, first, base)
        # once around
        value += (place >> _SLOTS_LOG) * sums[first + RELATIVE_KNOTS.size - 1]
        value += _distance(density, sums, first, place & (SLOTS - 1))
    return value
