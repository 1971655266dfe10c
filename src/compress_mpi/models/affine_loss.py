"""Mean negative log-likelihood of an affine flow, with its gradient written by hand.

It is ``AffineFlow.forward`` under a standard normal density, reordered for speed: rows pass in
tiles that stay in the processor's cache, columns are contiguous, memory is used again,
gradients add up in one flat vector, and the last linear map of the last residual block is
multiplied into the output map, because nothing lies between the two: a quarter of the large
products is never made.
"""

from __future__ import annotations

from math import log, pi
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from compress_mpi.models.affine import LEAST_SCALE, AffineFlow
from compress_mpi.models.made import Layer, Layout

__all__ = ["AffineLoss"]

_TILE = 2560  # rows on a CPU: few enough for the cache, and enough for the start of a product to cost little
_WHOLE = 1 << 17  # rows elsewhere
_REMEMBERED = 3  # other tile sizes whose memory is kept
_WORTH = 512  # rows from which on the start of a oneDNN product costs less than it gains
_onednn = (
    getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None
)


class AffineLoss:
    """Mean negative log-likelihood; called with rows (n, features) it gives a tensor without dimension.

    Differentiable once, with respect to the weights. Not for several threads at once: it uses its memory again.

    Parameters
    ----------
    flow : AffineFlow
    """

    def __init__(self, flow: AffineFlow) -> None:
        self._flow, layout = flow, flow.layout
        self._masked, self._gradient = torch.empty_like(flow.mask), torch.empty_like(flow.mask)
        self._steps = [_Step(layer) for layer in layout.split(self._masked)]
        self._sums = [_Sums(layer) for layer in layout.split(self._gradient)]
        self._memory: list[_Memory] = []

    def __call__(self, rows: Tensor) -> Tensor:
        """Of rows (n, features)."""
        if not torch.is_grad_enabled():
            return self._compute(rows, [])
        loss: Tensor = _Loss.apply(self._flow.weights, self, rows)
        return loss

    def with_gradient(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and its gradient, flat."""
        self._gradient.zero_()
        for into in self._sums:
            into.last.zero_()
        loss = self._compute(rows, self._sums)
        for step, into in zip(self._steps, self._sums, strict=True):
            into.finish(step.layer)
        return loss, (self._gradient * self._flow.mask).div_(len(rows))

    def _compute(self, rows: Tensor, sums: list[_Sums]) -> Tensor:
        torch.mul(self._flow.weights.detach(), self._flow.mask, out=self._masked)
        for step in self._steps:
            step.merge()
        total = rows.new_zeros(())
        for tile in rows.chunk(-(-len(rows) // (_TILE if rows.device.type == "cpu" else _WHOLE))):
            total += self._tile(tile.T, sums)
        return total / len(rows) + 0.5 * self._flow.layout.features * log(2 * pi)

    def _tile(self, columns: Tensor, sums: list[_Sums]) -> Tensor:
        """Loss of one tile, less the constant; adds its gradient to the sums, where there are any."""
        memory = self._remembered(columns)
        memory.begin.copy_(columns)
        for step, kept in zip(self._steps, memory.layers, strict=True):
            step.forward(kept)
        total = 0.5 * memory.end.square().sum() - memory.scale.log().sum()
        if sums:
            memory.turn()
            for step, kept, into in zip(self._steps[::-1], memory.layers[::-1], sums[::-1], strict=True):
                step.backward(kept, memory, into)
        return total

    def _remembered(self, columns: Tensor) -> _Memory:
        n = columns.shape[1]
        for memory in self._memory:
            if memory.rows == n:
                return memory
        self._memory = [*self._memory[-_REMEMBERED:], _Memory(self._flow.layout, columns)]
        return self._memory[-1]


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weights: Tensor, loss: AffineLoss, rows: Tensor) -> Tensor:
        value, gradient = loss.with_gradient(rows)
        ctx.save_for_backward(gradient)
        return value

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return outer[0] * gradient, None, None


class _Units(NamedTuple):
    """Units (hidden, n), and the same with a row of ones at the end.

    The ones meet the biases of a linear map on the way there, and sum up their gradients on the way back.
    """

    own: Tensor
    ones: Tensor

    @staticmethod
    def of(ones: Tensor) -> _Units:
        return _Units(ones[:-1], ones)


class _Kept(NamedTuple):
    """What a tile leaves in one layer, (rows of a matrix, n) each.

    Attributes
    ----------
    columns, latents : _Units, Tensor
        What goes in, and comes out.
    outer, inner : list of _Units
        By block: units before its first and its second map. The last ``inner`` is a part of ``ends``.
    units, ends : Tensor
        Sums of the units; ``ends`` has those, the last ``inner`` and ones.
    raw, scale, slope, inverse : Tensor
        Scales before and after softplus, its derivative, and one over the scales.
    """

    columns: _Units
    latents: Tensor
    outer: list[_Units]
    inner: list[_Units]
    units: Tensor
    ends: Tensor
    raw: Tensor
    scale: Tensor
    slope: Tensor
    inverse: Tensor


class _Memory:
    """Room for a tile of ``rows`` rows: ``layers``, and what is computed for all of them together."""

    def __init__(self, layout: Layout, like: Tensor) -> None:
        self.rows, features, hidden = like.shape[1], layout.features, layout.hidden

        def room(*heights: int) -> Tensor:
            return like.new_ones(*heights, self.rows)

        columns = room(layout.layers + 1, features + 1)
        self.begin, self.end = columns[0, :-1], columns[-1, :-1]
        self._raw, self.scale, self._slope, self._inverse = (room(layout.layers, features) for _ in range(4))
        self.layers = []
        for k in range(layout.layers):
            ends = room(2 * hidden + 1)
            outer = [_Units.of(room(hidden + 1)) for _ in range(layout.blocks)]
            inner = [
                *(_Units.of(room(hidden + 1)) for _ in range(layout.blocks - 1)),
                _Units.of(ends[hidden:]),
            ]
            ways = (_Units.of(columns[k]), columns[k + 1, :-1], outer, inner, ends[:hidden], ends)
            scales = (self._raw[k], self.scale[k], self._slope[k], self._inverse[k])
            self.layers.append(_Kept(*ways, *scales))
        # on the way back: gradients with respect to raw and to shifts, which are those of the latents
        self.conditions, self.both = room(2 * features), room(2 * hidden)
        self.raw, self.flow = self.conditions.chunk(2)
        self.back, self.through = self.both.chunk(2)

    def turn(self) -> None:
        """Begin the way back."""
        torch.sigmoid(self._raw, out=self._slope)
        torch.reciprocal(self.scale, out=self._inverse)
        self.flow.copy_(self.end)


class _Step:
    """One layer there and back.

    Parameters
    ----------
    layer : Layer
        Masked weights; :meth:`merge` after they have changed.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self._last = torch.cat([layer.last[:-1], layer.last])
        self._plain, self._merged = self._last.split([len(layer.last) - 1, len(layer.last)])

    def merge(self) -> None:
        """Multiply the end of the last block into the output map."""
        own = self.layer.last[:-1]
        self._plain.copy_(own)
        torch.mm(self.layer.blocks[-1].v, own, out=self._merged)
        self._merged[-1] += self.layer.last[-1]

    def forward(self, kept: _Kept) -> None:
        layer, units = self.layer, kept.units
        torch.mm(layer.first.T, kept.columns.ones, out=units)
        for block, outer, inner in zip(layer.blocks, kept.outer, kept.inner, strict=True):
            torch.clamp_min(units, 0.0, out=outer.own)
            torch.clamp_min(_product(block.w.T, outer.ones), 0.0, out=inner.own)
            if block is not layer.blocks[-1]:
                units.add_(_product(block.v.T, inner.ones))
        raw, shift = _product(self._last.T, kept.ends).chunk(2)
        kept.raw.copy_(raw)
        torch.add(softplus(raw), LEAST_SCALE, out=kept.scale)
        torch.addcmul(shift, kept.scale, kept.columns.own, out=kept.latents)

    def backward(self, kept: _Kept, memory: _Memory, into: _Sums) -> None:
        """Add up the layer's gradients; make those with respect to the latents such to the columns."""
        layer, back, through = self.layer, memory.back, memory.through
        torch.mul(memory.flow, kept.columns.own, out=memory.raw).sub_(kept.inverse).mul_(kept.slope)
        into.last.add_(_product(kept.ends, memory.conditions.T))
        # a thin product is bound by memory, of which a used piece is faster than a new one
        torch.mm(self._last[:-1], memory.conditions, out=memory.both)
        for block, sums, outer, inner in zip(
            layer.blocks[::-1], into.layer.blocks[::-1], kept.outer[::-1], kept.inner[::-1], strict=True
        ):
            if block is not layer.blocks[-1]:
                sums.v.add_(_product(inner.ones, back.T))
                through = _product(block.v[:-1], back)
            _stop(through, inner.own)
            sums.w.add_(_product(outer.ones, through.T))
            back.add_(_stop(_product(block.w[:-1], through), outer.own))
        into.layer.first.addmm_(kept.columns.ones, back.T)
        memory.flow.mul_(kept.scale).add_(layer.first[:-1] @ back)


class _Sums:
    """Gradients of one layer, added up over tiles.

    Parameters
    ----------
    layer : Layer
        Views of the flat gradient.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.last = torch.cat([layer.last[:-1], layer.last])

    def finish(self, layer: Layer) -> None:
        """Split the gradient of the merged output map into those of its factors."""
        own, end = self.layer, layer.blocks[-1]
        plain, merged = self.last.split([len(layer.last) - 1, len(layer.last)])
        own.last[:-1].copy_(plain).addmm_(end.v.T, merged)
        own.last[-1].copy_(merged[-1])
        own.blocks[-1].v.addmm_(merged, layer.last[:-1].T)


def _stop(flow: Tensor, activation: Tensor) -> Tensor:
    """Let nothing through where the unit is off."""
    stopped: Tensor = torch.ops.aten.threshold_backward.grad_input(flow, activation, 0.0, grad_input=flow)
    return stopped


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix product; by oneDNN where this torch has it, which on AMD takes half the time of MKL.

    Both are plain single precision. No other way leads to it: ``linear`` takes oneDNN for half precision only.
    """
    if (
        _onednn is None
        or left.is_cuda
        or left.dtype != torch.float32
        or max(*left.shape, *right.shape) < _WORTH
    ):
        return left @ right
    product: Tensor = _onednn(left, right.T, None, "none", [], "")
    return product
