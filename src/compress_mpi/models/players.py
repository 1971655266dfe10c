"""The two networks of a GAN, dense on the components or convolutional over x."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from compress_mpi.models.specification import Network

__all__ = ["DTYPE", "Critic", "Generator"]

DTYPE = torch.float32
"""Of both networks; a replica has fewer significant digits than this."""

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "leakyrelu": nn.LeakyReLU, "elu": nn.ELU}
_INITIALIZERS: dict[str, Callable[[Tensor], Tensor]] = {
    "glorot_uniform": nn.init.xavier_uniform_,
    "glorot_normal": nn.init.xavier_normal_,
    "he_uniform": nn.init.kaiming_uniform_,
    "he_normal": nn.init.kaiming_normal_,
    # the ranges that Keras takes
    "random_uniform": lambda weight: nn.init.uniform_(weight, -0.05, 0.05),
    "random_normal": lambda weight: nn.init.normal_(weight, 0.0, 0.05),
    "zeros": nn.init.zeros_,
    "ones": nn.init.ones_,
}
_KERNEL = 5  # points that a convolution sees at once


class Generator(nn.Module):
    """Latent (n, K) to coordinates (n, K): the latent plus a network that begins at zero.

    Parameters
    ----------
    components : int
        K.
    network : Network
    profile : Tensor (K, flavour, x), optional
        What each component does to the replica, as functions of x. With it the network is
        convolutional over x, with flavours as channels, and its answer is projected on the components.
    """

    def __init__(self, components: int, network: Network, profile: Tensor | None = None) -> None:
        super().__init__()
        if profile is None:
            self.body: nn.Module = _dense(components, components, network)
        else:
            self.body = nn.Sequential(
                _Unfold(profile), _convolutions(profile.shape[1], profile.shape[1], network), _Fold(profile)
            )
        last = [m for m in self.body.modules() if isinstance(m, nn.Linear | nn.Conv1d)][-1]
        nn.init.zeros_(last.weight)

    def forward(self, latent: Tensor) -> Tensor:
        """Coordinates of generated replicas."""
        moved: Tensor = latent + self.body(latent)
        return moved


class Critic(nn.Module):
    """Coordinates (n, K) to scores (n,); higher for what it takes for real.

    Parameters
    ----------
    components, network, profile
        As for :class:`Generator`. Without batch normalisation, which would make the score of
        a replica, and its gradient, depend on the others.
    """

    def __init__(self, components: int, network: Network, profile: Tensor | None = None) -> None:
        super().__init__()
        if profile is None:
            self.body: nn.Module = _dense(components, 1, network)
        else:
            channels, length = network.hidden[-1], profile.shape[2]
            for _ in network.hidden:
                length = -(-length // 2)
            self.body = nn.Sequential(
                _Unfold(profile),
                _convolutions(profile.shape[1], None, network, stride=2),
                nn.Flatten(),
                _initialised(nn.Linear(channels * length, 1, network.bias), network),
            )

    def forward(self, coordinates: Tensor) -> Tensor:
        """Scores."""
        scores: Tensor = self.body(coordinates)[:, 0]
        return scores


class _Unfold(nn.Module):
    """Coordinates (n, K) to the replica's deviation from the mean, (n, flavour, x)."""

    profile: Tensor

    def __init__(self, profile: Tensor) -> None:
        super().__init__()
        self.register_buffer("profile", profile, persistent=False)

    def forward(self, coordinates: Tensor) -> Tensor:
        # one matrix product: einsum would choose its own order of sums
        flat = self.profile.reshape(len(self.profile), -1)
        return (coordinates @ flat).reshape(-1, *self.profile.shape[1:])


class _Fold(nn.Module):
    """A function (n, flavour, x) to its part along each component, (n, K)."""

    directions: Tensor

    def __init__(self, profile: Tensor) -> None:
        super().__init__()
        flat = profile.reshape(len(profile), -1)
        # a component that does nothing at this scale has no direction
        norm = flat.norm(dim=1, keepdim=True).clamp_min(1e-6)
        self.register_buffer("directions", (flat / norm).T.contiguous(), persistent=False)

    def forward(self, functions: Tensor) -> Tensor:
        parts: Tensor = functions.flatten(1) @ self.directions
        return parts


def _dense(inputs: int, outputs: int, network: Network) -> nn.Sequential:
    layers: list[nn.Module] = []
    for nodes in network.hidden:
        layers += [
            _initialised(nn.Linear(inputs, nodes, network.bias), network),
            _ACTIVATIONS[network.activation](),
        ]
        inputs = nodes
    return nn.Sequential(*layers, _initialised(nn.Linear(inputs, outputs, network.bias), network))


def _convolutions(inputs: int, outputs: int | None, network: Network, stride: int = 1) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in network.hidden:
        layer = nn.Conv1d(inputs, channels, _KERNEL, stride, _KERNEL // 2, bias=network.bias)
        layers += [_initialised(layer, network), _ACTIVATIONS[network.activation]()]
        inputs = channels
    if outputs is not None:
        last = nn.Conv1d(inputs, outputs, _KERNEL, padding=_KERNEL // 2, bias=network.bias)
        layers.append(_initialised(last, network))
    return nn.Sequential(*layers)


def _initialised(layer: nn.Linear | nn.Conv1d, network: Network) -> nn.Module:
    _INITIALIZERS[network.kernel_initializer](layer.weight)
    if layer.bias is not None:
        _INITIALIZERS[network.bias_initializer](layer.bias)
    return layer
