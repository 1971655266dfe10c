"""``report``: results as a page of numbers and pictures, for people and for talks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi import __version__
from compress_mpi.errors import OutputError, PDFSetError, RuncardError
from compress_mpi.io.atomic import atomic_write
from compress_mpi.io.report.page import Article, render_page
from compress_mpi.io.report.style import make_folder
from compress_mpi.types import IntArray
from compress_mpi.workflows.report_comparison import Comparison, compare
from compress_mpi.workflows.report_enhanced import EnhancedSections
from compress_mpi.workflows.report_facts import Result, read_result
from compress_mpi.workflows.report_phases import phase_group, polish_group
from compress_mpi.workflows.report_plots import Plotter, overview_groups, search_group, set_groups
from compress_mpi.workflows.report_sets import (
    PriorSample,
    SubsetSample,
    sample_key,
    sample_prior,
    sample_subset,
)

__all__ = ["results_in", "write_report"]


def write_report(files: Sequence[Path], folder: Path | None = None, folders: Sequence[Path] = ()) -> Path:
    """Write a page and its plots about one result or several.

    Parameters
    ----------
    files : sequence of Path
        Result files of ``compress``, also unfinished ones; of several sizes for the plot against N. A folder
        stands for all results in it.
    folder : Path or None
        Where to write ``report.html`` and ``plots/``; None takes ``<stem>_report`` beside the first file, or
        ``report`` inside a folder.
    folders : sequence of Path
        Where to look for priors first. Where a prior cannot be read, the page says so and shows the rest.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    StoreError
        If a file is damaged or no result of ``compress``.
    OutputError
        If something cannot be written.
    RuncardError
        If there are no files.
    """
    if not files:
        raise RuncardError("report: expected one result file or more, got none")
    results = [read_result(file) for given in files for file in results_in(Path(given))]
    first = Path(files[0])
    target = folder or (first / "report" if first.is_dir() else first.with_name(f"{first.stem}_report"))
    plots = make_folder(target / "plots")
    samples: dict[tuple[Any, ...], PriorSample | str] = {}
    sections = EnhancedSections(plots)
    articles = [
        _article(f"r{number}", result, Plotter(plots, prefix), samples, sections, folders)
        for number, (result, prefix) in enumerate(zip(results, _prefixes(results), strict=True), 1)
    ]
    overview = overview_groups(results, Plotter(plots, ""))
    page = target / "report.html"
    atomic_write(page, render_page(_title(results), articles, overview, _generator()))
    return page


def results_in(given: Path) -> list[Path]:
    """The file itself, or all results in a folder, small sizes first."""
    if not given.is_dir():
        return [given]
    found = sorted(path for path in given.iterdir() if path.suffix in (".h5", ".hdf5"))
    if not found:
        raise RuncardError(f"{given}: a folder without results; expected .h5 or .hdf5 files in it")
    return sorted(found, key=lambda path: [int(word) for word in re.findall(r"\d+", path.stem)[-1:]])


def _prefixes(results: Sequence[Result]) -> list[str]:
    """What tells the plots of several results apart: the name of the file, numbered where two are alike."""
    if len(results) == 1:
        return [""]
    stems = [result.path.stem for result in results]
    if len(set(stems)) < len(stems):
        stems = [f"{number}_{stem}" for number, stem in enumerate(stems, 1)]
    return [f"{stem}_" for stem in stems]


def _title(results: Sequence[Result]) -> str:
    names = list(
        dict.fromkeys((result.facts["enhanced"] or result.facts["prior"])["name"] for result in results)
    )
    sizes = sorted({result.facts["selection"]["n_rep"] for result in results})
    listed = str(sizes[0]) if len(sizes) == 1 else f"{', '.join(map(str, sizes[:-1]))} and {sizes[-1]}"
    return f"{' and '.join(names)} compressed to {listed} replicas"


def _generator() -> dict[str, str]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"program": "compress-mpi", "version": __version__, "written": now}


def _article(
    anchor: str,
    result: Result,
    plot: Plotter,
    samples: dict[tuple[Any, ...], PriorSample | str],
    sections: EnhancedSections,
    folders: Sequence[Path],
) -> Article:
    groups = [search_group(result, plot), *phase_group(result, plot)]
    sample = _sample(result, samples, folders)
    result.facts["comparison"] = None
    found = None
    chosen = None if sample is None else _subset(result, result.index, sample, folders)
    if sample is not None and chosen is not None:
        found = compare(result, sample, chosen)
        result.facts["comparison"] = found.facts
        _note_differences(result, found)
        groups += set_groups(result, found, plot)
    groups += polish_group(result, found, _parents(result, sample, chosen, folders), plot)
    groups += sections.group(result, sample, folders)
    result.facts["missing"] = list(result.missing)
    return Article(anchor, result.facts, groups, result.missing)


def _subset(
    result: Result, index: IntArray, sample: PriorSample, folders: Sequence[Path]
) -> SubsetSample | None:
    """Replicas of a result; None, and a note, where its enhanced set cannot be read."""
    try:
        return sample_subset(result, index, sample, folders)
    except PDFSetError as error:
        result.missing.append(f"No comparison of sets: the enhanced set cannot be read.\n{error}")
        return None


def _parents(
    result: Result, sample: PriorSample | None, chosen: SubsetSample | None, folders: Sequence[Path]
) -> SubsetSample | None:
    """The replicas that were polished: mostly, but not always, those that were selected."""
    parents = result.tree.datasets.get("/polish/parents")
    if parents is None or sample is None or chosen is None:
        return None
    if np.array_equal(parents, result.index):
        return chosen
    return _subset(result, np.asarray(parents), sample, folders)


def _sample(
    result: Result, samples: dict[tuple[Any, ...], PriorSample | str], folders: Sequence[Path]
) -> PriorSample | None:
    """The prior, read once for all results that share it; None, and a note, where it cannot be."""
    if not result.index.any():
        result.missing.append("No comparison of sets: nothing has been selected yet.")
        return None
    key = sample_key(result)
    if key not in samples:
        try:
            samples[key] = sample_prior(result, folders)
        except (PDFSetError, OutputError) as error:
            samples[key] = str(error)
    found = samples[key]
    if isinstance(found, str):
        result.missing.append(
            "No comparison of sets (bands, correlations, distributions, Fréchet distances, luminosities, worst "
            f"points): the prior cannot be read.\n{found}"
        )
        return None
    return found


def _note_differences(result: Result, found: Comparison) -> None:
    if not found.facts["prior_unchanged"]:
        result.missing.append(
            f"The values of {result.facts['prior']['name']} found now are not those of the compression (other "
            "sha256): another version of the set, or another library read it. Distances recomputed from it differ "
            f"from those in the file by {found.facts['largest_difference']:.1e} (relative)."
        )
    if found.sample.q_high in found.sample.scales:
        result.missing.append(
            "No bands at a high scale: the set reaches no higher than the scale of the comparison."
        )
    if not found.mass.size:
        result.missing.append(
            "No luminosities: the set covers no invariant mass between 20 GeV and 5 TeV at 13 TeV."
        )
