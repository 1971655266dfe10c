"""What a report on a table of events is made of: numbers and arrays, no files.

Every part but the first is optional: a page shows what it is given. A report without the original file has
neither ``original`` nor errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from compress_mpi.types import FloatArray, IntArray

__all__ = [
    "BitsScan",
    "ColumnFacts",
    "EventsReport",
    "Latents",
    "RateCurve",
    "SampleSet",
    "ScanCurve",
    "Sizes",
    "TrainingCurve",
]


@dataclass(frozen=True)
class ColumnFacts:
    """One column of the table.

    Attributes
    ----------
    name, dtype : str
    coding : str
        How it is kept, such as ``grid``, ``lossless`` or ``latent``.
    bound : float or None
        Greatest error that is guaranteed; 0 where every bit is kept, None where nothing is.
    max_error, mean_residual, rms : float or None
        Of |decoded - original| over the finite values, in the units of the column.
    relative_error : float or None
        Root of the mean of (residual / standard deviation)^2.
    nonfinite_response : float or None
        Share of rows whose residual / original is NaN or infinite.
    nonfinite : int or None
        NaN and infinities of the column.
    bytes : int or None
        That it takes in the file, where columns are coded apart.
    """

    name: str
    dtype: str
    coding: str
    bound: float | None = None
    max_error: float | None = None
    mean_residual: float | None = None
    rms: float | None = None
    relative_error: float | None = None
    nonfinite_response: float | None = None
    nonfinite: int | None = None
    bytes: int | None = None

    @property
    def kept(self) -> bool | None:
        """Whether the error found is within the bound; None where either is not known."""
        if self.bound is None or self.max_error is None:
            return None
        return self.max_error <= self.bound


@dataclass(frozen=True)
class Sizes:
    """Where the bytes are.

    Attributes
    ----------
    parts : mapping of int
        Of the compressed file: ``payload``, ``tables``, ``model``, ``headers`` or others. They add up to the file.
    references : mapping of int
        The same rows as ``raw``, ``npz`` and ``text``, those that are known.
    """

    parts: Mapping[str, int]
    references: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Bytes of the file."""
        return sum(self.parts.values())

    def ratio(self, reference: str, model: bool = True) -> float:
        """R, size of a reference over that of the file, with the model or without it."""
        size = self.total if model else self.total - self.parts.get("model", 0)
        return self.references[reference] / size if size else float("nan")


@dataclass(frozen=True)
class Latents:
    """Rows as the model sees them.

    Attributes
    ----------
    columns : sequence of str
    values : float64 (row, column)
        Standard normal if the model were perfect.
    p_values : sequence of float
        Of the test of normality, per column.
    before : sequence of float
        The same of the preprocessed rows, before the flow; empty where not known.
    uniforms : float64 (row, column) or None
        Values between the limits of ``span``, flat if the model were perfect.
    span : (float, float)
    """

    columns: Sequence[str]
    values: FloatArray
    p_values: Sequence[float] = ()
    before: Sequence[float] = ()
    uniforms: FloatArray | None = None
    span: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class TrainingCurve:
    """One training.

    Attributes
    ----------
    losses : mapping of float64 (epoch,)
        ``train`` and ``validation``: negative log-likelihood per row.
    rate : float64 (epoch,) or None
        Learning rate.
    best_epoch : int or None
        Whose weights were kept, counted from 1.
    """

    losses: Mapping[str, FloatArray]
    rate: FloatArray | None = None
    best_epoch: int | None = None


@dataclass(frozen=True)
class ScanCurve:
    """One trial of a scan.

    Attributes
    ----------
    transforms : int
        K, layers of the flow.
    hidden : int
        H, width of a layer.
    train, validation : float64 (epoch,)
        Negative log-likelihood per row.
    """

    transforms: int
    hidden: int
    train: FloatArray
    validation: FloatArray


@dataclass(frozen=True)
class BitsScan:
    """The ``latent`` codec at several N.

    Attributes
    ----------
    bits : int64 (point,)
    ratios : mapping of float64 (point,)
        R by reference, such as ``raw``, ``npz``, ``text``.
    errors : mapping of float64 (point,)
        By name, such as ``mean |residual|`` and ``relative error (Eq. 7)``.
    """

    bits: IntArray
    ratios: Mapping[str, FloatArray]
    errors: Mapping[str, FloatArray]


@dataclass(frozen=True)
class RateCurve:
    """A codec at several errors.

    Attributes
    ----------
    label : str
    error : float64 (point,)
        Positive.
    bits : float64 (point,)
        Per value, everything counted.
    """

    label: str
    error: FloatArray
    bits: FloatArray


@dataclass(frozen=True)
class SampleSet:
    """Events drawn from the model beside data that it has not seen.

    Attributes
    ----------
    data, samples : mapping of arrays (row,)
        The rows that are drawn; numbers of rows may differ.
    ks : mapping of (float, float)
        Distance and p-value of Kolmogorov and Smirnov, by column.
    auc : (float, float) or None
        Of a classifier, and its standard error.
    correlation : (float, float) or None
        Largest and rms difference of the rank correlations.
    seed : int or None
    """

    data: Mapping[str, NDArray[Any]]
    samples: Mapping[str, NDArray[Any]]
    ks: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    auc: tuple[float, float] | None = None
    correlation: tuple[float, float] | None = None
    seed: int | None = None


@dataclass(frozen=True)
class EventsReport:
    """A compressed table and what is known about it.

    Attributes
    ----------
    file, codec : str
    rows : int
    columns : sequence of ColumnFacts
    sizes : Sizes or None
    original, decoded : mapping of arrays (row,) or None
        The rows that are drawn, the same ones of both.
    overall : mapping of float
        Measures over all columns, by name, such as the pooled form of Eq. 7.
    latents : Latents or None
    training : TrainingCurve or None
    scan : sequence of ScanCurve
    bits : BitsScan or None
    rates : sequence of RateCurve
    rates_error : str
        What ``error`` of the rate curves is.
    samples : SampleSet or None
    origin : mapping of str
        Where the file comes from, in words, such as input, model, seed and versions.
    runcard : str
        As it was written.
    notes : sequence of str
        What cannot be shown, and why.
    """

    file: str
    codec: str
    rows: int
    columns: Sequence[ColumnFacts]
    sizes: Sizes | None = None
    original: Mapping[str, NDArray[Any]] | None = None
    decoded: Mapping[str, NDArray[Any]] | None = None
    overall: Mapping[str, float] = field(default_factory=dict)
    latents: Latents | None = None
    training: TrainingCurve | None = None
    scan: Sequence[ScanCurve] = ()
    bits: BitsScan | None = None
    rates: Sequence[RateCurve] = ()
    rates_error: str = "mean |residual|"
    samples: SampleSet | None = None
    origin: Mapping[str, str] = field(default_factory=dict)
    runcard: str = ""
    notes: Sequence[str] = ()
