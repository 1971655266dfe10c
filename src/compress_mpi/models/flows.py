"""Flows over the columns of a table: trained, then used as a map to standard normal columns and back.

Families, sizes and schedules are in :mod:`compress_mpi.models.specification`, which needs no torch.
Training runs in the precision of the specification; maps and densities are always computed in
double precision, so that a row comes back from its latent to about twelve digits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from compress_mpi.models.affine import AffineFlow
from compress_mpi.models.affine_loss import AffineLoss
from compress_mpi.models.arrays import load_module, pick_device, repeatable, seeded
from compress_mpi.models.likelihood import Combine, LikelihoodLearner, plateau
from compress_mpi.models.made import Layout
from compress_mpi.models.specification import PUBLISHED, FlowSpec, Schedule
from compress_mpi.models.training import Hooks, Training, stripped, train
from compress_mpi.types import FloatArray

__all__ = [
    "PUBLISHED",
    "FlowSpec",
    "Schedule",
    "build_flow",
    "count_weights",
    "fit_flow",
    "flow_learner",
    "flow_loss",
    "from_latent",
    "log_density",
    "to_latent",
]

_WEIGHTS, _EPOCH = range(2)  # what random numbers are for
_CHUNK = 8192  # rows that are mapped together


def build_flow(spec: FlowSpec, rng: np.random.Generator) -> nn.Module:
    """A flow with random weights, on the CPU."""
    dtype = getattr(torch, spec.dtype)
    if spec.family == "maf":
        layout = Layout(spec.features, spec.transforms, spec.hidden, spec.blocks)
        return AffineFlow(layout, rng, spec.permutation, dtype)
    import zuko

    with seeded(rng):
        flow: nn.Module = zuko.flows.NSF(
            spec.features,
            bins=spec.bins,
            transforms=spec.transforms,
            hidden_features=(spec.hidden,) * spec.blocks,
            randperm=spec.permutation == "random",
        ).to(dtype)
    return flow


def flow_loss(flow: nn.Module) -> Callable[[Tensor], Tensor]:
    """Mean negative log-likelihood of rows (n, features), differentiable with respect to the flow's weights."""
    if isinstance(flow, AffineFlow):
        return AffineLoss(flow)
    return lambda rows: -flow().log_prob(rows).mean()


def count_weights(spec: FlowSpec) -> int:
    """Trained numbers of a flow, masked ones included, as the published counts."""
    return sum(weights.numel() for weights in build_flow(spec, np.random.default_rng(0)).parameters())


def fit_flow(
    train_rows: ArrayLike,
    validation_rows: ArrayLike,
    spec: FlowSpec,
    schedule: Schedule,
    seed: int,
    *,
    device: str = "auto",
    hooks: Hooks | None = None,
    snapshot: Mapping[str, NDArray[Any]] | None = None,
    combine: Combine | None = None,
) -> Training:
    """Train a flow; the weights of the lowest validation loss are kept.

    Parameters
    ----------
    train_rows, validation_rows : floating (n, features)
        Preprocessed, of the order of 1.
    spec : FlowSpec
    schedule : Schedule
    seed : int
    device : {"auto", "cpu", "cuda"}
        ``auto``: a GPU where there is one.
    hooks : Hooks, optional
        What they decide must be the same on all ranks.
    snapshot : dict of arrays, optional
        Of an earlier, stopped training with the same arguments.
    combine : callable, optional
        Spreads shards over ranks, see ``models.likelihood.Combine``; every rank calls this
        function with the same arguments. Default: all shards are computed here.

    Raises
    ------
    TrainingFailed
        If a loss is not finite.
    ValueError
        If rows are missing, of another shape or not finite, the snapshot does not fit, or a
        GPU is asked for and there is none.
    """
    learn, judge = (
        _checked(rows, spec, name)
        for rows, name in ((train_rows, "training"), (validation_rows, "validation"))
    )
    where = pick_device(device)
    with repeatable(where):
        return train(
            flow_learner(learn, judge, spec, schedule, seed, where, combine),
            schedule.epochs,
            lambda epoch: _generator(seed, _EPOCH, epoch),
            watch="validation",
            patience=schedule.stop,
            snapshot=snapshot,
            hooks=hooks,
        )


