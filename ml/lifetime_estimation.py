"""Fitting the lifetime models to a summary, and choosing the one to use."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ml import lifetime_models as models
from ml.contracts import instant
from ml.errors import DataError
from ml.lifetime_fit import LifetimeFit, maximise
from ml.lifetime_regression import RfmRegression, fit_rfm_regression
from ml.lifetime_summary import check_summary, days_per, purchases_between, summary, triple, unit_of

Array = np.ndarray
MIN_REPEATERS = 10


def fit_bgnbd(table: pd.DataFrame, *, unit: str | None = None) -> LifetimeFit:
    """Fit the BG/NBD model: Poisson purchases, a chance of leaving after each.

    Parameters
    ----------
    table
        SUMMARY.
    unit
        Overrides ``attrs["unit"]`` of the table (default ``week``).

    Returns
    -------
    LifetimeFit
        Parameters ``r, alpha`` (purchase rates), ``a, b`` (leaving). Look at ``converged`` first.

    Raises
    ------
    DataError
        Broken columns, or fewer than ten customers with a repeat purchase.

    Source: Fader, Hardie & Lee (2005); maximum likelihood, no penalty.
    """
    return _fit(table, unit, "BG/NBD", ("r", "alpha", "a", "b"), models.bgnbd)


def fit_pareto_nbd(table: pd.DataFrame, *, unit: str | None = None) -> LifetimeFit:
    """Fit the Pareto/NBD model: Poisson purchases, a chance of leaving at any moment.

    As `fit_bgnbd`, with parameters ``r, alpha`` (purchase rates) and ``s, beta`` (leaving). Slower: each look at the
    likelihood integrates over the moment of leaving. Source: Schmittlein, Morrison & Colombo (1987).
    """
    return _fit(table, unit, "Pareto/NBD", ("r", "alpha", "s", "beta"), models.pareto_nbd)


def _fit(table: pd.DataFrame, unit: str | None, model: str, names: tuple[str, ...], likelihood: Callable) -> LifetimeFit:
    data, unit = _histories(table), unit_of(table, unit)
    scale = float(np.average(data.T, weights=data.n)) or 1.0
    scaled = data.scaled(scale)
    best = maximise(lambda theta: likelihood(theta, scaled), names, data.customers)
    values = np.exp(best.theta) * np.array([scale if name in ("alpha", "beta") else 1.0 for name in names])
    errors = {} if best.errors is None else dict(zip(names, (values * best.errors).tolist(), strict=True))
    return LifetimeFit(
        model=model,
        params=dict(zip(names, values.tolist(), strict=True)),
        errors=errors,
        loglik=best.loglik - float(data.n @ data.x) * float(np.log(scale)),
        converged=not best.reason,
        reason=best.reason,
        customers=int(data.customers),
        unit=unit,
        advice=_purchase_advice(best.reason, model, data),
    )


def _purchase_advice(reason: str, model: str, data: models.Histories) -> list[str]:
    advice = []
    if reason:
        advice.append(f"{model} has no usable optimum here: {reason}. Use the regression on past behaviour instead.")
    if data.customers < 200:
        advice.append(f"Only {data.customers:,.0f} customers: treat every figure as a rough sketch.")
    once = float(data.n[data.x == 0].sum() / data.customers)
    if once > 0.3 and model == "BG/NBD":
        advice.append(f"{once:.0%} of the customers bought once; the model calls all of them alive. Rank by expected purchases.")
    return advice


def fit_gamma_gamma(table: pd.DataFrame, *, unit: str | None = None) -> LifetimeFit:
    """Fit the Gamma-Gamma model of spend per purchase.

    Parameters
    ----------
    table
        SUMMARY with ``monetary``. Customers without a repeat purchase or with a mean of zero are left out.

    Returns
    -------
    LifetimeFit
        Parameters ``p, q`` (shapes) and ``v`` (scale, in money). Money is rescaled for the search and back.

    Raises
    ------
    DataError
        No ``monetary`` column, fewer than ten customers with a positive repeat spend, or all of them spend the same.

    Source: Fader & Hardie (2013). The model assumes that how much and how often are unrelated; `advice` says when the
    data object.
    """
    clean = check_summary(table, require=("monetary",))
    repeat = clean[(clean["x"] > 0) & (clean["monetary"] > 0)]
    if len(repeat) < MIN_REPEATERS:
        raise DataError(f"{len(repeat)}", f"at least {MIN_REPEATERS} customers with a repeat purchase above zero")
    x, money = repeat["x"].to_numpy(), repeat["monetary"].to_numpy()
    scale = float(np.median(money))
    if np.ptp(money) <= 1e-9 * scale:
        raise DataError("the same spend throughout", "customers who spend different amounts")
    n = np.ones(len(x))
    # The method of moments would start near the answer; log 2 keeps q above 1, where the mean exists.
    best = maximise(lambda theta: models.gamma_gamma(theta, x, money / scale, n), ("p", "q", "v"), len(x), np.log([2.0, 3.0, 1.0]))
    p, q, v = np.exp(best.theta) * np.array([1, 1, scale])
    reason = best.reason or ("the mean spend is infinite (q is at most 1)" if q <= 1 else "")
    errors = {} if best.errors is None else dict(zip("pqv", (np.array([p, q, v]) * best.errors).tolist(), strict=True))
    return LifetimeFit(
        model="Gamma-Gamma",
        params={"p": float(p), "q": float(q), "v": float(v)},
        errors=errors,
        loglik=best.loglik - len(x) * float(np.log(scale)),
        converged=not reason,
        reason=reason,
        customers=len(x),
        unit=unit_of(table, unit),
        advice=_spend_advice(clean, x, money, reason),
    )


def fit_spend(table: pd.DataFrame, *, unit: str | None = None) -> LifetimeFit:
    """The spend model to use: Gamma-Gamma, or where that has no optimum the customer's own mean drawn to everybody's.

    The fallback (``Shrunk mean``, parameters ``mean`` and ``weight``) expects ``(x · own + weight · mean) / (x +
    weight)``; the weight is the ratio of the variance within customers to that between them, read off how the spread
    of the means falls with the number of purchases (Bühlmann & Straub 1970).

    Raises
    ------
    DataError
        As `fit_gamma_gamma`.
    """
    fit = fit_gamma_gamma(table, unit=unit)
    if fit.converged:
        return fit
    clean = check_summary(table)
    repeat = clean[(clean["x"] > 0) & (clean["monetary"] > 0)]
    x, money = repeat["x"].to_numpy(), repeat["monetary"].to_numpy()
    mean = float(np.average(money, weights=x))
    squares = (money - mean) ** 2
    within, between = np.polyfit(1 / x, squares, 1) if np.ptp(x) > 0 else (float(squares.mean()), 0.0)
    weight = float(np.clip(within / max(between, 1e-9 * mean**2), 0.1, 1e6))
    return LifetimeFit(
        model="Shrunk mean",
        params={"mean": mean, "weight": weight},
        errors={},
        loglik=0.0,
        converged=True,
        reason="",
        customers=len(repeat),
        unit=fit.unit,
        advice=[*fit.advice, "Expected spend is each customer's own mean, drawn towards everybody's."],
    )


def _spend_advice(clean: pd.DataFrame, x: Array, money: Array, reason: str) -> list[str]:
    advice = []
    if reason:
        advice.append(f"Gamma-Gamma has no usable optimum here: {reason}. Use each customer's own mean spend.")
    free = int(((clean["x"] > 0) & (clean["monetary"] <= 0)).sum())
    if free:
        advice.append(f"{free:,} customers with repeat purchases worth nothing were left out of the spend model.")
    together = float(np.corrcoef(np.log(x), np.log(money))[0, 1]) if np.ptp(x) > 0 else 0.0
    if abs(together) > 0.3:
        advice.append(
            f"Frequent buyers spend {'more' if together > 0 else 'less'} per purchase (correlation {together:.2f} of "
            "the logarithms); the model assumes that they do not, so values of heavy buyers are biased."
        )
    return advice


def fit_purchases(orders: pd.DataFrame, *, as_of: object, horizon: float, unit: str = "week") -> LifetimeFit | RfmRegression:
    """The purchase model to use: BG/NBD or Pareto/NBD, whichever fits better, else a regression on past behaviour.

    Parameters
    ----------
    orders
        ORDERS; later ones than `as_of` are invisible.
    horizon
        How far ahead the regression learns to look, in `unit`, should it be needed; at most half of the history.

    Raises
    ------
    DataError
        Broken orders, or too few of them for any of the three.
    """
    table = summary(orders, as_of=as_of, unit=unit)
    fits = [fit_bgnbd(table), fit_pareto_nbd(table)]
    usable = [fit for fit in fits if fit.converged]
    if usable:
        return min(usable, key=lambda fit: fit.aic)
    reasons = [f"{fit.model} has no usable optimum ({fit.reason})." for fit in fits]
    possible = float(table["T"].max()) / 2
    if horizon > possible:
        reasons.append(f"The history allows learning only {possible:.0f} {unit}s ahead; beyond that it is stretched.")
        horizon = possible
    split = instant(as_of) - pd.Timedelta(days=horizon * days_per(unit))  # type: ignore[arg-type]
    before = summary(orders, as_of=split, unit=unit)
    bought = purchases_between(orders, before["customer_id"], split, as_of)
    return fit_rfm_regression(before, bought, horizon=horizon, unit=unit, advice=reasons)


def _histories(table: pd.DataFrame) -> models.Histories:
    data = models.aggregate(*triple(check_summary(table)))
    repeaters = float(data.n[data.x > 0].sum())
    if repeaters < MIN_REPEATERS:
        raise DataError(f"{repeaters:,.0f}", f"at least {MIN_REPEATERS} customers with a repeat purchase")
    return data
