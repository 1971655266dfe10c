"""What the page shows of the latent codec: latents, uniforms, and the scan over N."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from compress_mpi.io.report.events_types import BitsScan, Latents
from compress_mpi.io.tables import Rows
from compress_mpi.methods.events.latent import latents_of
from compress_mpi.methods.events.latent_table import LatentTable, fit_codec, uniforms_of
from compress_mpi.methods.events.metrics import ErrorSums
from compress_mpi.methods.events.normality import normality
from compress_mpi.methods.events.ratios import input_sizes, ratios
from compress_mpi.workflows.events_blocks import matrix_of

__all__ = ["bits_scan", "latents"]

_ROWS = 20_000
"""Rows of a scan at most: each N is a pass through the inverse flow."""


def latents(table: LatentTable, rows: Rows) -> Latents:
    """Rows as the flow sees them, with their tests of normality before and after it."""
    values = matrix_of(rows, table.through)
    found, _ = latents_of(values, table.codec.preprocessing, table.flow)
    good = np.isfinite(found).all(axis=1)
    before = normality(table.codec.preprocessing.forward(values))
    return Latents(
        list(table.through),
        found[good],
        normality(found[good]).p_value.tolist(),
        before.p_value.tolist(),
        uniforms_of(found[good]),
    )


def bits_scan(table: LatentTable, rows: Rows, bits: Sequence[int], form: str) -> BitsScan:
    """Ratios and errors of the codec at several N, on some of the rows."""
    values = matrix_of(rows, table.through)
    values = values[:: -(-len(values) // _ROWS)]
    sizes, preprocessing = input_sizes(values.astype(np.float32)), table.codec.preprocessing
    found = []
    for number in sorted(bits):
        codec = fit_codec(values, preprocessing, table.flow, number, form)
        data = codec.encode(values, table.flow)
        errors = ErrorSums.of(values, codec.decode(data, table.flow)).errors()
        found.append((ratios(sizes, len(data), 0), errors))
    return BitsScan(
        np.array(sorted(bits), dtype=np.int64),
        {name: np.array([getattr(r, name) for r, _ in found]) for name in ("raw", "npz", "text")},
        {
            "mean |residual|": np.array([e.overall_mean_abs for _, e in found]),
            "relative error (Eq. 7)": np.array([e.eq7 for _, e in found]),
        },
    )
