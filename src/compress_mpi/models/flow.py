"""A normalizing flow: an invertible map between replicas and normal noise, trained by likelihood.

Two families of zuko: ``maf``, affine autoregressive (arXiv:1705.07057), and ``nsf``, with
splines (arXiv:1906.04032). Double precision: drawing inverts the map one component after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import zuko
from numpy.typing import NDArray

from compress_mpi.models.arrays import load_module, seeded
from compress_mpi.models.likelihood import LikelihoodLearner
from compress_mpi.models.training import stripped
from compress_mpi.types import FloatArray

__all__ = ["FlowLearner", "Shape", "build", "from_noise", "log_density", "to_noise"]

DTYPE = torch.float64
_STEEPEST = 5.0  # norm at which gradients are cut


@dataclass(frozen=True)
class Shape:
    """What a flow looks like.

    Attributes
    ----------
    family : {"maf", "nsf"}
    features : int
        Components.
    transforms : int
        Autoregressive maps, one after the other, in alternating order of the components.
    hidden : tuple of int
        Nodes of the hidden layers of each.
    bins : int
        Of the splines; for ``nsf``.
    """

    family: str
    features: int
    transforms: int
    hidden: tuple[int, ...]
    bins: int = 8


def build(shape: Shape, rng: np.random.Generator) -> zuko.flows.Flow:
    """A flow with random weights."""
    options: dict[str, Any] = {"transforms": shape.transforms, "hidden_features": shape.hidden}
    with seeded(rng):
        if shape.family == "nsf":
            return zuko.flows.NSF(shape.features, bins=shape.bins, **options).to(DTYPE)
        return zuko.flows.MAF(shape.features, **options).to(DTYPE)


class FlowLearner(LikelihoodLearner):
    """A flow trained with AdamW, its gradients cut where they are steep.

    Parameters
    ----------
    train, validation : float64 (n, features)
        Rows to learn from, and rows to judge by.
    shape : Shape
    rate : float
        Learning rate of Adam.
    decay : float
        Weight decay.
    batch : int
        Rows of one step.
    rng : numpy.random.Generator
        Of the initial weights.
    device : torch.device
    """

    def __init__(
        self,
        train: FloatArray,
        validation: FloatArray,
        shape: Shape,
        rate: float,
        decay: float,
        batch: int,
        rng: np.random.Generator,
        device: torch.device,
    ) -> None:
        flow = build(shape, rng).to(device)
        super().__init__(
            train,
            validation,
            flow,
            lambda rows: -flow().log_prob(rows).mean(),
            torch.optim.AdamW(flow.parameters(), rate, weight_decay=decay),
            batch,
            steepest=_STEEPEST,
        )


def _loaded(weights: Mapping[str, NDArray[Any]], shape: Shape) -> zuko.flows.Flow:
    flow = build(shape, np.random.default_rng(0))
    load_module(flow, stripped("flow", weights))
    return flow


def from_noise(weights: Mapping[str, NDArray[Any]], shape: Shape, noise: FloatArray) -> FloatArray:
    """Rows from normal noise, float64 (n, features), on the CPU.

    Raises
    ------
    ValueError
        If the weights do not fit the shape.
    """
    with torch.no_grad():
        rows: FloatArray = _loaded(weights, shape)().transform.inv(torch.tensor(noise, dtype=DTYPE)).numpy()
    return rows


def to_noise(weights: Mapping[str, NDArray[Any]], shape: Shape, rows: FloatArray) -> FloatArray:
    """The inverse of :func:`from_noise`."""
    with torch.no_grad():
        noise: FloatArray = _loaded(weights, shape)().transform(torch.tensor(rows, dtype=DTYPE)).numpy()
    return noise


def log_density(weights: Mapping[str, NDArray[Any]], shape: Shape, rows: FloatArray) -> FloatArray:
    """Logarithm of the flow's density at each row, float64 (n,)."""
    with torch.no_grad():
        density: FloatArray = _loaded(weights, shape)().log_prob(torch.tensor(rows, dtype=DTYPE)).numpy()
    return density
