"""New replicas from a generative adversarial network on all components.

The generator adds to its latent what its network has learned; the critic tells generated
replicas from real ones (see ``models.gan`` for the objective). The latent is a point of
component space, so that training begins at a distribution with the prior's mean and
covariance:

``replicas``
    The mean of two or three random replicas, scaled back to variance 1; ``structure:
    custom`` of a published runcard, but for single replicas, which came out again almost
    unchanged. The most faithful one.
``student``
    Student-t noise of variance 1, with heavy tails; new points lie farther from known ones.
``normal``
    Normal noise; ``structure: standard`` of a published runcard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.enhancement.linear import one_thread
from compress_mpi.methods.enhancement.rematch import SAMPLE, rematch
from compress_mpi.methods.selection.randomness import Stream, generator
from compress_mpi.models.specification import Network, Optimizer
from compress_mpi.models.training import Arrays, Hooks, Training, train
from compress_mpi.types import FloatArray

__all__ = ["GanSettings", "draw_gan", "profile_of", "train_gan"]

_WEIGHTS, _EPOCH, _LATENT = range(3)  # what random numbers are for
_CANDIDATES, _SAMPLE = range(2)
_LEAST, _MOST = 2, 3  # replicas in a mean; one alone would be given back almost as it is

_NETWORKS = {
    "dnn": (Network((128, 128)), Network((250, 125))),
    "dcnn": (Network((32,)), Network((32, 16))),
}
_SLOW, _FAST = Optimizer("Adam", 5e-4), Optimizer("Adam", 1e-3)


@dataclass(frozen=True)
class GanSettings:
    """How the two networks are built and trained.

    Attributes
    ----------
    architecture : {"dnn", "dcnn"}
        Dense networks on the components, or convolutions over x of what the components do to the replica.
    latent : {"replicas", "student", "normal"}
    degrees : int
        Degrees of freedom of the Student-t latent, 3 or more.
    generator, critic : Network, optional
        Nodes, or channels; default: 128, 128 and 250, 125, of convolutions 32 and 32, 16.
    generator_optimizer, critic_optimizer : Optimizer
    critic_steps, generator_steps : int
        Steps of each per round.
    batch_percent : float
        Replicas of one step, in percent of the prior's; a round is one turn of both networks, and an epoch has as
        many rounds as batches make the whole prior.
    epochs : int
    penalty : float
        Weight of the gradient penalty.
    clip : float or None
        Largest absolute weight of the critic.
    average : float
        Decay, per round, of the running mean of the generator's weights that is kept.
    rematch : bool
        Whether an affine map gives the candidates the prior's mean and covariance.
    device : {"auto", "cpu", "cuda"}
    """

    architecture: str = "dnn"
    latent: str = "replicas"
    degrees: int = 8
    generator: Network | None = None
    critic: Network | None = None
    generator_optimizer: Optimizer = _SLOW
    critic_optimizer: Optimizer = _FAST
    critic_steps: int = 4
    generator_steps: int = 1
    batch_percent: float = 25.0
    epochs: int = 200
    penalty: float = 10.0
    clip: float | None = None
    average: float = 0.99
    rematch: bool = True
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, known in (("architecture", ("dnn", "dcnn")), ("latent", ("student", "normal", "replicas"))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got '{getattr(self, name)}'")
        if self.degrees < 3:
            raise ValueError(f"degrees: expected an integer >= 3, got {self.degrees}")

    @staticmethod
    def of(content: Mapping[str, Any]) -> GanSettings:
        """Settings from a mapping with networks and optimisers as mappings, such as JSON gives."""
        given = dict(content)
        for name in ("generator", "critic"):
            if isinstance(given.get(name), Mapping):
                given[name] = Network(**{**given[name], "hidden": tuple(given[name]["hidden"])})
        for name in ("generator_optimizer", "critic_optimizer"):
            if isinstance(given.get(name), Mapping):
                given[name] = Optimizer(**given[name])
        return GanSettings(**given)

    @property
    def networks(self) -> tuple[Network, Network]:
        """Generator and critic."""
        generator, critic = _NETWORKS[self.architecture]
        return self.generator or generator, self.critic or critic

    def batch(self, n_rep: int) -> int:
        """Replicas of one step."""
        return max(int(n_rep * self.batch_percent / 100.0), 2)


def train_gan(
    coordinates: FloatArray,
    settings: GanSettings,
    seed: int,
    *,
    profile: FloatArray | None = None,
    snapshot: Mapping[str, NDArray[Any]] | None = None,
    hooks: Hooks | None = None,
) -> Training:
    """Train generator and critic on the replicas of a prior.

    Parameters
    ----------
    coordinates : float64 (R, K)
        Components of variance 1.
    settings : GanSettings
    seed : int
    profile : float64 (K, flavour, x), optional
        :func:`profile_of`; for ``dcnn``.
    snapshot : dict of arrays, optional
        Of an earlier, stopped training.
    hooks : Hooks, optional

    Raises
    ------
    TrainingFailed
        If a loss is not finite.
    ValueError
        If a GPU is asked for and there is none, or ``dcnn`` has no profile.
    """
    from compress_mpi.models.arrays import pick_device, repeatable
    from compress_mpi.models.gan import Game, GanLearner

    batch = settings.batch(len(coordinates))
    game = Game(
        settings.critic_steps,
        settings.generator_steps,
        batch,
        max(len(coordinates) // batch, 1),
        settings.penalty,
        settings.clip,
        settings.average,
    )
    device = pick_device(settings.device)
    with repeatable(device):
        learner = GanLearner(
            coordinates,
            settings.networks,
            (settings.generator_optimizer, settings.critic_optimizer),
            game,
            _latent(settings, coordinates),
            generator(seed, Stream.GAN, _WEIGHTS),
            device,
            _wanted(profile, settings),
        )
        return train(
            learner,
            settings.epochs,
            lambda epoch: generator(seed, Stream.GAN, _EPOCH, epoch),
            snapshot=snapshot,
            hooks=hooks,
        )


def draw_gan(
    weights: Arrays,
    coordinates: FloatArray,
    settings: GanSettings,
    seed: int,
    n: int,
    *,
    profile: FloatArray | None = None,
) -> FloatArray:
    """Candidates of a trained generator, as they come.

    Parameters
    ----------
    weights : dict of arrays
        ``Training.weights``.
    coordinates, settings, profile
        As for :func:`train_gan`.
    seed : int
    n : int

    Returns
    -------
    float64 (n, K)

    Raises
    ------
    ValueError
        If the weights do not fit, or more than half of what the generator gives is unusable.
    """
    from compress_mpi.models.arrays import repeatable
    from compress_mpi.models.gan import generate

    latent, shape = _latent(settings, coordinates), _wanted(profile, settings)
    with repeatable():
        sample, candidates = (
            generate(
                weights,
                settings.networks[0],
                latent(size, generator(seed, Stream.GAN, _LATENT, purpose)),
                shape,
            )
            for size, purpose in ((SAMPLE, _SAMPLE), (n, _CANDIDATES))
        )
    return rematch(sample, coordinates)(candidates) if settings.rematch else candidates


def profile_of(coordinates: FloatArray, values: FloatArray) -> FloatArray:
    """What one unit of each component does to a replica, in standard deviations of every point.

    Parameters
    ----------
    coordinates : float64 (R, K)
    values : float64 (R, flavour, x)
        Of the prior at one scale.

    Returns
    -------
    float64 (K, flavour, x)
        0 where all replicas are equal.
    """
    spread = values.std(axis=0)
    scaled = np.where(spread > 0, (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0), 0.0)
    with one_thread():
        flat = coordinates.T @ scaled.reshape(len(values), -1) / len(values)
    return np.ascontiguousarray(flat.reshape(-1, *values.shape[1:]))


def _wanted(profile: FloatArray | None, settings: GanSettings) -> FloatArray | None:
    if settings.architecture == "dnn":
        return None
    if profile is None:
        raise ValueError("architecture: dcnn needs the values of the prior as functions of x; found none")
    return profile


def _latent(
    settings: GanSettings, coordinates: FloatArray
) -> Callable[[int, np.random.Generator], FloatArray]:
    size = coordinates.shape[1]
    if settings.latent == "normal":
        return lambda n, rng: rng.standard_normal((n, size))
    if settings.latent == "replicas":
        return lambda n, rng: _means(coordinates, n, rng)
    return lambda n, rng: _student(settings.degrees, n, size, rng)


# Each draws one array, row by row, so that more points begin with the same ones.
def _student(degrees: int, n: int, size: int, rng: np.random.Generator) -> FloatArray:
    """Multivariate Student-t points of variance 1: all components of a point share one radius."""
    drawn = rng.standard_normal((n, size + degrees))
    square = np.einsum("nd,nd->n", drawn[:, size:], drawn[:, size:])
    return drawn[:, :size] * np.sqrt((degrees - 2) / square)[:, None]


def _means(coordinates: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
    """Means of two or three random replicas; scaled, because a mean of m has 1/m of the variance."""
    drawn = rng.random((n, 1 + _MOST))
    number = _LEAST + (drawn[:, 0] * (_MOST - _LEAST + 1)).astype(np.int64)
    chosen = (drawn[:, 1:] * len(coordinates)).astype(np.int64)
    used = np.arange(_MOST) < number[:, None]
    summed = np.einsum("nm,nmk->nk", used.astype(np.float64), coordinates[chosen])
    return summed / np.sqrt(number)[:, None]
