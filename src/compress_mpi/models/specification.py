"""What a network and its optimiser look like, in words that need no torch."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ACTIVATIONS",
    "BIAS_INITIALIZERS",
    "INITIALIZERS",
    "OPTIMIZERS",
    "PUBLISHED",
    "FlowSpec",
    "Network",
    "Optimizer",
    "Schedule",
]

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


@dataclass(frozen=True)
class FlowSpec:
    """What a flow over table columns looks like.

    Attributes
    ----------
    family : {"maf", "nsf"}
        Affine autoregressive layers with residual networks, as published, or rational-quadratic
        splines (arXiv:1906.04032).
    features : int
        Columns.
    transforms : int
        Layers.
    hidden : int
        Units of each hidden layer.
    blocks : int
        Of ``maf``: residual blocks of each layer; of ``nsf``: hidden layers.
    bins : int
        Of the splines.
    permutation : {"random", "reverse"}
        Order of the columns in each layer.
    dtype : {"float32", "float64"}
        In training.
    """

    family: str
    features: int
    transforms: int
    hidden: int
    blocks: int = 2
    bins: int = 8
    permutation: str = "random"
    dtype: str = "float32"

    def __post_init__(self) -> None:
        for name, allowed in _FLOW_WORDS.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected {' or '.join(allowed)}, got '{getattr(self, name)}'")
        for name, least in {"features": 1, "transforms": 1, "hidden": 1, "blocks": 1, "bins": 2}.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected {least} or more, got {getattr(self, name)}")


_FLOW_WORDS = {
    "family": ("maf", "nsf"),
    "permutation": ("random", "reverse"),
    "dtype": ("float32", "float64"),
}


@dataclass(frozen=True)
class Schedule:
    """How a flow is trained: Adam, whose rate falls when the validation loss stays, and an early stop.

    Attributes
    ----------
    rate : float
        Learning rate at the start.
    batch : int
        Rows of one step.
    epochs : int
        Largest number.
    stop : int or None
        Epochs without a lower validation loss after which training ends.
    plateau : int
        Epochs without a lower validation loss after which the rate falls.
    factor : float
        By which it falls.
    floor : float
        Lowest rate.
    shards : int
        Parts of a batch whose gradients are summed; several ranks can compute them. The result
        depends on this number and not on that of the ranks.
    """

    rate: float = 1e-3
    batch: int = 1024
    epochs: int = 100
    stop: int | None = 50
    plateau: int = 10
    factor: float = 0.5
    floor: float = 1e-6
    shards: int = 4

    def __post_init__(self) -> None:
        for name in ("batch", "epochs", "plateau", "shards"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if self.stop is not None and self.stop < 1:
            raise ValueError(f"stop: expected 1 or more, or nothing for never, got {self.stop}")
        if not (self.rate > 0.0 and 0.0 < self.factor < 1.0 and self.floor >= 0.0):
            raise ValueError(
                "expected a positive rate, a factor between 0 and 1 and a floor of 0 or more,"
                f" got {self.rate:g}, {self.factor:g} and {self.floor:g}"
            )


PUBLISHED = {
    "model1": (FlowSpec("maf", 4, 6, 64), Schedule(1e-3, 10_000, 1000)),
    "model2": (FlowSpec("maf", 4, 4, 32), Schedule(4e-3, 32, 300)),
}
"""The two published models of jets, 104,880 and 18,592 weights; ``replace`` their number of columns for others."""
