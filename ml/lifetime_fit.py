"""Finding the parameters of a lifetime model, and saying when there are none to find."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize

Array = np.ndarray
Likelihood = Callable[[Array], tuple[float, Array]]
REACH = 14.0  # e^14 is a million times any sensible parameter: beyond it lies "no optimum"
LOOSE = 4.0  # standard error of a log parameter from which it could be fifty times larger or smaller


@dataclass(frozen=True)
class LifetimeFit:
    """Parameters of one model of purchases or spend.

    Attributes
    ----------
    model
        ``BG/NBD``, ``Pareto/NBD`` or ``Gamma-Gamma``.
    params
        Name → estimate, times in `unit`, money in the workspace currency.
    errors
        Name → standard error (delta method on the logarithm); empty when the fit failed.
    loglik
        Log-likelihood at the estimate.
    converged
        Whether an interior optimum was reached: gradient zero, curvature proper, no parameter run away. Predictions
        are refused without it.
    reason
        Why not, in words; empty when converged.
    customers
        How many customers the fit saw.
    unit
        ``day``, ``week`` or ``month``.
    advice
        What a reader should know before using it.
    """

    model: str
    params: dict[str, float]
    errors: dict[str, float]
    loglik: float
    converged: bool
    reason: str
    customers: int
    unit: str
    advice: list[str] = field(default_factory=list)

    @property
    def values(self) -> Array:
        """The parameters as an array, in the order of the likelihood."""
        return np.array(list(self.params.values()))

    @property
    def aic(self) -> float:
        """Akaike's criterion: of two models of the same customers the smaller one fits better."""
        return 2 * len(self.params) - 2 * self.loglik


@dataclass(frozen=True)
class Optimum:
    """Where the search ended, in logarithms."""

    theta: Array
    loglik: float
    errors: Array | None
    reason: str


def maximise(likelihood: Likelihood, names: tuple[str, ...], weight: float, start: Array | None = None) -> Optimum:
    """Climb to the maximum of a log-likelihood in log parameters; judge whether it is one.

    The likelihood is divided by `weight` (the number of customers) so that tolerances mean the same at any size. No
    penalty is added: on CDNOW a penalty of .01 would move `a` from .79 to .29.
    """

    def negative(theta: Array) -> tuple[float, Array]:
        value, gradient = likelihood(theta)
        return -value / weight, -gradient / weight

    found = minimize(
        negative,
        np.zeros(len(names)) if start is None else start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-REACH, REACH)] * len(names),
        options={"ftol": 1e-13, "gtol": 1e-7, "maxiter": 400},
    )
    theta, hessian = _polish(negative, np.asarray(found.x))
    value, gradient = negative(theta)
    reason, errors = _judge(theta, gradient, hessian, names, weight)
    return Optimum(theta, float(-value * weight), errors, reason)


def _polish(negative: Likelihood, theta: Array) -> tuple[Array, Array]:
    """Up to three Newton steps: L-BFGS stops early where the likelihood is flat."""
    hessian = _curvature(negative, theta)
    for _ in range(3):
        value, gradient = negative(theta)
        if np.abs(gradient).max() < 1e-9 or not np.isfinite(hessian).all():
            break
        try:
            step = np.linalg.solve(hessian, gradient)
        except np.linalg.LinAlgError:
            break
        after = theta - step
        if np.abs(step).max() > 0.5 or np.abs(after).max() > REACH or negative(after)[0] > value:
            break
        theta, hessian = after, _curvature(negative, after)
    return theta, hessian


def _curvature(negative: Likelihood, theta: Array, width: float = 1e-4) -> Array:
    """Hessian by central differences of the exact gradient."""
    rows = []
    for i in range(len(theta)):
        shift = np.zeros(len(theta))
        shift[i] = width
        rows.append((negative(theta + shift)[1] - negative(theta - shift)[1]) / (2 * width))
    hessian = np.array(rows)
    return (hessian + hessian.T) / 2


def _judge(theta: Array, gradient: Array, hessian: Array, names: tuple[str, ...], weight: float):
    """The reason why this is no interior optimum (empty if it is one), and standard errors of the log parameters."""
    edge = [name for name, value in zip(names, theta, strict=True) if abs(value) > REACH - 2]
    if edge:
        return f"the likelihood keeps rising as {' and '.join(edge)} run off towards a limit", None
    if not (np.isfinite(hessian).all() and np.isfinite(gradient).all()):
        return "the likelihood is not finite where the search ended", None
    if np.linalg.eigvalsh(hessian).min() <= 1e-12:
        return "the likelihood is flat where the search ended, so the parameters cannot be told apart", None
    if np.abs(gradient).max() > 1e-4:
        return "the search stopped before the top of the likelihood", None
    errors = np.sqrt(np.diag(np.linalg.inv(hessian)) / weight)
    loose = [name for name, error in zip(names, errors, strict=True) if error > LOOSE]
    if loose:
        return f"the data say next to nothing about {' and '.join(loose)}", errors
    return "", errors
