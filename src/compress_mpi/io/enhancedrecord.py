"""What is kept about an enhanced set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from compress_mpi.types import FloatArray, IntArray

__all__ = ["EnhancedRecord", "enhanced_fingerprint"]

RECIPE_VERSION = 1
"""Raised when the same weights give other files: enhanced sets of before are then made again."""


@dataclass(frozen=True, eq=False)
class EnhancedRecord:
    """What the sidecar holds.

    Attributes
    ----------
    name, prior : str
        Of the enhanced set and of the prior.
    prior_sha256 : str
        Digest of the prior's values.
    weights : float64 (new, R)
        Rows sum to 1.
    generator : str
    settings : mapping
        JSON-able; all that decides the weights, seed included.
    seed : int
    created : str
        UTC.
    versions : mapping of str to str
    components : int
    explained : float64 (component,) or None
    candidates : int64 (new,) or None
        Numbers by which the random numbers of each new replica were drawn.
    losses : mapping of str to float64 (epoch,)
    guards, quality : mapping
        JSON-able facts.
    guard_arrays, quality_arrays : mapping of str to array
        Names of letters, digits and ``_``.
    runcard : str or None
    """

    name: str
    prior: str
    prior_sha256: str
    weights: FloatArray
    generator: str
    settings: Mapping[str, Any]
    seed: int
    created: str
    versions: Mapping[str, str]
    components: int = 0
    explained: FloatArray | None = None
    candidates: IntArray | None = None
    losses: Mapping[str, FloatArray] = field(default_factory=dict)
    guards: Mapping[str, Any] = field(default_factory=dict)
    quality: Mapping[str, Any] = field(default_factory=dict)
    guard_arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    quality_arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    runcard: str | None = None

    @property
    def total(self) -> int:
        """Replicas of the enhanced set."""
        return int(sum(self.weights.shape))

    @property
    def fingerprint(self) -> str:
        """See `enhanced_fingerprint`."""
        return enhanced_fingerprint(self.weights, self.prior_sha256, self.settings)


def enhanced_fingerprint(weights: FloatArray, prior_sha256: str, settings: Mapping[str, Any]) -> str:
    """Digest of what decides the files of an enhanced set.

    Parameters
    ----------
    weights : float64 (new, R)
    prior_sha256 : str
    settings : mapping
        JSON-able; the order of keys does not count.

    Returns
    -------
    str
        Hexadecimal SHA-256.
    """
    facts = [RECIPE_VERSION, list(weights.shape), prior_sha256, settings]
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(weights, dtype="<f8").tobytes())
    return digest.hexdigest()
