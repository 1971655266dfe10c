"""What a network and its optimiser look like, in words that need no torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ACTIVATIONS", "BIAS_INITIALIZERS", "INITIALIZERS", "OPTIMIZERS", "Network", "Optimizer"]

ACTIVATIONS = ("relu", "leakyrelu", "elu")
"""Names as the published runcards write them."""

OPTIMIZERS = ("SGD", "Adam", "RMSprop", "Adadelta")
"""Names as the published runcards write them."""

INITIALIZERS = (
    *("glorot_uniform", "glorot_normal", "he_uniform", "he_normal"),
    *("random_uniform", "random_normal", "zeros", "ones"),
)
"""Initial weights, by the names that Keras has for them."""

BIAS_INITIALIZERS = ("zeros", "ones", "random_uniform", "random_normal")
"""Those that need no more than one dimension."""


@dataclass(frozen=True)
class Optimizer:
    """How weights are moved.

    Attributes
    ----------
    name : str
        One of ``OPTIMIZERS``.
    rate : float
        Learning rate.
    """

    name: str
    rate: float


@dataclass(frozen=True)
class Network:
    """Hidden layers of a dense or convolutional network.

    Attributes
    ----------
    hidden : tuple of int
        Nodes of every hidden layer; channels, where the network is convolutional.
    activation : str
        One of ``ACTIVATIONS``.
    bias : bool
        Whether layers have biases.
    kernel_initializer : str
        One of ``INITIALIZERS``.
    bias_initializer : str
        One of ``BIAS_INITIALIZERS``.
    """

    hidden: tuple[int, ...]
    activation: str = "leakyrelu"
    bias: bool = True
    kernel_initializer: str = "glorot_uniform"
    bias_initializer: str = "zeros"
