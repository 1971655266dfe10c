"""Between torch and arrays: weights, optimisers, devices, and results that repeat."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress_mpi.models.specification import Optimizer
from compress_mpi.models.training import Arrays

__all__ = [
    "load_module",
    "load_optimizer",
    "make_optimizer",
    "module_arrays",
    "optimizer_arrays",
    "pick_device",
    "repeatable",
    "seeded",
]


def pick_device(name: str) -> torch.device:
    """The device of a name: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.

    Raises
    ------
    ValueError
        If a GPU is asked for and torch finds none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: expected a GPU, but torch finds none on this machine; use 'auto' or 'cpu'")
    wanted = "cuda" if name == "auto" and torch.cuda.is_available() else name
    return torch.device("cpu" if wanted == "auto" else wanted)


@contextlib.contextmanager
def repeatable(device: torch.device | None = None) -> Iterator[None]:
    """Inside, torch uses one thread and only algorithms that repeat to the last bit.

    The networks here are small: more threads would hardly be faster, and bits would
    depend on their number. Everything is as before at the end.

    Parameters
    ----------
    device : torch.device, optional
        Of the work; default: the CPU.
    """
    # cuBLAS reads it once, when it starts
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            # On a GPU torch vouches for no cumsum. That of splines runs over a few bins, which one
            # block of threads sums in a fixed order.
            warnings.filterwarnings("ignore", message=".*cumsum.*deterministic")
            torch.use_deterministic_algorithms(True, warn_only=device is not None and device.type == "cuda")
            yield
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=only_warned)
        torch.set_num_threads(threads)


@contextlib.contextmanager
def seeded(rng: np.random.Generator) -> Iterator[None]:
    """Inside, torch's own random numbers follow from ``rng``; outside, theirs go on untouched."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**62)))
        yield


def module_arrays(module: nn.Module) -> Arrays:
    """Copies of all weights and buffers of a module."""
    return {name: _array(tensor) for name, tensor in module.state_dict().items()}


def load_module(module: nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Put :func:`module_arrays` back.

    Raises
    ------
    ValueError
        If a name is missing or unknown, or a shape differs.
    """
    own = module.state_dict()
    unknown = sorted({*arrays} ^ {*own})
    if unknown:
        raise ValueError(f"the saved model does not fit this network: '{unknown[0]}' is only in one of them")
    for name, tensor in own.items():
        if tuple(tensor.shape) != arrays[name].shape:
            raise ValueError(
                f"the saved model does not fit this network: {name} has shape {arrays[name].shape},"
                f" expected {tuple(tensor.shape)}"
            )
    module.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})


def make_optimizer(module: nn.Module, choice: Optimizer) -> torch.optim.Optimizer:
    """An optimiser for all weights of a module.

    Adam has the decay rates 0 and 0.9 of arXiv:1704.00028, RMSprop the 0.9 of Keras.
    """
    parameters = list(module.parameters())
    match choice.name:
        case "Adam":
            return torch.optim.Adam(parameters, choice.rate, betas=(0.0, 0.9))
        case "RMSprop":
            return torch.optim.RMSprop(parameters, choice.rate, alpha=0.9)
        case "Adadelta":
            return torch.optim.Adadelta(parameters, choice.rate)
        case "SGD":
            return torch.optim.SGD(parameters, choice.rate)
    raise ValueError(f"unknown optimiser '{choice.name}'")


def optimizer_arrays(optimizer: torch.optim.Optimizer) -> Arrays:
    """Copies of what an optimiser has gathered, as ``number/name`` by parameter."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}/{name}": _array(value)
        for number, values in state.items()
        for name, value in values.items()
        if value is not None
    }


def load_optimizer(optimizer: torch.optim.Optimizer, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Put :func:`optimizer_arrays` back into an optimiser of the same kind."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for path, array in arrays.items():
        number, _, name = path.partition("/")
        state.setdefault(int(number), {})[name] = torch.tensor(array)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    return np.array(tensor.detach().cpu().numpy())
