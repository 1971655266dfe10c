"""The generators that are trained, called alike: coordinates in, candidates out."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from compress_mpi.methods.enhancement.flow import FlowSettings, draw_flow, train_flow
from compress_mpi.methods.enhancement.gan import GanSettings, draw_gan, train_gan
from compress_mpi.models.training import Arrays, Hooks, Training, TrainingFailed, prefixed, stripped
from compress_mpi.types import FloatArray

__all__ = [
    "TRADES",
    "Arrays",
    "Hooks",
    "Trade",
    "Training",
    "TrainingFailed",
    "machine",
    "missing_libraries",
    "prefixed",
    "stripped",
]


@dataclass(frozen=True)
class Trade:
    """How one generator is trained and used.

    Attributes
    ----------
    settings : callable
        From a mapping, such as JSON gives; TypeError for a name that it does not know.
    train, draw : callable
        As ``train_gan`` and ``draw_gan``.
    libraries : tuple of str
        What has to be installed.
    """

    settings: Callable[[Mapping[str, Any]], Any]
    train: Callable[..., Training]
    draw: Callable[..., FloatArray]
    libraries: tuple[str, ...]


TRADES = {
    "flow": Trade(lambda content: FlowSettings(**content), train_flow, draw_flow, ("torch", "zuko")),
    "gan": Trade(GanSettings.of, train_gan, draw_gan, ("torch",)),
}
"""By name of the generator."""


def missing_libraries(name: str) -> tuple[str, ...]:
    """Libraries that a generator needs and that are not installed; imports none of them."""
    return tuple(lib for lib in TRADES[name].libraries if importlib.util.find_spec(lib) is None)


def machine(device: str) -> dict[str, str]:
    """What bits of a training depend on: device and versions.

    Parameters
    ----------
    device : str
        Of the settings.
    """
    import torch

    from compress_mpi.models.arrays import pick_device

    picked = pick_device(device)
    name = torch.cuda.get_device_name(picked) if picked.type == "cuda" else ""
    return {
        "device": str(picked),
        "device_name": name,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }
