"""New replicas from a normalizing flow on the leading components.

A thousand replicas teach a flow about twenty dimensions, not eighty: in more, a flow is
a worse model of held-out replicas than a Student-t distribution. So the flow learns the
leading components, after arcsinh, which tames their tails, and whitening. The trailing
ones have no preferred direction left that a sample of this size could show, but their
size goes with the leading ones: they are normal directions, scaled to the radius that the
trailing components of the nearest replica have. One affine map then restores mean and covariance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.enhancement.linear import one_thread
from compress_mpi.methods.enhancement.rematch import SAMPLE, rematch
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.models.training import Arrays, Hooks, Training, train
from compress_mpi.types import FloatArray

if TYPE_CHECKING:
    from compress_mpi.models.flow import Shape

__all__ = ["FlowSettings", "draw_flow", "train_flow"]

_SPLIT, _WEIGHTS, _EPOCH, _NOISE, _DIRECTIONS, _SAMPLE = range(6)  # what random numbers are for
_BLOCK = 512  # points whose distances to all replicas are in memory together


@dataclass(frozen=True)
class FlowSettings:
    """How the flow is built and trained.

    Attributes
    ----------
    kind : {"nsf", "maf"}
        Autoregressive maps by splines, or affine ones, of which a few percent of the points come out far outside.
    components : int
        Leading components that the flow learns, at most.
    transforms : int
        Autoregressive maps.
    hidden : tuple of int
        Nodes of the hidden layers of each.
    bins : int
        Of the splines.
    epochs : int
        Largest number.
    patience : int
        Epochs without a lower validation loss after which training ends.
    validation : float
        Fraction of the replicas held out to judge by.
    batch : int
        Replicas of one step.
    learning_rate, weight_decay : float
        Of Adam.
    device : {"auto", "cpu", "cuda"}
    """

    kind: str = "nsf"
    components: int = 20
    transforms: int = 1
    hidden: tuple[int, ...] = (32,)
    bins: int = 8
    epochs: int = 500
    patience: int = 40
    validation: float = 0.15
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.kind not in ("nsf", "maf"):
            raise ValueError(f"kind: expected nsf or maf, got '{self.kind}'")


def train_flow(
    coordinates: FloatArray,
    settings: FlowSettings,
    seed: int,
    *,
    profile: FloatArray | None = None,
    snapshot: Mapping[str, NDArray[Any]] | None = None,
    hooks: Hooks | None = None,
) -> Training:
    """Train a flow on the replicas of a prior.

    Parameters
    ----------
    coordinates : float64 (R, K)
        Components of variance 1.
    settings : FlowSettings
    seed : int
    profile
        Without effect; every generator is called alike.
    snapshot : dict of arrays, optional
        Of an earlier, stopped training.
    hooks : Hooks, optional

    Raises
    ------
    TrainingFailed
        If a loss is not finite.
    ValueError
        If there are too few replicas, or a GPU is asked for and there is none.
    """
    from compress_mpi.models.arrays import pick_device, repeatable
    from compress_mpi.models.flow import FlowLearner

    rows = _Tamed.of(coordinates, settings).forward(coordinates)
    held = max(int(settings.validation * len(rows)), 1)
    if len(rows) - held < 2 * rows.shape[1]:
        raise ValueError(
            f"{len(rows)} replicas are too few for a flow on {rows.shape[1]} components; expected"
            f" {2 * rows.shape[1] + held} or more, or fewer components"
        )
    order = generator(seed, Stream.FLOW, _SPLIT).permutation(len(rows))
    device = pick_device(settings.device)
    with repeatable(device):
        learner = FlowLearner(
            rows[order[held:]],
            rows[order[:held]],
            _shape(settings, coordinates),
            settings.learning_rate,
            settings.weight_decay,
            settings.batch,
            generator(seed, Stream.FLOW, _WEIGHTS),
            device,
        )
        return train(
            learner,
            settings.epochs,
            lambda epoch: generator(seed, Stream.FLOW, _EPOCH, epoch),
            watch="validation",
            patience=settings.patience,
            snapshot=snapshot,
            hooks=hooks,
        )


def draw_flow(
    weights: Arrays,
    coordinates: FloatArray,
    settings: FlowSettings,
    seed: int,
    n: int,
    *,
    profile: FloatArray | None = None,
) -> FloatArray:
    """Candidates of a trained flow, as they come: some may be far out or not finite.

    Parameters
    ----------
    weights : dict of arrays
        ``Training.weights``.
    coordinates, settings, profile
        As for :func:`train_flow`.
    seed : int
    n : int

    Returns
    -------
    float64 (n, K)

    Raises
    ------
    ValueError
        If the weights do not fit, or more than half of what the flow gives is unusable.
    """
    from compress_mpi.models.arrays import repeatable

    with repeatable():
        sample = _drawn(weights, coordinates, settings, seed, SAMPLE, _SAMPLE)
        candidates = _drawn(weights, coordinates, settings, seed, n, 0)
    return rematch(sample, coordinates)(candidates)


def _drawn(
    weights: Arrays, coordinates: FloatArray, settings: FlowSettings, seed: int, n: int, purpose: int
) -> FloatArray:
    from compress_mpi.models.flow import from_noise

    shape = _shape(settings, coordinates)
    noise = generator(seed, Stream.FLOW, _NOISE, purpose).standard_normal((n, shape.features))
    leading = _Tamed.of(coordinates, settings).backward(from_noise(weights, shape, noise))
    trailing = coordinates[:, shape.features :]
    directions = generator(seed, Stream.FLOW, _DIRECTIONS, purpose).standard_normal((n, trailing.shape[1]))
    if not trailing.shape[1]:
        return leading
    radii = np.linalg.norm(trailing, axis=1)[_nearest(leading, coordinates[:, : shape.features])]
    lengths = np.linalg.norm(directions, axis=1)
    return np.concatenate([leading, directions * (radii / lengths)[:, None]], axis=1)


def _nearest(points: FloatArray, replicas: FloatArray) -> np.ndarray:
    """Number of the nearest replica of each point; that of a point that is not finite means nothing."""
    size = np.einsum("rk,rk->r", replicas, replicas)
    found = []
    with one_thread(), np.errstate(invalid="ignore", over="ignore"):
        for begin in range(0, len(points), _BLOCK):
            block = points[begin : begin + _BLOCK]
            found.append(np.argmin(size - 2.0 * block @ replicas.T, axis=1))
    return np.concatenate(found)


def _shape(settings: FlowSettings, coordinates: FloatArray) -> Shape:
    from compress_mpi.models.flow import Shape

    features = min(settings.components, coordinates.shape[1])
    return Shape(settings.kind, features, settings.transforms, tuple(settings.hidden), settings.bins)


@dataclass(frozen=True, eq=False)
class _Tamed:
    """Leading components after arcsinh, with mean 0 and covariance 1."""

    centre: FloatArray
    whiten: FloatArray
    colour: FloatArray

    @staticmethod
    def of(coordinates: FloatArray, settings: FlowSettings) -> _Tamed:
        tamed = np.arcsinh(coordinates[:, : settings.components])
        with one_thread():
            root = np.linalg.cholesky(np.cov(tamed, rowvar=False, ddof=0).reshape(2 * [tamed.shape[1]]))
            return _Tamed(tamed.mean(axis=0), np.linalg.inv(root).T, root.T)

    def forward(self, coordinates: FloatArray) -> FloatArray:
        leading = np.arcsinh(coordinates[:, : len(self.centre)]) - self.centre
        with one_thread():
            rows: FloatArray = leading @ self.whiten
        return rows

    def backward(self, rows: FloatArray) -> FloatArray:
        with one_thread(), np.errstate(invalid="ignore", over="ignore"):
            leading: FloatArray = np.sinh(rows @ self.colour + self.centre)
        return leading
