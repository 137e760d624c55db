"""Logistic and linear regression with a ridge, chosen by cross-validation; Platt's recalibration."""

from dataclasses import dataclass

import numpy as np

Array = np.ndarray
RIDGES = (0.3, 3.0, 30.0, 300.0, 3000.0)
FOLDS = 5
SAMPLE = 10_000  # rows that are enough to choose a ridge by


@dataclass(frozen=True)
class Fitted:
    """A regression on centred columns: intercept first, with the covariance of both."""

    beta: Array
    covariance: Array
    ridge: float

    def linear(self, X: Array) -> Array:
        """The linear predictor."""
        return self.beta[0] + X @ self.beta[1:]

    def error(self, X: Array) -> Array:
        """Standard error of the linear predictor, per row."""
        design = with_one(X)
        return np.sqrt(np.einsum("ij,ij->i", design @ self.covariance, design))


def with_one(X: Array) -> Array:
    """A column of ones in front."""
    return np.column_stack([np.ones(len(X)), X])


def sigmoid(t: Array) -> Array:
    """1 / (1 + e^-t), without overflow."""
    return 1 / (1 + np.exp(-np.clip(t, -700, 700)))


def logit(p: Array) -> Array:
    """log (p / (1 - p))."""
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return np.log(p / (1 - p))


def fit_logistic_ridge(X: Array, y: Array, ridge: float, start: Array | None = None, tolerance: float = 1e-8) -> Fitted:
    """Penalised maximum likelihood by Newton's method; the intercept is free."""
    design = with_one(X)
    penalty = np.diag(np.r_[0.0, np.full(X.shape[1], ridge)])
    beta = np.zeros(design.shape[1]) if start is None else start
    if start is None:
        beta[0] = float(logit(np.array([y.mean()]))[0])
    for _ in range(40):
        p = sigmoid(design @ beta)
        weight = np.maximum(p * (1 - p), 1e-9)
        hessian = (design * weight[:, None]).T @ design + penalty
        step = np.linalg.solve(hessian, design.T @ (y - p) - penalty @ beta)
        beta = beta + step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < tolerance:
            break
    return Fitted(beta, np.linalg.inv(hessian), ridge)


def fit_linear_ridge(X: Array, y: Array, ridge: float) -> Fitted:
    """Penalised least squares; the intercept is free."""
    design = with_one(X)
    inverse = np.linalg.inv(design.T @ design + np.diag(np.r_[0.0, np.full(X.shape[1], ridge)]))
    beta = inverse @ (design.T @ y)
    rest = y - design @ beta
    freedom = max(len(y) - float(np.trace(inverse @ (design.T @ design))), 1.0)
    return Fitted(beta, inverse * float(rest @ rest) / freedom, ridge)


def folds_of(groups: Array, rng: np.random.Generator, count: int = FOLDS) -> Array:
    """A fold per row; rows of one group stay together, whatever the order of the rows."""
    _, code = np.unique(groups, return_inverse=True)
    sizes = code.max() + 1
    return (rng.permutation(sizes) % min(count, sizes))[code]


def out_of_fold(X: Array, y: Array, fold: Array, ridge: float, kind: str = "logistic") -> Array:
    """Linear predictors for rows that the fit had not seen."""
    fit = fit_logistic_ridge if kind == "logistic" else fit_linear_ridge
    result = np.empty(len(y))
    for one in np.unique(fold):
        held = fold == one
        result[held] = fit(X[~held], y[~held], ridge).linear(X[held])
    return result


def choose_ridge(X: Array, y: Array, fold: Array, kind: str = "logistic") -> float:
    """The ridge with the smallest cross-validated loss, tried from strong to weak, each search starting from the last."""
    rows = slice(None) if len(y) <= SAMPLE else np.linspace(0, len(y) - 1, SAMPLE).astype(int)
    X, y, fold = X[rows], y[rows], fold[rows]
    losses = dict.fromkeys(RIDGES, 0.0)
    for one in np.unique(fold):
        held, start = fold == one, None
        seen_X, seen_y = X[~held], y[~held]
        for ridge in reversed(RIDGES):
            if kind == "logistic":
                fitted = fit_logistic_ridge(seen_X, seen_y, ridge, start, 1e-4)
                start, t = fitted.beta, fitted.linear(X[held])
                losses[ridge] += float(np.sum(np.logaddexp(0, t) - y[held] * t))
            else:
                losses[ridge] += float(np.sum((y[held] - fit_linear_ridge(seen_X, seen_y, ridge).linear(X[held])) ** 2))
    return min(losses, key=lambda ridge: losses[ridge])


def platt(t: Array, y: Array) -> tuple[float, float]:
    """Intercept and slope that turn out-of-fold log-odds into probabilities; (0, 1) where nothing can be learned.

    Source: Platt (1999), with his smoothed targets.
    """
    if np.ptp(t) < 1e-9 or y.min() == y.max():
        return 0.0, 1.0
    positive, negative = y.sum(), len(y) - y.sum()
    target = np.where(y == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    design = with_one(t[:, None])
    beta = np.array([0.0, 1.0])
    for _ in range(50):
        p = sigmoid(design @ beta)
        weight = np.maximum(p * (1 - p), 1e-9)
        step = np.linalg.solve((design * weight[:, None]).T @ design + 1e-9 * np.eye(2), design.T @ (target - p))
        beta = beta + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    return float(beta[0]), float(max(beta[1], 0.0))
