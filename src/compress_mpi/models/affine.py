"""The published flow: masked affine autoregressive layers (arXiv:1705.07057) with residual networks.

Layer ``k`` sends column ``j`` to ``scale * x + shift``, where ``scale = softplus(u) + 1e-3`` and
``u``, ``shift`` depend on the columns before ``j`` in the layer's fixed random order. A
permutation of columns before every layer, as published, is the same map up to the order of
the latent columns; with an order per layer instead, latent column ``j`` belongs to column ``j``.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from compress_mpi.models.made import Layer, Layout

__all__ = ["LEAST_SCALE", "AffineFlow"]

LEAST_SCALE = 1e-3
"""Added to every scale, as published."""


class AffineFlow(nn.Module):
    """Columns to standard normal ones, and back.

    Parameters
    ----------
    layout : Layout
    rng : numpy.random.Generator
        Of the initial weights and orders.
    permutation : {"random", "reverse"}
    dtype : torch.dtype
    """

    orders: Tensor
    mask: Tensor

    def __init__(
        self, layout: Layout, rng: np.random.Generator, permutation: str, dtype: torch.dtype
    ) -> None:
        super().__init__()
        self.layout = layout
        orders = layout.draw_orders(rng, permutation)
        self.weights = nn.Parameter(torch.tensor(layout.draw(rng), dtype=dtype))
        self.register_buffer("orders", torch.tensor(orders))
        self.register_buffer("mask", torch.tensor(layout.mask(orders), dtype=dtype), persistent=False)
        self.register_load_state_dict_post_hook(lambda module, _: module.remask())

    def remask(self) -> None:
        """Make the mask follow the orders."""
        self.mask.copy_(torch.tensor(self.layout.mask(self.orders.cpu().numpy())))

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Latents (n, features) and the logarithm of the Jacobian's determinant (n,) of rows (n, features).

        The readable form; ``models.affine_loss`` computes the same for training.
        """
        columns, determinant = rows.T, rows.new_zeros(len(rows))
        for layer in self.layout.split(self.weights * self.mask):
            raw, shift = _conditions(layer, columns).chunk(2)
            scale = softplus(raw) + LEAST_SCALE
            columns = scale * columns + shift
            determinant = determinant + scale.log().sum(0)
        return columns.T, determinant

    def inverse(self, latents: Tensor) -> Tensor:
        """Rows (n, features) of latents (n, features); for use without gradients."""
        columns = latents.T
        layers = self.layout.split(self.weights * self.mask)
        for layer, order in zip(reversed(layers), reversed(self.orders.tolist()), strict=True):
            columns = self._undo(layer, order, columns)
        return columns.T

    def _undo(self, layer: Layer, order: list[int], latents: Tensor) -> Tensor:
        """One column after the other; a hidden unit is computed once, when all it may know is there."""
        columns = torch.zeros_like(latents)
        sums = latents.new_zeros(self.layout.hidden, latents.shape[1])
        outer, inner = ([torch.zeros_like(sums) for _ in layer.blocks] for _ in range(2))
        begins = np.searchsorted(self.layout.degrees, np.arange(len(order) + 1)).tolist()
        for place, column in enumerate(np.argsort(order).tolist()):
            new, known = slice(begins[place], begins[place + 1]), begins[place + 1]
            sums[new] = _linear(layer.first[:, new], columns)
            for block, wide, narrow in zip(layer.blocks, outer, inner, strict=True):
                wide[new] = sums[new].relu()
                narrow[new] = _linear(block.w[:, new], wide[:known]).relu()
                sums[new] += _linear(block.v[:, new], narrow[:known])
            raw, shift = _linear(layer.last[:, [column, column + len(order)]], sums[:known])
            columns[column] = (latents[column] - shift) / (softplus(raw) + LEAST_SCALE)
        return columns


def _conditions(layer: Layer, columns: Tensor) -> Tensor:
    """What scales and shifts are made of, (2 features, n)."""
    units = _linear(layer.first, columns)
    for block in layer.blocks:
        units = units + _linear(block.v, _linear(block.w, units.relu()).relu())
    return _linear(layer.last, units)


def _linear(weights: Tensor, inputs: Tensor) -> Tensor:
    """(outputs, n); inputs that are left out at the end have weight zero."""
    outputs: Tensor = weights[: len(inputs)].T @ inputs + weights[-1, :, None]
    return outputs
