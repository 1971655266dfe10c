"""Runs the benchmarks, prints a table and writes a JSON file.

python benchmarks/run.py --output bench/results.json [--only NAME] [--quick | --full]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from case import Case, Scale
    from measures import Outcome

__all__ = ["NAMES", "main"]

NAMES = (
    "kernel",
    "floors",
    "trials",
    "search",
    "ranks",
    "scaling",
    "memory",
    "large",
    "enhanced",
    "training",
    "events",
    "events-speed",
)
FORMAT = 1
"""Of the JSON file; raise it when a reader would have to change."""

_PUBLISHED_GENERATIONS = 15000
_BUSY = 1.5
"""Load average above which other programs are running: the benchmarks before have added about one."""

_PACKAGE = Path(__file__).parents[1] / "src" / "compress_mpi"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked for; returns the exit code."""
    options = _parser().parse_args(arguments)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    _prepare(options.output.parent)
    from case import Scale, find_set
    from machine import commit, describe_machine, load_average, versions
    from measures import table

    scale = Scale.quick() if options.quick else Scale()
    generations = _PUBLISHED_GENERATIONS if options.full else options.generations
    scale = replace(
        scale,
        generations=generations or scale.generations,
        repeats=options.repeats or scale.repeats,
    )
    pdf, folders = find_set()
    report = {
        "format": FORMAT,
        "began": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "commit": commit(),
        "versions": versions(),
        "set": {"name": pdf, "real": pdf != "demo"},
        "quick": options.quick,
    }
    _say(_heading(report))
    began = time.monotonic()
    outcomes, failed = _outcomes(options.only or NAMES, scale, pdf, folders)
    report["machine"]["load_average_at_end"] = load_average()
    report["seconds"] = round(time.monotonic() - began, 1)
    report["benchmarks"] = {name: outcome.record() for name, outcome in outcomes.items()}
    report["failed"] = failed
    _write(options.output, report)
    print(f"\n{_heading(report)}\n\n{table(outcomes)}\n{options.output} ({report['seconds']:.0f} s)")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Speed and quality, as ratios against the yardstick in this folder."
    )
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--only", action="append", choices=NAMES, help="one benchmark; may be repeated")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="tiny: shows that it runs, measures nothing")
    length.add_argument(
        "--full", action="store_true", help=f"search: {_PUBLISHED_GENERATIONS} generations, as published"
    )
    parser.add_argument(
        "--generations", type=_positive, metavar="G", help="search: generations of the yardstick"
    )
    parser.add_argument("--repeats", type=_positive, metavar="R", help="repetitions of each measurement")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text!r}")
    return int(text)


def _prepare(folder: Path) -> None:
    """Set what numpy and numba read once, at their import."""
    from compress_mpi.parallel.launcher import prepare_environment

    prepare_environment(1)
    # numba does not notice changes in a compiled function of another file, so other sources get another cache
    compiled = (folder / "numba-cache" / _digest()).resolve()
    os.environ.setdefault("NUMBA_CACHE_DIR", str(compiled))


def _digest() -> str:
    sources = sorted((_PACKAGE / "methods").rglob("*.py"))
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]


def _outcomes(
    names: Sequence[str], scale: Scale, pdf: str, folders: Sequence[Path]
) -> tuple[dict[str, Outcome], dict[str, str]]:
    """What the benchmarks found, and why others failed."""
    import enhanced
    import events
    import events_speed
    import events_training
    import floors
    import kernel
    import large
    import memory
    import ranks
    import scaling
    import search
    from case import load_case
    from compress_mpi.errors import CompressError
    from jobs import JobError
    from machine import load_average

    case = cache(lambda: load_case(pdf, folders))
    jobs: dict[str, Callable[[], Outcome]] = {
        "kernel": lambda: kernel.measure(case(), scale),
        "floors": lambda: floors.measure(case(), scale),
        "trials": lambda: _trials(case(), scale, pdf, folders),
        "search": lambda: search.measure(case(), scale),
        "ranks": lambda: ranks.measure(scale, pdf, folders),
        "scaling": lambda: scaling.measure(case(), scale),
        "memory": lambda: memory.measure(scale, pdf, folders),
        "large": lambda: large.measure(scale),
        "enhanced": lambda: enhanced.measure(case(), scale),
        "training": lambda: events_training.measure(scale),
        "events": lambda: events.measure(scale),
        "events-speed": lambda: events_speed.measure(scale),
    }
    found, failed = {}, {}
    for name in (name for name in NAMES if name in names):
        began, load = time.monotonic(), load_average()[0]
        try:
            found[name] = jobs[name]()
        except (JobError, CompressError) as error:
            failed[name] = str(error)
            _say(f"{name}: failed: {error}")
            continue
        found[name].settings["load average before"] = load
        if load > _BUSY:
            found[name].notes.append(
                "other programs were running: wall times are blurred, and so is a ratio of ranks"
            )
        _say(f"{name}: {time.monotonic() - began:.0f} s")
    return found, failed


def _trials(case: Case, scale: Scale, pdf: str, folders: Sequence[Path]) -> Outcome:
    import trials

    outcome = trials.measure(case, scale)
    trials.measure_ranks(outcome, scale, pdf, folders)
    return outcome


def _heading(report: dict[str, Any]) -> str:
    machine, commit = report["machine"], report["commit"]
    cores = f"{machine['cores_available']} of {machine['cores']} cores"
    changed = ", with changes" if commit["changed"] else ""
    lines = [
        f"{machine['cpu']}, {cores}, load average {machine['load_average_at_start'][0]:g}",
        f"commit {commit['hash'][:10]}{changed}",
        f"set {report['set']['name']}" + ("" if report["set"]["real"] else " (built in; no real set found)"),
    ]
    return "\n".join(lines)


def _write(path: Path, report: dict[str, Any]) -> None:
    from compress_mpi.io.atomic import atomic_write

    atomic_write(path, json.dumps(report, indent=1, allow_nan=False) + "\n")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
