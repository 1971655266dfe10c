"""``inspect`` for the sidecar of an enhanced set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.io.enhancedfile import EnhancedRecord

__all__ = ["enhanced_facts", "enhanced_page"]


def enhanced_facts(record: EnhancedRecord) -> dict[str, Any]:
    """What a person asks first about an enhanced set; JSON-able."""
    weights = record.weights
    used = np.count_nonzero(weights, axis=1)
    losses = {name: np.ravel(values) for name, values in record.losses.items()}
    return {
        "task": "enhance",
        "name": record.name,
        "prior": {"name": record.prior, "members": weights.shape[1], "sha256": record.prior_sha256},
        "total_replicas": record.total,
        "new_replicas": len(weights),
        "generator": record.generator,
        "seed": record.seed,
        "components": record.components,
        "parents_per_replica": [int(used.min()), int(used.max())] if used.size else [0, 0],
        "largest_weight": float(np.abs(weights).max(initial=0.0)),
        "row_sum_error": float(np.abs(weights.sum(axis=1) - 1).max(initial=0.0)),
        "losses": {
            name: {"epochs": len(values), "last": float(values[-1]) if len(values) else None}
            for name, values in losses.items()
        },
        "guards": dict(record.guards),
        "quality": dict(record.quality),
        "settings": dict(record.settings),
        "fingerprint": record.fingerprint,
        "created": record.created,
        "versions": dict(record.versions),
    }


def enhanced_page(file: Path, facts: dict[str, Any]) -> str:
    """The same as text."""
    prior, parents = facts["prior"], facts["parents_per_replica"]
    lines = [
        f"{file}: enhanced set {facts['name']}",
        f"prior       {prior['name']}, {prior['members']} replicas, sha256 {prior['sha256'][:16]}...",
        f"replicas    {facts['total_replicas']}: those of the prior, then {facts['new_replicas']} new ones",
        f"generator   {facts['generator']}, seed {facts['seed']}"
        + (f", {facts['components']} principal components" if facts["components"] else ""),
        f"weights     of {parents[0]} to {parents[1]} replicas each, the largest {facts['largest_weight']:.4g}; "
        f"rows sum to 1 within {facts['row_sum_error']:.1e}",
        *(
            f"loss        {name}: {one['last']} after {one['epochs']} epochs"
            for name, one in facts["losses"].items()
        ),
        *_group("guards", facts["guards"]),
        *_group("quality", facts["quality"]),
        *_group("settings", facts["settings"]),
        f"created     {facts['created']}, fingerprint {facts['fingerprint'][:16]}...",
        ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
    ]
    return "\n".join(lines)


def _group(title: str, facts: dict[str, Any]) -> list[str]:
    lines = list(_lines(facts, ""))
    return [f"{title if number == 0 else '':<12}{line}" for number, line in enumerate(lines)]


def _lines(facts: dict[str, Any], indent: str) -> Iterator[str]:
    for key, value in facts.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from _lines(value, indent + "  ")
        elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            yield f"{indent}{key}:"
            for item in value:
                yield f"{indent}  " + ", ".join(f"{name} {_shown(one)}" for name, one in item.items())
        else:
            yield f"{indent}{key}: {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
