"""A trained flow as the latent codec uses it, and how it is described where torch is not needed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

from numpy.typing import NDArray

from compress_mpi.methods.events.flow_weights import pack_weights, round_weights, unpack_weights
from compress_mpi.methods.events.packing import pack_arrays, unpack_arrays
from compress_mpi.models.specification import PUBLISHED, FlowSpec, Schedule
from compress_mpi.models.training import Hooks, Training, TrainingFailed
from compress_mpi.types import FloatArray

__all__ = [
    "FlowSpec",
    "Hooks",
    "Schedule",
    "TrainedFlow",
    "Training",
    "TrainingFailed",
    "flow_of",
    "in_few_digits",
    "missing_libraries",
    "train_flow",
]

_DIGITS = range(2, 20)
_LOSS = 0.01
"""Of the mean logarithm of the density, by which rounding of the weights may cost: 0.014 bits a row."""
_JUDGED = 16384
"""Rows that it is judged on."""


@dataclass(frozen=True, eq=False)
class TrainedFlow:
    """A flow with its weights.

    Attributes
    ----------
    spec : FlowSpec
    weights : dict of arrays
        ``Training.weights``.
    device : {"cpu", "cuda", "auto"}
    digits : int or None
        Weights are multiples of 2^-digits, and are stored so; None: in full, as trained.
    """

    spec: FlowSpec
    weights: Mapping[str, NDArray[Any]]
    device: str = "cpu"
    digits: int | None = None

    def to_latent(self, rows: FloatArray) -> FloatArray:
        """Latents of rows, both float64 (n, c)."""
        from compress_mpi.models.flows import to_latent

        return to_latent(self.weights, self.spec, rows, device=self.device)

    def from_latent(self, latent: FloatArray) -> FloatArray:
        """The inverse of :meth:`to_latent`."""
        from compress_mpi.models.flows import from_latent

        return from_latent(self.weights, self.spec, latent, device=self.device)

    def log_density(self, rows: FloatArray) -> FloatArray:
        """Logarithm of the density at rows (n, c), float64 (n,)."""
        from compress_mpi.models.flows import log_density

        return log_density(self.weights, self.spec, rows, device=self.device)

    def facts(self) -> dict[str, Any]:
        """The specification and how weights are stored, JSON-able; :meth:`restore` reads it."""
        return {**asdict(self.spec), "digits": self.digits}

    def to_bytes(self) -> bytes:
        """The weights; :meth:`restore` reads them."""
        if self.digits is None:
            return pack_arrays(self.weights)
        return pack_weights(self.weights, self.spec, self.digits)

    @staticmethod
    def restore(facts: Mapping[str, Any], data: bytes) -> TrainedFlow:
        """Put :meth:`facts` and the weights back.

        Raises
        ------
        ValueError
            If the facts are no specification, or the bytes no weights of it.
        """
        said = dict(facts)
        digits = said.pop("digits", None)
        try:
            spec = FlowSpec(**said)
        except TypeError as error:
            raise ValueError(f"stored flow: {error}") from error
        if digits is None:
            return TrainedFlow(spec, unpack_arrays(data))
        if digits not in _DIGITS:
            raise ValueError(f"stored flow: digits: expected {_DIGITS[0]} to {_DIGITS[-1]}, found {digits}")
        return TrainedFlow(spec, unpack_weights(data, spec, digits), digits=digits)


def in_few_digits(flow: TrainedFlow, rows: FloatArray) -> TrainedFlow:
    """The same flow with the fewest digits that its density can do with.

    Masked weights become zero. Where no grid is good enough, weights stay as they are.

    Parameters
    ----------
    flow : TrainedFlow
        As trained.
    rows : float64 (n, c)
        Preprocessed training rows, finite.
    """
    some = rows[:: -(-len(rows) // _JUDGED)]
    least = float(flow.log_density(some).mean()) - _LOSS
    for digits in _DIGITS if math.isfinite(least) else ():
        weights = round_weights(flow.weights, flow.spec, digits)
        if weights is None:
            break
        found = replace(flow, weights=weights, digits=digits)
        if float(found.log_density(some).mean()) >= least:
            return found
    return flow


def flow_of(
    preset: str, features: int, flow: Mapping[str, Any], schedule: Mapping[str, Any]
) -> tuple[FlowSpec, Schedule]:
    """A published flow and its schedule for some number of columns, with changes.

    Parameters
    ----------
    preset : str
        One of ``PUBLISHED``.
    features : int
    flow, schedule : mapping
        Fields of ``FlowSpec`` and ``Schedule``; those that are None stay as published.

    Raises
    ------
    ValueError
        If a field makes no sense.
    """
    spec, course = PUBLISHED[preset]
    given = {name: value for name, value in flow.items() if value is not None}
    changed = {name: value for name, value in schedule.items() if value is not None or name == "stop"}
    return replace(spec, features=features, **given), replace(course, **changed)


def missing_libraries(splines: bool = False) -> list[str]:
    """Libraries that a flow needs and that are not installed here."""
    return [name for name in ("torch", "zuko")[: 1 + splines] if find_spec(name) is None]


def train_flow(
    learn: FloatArray, judge: FloatArray, spec: FlowSpec, schedule: Schedule, seed: int, **more: Any
) -> Training:
    """:func:`compress_mpi.models.flows.fit_flow`, imported where it is needed: torch is large."""
    from compress_mpi.models.flows import fit_flow

    return fit_flow(learn, judge, spec, schedule, seed, **more)
