"""A generator and a critic, and the Wasserstein game between them.

The critic :math:`D` and the generator :math:`G` play (arXiv:1701.07875, arXiv:1704.00028)

.. math:: \\min_G \\max_D \\; E[D(x)] - E[D(G(\\epsilon))] - \\lambda E[(|\\nabla D(\\hat x)| - 1)^2]

with :math:`x` a replica, :math:`\\epsilon` the latent and :math:`\\hat x` a point on the line
between a real and a generated replica. The generator is its latent plus a network that
begins at zero, so training starts from the latent's distribution and bends it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from compress_mpi.models.arrays import (
    load_module,
    load_optimizer,
    make_optimizer,
    module_arrays,
    optimizer_arrays,
    seeded,
)
from compress_mpi.models.players import DTYPE, Critic, Generator
from compress_mpi.models.specification import Network, Optimizer
from compress_mpi.models.training import Arrays, prefixed, stripped
from compress_mpi.types import FloatArray

__all__ = ["Game", "GanLearner", "generate", "gradient_penalty"]


@dataclass(frozen=True)
class Game:
    """How the two networks are trained against each other.

    Attributes
    ----------
    critic_steps, generator_steps : int
        Steps of each in one round.
    batch : int
        Replicas of one step.
    rounds : int
        Rounds of one epoch.
    penalty : float
        Weight of the gradient penalty; 0: none.
    clip : float or None
        Largest absolute weight of the critic.
    average : float
        The generator that is kept is the running mean of its weights, with this decay per round.
    """

    critic_steps: int
    generator_steps: int
    batch: int
    rounds: int
    penalty: float
    clip: float | None
    average: float


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Mean of ``(|gradient of the critic| - 1)^2`` on lines between real and generated replicas.

    Parameters
    ----------
    critic : callable
        (n, K) to (n,).
    real, fake : Tensor (n, K)
    mix : Tensor (n, 1)
        Where on each line, from 0 (generated) to 1 (real).
    """
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return ((gradient.norm(dim=1) - 1) ** 2).mean()


