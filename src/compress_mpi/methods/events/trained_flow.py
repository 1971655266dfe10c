"""A trained flow as the latent codec uses it, and how it is described where torch is not needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import Any

from numpy.typing import NDArray

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
    "missing_libraries",
    "train_flow",
]


@dataclass(frozen=True, eq=False)
class TrainedFlow:
    """A flow with its weights.

    Attributes
    ----------
    spec : FlowSpec
    weights : dict of arrays
        ``Training.weights``.
    device : {"cpu", "cuda", "auto"}
    """

    spec: FlowSpec
    weights: Mapping[str, NDArray[Any]]
    device: str = "cpu"

    def to_latent(self, rows: FloatArray) -> FloatArray:
        """Latents of rows, both float64 (n, c)."""
        from compress_mpi.models.flows import to_latent

        return to_latent(self.weights, self.spec, rows, device=self.device)

    def from_latent(self, latent: FloatArray) -> FloatArray:
        """The inverse of :meth:`to_latent`."""
        from compress_mpi.models.flows import from_latent

        return from_latent(self.weights, self.spec, latent, device=self.device)

    def facts(self) -> dict[str, Any]:
        """The specification, JSON-able; :func:`flow_of` reads it."""
        return asdict(self.spec)

    @staticmethod
    def restore(facts: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> TrainedFlow:
        """Put :meth:`facts` and the weights back.

        Raises
        ------
        ValueError
            If the facts are no specification.
        """
        try:
            return TrainedFlow(FlowSpec(**facts), weights)
        except TypeError as error:
            raise ValueError(f"stored flow: {error}") from error


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
