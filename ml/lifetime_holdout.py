"""How wrong the lifetime models were on a period that they had not seen."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from ml.contracts import ORDERS, instant, known_by
from ml.errors import DataError
from ml.evaluation import auc_interval
from ml.lifetime_estimation import fit_bgnbd, fit_pareto_nbd, fit_spend
from ml.lifetime_fit import LifetimeFit
from ml.lifetime_prediction import (
    expected_by_age,
    expected_purchases,
    expected_spend,
    probability_alive,
    probability_purchase,
)
from ml.lifetime_regression import RfmRegression, fit_rfm_regression
from ml.lifetime_summary import days_per, purchases_between, summary, whole_days

Array = np.ndarray
Model = LifetimeFit | RfmRegression


@dataclass(frozen=True)
class HoldoutReport:
    """Predictions made at `split_at`, judged by what happened until `end`.

    Attributes
    ----------
    split_at, end
        The moments between which nothing was shown to the models.
    unit, periods
        Length of the hold-out in units.
    customers, actual
        Customers known at the split, and the repeat purchases (days with an order) they then made.
    totals
        Per method: ``method, predicted, error`` (predicted / actual − 1), ``mae`` (per customer), ``correlation``
        (Spearman, with what each customer did); models first, then the simple rules they must beat.
    ranking
        Per score: ``score, auc, low, high`` for "buys at least once".
    by_frequency
        Mean purchases per customer by repeat purchases before: ``x, customers, actual`` and one column per model.
    tracking
        Cumulative repeat purchases per unit of time: ``ends_at, actual, expected, held_out``; `expected` by `tracked`.
    tracked
        The better of the lifetime models (the regression has no course through time), or an empty string.
    revenue_actual, revenue_predicted
        Money of the hold-out; the prediction is None when nobody repeated a purchase above zero.
    best
        The method with the smallest error of the total among the models (and the regression).
    models
        The fits, by method.
    advice
        Plain sentences.
    """

    split_at: pd.Timestamp
    end: pd.Timestamp
    unit: str
    periods: float
    customers: int
    actual: float
    totals: pd.DataFrame
    ranking: pd.DataFrame
    by_frequency: pd.DataFrame
    tracking: pd.DataFrame
    tracked: str
    revenue_actual: float
    revenue_predicted: float | None
    best: str
    models: dict[str, Model]
    advice: list[str] = field(default_factory=list)


def holdout_report(orders: pd.DataFrame, split_at: object, *, as_of: object | None = None, unit: str = "week") -> HoldoutReport:
    """Fit on the orders until `split_at`, predict until `as_of`, compare.

    Parameters
    ----------
    orders
        ORDERS.
    split_at
        Last moment the models see (a bare date means its midnight).
    as_of
        End of the hold-out; default: the last order. Later orders are invisible.

    Raises
    ------
    DataError
        Broken orders, nothing on one side of the split, or too few repeat buyers before it.
    """
    clean = ORDERS.check(orders)
    split = instant(split_at)  # type: ignore[arg-type]
    end = clean["ordered_at"].max() if as_of is None else instant(as_of)  # type: ignore[arg-type]
    clean = known_by(clean, "ordered_at", end)
    periods = float(_day(end) - _day(split)) / days_per(unit)
    if periods <= 0:
        raise DataError(f"a hold-out that ends at {end:%Y-%m-%d}", f"orders after the split at {split:%Y-%m-%d}")
    table = summary(clean, as_of=split, unit=unit)
    happened = purchases_between(clean, table["customer_id"], split, end)
    fits = _fits(clean, table, split, periods, unit)
    predicted = {name: expected_purchases(fit, table, periods).to_numpy() for name, fit in fits.items()}
    totals = _totals(predicted | _rules(table, periods), happened)
    best = next((name for name in _by_error(totals) if name in fits), "repeat rate × time")
    tracked = next((name for name in _by_error(totals) if isinstance(fits.get(name), LifetimeFit)), "")
    money, foreseen = _revenue(clean, table, split, predicted.get(best))
    report = HoldoutReport(
        split_at=split,
        end=end,
        unit=unit,
        periods=periods,
        customers=len(table),
        actual=float(happened.sum()),
        totals=totals,
        ranking=_ranking(fits, predicted, table, periods, happened),
        by_frequency=_by_frequency(table, happened, predicted),
        tracking=_tracking(clean, table, split, end, fits.get(tracked), unit),
        tracked=tracked,
        revenue_actual=money,
        revenue_predicted=foreseen,
        best=best,
        models=fits,
    )
    report.advice.extend(_advice(report))
    return report


def _fits(clean: pd.DataFrame, table: pd.DataFrame, split: pd.Timestamp, periods: float, unit: str) -> dict[str, Model]:
    """What can be fitted before the split: both lifetime models, and the regression on an inner split."""
    fits: dict[str, Model] = {}
    for fit in (fit_bgnbd(table), fit_pareto_nbd(table)):
        if fit.converged:
            fits[fit.model] = fit
    inner = split - pd.Timedelta(days=periods * days_per(unit))
    try:
        before = summary(clean, as_of=inner, unit=unit)
        bought = purchases_between(clean, before["customer_id"], inner, split)
        regression = fit_rfm_regression(before, bought, horizon=periods, unit=unit)
    except DataError:  # the past is too short to rehearse on; the report then simply lacks this row
        return fits
    return fits | {regression.model: regression}


def _rules(table: pd.DataFrame, periods: float) -> dict[str, Array]:
    """What a spreadsheet would say."""
    age = np.maximum(table["T"].to_numpy(), 1e-9 + 0.5)  # half a unit at least: who came yesterday has no rate yet
    x = table["x"].to_numpy()
    return {"rate × time": (x + 1) / age * periods, "repeat rate × time": x / age * periods}


def _totals(predicted: dict[str, Array], happened: Array) -> pd.DataFrame:
    rows = []
    for method, values in predicted.items():
        total, actual = float(values.sum()), float(happened.sum())
        rows.append(
            {
                "method": method,
                "predicted": total,
                "error": total / actual - 1 if actual else float("inf"),
                "mae": float(np.abs(values - happened).mean()),
                "correlation": _spearman(values, happened),
            }
        )
    return pd.DataFrame(rows)


def _by_error(totals: pd.DataFrame) -> list[str]:
    """Methods, smallest error of the total first."""
    return totals["method"].iloc[np.argsort(totals["error"].abs(), kind="stable")].tolist()


def _spearman(a: Array, b: Array) -> float:
    """Rank correlation; 0 when one of the two never varies."""
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])


def _ranking(
    fits: dict[str, Model], predicted: dict[str, Array], table: pd.DataFrame, periods: float, happened: Array
) -> pd.DataFrame:
    scores = {f"{name}: expected purchases": values for name, values in predicted.items()}
    for name, fit in fits.items():
        if isinstance(fit, LifetimeFit):
            scores[f"{name}: P(purchase)"] = probability_purchase(fit, table, periods).to_numpy()
            scores[f"{name}: P(alive)"] = probability_alive(fit, table).to_numpy()
    scores["recency"] = (table["t_x"] - table["T"]).to_numpy()
    bought = (happened > 0).astype(int)
    if bought.min() == bought.max():
        return pd.DataFrame(columns=["score", "auc", "low", "high"])
    areas = {name: auc_interval(bought, values) for name, values in scores.items()}
    return pd.DataFrame([{"score": k, "auc": v.estimate, "low": v.low, "high": v.high} for k, v in areas.items()])


def _by_frequency(table: pd.DataFrame, happened: Array, predicted: dict[str, Array], cap: int = 7) -> pd.DataFrame:
    frame = pd.DataFrame({"x": np.minimum(table["x"], cap).astype(int), "actual": happened} | predicted)
    grouped = frame.groupby("x", sort=True)
    means = grouped.mean()
    means.insert(0, "customers", grouped.size())
    return means.reset_index()


def _tracking(
    clean: pd.DataFrame, table: pd.DataFrame, split: pd.Timestamp, end: pd.Timestamp, fit: Model | None, unit: str
) -> pd.DataFrame:
    """Cumulative repeat purchases of the customers known at the split, as they happened and as the model expects."""
    birth = _day(split) - np.round(table["T"].to_numpy() * days_per(unit)).astype(int)
    known = clean[clean["customer_id"].isin(table["customer_id"])]
    days = pd.DataFrame({"who": known["customer_id"], "day": whole_days(known["ordered_at"])}).drop_duplicates()
    repeats = np.sort(_without_first(days))
    step = days_per(unit)
    count = int(np.floor((_day(end) - birth.min()) / step))
    marks = birth.min() + np.arange(1, count + 1) * step
    born, n = np.unique(birth, return_counts=True)
    result = pd.DataFrame(
        {
            "ends_at": pd.to_datetime(marks * 86_400, unit="s", utc=True),
            "actual": np.searchsorted(repeats, marks, side="right"),
            "held_out": marks > _day(split),
        }
    )
    if isinstance(fit, LifetimeFit):
        result.insert(2, "expected", [float(n @ expected_by_age(fit, np.maximum(mark - born, 0) / step)) for mark in marks])
    return result


def _without_first(days: pd.DataFrame) -> Array:
    first = days.groupby("who")["day"].transform("min")
    return days.loc[days["day"] > first, "day"].to_numpy()


def _revenue(clean: pd.DataFrame, table: pd.DataFrame, split: pd.Timestamp, predicted: Array | None) -> tuple[float, float | None]:
    later = whole_days(clean["ordered_at"]) > _day(split)
    known = clean["customer_id"].isin(table["customer_id"])
    actual = float(clean.loc[later & known, "revenue"].sum())
    if predicted is None:
        return actual, None
    try:
        spend = expected_spend(fit_spend(table), table)
    except DataError:
        return actual, None
    return actual, float(predicted @ spend.to_numpy())


def _advice(report: HoldoutReport) -> list[str]:
    span = f"{report.periods:g} {report.unit}s"
    table = report.totals.set_index("method")
    if report.actual == 0:
        return [f"Nobody bought again within {span}: there is nothing to judge by."]
    told = f"In the {span} that were held back, {report.actual:,.0f} repeat purchases happened"
    if not report.models:
        return [f"{told}; no model could be fitted before the split."]
    row = table.loc[report.best]
    advice = [f"{told}; {report.best} had expected {row['predicted']:,.0f} ({row['error']:+.0%})."]
    rule = table.loc["rate × time"]
    advice.append(f"Purchases per {report.unit} so far, carried forward, would have said {rule['predicted']:,.0f}.")
    if row["mae"] > table.loc["repeat rate × time", "mae"]:
        advice.append("Customer by customer the simple repeat rate was no worse: use the model for totals.")
    if len(report.ranking):
        ranks = report.ranking.set_index("score")
        model = ranks.drop(index="recency")["auc"].max()
        if model - ranks.loc["recency", "auc"] < 0.02:
            advice.append("For ranking customers, the date of the last order does as well as any model.")
    return advice


def _day(moment: pd.Timestamp) -> int:
    return int(whole_days(pd.Series([moment]))[0])