class GanLearner:
    """The two networks, their optimisers and the data, as the training loop wants them.

    Parameters
    ----------
    coordinates : float64 (R, K)
        Of the prior's replicas.
    networks : tuple of Network
        Generator, critic.
    optimizers : tuple of Optimizer
        Generator, critic.
    game : Game
    latent : callable
        ``latent(n, rng)`` gives float64 (n, K).
    rng : numpy.random.Generator
        Of the initial weights.
    device : torch.device
    profile : float64 (K, flavour, x), optional
        See :class:`Generator`.
    """

    def __init__(
        self,
        coordinates: FloatArray,
        networks: tuple[Network, Network],
        optimizers: tuple[Optimizer, Optimizer],
        game: Game,
        latent: Callable[[int, np.random.Generator], FloatArray],
        rng: np.random.Generator,
        device: torch.device,
        profile: FloatArray | None = None,
    ) -> None:
        self._real = torch.tensor(coordinates, dtype=DTYPE, device=device)
        self._game, self._latent, self._device = game, latent, device
        self.generator, self.critic = _pair(coordinates.shape[1], networks, rng, device, profile)
        self._average = _averaged(self.generator)
        self._optimizers = (
            make_optimizer(self.generator, optimizers[0]),
            make_optimizer(self.critic, optimizers[1]),
        )

    def epoch(self, rng: np.random.Generator) -> dict[str, float]:
        """``rounds`` rounds; mean losses ``rdloss``, ``fdloss``, ``gploss`` and ``advloss``."""
        found: dict[str, list[Tensor]] = {"rdloss": [], "fdloss": [], "gploss": [], "advloss": []}
        for _ in range(self._game.rounds):
            for _ in range(self._game.critic_steps):
                parts = self.critic_step(self._batch(rng), self._noise(rng), self._uniform(rng))
                for name, part in zip(("rdloss", "fdloss", "gploss"), parts, strict=True):
                    found[name].append(part)
            for _ in range(self._game.generator_steps):
                found["advloss"].append(self.generator_step(self._noise(rng)))
            self._follow()
        return {name: float(torch.stack(values).mean()) for name, values in found.items()}

    def critic_step(self, real: Tensor, latent: Tensor, mix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One step up the critic's own objective.

        Returns
        -------
        tuple of Tensor
            ``-E[D(real)]``, ``E[D(fake)]`` and the gradient penalty, before the step.
        """
        with torch.no_grad():
            fake = self.generator(latent)
        on_real, on_fake = -self.critic(real).mean(), self.critic(fake).mean()
        penalty = torch.zeros((), dtype=DTYPE, device=self._device)
        if self._game.penalty:
            penalty = gradient_penalty(self.critic, real, fake, mix)
        self._step(1, on_real + on_fake + self._game.penalty * penalty)
        if self._game.clip is not None:
            with torch.no_grad():
                for parameter in self.critic.parameters():
                    parameter.clamp_(-self._game.clip, self._game.clip)
        return on_real.detach(), on_fake.detach(), penalty.detach()

    def generator_step(self, latent: Tensor) -> Tensor:
        """One step of the generator towards higher scores; ``-E[D(fake)]`` before it."""
        loss = -self.critic(self.generator(latent)).mean()
        self._step(0, loss)
        return loss.detach()

    def weights(self) -> Arrays:
        """The averaged generator, and the critic."""
        return {
            **prefixed("generator", module_arrays(self._average)),
            **prefixed("critic", module_arrays(self.critic)),
        }

    def state(self) -> Arrays:
        """All networks and optimisers."""
        return {
            **self.weights(),
            **prefixed("playing", module_arrays(self.generator)),
            **prefixed("generator_optimizer", optimizer_arrays(self._optimizers[0])),
            **prefixed("critic_optimizer", optimizer_arrays(self._optimizers[1])),
        }

    def load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Put :meth:`state` back."""
        for name, module in (
            ("generator", self._average),
            ("critic", self.critic),
            ("playing", self.generator),
        ):
            load_module(module, stripped(name, state))
        for name, optimizer in zip(
            ("generator_optimizer", "critic_optimizer"), self._optimizers, strict=True
        ):
            load_optimizer(optimizer, stripped(name, state))

    def _step(self, which: int, loss: Tensor) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizers[which].step()

    def _follow(self) -> None:
        with torch.no_grad():
            for kept, now in zip(self._average.parameters(), self.generator.parameters(), strict=True):
                kept.lerp_(now, 1 - self._game.average)

    def _batch(self, rng: np.random.Generator) -> Tensor:
        # indices are drawn by numpy, so that a GPU trains on the same batches
        chosen = rng.integers(len(self._real), size=self._game.batch)
        return self._real[torch.tensor(chosen, device=self._device)]

    def _noise(self, rng: np.random.Generator) -> Tensor:
        return torch.tensor(self._latent(self._game.batch, rng), dtype=DTYPE, device=self._device)

    def _uniform(self, rng: np.random.Generator) -> Tensor:
        return torch.tensor(rng.random((self._game.batch, 1)), dtype=DTYPE, device=self._device)


def _pair(
    components: int,
    networks: tuple[Network, Network],
    rng: np.random.Generator,
    device: torch.device,
    profile: FloatArray | None,
) -> tuple[Generator, Critic]:
    shape = None if profile is None else torch.tensor(profile, dtype=DTYPE)
    with seeded(rng):
        generator = Generator(components, networks[0], shape)
        critic = Critic(components, networks[1], shape)
    return generator.to(device, DTYPE), critic.to(device, DTYPE)


def _averaged(generator: Generator) -> Generator:
    return copy.deepcopy(generator).requires_grad_(False)


def generate(
    weights: Mapping[str, NDArray[Any]],
    network: Network,
    latent: FloatArray,
    profile: FloatArray | None = None,
) -> FloatArray:
    """Coordinates of generated replicas, on the CPU.

    Parameters
    ----------
    weights : dict of arrays
        :meth:`GanLearner.weights`.
    network : Network
        Of the generator.
    latent : float64 (n, K)
    profile : float64 (K, flavour, x), optional

    Returns
    -------
    float64 (n, K)

    Raises
    ------
    ValueError
        If the weights do not fit the network.
    """
    shape = None if profile is None else torch.tensor(profile, dtype=DTYPE)
    with seeded(np.random.default_rng(0)):
        generator = Generator(latent.shape[1], network, shape).to(DTYPE)
    load_module(generator, stripped("generator", weights))
    with torch.no_grad():
        return generator(torch.tensor(latent, dtype=DTYPE)).numpy().astype(np.float64)
