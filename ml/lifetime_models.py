"""The likelihoods behind `ml.lifetime`: BG/NBD, Pareto/NBD and Gamma-Gamma, each with its gradient.

A customer enters as ``(x, t_x, T)``: repeat purchases, age at the last of them, age today, both ages in the same unit.
Customers with equal triples are counted once with a weight, so a million customers cost what their distinct histories
cost. Every function takes the logarithms of the parameters, which are all positive.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import digamma, gammaln, hyp2f1

Array = np.ndarray
NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(20)
CHUNK = 50_000  # rows of a quadrature at a time: 50,000 × 20 doubles are 8 MB
DECADES = 38.0  # beyond e^-38 of its start an integrand adds nothing to a double


@dataclass(frozen=True)
class Histories:
    """Distinct purchase histories and how many customers share each."""

    x: Array
    t_x: Array
    T: Array
    n: Array

    @property
    def customers(self) -> float:
        """Number of customers."""
        return float(self.n.sum())

    def scaled(self, unit: float) -> "Histories":
        """The same histories in time units `unit` times as long."""
        return Histories(self.x, self.t_x / unit, self.T / unit, self.n)


def aggregate(x: Array, t_x: Array, T: Array) -> Histories:
    """Count equal triples: hashing each column first keeps a million rows to a fraction of a second."""
    codes, levels = zip(*(pd.factorize(column, sort=False) for column in (x, t_x, T)), strict=True)
    key = (codes[0].astype(np.int64) * len(levels[1]) + codes[1]) * len(levels[2]) + codes[2]
    which, keys = pd.factorize(key, sort=True)
    rest, third = np.divmod(keys, len(levels[2]))
    first, second = np.divmod(rest, len(levels[1]))
    n = np.bincount(which, minlength=len(keys)).astype(float)
    return Histories(levels[0][first], levels[1][second], levels[2][third], n)


def _by_count(x: Array, function: Callable[..., Array], *shifts: float) -> list[Array]:
    """``function(shift + x)`` for whole-numbered `x`: evaluated once per count, then looked up."""
    counts = np.arange(int(x.max(initial=0)) + 1, dtype=float)
    rows = x.astype(np.intp)
    return [function(shift + counts)[rows] for shift in shifts]


def bgnbd(theta: Array, data: Histories) -> tuple[float, Array]:
    """Log-likelihood of the BG/NBD model and its gradient in ``log (r, alpha, a, b)``.

    Source: Fader, Hardie & Lee (2005), "Counting your customers" the easy way, equation 6.
    """
    r, alpha, a, b = np.exp(theta)
    once = data.x == 0
    n0, log0 = data.n[once], np.log(alpha + data.T[once])
    total = r * float(n0 @ (np.log(alpha) - log0))
    d_r = float(n0 @ (np.log(alpha) - log0))
    d_alpha = r * float(n0 @ (1 / alpha - 1 / (alpha + data.T[once])))
    x, n = data.x[~once], data.n[~once]
    A, B = alpha + data.T[~once], alpha + data.t_x[~once]
    log_a, log_b = np.log(A), np.log(B)
    g_r, g_b, g_ab = _by_count(x, gammaln, r, b, a + b)
    p_r, p_b, p_ab = _by_count(x, digamma, r, b, a + b)
    odds = np.log(a) - np.log(b + x - 1) + (r + x) * (log_a - log_b)
    constant = -gammaln(r) + r * np.log(alpha) + gammaln(a + b) - gammaln(b)
    total += float(n @ (g_r + g_b - g_ab + constant - (r + x) * log_a + np.logaddexp(0, odds)))
    gone = 1 / (1 + np.exp(-np.clip(odds, -700, 700)))  # share of the likelihood in which the customer left at t_x
    d_r += float(n @ (p_r - digamma(r) + np.log(alpha) - log_a + gone * (log_a - log_b)))
    d_alpha += float(n @ (r / alpha - (r + x) * ((1 - gone) / A + gone / B)))
    d_a = float(n @ (digamma(a + b) - p_ab + gone / a))
    d_b = float(n @ (digamma(a + b) - digamma(b) + p_b - p_ab - gone / (b + x - 1)))
    return total, np.array([d_r, d_alpha, d_a, d_b]) * np.exp(theta)


def bgnbd_alive(params: Array, x: Array, t_x: Array, T: Array) -> Array:
    """P(still a customer | history); 1 for everyone without a repeat purchase, by the model's own assumption."""
    r, alpha, a, b = params
    odds = np.log(a) - np.log(np.maximum(b + x - 1, 1e-300)) + (r + x) * np.log((alpha + T) / (alpha + t_x))
    return np.where(x == 0, 1.0, 1 / (1 + np.exp(np.clip(odds, -700, 700))))


