"""``check``: everything that a run would refuse, and what it would do, without doing it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compress_mpi.io.runcard import RuncardSource, load_runcard, without_enhancement
from compress_mpi.io.store import read_tree
from compress_mpi.parallel.launcher import cores_available
from compress_mpi.workflows.check_enhanced import enhanced_lines, enhancement_facts, polish_facts
from compress_mpi.workflows.enhance_plan import EnhancePlan, plan_enhancement
from compress_mpi.workflows.outputs import (
    Outputs,
    first_phase,
    names_a_file,
    plan_outputs,
    require_writable,
)
from compress_mpi.workflows.plan import PROCESS_BYTES, Cost, estimate, reading_seconds, seconds_on
from compress_mpi.workflows.plan_enhanced import member_bytes
from compress_mpi.workflows.polish import polished_name
from compress_mpi.workflows.prior import PriorPlan, plan_prior
from compress_mpi.workflows.record_files import other_settings, refuse_other_run
from compress_mpi.workflows.targets import planned_sizes, target_of
from compress_mpi.workflows.words import budget_text, human_bytes, human_seconds, parent_line, scale_text

__all__ = ["DryRun", "check_runcard", "describe", "dry_run"]


@dataclass(frozen=True)
class DryRun:
    """A runcard that would run.

    Attributes
    ----------
    source : RuncardSource
    plan : PriorPlan
    outputs : list of (Outputs, str)
        Files of every size, and what a run would do about them.
    more : EnhancePlan or None
        Where there is an enhanced set.
    first : list of (Outputs, str)
        The same for the prior alone, which is searched before an enhanced set is; else empty.
    warnings : tuple of str
    """

    source: RuncardSource
    plan: PriorPlan
    outputs: list[tuple[Outputs, str]]
    more: EnhancePlan | None = None
    first: Sequence[tuple[Outputs, str]] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a run would warn of at its start."""
        return (*self.source.warnings, *self.plan.warnings, *(self.more.warnings if self.more else ()))


def dry_run(
    runcard: Path,
    overrides: Sequence[str] = (),
    folders: Sequence[Path] = (),
    backend: str | None = None,
    restart: bool = False,
) -> DryRun:
    """Refuse whatever a run would refuse before its work starts; nothing is left behind.

    Parameters
    ----------
    runcard : Path
    overrides : sequence of str
        ``key=value``.
    folders : sequence of Path
        Where to look for the set first.
    backend : str or None
        Reader of LHAPDF sets; None takes the runcard's.
    restart : bool
        Whether the run would start over.

    Raises
    ------
    CompressError
        As the run would.
    """
    source = load_runcard(runcard, overrides)
    plan = plan_prior(source.config, folders, backend or source.config.backend)
    more = plan_enhancement(source, plan, folders) if source.config.enhanced else None
    sizes = planned_sizes(source.config, len(plan.members))
    numbered = isinstance(source.config.compressed, str) or None
    name = more.name if more is not None else ""
    outputs = plan_outputs(source.config.output, plan.pdfset.name, sizes, numbered, name)
    named = not names_a_file(source.config.output)
    first = [first_phase(output, named) for output in outputs] if more is not None else []
    for output in (*outputs, *first):
        require_writable(output)
    if source.config.task == "enhance":
        return DryRun(source, plan, [], more)
    # the first phase does what a runcard without enhancement would do
    alone = without_enhancement(source)
    return DryRun(
        source,
        plan,
        [(output, _prospect(source, output, restart)) for output in outputs],
        more,
        [(output, _prospect(alone, output, restart)) for output in first],
    )


def _prospect(source: RuncardSource, output: Outputs, restart: bool) -> str:
    """What a run would do with the result file."""
    if not output.result.exists():
        return "new"
    tree = read_tree(output.result)
    if restart:
        return "started over, the file there is replaced"
    refuse_other_run(output.result, other_settings(tree, source, output.n_rep))
    done = len(tree.datasets["/history/erf"])
    complete = tree.attributes["/", "status"] == "complete"
    return "complete already" if complete else f"goes on after iteration {done}"


