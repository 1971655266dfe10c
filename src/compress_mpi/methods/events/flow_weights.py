"""Weights of a flow in few bytes: multiples of a power of two, those that a mask removes left out.

A weight that its mask sets to zero says nothing: which these are follows from the orders of the columns, or from the
masks beside the weights. The others are whole multiples of ``2^-digits``, one grid for all layers; LZMA makes up for
their different spreads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.events.packing import pack_arrays, unpack_arrays
from compress_mpi.models.made import Layout
from compress_mpi.models.specification import FlowSpec

__all__ = ["pack_weights", "round_weights", "unpack_weights"]

Weights = Mapping[str, NDArray[Any]]
_CENTRE = 128
"""Added before bytes are taken apart: the high byte of a small number is then zero, whatever its sign."""
_LARGEST = 2.0**31 - 2 * _CENTRE
_ROUNDED = "rounded/"


def round_weights(weights: Weights, spec: FlowSpec, digits: int) -> dict[str, NDArray[Any]] | None:
    """Weights on a grid, masked ones zero; None where one is too large for it.

    Parameters
    ----------
    weights : dict of arrays
        ``Training.weights``.
    spec : FlowSpec
    digits : int
        Binary ones after the point.
    """
    found = dict(weights)
    for name, array in weights.items():
        if array.dtype.kind == "f":
            mask = _mask(name, weights, spec)
            numbers = _numbers(array, digits) * (1.0 if mask is None else mask)
            if np.abs(numbers).max(initial=0.0) > _LARGEST:
                return None
            found[name] = (numbers * 2.0**-digits).astype(spec.dtype)
    return found


def pack_weights(weights: Weights, spec: FlowSpec, digits: int) -> bytes:
    """Bytes of the weights of :func:`round_weights`."""
    stored = {}
    for name, array in weights.items():
        if array.dtype.kind == "f":
            mask = _mask(name, weights, spec)
            kept = _numbers(array if mask is None else array[mask], digits).astype(np.int64) + _CENTRE
            stored[_ROUNDED + name] = kept.astype(_smallest(kept))
        else:
            stored[name] = array
    return pack_arrays(stored)


def unpack_weights(data: bytes, spec: FlowSpec, digits: int) -> dict[str, NDArray[Any]]:
    """The inverse of :func:`pack_weights`, bit by bit.

    Raises
    ------
    ValueError
        If the bytes are damaged, or are of another flow.
    """
    stored = unpack_arrays(data)
    found = {name: array for name, array in stored.items() if not name.startswith(_ROUNDED)}
    for packed, numbers in stored.items():
        name = packed.removeprefix(_ROUNDED)
        if name != packed:
            values = ((numbers.astype(np.int64) - _CENTRE) * 2.0**-digits).astype(spec.dtype)
            found[name] = _spread(name, values, _mask(name, stored, spec))
    return found


def _numbers(array: NDArray[Any], digits: int) -> NDArray[np.float64]:
    return np.asarray(np.rint(array.astype(np.float64) * 2.0**digits))


def _mask(name: str, arrays: Weights, spec: FlowSpec) -> NDArray[np.bool_] | None:
    """Which elements count, in the shape of the weights; None for all."""
    if spec.family != "maf":
        return arrays.get(f"{name.removesuffix('.weight')}.mask") if name.endswith(".weight") else None
    orders = arrays.get(f"{name.removesuffix('weights')}orders")
    if orders is None or orders.shape != (spec.transforms, spec.features):
        raise ValueError(f"stored flow: '{name}' has no orders of {spec.transforms} layers beside it")
    return Layout(spec.features, spec.transforms, spec.hidden, spec.blocks).mask(orders).astype(bool)


def _spread(name: str, values: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    if mask is None:
        return values
    if values.shape != (int(mask.sum()),):
        raise ValueError(f"stored flow: {name}: expected {mask.sum()} numbers, found shape {values.shape}")
    full = np.zeros(mask.shape, dtype=values.dtype)
    full[mask] = values
    return full


def _smallest(numbers: NDArray[np.int64]) -> str:
    if numbers.min(initial=0) >= 0 and numbers.max(initial=0) <= 255:
        return "uint8"
    return "int16" if np.abs(numbers).max() < 2**15 else "int32"
