"""Logistic fits without a hidden penalty, and the test for outcomes that a column separates."""

import warnings

import numpy as np
from scipy import linalg
from scipy.optimize import linprog

from ml.errors import DataError

_STEPS = 60


def newton(matrix: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """Maximum likelihood by Newton's method: coefficients, covariance, and whether it settled.

    Source: McCullagh & Nelder (1989), section 4.4. For the small fits around the main one (each column alone, folds).
    """
    beta = np.zeros(matrix.shape[1])
    for _ in range(_STEPS):
        p = probability(matrix @ beta)
        weight = np.maximum(p * (1 - p), 1e-12)
        information = (matrix * weight[:, None]).T @ matrix
        try:
            step = linalg.solve(information, matrix.T @ (y - p), assume_a="pos")
        except (linalg.LinAlgError, ValueError):
            return beta, np.full((len(beta), len(beta)), np.inf), False
        step *= min(1.0, 5.0 / max(1e-12, np.abs(step).max()))
        beta = beta + step
        if np.abs(step).max() < 1e-9:
            return beta, linalg.inv(information), True
    return beta, np.full((len(beta), len(beta)), np.inf), False


def probability(eta: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(−η)) without overflow."""
    return np.exp(-np.logaddexp(0.0, -eta))


def fit(matrix: np.ndarray, y: np.ndarray, names: list[str]):  # type: ignore[no-untyped-def]
    """statsmodels' Logit on the scaled columns.

    Raises
    ------
    DataError
        Some columns separate the outcomes, so that no finite coefficient is the best.
    """
    import statsmodels.api as sm  # 6 s cold: only who fits pays

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = sm.Logit(y, matrix).fit(disp=0, method="newton", maxiter=_STEPS, tol=1e-12)
        except (np.linalg.LinAlgError, sm.tools.sm_exceptions.PerfectSeparationError):
            result = None
    extreme = result is None or not result.mle_retvals["converged"] or np.abs(result.params[1:]).max(initial=0) > 8
    extreme = extreme or np.abs(matrix @ result.params).max() > 18
    if extreme:
        guilty = separating(matrix, y, names)
        if guilty:
            raise DataError(
                f"{', '.join(guilty)} telling the outcomes apart without exception",
                "columns that leave some doubt; is that column known before the outcome?",
            )
    if result is None or not result.mle_retvals["converged"]:
        raise DataError("a fit that does not settle", "fewer columns, or more rows")
    return result


def separating(matrix: np.ndarray, y: np.ndarray, names: list[str]) -> list[str]:
    """Columns of a direction that never contradicts an outcome; empty when the outcomes overlap.

    A linear programme decides (Konis 2007, chapter 4): maximise Σ zᵢb subject to zᵢb ≥ 0 and |b| ≤ 1, where zᵢ is the
    row, its sign turned for the second outcome. Overlap means that only b = 0 will do.
    """
    turned = np.unique(matrix * np.where(y > 0, 1.0, -1.0)[:, None], axis=0)
    size = np.abs(turned).max(axis=1, keepdims=True)
    turned = turned / np.maximum(size, 1e-300)
    found = linprog(-turned.sum(axis=0), A_ub=-turned, b_ub=np.zeros(len(turned)), bounds=(-1, 1), method="highs")
    if found.status != 0 or -found.fun < 1e-7 * len(turned):
        return []
    strong = np.abs(found.x[1:]) > 1e-6
    return [name for name, is_strong in zip(names[1:], strong, strict=True) if is_strong] or ["the intercept"]