def describe(run: DryRun, cost: Cost, cores: int) -> dict[str, Any]:
    """The plan as JSON-able facts.

    Parameters
    ----------
    run : DryRun
    cost : Cost
        See ``plan.estimate``.
    cores : int
        Threads of a run in one process.

    Returns
    -------
    dict
        Bytes and seconds as plain numbers. Sizes that are complete take no time.
    """
    plan, config = run.plan, run.source.config
    sizes = [] if config.task == "enhance" else _sizes(run, cost, cores)
    return {
        "runcard": str(run.source.path),
        "task": config.task,
        "settings": run.source.effective,
        "prior": _prior(plan),
        "estimators": list(config.estimators.names),
        "points": cost.points,
        "correlation_points": cost.correlation_points,
        "search": {
            "minimizer": config.minimizer,
            "islands": cost.islands,
            "max_iteration": config.max_iteration,
            "budget": budget_text(run.source.effective["minimization"]),
            "trials": config.trials,
        },
        "memory": {
            "node_bytes": cost.node_bytes,
            "rank_bytes": PROCESS_BYTES,
            "island_bytes": max(size.state_bytes for size in cost.sizes),
        },
        "machine": {"cores": cores, "seconds_to_read": reading_seconds(cost, 1)},
        "seconds": reading_seconds(cost, 1) + sum(size["seconds"] for size in sizes),
        "enhancement": _enhancement(run, cost),
        "polish": polish_facts(config),
        "sizes": sizes,
        "auto": _auto(run),
        "warnings": list(run.warnings),
    }


def _sizes(run: DryRun, cost: Cost, cores: int) -> list[dict[str, Any]]:
    before: list[tuple[Outputs, str] | None] = [*run.first] or [None] * len(run.outputs)
    polished = run.source.config.polish.radius is not None
    return [
        {
            "n_rep": size.n_rep,
            "status": prospect,
            "evaluations": size.evaluations,
            "evaluations_per_second_and_core": size.rate,
            "seconds": 0.0 if "complete" in prospect else seconds_on(cost, size, cores, 1),
            "files": {
                name: {"path": str(p), "exists": p.exists()} for name, p in _files(output, polished).items()
            },
            "set_bytes": (output.n_rep + 1) * member_bytes(run.plan),
            "first_phase": None if one is None else {"path": str(one[0].result), "status": one[1]},
        }
        for size, (output, prospect), one in zip(cost.sizes, run.outputs, before, strict=True)
    ]


def _enhancement(run: DryRun, cost: Cost) -> dict[str, Any] | None:
    if run.more is None or cost.enhanced is None:
        return None
    return enhancement_facts(run.source.config, run.more, cost.enhanced)


def _auto(run: DryRun) -> dict[str, Any] | None:
    """What ``compressed: auto`` will look for; None for sizes that are given."""
    config = run.source.config
    if not isinstance(config.compressed, str):
        return None
    target = target_of(config.auto, len(run.plan.members))
    return {"target": str(target), "smallest": target.smallest, "largest": target.largest}


def _files(output: Outputs, polished: bool) -> dict[str, Path]:
    more = {"polished_set": output.folder / polished_name(output)} if polished else {}
    return {
        "result": output.result,
        "compressed_set": output.folder / output.set_name,
        **more,
        "selection": output.compress_dat,
        "random": output.erf_random,
        "reduced": output.erf_reduced,
    }


def _prior(plan: PriorPlan) -> dict[str, Any]:
    return {
        "name": plan.pdfset.name,
        "path": str(plan.pdfset.path),
        "members": len(plan.members),
        "first_member": plan.members[0],
        "flavours": list(plan.flavours),
        "absent": [pid for pid in plan.flavours if pid not in plan.pdfset.flavours],
        "x": {"min": float(plan.xgrid[0]), "max": float(plan.xgrid[-1]), "nodes": len(plan.xgrid)},
        "q0": plan.q0,
        "backend": plan.backend,
        "parents": _parents(plan),
    }


