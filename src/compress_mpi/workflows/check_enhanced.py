"""The part of ``check`` that is about an enhancement and a polish."""

from __future__ import annotations

from typing import Any

from compress_mpi.io.settings import CompressConfig
from compress_mpi.workflows.enhance_plan import EnhancePlan
from compress_mpi.workflows.plan_enhanced import EnhancedCost
from compress_mpi.workflows.record import PHASES
from compress_mpi.workflows.words import human_bytes, human_seconds

__all__ = ["enhanced_lines", "enhancement_facts", "polish_facts"]


def enhancement_facts(config: CompressConfig, more: EnhancePlan, cost: EnhancedCost) -> dict[str, Any]:
    """What an enhancement would make and where; JSON-able."""
    return {
        "name": more.name,
        "generator": more.kind,
        "settings": more.settings,
        "pool": cost.pool,
        "new_replicas": cost.new,
        "phases": list(PHASES) if config.task == "compress" else [],
        "training": _training(config, more),
        "tree": None if more.existing is not None else str(more.tree.folder),
        "exists": more.existing is not None or more.tree.sidecar.exists(),
        "set": str(more.datadir / more.name if more.existing is None else more.existing.path),
        "files": cost.files,
        "links": cost.links,
        "disk_bytes": cost.disk_bytes,
        "knots": cost.knots,
        "memory": {
            "knots_bytes": cost.knots_bytes,
            "weights_bytes": cost.weights_bytes,
            "pool_bytes": cost.pool_bytes,
        },
    }


def _training(config: CompressConfig, more: EnhancePlan) -> dict[str, Any] | None:
    """Where a network is trained; None where there is none."""
    if not more.trained:
        return None
    launch = config.launch
    return {
        "where": launch.where,
        "folder": str(more.stage_folder),
        "device": config.generator.device,
        "partition": launch.partition,
        "gpus": None if launch.where in ("local", "process") else launch.gpus,
        "seconds": None if launch.where == "local" else launch.time,
        "network": more.settings["network"],
        "saved_model": None if more.saved is None else str(more.saved),
    }


def polish_facts(config: CompressConfig) -> dict[str, Any] | None:
    """What a polish would do; None where none is asked for."""
    return None if config.polish.radius is None else config.polish.model_dump()


def enhanced_lines(more: dict[str, Any] | None, polish: dict[str, Any] | None) -> list[str]:
    """Both as text."""
    lines = [] if more is None else _enhancement_lines(more)
    if polish is not None:
        lines.append(
            f"polish      within {polish['radius']:g} standard deviations of a component, {polish['candidates']} "
            f"minimisations of {polish['steps']} steps; their time is not counted"
        )
    return lines


def _enhancement_lines(more: dict[str, Any]) -> list[str]:
    if more["tree"] is None:
        head = [
            f"enhanced    {more['name']} in {more['set']}, as it is: {more['pool']} replicas to select from"
        ]
    else:
        head = [
            f"enhanced    {more['name']} by '{more['generator']}', {more['new_replicas']} new replicas"
            f"{'; a set of that name is there' if more['exists'] else ''}",
            f"            {more['files']} files in {more['tree']}, {human_bytes(more['disk_bytes'])}; "
            f"{more['links']} links in {more['set']}",
            f"            memory per node: {human_bytes(more['memory']['knots_bytes'])} for the prior on "
            f"{more['knots']} knots, {human_bytes(more['memory']['weights_bytes'])} for new replicas, "
            f"{human_bytes(more['memory']['pool_bytes'])} to select from {more['pool']}",
        ]
    if more["training"] is not None:
        head.append(f"training    {_training_text(more['training'])}")
    if more["phases"]:
        making = "" if more["tree"] is None else "; making the set is not counted in the time"
        head.append(f"phases      {', '.join(more['phases'])}{making}")
    return head


def _training_text(training: dict[str, Any]) -> str:
    if training["where"] == "local":
        where = f"in the first process of the run, on device '{training['device']}'"
    elif training["where"] == "process":
        where = f"in a process of its own on this machine, on device '{training['device']}'"
    else:
        queue = f", partition {training['partition']}" if training["partition"] else ""
        where = (
            f"in a job of its own ({training['where']}{queue}, {training['gpus']} GPUs, at most "
            f"{human_seconds(training['seconds'])})"
        )
    saved = f", with the model of {training['saved_model']}" if training["saved_model"] else ""
    return f"{where}{saved}; folder {training['folder']}"
