"""``diff``: what differs between two results, and whether their ERFs may be compared at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.errors import StoreError
from compress_mpi.io.runcard import RESUMABLE_KEYS
from compress_mpi.io.store import Tree, estimator_names, read_tree
from compress_mpi.types import IntArray
from compress_mpi.workflows.phases import enhanced_of, phases_of, polish_of

__all__ = ["compare_results", "diff_files"]

_GRID = ("flavours", "xgrid", "q0")
_LAUNCH = ("started", "host", "mpi", "ranks", "nodes", "threads", "first_iteration", "end")


def diff_files(first: Path, second: Path, as_json: bool = False) -> str:
    """Tell what differs.

    Parameters
    ----------
    first, second : Path
        Result files, also unfinished ones.
    as_json : bool
        JSON instead of text.

    Raises
    ------
    StoreError
        If either cannot be read or is of another task.
    """
    trees = _read(first), _read(second)
    try:
        facts = {"files": [str(first), str(second)], **compare_results(*trees)}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise StoreError(
            f"{first} or {second}: damaged: /settings or versions cannot be understood ({error})"
        ) from error
    return json.dumps(facts, indent=2) if as_json else "\n".join(_lines(facts))


def _read(path: Path) -> Tree:
    tree = read_tree(path)
    task = str(tree.attributes["/", "task"])
    if task != "compress":
        raise StoreError(f"{path}: a result of task '{task}'; expected 'compress'")
    return tree


def compare_results(first: Tree, second: Tree) -> dict[str, Any]:
    """Differences between two results.

    Parameters
    ----------
    first, second : Tree

    Returns
    -------
    dict
        JSON-able. ``settings``, ``versions``, ``prior`` and ``enhanced`` map what differs to ``[first, second]``;
        ``phases`` and ``polish`` hold both ERFs, None where one has none; ``selection`` counts shared replicas
        (numbers above those of the prior only where the enhanced sets agree); ``erf`` holds both totals, whether
        they may be compared (``reasons`` says why not), and, where only the normalisation differs, both totals
        under that of the first (``common``).
    """
    trees = first, second
    settings = [json.loads(tree.datasets["/settings"]) for tree in trees]
    return {
        "identical": _same_answer(first, second),
        "status": [str(tree.attributes["/", "status"]) for tree in trees],
        "settings": _changed(*(dict(_flat(one)) for one in settings)),
        "versions": _changed(*(json.loads(tree.attributes["/", "versions"]) for tree in trees)),
        "prior": _changed(*(_prior(tree) for tree in trees)),
        "enhanced": _changed(*(enhanced_of(tree) or {} for tree in trees)),
        "launches": [_launches(tree) for tree in trees],
        "selection": _overlap(first, second),
        "phases": _phases(first, second),
        "polish": _polish(first, second),
        "erf": _erf(first, second, settings),
        "estimators": {
            name: [_estimator(tree, name) for tree in trees]
            for name in dict.fromkeys([*estimator_names(first), *estimator_names(second)])
        },
    }


def _same_answer(first: Tree, second: Tree) -> bool:
    """Bit for bit the same search, whoever ran it."""
    names: tuple[str, ...]
    names = ("/selection/index", "/history/erf", "/prior/xgrid", "/prior/flavours", "/prior/q0")
    if polish_of(first) is not None or polish_of(second) is not None:
        names = (*names, "/polish/weights")
    marks = (("/prior", "sha256"), ("/selection", "erf"))
    return all(_same_array(first, second, name) for name in names) and all(
        bool(first.attributes[mark] == second.attributes[mark]) for mark in marks
    )


def _same_array(first: Tree, second: Tree, name: str) -> bool:
    one, two = (tree.datasets.get(name) for tree in (first, second))
    if one is None or two is None:
        return one is two
    return np.array_equal(np.asarray(one), np.asarray(two))


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _changed(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Any]]:
    keys = dict.fromkeys([*first, *second])
    return {key: [first.get(key), second.get(key)] for key in keys if first.get(key) != second.get(key)}


def _prior(tree: Tree) -> dict[str, Any]:
    names = ("name", "members", "first_member", "sha256")
    facts = {name: _plain(tree.attributes["/prior", name]) for name in names}
    return facts | {name: _plain(tree.datasets[f"/prior/{name}"]) for name in _GRID}


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def _launches(tree: Tree) -> list[dict[str, Any]]:
    columns = [np.asarray(tree.datasets[f"/launches/{key}"], dtype=object).tolist() for key in _LAUNCH]
    return [dict(zip(_LAUNCH, row, strict=True)) for row in zip(*columns, strict=True)]


def _overlap(first: Tree, second: Tree) -> dict[str, Any]:
    one, two = (np.asarray(tree.datasets["/selection/index"]) for tree in (first, second))
    shared = np.intersect1d(one, two)
    if not _same_pool(first, second):
        # of two enhanced sets only the replicas of the prior, which come first, are the same
        shared = shared[shared <= min(_last_of_prior(tree) for tree in (first, second))]
    return {
        "n_rep": [len(one), len(two)],
        "shared": len(shared),
        "only_first": np.setdiff1d(one, shared).tolist(),
        "only_second": np.setdiff1d(two, shared).tolist(),
        "from_enhanced": [_new_ones(tree, index) for tree, index in ((first, one), (second, two))],
    }


def _same_pool(first: Tree, second: Tree) -> bool:
    pools = [tree.attributes.get(("/enhanced", "sha256")) for tree in (first, second)]
    return bool(pools[0] == pools[1])


def _last_of_prior(tree: Tree) -> int:
    return int(tree.attributes["/prior", "first_member"]) + int(tree.attributes["/prior", "members"]) - 1


def _new_ones(tree: Tree, index: IntArray) -> int:
    return int(np.count_nonzero(index > _last_of_prior(tree))) if enhanced_of(tree) else 0


def _phases(first: Tree, second: Tree) -> dict[str, list[float | None]]:
    found = [{one["name"]: one["erf"] for one in phases_of(tree)} for tree in (first, second)]
    return {name: [erfs.get(name) for erfs in found] for name in dict.fromkeys([*found[0], *found[1]])}


def _polish(first: Tree, second: Tree) -> list[float | None] | None:
    found = [polish_of(tree) for tree in (first, second)]
    if found == [None, None]:
        return None
    return [None if one is None else one["erf"] for one in found]


def _estimator(tree: Tree, name: str) -> dict[str, float] | None:
    at = tree.attributes
    if (f"/estimators/{name}", "erf") not in at:
        return None
    distance, norm, spread = (
        float(at[f"/estimators/{name}", key]) for key in ("erf", "normalisation", "normalisation_spread")
    )
    return {"distance": distance, "normalisation": norm, "uncertainty": spread / norm, "erf": distance / norm}


def _erf(first: Tree, second: Tree, settings: list[dict[str, Any]]) -> dict[str, Any]:
    reasons = _not_the_same_distance(first, second, settings)
    common = None
    if not reasons:
        names = estimator_names(first)
        norms = [_values(tree, names, "normalisation") for tree in (first, second)]
        if not np.array_equal(norms[0], norms[1]):
            off = float(np.max(np.abs(norms[1] / norms[0] - 1)))
            reasons.append(f"the normalisations differ, by up to {100 * off:.2g} %")
            common = [float(np.mean(_values(t, names, "erf") / norms[0])) for t in (first, second)]
    totals = [float(tree.attributes["/selection", "erf"]) for tree in (first, second)]
    return {"total": totals, "comparable": not reasons, "reasons": reasons, "common": common}


def _values(tree: Tree, names: list[str], key: str) -> np.ndarray:
    return np.array([tree.attributes[f"/estimators/{name}", key] for name in names])


def _not_the_same_distance(first: Tree, second: Tree, settings: list[dict[str, Any]]) -> list[str]:
    """Why the two ERFs are not even the same function of a subset."""
    reasons = []
    if first.attributes["/prior", "sha256"] != second.attributes["/prior", "sha256"] or any(
        not np.array_equal(first.datasets[f"/prior/{name}"], second.datasets[f"/prior/{name}"])
        for name in _GRID
    ):
        reasons.append("the priors differ, in set, scale, flavours or nodes")
    if first.attributes["/selection", "n_rep"] != second.attributes["/selection", "n_rep"]:
        reasons.append("the sizes differ, and each has a normalisation of its own")
    if estimator_names(first) != estimator_names(second):
        reasons.append("the estimators differ")
    if settings[0]["definition"] != settings[1]["definition"]:
        reasons.append("the definitions differ")
    return reasons


def _lines(facts: dict[str, Any]) -> list[str]:
    files = facts["files"]
    lines = [f"A  {files[0]}: {facts['status'][0]}", f"B  {files[1]}: {facts['status'][1]}", ""]
    lines += _section("settings", facts["settings"])
    lines += _section("prior", facts["prior"])
    if facts["enhanced"] or facts["phases"]:
        lines += _section("enhanced", facts["enhanced"])
    lines += _section("versions", facts["versions"])
    lines += [f"launches    {_ranks(facts['launches'][0])} | {_ranks(facts['launches'][1])}"]
    lines += ["", *_selection_lines(facts), ""]
    return lines + _erf_lines(facts) + _other_erfs(facts)


def _section(title: str, changed: Mapping[str, list[Any]]) -> list[str]:
    if not changed:
        return [f"{title:<12}the same"]
    return [f"{title:<12}"] + [
        f"  {key}: {_short(pair[0])} | {_short(pair[1])}"
        + ("  (does not touch the answer)" if key in RESUMABLE_KEYS else "")
        for key, pair in changed.items()
    ]


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:40]}... ({len(text)} characters)"


def _ranks(launches: list[dict[str, Any]]) -> str:
    ranks = "+".join(str(launch["ranks"]) for launch in launches)
    return f"{len(launches)} launch{'' if len(launches) == 1 else 'es'} on {ranks or 'no'} rank(s)"


def _selection_lines(facts: dict[str, Any]) -> list[str]:
    selection = facts["selection"]
    first, second = selection["n_rep"]
    lines = [f"selection   {selection['shared']} replica numbers in both, of {first} | {second}"]
    if "sha256" in facts["prior"]:
        lines[0] += " (but of different priors)"
    if any(selection["from_enhanced"]):
        new = " | ".join(map(str, selection["from_enhanced"]))
        lines.append(f"            of the new replicas of an enhanced set: {new}")
    if facts["identical"]:
        lines.append("            same search, same history, same answer, bit for bit")
    for name, key in (("A", "only_first"), ("B", "only_second")):
        if selection[key]:
            lines.append(f"  only in {name}: {' '.join(map(str, selection[key]))}")
    return lines


def _erf_lines(facts: dict[str, Any]) -> list[str]:
    erf = facts["erf"]
    # distances from one prior may be divided by each other, whatever their normalisations
    same_distance = erf["comparable"] or erf["common"] is not None
    lines = [f"{'ERF':<20}{'A':>12}{'B':>12}{'B/A':>9}   distance A, B; normalisation A, B"]
    lines += [_estimator_line(name, pair, same_distance) for name, pair in facts["estimators"].items()]
    total = erf["total"]
    ratio = _ratio(erf["common"] or total, same_distance)
    lines.append(f"{'total':<20}{total[0]:>12.6g}{total[1]:>12.6g}{ratio}")
    if not erf["comparable"]:
        lines.append(f"These ERFs must not be compared: {'; '.join(erf['reasons'])}.")
    if erf["common"]:
        lines.append(
            f"Under the normalisation of A: {erf['common'][0]:.6g} | {erf['common'][1]:.6g}; B/A is of these."
        )
    return lines


def _other_erfs(facts: dict[str, Any]) -> list[str]:
    """ERFs of phases and polished sets, which are not those of the selection."""
    rows = dict(facts["phases"]) | ({"polished": facts["polish"]} if facts["polish"] else {})
    if not rows:
        return []
    shown = {name: "".join(_one_erf(erf) for erf in pair) for name, pair in rows.items()}
    return ["", f"{'ERF of':<20}{'A':>12}{'B':>12}", *(f"{name:<20}{text}" for name, text in shown.items())]


def _one_erf(erf: float | None) -> str:
    return f"{'-':>12}" if erf is None else f"{erf:>12.6g}"


def _estimator_line(name: str, pair: list[dict[str, float] | None], same_distance: bool) -> str:
    first, second = pair
    shown = "".join(f"{one['erf']:>12.6g}" if one else f"{'-':>12}" for one in pair)
    if first is None or second is None:
        return f"{name:<20}{shown}"
    return (
        f"{name:<20}{shown}{_ratio([first['distance'], second['distance']], same_distance)}   "
        f"{first['distance']:.5g}, {second['distance']:.5g}; "
        f"{first['normalisation']:.5g}, {second['normalisation']:.5g}"
    )


def _ratio(pair: list[float], meaningful: bool) -> str:
    return f"{pair[1] / pair[0]:>9.3g}" if pair[0] and meaningful else f"{'-':>9}"
