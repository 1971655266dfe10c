"""What is kept and told of an enhanced set that has just been made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

from compress_mpi.io.enhancedrecord import EnhancedRecord
from compress_mpi.methods.enhancement.basis import Basis
from compress_mpi.methods.enhancement.choose import Enhanced
from compress_mpi.methods.enhancement.guards import FIGURES
from compress_mpi.methods.enhancement.quality import MEASURES, Quality
from compress_mpi.types import FloatArray
from compress_mpi.workflows.enhance_plan import EnhancePlan
from compress_mpi.workflows.record_files import versions
from compress_mpi.workflows.selection import Run
from compress_mpi.workflows.stagefolder import read_output

__all__ = ["record_of", "summary_of"]


def record_of(
    job: Run, plan: EnhancePlan, basis: Basis, chosen: Enhanced, quality: Quality, weights: FloatArray
) -> EnhancedRecord:
    """What the sidecar will say; serial.

    Parameters
    ----------
    job : Run
    plan : EnhancePlan
    basis : Basis
    chosen : Enhanced
    quality : Quality
    weights : float64 (new, R)
        Not in the answer: every node has them.
    """
    losses: Mapping[str, FloatArray] = {}
    if plan.trained:
        losses = read_output(plan.stage_folder).losses
    guards = {
        "checks": [asdict(check) for check in chosen.checks],
        "candidates": len(chosen.reasons),
        "rejected": chosen.rejected,
        "figures": list(FIGURES),
    }
    facts = {
        "measures": list(MEASURES),
        "flavours": [job.prior.plan.label(int(f)) for f in quality.flavours],
        "faults": list(quality.faults),
    }
    arrays = {"new": quality.enhanced, "bootstrap": quality.bootstrap, "halves": quality.halves}
    return EnhancedRecord(
        name=plan.name,
        prior=job.prior.plan.pdfset.name,
        prior_sha256=job.prior.sha256,
        weights=weights[:0],
        generator=plan.kind,
        settings=json.loads(json.dumps(plan.settings)),
        seed=job.source.config.seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        versions=versions(),
        components=basis.n_components,
        explained=np.diff(basis.explained[: basis.n_components], prepend=0.0),
        candidates=chosen.numbers,
        losses=losses,
        guards=guards,
        quality=facts,
        guard_arrays={"figures_of_candidates": chosen.figures, "reasons": chosen.reasons},
        quality_arrays=arrays | {f"points_{name}": table for name, table in quality.points.items()},
        runcard=job.source.text,
    )


def summary_of(plan: EnhancePlan, chosen: Enhanced, quality: Quality) -> str:
    """What to tell of a set that has just been made."""
    rejected = ", ".join(f"{name} {count}" for name, count in chosen.rejected.items()) or "none"
    lines = [
        f"{plan.name}: {plan.total} replicas, {len(chosen.numbers)} of them new (generator {plan.kind};"
        f" rejected: {rejected})",
        f"  tree            {plan.tree.folder}",
        f"  LHAPDF set      {plan.datadir / plan.name}",
    ]
    if quality.faults:
        lines.append(f"  not fit to be published as a set: {'; '.join(quality.faults)}")
    return "\n".join(lines)
