"""The end of a size: the files that belong to it, and what to say of it."""

from __future__ import annotations

import numpy as np

from compress_mpi.io.pdfset import PDFSet
from compress_mpi.io.settings import CompressConfig
from compress_mpi.io.setwriter import write_subset
from compress_mpi.workflows.outputs import Outputs, shared_lines, write_dat
from compress_mpi.workflows.record import Record
from compress_mpi.workflows.several import Outcome

__all__ = ["outcome_of", "write_own_files"]


def write_own_files(
    config: CompressConfig, pool: PDFSet, prior: PDFSet, output: Outputs, record: Record
) -> None:
    """Write what belongs to one size alone: the compressed set and the selection in the existing tool's format.

    Parameters
    ----------
    config : CompressConfig
    pool : PDFSet
        The set whose replicas were selected.
    prior : PDFSet
        The same, or the prior of an enhanced set.
    output : Outputs
    record : Record

    Raises
    ------
    PDFSetError, OutputError
    """
    index = np.asarray(record.tree.datasets["/selection/index"])
    description = (
        f"{output.n_rep} replicas of {pool.name} selected by compress-mpi "
        f"({config.minimizer}, seed {config.seed}, ERF {record.tree.attributes['/selection', 'erf']:.6g})"
    )
    # member 0 of an enhanced set is its own average, but only that of the prior can be selected
    files = {0: prior.member_path(0)}
    write_subset(pool, index.tolist(), output.folder, output.set_name, description, files)
    write_dat(output, index, record.history)


def outcome_of(record: Record, output: Outputs, members: int, results_only: bool) -> Outcome:
    """A size whose search is done, as the other ranks and the person are told of it.

    Parameters
    ----------
    record : Record
    output : Outputs
    members : int
        Replicas that could be selected.
    results_only : bool
        Nothing is written beside the result.
    """
    norm = np.array([record.tree.attributes[f"/estimators/{n}", "normalisation"] for n in record.names])
    distances = {n: float(record.tree.attributes[f"/estimators/{n}", "erf"]) for n in record.names}
    erf = float(record.tree.attributes["/selection", "erf"])
    typical = float(np.median(np.mean(record.random / norm, axis=1)))
    random = dict(zip(record.names, record.random.T, strict=True))
    rows = [
        f"{output.selected_from}: {output.n_rep} of {members} replicas, "
        f"ERF {erf:.6g} (random subsets: median {typical:.3g}), search {record.seconds:.1f} s",
        f"  result          {output.result}",
    ]
    if record.phases:
        erfs = [float(record.tree.attributes[f"/phases/{name}/selection", "erf"]) for name in record.phases]
        listed = ", ".join(f"{name} {value:.6g}" for name, value in zip(record.phases, erfs, strict=True))
        rows.append(f"  phases          {listed}")
    if not results_only:
        rows += [
            f"  compressed set  {output.folder / output.set_name}",
            f"  pyCompressor    {output.compress_dat}, {output.erf_random.parent}/",
        ]
    polished = record.polish_outcome
    if polished is not None:
        rows.append(f"  polished        {polished}")
    lines = None if results_only else shared_lines(output, random, distances)
    return Outcome(output.n_rep, True, "\n".join(rows), erf, typical, record.seconds, distances, lines)