def bgnbd_expected(params: Array, x: Array, t_x: Array, T: Array, t: Array | float) -> Array:
    """Purchases expected in the next `t` units, given the history.

    Source: Fader, Hardie & Lee (2005), equation 10. Its hypergeometric function is turned by Euler's transformation
    into one with a small numerator, which neither overflows nor loses digits for heavy buyers.
    """
    r, alpha, a, b = params
    a = a + 1e-6 if abs(a - 1) < 1e-6 else a  # the formula has a removable hole at a = 1
    z = t / (alpha + T + t)
    tail = (1 - z) ** (a - 1) * hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, z)
    return (a + b + x - 1) / (a - 1) * (1 - tail) * bgnbd_alive(params, x, t_x, T)


def bgnbd_active(params: Array, x: Array, t_x: Array, T: Array, t: Array | float) -> Array:
    """P(at least one purchase in the next `t` units | history): alive, and not silent for so long."""
    r, alpha = params[0], params[1]
    return bgnbd_alive(params, x, t_x, T) * -np.expm1((r + x) * np.log((alpha + T) / (alpha + T + t)))


def _departure(params: Array, x: Array, start: Array, end: Array, order: int) -> tuple[Array, list[Array]]:
    """``log ∫ (alpha+y)^-(r+x) (beta+y)^-(s+1) dy`` from `start` to `end`, and means of four terms under that density.

    The integral is the hypergeometric part of the Pareto/NBD likelihood. Gauss–Legendre on the logarithm of
    ``alpha + y``, cut where the integrand has died away, is stable for any history, and gives the gradient for free;
    `order` 0 leaves the means out.
    """
    r, alpha, s, beta = params
    log_sum = np.full(len(x), -np.inf)
    means = [np.zeros(len(x)) for _ in range(4)] if order else []
    for begin in range(0, len(x), CHUNK):
        part = slice(begin, begin + CHUNK)
        low, high = np.log(alpha + start[part]), np.log(alpha + end[part])
        power = (r + x[part] - 1)[:, None]
        span = np.minimum(high - low, DECADES / np.maximum(power[:, 0], 1e-9))
        w = low[:, None] + span[:, None] * (NODES + 1) / 2
        y_beta = np.exp(w) + (beta - alpha)
        log_beta = np.log(np.maximum(y_beta, 1e-300))
        value = -power * w - (s + 1) * log_beta
        peak = value.max(axis=1, keepdims=True)
        weight = np.exp(value - peak) * NODE_WEIGHTS
        mass = weight.sum(axis=1)
        with np.errstate(divide="ignore"):  # no time has passed: the integral is zero, its logarithm minus infinity
            log_sum[part] = peak[:, 0] + np.log(mass * span / 2)
        for k, term in enumerate((w, np.exp(-w), log_beta, 1 / y_beta) if order else ()):
            means[k][part] = (weight * term).sum(axis=1) / mass
    return log_sum, means


