"""Tables through the latent codec: floating columns through the flow, the others exactly.

A block is the bytes of the flow's columns, then those of each other column; a length of four bytes before each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.methods.enhancement.linear import one_thread
from compress_mpi.methods.events.latent import LatentCodec, latents_of
from compress_mpi.methods.events.latent_quantiser import Quantiser
from compress_mpi.methods.events.latent_steps import mean_errors, steps_at
from compress_mpi.methods.events.lossless import pack_column, unpack_column
from compress_mpi.methods.events.packing import pack_arrays, unpack_arrays
from compress_mpi.methods.events.preprocess import Preprocessing
from compress_mpi.methods.events.trained_flow import TrainedFlow
from compress_mpi.types import FloatArray

__all__ = ["LatentTable", "fit_codec", "uniforms_of"]

_LENGTH = 4
_STEP_ROWS = 16384
"""Rows that steps are found on: each trial is a pass through the inverse flow."""
_BEST_SCALE = 6.0
"""Largest latent at which the published quantiser has its least error on normal ones, twice its limit L. It moves g by
a width that goes as s exp((3 g / s)^2), whose mean goes as s / sqrt(1 - 18 / s^2). The largest latent is an outlier of
one training: another has another one."""
_RESERVE = 0.95
"""Of the mean error: that of columns with a heavy tail differs so much between trainings and samples."""

Rows = dict[str, NDArray[Any]]


def fit_codec(
    rows: FloatArray, preprocessing: Preprocessing, flow: TrainedFlow, bits: int, form: str
) -> LatentCodec:
    """Quantiser and frequencies from training rows.

    Parameters
    ----------
    rows : float64 (n, c)
    preprocessing : Preprocessing
    flow : TrainedFlow
    bits : int
        N.
    form : {"published", "repaired"}
        ``repaired``: the coarsest even steps whose mean errors do not exceed those of the published quantiser, at
        the largest latent there is and at the one that suits it best.

    Raises
    ------
    ValueError
        If the flow has no use for the rows.
    """
    # the last bit of a product depends on the number of threads
    with one_thread():
        latent, _ = latents_of(rows, preprocessing, flow)
        quantiser = Quantiser.fit(latent, bits)
        if form == "repaired":
            some = rows[:: -(-len(rows) // _STEP_ROWS)]
            at_best = Quantiser("published", np.full_like(quantiser.scale, _BEST_SCALE), quantiser.step)
            target = np.minimum(*(mean_errors(some, preprocessing, q, flow) for q in (quantiser, at_best)))
            target *= _RESERVE
            quantiser = steps_at(target, some, preprocessing, Quantiser.fit(latent, bits, "even"), flow)
        return LatentCodec.fit(rows, preprocessing, quantiser, flow)


def uniforms_of(latent: FloatArray) -> FloatArray:
    """Distribution function of the standard normal at latents (n, c): flat from 0 to 1 if they are normal."""
    from scipy.special import ndtr

    return np.asarray(ndtr(latent))


@dataclass(frozen=True, eq=False)
class LatentTable:
    """All that blocks of a table are encoded and decoded with.

    Attributes
    ----------
    codec : LatentCodec
    flow : TrainedFlow
    dtypes : mapping of str
        Of all columns, in the order of the table.
    through : tuple of str
        Columns that go through the flow.
    """

    codec: LatentCodec
    flow: TrainedFlow
    dtypes: Mapping[str, str]
    through: tuple[str, ...]

    @property
    def exact(self) -> list[str]:
        """Columns that come back exactly."""
        return [name for name in self.dtypes if name not in self.through]

    def encode(self, rows: Rows) -> bytes:
        """Bytes of a block."""
        values = np.stack([rows[name].astype(np.float64) for name in self.through], axis=1)
        parts = [self.codec.encode(values, self.flow), *(pack_column(rows[name]) for name in self.exact)]
        return b"".join(len(part).to_bytes(_LENGTH, "little") + part for part in parts)

    def decode(self, data: bytes, rows: int) -> Rows:
        """The rows of the bytes of :meth:`encode`, in the dtypes of the table.

        Raises
        ------
        ValueError
            If the bytes are no block of this table.
        """
        parts = _parts(data)
        if len(parts) != 1 + len(self.exact):
            raise ValueError(f"latent block: expected {1 + len(self.exact)} parts, found {len(parts)}")
        values = self.codec.decode(parts[0], self.flow)
        if len(values) != rows:
            raise ValueError(f"latent block: expected {rows} rows, found {len(values)}")
        found = self._typed(values)
        for name, part in zip(self.exact, parts[1:], strict=True):
            found[name] = unpack_column(part, self.dtypes[name], rows)
        return {name: found[name] for name in self.dtypes}

    def sample(self, number: int, rng: np.random.Generator) -> Rows:
        """New rows of the columns that go through the flow: normal noise, backwards."""
        noise = rng.standard_normal((number, len(self.through)))
        return self._typed(self.codec.preprocessing.inverse(self.flow.from_latent(noise)))

    def facts(self) -> dict[str, Any]:
        """What is neither table nor network, JSON-able; :meth:`restore` reads it."""
        return {"through": list(self.through), "dtypes": dict(self.dtypes), "flow": self.flow.facts()}

    def tables_bytes(self) -> bytes:
        """Preprocessing, quantiser and frequencies."""
        return pack_arrays(self.codec.to_arrays())

    def model_bytes(self) -> bytes:
        """Weights of the flow."""
        return self.flow.to_bytes()

    @staticmethod
    def restore(facts: Mapping[str, Any], tables: bytes, model: bytes) -> LatentTable:
        """Put facts, tables and network back.

        Raises
        ------
        ValueError
            If they are not what was stored.
        """
        missing = [name for name in ("through", "dtypes", "flow") if name not in facts]
        if missing:
            raise ValueError(f"stored latent codec: '{missing[0]}' is missing")
        codec = LatentCodec.from_arrays(unpack_arrays(tables))
        flow = TrainedFlow.restore(facts["flow"], model)
        return LatentTable(codec, flow, dict(facts["dtypes"]), tuple(facts["through"]))

    def _typed(self, values: FloatArray) -> Rows:
        with np.errstate(over="ignore", invalid="ignore"):
            return {
                name: values[:, place].astype(self.dtypes[name]) for place, name in enumerate(self.through)
            }


def _parts(data: bytes) -> list[bytes]:
    parts, place = [], 0
    while place < len(data):
        start = place + _LENGTH
        place = start + int.from_bytes(data[place:start], "little")
        parts.append(data[start:place])
    if place != len(data):
        raise ValueError("latent block: it ends within a part")
    return parts
