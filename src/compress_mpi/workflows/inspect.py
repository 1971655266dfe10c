"""``inspect``: what a result file holds, for a person or for a script."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import StoreError
from compress_mpi.io import schema_enhanced
from compress_mpi.io.enhancedfile import is_enhanced_file, read_enhanced, read_enhanced_tree
from compress_mpi.io.schema import Dataset, dataset_of
from compress_mpi.io.store import Tree, estimator_names, read_tree, scales
from compress_mpi.workflows.inspect_enhanced import enhanced_facts, enhanced_page
from compress_mpi.workflows.phases import enhanced_of, phase_lines, phases_of, polish_lines, polish_of
from compress_mpi.workflows.words import end_of_search, end_text, optimum_text, parent_line, scale_text

__all__ = ["inspect_file", "interval", "summary"]

_WORST = 3
_Declaration = Callable[[str], Dataset | None]


def inspect_file(
    file: Path,
    path: str | None = None,
    as_json: bool = False,
    worst: bool = False,
    folders: Sequence[Path] = (),
) -> str:
    """Describe a result file or the sidecar of an enhanced set, or one thing in it.

    Parameters
    ----------
    file : Path
    path : str or None
        A dataset or group; None describes the whole.
    as_json : bool
        JSON instead of text. Text is coloured on a terminal.
    worst : bool
        Whether to read the prior again and name the points that weigh most in every estimator.
    folders : sequence of Path
        Where to look for the prior first.

    Raises
    ------
    StoreError
        If the file or the path cannot be read; a wrong path is answered with those there are.
    PDFSetError
        If ``worst`` is wanted and the prior cannot be read.
    """
    if is_enhanced_file(file):
        return _inspect_enhanced(file, path, as_json, worst)
    tree = read_tree(file)
    if path is not None:
        content = _content(tree, file, "/" + path.strip("/"))
        return json.dumps(content, indent=2) if as_json else _plain(content)
    try:
        facts = summary(tree)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise StoreError(
            f"{file}: damaged: /settings or versions cannot be understood ({error}); "
            "single datasets can still be shown"
        ) from error
    if worst:
        facts["worst"] = _worst_points(file, folders)
    if as_json:
        return json.dumps(facts, indent=2)
    if sys.stdout.isatty() and (sys.stdout.encoding or "").lower().startswith("utf"):
        from compress_mpi.workflows.inspect_terminal import terminal_page

        return terminal_page(file, facts, np.asarray(tree.datasets["/history/erf"]))
    return _page(file, facts)


def _inspect_enhanced(file: Path, path: str | None, as_json: bool, worst: bool) -> str:
    if worst:
        raise StoreError(f"{file}: describes an enhanced set; --worst needs the result of a compression")
    if path is None:
        facts = enhanced_facts(read_enhanced(file))
        return json.dumps(facts, indent=2) if as_json else enhanced_page(file, facts)
    content = _content(read_enhanced_tree(file), file, "/" + path.strip("/"), schema_enhanced.dataset_of)
    return json.dumps(content, indent=2) if as_json else _plain(content)


def _worst_points(file: Path, folders: Sequence[Path]) -> dict[str, list[dict[str, Any]]]:
    """The points with the largest terms, by estimator; the correlation is no sum over points."""
    from compress_mpi.methods.comparison.points import contributions, worst_points
    from compress_mpi.methods.selection.error_function import build_reference
    from compress_mpi.workflows.pair import load_pair

    pair = load_pair(None, str(file), (), folders)
    reference = build_reference(pair.prior, pair.config.estimators.names, pair.plan.nodes)
    found = {}
    for name in (name for name in reference.names if name != "correlation"):
        terms = contributions(pair.compressed, name, reference.values, reference.constant)
        found[name] = [
            {
                **point._asdict(),
                "flavour": pair.plan.column(point.flavour)[1],
                "q": pair.plan.column(point.flavour)[0],
                "x": float(pair.plan.xgrid[point.x]),
            }
            for point in worst_points(terms, _WORST)
        ]
    return found


def summary(tree: Tree) -> dict[str, Any]:
    """Facts about a run that a person asks for first.

    Returns
    -------
    dict
        JSON-able. ``estimators`` maps each name to ``erf`` (of the selection, normalised),
        ``random`` (the same of random subsets: median and 68 % interval), ``normalisation``
        and its relative ``uncertainty``. ``enhanced`` and ``polish`` are None, and ``phases`` is empty, where a
        run had none, see ``phases``.
    """
    at, data = tree.attributes, tree.datasets
    settings = json.loads(data["/settings"])
    history = np.asarray(data["/history/erf"])
    seconds = np.asarray(data["/history/seconds"])
    names = estimator_names(tree)
    norm = {name: float(at[f"/estimators/{name}", "normalisation"]) for name in names}
    trials = {name: np.asarray(data[f"/estimators/{name}/random"]) / norm[name] for name in names}
    dropped = data.get("/estimators/correlation/dropped", [])
    return {
        "schema_version": int(at["/", "schema_version"]),
        "task": str(at["/", "task"]),
        "status": str(at["/", "status"]),
        "created": str(at["/", "created"]),
        "updated": str(at["/", "updated"]),
        "versions": json.loads(at["/", "versions"]),
        "prior": {
            "name": str(at["/prior", "name"]),
            "members": int(at["/prior", "members"]),
            "first_member": int(at["/prior", "first_member"]),
            "sha256": str(at["/prior", "sha256"]),
            "q0": scales(tree)[0] if len(scales(tree)) == 1 else list(scales(tree)),
            "parents": json.loads(at.get(("/prior", "parents"), "[]")),
            "flavours": np.asarray(data["/prior/flavours"]).tolist(),
            "x": [float(data["/prior/xgrid"][0]), float(data["/prior/xgrid"][-1]), len(data["/prior/xgrid"])],
            "constant_points": int(at["/prior", "constant_points"]),
            "dropped_correlation_points": len(dropped),
        },
        "search": {
            **{key: settings["minimization"][key] for key in ("minimizer", "seed", "max_iteration")},
            "definition": settings["definition"],
            "iteration": len(history),
            "seconds": float(seconds[-1]) if len(seconds) else 0.0,
            **end_of_search(tree),
            "erf_by_iteration": {str(i + 1): float(history[i]) for i in _milestones(len(history))},
        },
        "selection": {
            "n_rep": int(at["/selection", "n_rep"]),
            "erf": float(at["/selection", "erf"]),
            "random": _spread(np.mean(list(trials.values()), axis=0)),
            "index": np.asarray(data["/selection/index"]).tolist(),
        },
        "estimators": {
            name: {
                "erf": float(at[f"/estimators/{name}", "erf"]) / norm[name],
                "random": _spread(trials[name]),
                "normalisation": norm[name],
                "uncertainty": float(at[f"/estimators/{name}", "normalisation_spread"]) / norm[name],
            }
            for name in names
        },
        "launches": [
            dict(zip(_LAUNCH, row, strict=True))
            for row in zip(*(_listed(data[f"/launches/{key}"]) for key in _LAUNCH), strict=True)
        ],
        "compressed_set": at.get(("/", "compressed_set")),
        "enhanced": enhanced_of(tree),
        "phases": phases_of(tree),
        "polish": polish_of(tree),
        "auto": _auto_facts(tree),
        "settings": settings,
    }


def _auto_facts(tree: Tree) -> dict[str, Any] | None:
    """The target that this size is the smallest to meet; None where it was not looked for."""
    target = tree.attributes.get(("/auto", "target"))
    if target is None:
        return None
    return {"target": str(target), "tried": np.asarray(tree.datasets["/auto/size"]).tolist()}


_LAUNCH = ("started", "host", "mpi", "ranks", "nodes", "threads", "first_iteration", "end")


def _listed(values: Any) -> list[Any]:
    return np.asarray(values, dtype=object if isinstance(values, list) else None).tolist()


def _milestones(n: int) -> list[int]:
    return sorted({round(n * part) - 1 for part in (0.01, 0.1, 0.25, 0.5, 1.0) if round(n * part) > 0})


def _spread(values: np.ndarray) -> dict[str, float]:
    low, median, high = np.quantile(values, [0.16, 0.5, 0.84])
    return {"median": float(median), "low": float(low), "high": float(high)}


def _content(tree: Tree, file: Path, path: str, declaration: _Declaration = dataset_of) -> Any:
    if path in tree.datasets:
        value = tree.datasets[path]
        return value if isinstance(value, (str, list)) else np.asarray(value).tolist()
    prefix = path.rstrip("/") + "/"
    group = {
        name: _described(name, value, declaration)
        for name, value in tree.datasets.items()
        if name.startswith(prefix)
    }
    attributes = {
        f"{where}@{name}": value.item() if isinstance(value, np.generic) else value
        for (where, name), value in tree.attributes.items()
        if where == path or where.startswith(prefix)
    }
    if not group and not attributes:
        raise StoreError(f"{file}: there is no {path}; there are:\n  " + "\n  ".join(sorted(tree.datasets)))
    return {**attributes, **group}


def _described(name: str, value: Any, declaration: _Declaration) -> str:
    declared = declaration(name)
    shape = "x".join(map(str, np.shape(value))) if not isinstance(value, str) else f"{len(value)} characters"
    return f"{shape or 'scalar'}; {declared.description if declared else ''}"


def _plain(content: Any) -> str:
    if isinstance(content, dict):
        return "\n".join(f"{key}: {value}" for key, value in content.items())
    if isinstance(content, list):
        return "\n".join(" ".join(map(str, row)) if isinstance(row, list) else str(row) for row in content)
    return str(content)


def _page(file: Path, facts: dict[str, Any]) -> str:
    prior, search, selection = facts["prior"], facts["search"], facts["selection"]
    more = facts["enhanced"]
    lines = [
        f"{file}: {facts['task']}, {facts['status']}",
        f"prior       {prior['name']}, {prior['members']} replicas, q0 = {scale_text(prior['q0'])}, flavours "
        f"{prior['flavours']}, {prior['x'][2]} nodes x = {prior['x'][0]:.3g} ... {prior['x'][1]:.3g}",
        *(f"            {parent_line(parent)}" for parent in prior["parents"]),
        f"            sha256 {prior['sha256'][:16]}..., {prior['constant_points']} constant points and "
        f"{prior['dropped_correlation_points']} dependent correlation points left out",
        *(
            [f"enhanced    {more['name']}, {more['members']} replicas, sha256 {more['sha256'][:16]}..."]
            if more
            else []
        ),
        f"search      {search['minimizer']}, seed {search['seed']}, definition '{search['definition']}', "
        f"iteration {search['iteration']}, {search['seconds']:.1f} s",
        f"            budget {search['budget']}; {end_text(search)}",
        *_titled("phases", phase_lines(facts["phases"])),
        f"selection   {selection['n_rep']} replicas, ERF {selection['erf']:.6g} "
        f"(random subsets {interval(selection['random'])})",
        f"            {optimum_text(search['local_optimum'])}",
        "            convergence: "
        + ", ".join(f"{i}: {e:.4g}" for i, e in search["erf_by_iteration"].items()),
        *_titled("polish", polish_lines(facts["polish"]) if facts["polish"] else []),
        "",
        f"{'estimator':<20}{'ERF':>10}   {'random, 68 %':<28}{'normalisation':>14}",
    ]
    lines += [
        f"{name:<20}{e['erf']:>10.4g}   {interval(e['random']):<28}{e['normalisation']:>14.5g} "
        f"+- {100 * e['uncertainty']:.1f} %"
        for name, e in facts["estimators"].items()
    ]
    lines += ["", f"{'launch':<28}{'ranks':>6}{'nodes':>6}{'threads':>8}  from iteration   end"]
    lines += [
        f"{row['started']:<28}{row['ranks']:>6}{row['nodes']:>6}{row['threads']:>8}"
        f"  {row['first_iteration']:>14}   {row['end']}"
        for row in facts["launches"]
    ]
    lines += ["", *_worst_lines(facts.get("worst", {}))]
    if facts["auto"]:
        tried = ", ".join(map(str, facts["auto"]["tried"]))
        lines += [f"auto: the smallest size that meets the {facts['auto']['target']}; tried: {tried}"]
    if facts["compressed_set"]:
        lines += [f"compressed set: {facts['compressed_set']}"]
    lines += [f"created {facts['created']}, updated {facts['updated']}, layout {facts['schema_version']}"]
    lines += [", ".join(f"{name} {version}" for name, version in facts["versions"].items())]
    return "\n".join([*lines, "", "index " + " ".join(map(str, selection["index"]))])


def _titled(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{'' if number else title:<12}{line}" for number, line in enumerate(lines)]


def _worst_lines(worst: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Points that weigh most, one line each."""
    if not worst:
        return []
    several = len({p["q"] for points in worst.values() for p in points}) > 1
    lines = [f"{'worst points':<20}{'share':>8}{'flavour':>9}{'x':>11}{'prior':>12}{'selection':>12}"]
    for name, points in worst.items():
        lines += [
            f"{name:<20}{100 * p['share']:>6.1f} %{p['flavour']:>9}{p['x']:>11.4g}{p['prior']:>12.4g}"
            f"{p['subset']:>12.4g}"
            + (f"   region {p['region'] + 1}" if p["region"] is not None else "")
            + (f"   {p['q']:g} GeV" if several else "")
            for p in points
        ]
    return [*lines, ""]


def interval(spread: dict[str, float]) -> str:
    """Median and 68 % interval in words."""
    return f"{spread['median']:.3g} ({spread['low']:.3g} to {spread['high']:.3g})"
