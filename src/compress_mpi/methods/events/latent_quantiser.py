r"""Latent values to integers and back, as published and repaired.

Published: each column g is divided by its largest \|g\| s, u = erf(3 g / s), and u 2^N is cut to an integer. This is
not uniform (erf(3 g / s) is not the distribution of g), one outlier sets the resolution of its column, and cutting
towards zero makes the bin of zero twice as wide and moves every value inwards.

``even``: g itself in equal steps, rounded to nearest. Equal steps in u are wide where g is far out, and there an
event moves furthest: at equal mean error even steps need fewer bits, and their largest error is a small one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress_mpi.types import FloatArray, IntArray

__all__ = ["FORMS", "Quantiser"]

FORMS = ("published", "erf", "even")
"""``published``: erf, cut; ``erf``: the same, rounded to nearest; ``even``: equal steps of g, rounded."""

_LIMIT = 3.0  # L of the published codec


@dataclass(frozen=True, eq=False)
class Quantiser:
    """How the latent values of c columns become integers.

    Attributes
    ----------
    form : {"published", "erf", "even"}
    scale : float64 (c,)
        Largest absolute latent value of the training rows; without effect for ``even``.
    step : float64 (c,)
        In u = erf(3 g / scale), or in g for ``even``.
    """

    form: str
    scale: FloatArray
    step: FloatArray

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f"quantiser: expected one of {', '.join(FORMS)}, got '{self.form}'")
        if self.scale.shape != self.step.shape:
            raise ValueError(f"quantiser: {len(self.scale)} scales, but {len(self.step)} steps")
        if not (np.isfinite(self.step).all() and (self.step > 0).all() and (self.scale > 0).all()):
            raise ValueError("quantiser: expected positive, finite steps and positive scales")

    @staticmethod
    def fit(latent: FloatArray, bits: float, form: str = "published") -> Quantiser:
        """Scale of training latents (n, c) and a step for ``bits`` bits.

        Parameters
        ----------
        latent : float64 (n, c)
            Rows that are not finite do not count.
        bits : float
            N: the step is 2^-N of the unit interval; for ``even`` as many steps from -scale to scale as the others
            have from -1 to 1. The sign is one bit more.
        form : str

        Raises
        ------
        ValueError
            If N is not in 1 to 31 or the form is unknown.
        """
        if not 1 <= bits <= 31:
            raise ValueError(f"bits: expected 1 to 31, got {bits}")
        good = latent[np.isfinite(latent).all(axis=1)]
        scale = np.abs(good).max(axis=0, initial=0.0)
        scale[scale == 0] = 1.0
        unit = scale if form == "even" else np.ones_like(scale)
        return Quantiser(form, scale, unit * 2.0**-bits)

    def with_steps(self, step: FloatArray) -> Quantiser:
        """The same with other steps (c,)."""
        return Quantiser(self.form, self.scale, np.asarray(step, dtype=np.float64))

    def integers(self, latent: FloatArray) -> IntArray:
        """Integers of latents (n, c), int64; of what is not finite or out of range, the lowest int64."""
        t = self._uniform(latent) / self.step
        t = np.trunc(t) if self.form == "published" else np.rint(t)
        fits = np.abs(t) < 2.0**62
        return np.where(fits, np.where(fits, t, 0.0).astype(np.int64), np.iinfo(np.int64).min)

    def latent(self, integers: IntArray) -> FloatArray:
        """Latents of integers (n, c), float64; infinite where u is 1 or more."""
        t = integers * self.step
        if self.form == "even":
            return np.asarray(t)
        from scipy.special import erfinv

        return np.asarray(erfinv(np.clip(t, -1.0, 1.0)) * (self.scale / _LIMIT))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What to store; :meth:`from_arrays` reads it."""
        return {"form": np.array(FORMS.index(self.form)), "scale": self.scale, "step": self.step}

    @staticmethod
    def from_arrays(arrays: Mapping[str, NDArray[Any]]) -> Quantiser:
        """Put :meth:`to_arrays` back.

        Raises
        ------
        ValueError
            If an array is missing, or is not what a quantiser stores.
        """
        missing = [name for name in ("form", "scale", "step") if name not in arrays]
        if missing:
            raise ValueError(f"stored quantiser: '{missing[0]}' is missing")
        form = int(arrays["form"])
        if not 0 <= form < len(FORMS):
            raise ValueError(f"stored quantiser: unknown form {form}; expected 0 to {len(FORMS) - 1}")
        return Quantiser(FORMS[form], arrays["scale"], arrays["step"])

    def _uniform(self, latent: FloatArray) -> FloatArray:
        if self.form == "even":
            return latent
        from scipy.special import erf

        return np.asarray(erf(_LIMIT * latent / self.scale))
