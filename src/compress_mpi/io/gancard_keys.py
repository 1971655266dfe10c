"""What a runcard of ganpdfs may say: one frozen pydantic model per section, with the published names.

Every field carries ``expects``, the words for "expected ..., got ..." in messages and for
the table of the manual. Keys in ``IDLE`` are part of published cards and have no meaning here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Strict, StrictBool, StrictInt, StrictStr

from compress_mpi.io.settings_sections import Section, setting
from compress_mpi.io.values import show

__all__ = ["FLAT", "IDLE", "Critic", "GanCard", "Generator", "Optimizer", "Players"]

_ACTIVATIONS = ("relu", "leakyrelu", "elu")
_OPTIMIZERS = ("SGD", "Adam", "RMSprop", "Adadelta")
_KERNELS = (
    *("glorot_uniform", "glorot_normal", "he_uniform", "he_normal"),
    *("random_uniform", "random_normal", "zeros", "ones"),
)
_BIASES = ("zeros", "ones", "random_uniform", "random_normal")

FLAT: dict[str, tuple[str, ...]] = {
    "g_nodes": ("gen_parameters", "number_nodes"),
    "g_act": ("gen_parameters", "activation"),
    "g_loss": ("gen_parameters", "loss"),
    "g_opt": ("gen_parameters", "optimizer"),
    "gdnn_size": ("gen_parameters", "size_networks"),
    "d_nodes": ("disc_parameters", "number_nodes"),
    "d_act": ("disc_parameters", "activation"),
    "d_loss": ("disc_parameters", "loss"),
    "d_opt": ("disc_parameters", "optimizer"),
    "ddnn_size": ("disc_parameters", "size_networks"),
    "gan_loss": ("gan_parameters", "loss"),
    "gan_opt": ("gan_parameters", "optimizer"),
}
"""Key of an early card, all at the top level -> its place in later ones."""

_GRID = "the networks see the principal components of the prior at all its scales and nodes"
IDLE: dict[str, str] = {
    "q": _GRID,
    "x_grid": _GRID,
    "nb_xpoints": _GRID,
    "nf": _GRID,
    "hyperopt": "there is no scan of parameters",
    "scan": "there is no scan of parameters",
    "out": "the output folder is set by the compression's runcard",
    "ConvoluteOutput": "the generator adds to its latent instead",
    "add_xlayer": "the generator adds to its latent instead",
    "preprocessing": "sums of replicas keep the behaviour at small and large x",
    "gen_parameters.custom_hidden": "hidden layers are those of size_networks and number_nodes",
    "gen_parameters.weights_constraints": "the generator's weights are free",
    "gen_parameters.loss": "the generator's loss is that of gan_parameters, as in the published program",
    "gen_parameters.optimizer": "the generator is trained by the optimizer of gan_parameters, as in the published"
    " program",
    "disc_parameters.trainable": "the critic is always trained",
}
"""Key -> why it has no effect here."""


def _one_of(names: tuple[str, ...], aliases: dict[str, str] | None = None) -> Any:
    folded = {name.lower().replace("_", ""): name for name in names} | (aliases or {})

    def check(value: Any) -> str:
        word = value.strip().lower().replace("_", "") if isinstance(value, str) else None
        if word not in folded:
            raise ValueError(f"expected {_listed(names)}, got {show(value)}")
        return folded[word]

    return BeforeValidator(check)


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}"


def _wasserstein(value: Any) -> Any:
    if value != "wasserstein":
        raise ValueError(
            f"expected 'wasserstein', got {show(value)}; this program trains with the Wasserstein loss only"
        )
    return value


Activation = Annotated[str, _one_of(_ACTIVATIONS)]
Kernel = Annotated[str, _one_of(_KERNELS)]
Bias = Annotated[str, _one_of(_BIASES)]
Loss = Annotated[str, BeforeValidator(_wasserstein)]
Positive = Annotated[float, Strict()]


class Optimizer(Section):
    """How the weights of one network are moved."""

    optimizer_name: Annotated[str, _one_of(_OPTIMIZERS, {"rms": "RMSprop"})] | None = setting(
        None, _listed(_OPTIMIZERS), "Name of the optimiser."
    )
    learning_rate: Positive | None = setting(
        None, "a number > 0", "Learning rate.", gt=0, allow_inf_nan=False
    )


def _optimizer(value: Any) -> Any:
    # cards of early releases give a name only
    return {"optimizer_name": value} if isinstance(value, str) else value


Moved = Annotated[Optimizer, BeforeValidator(_optimizer)]


class Players(Section):
    """``gan_parameters``: the generator's training."""

    optimizer: Moved = setting(
        Optimizer(), "a mapping with optimizer_name, learning_rate", "Of the generator."
    )
    loss: Loss = setting("wasserstein", "'wasserstein'", "Of the generator.")


