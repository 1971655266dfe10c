r"""What is minimised: the error function, two distances that it does not know, and hinges.

.. math::
   L = \mathrm{ERF} + \lambda_C \frac{D_C}{\tilde D_C} + \lambda_W \frac{D_W}{\tilde D_W}
       + \lambda_H \langle h \rangle

with a tilde for the median of random subsets. Values are linear in the displacement,
:math:`y = y_0 + \delta V`, and so is the way back of the gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from compress_mpi.methods.polish.correlations import correlation_terms
from compress_mpi.methods.polish.limits import Limits, limit_term, limits_of
from compress_mpi.methods.polish.marginals import marginal_term
from compress_mpi.methods.polish.moments import mean_term, moment_terms, spread_term
from compress_mpi.methods.polish.regions import region_distance, soft_region_term
from compress_mpi.methods.polish.settings import PolishSettings
from compress_mpi.methods.polish.standard import Standard, standard
from compress_mpi.methods.polish.target import Target
from compress_mpi.methods.selection import estimators as est
from compress_mpi.types import FloatArray

__all__ = ["Loss", "Objective"]


class Loss(NamedTuple):
    """The loss at one place.

    Attributes
    ----------
    soft : float
        What the gradient belongs to.
    exact : float
        The same with the counts of the error function in place of soft ones.
    erf : float
        The error function alone, with exact counts.
    gradient : float64 (replica, component)
        With respect to the displacement.
    """

    soft: float
    exact: float
    erf: float
    gradient: FloatArray


@dataclass(frozen=True)
class Objective:
    """The loss of one subset under displacements.

    Attributes
    ----------
    start : float64 (replica, point)
        The selected replicas in units of the prior, see ``Target.standardise``.
    directions : float64 (component, point)
        Their change per unit of displacement, see ``Target.standardise_directions``.
    target : Target
    settings : PolishSettings
    """

    start: FloatArray
    directions: FloatArray
    target: Target
    settings: PolishSettings

    @cached_property
    def limits(self) -> Limits:
        """Between what the values should stay."""
        return limits_of(self.start, self.target)

    def values(self, displacement: FloatArray) -> FloatArray:
        """Values in units of the prior after a displacement, float64 ``(replica, point)``."""
        return self.start + displacement @ self.directions

    def __call__(self, displacement: FloatArray, width: float) -> Loss:
        """Loss and gradient.

        Parameters
        ----------
        displacement : float64 (replica, component)
        width : float
            Softness of the Kolmogorov-Smirnov edges.
        """
        subset = standard(self.values(displacement))
        erf, by_values, by_u = self._moments(subset)
        trace, matrix = self._correlations(subset, by_u)
        soft, exact = self._regions(subset, width, by_u)
        by_values += subset.back(by_u)
        extra = matrix + self._marginals(subset, by_values) + self._limits(subset, by_values)
        erf += trace
        gradient = by_values @ self.directions.T
        return Loss(erf + soft + extra, erf + exact + extra, erf + exact, gradient)

    def _weight(self, name: str) -> float:
        return self.target.weights.get(name, 0.0)

    def _moments(self, subset: Standard) -> tuple[float, FloatArray, FloatArray]:
        """Part of the loss, and gradients with respect to values and to ``u``."""
        of_mean, slope = mean_term(subset, self.target)
        of_spread, spread_slope = spread_term(subset)
        a, b = self._weight("mean"), self._weight("stdev")
        orders = {est.MOMENT_ORDER[n]: w for n, w in self.target.weights.items() if n in est.MOMENT_ORDER}
        found, by_u = moment_terms(subset, self.target, {n: w for n, w in orders.items() if n > 2})
        total = a * of_mean + b * of_spread + sum(orders[n] * distance for n, distance in found.items())
        by_values = a * slope + (b * spread_slope) * subset.u
        return total, by_values, by_u

    def _correlations(self, subset: Standard, by_u: FloatArray) -> tuple[float, float]:
        target = self.target
        of_trace = self._weight(est.CORRELATION)
        of_matrix = self.settings.correlation_weight / target.correlation_unit
        trace, matrix, gradient = correlation_terms(subset, target, of_trace, of_matrix)
        by_u[:, target.correlation_columns] += gradient
        return of_trace * trace, of_matrix * matrix

    def _regions(self, subset: Standard, width: float, by_u: FloatArray) -> tuple[float, float]:
        """Soft and exact part of the loss."""
        weight = self._weight(est.KOLMOGOROV_SMIRNOV)
        if not weight:
            return 0.0, 0.0
        soft, gradient = soft_region_term(subset, self.target, width)
        by_u += weight * gradient
        return weight * soft, weight * region_distance(subset, self.target)

    def _marginals(self, subset: Standard, by_values: FloatArray) -> float:
        weight = self.settings.marginal_weight / self.target.marginal_unit
        distance, gradient = marginal_term(subset.y, self.target.quantiles)
        by_values += weight * gradient
        return weight * distance

    def _limits(self, subset: Standard, by_values: FloatArray) -> float:
        weight = self.settings.limit_weight
        excess, gradient = limit_term(subset.y, self.limits)
        by_values += weight * gradient
        return weight * excess