def pareto_nbd(theta: Array, data: Histories) -> tuple[float, Array]:
    """Log-likelihood of the Pareto/NBD model and its gradient in ``log (r, alpha, s, beta)``.

    Source: Schmittlein, Morrison & Colombo (1987), written as one integral over the moment of leaving
    (Fader & Hardie 2005, "A note on deriving the Pareto/NBD model").
    """
    params = np.exp(theta)
    r, alpha, s, beta = params
    x, t_x, T, n = data.x, data.t_x, data.T, data.n
    stay = -(r + x) * np.log(alpha + T) - s * np.log(beta + T)
    integral, (m_w, m_a, m_b, m_ib) = _departure(params, x, t_x, T, 1)
    leave = np.log(s) + integral
    both = np.logaddexp(stay, leave)
    gone = np.exp(leave - both)
    (g_r,), (p_r,) = _by_count(x, gammaln, r), _by_count(x, digamma, r)
    total = float(n @ (g_r - gammaln(r) + r * np.log(alpha) + s * np.log(beta) + both))
    kept = 1 - gone
    d_r = p_r - digamma(r) + np.log(alpha) - kept * np.log(alpha + T) - gone * m_w
    d_alpha = r / alpha - (r + x) * (kept / (alpha + T) + gone * m_a)
    d_s = np.log(beta) - kept * np.log(beta + T) + gone * (1 / s - m_b)
    d_beta = s / beta - s * kept / (beta + T) - (s + 1) * gone * m_ib
    return total, np.array([float(n @ part) for part in (d_r, d_alpha, d_s, d_beta)]) * params


def pareto_nbd_alive(params: Array, x: Array, t_x: Array, T: Array) -> Array:
    """P(still a customer | history)."""
    r, alpha, s, beta = params
    stay = -(r + x) * np.log(alpha + T) - s * np.log(beta + T)
    leave = np.log(s) + _departure(params, x, t_x, T, 0)[0]
    return np.exp(stay - np.logaddexp(stay, leave))


def pareto_nbd_expected(params: Array, x: Array, t_x: Array, T: Array, t: Array | float) -> Array:
    """Purchases expected in the next `t` units, given the history (Schmittlein et al. 1987)."""
    r, alpha, s, beta = params
    s = s + 1e-6 if abs(s - 1) < 1e-6 else s
    lasting = -np.expm1((s - 1) * np.log((beta + T) / (beta + T + t)))
    return (r + x) * (beta + T) / ((alpha + T) * (s - 1)) * lasting * pareto_nbd_alive(params, x, t_x, T)


def pareto_nbd_active(params: Array, x: Array, t_x: Array, T: Array, t: Array | float) -> Array:
    """P(at least one purchase in the next `t` units | history): alive, and neither silent nor gone before buying."""
    r, alpha, s, beta = params
    silent = (r + x) * np.log((alpha + T) / (alpha + T + t)) + s * np.log((beta + T) / (beta + T + t))
    left = np.log(s) + s * np.log(beta + T) + (r + x) * np.log(alpha + T)
    left = left + _departure(params, x, T, T + t, 0)[0]
    nothing = np.exp(silent) + np.exp(left)
    return pareto_nbd_alive(params, x, t_x, T) * np.clip(1 - nothing, 0, 1)


def gamma_gamma(theta: Array, x: Array, mean: Array, n: Array) -> tuple[float, Array]:
    """Log-likelihood of the Gamma-Gamma model of spend and its gradient in ``log (p, q, v)``.

    Source: Fader & Hardie (2013), "The Gamma-Gamma model of monetary value", equation 1a.
    """
    p, q, v = np.exp(theta)
    px = p * x
    joint = np.log(v + x * mean)
    value = gammaln(px + q) - gammaln(px) - gammaln(q) + q * np.log(v) + (px - 1) * np.log(mean)
    total = float(n @ (value + px * np.log(x) - (px + q) * joint))
    d_p = x * (digamma(px + q) - digamma(px) + np.log(mean) + np.log(x) - joint)
    d_q = digamma(px + q) - digamma(q) + np.log(v) - joint
    d_v = q / v - (px + q) / (v + x * mean)
    return total, np.array([float(n @ d_p), float(n @ d_q), float(n @ d_v)]) * np.exp(theta)