class Generator(Section):
    """``gen_parameters``: the generator."""

    structure: Literal["custom", "standard"] | None = setting(
        None,
        "'custom' or 'standard'",
        "Latent: means of two or three replicas, or normal noise; left out: custom.",
    )
    size_networks: StrictInt = setting(
        1, "an integer from 1 to 20", "Hidden layers, of equal width.", ge=1, le=20
    )
    number_nodes: StrictInt | None = setting(
        None,
        "an integer from 1 to 10000",
        "Nodes, or channels, of each hidden layer; left out: 128, of dcnn 32.",
        ge=1,
        le=10_000,
    )
    activation: Activation = setting("leakyrelu", _listed(_ACTIVATIONS), "Of hidden layers.")
    use_bias: StrictBool = setting(True, "true or false", "Whether layers have biases.")
    kernel_initializer: Kernel = setting("glorot_uniform", _listed(_KERNELS), "First weights.")
    bias_initializer: Bias = setting("zeros", _listed(_BIASES), "First biases.")


class Critic(Section):
    """``disc_parameters``: the critic."""

    size_networks: StrictInt = setting(
        1,
        "an integer from 0 to 20",
        "Hidden layers after the first, each of half the width of the one before.",
        ge=0,
        le=20,
    )
    number_nodes: StrictInt | None = setting(
        None,
        "an integer from 1 to 10000",
        "Nodes, or channels, of the first hidden layer; left out: 250, of dcnn 32.",
        ge=1,
        le=10_000,
    )
    activation: Activation = setting("leakyrelu", _listed(_ACTIVATIONS), "Of hidden layers.")
    use_bias: StrictBool = setting(True, "true or false", "Whether layers have biases.")
    kernel_initializer: Kernel = setting("glorot_uniform", _listed(_KERNELS), "First weights.")
    bias_initializer: Bias = setting("zeros", _listed(_BIASES), "First biases.")
    weights_constraints: Positive | None = setting(
        None, "a number > 0, or nothing", "Largest absolute weight.", gt=0, allow_inf_nan=False
    )
    gp_weight: Positive = setting(
        10.0, "a number >= 0", "Weight of the gradient penalty.", ge=0, allow_inf_nan=False
    )
    gp_loss: Positive = setting(
        1.0,
        "a number >= 0",
        "Factor of the gradient penalty; 0: none, only the constraint on the weights.",
        ge=0,
        allow_inf_nan=False,
    )
    optimizer: Moved = setting(Optimizer(), "a mapping with optimizer_name, learning_rate", "Of the critic.")
    loss: Loss = setting("wasserstein", "'wasserstein'", "Of the critic.")


class GanCard(Section):
    """All that a card may say, but for keys without effect."""

    pdf: StrictStr | None = setting(None, "the name of an LHAPDF set", "Prior.")
    use_saved_model: StrictBool | StrictStr = setting(
        False,
        "true, false or the path of a saved model",
        "Use a model that was trained before: pre-trained-model.h5 beside the card, or a path from there. Settings"
        " of networks and training are then those of the model.",
    )
    architecture: Annotated[str, _one_of(("dnn", "dcnn"), {"cnn": "dcnn"})] = setting(
        "dnn", "dnn or dcnn", "Dense networks, or convolutions over x; cnn means dcnn."
    )
    gan_parameters: Players = setting(
        Players(), "a mapping with optimizer, loss", "Training of the generator."
    )
    gen_parameters: Generator = setting(Generator(), "a mapping", "The generator.")
    disc_parameters: Critic = setting(Critic(), "a mapping", "The critic.")
    nd_steps: StrictInt = setting(
        4, "an integer from 1 to 1000", "Steps of the critic per round.", ge=1, le=1000
    )
    ng_steps: StrictInt = setting(
        3, "an integer from 1 to 1000", "Steps of the generator per round.", ge=1, le=1000
    )
    batch_size: Positive = setting(
        50.0,
        "a number > 0 and <= 100, percent of the replicas",
        "Replicas of one step, in percent of the prior's; an epoch has as many rounds as batches make the prior.",
        gt=0,
        le=100,
        allow_inf_nan=False,
    )
    epochs: StrictInt = setting(1000, "an integer >= 1", "Number of epochs.", ge=1, le=10_000_000)
