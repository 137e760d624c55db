"""What a record is worth once it converts: E(spend | convert), with an interval."""

from dataclasses import dataclass

import numpy as np

from ml.errors import DataError
from ml.lead_logistic import Fitted, choose_ridge, fit_linear_ridge, out_of_fold

Array = np.ndarray
MIN_SPENDERS = 10
MIN_FOR_MODEL = 50


@dataclass(frozen=True)
class SpendModel:
    """Log-linear ridge regression, or the mean where the fields say nothing about the amount.

    Attributes
    ----------
    fitted
        The regression, or None.
    smear
        Mean of the exponentiated residuals: from the median back to the mean (Duan 1983).
    mean, error
        Mean spend of the converted and its standard error.
    r2
        Out-of-fold share of the variance of the log amounts explained; 0 for the mean.
    customers
        How many amounts it saw.
    """

    fitted: Fitted | None
    smear: float
    mean: float
    error: float
    r2: float
    customers: int

    def expect(self, X: Array, z: float) -> tuple[Array, Array, Array]:
        """Expected spend and the limits of that expectation, per row."""
        if self.fitted is None:
            ones = np.ones(len(X))
            return self.mean * ones, max(self.mean - z * self.error, 0.0) * ones, (self.mean + z * self.error) * ones
        t, half = self.fitted.linear(X), z * self.fitted.error(X)
        return tuple(np.exp(np.minimum(part, 700)) * self.smear for part in (t, t - half, t + half))  # type: ignore[return-value]


def fit_spend(X: Array, spend: Array, fold: Array) -> SpendModel:
    """Fit the amounts of converted records; X as encoded for the score.

    Raises
    ------
    DataError
        Negative amounts, or fewer than ten.
    """
    known = ~np.isnan(spend)
    X, spend, fold = X[known], spend[known], fold[known]
    if len(spend) < MIN_SPENDERS:
        raise DataError(f"{len(spend)} with an amount", f"at least {MIN_SPENDERS} converted records with their spend")
    if spend.min() < 0:
        raise DataError(f"{spend.min():g}", "spend of at least 0")
    mean, error = float(spend.mean()), float(spend.std(ddof=1) / np.sqrt(len(spend)))
    flat = SpendModel(None, 1.0, mean, error, 0.0, len(spend))
    paid = spend > 0
    if paid.sum() < MIN_FOR_MODEL or paid.mean() < 0.95 or np.ptp(spend[paid]) == 0 or len(np.unique(fold[paid])) < 2:
        return flat
    logs = np.log(spend[paid])
    ridge = choose_ridge(X[paid], logs, fold[paid], "linear")
    guess = out_of_fold(X[paid], logs, fold[paid], ridge, "linear")
    r2 = 1 - float(np.mean((logs - guess) ** 2) / logs.var())
    if r2 <= 0.02:
        return flat
    fitted = fit_linear_ridge(X[paid], logs, ridge)
    smear = float(np.exp(logs - fitted.linear(X[paid])).mean() * paid.mean())
    return SpendModel(fitted, smear, mean, error, r2, len(spend))