def _parents(plan: PriorPlan) -> list[dict[str, Any]]:
    return [parent.facts() for parent in plan.combination.parents] if plan.combination else []


def check_runcard(
    runcard: Path,
    overrides: Sequence[str] = (),
    folders: Sequence[Path] = (),
    backend: str | None = None,
    as_json: bool = False,
    restart: bool = False,
) -> tuple[str, tuple[str, ...]]:
    """The dry run as text, or as JSON, and its warnings; arguments and errors as for ``dry_run``."""
    run = dry_run(runcard, overrides, folders, backend, restart)
    facts = describe(run, estimate(run.source.config, run.plan, run.more), cores_available())
    return json.dumps(facts, indent=2) if as_json else "\n".join(_lines(facts)), run.warnings


def _lines(facts: dict[str, Any]) -> list[str]:
    memory, machine = facts["memory"], facts["machine"]
    only_enhance = facts["task"] == "enhance"
    return [
        f"{facts['runcard']}: would run",
        *_prior_lines(facts["prior"]),
        *([] if only_enhance else _search_lines(facts)),
        *enhanced_lines(facts["enhancement"], None if only_enhance else facts["polish"]),
        f"memory      {human_bytes(memory['node_bytes'])} per node, {human_bytes(memory['rank_bytes'])} per rank for "
        f"Python and its libraries, {human_bytes(memory['island_bytes'])} per island",
        f"time        about {human_seconds(facts['seconds'])} here in one process on {machine['cores']} cores; "
        f"reading takes {human_seconds(machine['seconds_to_read'])} of it",
        *_auto_lines(facts["auto"]),
        *(line for size in facts["sizes"] for line in _size_lines(size)),
    ]


def _prior_lines(prior: dict[str, Any]) -> list[str]:
    x = prior["x"]
    return [
        f"prior       {prior['name']} in {prior['path']}",
        f"            {prior['members']} replicas to select from, numbered from {prior['first_member']}; "
        f"read by {prior['backend']}",
        *(f"            {parent_line(parent)}" for parent in prior["parents"]),
        f"            q0 = {scale_text(prior['q0'])}, flavours {prior['flavours']}, {x['nodes']} nodes "
        f"x = {x['min']:.3g} ... {x['max']:.3g}",
    ]


def _search_lines(facts: dict[str, Any]) -> list[str]:
    search = facts["search"]
    return [
        f"estimators  {', '.join(facts['estimators'])}",
        f"            {facts['points']} points, {facts['correlation_points']} of them in the correlation matrix, "
        "at most",
        f"search      {search['minimizer']}, {search['islands']} islands, budget {search['budget']}; "
        f"{search['trials']} random subsets",
    ]


def _auto_lines(auto: dict[str, Any] | None) -> list[str]:
    if auto is None:
        return []
    return [
        f"auto        smallest size from {auto['smallest']} to {auto['largest']} that meets: {auto['target']}",
        "            time and sizes here are those of the first round; only the size that is chosen gets a set",
    ]


def _size_lines(size: dict[str, Any]) -> list[str]:
    width = max(len(name) for name in size["files"])
    return [
        "",
        f"N = {size['n_rep']}: {size['status']}; {size['evaluations']:.3g} evaluations at "
        f"{size['evaluations_per_second_and_core']:.3g} per second and core, {human_seconds(size['seconds'])}",
        *(
            f"  {name.replace('_', ' '):<{width}}  {entry['path']}"
            + ("  (exists)" if entry["exists"] else "")
            for name, entry in size["files"].items()
        ),
        *_first_line(size["first_phase"], width),
        f"  {'':<{width}}  the set will take {human_bytes(size['set_bytes'])}",
    ]


def _first_line(first: dict[str, str] | None, width: int) -> list[str]:
    return [] if first is None else [f"  {'prior alone':<{width}}  {first['path']}: {first['status']}"]
