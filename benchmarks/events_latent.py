"""The published latent codec of event tables and its repaired form, at equal mean error.

python benchmarks/events_latent.py TABLE.npy [TABLE.npy ...] [--epochs E] [--bits 13 20]

Each table is (n, 4): pT, eta, phi, m. The flow is the published one, of the published library (nflows, which has to be
installed), trained for a few epochs on one thread. Payload only: both forms need the same model and tables, whose
bytes are printed beside.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from compress_mpi.methods.events.latent import Flow, LatentCodec, latents_of
from compress_mpi.methods.events.latent_quantiser import Quantiser
from compress_mpi.methods.events.latent_steps import mean_errors, steps_at
from compress_mpi.methods.events.metrics import ErrorSums
from compress_mpi.methods.events.preprocess import Preprocessing, PreprocessSettings
from compress_mpi.methods.events.ratios import input_sizes, npz_bytes, ratios
from compress_mpi.types import FloatArray

__all__ = ["Figures", "compare", "main", "train_published"]

_LAYERS, _HIDDEN = 6, 64


@dataclass(frozen=True)
class Figures:
    """What one form of the codec does to one table."""

    form: str
    bits: int
    bits_per_value: float
    ratio_float32: float
    ratio_npz: float
    mean_abs: float
    mean_abs_columns: tuple[float, ...]
    eq7_pooled: float
    eq7: float
    largest: tuple[float, ...]


def compare(rows: FloatArray, preprocessing: Preprocessing, flow: Flow, bits: int) -> list[Figures]:
    """The published form, then the repaired ones at its mean error of every column or below.

    Parameters
    ----------
    rows : float64 (n, c)
        Training and test rows in one, as published.
    preprocessing : Preprocessing
    flow : Flow
    bits : int
    """
    latent, _ = latents_of(rows, preprocessing, flow)
    published = Quantiser.fit(latent, bits)
    target = mean_errors(rows, preprocessing, published, flow)
    quantisers = [published]
    for form in ("erf", "even"):
        quantisers.append(steps_at(target, rows, preprocessing, Quantiser.fit(latent, bits, form), flow))
    return [_figures(rows, preprocessing, quantiser, flow, bits) for quantiser in quantisers]


def _figures(
    rows: FloatArray, preprocessing: Preprocessing, quantiser: Quantiser, flow: Flow, bits: int
) -> Figures:
    codec = LatentCodec.fit(rows, preprocessing, quantiser, flow)
    data = codec.encode(rows, flow)
    errors = ErrorSums.of(rows, codec.decode(data, flow)).errors()
    payload = len(data)
    if quantiser.form == "published":
        latent, _ = latents_of(rows, preprocessing, flow)
        payload = npz_bytes({"data": quantiser.integers(latent)})
    found = ratios(input_sizes(rows), payload, 0)
    return Figures(
        quantiser.form,
        bits,
        found.bits,
        found.raw,
        found.npz,
        errors.overall_mean_abs,
        tuple(errors.mean_abs.tolist()),
        errors.eq7_pooled,
        errors.eq7,
        tuple(errors.largest.tolist()),
    )


def train_published(rows: FloatArray, epochs: int, seed: int = 0) -> tuple[Flow, int]:
    """The published flow, trained on preprocessed rows (n, c), and the bytes of its weights."""
    import torch
    from nflows import distributions, flows, transforms

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    c = rows.shape[1]
    layers: list[Any] = []
    for _ in range(_LAYERS):
        layers.append(transforms.RandomPermutation(c))
        layers.append(transforms.MaskedAffineAutoregressiveTransform(c, _HIDDEN, num_blocks=2))
    flow = flows.Flow(transforms.CompositeTransform(layers), distributions.StandardNormal([c]))
    data = torch.tensor(rows, dtype=torch.float32)
    optimizer = torch.optim.Adam(flow.parameters(), 1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(data)).split(512):
            loss = -flow.log_prob(data[batch]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    weights = sum(4 * p.numel() for p in flow.parameters())

    class Trained:
        def to_latent(self, rows: FloatArray) -> FloatArray:
            with torch.no_grad():
                return flow.transform_to_noise(torch.tensor(rows)).numpy()

        def from_latent(self, latent: FloatArray) -> FloatArray:
            with torch.no_grad():
                return flow._transform.inverse(torch.tensor(latent))[0].numpy()

    # in double precision the flow inverts itself to 1e-14, in single to 1e-6
    flow.double().eval()
    return Trained(), weights


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure each table; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--bits", type=int, nargs="+", default=[13, 20])
    parser.add_argument("--rows", type=int, help="only the first so many")
    options = parser.parse_args(arguments)
    for path in options.tables:
        rows = np.load(path)[: options.rows].astype(np.float64)
        settings = PreprocessSettings(logarithm=(0, 3), quantile=(1, 2), published=True)
        preprocessing = Preprocessing.fit(rows, settings)
        began = time.perf_counter()
        flow, weights = train_published(preprocessing.forward(rows), options.epochs)
        tables = npz_bytes(preprocessing.to_arrays())
        seconds = time.perf_counter() - began
        print(f"{path.name}: {len(rows)} rows, weights {weights} bytes, tables {tables}, {seconds:.0f} s")
        for bits in options.bits:
            for figures in compare(rows, preprocessing, flow, bits):
                print(json.dumps(asdict(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
