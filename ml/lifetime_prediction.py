"""Reading a fitted lifetime model: who will buy how often, who is still there, what it is worth."""

import numpy as np
import pandas as pd

from ml import lifetime_models as models
from ml.contracts import finite
from ml.errors import DataError
from ml.lifetime_fit import LifetimeFit
from ml.lifetime_regression import RfmRegression
from ml.lifetime_summary import UNITS, check_summary, triple

Array = np.ndarray
_EXPECTED = {"BG/NBD": models.bgnbd_expected, "Pareto/NBD": models.pareto_nbd_expected}
_ALIVE = {"BG/NBD": models.bgnbd_alive, "Pareto/NBD": models.pareto_nbd_alive}
_ACTIVE = {"BG/NBD": models.bgnbd_active, "Pareto/NBD": models.pareto_nbd_active}


def expected_purchases(fit: LifetimeFit | RfmRegression, table: pd.DataFrame, periods: float) -> pd.Series:
    """Purchases each customer is expected to make in the next `periods` (in the fit's unit).

    Raises
    ------
    DataError
        A fit without an optimum, a spend model, broken columns, or `periods` that are not above zero.
    """
    clean, t = check_summary(table), _periods(periods)
    if isinstance(fit, RfmRegression):
        values = fit.expected(clean, t)
    else:
        values = _EXPECTED[_usable(fit)](fit.values, *triple(clean), t)
    return pd.Series(np.asarray(values), index=table.index, name="expected_purchases")


def expected_by_age(fit: LifetimeFit, ages: Array) -> Array:
    """Repeat purchases that a newcomer makes on average until each age, before anything is known about them."""
    zeros = np.zeros(len(ages))
    return _EXPECTED[_usable(fit)](fit.values, zeros, zeros, zeros, ages)


def probability_alive(fit: LifetimeFit, table: pd.DataFrame) -> pd.Series:
    """P(has not left for good | history).

    Not a churn score: BG/NBD gives 1 to everybody who bought once (on CDNOW its AUC for buying again is .32, the wrong
    way round). ``probability_purchase`` is the score.
    """
    if isinstance(fit, RfmRegression):
        raise DataError("a regression on past behaviour", "BG/NBD or Pareto/NBD, which know the idea of leaving")
    values = _ALIVE[_usable(fit)](fit.values, *triple(check_summary(table)))
    return pd.Series(values, index=table.index, name="probability_alive")


def probability_purchase(fit: LifetimeFit | RfmRegression, table: pd.DataFrame, periods: float) -> pd.Series:
    """P(at least one purchase in the next `periods` | history); one minus it is the risk of staying away.

    For the regression, Poisson around its expectation is assumed.
    """
    clean, t = check_summary(table), _periods(periods)
    if isinstance(fit, RfmRegression):
        values = -np.expm1(-fit.expected(clean, t))
    else:
        values = _ACTIVE[_usable(fit)](fit.values, *triple(clean), t)
    return pd.Series(np.asarray(values), index=table.index, name="probability_purchase")


def expected_spend(fit: LifetimeFit, table: pd.DataFrame) -> pd.Series:
    """Expected revenue of a customer's next purchase: their own mean, drawn towards everybody's (Gamma-Gamma, or
    the shrunk mean of ``fit_spend``).

    Raises
    ------
    DataError
        A fit without an optimum or of purchases, or no ``monetary`` column.
    """
    if fit.model not in ("Gamma-Gamma", "Shrunk mean") or not fit.converged:
        raise DataError(f"{fit.model} {fit.reason}".strip(), "a Gamma-Gamma fit with an optimum; see fit_spend")
    clean = check_summary(table, require=("monetary",))
    if fit.model == "Shrunk mean":
        mean, weight = fit.values
        drawn = (clean["x"] * clean["monetary"] + weight * mean) / (clean["x"] + weight)
        return pd.Series(drawn.to_numpy(), index=table.index, name="expected_spend")
    p, q, v = fit.values
    values = p * (v + clean["x"] * clean["monetary"]) / (p * clean["x"] + q - 1)
    return pd.Series(values.to_numpy(), index=table.index, name="expected_spend")


def customer_value(
    fit: LifetimeFit | RfmRegression,
    spend: LifetimeFit,
    table: pd.DataFrame,
    *,
    months: int = 12,
    discount_rate: float = 0.1,
    margin: float = 1.0,
) -> pd.DataFrame:
    """Discounted value of what each customer is still expected to buy.

    Parameters
    ----------
    fit, spend
        A purchase model and a spend model.
    table
        SUMMARY with ``monetary``, as of today.
    months
        How far ahead, in months of 30.4375 days.
    discount_rate
        Per *year* (.1 is ten percent); a month's purchases are discounted from its middle.
    margin
        Share of revenue that counts as value.

    Returns
    -------
    DataFrame
        ``customer_id`` (if known), ``expected_purchases``, ``expected_spend``, ``value``, in the table's order; money
        in the workspace currency. Sums are what this is good for: check them with ``holdout_report``.

    Raises
    ------
    DataError
        Fits without an optimum, `months` below 1, a rate at or below −100% or a margin outside 0–1.
    """
    if months < 1 or int(months) != months:
        raise DataError(f"{months}", "a whole number of months, at least 1")
    if not discount_rate > -1 or not 0 < margin <= 1:
        raise DataError(f"discount rate {discount_rate} and margin {margin}", "a rate above -1 and a margin within 0-1")
    per_purchase = expected_spend(spend, table)
    month = UNITS["month"] / UNITS[fit.unit]
    so_far, purchases = np.zeros(len(table)), np.zeros(len(table))
    discounted = np.zeros(len(table))
    for i in range(1, int(months) + 1):
        purchases = expected_purchases(fit, table, i * month).to_numpy()
        discounted += (purchases - so_far) / (1 + discount_rate) ** ((i - 0.5) / 12)
        so_far = purchases
    result = pd.DataFrame(index=table.index)
    if "customer_id" in table:
        result["customer_id"] = table["customer_id"]
    result["expected_purchases"] = purchases
    result["expected_spend"] = per_purchase
    result["value"] = discounted * per_purchase.to_numpy() * margin
    return result


def _usable(fit: LifetimeFit) -> str:
    if fit.model not in _EXPECTED:
        raise DataError(f"a {fit.model} fit", "a model of purchases (BG/NBD or Pareto/NBD)")
    if not fit.converged:
        raise DataError(f"a {fit.model} fit without an optimum ({fit.reason})", "a fit that converged; see fit_purchases")
    return fit.model


def _periods(periods: float) -> float:
    value = float(finite([periods], "periods")[0])
    if value <= 0:
        raise DataError(f"{value:g}", "periods above zero")
    return value
