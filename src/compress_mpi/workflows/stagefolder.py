"""The folder of a stage: the request and the input that a driver writes, the output that it reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.errors import OutputError, StoreError
from compress_mpi.io.arrayfile import read_arrays, write_arrays
from compress_mpi.io.atomic import atomic_write
from compress_mpi.launch.donefile import STAGE, stage_digest
from compress_mpi.launch.files import read_json, write_json
from compress_mpi.methods.enhancement.trained import TRADES, Arrays, stripped
from compress_mpi.types import FloatArray

__all__ = [
    "CHECKPOINT",
    "FORMAT",
    "INPUT",
    "OUTPUT",
    "PROGRESS",
    "StageOutput",
    "read_input",
    "read_output",
    "read_request",
    "write_losses",
    "write_stage",
]

INPUT, PROGRESS, CHECKPOINT, OUTPUT = "input.h5", "progress.json", "checkpoint.h5", "output.h5"
FORMAT = "compress-mpi stage"
"""Attribute ``format`` of input and output."""


@dataclass(frozen=True)
class StageOutput:
    """What a stage made.

    Attributes
    ----------
    candidates : float64 (n, K)
        Coordinates of new replicas; some may be unusable, see ``methods.enhancement.guards``.
    losses : dict of float64 (epoch,)
    model : dict of arrays
        The trained weights.
    facts : dict
        ``stage``, ``settings`` (JSON), ``seed``, ``device``, ``seconds``, ``epochs``, ``best_epoch``, versions.
    """

    candidates: FloatArray
    losses: dict[str, FloatArray]
    model: Arrays
    facts: dict[str, Any]


def write_stage(
    folder: Path,
    stage: str,
    settings: Mapping[str, Any],
    seed: int,
    candidates: int,
    coordinates: FloatArray,
    *,
    profile: FloatArray | None = None,
    saved: Path | None = None,
) -> None:
    """Write the request and the input of a stage; the same request again changes nothing.

    Parameters
    ----------
    folder : Path
        Made if need be.
    stage : {"flow", "gan"}
    settings : mapping
        Of ``FlowSettings`` or ``GanSettings``; what is left out has its default.
    seed : int
    candidates : int
        Number of points to draw.
    coordinates : float64 (R, K)
        Of the prior's replicas, components of variance 1.
    profile : float64 (K, flavour, x), optional
        ``profile_of``; for ``architecture: dcnn``.
    saved : Path, optional
        ``output.h5`` of an earlier stage, whose model is used without training.

    Raises
    ------
    OutputError
        If the folder cannot be written.
    """
    arrays = {"coordinates": coordinates, **({} if profile is None else {"profile": profile})}
    request = {
        "stage": stage,
        "settings": json.loads(json.dumps(dict(settings))),
        "seed": seed,
        "candidates": candidates,
        "input": _content_digest(arrays),
        "saved": None if saved is None else str(saved.absolute()),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made: {error.strerror or error}; choose another folder"
        ) from error
    if read_json(folder / STAGE) != request or not (folder / INPUT).exists():
        write_arrays(folder / INPUT, arrays, {"format": FORMAT})
        write_json(folder / STAGE, request)


def read_output(folder: Path) -> StageOutput:
    """What a finished stage made.

    Parameters
    ----------
    folder : Path
        Of the stage, after its done-file says 0.

    Raises
    ------
    StoreError
        If the output is missing, damaged, or of another request.
    """
    arrays, facts = read_arrays(folder / OUTPUT)
    if facts.get("digest") != stage_digest(folder):
        raise StoreError(f"{folder / OUTPUT}: made for another request; remove it and start again")
    return StageOutput(arrays["candidates"], stripped("losses", arrays), stripped("model", arrays), facts)


def write_losses(path: Path, losses: Mapping[str, FloatArray]) -> None:
    """Write ``losses_info.json``: as the published program, a list with one mapping, here every epoch.

    Parameters
    ----------
    path : Path
    losses : mapping of float64 (epoch,)
        Of the GAN: ``rdloss`` and ``fdloss``, the critic's on real and on generated replicas, ``gploss``, its
        gradient penalty, ``advloss``, the generator's. Of the flow: ``train`` and ``validation``.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    content = {name: np.asarray(values).tolist() for name, values in losses.items()}
    atomic_write(path, json.dumps([content], indent=2) + "\n")


def read_request(folder: Path) -> dict[str, Any]:
    """The request of a stage.

    Raises
    ------
    StoreError
        If it is missing or incomplete.
    """
    path, request = folder / STAGE, read_json(folder / STAGE)
    known = {"stage", "settings", "seed", "candidates", "input", "saved"}
    if request is None or known - {*request}:
        lacking = "" if request is None else f"; it lacks {', '.join(sorted(known - {*request}))}"
        raise StoreError(
            f"{path}: expected the request of a stage{lacking}; start the run that wrote it again"
        )
    if request["stage"] not in TRADES:
        raise StoreError(f"{path}: stage: expected one of {', '.join(TRADES)}, got {request['stage']!r}")
    return request


def read_input(folder: Path, digest: str) -> dict[str, NDArray[Any]]:
    """Arrays of the input: ``coordinates``, and ``profile`` where the stage wants one.

    Parameters
    ----------
    folder : Path
    digest : str
        That the request holds.

    Raises
    ------
    StoreError
        If the input is missing, damaged or another one.
    """
    arrays, _ = read_arrays(folder / INPUT)
    if _content_digest(arrays) != digest:
        raise StoreError(
            f"{folder / INPUT}: not the input that {STAGE} names; start the run that wrote them again"
        )
    return arrays


def _content_digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    content = hashlib.sha256()
    for name in sorted(arrays):
        content.update(f"{name} {arrays[name].shape}".encode())
        content.update(np.ascontiguousarray(arrays[name], dtype=np.float64).tobytes())
    return content.hexdigest()