def flow_learner(
    learn: NDArray[np.floating],
    judge: NDArray[np.floating],
    spec: FlowSpec,
    schedule: Schedule,
    seed: int,
    device: torch.device,
    combine: Combine | None = None,
) -> LikelihoodLearner:
    """What :func:`fit_flow` trains; arguments as there."""
    flow = build_flow(spec, _generator(seed, _WEIGHTS)).to(device)
    return LikelihoodLearner(
        learn,
        judge,
        flow,
        flow_loss(flow),
        torch.optim.Adam(flow.parameters(), schedule.rate, fused=True),
        schedule.batch,
        schedule=plateau(schedule.plateau, schedule.factor, schedule.floor),
        shards=schedule.shards,
        combine=combine,
    )


def to_latent(
    weights: Mapping[str, NDArray[Any]], spec: FlowSpec, rows: ArrayLike, *, device: str = "cpu"
) -> FloatArray:
    """Latents of rows, float64 (n, features); standard normal as far as the flow has learned the rows.

    Parameters
    ----------
    weights : dict of arrays
        ``Training.weights``.
    spec : FlowSpec
    rows : floating (n, features)
    device : {"cpu", "cuda", "auto"}

    Raises
    ------
    ValueError
        If weights or rows do not fit the specification.
    """

    def forward(flow: nn.Module, part: Tensor) -> Tensor:
        latents: Tensor = flow(part)[0] if isinstance(flow, AffineFlow) else flow().transform(part)
        return latents

    return _mapped(forward, weights, spec, rows, device).reshape(-1, spec.features)


def from_latent(
    weights: Mapping[str, NDArray[Any]], spec: FlowSpec, latents: ArrayLike, *, device: str = "cpu"
) -> FloatArray:
    """The inverse of :func:`to_latent`, one column after the other; rows from normal noise."""

    def back(flow: nn.Module, part: Tensor) -> Tensor:
        rows: Tensor = flow.inverse(part) if isinstance(flow, AffineFlow) else flow().transform.inv(part)
        return rows

    return _mapped(back, weights, spec, latents, device).reshape(-1, spec.features)


def log_density(
    weights: Mapping[str, NDArray[Any]], spec: FlowSpec, rows: ArrayLike, *, device: str = "cpu"
) -> FloatArray:
    """Logarithm of the flow's density at each row, float64 (n,); arguments as for :func:`to_latent`."""

    def density(flow: nn.Module, part: Tensor) -> Tensor:
        if not isinstance(flow, AffineFlow):
            found: Tensor = flow().log_prob(part)
            return found
        latents, determinant = flow(part)
        return determinant - 0.5 * (latents.square() + np.log(2 * np.pi)).sum(1)

    return _mapped(density, weights, spec, rows, device)


def _mapped(
    function: Callable[[nn.Module, Tensor], Tensor],
    weights: Mapping[str, NDArray[Any]],
    spec: FlowSpec,
    rows: ArrayLike,
    device: str,
) -> FloatArray:
    table, where = _shaped(rows, spec, "given"), pick_device(device)
    with repeatable(where), torch.no_grad():
        flow = build_flow(spec, np.random.default_rng(0)).double()
        load_module(flow, stripped("flow", weights))
        flow = flow.to(where)
        parts = torch.tensor(table, dtype=torch.float64).split(_CHUNK)
        return np.concatenate([function(flow, part.to(where)).cpu().numpy() for part in parts])


def _generator(seed: int, *purpose: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=purpose))


def _shaped(rows: ArrayLike, spec: FlowSpec, name: str) -> NDArray[np.floating]:
    table = np.asarray(rows)
    if table.ndim != 2 or table.shape[1] != spec.features:
        raise ValueError(
            f"the {name} rows have shape {table.shape}; expected (rows, {spec.features}), as the flow has"
            f" {spec.features} columns"
        )
    return table


def _checked(rows: ArrayLike, spec: FlowSpec, name: str) -> NDArray[np.floating]:
    table = _shaped(rows, spec, name)
    if not len(table):
        raise ValueError(f"there are no {name} rows; expected one or more")
    bad = np.argwhere(~np.isfinite(table))
    if len(bad):
        row, column = bad[0]
        raise ValueError(
            f"the {name} rows have {table[row, column]} in row {row}, column {column}, and {len(bad)} such"
            " numbers in all; expected finite numbers: leave those rows out of the training"
        )
    return table
